/*
 * What is published is a cursor of the ring, which the client compares with what it has sent
 * (src/shim/idle.c). So nothing ever has to be taken back: as soon as another record is in the ring
 * the cursors differ, and the client asks.
 *
 * Functions fall into four classes. Those with a stream argument that orders them put work into
 * that stream; so do copies that mean the default stream. Quiet ones put none anywhere, by what
 * CUDA says about them. Destroying a stream leaves its work without a name. Of all others it is not
 * known. A job that goes to a waiter may put work into streams later, so nothing is published while
 * there is one.
 *
 * A stream is taken off the list when a query finds it done. All are when a context was
 * synchronised and nothing was put into any since that began; but only while a single context is in
 * use, since the list does not know whose context a stream is of.
 *
 * Nothing is published during captures, whose streams must not be asked; nor with mirrors of
 * managed variables, which are exchanged when the program asks; nor after a context ended.
 */
#include "worker/idle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gen/api_desc.h"
#include "gen/api_ids.h"
#include "worker/issuer.h"
#include "worker/mirror.h"
#include "worker/worker.h"

#define STREAMS_MAX 32

enum idle_class { UNKNOWN, STREAMED, QUIET, ENDS_STREAM };

struct unfinished {
	CUcontext context;
	CUstream stream;
	uint64_t newest; /* the number of the last change that put something into it */
};

struct idle {
	uint8_t *classes; /* enum idle_class, by row of worker_entries */

	/* dispatcher only */
	struct unfinished streams[STREAMS_MAX];
	unsigned n;
	bool unknown; /* there may be work in streams that are not listed */
	CUcontext context;
	bool many_contexts;

	_Atomic uint64_t changes; /* of what is unfinished. Any thread */
	_Atomic unsigned away;	  /* jobs at waiters. Any thread */
	_Atomic bool context_ended;

	pthread_mutex_t lock;
	_Atomic bool was_synchronised; /* the following is news */
	uint64_t synchronised;	       /* under lock: the mark of the newest synchronisation */
};

static bool is_streamed(uint32_t id)
{
	switch (id) {
	case API_cuMemcpy:
	case API_cuMemcpyHtoD_v2:
	case API_cuMemcpyDtoH_v2:
	case API_cuMemcpyDtoD_v2:
	case API_cuMemcpyPeer:
		return true;
	default: {
		const struct api_desc *desc = api_desc_by_id(id);
		return desc && desc->order && !(desc->flags & API_F_BLOCKS);
	}
	}
}

/* Whatever has "Get" in its name only asks. */
static bool is_quiet(uint32_t id)
{
	const struct api_desc *desc = api_desc_by_id(id);

	switch (id) {
	case API_cuDevicePrimaryCtxRetain:
	case API_cuCtxSynchronize:
	case API_cuStreamQuery:
	case API_cuStreamSynchronize:
	case API_cuStreamCreate:
	case API_cuStreamCreateWithPriority:
	case API_cuEventCreate:
	case API_cuEventDestroy_v2:
	case API_cuEventQuery:
	case API_cuEventSynchronize:
	case API_cuEventElapsedTime:
	case API_cuEventElapsedTime_v2:
	case API_cuMemAlloc_v2:
	case API_cuMemFree_v2:
	case API_cuMemPoolSetAttribute:
	case API_cuModuleLoadDataEx:
	case API_cuLibraryLoadData:
	case API_cuFuncSetAttribute:
	case API_cuKernelSetAttribute:
	case API_rosenFunctionInfo:
	case API_rosenSnapshot:
	case API_rosenLaneState:
	case API_rosenSegmentMap:
	case API_rosenSegmentPlace:
	case API_rosenHostCalls:
	case API_rosenHostCallDone:
	case API_rosenOutput:
	case API_rosenNull:
	case API_rosenNullPosted:
		return true;
	default:
		return desc && strstr(desc->name, "Get");
	}
}

static enum idle_class class_of(uint32_t id)
{
	return id == API_cuStreamDestroy_v2 ? ENDS_STREAM
	       : is_quiet(id)		    ? QUIET
	       : is_streamed(id)	    ? STREAMED
					    : UNKNOWN;
}

struct idle *idle_new(struct worker *worker)
{
	struct idle *idle = worker->options.known_idle ? calloc(1, sizeof(*idle)) : NULL;

	if (!idle)
		return NULL;
	idle->classes = malloc(worker_n_entries);
	if (!idle->classes) {
		free(idle);
		return NULL;
	}
	for (size_t i = 0; i < worker_n_entries; i++)
		idle->classes[i] = (uint8_t)class_of(worker_entries[i].id);
	pthread_mutex_init(&idle->lock, NULL);
	return idle;
}

struct idle *idle_free(struct idle *idle)
{
	if (!idle)
		return NULL;
	pthread_mutex_destroy(&idle->lock);
	free(idle->classes);
	free(idle);
	return NULL;
}

static enum idle_class class_of_job(const struct idle *idle, const struct job *job)
{
	return job->entry ? (enum idle_class)idle->classes[job->entry - worker_entries] : UNKNOWN;
}

static uint64_t changed(struct idle *idle)
{
	/* Relaxed: the release in idle_ended(), or being on one thread, orders it. */
	return atomic_fetch_add_explicit(&idle->changes, 1, memory_order_relaxed);
}

/* --- what waiters have done --- */

/* Whether somebody may put work into streams yet. */
static bool are_away(struct worker *worker)
{
	/* Acquire: pairs with the release in idle_ended(). */
	return atomic_load_explicit(&worker->idle->away, memory_order_acquire) ||
	       !issuers_are_settled(worker);
}

/* Counts on with whatever is put into a stream, by whomever. */
static uint64_t all_changes(struct worker *worker)
{
	return atomic_load_explicit(&worker->idle->changes, memory_order_relaxed) +
	       issuers_progress(worker);
}

/* Takes over what waiters have synchronised; what one of them is about to do is in none of it. */
static void take_news(struct worker *worker)
{
	struct idle *idle = worker->idle;

	if (likely(!atomic_load_explicit(&idle->was_synchronised, memory_order_relaxed)))
		return;
	bool nobody_away = !are_away(worker);
	pthread_mutex_lock(&idle->lock);
	atomic_store_explicit(&idle->was_synchronised, false, memory_order_relaxed);
	bool all = idle->synchronised == all_changes(worker);
	pthread_mutex_unlock(&idle->lock);
	if (all && nobody_away && !idle->many_contexts) {
		idle->n = 0;
		idle->unknown = false;
	}
}

/* --- what is unfinished --- */

static void forget_name(struct idle *idle)
{
	idle->unknown = true;
	changed(idle);
}

void idle_record(struct worker *worker, struct job *job)
{
	struct idle *idle = worker->idle;

	if (!idle)
		return;
	take_news(worker); /* before this record makes it old */
	if (job->from.context != idle->context && job->from.context) {
		idle->many_contexts |= idle->context != NULL;
		idle->context = job->from.context;
	}
	if (class_of_job(idle, job) == UNKNOWN)
		forget_name(idle);
}

static int find(const struct idle *idle, CUcontext context, CUstream stream)
{
	for (unsigned i = 0; i < idle->n; i++)
		if (idle->streams[i].stream == stream &&
		    (stream || idle->streams[i].context == context))
			return (int)i;
	return -1;
}

static CUstream named(CUstream stream)
{
	return stream == CU_STREAM_LEGACY ? NULL : stream;
}

static void put_into(struct idle *idle, CUcontext context, CUstream stream)
{
	int i = find(idle, context, stream);
	uint64_t now = changed(idle);

	if (i >= 0)
		idle->streams[i].newest = now;
	else if (idle->n == STREAMS_MAX)
		idle->unknown = true;
	else
		idle->streams[idle->n++] = (struct unfinished){context, stream, now};
}

void idle_stream(struct call *call, CUstream stream)
{
	struct idle *idle = call->worker->idle;
	struct job *job = call_job(call);

	if (!idle || job->entry->blocks)
		return;
	switch (class_of_job(idle, job)) {
	case STREAMED:
		put_into(idle, job->from.context, named(stream));
		break;
	case ENDS_STREAM: {
		int i = find(idle, job->from.context, named(stream));
		if (i >= 0) {
			idle->streams[i] = idle->streams[--idle->n];
			forget_name(idle);
		}
		break;
	}
	default:
		break;
	}
}

void idle_leaves(struct worker *worker, struct job *job)
{
	struct idle *idle = worker->idle;

	if (!idle || class_of_job(idle, job) == QUIET)
		return;
	job->away = true;
	atomic_fetch_add_explicit(&idle->away, 1, memory_order_relaxed);
}

void idle_ended(struct worker *worker, struct job *job)
{
	if (!job->away)
		return;
	/* What it put into streams no synchronisation begun before this has seen. */
	changed(worker->idle);
	/* Release: all of that comes before the dispatcher's next look. */
	atomic_fetch_sub_explicit(&worker->idle->away, 1, memory_order_release);
	job->away = false;
}

/* --- what is done --- */

/* Whether the list is all there is. Relaxed: captures begin, and contexts end before their answer,
 * on this thread. */
static bool list_is_all(struct worker *worker)
{
	struct idle *idle = worker->idle;

	take_news(worker);
	return !idle->unknown && !are_away(worker) &&
	       !atomic_load_explicit(&worker->captures, memory_order_relaxed) &&
	       !atomic_load_explicit(&idle->context_ended, memory_order_relaxed) &&
	       !mirrors_exist(worker);
}

bool idle_is_only(struct call *call, CUstream stream, uint64_t *mark)
{
	struct idle *idle = call->worker->idle;

	if (!idle || idle->many_contexts || idle->n != 1 || !list_is_all(call->worker) ||
	    find(idle, call_job(call)->from.context, named(stream)) < 0)
		return false;
	*mark = idle->streams[0].newest;
	return true;
}

bool idle_knows_done(struct call *call, CUstream stream)
{
	struct idle *idle = call->worker->idle;

	return idle && !idle->many_contexts && list_is_all(call->worker) &&
	       find(idle, call_job(call)->from.context, named(stream)) < 0;
}

void idle_publish(struct worker *worker)
{
	struct idle *idle = worker->idle;

	if (!idle)
		return;
	if (list_is_all(worker) && !idle->n) {
		pools_settle(worker);
		chan_publish_idle(worker->chan);
	}
}

void idle_stream_done(struct call *call, CUstream stream)
{
	struct idle *idle = call->worker->idle;

	if (!idle)
		return;
	int i = find(idle, call_job(call)->from.context, named(stream));
	if (i >= 0)
		idle->streams[i] = idle->streams[--idle->n];
}

void idle_stream_done_until(struct call *call, CUstream stream, uint64_t mark)
{
	struct idle *idle = call->worker->idle;
	int i = idle ? find(idle, call_job(call)->from.context, named(stream)) : -1;

	if (i >= 0 && idle->streams[i].newest == mark)
		idle->streams[i] = idle->streams[--idle->n];
}

CUresult idle_context_asks(struct call *call)
{
	struct idle *idle = call->worker->idle;

	if (!idle)
		return CUDA_ERROR_NOT_SUPPORTED;
	take_news(call->worker);
	if (idle->unknown || idle->many_contexts || are_away(call->worker))
		return CUDA_ERROR_NOT_SUPPORTED;
	while (idle->n) {
		CUresult r = call->backend->cuStreamQuery(idle->streams[idle->n - 1].stream);
		if (r != CUDA_SUCCESS)
			return r;
		idle->n--;
	}
	return CUDA_SUCCESS;
}

uint64_t idle_mark(struct worker *worker)
{
	/* Relaxed: on a waiter it may be older, which makes the synchronisation count for less. */
	return worker->idle ? all_changes(worker) : 0;
}

void idle_context_done(struct call *call, uint64_t mark)
{
	struct idle *idle = call->worker->idle;

	if (!idle)
		return;
	pthread_mutex_lock(&idle->lock);
	idle->synchronised = mark;
	atomic_store_explicit(&idle->was_synchronised, true, memory_order_relaxed);
	pthread_mutex_unlock(&idle->lock);
}

void idle_context_ended(struct worker *worker)
{
	if (worker->idle)
		atomic_store_explicit(&worker->idle->context_ended, true, memory_order_relaxed);
}
