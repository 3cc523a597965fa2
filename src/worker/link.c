/*
 * The linker. CUDA keeps the addresses of log buffers and value slots for as long as a link state
 * lives, so a state here has memory of its own for both, found by the backend's handle.
 *
 * Adding and completing take long and run on waiters, one at a time for each state: a backend need
 * not know what becomes of two. A state is destroyed and its image read by the dispatcher. A
 * program does that to a state it still uses only by mistake, or to see what becomes of the worker:
 * it is refused.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "gen/worker_custom.h"
#include "worker/jit_options.h"
#include "worker/worker.h"

#define LOG_MAX	    (1u << 20)
#define OPTIONS_MAX 64u
#define LINKS_MAX   1024u

struct link_state {
	struct link_state *next;
	CUlinkState state;
	struct jit_logs logs;
	unsigned n;
	CUjit_option options[OPTIONS_MAX];
	void *values[OPTIONS_MAX];
	unsigned users;	      /* calls at work on it, or waiting to be; under memory_lock */
	pthread_mutex_t work; /* held by the one whose turn it is; over: */
	const void *image;    /* complete; the backend's, until the state is destroyed */
	size_t image_bytes;
};

static struct link_state *link_free(struct link_state *link)
{
	if (!link)
		return NULL;
	free(link->logs.info);
	free(link->logs.errors);
	pthread_mutex_destroy(&link->work);
	free(link);
	return NULL;
}

void links_free(struct worker *worker)
{
	for (struct link_state *link = worker->links, *next; link; link = next) {
		next = link->next;
		link_free(link);
	}
	worker->links = NULL;
}

/* Under memory_lock: where the link stands in the list; leads to NULL: it is unknown. */
static struct link_state **find(struct worker *worker, CUlinkState state)
{
	struct link_state **at = &worker->links;

	while (*at && (*at)->state != state)
		at = &(*at)->next;
	return at;
}

/* NULL: unknown. It stays until let_go(). */
static struct link_state *hold(struct worker *worker, CUlinkState state)
{
	pthread_mutex_lock(&worker->memory_lock);
	struct link_state *link = *find(worker, state);
	if (link)
		link->users++;
	pthread_mutex_unlock(&worker->memory_lock);
	return link;
}

static void let_go(struct worker *worker, struct link_state *link)
{
	pthread_mutex_lock(&worker->memory_lock);
	link->users--;
	pthread_mutex_unlock(&worker->memory_lock);
}

static void enter(struct worker *worker, struct link_state *link)
{
	pthread_mutex_lock(&worker->memory_lock);
	link->next = worker->links;
	worker->links = link;
	worker->n_links++;
	pthread_mutex_unlock(&worker->memory_lock);
}

/* Takes the link out of the list. NULL: it is unknown, or in use. */
static struct link_state *leave(struct worker *worker, CUlinkState state)
{
	pthread_mutex_lock(&worker->memory_lock);
	struct link_state **at = find(worker, state);
	struct link_state *link = *at && !(*at)->users ? *at : NULL;
	if (link) {
		*at = link->next;
		worker->n_links--;
	}
	pthread_mutex_unlock(&worker->memory_lock);
	return link;
}

static bool make_logs(struct jit_logs *logs, size_t info_bytes, size_t error_bytes)
{
	logs->info_bytes = MIN(info_bytes, LOG_MAX);
	logs->error_bytes = MIN(error_bytes, LOG_MAX);
	logs->info = logs->info_bytes ? calloc(1, logs->info_bytes) : NULL;
	logs->errors = logs->error_bytes ? calloc(1, logs->error_bytes) : NULL;
	return (logs->info || !logs->info_bytes) && (logs->errors || !logs->error_bytes);
}

CUresult worker_cuLinkCreate_v2(struct call *call, struct args_cuLinkCreate_v2 *a)
{
	unsigned n = a->options && a->values ? a->n_options : 0;
	struct worker *worker = call->worker;

	if (n > OPTIONS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	struct link_state *link = calloc(1, sizeof(*link));
	if (link)
		pthread_mutex_init(&link->work, NULL);
	if (!link || !make_logs(&link->logs, a->info_bytes, a->error_bytes)) {
		link_free(link);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	link->n = n;
	if (n)
		memcpy(link->options, a->options, n * sizeof(*a->options));
	CUresult r =
	    jit_values_in(n, link->options, a->values, &link->logs, link->values)
		?: call->backend->cuLinkCreate_v2(n, link->options, link->values, a->state);
	if (r != CUDA_SUCCESS) {
		link_free(link);
		return r;
	}
	link->state = *a->state;
	pthread_mutex_lock(&worker->memory_lock);
	bool room = worker->n_links < LINKS_MAX;
	if (room) {
		link->next = worker->links;
		worker->links = link;
		worker->n_links++;
	}
	pthread_mutex_unlock(&worker->memory_lock);
	if (room)
		return CUDA_SUCCESS;
	call->backend->cuLinkDestroy(link->state);
	link_free(link);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static void give_log(const char *log, size_t size, char *out, size_t room)
{
	size_t n = out && log ? MIN(size, room) : 0;

	if (n)
		memcpy(out, log, n);
}

static void give_logs(
    const struct link_state *link, char *info, size_t info_bytes, char *errors, size_t error_bytes)
{
	give_log(link->logs.info, link->logs.info_bytes, info, info_bytes);
	give_log(link->logs.errors, link->logs.error_bytes, errors, error_bytes);
}

static CUresult add_data(
    struct call *call, const struct link_state *link, struct args_cuLinkAddData_v2 *a)
{
	static const struct jit_logs none = {0};
	unsigned n = a->options && a->values ? a->n_options : 0;
	void *values[OPTIONS_MAX];

	if (n > OPTIONS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = jit_values_in(n, a->options, a->values, &none, values);
	if (r != CUDA_SUCCESS)
		return r;
	r = call->backend->cuLinkAddData_v2(a->state, a->type, (void *)a->data, a->bytes, a->name,
	    n, (CUjit_option *)a->options, values);
	if (r != CUDA_SUCCESS)
		jit_keep_logs(call, &link->logs);
	give_logs(link, a->info, a->info_bytes, a->errors, a->error_bytes);
	return r;
}

CUresult worker_cuLinkAddData_v2(struct call *call, struct args_cuLinkAddData_v2 *a)
{
	struct link_state *link = hold(call->worker, a->state);

	if (!link)
		return CUDA_ERROR_INVALID_HANDLE;
	pthread_mutex_lock(&link->work);
	CUresult r = add_data(call, link, a);
	pthread_mutex_unlock(&link->work);
	let_go(call->worker, link);
	return r;
}

static float wall_time(const struct link_state *link)
{
	float wall = 0;

	for (unsigned i = 0; i < link->n; i++)
		if (link->options[i] == CU_JIT_WALL_TIME)
			memcpy(&wall, &link->values[i], sizeof(wall));
	return wall;
}

static CUresult complete(struct call *call, struct link_state *link, struct args_cuLinkComplete *a)
{
	void *image = NULL;
	size_t bytes = 0;

	CUresult r = call->backend->cuLinkComplete(a->state, &image, &bytes);
	if (r != CUDA_SUCCESS)
		jit_keep_logs(call, &link->logs);
	give_logs(link, a->info, a->info_bytes, a->errors, a->error_bytes);
	if (r != CUDA_SUCCESS)
		return r;
	link->image = image;
	link->image_bytes = bytes;
	*a->image_bytes = bytes;
	*a->wall_ms = wall_time(link);
	return CUDA_SUCCESS;
}

CUresult worker_cuLinkComplete(struct call *call, struct args_cuLinkComplete *a)
{
	struct link_state *link = hold(call->worker, a->state);

	if (!link)
		return CUDA_ERROR_INVALID_HANDLE;
	pthread_mutex_lock(&link->work);
	CUresult r = complete(call, link, a);
	pthread_mutex_unlock(&link->work);
	let_go(call->worker, link);
	return r;
}

static CUresult read_image(const struct link_state *link, struct args_rosenLinkRead *a)
{
	if (!link->image)
		return CUDA_ERROR_INVALID_HANDLE;
	if (a->bytes != link->image_bytes)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(a->image, link->image, a->bytes);
	return CUDA_SUCCESS;
}

/* Does not wait. */
CUresult worker_rosenLinkRead(struct call *call, struct args_rosenLinkRead *a)
{
	struct link_state *link = hold(call->worker, a->state);
	CUresult r = CUDA_ERROR_INVALID_HANDLE;

	if (!link)
		return r;
	if (!pthread_mutex_trylock(&link->work)) {
		r = read_image(link, a);
		pthread_mutex_unlock(&link->work);
	}
	let_go(call->worker, link);
	return r;
}

CUresult worker_cuLinkDestroy(struct call *call, struct args_cuLinkDestroy *a)
{
	struct link_state *link = leave(call->worker, a->state);

	if (a->state && !link)
		return CUDA_ERROR_INVALID_HANDLE;
	CUresult r = call->backend->cuLinkDestroy(a->state);
	if (link && r != CUDA_SUCCESS)
		enter(call->worker, link);
	else
		link_free(link);
	return r;
}
