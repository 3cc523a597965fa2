/*
 * Capturing: see graph.h. A stream points to its capture, and so do the streams that joined it
 * through events; all under the engine's lock. Calls that would be unsafe during a capture in
 * another driver, such as allocating memory, are safe here and therefore not refused.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/driver.h"
#include "softgpu/driver/graph.h"
#include "softgpu/driver/stream.h"

static atomic_uint_fast64_t capture_next_id = 1;

/* ---- tails ---- */

void sg_tail_fini(struct sg_tail *tail)
{
	free(tail->nodes);
	free(tail->edges);
	*tail = (struct sg_tail){0};
}

/* False: out of memory. */
static bool sg_tail_set(struct sg_tail *tail, const CUgraphNode *nodes, size_t n)
{
	struct sg_tail new = {
	    calloc(n + 1, sizeof(CUgraphNode)), calloc(n + 1, sizeof(CUgraphEdgeData)), n};

	if (!new.nodes || !new.edges) {
		sg_tail_fini(&new);
		return false;
	}
	if (n)
		memcpy(new.nodes, nodes, n * sizeof(CUgraphNode));
	sg_tail_fini(tail);
	*tail = new;
	return true;
}

static bool tail_add(struct sg_tail *tail, const CUgraphNode *nodes, size_t n)
{
	CUgraphNode *all = calloc(tail->n + n + 1, sizeof(CUgraphNode));
	size_t count = 0;

	if (!all)
		return false;
	for (size_t i = 0; i < tail->n + n; i++) {
		CUgraphNode node = i < tail->n ? tail->nodes[i] : nodes[i - tail->n];
		size_t known = 0;

		while (known < count && all[known] != node)
			known++;
		all[known] = node;
		count += known == count;
	}
	bool done = sg_tail_set(tail, all, count);
	free(all);
	return done;
}

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

/* The node depends on the tail, and is the tail from then on. Nodes that are gone count no more. */
static CUresult capture_add(struct sg_graph *graph, struct sg_work *work, struct sg_tail *tail)
{
	struct sg_node *node;
	CUresult r = sg_graph_add(graph, work, &node);

	for (size_t i = 0; r == CUDA_SUCCESS && i < tail->n; i++) {
		struct sg_node *from = sg_node_get(tail->nodes[i]);

		if (from && from->graph == graph)
			r = sg_node_depend(node, from, NULL);
	}
	if (r == CUDA_SUCCESS && !sg_tail_set(tail, &node->handle, 1))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	return r;
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
	return capture_add(capture->graph, work, &stream->tail);
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

CUresult sg_capture_join(struct sg_stream *stream, uint64_t capture_id, const struct sg_tail *tail)
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
			r = tail_add(&stream->tail, tail->nodes, tail->n)
				? CUDA_SUCCESS
				: CUDA_ERROR_OUT_OF_MEMORY;
		}
		break;
	}
	sg_engine_unlock();
	return r;
}

uint64_t sg_capture_mark(struct sg_stream *stream, struct sg_tail *tail)
{
	sg_engine_lock();
	uint64_t id = stream->capture ? stream->capture->id : 0;
	if (id && !sg_tail_set(tail, stream->tail.nodes, stream->tail.n))
		stream->capture->is_invalid = true;
	sg_engine_unlock();
	return id;
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
		if (stream->capture == capture) {
			stream->capture = NULL;
			sg_tail_fini(&stream->tail);
		}
}

void sg_capture_abandon(struct sg_stream *stream)
{
	struct sg_capture *capture = stream->capture;

	stream->capture = NULL;
	if (!capture || capture->origin != stream)
		return;
	capture_release(capture);
	if (capture->owns)
		sg_graph_free(capture->graph);
	free(capture);
}

/* Whether all are nodes of the graph. */
static bool nodes_are_of(const struct sg_graph *graph, const CUgraphNode *nodes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct sg_node *node = sg_node_get(nodes[i]);

		if (!node || node->graph != graph)
			return false;
	}
	return true;
}

/* graph NULL: a new one. */
static CUresult capture_begin(CUstream handle, CUstreamCaptureMode mode, struct sg_graph *graph,
    const CUgraphNode *nodes, size_t n)
{
	struct sg_stream *stream;
	CUresult r = sg_stream_enter(handle, &stream);

	if (r == CUDA_SUCCESS && mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && stream == stream->context->legacy)
		r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	if (r == CUDA_SUCCESS && graph && !nodes_are_of(graph, nodes, n))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_capture *capture = calloc(1, sizeof(*capture));
	if (capture) {
		capture->owns = !graph;
		capture->graph = graph ?: sg_graph_new();
	}
	if (!capture || !capture->graph) {
		free(capture);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	capture->origin = stream;
	capture->thread = pthread_self();
	capture->is_relaxed = mode == CU_STREAM_CAPTURE_MODE_RELAXED;
	capture->id = atomic_fetch_add_explicit(&capture_next_id, 1, memory_order_relaxed);
	sg_engine_lock();
	if (stream->capture) {
		stream->capture->is_invalid = true;
		r = CUDA_ERROR_ILLEGAL_STATE;
	} else if (!sg_tail_set(&stream->tail, nodes, n)) {
		r = CUDA_ERROR_OUT_OF_MEMORY;
	} else {
		stream->capture = capture;
	}
	sg_engine_unlock();
	if (r == CUDA_SUCCESS)
		return r;
	if (capture->owns)
		sg_graph_free(capture->graph);
	free(capture);
	return r;
}

CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode)
{
	return capture_begin(handle, mode, NULL, NULL, 0);
}

CUresult cuStreamBeginCaptureToGraph(CUstream handle, CUgraph graph_handle,
    const CUgraphNode *dependencies, const CUgraphEdgeData *edges, size_t n,
    CUstreamCaptureMode mode)
{
	struct sg_graph *graph = sg_graph_get(graph_handle);

	if (!graph || (n && !dependencies))
		return sg_enter() ?: CUDA_ERROR_INVALID_VALUE;
	return capture_begin(handle, mode, graph, dependencies, n);
}

CUresult cuStreamBeginCapture(CUstream handle)
{
	return cuStreamBeginCapture_v2(handle, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

/* Whether nothing captured comes after the node but where the capture ends. */
static bool is_loose(const struct sg_capture *capture, CUgraphNode handle)
{
	const struct sg_node *node = sg_node_get(handle);
	const struct sg_tail *end = &capture->origin->tail;

	for (size_t i = 0; i < end->n; i++)
		if (end->nodes[i] == handle)
			return false;
	for (size_t i = 0; node && i < capture->graph->n_nodes; i++) {
		const struct sg_node *other = capture->graph->nodes[i];
		if (sg_node_find_edge(other, node) < other->n_edges)
			return false;
	}
	return node;
}

/* Whether a stream that joined the capture has work that its origin does not wait for. */
static bool is_unjoined(const struct sg_capture *capture)
{
	const struct sg_stream *stream = capture->origin->context->streams;

	for (; stream; stream = stream->next)
		for (size_t i = 0; stream->capture == capture && i < stream->tail.n; i++)
			if (is_loose(capture, stream->tail.nodes[i]))
				return true;
	return false;
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *graph)
{
	struct sg_capture *capture;
	struct sg_stream *stream;
	CUresult r = sg_stream_enter(handle, &stream);

	if (r != CUDA_SUCCESS)
		return r;
	if (graph)
		*graph = NULL;
	sg_engine_lock();
	capture = stream->capture;
	if (!capture) {
		r = CUDA_ERROR_ILLEGAL_STATE;
	} else if (!graph && capture->owns) { /* nobody else knows the graph */
		r = CUDA_ERROR_INVALID_VALUE;
	} else if (capture->origin != stream) {
		capture->is_invalid = true; /* as by NVIDIA's driver, say CuPy's tests */
		r = CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
	} else if (!capture->is_relaxed && !pthread_equal(capture->thread, pthread_self())) {
		r = CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
	}
	if (r != CUDA_SUCCESS) {
		sg_engine_unlock();
		return r;
	}
	r = capture->is_invalid	   ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
	    : is_unjoined(capture) ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED
				   : CUDA_SUCCESS;
	capture_release(capture);
	sg_engine_unlock();
	if (r != CUDA_SUCCESS) {
		if (capture->owns)
			sg_graph_free(capture->graph);
	} else if (graph) {
		*graph = capture->graph->handle;
	}
	free(capture);
	return r;
}

/* ---- queries ---- */

/* status, and of an active capture its id, graph and tail, which is the stream's own. */
static CUresult capture_query(CUstream handle, CUstreamCaptureStatus *status, uint64_t *id,
    CUgraph *graph, const struct sg_tail **tail)
{
	struct sg_stream *stream;
	CUresult r = sg_stream_enter(handle, &stream);

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
		if (tail)
			*tail = &stream->tail;
	}
	sg_engine_unlock();
	return r;
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status)
{
	return capture_query(handle, status, NULL, NULL, NULL);
}

CUresult cuStreamGetCaptureInfo(CUstream handle, CUstreamCaptureStatus *status, uint64_t *id)
{
	return capture_query(handle, status, id, NULL, NULL);
}

CUresult cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus *status, uint64_t *id,
    CUgraph *graph, const CUgraphNode **dependencies, const CUgraphEdgeData **edges,
    size_t *n_dependencies)
{
	static const struct sg_tail none;
	const struct sg_tail *tail = &none;
	CUresult r = capture_query(handle, status, id, graph, &tail);

	if (r == CUDA_SUCCESS && dependencies)
		*dependencies = tail->nodes;
	if (r == CUDA_SUCCESS && edges)
		*edges = tail->edges;
	if (r == CUDA_SUCCESS && n_dependencies)
		*n_dependencies = tail->n;
	return r;
}

CUresult cuStreamGetCaptureInfo_v2(CUstream handle, CUstreamCaptureStatus *status, uint64_t *id,
    CUgraph *graph, const CUgraphNode **dependencies, size_t *n_dependencies)
{
	return cuStreamGetCaptureInfo_v3(
	    handle, status, id, graph, dependencies, NULL, n_dependencies);
}

CUresult cuStreamUpdateCaptureDependencies_v2(
    CUstream handle, CUgraphNode *nodes, const CUgraphEdgeData *edges, size_t n, unsigned flags)
{
	struct sg_stream *stream;
	CUresult r = sg_stream_enter(handle, &stream);

	if (r != CUDA_SUCCESS)
		return r;
	sg_engine_lock();
	if (!stream->capture || stream->capture->is_invalid)
		r = CUDA_ERROR_ILLEGAL_STATE;
	else if ((n && !nodes) || flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES ||
		 !nodes_are_of(stream->capture->graph, nodes, n))
		r = CUDA_ERROR_INVALID_VALUE;
	else if (!(flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES
			 ? sg_tail_set(&stream->tail, nodes, n)
			 : tail_add(&stream->tail, nodes, n)))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	sg_engine_unlock();
	return r;
}

CUresult cuStreamUpdateCaptureDependencies(
    CUstream handle, CUgraphNode *nodes, size_t n, unsigned flags)
{
	return cuStreamUpdateCaptureDependencies_v2(handle, nodes, NULL, n, flags);
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
