/*
 * Every call is a job: a private copy of its record, a pool for temporaries, room for the answer.
 * Jobs are reused; one that moves to another thread takes all of that along, and whoever handed it
 * on goes on with another. Any thread, each on jobs that are its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "gen/api_desc.h"
#include "gen/api_ids.h"
#include "worker/gpu_answer.h"
#include "worker/idle.h"
#include "worker/mirror.h"
#include "worker/output.h"
#include "worker/worker.h"

/* --- taking and giving --- */

/* NULL: there is none. Those that were given back are all taken at once, to lock rarely. */
static struct job *take_free(struct worker *worker, struct job **spare)
{
	struct job *job = *spare;

	if (!job) {
		pthread_mutex_lock(&worker->jobs_lock);
		job = worker->free_jobs;
		worker->free_jobs = NULL;
		pthread_mutex_unlock(&worker->jobs_lock);
	}
	if (job)
		*spare = job->next;
	return job;
}

struct job *job_take(struct worker *worker, struct job **spare)
{
	struct job *job = take_free(worker, spare);

	if (job)
		return job;
	job = aligned_alloc(16, align_up(sizeof(*job), 16));
	if (!job)
		return NULL;
	memset(job, 0, offsetof(struct job, scratch));
	pool_init(&job->pool, worker->options.bulk_limit);
	return job;
}

void job_give(struct worker *worker, struct job *job)
{
	pthread_mutex_lock(&worker->jobs_lock);
	job->next = worker->free_jobs;
	worker->free_jobs = job;
	pthread_mutex_unlock(&worker->jobs_lock);
}

void jobs_free(struct worker *worker)
{
	struct job *spare = NULL, *job;

	while ((job = take_free(worker, &spare))) {
		pool_fini(&job->pool);
		free(job->attachment);
		free(job);
	}
}

/* --- ending --- */

static void add(_Atomic uint64_t *counter, uint64_t amount)
{
	/* Relaxed: a counter for people, no other memory hangs on it. */
	atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

/* The time; 0: nobody looked at the clock. */
static uint64_t count(struct worker *worker, struct job *job, CUresult result)
{
	if (!job->stat)
		return 0;
	uint64_t now = clock_now_ns();
	add(&job->stat->messages, 1);
	add(&job->stat->worker_ns, now - job->from.started_ns);
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
	    .taken_ns = job->from.started_ns,
	    .worker_ns = (uint32_t)MIN(clock_now_ns() - job->from.started_ns, UINT32_MAX),
	    .driver_ns = (uint32_t)MIN(job->driver_ns, UINT32_MAX),
	};

	chan_reply_times(worker->chan, job->from.lane->index, &times);
}

static void answer(
    struct worker *worker, struct job *job, CUresult result, job_commit_reply *commit)
{
	const struct wire_record *record = (const void *)job->record;
	struct wire_writer *writer = &job->call.writer;
	struct wire_writer empty = {0};

	if (unlikely(job->gpu_answers) && gpu_answer_came(job)) {
		chan_reply_ring(worker->chan, job->from.lane->index);
		return;
	}
	if (!(record->flags & WIRE_F_REPLY)) {
		if (result != CUDA_SUCCESS)
			chan_post_error(worker->chan, result);
		return;
	}
	if (result == CUDA_SUCCESS && writer->failed) {
		log_warn("the answer of %s did not fit the room its caller made",
		    worker_function_name(record->id));
		result = CUDA_ERROR_UNKNOWN;
	}
	mirrors_settle(worker);
	if (job->bulk.size || result != CUDA_SUCCESS) {
		empty = chan_reply_begin(worker->chan, job->from.lane->index);
		writer = &empty;
	}
	uint32_t status = result;
	if (worker->options.output && unlikely(output_pending()) && record->id != API_rosenOutput)
		status |= WIRE_STATUS_OUTPUT;
	if (unlikely(worker->options.measure))
		tell_times(worker, job);
	commit(worker->chan, job->from.lane->index, record->seq, status, writer);
}

uint64_t job_close(
    struct worker *worker, struct job *job, CUresult result, job_commit_reply *commit)
{
	const struct wire_record *record = (const void *)job->record;

	if (unlikely(result == CALL_MALFORMED)) {
		worker_end(worker,
		    "The GPU worker ended the session: a malformed record for %s came from the "
		    "client",
		    worker_function_name(record->id));
		result = CUDA_ERROR_INVALID_VALUE;
	}
	idle_ended(worker, job);
	uint64_t now = count(worker, job, result);
	answer(worker, job, result, commit);
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

/* --- opening --- */

/* Sets where the payload is read from and where the outputs go. */
static int open_payload(struct worker *worker, struct job *job)
{
	const struct wire_record *record = (const void *)job->record;
	struct lane *lane = job->from.lane;
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

int job_open(struct worker *worker, struct job *job, const struct job_origin *from)
{
	const struct wire_record *record = (const void *)job->record;

	job->from = *from;
	job->driver_ns = 0;
	job->away = false;
	int r = error_trace(open_payload(worker, job));
	if (r < 0)
		return r;
	job->call.worker = worker;
	job->call.lane = from->lane;
	job->call.backend = worker->backend;
	job->call.pool = &job->pool;
	job->call.flags = record->flags;
	job->call.error = CUDA_SUCCESS;
	job->call.finish = NULL;
	job->call.await.on = false;
	job->call.issued = false;
	job->gpu_answers = false;
	unsigned entry = record->id < WORKER_IDS ? worker->entry_of_id[record->id] : 0;
	job->entry = entry ? &worker_entries[entry - 1] : NULL;
	job->stat = entry ? worker->stats[entry - 1] : NULL;
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
