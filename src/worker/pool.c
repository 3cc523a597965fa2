/*
 * Memory pools. Their attributes are ints and 64-bit numbers to the backend, numbers on the wire.
 *
 * A driver gives up what a pool holds too much of when somebody synchronises, and only then others
 * than the pool can have it. Here a program's waits end by asking, or without the driver at all
 * (await.c, idle.c). So after memory went back to a pool they synchronise all the same, until once
 * all streams were done; and a pool is trimmed when the driver has had the chance to notice.
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
static void let_it_notice(struct call *call)
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
	let_it_notice(call);
	return call->backend->cuMemPoolTrimTo(a->mem_pool, a->keep);
}
