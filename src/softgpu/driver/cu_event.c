/*
 * Events: see event.h. Recording replaces the marker, so waits that were queued before keep the old
 * one, as CUDA demands.
 */
#include "softgpu/driver/event.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/util.h"
#include "softgpu/driver/driver.h"
#include "softgpu/driver/graph.h"
#include "softgpu/driver/stream.h"

#define EVENT_FLAGS                                                                                \
	((unsigned)(CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS))

static pthread_mutex_t event_lock = PTHREAD_MUTEX_INITIALIZER;

static CUresult marker_run(struct sg_work *work, struct sg_context *context)
{
	return CUDA_SUCCESS;
}

/* ---- of events that other processes see too ---- */

/* A recording that is to be done, or to be waited for. */
struct shared_work {
	struct sg_work work;
	struct sg_shared_event *shared;
	uint64_t number;
};

static CUresult shared_done(struct sg_work *work, struct sg_context *context)
{
	struct shared_work *recording = container_of(work, struct shared_work, work);

	sg_shared_event_done(recording->shared, recording->number);
	return CUDA_SUCCESS;
}

static CUresult shared_wait(struct sg_work *work, struct sg_context *context)
{
	struct shared_work *awaited = container_of(work, struct shared_work, work);

	/* Relaxed: it is raised once, and looked at again soon. */
	while (!sg_shared_event_is_done(awaited->shared, awaited->number) &&
	       !atomic_load_explicit(&context->stop, memory_order_relaxed))
		sg_shared_event_sleep(awaited->shared, awaited->number);
	return CUDA_SUCCESS;
}

static void shared_fini(struct sg_work *work)
{
	struct shared_work *shared = container_of(work, struct shared_work, work);

	/* A recording that could not be queued must not be waited for. */
	if (work->run == shared_done)
		sg_shared_event_done(shared->shared, shared->number);
	sg_shared_event_unref(shared->shared);
}

static struct sg_work *shared_work_new(struct sg_shared_event *shared, uint64_t number,
    CUresult (*run)(struct sg_work *, struct sg_context *))
{
	struct shared_work *work = sg_work_new(sizeof(*work), run);

	if (!work)
		return NULL;
	work->shared = sg_shared_event_ref(shared);
	work->number = number;
	work->work.fini = shared_fini;
	return &work->work;
}

/* ---- markers ---- */

/* A piece of work that is done when the event has happened. */
static struct sg_work *event_marker_new(const struct sg_event *event)
{
	return event->shared ? shared_work_new(event->shared, sg_shared_event_record(event->shared),
				   shared_done)
			     : sg_work_new(sizeof(struct sg_work), marker_run);
}

/* A reference; NULL: never recorded. */
static struct sg_work *event_marker(struct sg_event *event)
{
	pthread_mutex_lock(&event_lock);
	struct sg_work *marker = event->marker;
	if (marker)
		sg_work_ref(marker);
	pthread_mutex_unlock(&event_lock);
	return marker;
}

bool sg_event_is_shared(CUevent handle)
{
	const struct sg_event *event = sg_handle_get(handle, SG_EVENT);

	return event && event->shared;
}

struct sg_work *sg_event_marker_of(CUevent handle)
{
	struct sg_event *event = sg_handle_get(handle, SG_EVENT);

	return event ? event_marker(event) : NULL;
}

static uint64_t event_capture_id(struct sg_event *event)
{
	pthread_mutex_lock(&event_lock);
	uint64_t id = event->capture_id;
	pthread_mutex_unlock(&event_lock);
	return id;
}

/* Takes the reference and the tail. capture_id: the event now stands for a place in that
 * capture. */
static void event_set_marker(
    struct sg_event *event, struct sg_work *marker, uint64_t capture_id, struct sg_tail tail)
{
	pthread_mutex_lock(&event_lock);
	struct sg_work *old = event->marker;
	struct sg_tail old_tail = event->tail;
	event->marker = marker;
	event->capture_id = capture_id;
	event->tail = tail;
	pthread_mutex_unlock(&event_lock);
	sg_work_unref(old);
	sg_tail_fini(&old_tail);
}

struct sg_work *sg_event_new_marker(CUevent handle)
{
	struct sg_event *event = sg_handle_get(handle, SG_EVENT);
	struct sg_work *marker = event ? event_marker_new(event) : NULL;

	if (!marker)
		return NULL;
	sg_work_ref(marker);
	event_set_marker(event, marker, 0, (struct sg_tail){0});
	return marker;
}

static CUresult event_get(CUevent handle, struct sg_event **event)
{
	*event = sg_handle_get(handle, SG_EVENT);
	return *event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* Takes the caller's reference to shared, which may be NULL. */
static CUresult event_new(const struct sg_context *context, unsigned flags,
    struct sg_shared_event *shared, CUevent *handle)
{
	struct sg_event *event = calloc(1, sizeof(*event));

	if (event) {
		event->flags = flags;
		event->context = context->handle;
		event->shared = shared;
		event->handle = sg_handle_new(SG_EVENT, event);
	}
	if (!event || !event->handle) {
		sg_shared_event_unref(shared);
		free(event);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*handle = event->handle;
	return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *handle, unsigned flags)
{
	struct sg_shared_event *shared = NULL;
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && (!handle || (flags & ~EVENT_FLAGS)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && (flags & CU_EVENT_INTERPROCESS)) {
		if (!(flags & CU_EVENT_DISABLE_TIMING))
			r = CUDA_ERROR_INVALID_VALUE;
		else if (sg_shared_event_new(&shared) < 0)
			r = CUDA_ERROR_OUT_OF_MEMORY;
	}
	return r ?: event_new(context, flags, shared, handle);
}

CUresult cuIpcGetEventHandle(CUipcEventHandle *out, CUevent handle)
{
	struct sg_event *event;
	CUresult r = sg_enter_given(out && handle) ?: event_get(handle, &event);

	if (r == CUDA_SUCCESS && !event->shared)
		r = CUDA_ERROR_INVALID_HANDLE;
	return r ?: sg_shared_event_handle(event->shared, out);
}

CUresult cuIpcOpenEventHandle(CUevent *event, CUipcEventHandle handle)
{
	struct sg_shared_event *shared;
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && !event)
		r = CUDA_ERROR_INVALID_VALUE;
	r = r ?: sg_shared_event_open(&handle, &shared);
	return r
		   ?: event_new(
			  context, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING, shared, event);
}

CUresult cuEventDestroy_v2(CUevent handle)
{
	struct sg_event *event;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS)
		r = event_get(handle, &event);
	if (r != CUDA_SUCCESS)
		return r;
	sg_handle_free(handle);
	event_set_marker(event, NULL, 0, (struct sg_tail){0});
	sg_shared_event_unref(event->shared);
	free(event);
	return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent handle)
{
	return cuEventDestroy_v2(handle);
}

/* An event of the world outside becomes a node behind what the stream has captured so far. */
static CUresult capture_external(CUstream stream, CUgraphNodeParams *params)
{
	CUstreamCaptureStatus status;
	const CUgraphNode *tail;
	CUgraphNode node;
	CUgraph graph;
	size_t n;
	CUresult r = cuStreamGetCaptureInfo_v2(stream, &status, NULL, &graph, &tail, &n);

	if (r == CUDA_SUCCESS && status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
		r = CUDA_ERROR_ILLEGAL_STATE;
	if (r == CUDA_SUCCESS)
		r = cuGraphAddNode(&node, graph, tail, n, params);
	return r == CUDA_SUCCESS ? cuStreamUpdateCaptureDependencies(
				       stream, &node, 1, CU_STREAM_SET_CAPTURE_DEPENDENCIES)
				 : r;
}

/* Green contexts and their primary one share their events. */
static const struct sg_context *root_of(const struct sg_context *context)
{
	return context && context->green ? sg_context_primary() : context;
}

static bool event_belongs_to(const struct sg_event *event, const struct sg_context *context)
{
	return root_of(sg_handle_get(event->context, SG_CONTEXT)) == root_of(context);
}

CUresult cuEventRecordWithFlags(CUevent handle, CUstream stream_handle, unsigned flags)
{
	struct sg_context *context;
	struct sg_stream *stream;
	struct sg_event *event;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS)
		r = event_get(handle, &event);
	if (r == CUDA_SUCCESS)
		r = sg_stream_get(stream_handle, context, &stream);
	if (r == CUDA_SUCCESS && (flags & ~(unsigned)CU_EVENT_RECORD_EXTERNAL))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	if (!event_belongs_to(event, stream->context))
		return CUDA_ERROR_INVALID_HANDLE;
	if (flags) {
		CUgraphNodeParams node = {
		    .type = CU_GRAPH_NODE_TYPE_EVENT_RECORD, .eventRecord = {handle}};
		return capture_external(stream_handle, &node);
	}
	struct sg_tail tail = {0};
	uint64_t capture_id = sg_capture_mark(stream, &tail);
	if (capture_id) {
		event_set_marker(event, NULL, capture_id, tail);
		return CUDA_SUCCESS;
	}
	struct sg_work *marker = event_marker_new(event);
	if (!marker)
		return CUDA_ERROR_OUT_OF_MEMORY;
	marker->node = SG_NODE_NONE;
	marker->always = true; /* who waits for it must learn of the context's error, not hang */
	sg_work_ref(marker);
	r = sg_stream_submit(stream, marker, NULL);
	if (r == CUDA_SUCCESS)
		event_set_marker(event, marker, 0, (struct sg_tail){0});
	else
		sg_work_unref(marker);
	return r;
}

CUresult cuEventRecord(CUevent handle, CUstream stream)
{
	return cuEventRecordWithFlags(handle, stream, CU_EVENT_RECORD_DEFAULT);
}

/* What a query of a finished event returns: the context's error, if there is one. */
static CUresult event_result(const struct sg_event *event)
{
	struct sg_context *context = sg_handle_get(event->context, SG_CONTEXT);

	return context ? atomic_load_explicit(&context->error, memory_order_relaxed)
		       : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

static bool event_is_done(struct sg_event *event)
{
	if (event->shared)
		return sg_shared_event_is_done(event->shared, sg_shared_event_last(event->shared));
	struct sg_work *marker = event_marker(event);
	bool done = !marker || sg_work_is_done(marker);
	sg_work_unref(marker);
	return done;
}

CUresult cuEventQuery(CUevent handle)
{
	struct sg_event *event;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS)
		r = event_get(handle, &event);
	if (r != CUDA_SUCCESS)
		return r;
	if (event_capture_id(event))
		return CUDA_ERROR_CAPTURED_EVENT;
	bool done = event_is_done(event);
	r = event_result(event);
	return r == CUDA_SUCCESS && !done ? CUDA_ERROR_NOT_READY : r;
}

/* For what was recorded last when it was called. */
static void event_wait(struct sg_event *event)
{
	if (event->shared) {
		uint64_t last = sg_shared_event_last(event->shared);
		while (!sg_shared_event_is_done(event->shared, last))
			sg_shared_event_sleep(event->shared, last);
		return;
	}
	struct sg_work *marker = event_marker(event);
	sg_work_wait(marker);
	sg_work_unref(marker);
}

CUresult cuEventSynchronize(CUevent handle)
{
	struct sg_event *event;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS)
		r = event_get(handle, &event);
	if (r != CUDA_SUCCESS)
		return r;
	if (event_capture_id(event))
		return CUDA_ERROR_INVALID_VALUE; /* as driver 580 does; a query says more */
	event_wait(event);
	return event_result(event);
}

static CUresult markers_elapsed(const struct sg_work *start, const struct sg_work *end, float *ms)
{
	if (!start || !end)
		return CUDA_ERROR_INVALID_HANDLE;
	if (!sg_work_is_done((struct sg_work *)start) || !sg_work_is_done((struct sg_work *)end))
		return CUDA_ERROR_NOT_READY;
	*ms = (float)((double)(int64_t)(end->finished_ns - start->finished_ns) / 1e6);
	return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *ms, CUevent start_handle, CUevent end_handle)
{
	struct sg_event *start, *end;
	float nobody;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS)
		r = event_get(start_handle, &start);
	if (r == CUDA_SUCCESS)
		r = event_get(end_handle, &end);
	if (r == CUDA_SUCCESS && ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING))
		r = CUDA_ERROR_INVALID_HANDLE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_work *from = event_marker(start), *to = event_marker(end);
	r = markers_elapsed(from, to, ms ?: &nobody);
	sg_work_unref(from);
	sg_work_unref(to);
	if (r == CUDA_SUCCESS && !ms)
		r = CUDA_ERROR_INVALID_VALUE;
	return r == CUDA_SUCCESS ? event_result(end) : r;
}

CUresult cuEventElapsedTime_v2(float *ms, CUevent start, CUevent end)
{
	return cuEventElapsedTime(ms, start, end);
}

/* Work that waits for what was last recorded, and in *marker a reference to what it must come
 * after; either may be NULL. No work and success: the event was never recorded. */
static CUresult event_wait_work(
    struct sg_event *event, struct sg_work **wait, struct sg_work **marker)
{
	uint64_t last = event->shared ? sg_shared_event_last(event->shared) : 0;

	*wait = NULL;
	*marker = event->shared ? NULL : event_marker(event);
	if (!*marker && !last)
		return CUDA_SUCCESS;
	*wait = event->shared ? shared_work_new(event->shared, last, shared_wait)
			      : sg_work_new(sizeof(**wait), marker_run);
	if (*wait)
		return CUDA_SUCCESS;
	sg_work_unref(*marker);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuStreamWaitEvent(CUstream stream_handle, CUevent handle, unsigned flags)
{
	struct sg_context *context;
	struct sg_stream *stream;
	struct sg_event *event;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS)
		r = sg_stream_get(stream_handle, context, &stream);
	if (r == CUDA_SUCCESS)
		r = event_get(handle, &event);
	if (r == CUDA_SUCCESS && (flags & ~(unsigned)CU_EVENT_WAIT_EXTERNAL))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	if (flags) {
		CUgraphNodeParams node = {
		    .type = CU_GRAPH_NODE_TYPE_WAIT_EVENT, .eventWait = {handle}};
		return capture_external(stream_handle, &node);
	}
	uint64_t capture_id = event_capture_id(event);
	if (capture_id)
		return sg_capture_join(stream, capture_id, &event->tail);
	struct sg_work *wait, *marker;
	r = event_wait_work(event, &wait, &marker);
	if (!wait)
		return r;
	if (sg_capture_breaks(stream)) { /* what the event stands for is no part of it */
		sg_work_unref(wait);
		sg_work_unref(marker);
		return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
	}
	wait->node = SG_NODE_NONE;
	r = sg_stream_submit(stream, wait, marker);
	sg_work_unref(marker);
	return r;
}

/* ---- of whole contexts ---- */

CUresult sg_event_record_context(CUevent handle, struct sg_context *context)
{
	struct sg_event *event;
	CUresult r = event_get(handle, &event);

	if (r != CUDA_SUCCESS)
		return r;
	if (!event_belongs_to(event, context))
		return CUDA_ERROR_INVALID_HANDLE;
	struct sg_work *marker = event_marker_new(event);
	if (!marker)
		return CUDA_ERROR_OUT_OF_MEMORY;
	marker->always = true;
	sg_work_ref(marker);
	r = sg_context_submit(context, marker);
	if (r == CUDA_SUCCESS)
		event_set_marker(event, marker, 0, (struct sg_tail){0});
	else
		sg_work_unref(marker);
	return r;
}

CUresult sg_event_gate_context(CUevent handle, struct sg_context *context)
{
	struct sg_event *event;
	CUresult r = event_get(handle, &event);

	if (r != CUDA_SUCCESS)
		return r;
	struct sg_work *wait, *marker;
	r = event_wait_work(event, &wait, &marker);
	if (!wait)
		return r;
	wait->always = true;
	r = sg_context_gate(context, wait, marker);
	sg_work_unref(marker);
	return r;
}

CUresult cuCtxRecordEvent(CUcontext handle, CUevent event)
{
	struct sg_context *context;

	return sg_enter_named(handle, &context) ?: sg_event_record_context(event, context);
}

CUresult cuCtxWaitEvent(CUcontext handle, CUevent event)
{
	struct sg_context *context;

	return sg_enter_named(handle, &context) ?: sg_event_gate_context(event, context);
}
