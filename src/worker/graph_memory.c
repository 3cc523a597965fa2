/*
 * A list under the worker's memory lock. It is short, since a program allocates in graphs what it
 * repeats, and looked at only for addresses that the backend does not know. Nothing is taken out:
 * the backend keeps the addresses for as long as a graph may use them, and says to nobody when that
 * ends.
 */
#include "worker/graph_memory.h"

#include <stdlib.h>

#include "gen/worker_custom.h"
#include "worker/worker.h"

#define MOST 4096

struct graph_range {
	CUdeviceptr address;
	size_t bytes;
};

struct graph_memory {
	size_t n, next; /* next: to be overwritten when all are in use */
	struct graph_range ranges[MOST];
};

static struct graph_range *place_for(struct graph_memory *memory, CUdeviceptr address)
{
	for (size_t i = 0; i < memory->n; i++)
		if (memory->ranges[i].address == address)
			return &memory->ranges[i];
	if (memory->n < MOST)
		return &memory->ranges[memory->n++];
	return &memory->ranges[memory->next++ % MOST];
}

void graph_memory_note(struct worker *worker, CUdeviceptr address, size_t bytes)
{
	pthread_mutex_lock(&worker->memory_lock);
	if (!worker->graph_memory)
		worker->graph_memory = calloc(1, sizeof(*worker->graph_memory));
	if (worker->graph_memory)
		*place_for(worker->graph_memory, address) = (struct graph_range){address, bytes};
	pthread_mutex_unlock(&worker->memory_lock);
}

bool graph_memory_covers(struct worker *worker, CUdeviceptr address, size_t bytes)
{
	bool covered = false;

	pthread_mutex_lock(&worker->memory_lock);
	const struct graph_memory *memory = worker->graph_memory;
	for (size_t i = 0; memory && i < memory->n && !covered; i++) {
		const struct graph_range *range = &memory->ranges[i];
		covered = address >= range->address && bytes <= range->bytes &&
			  address - range->address <= range->bytes - bytes;
	}
	pthread_mutex_unlock(&worker->memory_lock);
	return covered;
}

void graph_memory_free(struct worker *worker)
{
	free(worker->graph_memory);
	worker->graph_memory = NULL;
}

/* --- allocations in stream order, which a capture turns into nodes --- */

static CUresult allocated(struct call *call, CUdeviceptr address, size_t bytes, CUresult r)
{
	/* Relaxed: a capture this call belongs to was begun by an earlier record. */
	if (r == CUDA_SUCCESS && address &&
	    atomic_load_explicit(&call->worker->captures, memory_order_relaxed))
		graph_memory_note(call->worker, address, bytes);
	return r;
}

CUresult worker_cuMemAllocAsync(struct call *call, struct args_cuMemAllocAsync *a)
{
	CUresult r = call->backend->cuMemAllocAsync(a->address, a->bytes, a->stream);

	return allocated(call, *a->address, a->bytes, r);
}

CUresult worker_cuMemAllocFromPoolAsync(struct call *call, struct args_cuMemAllocFromPoolAsync *a)
{
	CUresult r =
	    call->backend->cuMemAllocFromPoolAsync(a->address, a->bytes, a->mem_pool, a->stream);

	return allocated(call, *a->address, a->bytes, r);
}
