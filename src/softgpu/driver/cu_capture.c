/*
 * Capturing: see graph.h. A stream points to its capture, and so do the streams that joined it
 * through events; all under the engine's lock. Calls that would be unsafe during a capture in
 * another driver, such as allocating memory, are safe here and therefore not refused.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "softgpu/driver/driver.h"
#include "softgpu/driver/graph.h"
#include "softgpu/driver/stream.h"

static atomic_uint_fast64_t capture_next_id = 1;

/* ---- while it is under way ---- */

/* The legacy stream would have to wait for a captured stream, whose work never runs. */
static struct sg_capture *capture_of_blocking(struct sg_context *context)
{
	for (struct sg_stream *stream = context->streams; stream; stream = stream->next)
		if (stream->capture && !(stream->flags & CU_STREAM_NON_BLOCKING))
			return stream->capture;
	return NULL;
}

static CUresult capture_refuse(struct sg_capture *capture, struct sg_work *work, CUresult why)
{
	capture->is_invalid = true;
	sg_work_unref(work);
	return why;
}

CUresult sg_capture_work(struct sg_stream *stream, struct sg_work *work, bool waits, bool *taken)
{
	struct sg_capture *capture = stream->capture;

	*taken = true;
	if (!capture && stream == stream->context->legacy &&
	    (capture = capture_of_blocking(stream->context)))
		return capture_refuse(capture, work, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
	*taken = capture;
	if (!capture)
		return CUDA_SUCCESS;
	if (capture->is_invalid)
		return capture_refuse(capture, work, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	if (waits || work->node == SG_NODE_NEVER)
		return capture_refuse(capture, work, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	if (work->node == SG_NODE_NONE) {
		sg_work_unref(work);
		return CUDA_SUCCESS;
	}
	return sg_graph_add(capture->graph, work);
}

bool sg_capture_breaks(struct sg_stream *stream)
{
	sg_engine_lock();
	bool captured = stream->capture;
	if (captured)
		stream->capture->is_invalid = true;
	sg_engine_unlock();
	return captured;
}

CUresult sg_capture_join(struct sg_stream *stream, uint64_t capture_id)
{
	CUresult r = CUDA_ERROR_STREAM_CAPTURE_ISOLATION;

	sg_engine_lock();
	for (struct sg_stream *other = stream->context->streams; other; other = other->next) {
		if (!other->capture || other->capture->id != capture_id)
			continue;
		if (stream->capture && stream->capture != other->capture) {
			stream->capture->is_invalid = other->capture->is_invalid = true;
			r = CUDA_ERROR_STREAM_CAPTURE_MERGE;
		} else {
			stream->capture = other->capture;
			r = CUDA_SUCCESS;
		}
		break;
	}
	sg_engine_unlock();
	return r;
}

uint64_t sg_capture_id(struct sg_stream *stream)
{
	sg_engine_lock();
	uint64_t id = stream->capture ? stream->capture->id : 0;
	sg_engine_unlock();
	return id;
}

/* ---- beginning and ending ---- */

/* With the engine locked: all streams of the capture are free again. */
static void capture_release(struct sg_capture *capture)
{
	struct sg_stream *stream = capture->origin->context->streams;

	for (; stream; stream = stream->next)
		if (stream->capture == capture)
			stream->capture = NULL;
}

void sg_capture_abandon(struct sg_stream *stream)
{
	struct sg_capture *capture = stream->capture;

	stream->capture = NULL;
	if (!capture || capture->origin != stream)
		return;
	capture_release(capture);
	sg_graph_free(capture->graph);
	free(capture);
}

static CUresult capture_enter(CUstream handle, struct sg_stream **stream)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	return r == CUDA_SUCCESS ? sg_stream_get(handle, context, stream) : r;
}

CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode)
{
	struct sg_stream *stream;
	CUresult r = capture_enter(handle, &stream);

	if (r == CUDA_SUCCESS && mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && stream == stream->context->legacy)
		r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_capture *capture = calloc(1, sizeof(*capture));
	struct sg_graph *graph = capture ? sg_graph_new() : NULL;
	if (!graph) {
		free(capture);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	capture->graph = graph;
	capture->origin = stream;
	capture->id = atomic_fetch_add_explicit(&capture_next_id, 1, memory_order_relaxed);
	sg_engine_lock();
	bool busy = stream->capture;
	if (busy)
		stream->capture->is_invalid = true;
	else
		stream->capture = capture;
	sg_engine_unlock();
	if (!busy)
		return CUDA_SUCCESS;
	sg_graph_free(graph);
	free(capture);
	return CUDA_ERROR_ILLEGAL_STATE;
}

CUresult cuStreamBeginCapture(CUstream handle)
{
	return cuStreamBeginCapture_v2(handle, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *graph)
{
	struct sg_capture *capture;
	struct sg_stream *stream;
	CUresult r = capture_enter(handle, &stream);

	if (r == CUDA_SUCCESS && !graph)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	*graph = NULL;
	sg_engine_lock();
	capture = stream->capture;
	if (!capture)
		r = CUDA_ERROR_ILLEGAL_STATE;
	else if (capture->origin != stream)
		r = CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
	else
		capture_release(capture);
	sg_engine_unlock();
	if (r != CUDA_SUCCESS)
		return r;
	if (capture->is_invalid) {
		sg_graph_free(capture->graph);
		r = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	} else {
		*graph = capture->graph->handle;
	}
	free(capture);
	return r;
}

/* ---- queries ---- */

/* status, and of an active capture its id and graph. The streams' dependencies are not told apart:
 * a captured graph is a chain. */
static CUresult capture_query(
    CUstream handle, CUstreamCaptureStatus *status, uint64_t *id, CUgraph *graph)
{
	struct sg_stream *stream;
	CUresult r = capture_enter(handle, &stream);

	if (r == CUDA_SUCCESS && !status)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	sg_engine_lock();
	const struct sg_capture *capture = stream->capture;
	if (!capture && stream == stream->context->legacy && !sg_per_thread_default &&
	    capture_of_blocking(stream->context))
		r = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
	*status = !capture		? CU_STREAM_CAPTURE_STATUS_NONE
		  : capture->is_invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
					: CU_STREAM_CAPTURE_STATUS_ACTIVE;
	if (*status == CU_STREAM_CAPTURE_STATUS_ACTIVE) {
		if (id)
			*id = capture->id;
		if (graph)
			*graph = capture->graph->handle;
	}
	sg_engine_unlock();
	return r;
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status)
{
	return capture_query(handle, status, NULL, NULL);
}

CUresult cuStreamGetCaptureInfo(CUstream handle, CUstreamCaptureStatus *status, uint64_t *id)
{
	return capture_query(handle, status, id, NULL);
}

CUresult cuStreamGetCaptureInfo_v2(CUstream handle, CUstreamCaptureStatus *status, uint64_t *id,
    CUgraph *graph, const CUgraphNode **dependencies, size_t *n_dependencies)
{
	CUresult r = capture_query(handle, status, id, graph);

	if (r == CUDA_SUCCESS && dependencies)
		*dependencies = NULL;
	if (r == CUDA_SUCCESS && n_dependencies)
		*n_dependencies = 0;
	return r;
}

CUresult cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus *status, uint64_t *id,
    CUgraph *graph, const CUgraphNode **dependencies, const CUgraphEdgeData **edges,
    size_t *n_dependencies)
{
	if (edges)
		*edges = NULL;
	return cuStreamGetCaptureInfo_v2(handle, status, id, graph, dependencies, n_dependencies);
}

static _Thread_local CUstreamCaptureMode thread_capture_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!mode || *mode > CU_STREAM_CAPTURE_MODE_RELAXED))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	CUstreamCaptureMode old = thread_capture_mode;
	thread_capture_mode = *mode;
	*mode = old;
	return CUDA_SUCCESS;
}
