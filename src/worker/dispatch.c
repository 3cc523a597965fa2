/*
 * The dispatcher: takes records from the ring in the order in which the client's threads put them
 * there, and has each served at once, so that the GPU sees work in that order. It never waits for
 * the GPU: functions marked `blocks`, and the second halves of those that call_continue(), go to
 * the lane's waiter. Those that await a stream or an event it looks after itself for a while
 * (await.c), and launches of several busy streams go to threads of their own (issuer.c). Each call
 * is a job (job.c), into which chan_next() copies its record.
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
#include "worker/graph_host.h"
#include "worker/graph_memory.h"
#include "worker/graph_model.h"
#include "worker/graph_move.h"
#include "worker/idle.h"
#include "worker/image_store.h"
#include "worker/ipc.h"
#include "worker/issuer.h"
#include "worker/layout.h"
#include "worker/memory.h"
#include "worker/mirror.h"
#include "worker/prints.h"
#include "worker/reference.h"
#include "worker/reservation.h"
#include "worker/segment.h"
#include "worker/staging.h"
#include "worker/sync_memops.h"
#include "worker/waiter.h"
#include "worker/worker.h"

#define CROWDED 4 /* client, dispatcher, waiter, and whatever else runs */

const char *worker_function_name(uint32_t id)
{
	const struct api_desc *desc = api_desc_by_id(id);

	return desc ? desc->name : "an unknown function";
}

void worker_end(struct worker *worker, const char *format, ...)
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

/* --- serving --- */

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
			: lane_enter(worker, job->from.context, job->from.capture_mode);
		if (r == CUDA_SUCCESS)
			r = job_serve(job);
	}
	if (r == CALL_PASSED_ON) {
		pool_reset(&job->pool);
		worker->job = job;
	} else if (r != CALL_CONTINUES) {
		worker->now_ns = job_close(worker, job, r, chan_reply_commit_soon);
		worker->job = job;
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

static struct job_origin origin_of(struct worker *worker, struct lane *lane)
{
	struct job_origin from = {
	    .lane = lane,
	    .context = (CUcontext)handles_find(worker->handles, HANDLE_CONTEXT, lane->context_id),
	    .capture_mode = lane_capture_mode(worker, lane),
	    /* A record that was there when the last one ended needs no look at the clock. */
	    .started_ns = worker->now_ns ?: clock_now_ns(),
	};

	worker->now_ns = 0;
	return from;
}

static int serve_record(struct worker *worker, struct job *job)
{
	const struct wire_record *record = (const void *)job->record;
	struct job_origin from = origin_of(worker, &worker->lanes[record->lane]);

	if (record->id == WIRE_ID_ATTACH)
		return error_trace(attach(worker, from.lane, job));
	int r = job_open(worker, job, &from);
	if (r < 0)
		return r;
	if (unlikely(!job->entry)) {
		serve_unknown(worker, job, record->id);
		return 0;
	}
	idle_record(worker, job);
	run(worker, job);
	return 0;
}

int worker_run(struct worker *worker)
{
	for (;;) {
		if (!worker->job)
			worker->job = job_take(worker, &worker->spare_jobs);
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
			    worker_function_name(((struct wire_record *)worker->job->record)->id),
			    r == -ENOMEM ? "found no memory on the server"
					 : "is malformed or exceeds session_bulk_limit");
			return error_trace(r);
		}
	}
}

int worker_feed(struct worker *worker, const struct wire_record *record)
{
	if (!worker->job)
		worker->job = job_take(worker, &worker->spare_jobs);
	if (!worker->job)
		return error_origin(-ENOMEM);
	memcpy(worker->job->record, record, record->size);
	staging_look(worker);
	return error_trace(serve_record(worker, worker->job));
}

/* --- making and ending --- */

static bool make_tables(struct worker *worker)
{
	worker->entry_of_id = calloc(WORKER_IDS, sizeof(*worker->entry_of_id));
	worker->stats = calloc(worker_n_entries, sizeof(*worker->stats));
	if (worker->options.measure)
		worker->times = calloc(worker_n_entries, sizeof(*worker->times));
	worker->lanes = lanes_new(worker->options.lanes);
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
	return true;
}

struct worker *worker_new(const struct worker_options *options, const struct backend *backend,
    const struct backend_host *host, struct chan *chan)
{
	struct worker *worker = aligned_alloc(alignof(struct worker), sizeof(*worker));

	if (!worker)
		return NULL;
	memset(worker, 0, sizeof(*worker));
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

static void give_all_jobs(struct worker *worker)
{
	struct job *job;

	if (worker->job)
		job_give(worker, worker->job);
	while (worker->awaits.n)
		job_give(worker, worker->awaits.jobs[--worker->awaits.n]);
	while ((job = worker->spare_jobs)) {
		worker->spare_jobs = job->next;
		job_give(worker, job);
	}
}

struct worker *worker_free(struct worker *worker)
{
	if (!worker)
		return NULL;
	if (worker->callbacks)
		callbacks_stop(worker->callbacks);
	issuers_stop(worker);
	if (worker->lanes)
		waiters_join(worker);
	worker->issuers = issuers_free(worker->issuers);
	graph_hosts_free(worker);
	callbacks_free(worker->callbacks);
	give_all_jobs(worker);
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
	reservations_free(worker);
	graph_moves_free(worker);
	graph_bodies_free(worker);
	references_free(worker);
	sync_memops_free(worker);
	notifications_free(worker);
	lanes_free(worker->lanes, worker->options.lanes);
	memory_give_put_aside(worker);
	memory_forget_retained(worker);
	for (unsigned i = 0; i < WIRE_DEVICES_MAX; i++)
		arena_free(worker->arenas[i]);
	handles_free(worker->handles);
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
