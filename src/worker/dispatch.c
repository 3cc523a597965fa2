/*
 * The dispatcher: takes records from the ring in the order in which the client's threads put them
 * there, and has each served at once, so that the GPU sees work in that order. It never waits for
 * the GPU: functions marked `blocks`, and the second halves of those that call_continue(), go to
 * the lane's waiter. Those that await a stream or an event it looks after itself for a while
 * (await.c).
 *
 * Every call is a job: a private copy of its record (chan_next() copies straight into it), a pool
 * for temporaries, room for the answer. Jobs are reused; one that moves to a waiter takes all of
 * that along, and the dispatcher goes on with another.
 *
 * What the client controls is bounded here: record sizes by the channel, attachments and pools by
 * bulk_limit, waiting jobs by WORKER_JOBS_MAX. A record that does not decode ends the session, with
 * last words that name the function; unknown functions are a polite NOT_SUPPORTED, since the client
 * may be newer than this worker.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "gen/api_desc.h"
#include "gen/api_ids.h"
#include "worker/arena.h"
#include "worker/callback.h"
#include "worker/gpu_time.h"
#include "worker/graph_end.h"
#include "worker/graph_memory.h"
#include "worker/graph_model.h"
#include "worker/graph_move.h"
#include "worker/idle.h"
#include "worker/image_store.h"
#include "worker/ipc.h"
#include "worker/issuer.h"
#include "worker/jit_options.h"
#include "worker/layout.h"
#include "worker/memory.h"
#include "worker/mirror.h"
#include "worker/output.h"
#include "worker/prints.h"
#include "worker/reference.h"
#include "worker/segment.h"
#include "worker/staging.h"
#include "worker/sync_memops.h"
#include "worker/waiter.h"
#include "worker/worker.h"

#define ID_LIMIT 0x10000u /* ids have 16 bits */
#define CROWDED	 4	  /* client, dispatcher, waiter, and whatever else runs */

static const char *name_of(uint32_t id)
{
	const struct api_desc *desc = api_desc_by_id(id);

	return desc ? desc->name : "an unknown function";
}

/* Ends the session; the first reason is kept. */
_printf_(2, 3) static void worker_end(struct worker *worker, const char *format, ...)
{
	va_list arguments;

	pthread_mutex_lock(&worker->end_lock);
	if (!worker->last_words[0]) {
		va_start(arguments, format);
		vsnprintf(worker->last_words, sizeof(worker->last_words), format, arguments);
		va_end(arguments);
	}
	pthread_mutex_unlock(&worker->end_lock);
	chan_stop(worker->chan);
}

static bool has_last_words(struct worker *worker)
{
	pthread_mutex_lock(&worker->end_lock);
	bool has = worker->last_words[0];
	pthread_mutex_unlock(&worker->end_lock);
	return has;
}

/* --- jobs --- */

/* NULL: there is none. Other threads' are taken all at once. */
static struct job *job_take_free(struct worker *worker)
{
	struct job *job = worker->spare_jobs;

	if (!job) {
		pthread_mutex_lock(&worker->jobs_lock);
		job = worker->free_jobs;
		worker->free_jobs = NULL;
		pthread_mutex_unlock(&worker->jobs_lock);
	}
	if (job)
		worker->spare_jobs = job->next;
	return job;
}

static struct job *job_take(struct worker *worker)
{
	struct job *job = job_take_free(worker);

	if (job)
		return job;
	job = aligned_alloc(16, align_up(sizeof(*job), 16));
	if (!job)
		return NULL;
	memset(job, 0, offsetof(struct job, scratch));
	pool_init(&job->pool, worker->options.bulk_limit);
	return job;
}

static void job_give(struct worker *worker, struct job *job)
{
	pthread_mutex_lock(&worker->jobs_lock);
	job->next = worker->free_jobs;
	worker->free_jobs = job;
	pthread_mutex_unlock(&worker->jobs_lock);
}

static void add(_Atomic uint64_t *counter, uint64_t amount)
{
	/* Relaxed: a counter for people, no other memory hangs on it. */
	atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

/* When it was, 0: nobody looked. */
static uint64_t job_count(struct worker *worker, struct job *job, CUresult result)
{
	if (!job->stat)
		return 0;
	uint64_t now = clock_now_ns();
	add(&job->stat->messages, 1);
	add(&job->stat->worker_ns, now - job->started_ns);
	if (result != CUDA_SUCCESS)
		add(&job->stat->errors, 1);
	struct chan_time *time = worker->times ? worker->times[job->entry - worker_entries] : NULL;
	if (unlikely(time))
		add(&time->driver_ns, job->driver_ns);
	return now;
}

/* For the client's trace. */
static void tell_times(struct worker *worker, const struct job *job)
{
	struct chan_times times = {
	    .taken_ns = job->started_ns,
	    .worker_ns = (uint32_t)MIN(clock_now_ns() - job->started_ns, UINT32_MAX),
	    .driver_ns = (uint32_t)MIN(job->driver_ns, UINT32_MAX),
	};

	chan_reply_times(worker->chan, job->lane->index, &times);
}

/* Stores the reply and wakes the waiter: chan_reply_commit(), or its sibling on the dispatcher. */
typedef void commit_reply(struct chan *chan, uint16_t lane, uint32_t seq, uint32_t status,
    const struct wire_writer *writer);

static void job_answer(
    struct worker *worker, struct job *job, CUresult result, commit_reply *commit)
{
	const struct wire_record *record = (const void *)job->record;
	struct wire_writer *writer = &job->call.writer;
	struct wire_writer empty = {0};

	if (!(record->flags & WIRE_F_REPLY)) {
		if (result != CUDA_SUCCESS)
			chan_post_error(worker->chan, result);
		return;
	}
	if (result == CUDA_SUCCESS && writer->failed) {
		log_warn(
		    "the answer of %s did not fit the room its caller made", name_of(record->id));
		result = CUDA_ERROR_UNKNOWN;
	}
	mirrors_settle(worker);
	if (job->bulk.size || result != CUDA_SUCCESS) {
		empty = chan_reply_begin(worker->chan, job->lane->index);
		writer = &empty;
	}
	uint32_t status = result;
	if (worker->options.output && unlikely(output_pending()) && record->id != API_rosenOutput)
		status |= WIRE_STATUS_OUTPUT;
	if (unlikely(worker->options.measure))
		tell_times(worker, job);
	commit(worker->chan, job->lane->index, record->seq, status, writer);
}

/* Its answer, and all that it holds; the job itself is the caller's. When it was, or 0. */
static uint64_t job_close(
    struct worker *worker, struct job *job, CUresult result, commit_reply *commit)
{
	const struct wire_record *record = (const void *)job->record;

	if (unlikely(result == CALL_MALFORMED)) {
		worker_end(worker,
		    "The GPU worker ended the session: a malformed record for %s came from the "
		    "client",
		    name_of(record->id));
		result = CUDA_ERROR_INVALID_VALUE;
	}
	idle_ended(worker, job);
	uint64_t now = job_count(worker, job, result);
	job_answer(worker, job, result, commit);
	pool_reset(&job->pool);
	free(job->attachment);
	job->attachment = NULL;
	return now;
}

void job_end(struct worker *worker, struct job *job, CUresult result)
{
	job_close(worker, job, result, chan_reply_commit);
	job_give(worker, job);
}

/* --- payloads --- */

/* One WIRE_ID_ATTACH record: its staging bytes go to the end of the lane's attachment. */
static int attach(struct worker *worker, struct lane *lane, const struct job *job)
{
	const struct wire_record *record = (const void *)job->record;
	struct wire_reader reader =
	    wire_reader(job->record + sizeof(*record), record->size - sizeof(*record));
	struct wire_bulk run = {wire_get_u64(&reader), wire_get_u64(&reader)};
	uint64_t limit = MIN(worker->options.bulk_limit, WIRE_IMAGE_MAX);
	const void *bytes = reader.failed ? NULL : chan_staging_memory(worker->chan, &run);

	if (!bytes || !run.size || run.size > limit - lane->attached)
		return error_origin(-EBADMSG);
	if (lane->attached + run.size > lane->attachment_room) {
		size_t room = MAX(lane->attached + run.size, lane->attachment_room * 2);
		uint8_t *grown = realloc(lane->attachment, room);
		if (!grown)
			return error_origin(-ENOMEM);
		lane->attachment = grown;
		lane->attachment_room = room;
	}
	memcpy(lane->attachment + lane->attached, bytes, run.size);
	lane->attached += run.size;
	chan_staging_release(worker->chan, &run);
	return 0;
}

/* Sets where the payload is read from and where the outputs go. */
static int open_payload(struct worker *worker, struct job *job)
{
	const struct wire_record *record = (const void *)job->record;
	struct lane *lane = job->lane;
	struct call *call = &job->call;

	call->reader = wire_reader(job->record + sizeof(*record), record->size - sizeof(*record));
	job->bulk = (struct wire_bulk){0, 0};
	if (record->flags & WIRE_F_BULK_REPLY) {
		job->bulk.offset = wire_get_u64(&call->reader);
		job->bulk.size = wire_get_u64(&call->reader);
		void *memory = chan_staging_memory(worker->chan, &job->bulk);
		if (call->reader.failed || !memory || !job->bulk.size)
			return error_origin(-EBADMSG);
		call->writer = wire_writer(memory, job->bulk.size);
	} else if (record->flags & WIRE_F_REPLY) {
		call->writer = chan_reply_begin(worker->chan, lane->index);
	} else {
		call->writer = wire_writer(job->scratch, sizeof(job->scratch));
	}
	if (record->flags & WIRE_F_ATTACHED) {
		job->attachment = lane->attachment;
		if (lane->attachment)
			call->reader = wire_reader(lane->attachment, lane->attached);
		else
			call->reader.end = call->reader.at; /* nothing came */
		lane->attachment = NULL;
		lane->attached = lane->attachment_room = 0;
	}
	return 0;
}

/* --- serving --- */

_Thread_local volatile uint32_t worker_serving;

CUresult job_serve(struct job *job)
{
	struct call *call = &job->call;

	uint64_t before = backend_ns;

	worker_serving = job->entry->id;
	CUresult r =
	    call->finish ? call->finish(call, call->finish_state) : job->entry->serve(call);
	worker_serving = 0;
	job->driver_ns += backend_ns - before;
	return r;
}

static void open_call(struct worker *worker, struct job *job)
{
	const struct wire_record *record = (const void *)job->record;
	struct lane *lane = job->lane;

	job->context = (CUcontext)handles_find(worker->handles, HANDLE_CONTEXT, lane->context_id);
	job->capture_mode = lane_capture_mode(worker, lane);
	job->call.worker = worker;
	job->call.lane = lane;
	job->call.backend = worker->backend;
	job->call.pool = &job->pool;
	job->call.flags = record->flags;
	job->call.error = CUDA_SUCCESS;
	job->call.finish = NULL;
	job->call.await.on = false;
	job->call.issuer = NULL;
}

/*
 * The job is the dispatcher's own again at once, or leaves its hands. Between an answer and the
 * next record nothing is locked, for that would wait until the answer's cache line has moved.
 */
static void run(struct worker *worker, struct job *job)
{
	CUresult r = CALL_CONTINUES;

	worker->job = NULL;
	if (unlikely(worker->issuers) && !issuers_know(job->entry->id))
		issuers_settle(worker);
	mirrors_push(worker);
	if (!job->entry->blocks) {
		/* What a kernel said before it failed is wanted when the context is no good. */
		r = job->entry->id == API_rosenOutput
			? CUDA_SUCCESS
			: lane_enter(worker, job->lane, job->context, job->capture_mode);
		if (r == CUDA_SUCCESS)
			r = job_serve(job);
	}
	if (r != CALL_CONTINUES) {
		worker->now_ns = job_close(worker, job, r, chan_reply_commit_soon);
		worker->job = job;
	} else if (job->call.issuer) {
		idle_leaves(worker, job);
		issuer_give(job->call.issuer, job);
	} else if (!job->call.await.on || !awaits_add(worker, &worker->awaits, job)) {
		waiter_take(worker, job);
	}
}

static void serve_unknown(struct worker *worker, struct job *job, uint32_t id)
{
	log_warn_once("the client uses function 0x%x, which this worker does not know; an older "
		      "worker with a newer client refuses what it cannot do",
	    id);
	worker->job = NULL;
	job_end(worker, job, CUDA_ERROR_NOT_SUPPORTED);
}

static int serve_record(struct worker *worker, struct job *job)
{
	const struct wire_record *record = (const void *)job->record;
	struct lane *lane = &worker->lanes[record->lane];
	unsigned entry = record->id < ID_LIMIT ? worker->entry_of_id[record->id] : 0;

	job->lane = lane;
	/* A record that was there when the last one ended needs no look at the clock. */
	job->started_ns = worker->now_ns ?: clock_now_ns();
	worker->now_ns = 0;
	job->driver_ns = 0;
	if (record->id == WIRE_ID_ATTACH)
		return error_trace(attach(worker, lane, job));
	int r = error_trace(open_payload(worker, job));
	if (r < 0)
		return r;
	open_call(worker, job);
	job->stat = entry ? worker->stats[entry - 1] : NULL;
	job->away = false;
	if (unlikely(!entry)) {
		serve_unknown(worker, job, record->id);
		return 0;
	}
	job->entry = &worker_entries[entry - 1];
	idle_record(worker, job);
	run(worker, job);
	return 0;
}

int worker_run(struct worker *worker)
{
	for (;;) {
		if (!worker->job)
			worker->job = job_take(worker);
		if (!worker->job)
			return error_origin(-ENOMEM);
		if (!awaits_look(worker))
			worker->now_ns = 0;
		int r = chan_next(worker->chan, worker->job->record);
		if (r == -ENOTCONN)
			return has_last_words(worker) ? -EBADMSG : 0;
		if (r < 0) {
			worker_end(worker,
			    "The GPU worker ended the session: the client's command ring is "
			    "malformed");
			return error_trace(r);
		}
		r = serve_record(worker, worker->job);
		if (r < 0) {
			worker_end(worker,
			    "The GPU worker ended the session: bulk data sent for %s %s",
			    name_of(((struct wire_record *)worker->job->record)->id),
			    r == -ENOMEM ? "found no memory on the server"
					 : "is malformed or exceeds session_bulk_limit");
			return error_trace(r);
		}
	}
}

int worker_feed(struct worker *worker, const struct wire_record *record)
{
	if (!worker->job)
		worker->job = job_take(worker);
	if (!worker->job)
		return error_origin(-ENOMEM);
	memcpy(worker->job->record, record, record->size);
	staging_look(worker);
	return error_trace(serve_record(worker, worker->job));
}

/* --- making and ending --- */

static bool make_tables(struct worker *worker)
{
	worker->entry_of_id = calloc(ID_LIMIT, sizeof(*worker->entry_of_id));
	worker->stats = calloc(worker_n_entries, sizeof(*worker->stats));
	if (worker->options.measure)
		worker->times = calloc(worker_n_entries, sizeof(*worker->times));
	worker->lanes = calloc(worker->options.lanes, sizeof(*worker->lanes));
	worker->handles = handles_new(WORKER_HANDLES_BYTES);
	if (!worker->entry_of_id || !worker->stats || !worker->lanes || !worker->handles)
		return false;
	for (size_t i = 0; i < worker_n_entries; i++) {
		const struct api_desc *desc = api_desc_by_id(worker_entries[i].id);
		worker->entry_of_id[worker_entries[i].id] = (uint16_t)(i + 1);
		if (desc)
			worker->stats[i] = chan_stat(worker->chan, (uint32_t)(desc - api_desc));
		if (desc && worker->times)
			worker->times[i] = chan_time(worker->chan, (uint32_t)(desc - api_desc));
	}
	for (uint32_t i = 0; i < worker->options.lanes; i++) {
		worker->lanes[i].index = (uint16_t)i;
		pthread_mutex_init(&worker->lanes[i].lock, NULL);
		pthread_mutex_init(&worker->lanes[i].waiter_lock, NULL);
	}
	return true;
}

struct worker *worker_new(const struct worker_options *options, const struct backend *backend,
    const struct backend_host *host, struct chan *chan)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return NULL;
	worker->options = *options;
	worker->backend = backend;
	worker->host = host;
	worker->chan = chan;
	worker->warm = options->warm;
	worker->crowded = sysconf(_SC_NPROCESSORS_ONLN) < CROWDED;
	pthread_mutex_init(&worker->jobs_lock, NULL);
	pthread_mutex_init(&worker->memory_lock, NULL);
	pthread_mutex_init(&worker->graph_lock, NULL);
	pthread_mutex_init(&worker->end_lock, NULL);
	bool made = make_tables(worker);
	worker->images = made ? image_store_new(options->image_cache, options->ask) : NULL;
	worker->mirrors = worker->images ? mirrors_new() : NULL;
	worker->segments = worker->mirrors ? segments_new(worker) : NULL;
	worker->staging = worker->segments ? staging_new(worker) : NULL;
	worker->layouts = worker->staging ? layouts_new() : NULL;
	worker->prints = worker->layouts ? prints_new() : NULL;
	worker->idle = worker->prints ? idle_new(worker) : NULL;
	worker->issuers = worker->prints ? issuers_new(worker, options->issuers) : NULL;
	worker->ipc = worker->prints ? ipc_new(worker) : NULL;
	worker->callbacks = worker->ipc ? callbacks_new(worker) : NULL;
	worker->gpu_time = worker->callbacks && options->measure_gpu ? gpu_time_new(worker) : NULL;
	if (!worker->callbacks || (options->measure_gpu && !worker->gpu_time))
		return worker_free(worker);
	return worker;
}

static void jobs_free(struct worker *worker)
{
	struct job *job = worker->job;

	if (job)
		job_give(worker, job);
	while (worker->awaits.n)
		job_give(worker, worker->awaits.jobs[--worker->awaits.n]);
	while ((job = job_take_free(worker))) {
		pool_fini(&job->pool);
		free(job->attachment);
		free(job);
	}
}

struct worker *worker_free(struct worker *worker)
{
	if (!worker)
		return NULL;
	if (worker->callbacks)
		callbacks_stop(worker->callbacks);
	worker->issuers = issuers_free(worker->issuers);
	if (worker->lanes)
		waiters_join(worker);
	callbacks_free(worker->callbacks);
	jobs_free(worker);
	gpu_time_free(worker->gpu_time);
	idle_free(worker->idle);
	prints_free(worker->prints);
	layouts_free(worker->layouts);
	staging_free(worker->staging);
	mirrors_free(worker->mirrors);
	image_store_free(worker->images);
	segments_free(worker->segments);
	captures_free(worker);
	links_free(worker);
	ipc_free(worker->ipc);
	graph_memory_free(worker);
	graph_models_free(worker);
	graph_moves_free(worker);
	graph_bodies_free(worker);
	references_free(worker);
	sync_memops_free(worker);
	notifications_free(worker);
	for (uint32_t i = 0; worker->lanes && i < worker->options.lanes; i++) {
		free(worker->lanes[i].streams);
		free(worker->lanes[i].attachment);
		jit_logs_fini(&worker->lanes[i].failed);
		pthread_mutex_destroy(&worker->lanes[i].lock);
		pthread_mutex_destroy(&worker->lanes[i].waiter_lock);
	}
	memory_give_put_aside(worker);
	memory_forget_retained(worker);
	for (unsigned i = 0; i < WIRE_DEVICES_MAX; i++)
		arena_free(worker->arenas[i]);
	handles_free(worker->handles);
	free(worker->lanes);
	free(worker->stats);
	free(worker->times);
	free(worker->entry_of_id);
	pthread_mutex_destroy(&worker->jobs_lock);
	pthread_mutex_destroy(&worker->memory_lock);
	pthread_mutex_destroy(&worker->graph_lock);
	pthread_mutex_destroy(&worker->end_lock);
	free(worker);
	return NULL;
}
