/*
 * The engine behind streams: see stream.h for the model.
 *
 * Legacy-stream rules: work in the legacy stream needs the newest work of every blocking stream of
 * its context; work in a blocking stream needs the newest work of the legacy stream. A need is a
 * reference to a piece of work submitted earlier, so needs cannot form a circle.
 *
 * A thread that submits work and would wait for it anyway runs it itself when the stream is idle:
 * that saves two thread switches on every synchronous copy.
 */
#include "softgpu/driver/stream.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "softgpu/driver/graph.h"

#define STREAM_QUEUE_MAX 4096

_Thread_local unsigned sg_per_thread_default;

static pthread_mutex_t engine_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t engine_progress = PTHREAD_COND_INITIALIZER; /* some work is done */
static struct sg_context *engine_contexts;
static atomic_uint_fast64_t stream_next_id = 3; /* 1 and 2 name the special streams */

/* ---- work ---- */

void *sg_work_new(size_t size, CUresult (*run)(struct sg_work *, struct sg_context *))
{
	struct sg_work *work = calloc(1, size);

	if (!work)
		return NULL;
	atomic_init(&work->references, 1);
	work->run = run;
	return work;
}

void sg_work_ref(struct sg_work *work)
{
	/* Relaxed: who copies a reference has one. */
	atomic_fetch_add_explicit(&work->references, 1, memory_order_relaxed);
}

/* When it starts, at the latest: otherwise each piece would keep all those before it. */
static void work_drop_needs(struct sg_work *work)
{
	for (size_t i = 0; i < work->n_needs; i++)
		sg_work_unref(work->needs[i]);
	free(work->needs);
	work->needs = NULL;
	work->n_needs = work->needs_room = 0;
}

void sg_work_unref(struct sg_work *work)
{
	/* Acquire-release: all use of the work comes before its end. */
	if (!work || atomic_fetch_sub_explicit(&work->references, 1, memory_order_acq_rel) != 1)
		return;
	work_drop_needs(work);
	if (work->fini)
		work->fini(work);
	free(work);
}

static bool work_need(struct sg_work *work, struct sg_work *other)
{
	if (!other || sg_work_is_done(other))
		return true;
	if (work->n_needs == work->needs_room) {
		size_t room = work->needs_room ? 2 * work->needs_room : 4;
		struct sg_work **needs = reallocarray(work->needs, room, sizeof(struct sg_work *));
		if (!needs)
			return false;
		work->needs = needs;
		work->needs_room = room;
	}
	sg_work_ref(other);
	work->needs[work->n_needs++] = other;
	return true;
}

/* With the engine locked. The stream's own order is kept by its queue. */
static bool work_collect_needs(struct sg_stream *stream, struct sg_work *work)
{
	struct sg_context *context = stream->context;

	if (context->gate && !work_need(work, context->gate))
		return false;
	if (stream->flags & CU_STREAM_NON_BLOCKING)
		return true;
	if (stream != context->legacy)
		return work_need(work, context->legacy->last);
	for (struct sg_stream *other = context->streams; other; other = other->next)
		if (other != stream && !(other->flags & CU_STREAM_NON_BLOCKING) &&
		    !work_need(work, other->last))
			return false;
	return true;
}

static bool work_is_ready(const struct sg_work *work)
{
	for (size_t i = 0; i < work->n_needs; i++)
		if (!sg_work_is_done(work->needs[i]))
			return false;
	return true;
}

static void work_execute(struct sg_work *work, struct sg_context *context)
{
	CUresult error = atomic_load_explicit(&context->error, memory_order_relaxed);

	work_drop_needs(work);
	work->result = error != CUDA_SUCCESS && !work->always ? error : work->run(work, context);
	if (error == CUDA_SUCCESS && work->result != CUDA_SUCCESS &&
	    work->result != CUDA_ERROR_NOT_SUPPORTED)
		sg_context_fail(context, work->result);
	if (work->finished)
		work->finished(work);
}

/* With the engine locked. */
static void work_finish(struct sg_work *work)
{
	work->finished_ns = clock_now_ns();
	/* Release: pairs with sg_work_is_done(). */
	atomic_store_explicit(&work->done, true, memory_order_release);
	pthread_cond_broadcast(&engine_progress);
}

/* ---- a stream's thread ---- */

static void stream_run_first(struct sg_stream *stream)
{
	struct sg_work *work = stream->first;

	while (!work_is_ready(work))
		pthread_cond_wait(&engine_progress, &engine_lock);
	pthread_mutex_unlock(&engine_lock);
	work_execute(work, stream->context);
	pthread_mutex_lock(&engine_lock);
	stream->first = work->next;
	stream->n_queued--;
	if (!stream->first)
		stream->last_queued = NULL;
	work_finish(work);
	sg_work_unref(work);
}

static void stream_free(struct sg_stream *stream)
{
	sg_work_unref(stream->last);
	sg_tail_fini(&stream->tail);
	pthread_cond_destroy(&stream->wake);
	free(stream);
}

/* With the engine locked: the context's last stream is gone. */
static void engine_forget(struct sg_context *context)
{
	struct sg_context **link = &engine_contexts;

	while (*link != context)
		link = &(*link)->next;
	*link = context->next;
}

/* With the engine locked. */
static void stream_unlink(struct sg_stream *stream)
{
	struct sg_stream **link = &stream->context->streams;

	while (*link != stream)
		link = &(*link)->next;
	*link = stream->next;
	if (!stream->context->streams)
		engine_forget(stream->context);
	pthread_cond_broadcast(&engine_progress);
}

static void *stream_thread(void *argument)
{
	struct sg_stream *stream = argument;

	pthread_setname_np(pthread_self(), "softgpu-stream");
	pthread_mutex_lock(&engine_lock);
	for (;;) {
		while (stream->first && !stream->running_inline)
			stream_run_first(stream);
		if (stream->closing && !stream->first)
			break;
		pthread_cond_wait(&stream->wake, &engine_lock);
	}
	stream_unlink(stream);
	pthread_mutex_unlock(&engine_lock);
	pthread_detach(pthread_self());
	stream_free(stream);
	return NULL;
}

static bool stream_start_thread(struct sg_stream *stream)
{
	if (!stream->has_thread)
		stream->has_thread = !pthread_create(&stream->thread, NULL, stream_thread, stream);
	return stream->has_thread;
}

/* With the engine locked; makes work the newest of the stream. */
static void stream_set_last(struct sg_stream *stream, struct sg_work *work)
{
	sg_work_unref(stream->last);
	sg_work_ref(work);
	stream->last = work;
}

static void stream_queue(struct sg_stream *stream, struct sg_work *work)
{
	if (stream->last_queued)
		stream->last_queued->next = work;
	else
		stream->first = work;
	stream->last_queued = work;
	stream->n_queued++;
	stream_set_last(stream, work);
	pthread_cond_signal(&stream->wake);
}

void sg_engine_lock(void)
{
	pthread_mutex_lock(&engine_lock);
}

void sg_engine_unlock(void)
{
	pthread_mutex_unlock(&engine_lock);
}

/* With the engine locked. */
static CUresult stream_submit(struct sg_stream *stream, struct sg_work *work, struct sg_work *after)
{
	bool taken;
	CUresult r = sg_capture_work(stream, work, false, &taken);

	if (taken)
		return r;
	/* A program far ahead of the device waits, as it does with real ones. */
	while (stream->n_queued >= STREAM_QUEUE_MAX)
		pthread_cond_wait(&engine_progress, &engine_lock);
	if (!work_collect_needs(stream, work) || !work_need(work, after) ||
	    !stream_start_thread(stream)) {
		sg_work_unref(work);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	stream_queue(stream, work);
	return CUDA_SUCCESS;
}

CUresult sg_stream_submit(struct sg_stream *stream, struct sg_work *work, struct sg_work *after)
{
	pthread_mutex_lock(&engine_lock);
	CUresult r = stream_submit(stream, work, after);
	pthread_mutex_unlock(&engine_lock);
	return r;
}

CUresult sg_context_submit(struct sg_context *context, struct sg_work *work)
{
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&engine_lock);
	for (struct sg_stream *other = context->streams; other; other = other->next)
		if (!work_need(work, other->last))
			r = CUDA_ERROR_OUT_OF_MEMORY;
	if (r == CUDA_SUCCESS)
		r = stream_submit(context->legacy, work, NULL);
	else
		sg_work_unref(work);
	pthread_mutex_unlock(&engine_lock);
	return r;
}

CUresult sg_context_gate(struct sg_context *context, struct sg_work *work, struct sg_work *after)
{
	pthread_mutex_lock(&engine_lock);
	sg_work_ref(work);
	CUresult r = stream_submit(context->legacy, work, after);
	if (r == CUDA_SUCCESS) {
		sg_work_unref(context->gate);
		context->gate = work;
	} else {
		sg_work_unref(work);
	}
	pthread_mutex_unlock(&engine_lock);
	return r;
}

/* With the engine locked; leaves it locked. */
static void stream_run_inline(struct sg_stream *stream, struct sg_work *work)
{
	stream_set_last(stream, work);
	stream->running_inline = true;
	pthread_mutex_unlock(&engine_lock);
	work_execute(work, stream->context);
	pthread_mutex_lock(&engine_lock);
	stream->running_inline = false;
	work_finish(work);
	pthread_cond_signal(&stream->wake); /* others may have queued meanwhile */
}

/* With the engine locked. */
static CUresult stream_run(struct sg_stream *stream, struct sg_work *work)
{
	if (!work_collect_needs(stream, work))
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (!stream->first && !stream->running_inline && work_is_ready(work)) {
		stream_run_inline(stream, work);
		return work->result;
	}
	if (!stream_start_thread(stream))
		return CUDA_ERROR_OUT_OF_MEMORY;
	sg_work_ref(work);
	stream_queue(stream, work);
	while (!sg_work_is_done(work))
		pthread_cond_wait(&engine_progress, &engine_lock);
	return work->result;
}

CUresult sg_stream_run(struct sg_stream *stream, struct sg_work *work)
{
	bool taken;

	pthread_mutex_lock(&engine_lock);
	CUresult r = sg_capture_work(stream, work, true, &taken);
	if (!taken) {
		r = stream_run(stream, work);
		sg_work_unref(work);
	}
	pthread_mutex_unlock(&engine_lock);
	return r;
}

/* ---- waiting ---- */

void sg_work_wait(struct sg_work *work)
{
	if (!work || sg_work_is_done(work))
		return;
	pthread_mutex_lock(&engine_lock);
	while (!sg_work_is_done(work))
		pthread_cond_wait(&engine_progress, &engine_lock);
	pthread_mutex_unlock(&engine_lock);
}

void sg_work_complete(struct sg_work *work)
{
	if (!work || sg_work_is_done(work))
		return;
	pthread_mutex_lock(&engine_lock);
	work_finish(work);
	pthread_mutex_unlock(&engine_lock);
}

/* The newest work of a stream that is not done, as a reference; NULL: there is none. Waiting for
 * the legacy stream means waiting for the blocking ones too. */
static struct sg_work *stream_pending(struct sg_stream *stream, bool whole_context)
{
	struct sg_context *context = stream->context;
	bool is_legacy = stream == context->legacy;
	struct sg_work *found = NULL;

	for (struct sg_stream *other = context->streams; other && !found; other = other->next) {
		bool counts = other == stream || whole_context ||
			      (is_legacy && !(other->flags & CU_STREAM_NON_BLOCKING));
		if (counts && other->last && !sg_work_is_done(other->last))
			found = other->last;
	}
	if (found)
		sg_work_ref(found);
	return found;
}

/* Work submitted by other threads meanwhile is waited for too; CUDA leaves that open. */
static CUresult stream_drain(struct sg_stream *stream, bool whole_context)
{
	struct sg_work *pending;

	pthread_mutex_lock(&engine_lock);
	while ((pending = stream_pending(stream, whole_context))) {
		while (!sg_work_is_done(pending))
			pthread_cond_wait(&engine_progress, &engine_lock);
		sg_work_unref(pending);
	}
	pthread_mutex_unlock(&engine_lock);
	return atomic_load_explicit(&stream->context->error, memory_order_relaxed);
}

CUresult sg_stream_wait(struct sg_stream *stream)
{
	return stream_drain(stream, false);
}

CUresult sg_context_wait(struct sg_context *context)
{
	return stream_drain(context->legacy, true);
}

void sg_engine_pause(void)
{
	struct sg_work *pending;

	pthread_mutex_lock(&engine_lock);
	do {
		pending = NULL;
		for (struct sg_context *c = engine_contexts; c && !pending; c = c->next)
			pending = stream_pending(c->streams, true);
		while (pending && !sg_work_is_done(pending))
			pthread_cond_wait(&engine_progress, &engine_lock);
		sg_work_unref(pending);
	} while (pending);
}

void sg_engine_wait(void)
{
	sg_engine_pause();
	pthread_mutex_unlock(&engine_lock);
}

bool sg_stream_is_idle(struct sg_stream *stream)
{
	pthread_mutex_lock(&engine_lock);
	struct sg_work *pending = stream_pending(stream, false);
	pthread_mutex_unlock(&engine_lock);
	sg_work_unref(pending);
	return !pending;
}

/* ---- life of a stream ---- */

struct sg_stream *sg_stream_new(struct sg_context *context, unsigned flags, int priority)
{
	struct sg_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->context = context;
	stream->flags = flags;
	stream->priority = priority;
	stream->id = atomic_fetch_add_explicit(&stream_next_id, 1, memory_order_relaxed);
	stream->attributes[CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY].syncPolicy =
	    CU_SYNC_POLICY_AUTO;
	stream->attributes[CU_LAUNCH_ATTRIBUTE_PRIORITY].priority = priority;
	stream->attributes[CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP].memSyncDomainMap.remote = 1;
	pthread_cond_init(&stream->wake, NULL);
	pthread_mutex_lock(&engine_lock);
	if (!context->streams) {
		context->next = engine_contexts;
		engine_contexts = context;
	}
	stream->next = context->streams;
	context->streams = stream;
	pthread_mutex_unlock(&engine_lock);
	return stream;
}

/* With the engine locked. A stream with a thread ends itself when its queue has run dry; it stays
 * in its context's list until then, because the legacy stream still has to wait for its work. */
static void stream_close(struct sg_stream *stream)
{
	sg_handle_free(stream->handle);
	stream->handle = NULL;
	while (stream->running_inline)
		pthread_cond_wait(&engine_progress, &engine_lock);
	sg_capture_abandon(stream);
	stream->closing = true;
	if (stream->has_thread) {
		pthread_cond_signal(&stream->wake);
	} else {
		stream_unlink(stream);
		stream_free(stream);
	}
}

void sg_stream_destroy(struct sg_stream *stream)
{
	pthread_mutex_lock(&engine_lock);
	stream_close(stream);
	pthread_mutex_unlock(&engine_lock);
}

void sg_stream_free_all(struct sg_context *context)
{
	struct sg_stream *next;

	sg_context_wait(context);
	pthread_mutex_lock(&engine_lock);
	for (struct sg_stream *stream = context->streams; stream; stream = next) {
		next = stream->next;
		if (!stream->closing)
			stream_close(stream);
	}
	while (context->streams)
		pthread_cond_wait(&engine_progress, &engine_lock);
	sg_work_unref(context->gate);
	context->gate = NULL;
	pthread_mutex_unlock(&engine_lock);
	context->legacy = NULL;
}
