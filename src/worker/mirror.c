/*
 * Mirrors of managed variables; mirror.h says what they are for.
 *
 * The copying is this processor's: a device that lets host and device use managed memory at the
 * same time lets it read and write the variable whenever it likes, so nothing is queued in any
 * stream and nothing waits. Each variable has a third copy, of what both sides last agreed on; what
 * differs from it was written since, and by whom. That makes the exchange safe at any moment, for
 * any number of threads on either side: at worst it comes too early to bring anything.
 *
 * Called before every record is served and before every answer. A word that nobody wrote costs a
 * comparison; the device's memory is not even read when only the program's writes matter. The
 * backend is asked to keep the variables in host memory, or each look would bring their pages back
 * and forth.
 *
 * The client's pages come as a segment, as pinned memory does, and are trusted no more than that:
 * they are bytes. Addresses are not taken from the client: only what the backend itself gave for a
 * variable is ever read or written here.
 *
 * Pages stay mapped until the session ends: the backend will put the next module's variables there.
 *
 * A program may also watch a variable while work that writes it runs, or have a kernel watch one.
 * For that a thread looks every LOOK_NS whether one word alone has changed on a side, and brings it
 * over: a flag, a counter. More than one is left to the points above, since an order that the two
 * words were written in would be lost.
 */
#include "worker/mirror.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "gen/worker_custom.h"
#include "worker/mirror_exchange.h"
#include "worker/segment.h"

#define WORD	      sizeof(uint64_t)
#define PAGE	      4096u
#define PAGE_SETS_MAX 4096u
#define VARIABLES_MAX 65536u
#define VARIABLE_MOST ((size_t)1 << 30)
#define LOOK_NS	      (200 * NSEC_PER_USEC)
#define LOOK_SHARE    20 /* of the time, one part in as many is spent looking at most */

/* Pages of the client's at address, in this process at here. */
struct pages {
	struct pages *next;
	uint64_t address, size;
	uint8_t *here;
};

/* The part of a variable that lies in one set of pages. */
struct piece {
	struct piece *next;
	_Atomic uint64_t *program, *device;
	size_t n; /* words */
	uint64_t agreed[];
};

struct variable {
	struct variable *next;
	uint64_t address, size; /* in whole words */
	uint64_t owner;
	CUcontext context;
	unsigned asleep;      /* not 0: its end may be under way, so it is not touched */
	struct piece *pieces; /* NULL: noted, not mirrored */
};

struct mirrors {
	pthread_mutex_t lock; /* all of it */
	struct pages *pages;
	struct variable *variables;
	unsigned n_pages, n_variables;
	bool watched, over; /* there is a thread; it is to end */
	pthread_t watcher;
	pthread_cond_t end;
};

struct mirrors *mirrors_new(void)
{
	struct mirrors *mirrors = calloc(1, sizeof(*mirrors));

	if (!mirrors)
		return NULL;
	pthread_mutex_init(&mirrors->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&mirrors->end, &attributes);
	pthread_condattr_destroy(&attributes);
	return mirrors;
}

static void pieces_free(struct piece *piece)
{
	struct piece *next;

	for (; piece; piece = next) {
		next = piece->next;
		free(piece);
	}
}

static void variable_free(struct variable *variable)
{
	pieces_free(variable->pieces);
	free(variable);
}

static void stop_watching(struct mirrors *mirrors)
{
	pthread_mutex_lock(&mirrors->lock);
	bool watched = mirrors->watched;
	mirrors->over = true;
	pthread_cond_signal(&mirrors->end);
	pthread_mutex_unlock(&mirrors->lock);
	if (watched)
		pthread_join(mirrors->watcher, NULL);
}

struct mirrors *mirrors_free(struct mirrors *mirrors)
{
	struct variable *variable;
	struct pages *pages;

	if (!mirrors)
		return NULL;
	stop_watching(mirrors);
	while ((variable = mirrors->variables)) {
		mirrors->variables = variable->next;
		variable_free(variable);
	}
	while ((pages = mirrors->pages)) {
		mirrors->pages = pages->next;
		munmap(pages->here, pages->size);
		free(pages);
	}
	pthread_cond_destroy(&mirrors->end);
	pthread_mutex_destroy(&mirrors->lock);
	free(mirrors);
	return NULL;
}

/* --- the points of coherence --- */

static void exchange_all(struct worker *worker, bool pull)
{
	struct mirrors *mirrors = worker->mirrors;

	pthread_mutex_lock(&mirrors->lock);
	for (struct variable *v = mirrors->variables; v; v = v->next)
		for (struct piece *p = v->asleep ? NULL : v->pieces; p; p = p->next)
			mirror_exchange(p->program, p->device, p->agreed, p->n, pull);
	pthread_mutex_unlock(&mirrors->lock);
}

void mirrors_push_all(struct worker *worker)
{
	exchange_all(worker, false);
}

void mirrors_settle_all(struct worker *worker)
{
	exchange_all(worker, true);
}

/* --- while work runs --- */

struct lone {
	struct piece *piece;
	size_t at;
	bool many;
};

static void look(struct lone *lone, struct piece *piece, const _Atomic uint64_t *side)
{
	size_t at = mirror_lone(side, piece->agreed, piece->n);

	if (at == MIRROR_NONE)
		return;
	lone->many |= at == MIRROR_MANY || lone->piece;
	lone->piece = piece;
	lone->at = at;
}

static void bring(const struct lone *lone)
{
	if (lone->piece && !lone->many)
		mirror_exchange(&lone->piece->program[lone->at], &lone->piece->device[lone->at],
		    &lone->piece->agreed[lone->at], 1, true);
}

/* With the lock held. */
static void look_at_all(struct mirrors *mirrors)
{
	struct lone program = {0}, device = {0};

	for (struct variable *v = mirrors->variables; v; v = v->next)
		for (struct piece *p = v->asleep ? NULL : v->pieces; p; p = p->next) {
			look(&program, p, p->program);
			look(&device, p, p->device);
		}
	bring(&program);
	bring(&device);
}

static void *watch(void *argument)
{
	struct mirrors *mirrors = argument;
	uint64_t pause = LOOK_NS;

	pthread_setname_np(pthread_self(), "mirrors");
	pthread_mutex_lock(&mirrors->lock);
	while (!mirrors->over) {
		uint64_t until = clock_now_ns() + pause;
		struct timespec at = {(time_t)(until / NSEC_PER_SEC), (long)(until % NSEC_PER_SEC)};
		pthread_cond_timedwait(&mirrors->end, &mirrors->lock, &at);
		uint64_t start = clock_now_ns();
		look_at_all(mirrors);
		pause = MAX(LOOK_NS, (clock_now_ns() - start) * LOOK_SHARE);
	}
	pthread_mutex_unlock(&mirrors->lock);
	return NULL;
}

/* With the lock held. Without the thread, programs see changes when they call. */
static void start_watching(struct mirrors *mirrors)
{
	if (!mirrors->watched)
		mirrors->watched = pthread_create(&mirrors->watcher, NULL, watch, mirrors) == 0;
}

/* --- variables --- */

/* With the lock held. NULL: none has address. */
static struct variable *find(struct mirrors *mirrors, uint64_t address, size_t bytes)
{
	struct variable *v = mirrors->variables;

	while (v && !(address >= v->address && address - v->address < v->size &&
			bytes <= v->size - (address - v->address)))
		v = v->next;
	return v;
}

bool mirrors_is_managed(struct call *call, CUdeviceptr address)
{
	unsigned managed = 0;

	return call->backend->cuPointerGetAttribute(
		   &managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, address) == CUDA_SUCCESS &&
	       managed;
}

bool mirrors_note(
    struct worker *worker, uint64_t address, size_t bytes, uint64_t owner, CUcontext context)
{
	struct mirrors *mirrors = worker->mirrors;
	uint64_t first = address & ~(WORD - 1), size = align_up(address + bytes, WORD) - first;
	struct variable *made = calloc(1, sizeof(*made));
	bool noted = false;

	pthread_mutex_lock(&mirrors->lock);
	if (find(mirrors, address, bytes)) {
		noted = true;
	} else if (made && bytes && bytes <= VARIABLE_MOST &&
		   mirrors->n_variables < VARIABLES_MAX) {
		*made = (struct variable){.next = mirrors->variables,
		    .address = first,
		    .size = size,
		    .owner = owner,
		    .context = context};
		mirrors->variables = made;
		mirrors->n_variables++;
		made = NULL;
		noted = true;
	}
	pthread_mutex_unlock(&mirrors->lock);
	free(made);
	return noted;
}

bool mirrors_cover(struct worker *worker, uint64_t address, size_t bytes)
{
	if (!mirrors_exist(worker))
		return false;
	pthread_mutex_lock(&worker->mirrors->lock);
	bool covered = find(worker->mirrors, address, bytes);
	pthread_mutex_unlock(&worker->mirrors->lock);
	return covered;
}

/* --- what the client asks for --- */

CUresult worker_rosenMirrorPages(struct call *call, struct args_rosenMirrorPages *a)
{
	struct mirrors *mirrors = call->worker->mirrors;
	struct pages *pages = calloc(1, sizeof(*pages));
	void *here = segments_map_anywhere(call->worker->segments, a->segment, a->bytes);

	if (!pages || !here || a->address % PAGE || a->bytes % PAGE) {
		if (here)
			munmap(here, a->bytes);
		free(pages);
		return CUDA_ERROR_INVALID_VALUE;
	}
	pthread_mutex_lock(&mirrors->lock);
	bool room = mirrors->n_pages < PAGE_SETS_MAX;
	if (room) {
		*pages = (struct pages){mirrors->pages, a->address, a->bytes, here};
		mirrors->pages = pages;
		mirrors->n_pages++;
	}
	pthread_mutex_unlock(&mirrors->lock);
	if (room)
		return CUDA_SUCCESS;
	munmap(here, a->bytes);
	free(pages);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

/* The client's pages that hold address. With the lock held; NULL: none. */
static struct pages *find_pages(struct mirrors *mirrors, uint64_t address)
{
	struct pages *pages = mirrors->pages;

	while (pages && address - pages->address >= pages->size)
		pages = pages->next;
	return pages;
}

/* Both sides begin with what the device has. */
static struct piece *piece_new(const struct pages *pages, uint64_t address, uint64_t size)
{
	struct piece *piece = malloc(sizeof(*piece) + size);

	if (!piece)
		return NULL;
	piece->program = (_Atomic uint64_t *)(pages->here + (address - pages->address));
	piece->device = (_Atomic uint64_t *)address;
	piece->n = size / WORD;
	memcpy(piece->agreed, (const void *)address, size);
	memcpy((void *)piece->program, piece->agreed, size);
	return piece;
}

/* With the lock held. */
static CUresult begin(struct mirrors *mirrors, struct variable *v)
{
	uint64_t end = v->address + v->size, size;
	CUresult r = CUDA_SUCCESS;
	struct piece *pieces = NULL;

	if (v->pieces)
		return CUDA_SUCCESS;
	for (uint64_t at = v->address; at < end && r == CUDA_SUCCESS; at += size) {
		struct pages *pages = find_pages(mirrors, at);
		size = pages ? MIN(end, pages->address + pages->size) - at : end - at;
		struct piece *piece = pages ? piece_new(pages, at, size) : NULL;
		if (!piece) {
			r = pages ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
			break;
		}
		piece->next = pieces;
		pieces = piece;
	}
	if (r == CUDA_SUCCESS)
		v->pieces = pieces;
	else
		pieces_free(pieces);
	return r;
}

/* Every device of the session must allow it: work on any of them may be under way. */
static bool host_may_always_look(struct call *call)
{
	int n = 0, may = 1;

	call->backend->cuDeviceGetCount(&n);
	for (int i = 0; i < n && may; i++)
		if (call->backend->cuDeviceGetAttribute(
			&may, CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, i) != CUDA_SUCCESS)
			may = 0;
	return may;
}

/* Advice: a backend that does not take it is only slower. */
static void keep_near_host(struct call *call, CUdeviceptr address, size_t bytes)
{
	CUdevice device;

	call->backend->cuMemAdvise(
	    address, bytes, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, CU_DEVICE_CPU);
	if (call->backend->cuCtxGetDevice(&device) == CUDA_SUCCESS)
		call->backend->cuMemAdvise(address, bytes, CU_MEM_ADVISE_SET_ACCESSED_BY, device);
}

CUresult worker_rosenMirrorBegin(struct call *call, struct args_rosenMirrorBegin *a)
{
	struct mirrors *mirrors = call->worker->mirrors;
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	if (!host_may_always_look(call)) {
		log_warn_once("managed variables are not supported: host and device may not use "
			      "managed memory at the same time here");
		return CUDA_ERROR_NOT_SUPPORTED;
	}
	pthread_mutex_lock(&mirrors->lock);
	struct variable *v = find(mirrors, a->address, a->bytes);
	if (v && !v->asleep)
		r = begin(mirrors, v);
	if (r == CUDA_SUCCESS)
		start_watching(mirrors);
	/* Relaxed: see mirrors_exist(). */
	if (r == CUDA_SUCCESS)
		atomic_store_explicit(&call->worker->n_mirrors, 1, memory_order_relaxed);
	pthread_mutex_unlock(&mirrors->lock);
	if (r == CUDA_SUCCESS)
		keep_near_host(call, a->address, a->bytes);
	return r;
}

/* --- the end of variables --- */

void mirrors_suspend(struct worker *worker, uint64_t owner)
{
	pthread_mutex_lock(&worker->mirrors->lock);
	for (struct variable *v = worker->mirrors->variables; v; v = v->next)
		v->asleep += !owner || v->owner == owner;
	pthread_mutex_unlock(&worker->mirrors->lock);
}

/* Whether the variable went with its module, or with a context. */
static bool is_gone(struct call *call, const struct variable *v, uint64_t owner, CUcontext context)
{
	return owner ? v->owner == owner
		     : (context && v->context == context) || !mirrors_is_managed(call, v->address);
}

void mirrors_resume(struct call *call, uint64_t owner, CUcontext context, bool ended)
{
	struct mirrors *mirrors = call->worker->mirrors;
	struct variable *v;

	pthread_mutex_lock(&mirrors->lock);
	for (struct variable **at = &mirrors->variables; (v = *at);) {
		/* What was noted in between never slept. */
		v->asleep -= v->asleep && (!owner || v->owner == owner);
		if (!ended || !is_gone(call, v, owner, context)) {
			at = &v->next;
			continue;
		}
		*at = v->next;
		mirrors->n_variables--;
		variable_free(v);
	}
	pthread_mutex_unlock(&mirrors->lock);
}
