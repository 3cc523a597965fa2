/*
 * Stream capture. The worker counts the captures under way, since the modes its threads act in
 * (lane.c), freeing memory (memory.c) and staged copies depend on whether there are any; and it
 * turns the arrays CUDA lends on a capturing stream's state into copies of bounded size.
 *
 * A capture is one lane's until it ends, whichever lane ends it: a program may begin in one thread
 * and end in another only in mode relaxed, which counts nothing on a lane.
 */
#include <string.h>

#include "gen/worker_custom.h"
#include "worker/worker.h"

static CUresult begun(struct call *call, CUstreamCaptureMode mode, CUresult r)
{
	struct worker *worker = call->worker;

	if (r != CUDA_SUCCESS)
		return r;
	/* Relaxed: read as hints, see worker.h. */
	atomic_fetch_add_explicit(&worker->captures, 1, memory_order_relaxed);
	if (mode == CU_STREAM_CAPTURE_MODE_GLOBAL)
		atomic_fetch_add_explicit(&worker->global_captures, 1, memory_order_relaxed);
	call->lane->captures += mode != CU_STREAM_CAPTURE_MODE_RELAXED;
	call->lane->global_captures += mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
	return CUDA_SUCCESS;
}

CUresult worker_cuStreamBeginCapture(struct call *call, struct args_cuStreamBeginCapture *a)
{
	return begun(call, CU_STREAM_CAPTURE_MODE_GLOBAL,
	    call->backend->cuStreamBeginCapture_v2(a->stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
}

CUresult worker_cuStreamBeginCapture_v2(struct call *call, struct args_cuStreamBeginCapture_v2 *a)
{
	return begun(call, a->mode, call->backend->cuStreamBeginCapture_v2(a->stream, a->mode));
}

CUresult worker_cuStreamBeginCaptureToGraph(
    struct call *call, struct args_cuStreamBeginCaptureToGraph *a)
{
	return begun(call, a->mode,
	    call->backend->cuStreamBeginCaptureToGraph(
		a->stream, a->graph, a->nodes, a->edges, a->count, a->mode));
}

static void drop(_Atomic unsigned *counter)
{
	if (atomic_load_explicit(counter, memory_order_relaxed))
		atomic_fetch_sub_explicit(counter, 1, memory_order_relaxed);
}

/* Ends the newest capture of this lane, or one of no lane. All on the dispatcher. */
CUresult worker_cuStreamEndCapture(struct call *call, struct args_cuStreamEndCapture *a)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
	struct lane *lane = call->lane;

	call->backend->cuStreamIsCapturing(a->stream, &status);
	CUresult r = call->backend->cuStreamEndCapture(a->stream, a->graph);
	if (status == CU_STREAM_CAPTURE_STATUS_NONE || r == CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD)
		return r;
	drop(&call->worker->captures);
	if (lane->global_captures) {
		drop(&call->worker->global_captures);
		lane->global_captures--;
	}
	if (lane->captures)
		lane->captures--;
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
