/*
 * Stream capture. The worker keeps a list of the captures under way, since the modes its threads
 * act in (lane.c), freeing memory (memory.c) and staged copies depend on whether there are any, and
 * since to the backend all client threads are one: which of them may end a capture is checked here.
 * And it turns the arrays CUDA lends on a capturing stream's state into copies of bounded size.
 *
 * All of it on the dispatcher.
 */
#include <stdlib.h>
#include <string.h>

#include "gen/worker_custom.h"
#include "worker/issuer.h"
#include "worker/worker.h"

struct capture {
	struct capture *next;
	CUstream stream;	  /* the backend's */
	struct lane *lane;	  /* that began it; NULL: it ended since */
	CUstreamCaptureMode mode; /* it was begun in */
};

static struct capture **find(struct worker *worker, CUstream stream)
{
	struct capture **at = &worker->open_captures;

	while (*at && (*at)->stream != stream)
		at = &(*at)->next;
	return at;
}

static void count(struct worker *worker, const struct capture *capture, unsigned by)
{
	struct lane *lane = capture->lane;

	/* Relaxed: read as hints, see worker.h. */
	atomic_fetch_add_explicit(&worker->captures, by, memory_order_relaxed);
	if (capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL)
		atomic_fetch_add_explicit(&worker->global_captures, by, memory_order_relaxed);
	if (!lane)
		return;
	lane->captures += capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED ? by : 0;
	lane->global_captures += capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL ? by : 0;
}

static void forget(struct worker *worker, CUstream stream)
{
	struct capture **at = find(worker, stream), *capture = *at;

	if (!capture)
		return;
	*at = capture->next;
	count(worker, capture, -1u);
	free(capture);
}

void capture_forget_lane(struct worker *worker, struct lane *lane)
{
	for (struct capture *capture = worker->open_captures; capture; capture = capture->next)
		if (capture->lane == lane)
			capture->lane = NULL;
	lane->captures = lane->global_captures = 0;
}

void captures_free(struct worker *worker)
{
	while (worker->open_captures)
		forget(worker, worker->open_captures->stream);
}

/* r: what the backend said. One that cannot be noted is broken off again. */
static CUresult begun(struct call *call, CUstream stream, CUstreamCaptureMode mode, CUresult r)
{
	CUgraph none;

	if (r != CUDA_SUCCESS)
		return r;
	forget(call->worker, stream); /* of a stream that was destroyed while it was captured */
	struct capture *capture = malloc(sizeof(*capture));
	if (!capture) {
		call->backend->cuStreamEndCapture(stream, &none);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*capture = (struct capture){call->worker->open_captures, stream, call->lane, mode};
	call->worker->open_captures = capture;
	count(call->worker, capture, 1);
	return CUDA_SUCCESS;
}

CUresult worker_cuStreamBeginCapture(struct call *call, struct args_cuStreamBeginCapture *a)
{
	const CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

	issuers_rest(call->worker);
	return begun(
	    call, a->stream, mode, call->backend->cuStreamBeginCapture_v2(a->stream, mode));
}

CUresult worker_cuStreamBeginCapture_v2(struct call *call, struct args_cuStreamBeginCapture_v2 *a)
{
	issuers_rest(call->worker);
	return begun(
	    call, a->stream, a->mode, call->backend->cuStreamBeginCapture_v2(a->stream, a->mode));
}

CUresult worker_cuStreamBeginCaptureToGraph(
    struct call *call, struct args_cuStreamBeginCaptureToGraph *a)
{
	issuers_rest(call->worker);
	return begun(call, a->stream, a->mode,
	    call->backend->cuStreamBeginCaptureToGraph(
		a->stream, a->graph, a->nodes, a->edges, a->count, a->mode));
}

bool stream_is_captured(struct call *call, CUstream stream)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;

	/* Relaxed: a capture this call belongs to was begun by an earlier record. */
	return atomic_load_explicit(&call->worker->captures, memory_order_relaxed) &&
	       call->backend->cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS &&
	       status != CU_STREAM_CAPTURE_STATUS_NONE;
}

/* Only the thread that began it, unless it was begun relaxed. */
CUresult worker_cuStreamEndCapture(struct call *call, struct args_cuStreamEndCapture *a)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
	const struct capture *capture = *find(call->worker, a->stream);

	if (capture && capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
	    capture->lane != call->lane)
		return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
	CUresult r = call->backend->cuStreamEndCapture(a->stream, a->graph);
	call->backend->cuStreamIsCapturing(a->stream, &status);
	if (status == CU_STREAM_CAPTURE_STATUS_NONE)
		forget(call->worker, a->stream);
	return r;
}

static size_t lend(CUgraphNode *to, size_t room, const CUgraphNode *from, size_t n)
{
	size_t copied = from ? MIN(room, n) : 0;

	if (copied)
		memcpy(to, from, copied * sizeof(*to));
	return copied;
}

CUresult worker_cuStreamGetCaptureInfo_v2(
    struct call *call, struct args_cuStreamGetCaptureInfo_v2 *a)
{
	const CUgraphNode *nodes = NULL;
	CUresult r = call->backend->cuStreamGetCaptureInfo_v2(
	    a->stream, a->status, a->id, a->graph, &nodes, a->count);

	if (r != CUDA_SUCCESS)
		return r;
	lend(a->nodes, a->capacity, nodes, *a->count);
	return CUDA_SUCCESS;
}

CUresult worker_cuStreamGetCaptureInfo_v3(
    struct call *call, struct args_cuStreamGetCaptureInfo_v3 *a)
{
	const CUgraphNode *nodes = NULL;
	const CUgraphEdgeData *edges = NULL;
	CUresult r = call->backend->cuStreamGetCaptureInfo_v3(
	    a->stream, a->status, a->id, a->graph, &nodes, a->has_edges ? &edges : NULL, a->count);

	if (r != CUDA_SUCCESS)
		return r;
	size_t copied = lend(a->nodes, a->capacity, nodes, *a->count);
	if (edges && copied)
		memcpy(a->edges, edges, copied * sizeof(*edges));
	return CUDA_SUCCESS;
}
