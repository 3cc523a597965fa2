/*
 * CU_POINTER_ATTRIBUTE_SYNC_MEMOPS of an arena's memory. The driver refuses the attribute for
 * memory that is mapped, as an arena's is. What it promises shows only to devices that reach the
 * memory past CUDA, and a tenant has none; so the wish is kept for whoever asks, until the memory
 * is freed.
 */
#include "worker/sync_memops.h"

#include <pthread.h>
#include <stdlib.h>

#include "gen/worker_custom.h"
#include "worker/arena.h"
#include "worker/memory.h"
#include "worker/worker.h"

struct sync_memops {
	struct sync_memops *next;
	CUdeviceptr base;
};

/* Under memory_lock. */
static struct sync_memops **find(struct worker *worker, CUdeviceptr base)
{
	struct sync_memops **at = &worker->sync_memops;

	while (*at && (*at)->base != base)
		at = &(*at)->next;
	return at;
}

static CUresult keep(struct worker *worker, CUdeviceptr base)
{
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&worker->memory_lock);
	struct sync_memops **at = find(worker, base);
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (*at)
			(*at)->base = base;
		else
			r = CUDA_ERROR_OUT_OF_MEMORY;
	}
	pthread_mutex_unlock(&worker->memory_lock);
	return r;
}

void sync_memops_forget(struct worker *worker, CUdeviceptr base)
{
	pthread_mutex_lock(&worker->memory_lock);
	struct sync_memops **at = find(worker, base), *gone = *at;
	if (gone)
		*at = gone->next;
	pthread_mutex_unlock(&worker->memory_lock);
	free(gone);
}

bool sync_memops_asked_for(struct worker *worker, CUdeviceptr base)
{
	pthread_mutex_lock(&worker->memory_lock);
	bool asked = *find(worker, base);
	pthread_mutex_unlock(&worker->memory_lock);
	return asked;
}

void sync_memops_free(struct worker *worker)
{
	while (worker->sync_memops)
		sync_memops_forget(worker, worker->sync_memops->base);
}

CUresult worker_cuPointerSetAttribute(struct call *call, struct args_cuPointerSetAttribute *a)
{
	struct worker *worker = call->worker;
	struct arena *arena = memory_arena_at(worker, a->address);
	unsigned on;
	CUdeviceptr base;
	size_t size;

	/* No other attribute can be set. */
	if (a->attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS ||
	    !memory_is_clients(call, a->address, 1))
		return CUDA_ERROR_INVALID_VALUE;
	if (!arena || !arena_find(arena, a->address, &base, &size))
		return call->backend->cuPointerSetAttribute(a->value, a->attribute, a->address);
	if (!a->value)
		return CUDA_ERROR_INVALID_VALUE;
	__builtin_memcpy(&on, a->value, sizeof(on));
	if (on)
		return keep(worker, base);
	sync_memops_forget(worker, base);
	return CUDA_SUCCESS;
}
