/*
 * Memory pools. Their attributes are ints or 64-bit numbers in the backend, numbers on the wire.
 *
 * A driver releases memory that a pool holds beyond its threshold when somebody synchronises, and
 * not before. Here a program's waits end without that: the worker only asks whether a stream is
 * done (await.c), or the client knows it (idle.c). So once memory went back to a pool, waits do
 * synchronise, until all streams have been done at one of them. So does trimming a pool, where that
 * need not wait.
 */
#include <stdatomic.h>

#include "gen/worker_custom.h"
#include "worker/worker.h"

static bool is_int(CUmemPool_attribute attribute)
{
	return attribute == CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES ||
	       attribute == CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC ||
	       attribute == CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES;
}

CUresult worker_cuMemPoolGetAttribute(struct call *call, struct args_cuMemPoolGetAttribute *a)
{
	union {
		int word;
		uint64_t number;
		char room[64]; /* a newer backend's larger attribute stays inside */
	} value = {0};
	CUresult r = call->backend->cuMemPoolGetAttribute(a->mem_pool, a->attribute, &value);

	if (r == CUDA_SUCCESS)
		*a->value = is_int(a->attribute) ? (uint64_t)value.word : value.number;
	return r;
}

CUresult worker_cuMemPoolSetAttribute(struct call *call, struct args_cuMemPoolSetAttribute *a)
{
	union {
		int word;
		uint64_t number;
		char room[64];
	} value = {0};

	if (is_int(a->attribute))
		value.word = (int)a->value;
	else
		value.number = a->value;
	return call->backend->cuMemPoolSetAttribute(a->mem_pool, a->attribute, &value);
}

/* Waits for nothing: only where the default stream, and with it each that it waits for, is done. A
 * capture must not be disturbed by the question. */
static void synchronise_if_done(struct call *call)
{
	/* Relaxed: a capture begun beside this call is a race of the client's own threads. */
	if (!atomic_load_explicit(&call->worker->captures, memory_order_relaxed) &&
	    call->backend->cuStreamQuery(NULL) == CUDA_SUCCESS)
		call->backend->cuStreamSynchronize(NULL);
}

CUresult worker_cuMemFreeAsync(struct call *call, struct args_cuMemFreeAsync *a)
{
	CUresult r = call->backend->cuMemFreeAsync(a->address, a->stream);

	/* Relaxed: the client's next wait comes behind this call on the dispatcher. */
	if (r == CUDA_SUCCESS)
		atomic_store_explicit(&call->worker->pool_freed, true, memory_order_relaxed);
	return r;
}

bool pools_pending(const struct worker *worker)
{
	/* Relaxed: what a wait is behind of was served on the dispatcher before it. */
	return atomic_load_explicit(&worker->pool_freed, memory_order_relaxed);
}

void pools_settle(struct worker *worker)
{
	if (likely(!pools_pending(worker)))
		return;
	atomic_store_explicit(&worker->pool_freed, false, memory_order_relaxed);
	worker->backend->cuStreamSynchronize(NULL);
}

CUresult worker_cuMemPoolTrimTo(struct call *call, struct args_cuMemPoolTrimTo *a)
{
	synchronise_if_done(call);
	return call->backend->cuMemPoolTrimTo(a->mem_pool, a->keep);
}
