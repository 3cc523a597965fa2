/*
 * Stream capture as far as the client takes part: libraries ask before nearly every call whether a
 * stream is capturing. Captures begin only through this interface, so the shim counts the open ones
 * and answers "no" itself while there are none. The capture mode is a property of the calling
 * thread and lives in its block.
 *
 * A dependency list that CUDA lends belongs to the asking thread here and lasts until it asks
 * again; what a program may do with the driver's own list (use it before touching the stream again)
 * it can do with this.
 */
#include "shim/capture.h"
#include <pthread.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/thread.h"

#define CAPACITY_FIRST 16
#define CAPACITY_MOST  (1u << 20)

/* Relaxed everywhere: a thread that must see another's capture has synchronised with it. */
static _Atomic int open_captures;

bool capture_may_be_open(void)
{
	return atomic_load_explicit(&open_captures, memory_order_relaxed);
}

bool capture_is_open(CUstream stream)
{
	CUstreamCaptureStatus status;

	return capture_may_be_open() && shim_cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS &&
	       status != CU_STREAM_CAPTURE_STATUS_NONE;
}

CUresult capture_explain(CUresult r)
{
	if (r == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
		log_warn_once("a copy from or to ordinary memory cannot be captured in a graph; "
			      "memory of cuMemAllocHost or cuMemHostAlloc can");
	return r;
}

/* Answers for a stream that no capture can have reached. */
static bool surely_idle(CUstream stream)
{
	return !capture_may_be_open() && shim_thread.context &&
	       ((uint64_t)stream <= 2 || shim_handle_alive((uint64_t)stream, HANDLE_STREAM));
}

static CUresult begun(CUresult r)
{
	if (r != CUDA_SUCCESS)
		return r;
	atomic_fetch_add_explicit(&open_captures, 1, memory_order_relaxed);
	return r;
}

CUresult shim_cuStreamBeginCapture(CUstream stream)
{
	return begun(remote_cuStreamBeginCapture(stream));
}

CUresult shim_cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
	return begun(remote_cuStreamBeginCapture_v2(stream, mode));
}

CUresult shim_cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode *nodes,
    const CUgraphEdgeData *edges, size_t count, CUstreamCaptureMode mode)
{
	return begun(remote_cuStreamBeginCaptureToGraph(stream, graph, nodes, edges, count, mode));
}

/* Who captured into a graph of his own need not be told which. A capture that broke leaves none. */
CUresult shim_cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
	CUgraph known;
	CUresult r = remote_cuStreamEndCapture(stream, graph ?: &known);
	bool was_capturing = r != CUDA_ERROR_ILLEGAL_STATE && r != CUDA_ERROR_INVALID_HANDLE &&
			     r != CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
	int open = atomic_load_explicit(&open_captures, memory_order_relaxed);

	if (was_capturing && r != CUDA_SUCCESS && graph)
		*graph = NULL;
	while (was_capturing && open > 0 &&
	       !atomic_compare_exchange_weak_explicit(
		   &open_captures, &open, open - 1, memory_order_relaxed, memory_order_relaxed))
		;
	return r;
}

CUresult shim_cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status)
{
	if (!surely_idle(stream))
		return remote_cuStreamIsCapturing(stream, status);
	*status = CU_STREAM_CAPTURE_STATUS_NONE;
	return CUDA_SUCCESS;
}

/* A wait is refused in the same way. */
CUresult capture_refuse(CUstream stream)
{
	CUstreamCaptureStatus status;

	if (shim_cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS &&
	    status == CU_STREAM_CAPTURE_STATUS_NONE)
		return CUDA_SUCCESS;
	return remote_cuStreamSynchronize(stream);
}

CUresult shim_cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus *status, uint64_t *id)
{
	if (!surely_idle(stream))
		return remote_cuStreamGetCaptureInfo(stream, status, id);
	*status = CU_STREAM_CAPTURE_STATUS_NONE;
	return CUDA_SUCCESS;
}

/* What is lent to the program, per thread; given back when the thread asks again. */
struct lent {
	CUgraphNode *nodes;
	CUgraphEdgeData *edges;
	size_t capacity;
};

static _Thread_local struct lent lent __attribute__((tls_model("initial-exec")));
static pthread_key_t lent_key; /* its destructor runs in a thread that was lent something */

static void lent_end(void *unused)
{
	(void)unused;
	free(lent.nodes);
	free(lent.edges);
	lent = (struct lent){0};
}

static void lent_init(void)
{
	pthread_key_create(&lent_key, lent_end);
}

static bool make_room(size_t capacity)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (lent.capacity >= capacity)
		return true;
	pthread_once(&once, lent_init);
	pthread_setspecific(lent_key, &lent);
	free(lent.nodes);
	free(lent.edges);
	lent.nodes = calloc(capacity, sizeof(*lent.nodes));
	lent.edges = calloc(capacity, sizeof(*lent.edges));
	lent.capacity = lent.nodes && lent.edges ? capacity : 0;
	return lent.capacity;
}

struct info {
	CUstreamCaptureStatus status;
	uint64_t id;
	CUgraph graph;
	size_t count;
};

/* edged: the form that knows edges; has_edges: the program asked for them. */
static CUresult ask(CUstream stream, bool edged, bool has_edges, struct info *info)
{
	for (size_t capacity = CAPACITY_FIRST;; capacity = info->count) {
		*info = (struct info){0};
		if (!make_room(capacity))
			return CUDA_ERROR_OUT_OF_MEMORY;
		CUresult r =
		    edged ? remote_cuStreamGetCaptureInfo_v3(stream, &info->status, &info->id,
				&info->graph, lent.nodes, lent.edges, lent.capacity, has_edges,
				&info->count)
			  : remote_cuStreamGetCaptureInfo_v2(stream, &info->status, &info->id,
				&info->graph, lent.nodes, lent.capacity, &info->count);
		if (r != CUDA_SUCCESS || info->count <= lent.capacity)
			return r;
		if (info->count > CAPACITY_MOST)
			return CUDA_ERROR_OUT_OF_MEMORY;
	}
}

static void give(const struct info *info, CUstreamCaptureStatus *status, uint64_t *id,
    CUgraph *graph, const CUgraphNode **nodes, size_t *count)
{
	*status = info->status;
	if (info->status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
		return;
	if (id)
		*id = info->id;
	if (graph)
		*graph = info->graph;
	if (nodes)
		*nodes = lent.nodes;
	if (count)
		*count = info->count;
}

CUresult shim_cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus *status,
    uint64_t *id, CUgraph *graph, const CUgraphNode **nodes, size_t *count)
{
	struct info info = {.status = CU_STREAM_CAPTURE_STATUS_NONE};
	CUresult r = surely_idle(stream) ? CUDA_SUCCESS : ask(stream, false, false, &info);

	if (r == CUDA_SUCCESS)
		give(&info, status, id, graph, nodes, count);
	return r;
}

CUresult shim_cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus *status,
    uint64_t *id, CUgraph *graph, const CUgraphNode **nodes, const CUgraphEdgeData **edges,
    size_t *count)
{
	struct info info = {.status = CU_STREAM_CAPTURE_STATUS_NONE};
	CUresult r = surely_idle(stream) ? CUDA_SUCCESS : ask(stream, true, edges != NULL, &info);

	if (r != CUDA_SUCCESS)
		return r;
	give(&info, status, id, graph, nodes, count);
	if (edges && info.status == CU_STREAM_CAPTURE_STATUS_ACTIVE)
		*edges = lent.edges;
	return CUDA_SUCCESS;
}

CUresult shim_cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
	struct shim_thread *thread = &shim_thread;
	CUstreamCaptureMode wanted = *mode;

	if ((unsigned)wanted > CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_ERROR_INVALID_VALUE;
	*mode = (CUstreamCaptureMode)thread->capture_mode;
	thread->capture_mode = wanted;
	return CUDA_SUCCESS;
}
