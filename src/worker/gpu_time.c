/*
 * Spans wait in one queue in the order in which they were begun. Whoever adds one looks at the
 * oldest few, and a call that waited for the GPU at all of them, so the queue stays short without a
 * thread of its own. Spans of different streams finish in any order; one that has not holds back
 * only those begun after it, until the next look.
 */
#include "worker/gpu_time.h"

#include <pthread.h>
#include <stdlib.h>

#include "worker/worker.h"

#define SPANS_MAX  4096u /* under way; more are not measured */
#define LOOK_A_FEW 4u

struct gpu_span {
	struct gpu_span *next;
	struct chan_stat *stat;
	CUcontext context;
	CUevent begin, end;
};

struct gpu_time {
	struct worker *worker;
	pthread_mutex_t lock;
	struct gpu_span *first, **last;
	unsigned n;
};

struct gpu_time *gpu_time_new(struct worker *worker)
{
	struct gpu_time *time = calloc(1, sizeof(*time));

	if (!time)
		return NULL;
	time->worker = worker;
	time->last = &time->first;
	pthread_mutex_init(&time->lock, NULL);
	return time;
}

static void span_free(const struct backend *backend, struct gpu_span *span)
{
	if (span->begin)
		backend->cuEventDestroy_v2(span->begin);
	if (span->end)
		backend->cuEventDestroy_v2(span->end);
	free(span);
}

struct gpu_time *gpu_time_free(struct gpu_time *time)
{
	struct gpu_span *next;

	if (!time)
		return NULL;
	for (struct gpu_span *span = time->first; span; span = next) {
		next = span->next;
		span_free(time->worker->backend, span);
	}
	pthread_mutex_destroy(&time->lock);
	free(time);
	return NULL;
}

/* The oldest span if it belongs to context and has happened, taken out of the queue. */
static struct gpu_span *take_finished(struct gpu_time *time, CUcontext context)
{
	const struct backend *backend = time->worker->backend;
	struct gpu_span *span = time->first;

	if (!span || span->context != context ||
	    backend->cuEventQuery(span->end) == CUDA_ERROR_NOT_READY)
		return NULL;
	time->first = span->next;
	if (!time->first)
		time->last = &time->first;
	time->n--;
	return span;
}

static void harvest(struct call *call, unsigned most)
{
	struct gpu_time *time = call->worker->gpu_time;
	CUcontext context = call_job(call)->from.context;
	struct gpu_span *span;
	float ms;

	pthread_mutex_lock(&time->lock);
	while (most-- && (span = take_finished(time, context))) {
		if (call->backend->cuEventElapsedTime(&ms, span->begin, span->end) ==
			CUDA_SUCCESS &&
		    span->stat && ms > 0)
			/* Relaxed: a counter for people. */
			atomic_fetch_add_explicit(
			    &span->stat->gpu_ns, (uint64_t)(ms * 1e6), memory_order_relaxed);
		span_free(call->backend, span);
	}
	pthread_mutex_unlock(&time->lock);
}

/* Events in a capturing stream would become part of the graph, and asking one is among the calls
 * that a capture forbids. */
static bool capturing(struct call *call)
{
	return atomic_load_explicit(&call->worker->captures, memory_order_relaxed) > 0;
}

void gpu_time_harvest(struct call *call)
{
	if (call->worker->gpu_time && !capturing(call))
		harvest(call, SPANS_MAX);
}

void gpu_time_forget_context(struct worker *worker, CUcontext context)
{
	struct gpu_time *time = worker->gpu_time;
	struct gpu_span *span;

	if (!time)
		return;
	pthread_mutex_lock(&time->lock);
	time->last = &time->first;
	while ((span = *time->last)) {
		if (span->context != context) {
			time->last = &span->next;
			continue;
		}
		*time->last = span->next;
		free(span);
		time->n--;
	}
	pthread_mutex_unlock(&time->lock);
}

struct gpu_span *gpu_time_begin(struct call *call, CUstream stream)
{
	const struct backend *backend = call->backend;

	if (likely(!call->worker->gpu_time) || capturing(call))
		return NULL;
	struct gpu_span *span = calloc(1, sizeof(*span));
	if (!span)
		return NULL;
	span->stat = call_job(call)->stat;
	span->context = call_job(call)->from.context;
	if (backend->cuEventCreate(&span->begin, CU_EVENT_DEFAULT) == CUDA_SUCCESS &&
	    backend->cuEventCreate(&span->end, CU_EVENT_DEFAULT) == CUDA_SUCCESS &&
	    backend->cuEventRecord(span->begin, stream) == CUDA_SUCCESS)
		return span;
	span_free(backend, span);
	return NULL;
}

void gpu_time_end(struct call *call, struct gpu_span *span, CUstream stream)
{
	struct gpu_time *time = call->worker->gpu_time;

	if (likely(!span))
		return;
	if (call->backend->cuEventRecord(span->end, stream) != CUDA_SUCCESS) {
		span_free(call->backend, span);
		return;
	}
	pthread_mutex_lock(&time->lock);
	bool room = time->n < SPANS_MAX;
	if (room) {
		*time->last = span;
		time->last = &span->next;
		time->n++;
	}
	pthread_mutex_unlock(&time->lock);
	if (!room)
		span_free(call->backend, span);
	harvest(call, LOOK_A_FEW);
}
