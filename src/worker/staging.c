/*
 * Copies out of pinned memory return before the device has read it, so a handed-over run can go
 * back to the client only later. An event is recorded behind the copy, and the dispatcher asks the
 * oldest whether it has happened, between records, as it does for calls that await something: a
 * large copy is a row of chunks that each take tens of microseconds, and waking another thread for
 * each would cost as much as the copy. A run that takes longer goes to one thread, the reaper,
 * which looks at all it has from time to time. It asks instead of waiting: streams finish in any
 * order, and a run held up behind another stream's could be the one that stream is waiting for.
 *
 * Events are used again, in the context they were made in. When contexts came or went nobody knows
 * which events are left, and those kept are forgotten; there are few.
 *
 * Where the area cannot be pinned, the backend has copied the bytes when the call returns, and the
 * run is free at once; likewise when no event can be had.
 */
#include "worker/staging.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/backend_host.h"
#include "worker/worker.h"

#define REAPER_LOOKS_NS 20000 /* a chunk of a megabyte takes this long on a fast bus */

#define FINISH_NS (NSEC_PER_SEC / 50)

#define PATIENCE 50 /* times as long as an idle thread watches memory */

#define SPARE_MAX 64

struct pending {
	struct pending *next;
	struct wire_bulk run;
	CUcontext context;
	uint32_t epoch; /* of contexts, when the event was made */
	CUevent event;
	uint64_t until; /* then it is the reaper's */
};

/* A part of the region. Registrations end with the context they were made in, so they are made anew
 * whenever contexts came or went. */
struct area {
	void *memory;
	size_t bytes;
	bool tried; /* under pin_lock */
	_Atomic uint32_t epoch;
	_Atomic bool pinned;	    /* as of epoch */
	_Atomic bool was_pinned;    /* at any time, or it is being tried */
	_Atomic CUdeviceptr device; /* where the device sees it; likewise, 0: nowhere */
};

struct staging {
	struct worker *worker;
	pthread_mutex_t pin_lock;
	struct area bulk, replies;
	_Atomic unsigned n; /* runs that are looked after */

	/* dispatcher only */
	struct pending *first, **last; /* in the order of their copies */
	struct pending *spare;
	unsigned n_spare;

	pthread_mutex_t lock;
	pthread_cond_t more;
	struct pending *pending; /* under lock: newly come, the reaper takes them over */
	bool stop;
	bool has_thread;
	pthread_t thread;
};

struct staging *staging_new(struct worker *worker)
{
	struct staging *staging = calloc(1, sizeof(*staging));

	if (!staging)
		return NULL;
	staging->worker = worker;
	staging->last = &staging->first;
	struct wire_bulk all = {0, worker->options.staging_size};
	staging->bulk.memory = chan_staging_memory(worker->chan, &all);
	staging->bulk.bytes = all.size;
	staging->replies.memory = chan_reply_area(worker->chan, &staging->replies.bytes);
	pthread_mutex_init(&staging->pin_lock, NULL);
	pthread_mutex_init(&staging->lock, NULL);
	pthread_cond_init(&staging->more, NULL);
	return staging;
}

/* Their events end with the process. */
static void free_list(struct pending *list)
{
	while (list) {
		struct pending *next = list->next;
		free(list);
		list = next;
	}
}

struct staging *staging_free(struct staging *staging)
{
	if (!staging)
		return NULL;
	pthread_mutex_lock(&staging->lock);
	staging->stop = true;
	pthread_cond_signal(&staging->more);
	pthread_mutex_unlock(&staging->lock);
	if (staging->has_thread)
		pthread_join(staging->thread, NULL);
	free_list(staging->first);
	free_list(staging->spare);
	pthread_mutex_destroy(&staging->pin_lock);
	pthread_mutex_destroy(&staging->lock);
	pthread_cond_destroy(&staging->more);
	free(staging);
	return NULL;
}

/* --- pinning --- */

static bool is_pinned(struct worker *worker, struct area *area)
{
	/* Relaxed: pinned or not, the copy is right. */
	return atomic_load_explicit(&area->pinned, memory_order_relaxed) &&
	       atomic_load_explicit(&area->epoch, memory_order_relaxed) ==
		   atomic_load_explicit(&worker->context_epoch, memory_order_relaxed);
}

static bool pin(struct worker *worker, struct area *area)
{
	struct staging *staging = worker->staging;
	uint32_t epoch = atomic_load_explicit(&worker->context_epoch, memory_order_relaxed);

	/* Registering is one of the calls a capture forbids. */
	if (!area->memory || atomic_load_explicit(&worker->captures, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&staging->pin_lock);
	if (!area->tried || atomic_load_explicit(&area->epoch, memory_order_relaxed) != epoch) {
		bool was_pinned =
		    atomic_exchange_explicit(&area->was_pinned, true, memory_order_relaxed);
		CUresult r = worker->host->cuMemHostRegister_v2(
		    area->memory, area->bytes, CU_MEMHOSTREGISTER_PORTABLE);
		bool done = r == CUDA_SUCCESS || r == CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
		if (!done && !area->tried)
			log_info("memory for copies is not pinned (error %d): they wait", (int)r);
		area->tried = true;
		CUdeviceptr device = 0;
		if (done && worker->host->cuMemHostGetDevicePointer_v2(&device, area->memory, 0))
			device = 0;
		atomic_store_explicit(&area->device, device, memory_order_relaxed);
		atomic_store_explicit(&area->pinned, done, memory_order_relaxed);
		atomic_store_explicit(&area->was_pinned, done || was_pinned, memory_order_relaxed);
		atomic_store_explicit(&area->epoch, epoch, memory_order_relaxed);
	}
	pthread_mutex_unlock(&staging->pin_lock);
	return is_pinned(worker, area);
}

bool staging_is_pinned(struct call *call)
{
	return is_pinned(call->worker, &call->worker->staging->bulk);
}

bool staging_pins_replies(struct call *call)
{
	struct area *area = &call->worker->staging->replies;

	return is_pinned(call->worker, area) || pin(call->worker, area);
}

CUdeviceptr staging_reply_address(struct call *call, const void *reply)
{
	struct area *area = &call->worker->staging->replies;

	if (!staging_pins_replies(call))
		return 0;
	CUdeviceptr device = atomic_load_explicit(&area->device, memory_order_relaxed);
	return device ? device + (size_t)((const char *)reply - (const char *)area->memory) : 0;
}

void *staging_memory(struct call *call, const struct wire_bulk *run, bool pin_it)
{
	void *memory = chan_staging_memory(call->worker->chan, run);

	if (memory && pin_it && !staging_is_pinned(call))
		pin(call->worker, &call->worker->staging->bulk);
	return memory;
}

/* --- giving runs back --- */

static void give_back(struct staging *staging, const struct pending *pending)
{
	chan_staging_release(staging->worker->chan, &pending->run);
	/* Relaxed: staging_finish() only waits for the number. */
	atomic_fetch_sub_explicit(&staging->n, 1, memory_order_relaxed);
}

static void release(struct staging *staging, struct pending *pending)
{
	give_back(staging, pending);
	staging->worker->backend->cuEventDestroy_v2(pending->event);
	free(pending);
}

/* Releases what the device has read; the others stay in the list. */
static void look(struct staging *staging, struct pending **list)
{
	const struct backend *backend = staging->worker->backend;
	CUcontext current = NULL;

	while (*list) {
		struct pending *pending = *list;
		if (pending->context != current)
			backend->cuCtxSetCurrent(current = pending->context);
		/* An error is final too: nothing will read the run any more. */
		if (backend->cuEventQuery(pending->event) == CUDA_ERROR_NOT_READY) {
			list = &pending->next;
			continue;
		}
		*list = pending->next;
		release(staging, pending);
	}
}

/* Takes over what has come, oldest first; waits for something when idle. False: the end. */
static bool collect(struct staging *staging, struct pending **list)
{
	pthread_mutex_lock(&staging->lock);
	while (!*list && !staging->pending && !staging->stop)
		pthread_cond_wait(&staging->more, &staging->lock);
	struct pending *come = staging->pending;
	staging->pending = NULL;
	bool going_on = !staging->stop;
	pthread_mutex_unlock(&staging->lock);
	while (come) {
		struct pending *next = come->next;
		come->next = *list;
		*list = come;
		come = next;
	}
	return going_on;
}

static void *reaper(void *argument)
{
	struct staging *staging = argument;
	struct pending *list = NULL;
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;

	/* Asking an event is unsafe to a capture of another thread in mode global. */
	staging->worker->backend->cuThreadExchangeStreamCaptureMode(&mode);
	while (collect(staging, &list)) {
		look(staging, &list);
		if (list)
			nanosleep(&(struct timespec){.tv_nsec = REAPER_LOOKS_NS}, NULL);
	}
	while (list) {
		struct pending *next = list->next;
		release(staging, list);
		list = next;
	}
	return NULL;
}

static bool enqueue(struct staging *staging, struct pending *pending)
{
	pthread_mutex_lock(&staging->lock);
	if (!staging->has_thread)
		staging->has_thread = pthread_create(&staging->thread, NULL, reaper, staging) == 0;
	bool queued = staging->has_thread;
	if (queued) {
		pending->next = staging->pending;
		staging->pending = pending;
		pthread_cond_signal(&staging->more);
	}
	pthread_mutex_unlock(&staging->lock);
	return queued;
}

/* --- the dispatcher's part --- */

/* One with an event of the current context; NULL: there is none to be had. */
static struct pending *pending_take(struct call *call)
{
	struct staging *staging = call->worker->staging;
	CUcontext context = call_job(call)->from.context;
	uint32_t epoch = atomic_load_explicit(&call->worker->context_epoch, memory_order_relaxed);
	struct pending *pending;

	while ((pending = staging->spare)) {
		staging->spare = pending->next;
		staging->n_spare--;
		if (pending->context == context && pending->epoch == epoch)
			return pending;
		free(pending);
	}
	pending = calloc(1, sizeof(*pending));
	if (!pending)
		return NULL;
	pending->context = context;
	pending->epoch = epoch;
	if (call->backend->cuEventCreate(&pending->event, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS)
		return pending;
	free(pending);
	return NULL;
}

static void pending_give(struct staging *staging, struct pending *pending)
{
	if (staging->n_spare == SPARE_MAX) {
		staging->worker->backend->cuEventDestroy_v2(pending->event);
		free(pending);
		return;
	}
	pending->next = staging->spare;
	staging->spare = pending;
	staging->n_spare++;
}

static bool release_later(struct call *call, const struct wire_bulk *run, CUstream stream)
{
	struct staging *staging = call->worker->staging;
	struct pending *pending = pending_take(call);

	if (!pending)
		return false;
	if (call->backend->cuEventRecord(pending->event, stream) != CUDA_SUCCESS) {
		pending_give(staging, pending);
		return false;
	}
	pending->run = *run;
	pending->next = NULL;
	pending->until = clock_now_ns() + PATIENCE * call->worker->options.spin_ns;
	*staging->last = pending;
	staging->last = &pending->next;
	/* Relaxed: as in give_back(). */
	atomic_fetch_add_explicit(&staging->n, 1, memory_order_relaxed);
	return true;
}

static struct pending *pending_first(struct staging *staging)
{
	struct pending *pending = staging->first;

	staging->first = pending->next;
	if (!staging->first)
		staging->last = &staging->first;
	return pending;
}

static bool has_happened(struct worker *worker, const struct pending *pending)
{
	/* An error is final too: nothing will read the run any more. */
	return lane_enter(worker, pending->context, CU_STREAM_CAPTURE_MODE_RELAXED) !=
		   CUDA_SUCCESS ||
	       worker->backend->cuEventQuery(pending->event) != CUDA_ERROR_NOT_READY;
}

bool staging_look(struct worker *worker)
{
	struct staging *staging = worker->staging;
	struct pending *pending = staging->first;

	if (!pending)
		return false;
	chan_wake(worker->chan); /* the driver may take its time */
	if (has_happened(worker, pending)) {
		pending_first(staging);
		give_back(staging, pending);
		pending_give(staging, pending);
	} else if (clock_now_ns() >= pending->until) {
		pending_first(staging);
		if (!enqueue(staging, pending)) {
			worker->backend->cuEventSynchronize(pending->event);
			release(staging, pending);
		}
	}
	return staging->first;
}

void staging_finish(struct worker *worker)
{
	uint64_t until = clock_now_ns() + FINISH_NS;

	while (atomic_load_explicit(&worker->staging->n, memory_order_relaxed) &&
	       !worker->options.no_waiters && clock_now_ns() < until)
		nanosleep(&(struct timespec){.tv_nsec = REAPER_LOOKS_NS}, NULL);
}

/* Whether it is pinned now says nothing: a context may have come or gone since the copy was issued,
 * and another thread may have pinned it. */
void staging_release_after(struct call *call, const struct wire_bulk *run, CUstream stream)
{
	/* Relaxed: a backend that knew of the pinning when it took the copy was told of it after
	 * this was set, and has locks of its own in between. */
	if (atomic_load_explicit(&call->worker->staging->bulk.was_pinned, memory_order_relaxed)) {
		if (release_later(call, run, stream))
			return;
		call->backend->cuStreamSynchronize(stream);
	}
	chan_staging_release(call->worker->chan, run);
}
