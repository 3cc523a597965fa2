/*
 * A direct-mapped cache: a function has one slot, where it replaces whatever was there. When a
 * module ends, all entries are made invalid together by counting an epoch, so that none has to be
 * looked for. Of kernels with more parameters than an entry holds the backend is asked each time.
 */
#include "worker/layout.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "wire/limits.h"
#include "worker/call.h"
#include "worker/function.h"
#include "worker/worker.h"

#define ENTRIES	     512u /* a power of two */
#define ENTRY_PLACES 24

struct entry {
	CUfunction function;
	unsigned epoch;
	int n;
	struct layout_place places[ENTRY_PLACES];
};

struct layouts {
	pthread_mutex_t lock;
	unsigned epoch; /* never 0, as that of empty entries is */
	struct entry entries[ENTRIES];
};

struct layouts *layouts_new(void)
{
	struct layouts *layouts = calloc(1, sizeof(*layouts));

	if (!layouts)
		return NULL;
	pthread_mutex_init(&layouts->lock, NULL);
	layouts->epoch = 1;
	return layouts;
}

struct layouts *layouts_free(struct layouts *layouts)
{
	if (!layouts)
		return NULL;
	pthread_mutex_destroy(&layouts->lock);
	free(layouts);
	return NULL;
}

void layouts_forget(struct layouts *layouts)
{
	pthread_mutex_lock(&layouts->lock);
	layouts->epoch += 1 + (layouts->epoch == UINT32_MAX);
	pthread_mutex_unlock(&layouts->lock);
}

/* Handles are addresses of objects. */
static struct entry *entry_of(struct layouts *layouts, CUfunction function)
{
	uint64_t hash = (uint64_t)function * 0x9e3779b97f4a7c15ull;

	return &layouts->entries[hash >> 32 & (ENTRIES - 1)];
}

/* *epoch: what is learned now is of it. */
static bool look_up(
    struct layouts *layouts, CUfunction function, struct entry *found, unsigned *epoch)
{
	pthread_mutex_lock(&layouts->lock);
	const struct entry *entry = entry_of(layouts, function);
	bool known = entry->function == function && entry->epoch == layouts->epoch;
	*epoch = layouts->epoch;
	if (known) {
		found->n = entry->n;
		memcpy(found->places, entry->places, (size_t)entry->n * sizeof(entry->places[0]));
	}
	pthread_mutex_unlock(&layouts->lock);
	return known;
}

static void remember(struct layouts *layouts, CUfunction function, unsigned epoch, int n,
    const struct layout_place *places)
{
	if (n > ENTRY_PLACES)
		return;
	pthread_mutex_lock(&layouts->lock);
	struct entry *entry = entry_of(layouts, function);
	*entry = (struct entry){.function = function, .epoch = epoch, .n = n};
	if (n)
		memcpy(entry->places, places, (size_t)n * sizeof(*places));
	pthread_mutex_unlock(&layouts->lock);
}

/* How many parameters function has; -1: the backend does not say. */
static int count(struct call *call, CUfunction function)
{
	size_t offset, bytes;
	CUresult r;
	int n = 0;

	while ((r = function_parameter(call, function, (size_t)n, &offset, &bytes)) == CUDA_SUCCESS)
		if (++n > (int)WIRE_PARAMETERS_MAX)
			return -1;
	return r == CUDA_ERROR_INVALID_VALUE ? n : -1;
}

static CUresult ask(struct call *call, CUfunction function, int n, struct layout_place *places)
{
	size_t offset, bytes;

	for (int i = 0; i < n; i++) {
		CUresult r = function_parameter(call, function, (size_t)i, &offset, &bytes);
		if (r != CUDA_SUCCESS)
			return r;
		if (offset > UINT32_MAX || bytes > UINT32_MAX)
			return CUDA_ERROR_INVALID_VALUE;
		places[i] = (struct layout_place){(uint32_t)offset, (uint32_t)bytes};
	}
	return CUDA_SUCCESS;
}

CUresult layout_find(
    struct call *call, CUfunction function, int *n, const struct layout_place **places)
{
	struct layouts *layouts = call->worker->layouts;
	struct entry found;
	unsigned epoch;
	bool known = look_up(layouts, function, &found, &epoch);

	*n = known ? found.n : count(call, function);
	*places = NULL;
	if (*n <= 0)
		return CUDA_SUCCESS;
	struct layout_place *copy = call_take(call, (size_t)*n * sizeof(*copy));
	if (!copy)
		return call->error;
	*places = copy;
	if (known) {
		memcpy(copy, found.places, (size_t)*n * sizeof(*copy));
		return CUDA_SUCCESS;
	}
	CUresult r = ask(call, function, *n, copy);
	if (r == CUDA_SUCCESS)
		remember(layouts, function, epoch, *n, copy);
	return r;
}
