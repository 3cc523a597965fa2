/*
 * A lane stands for one thread of the client. The threads of the worker take over its current
 * context, its capture mode and its per-thread default stream whenever they act for it.
 *
 * Contexts: each thread remembers what it made current and asks the backend only when that
 * changes. The memory is void when any context was made or ended (context_epoch), since a new
 * context may get an old one's address.
 *
 * Capture modes: to the backend all client threads are the dispatcher thread. A thread-local
 * capture of one lane must not forbid unsafe calls to the others, so a lane that has no capture of
 * its own, while none is global, acts in mode relaxed.
 *
 * Default streams: CU_STREAM_PER_THREAD on the dispatcher would be one stream for all lanes. Each
 * lane therefore has one real stream per context, made with flags 0: it synchronises with the
 * legacy stream exactly as a per-thread default stream does.
 */
#include <stdlib.h>

#include "base/util.h"
#include "worker/jit_options.h"
#include "worker/waiter.h"
#include "worker/worker.h"

/* What this thread last told the backend. */
static _Thread_local struct {
	const struct worker *worker; /* NULL: nothing known */
	uint32_t epoch;
	CUcontext context;
	CUstreamCaptureMode mode;
} here;

struct lane *lanes_new(uint32_t n)
{
	struct lane *lanes = calloc(n, sizeof(*lanes));

	for (uint32_t i = 0; lanes && i < n; i++) {
		lanes[i].index = (uint16_t)i;
		pthread_mutex_init(&lanes[i].lock, NULL);
		pthread_mutex_init(&lanes[i].waiter_lock, NULL);
	}
	return lanes;
}

void lanes_free(struct lane *lanes, uint32_t n)
{
	for (uint32_t i = 0; lanes && i < n; i++) {
		free(lanes[i].streams);
		free(lanes[i].attachment);
		jit_logs_fini(&lanes[i].failed);
		pthread_mutex_destroy(&lanes[i].lock);
		pthread_mutex_destroy(&lanes[i].waiter_lock);
	}
	free(lanes);
}

void lane_left(void)
{
	here.worker = NULL;
}

/* A thread begins in mode global with no context. */
static CUresult enter_mode(const struct worker *worker, CUstreamCaptureMode mode)
{
	CUstreamCaptureMode exchanged = mode;

	if (here.mode == mode)
		return CUDA_SUCCESS;
	CUresult r = worker->backend->cuThreadExchangeStreamCaptureMode(&exchanged);
	if (r == CUDA_SUCCESS)
		here.mode = mode;
	return r;
}

CUresult lane_enter(struct worker *worker, CUcontext context, CUstreamCaptureMode mode)
{
	/* Acquire: pairs with the release in lanes_forget_context() and the makers of contexts. */
	uint32_t epoch = atomic_load_explicit(&worker->context_epoch, memory_order_acquire);

	if (here.mode != mode)
		enter_mode(worker, mode); /* a backend without captures has no modes to set */
	if (likely(here.worker == worker && here.epoch == epoch && here.context == context))
		return CUDA_SUCCESS;
	here.worker = NULL;
	CUresult r = worker->backend->cuCtxSetCurrent(context);
	if (r != CUDA_SUCCESS)
		return r;
	here.worker = worker;
	here.epoch = epoch;
	here.context = context;
	return CUDA_SUCCESS;
}

CUstreamCaptureMode lane_capture_mode(const struct worker *worker, const struct lane *lane)
{
	if (lane->captures || atomic_load_explicit(&worker->global_captures, memory_order_relaxed))
		return lane->capture_mode;
	return CU_STREAM_CAPTURE_MODE_RELAXED;
}

static CUresult make_own_stream(struct call *call, CUcontext context, CUstream *stream)
{
	struct lane *lane = call->lane;
	struct own_stream *grown =
	    realloc(lane->streams, (lane->n_streams + 1) * sizeof(*lane->streams));
	CUstreamCaptureMode before = here.mode;

	if (!grown)
		return CUDA_ERROR_OUT_OF_MEMORY;
	lane->streams = grown;
	enter_mode(call->worker, CU_STREAM_CAPTURE_MODE_RELAXED);
	CUresult r = call->backend->cuStreamCreate(stream, 0);
	enter_mode(call->worker, before);
	if (r == CUDA_SUCCESS)
		grown[lane->n_streams++] = (struct own_stream){context, *stream};
	return r;
}

CUresult lane_own_stream(struct call *call, CUstream *stream)
{
	struct lane *lane = call->lane;
	CUcontext context = call_job(call)->from.context;
	CUresult r = CUDA_SUCCESS;
	size_t i = 0;

	*stream = NULL;
	if (!context)
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&lane->lock);
	while (i < lane->n_streams && lane->streams[i].context != context)
		i++;
	if (i < lane->n_streams)
		*stream = lane->streams[i].stream;
	else
		r = make_own_stream(call, context, stream);
	pthread_mutex_unlock(&lane->lock);
	return r;
}

bool lane_owns_stream(struct lane *lane, CUstream stream)
{
	bool found = false;

	pthread_mutex_lock(&lane->lock);
	for (size_t i = 0; i < lane->n_streams && !found; i++)
		found = lane->streams[i].stream == stream;
	pthread_mutex_unlock(&lane->lock);
	return found;
}

void lanes_forget_context(struct worker *worker, CUcontext context)
{
	for (uint32_t i = 0; i < worker->options.lanes; i++) {
		struct lane *lane = &worker->lanes[i];
		pthread_mutex_lock(&lane->lock);
		size_t kept = 0;
		for (size_t s = 0; s < lane->n_streams; s++)
			if (lane->streams[s].context != context)
				lane->streams[kept++] = lane->streams[s];
		lane->n_streams = kept;
		pthread_mutex_unlock(&lane->lock);
	}
	/* Release: a thread that sees the new epoch sees that the context is gone. */
	atomic_fetch_add_explicit(&worker->context_epoch, 1, memory_order_release);
}

void lane_end(struct worker *worker, struct lane *lane)
{
	pthread_mutex_lock(&lane->lock);
	/* The backend ends a stream when its work is done; nobody waits here. */
	for (size_t i = 0; i < lane->n_streams; i++)
		worker->backend->cuStreamDestroy_v2(lane->streams[i].stream);
	lane->n_streams = 0;
	pthread_mutex_unlock(&lane->lock);
	waiter_retire(lane);
	free(lane->attachment);
	lane->attachment = NULL;
	lane->attached = lane->attachment_room = 0;
	lane->context_id = 0;
	capture_forget_lane(worker, lane);
	lane->capture_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
}
