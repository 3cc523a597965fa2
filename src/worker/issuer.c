/*
 * What moves between processors is what handing over costs: a job has ten cache lines, and fetching
 * them took the dispatcher a microsecond. So an issuer is given the record as it came, a few lines
 * in a row (issue_queue.h), and decodes it once more, in a job of its own. Nothing else can have
 * changed what the ids in it stand for meanwhile, since every other call waits for the issuers.
 *
 * The driver takes launches into one stream after the other a third faster than into streams in
 * turn. So an issuer has several queues, its tracks, each for some of its streams (issue_table.h),
 * and serves one for a while before it turns to the next. A stream changes tracks only while all it
 * was given is in it.
 *
 * A program with one busy stream gains nothing. So the dispatcher counts how often launches change
 * from one stream to another, only starts with this when they do so often, and goes on with it for
 * a while when they do no longer: threads that find the ring full take turns. Who waits does not
 * fill it: a few waits between which the stream did not change, and the launches are the
 * dispatcher's again.
 *
 * Captures, GPU time and mirrors of managed variables keep state on the dispatcher with every
 * launch; while there are any, it keeps the launches too. The default streams stay with it as well:
 * what is put into the legacy one is ordered with all others.
 *
 * An issuer looks after what it awaits between two records as the dispatcher does (await.c), and
 * watches its queues as long as an idle side of a channel watches memory before it sleeps.
 */
#include "worker/issuer.h"

#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "gen/api_ids.h"
#include "worker/issue_queue.h"
#include "worker/issue_table.h"
#include "worker/mirror.h"
#include "worker/waiter.h"
#include "worker/worker.h"

#define WINDOW	  256 /* launches; changes of stream among them that pay: */
#define CHANGES	  4
#define QUIET	  16	     /* windows without so many, after which it no longer does; */
#define ALONE	  16	     /* waits in a row without any, likewise */
#define WAITS	  64	     /* in a window: its streams are all that are busy */
#define RING_EACH 32	     /* records handed over */
#define STACK	  (1u << 20) /* GPU drivers want room */
#define IN_ROW	  32	     /* records of one track before another's turn */

/* A record behind it, as it came from the ring. */
struct handed {
	struct job_origin from; /* no lane: hand what is awaited to waiters, and no record */
};

/* Records of some streams. */
struct issue_track {
	struct issue_queue queue;
	struct issuer *issuer;
};

struct issuer {
	struct issue_track tracks[ISSUE_TRACKS];
	struct worker *worker;
	pthread_t thread;

	/* the issuer's own */
	struct job *job, *spare;
	struct awaits awaits;
	unsigned track, in_row; /* whose turn it is, records served since it is */

	alignas(WORKER_APART) _Atomic bool asleep;
	bool stopping; /* under lock */
	pthread_mutex_t lock;
	pthread_cond_t more;
};

struct issuers {
	struct worker *worker;
	unsigned n, n_threads;
	bool refused; /* a thread could not be made: no further try */

	bool pays, busy; /* busy: something was handed over since all was settled */
	uint64_t unrung; /* issuers who were given something and may sleep, by bit */
	unsigned n_unrung;
	unsigned changes; /* of stream, so far: */
	unsigned launches, waits, window_changes, quiet;
	unsigned alone, waited_changes; /* waits in a row without any; at the last one */
	CUstream last;

	struct issue_table table;
	struct issuer *issuers;
};

/* --- the issuer's side --- */

static struct issue_queue *current(struct issuer *issuer)
{
	return &issuer->tracks[issuer->track].queue;
}

/* What is to be served next, of the current queue; NULL: there is nothing yet. */
static const struct handed *next(struct issuer *issuer)
{
	const struct handed *handed = NULL;

	if (issuer->in_row++ < IN_ROW && (handed = issue_queue_next(current(issuer))))
		return handed;
	for (unsigned i = 0; i < ISSUE_TRACKS && !handed; i++) {
		issuer->track = (issuer->track + 1) % ISSUE_TRACKS;
		handed = issue_queue_next(current(issuer));
	}
	issuer->in_row = 1;
	return handed;
}

/* Until there is more. NULL: there is not, and never will be. */
static const struct handed *rest(struct issuer *issuer)
{
	uint64_t start = clock_now_ns(), patience = issuer->worker->options.spin_ns;
	const struct handed *handed;

	do {
		handed = next(issuer);
		if (handed)
			return handed;
		__builtin_ia32_pause();
	} while (clock_now_ns() - start < patience);
	pthread_mutex_lock(&issuer->lock);
	atomic_store_explicit(&issuer->asleep, true, memory_order_relaxed);
	/* The store must not pass the look at the queue; the other side's fence is
	 * issuers_ring()'s: one of the two sees what the other wrote. */
	atomic_thread_fence(memory_order_seq_cst);
	while (!(handed = next(issuer)) && !issuer->stopping)
		pthread_cond_wait(&issuer->more, &issuer->lock);
	atomic_store_explicit(&issuer->asleep, false, memory_order_relaxed);
	pthread_mutex_unlock(&issuer->lock);
	return handed;
}

/* The job goes on to where it waits, and the issuer with another. */
static void move_on(struct issuer *issuer, struct job *job)
{
	struct job *another = job_take(issuer->worker, &issuer->spare);

	if (!another) {
		job_close(issuer->worker, job, CUDA_ERROR_OUT_OF_MEMORY, chan_reply_commit);
		return;
	}
	issuer->job = another;
	if (!awaits_add(issuer->worker, &issuer->awaits, job))
		waiter_take(issuer->worker, job);
}

static void serve(struct issuer *issuer, const struct handed *handed)
{
	const struct wire_record *record = (const void *)(handed + 1);
	struct worker *worker = issuer->worker;
	struct job *job = issuer->job;

	if (!handed->from.lane) {
		awaits_hand_over(worker, &issuer->awaits);
		return;
	}
	memcpy(job->record, record, record->size);
	job_open(worker, job, &handed->from); /* as it did on the dispatcher */
	job->call.issued = true;
	CUresult r = lane_enter(worker, job->from.context, job->from.capture_mode);
	if (r == CUDA_SUCCESS)
		r = job_serve(job);
	if (r == CALL_CONTINUES)
		move_on(issuer, job);
	else
		job_close(worker, job, r, chan_reply_commit);
}

static void *issue(void *argument)
{
	struct issuer *issuer = argument;

	for (;;) {
		const struct handed *handed = next(issuer);
		if (!handed && !issuer->awaits.n && !(handed = rest(issuer)))
			return NULL;
		if (handed) {
			serve(issuer, handed);
			issue_queue_take(current(issuer));
		}
		if (issuer->awaits.n && awaits_ask(issuer->worker, &issuer->awaits))
			sched_yield();
	}
}

/* --- making and ending --- */

static bool start_thread(struct issuer *issuer)
{
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	int r = pthread_create(&issuer->thread, &attributes, issue, issuer);
	pthread_attr_destroy(&attributes);
	return r == 0;
}

static void issuer_fini(struct issuer *issuer)
{
	struct job *job;

	if (issuer->job)
		job_give(issuer->worker, issuer->job);
	while ((job = issuer->spare)) {
		issuer->spare = job->next;
		job_give(issuer->worker, job);
	}
	for (unsigned i = 0; i < ISSUE_TRACKS; i++)
		issue_queue_fini(&issuer->tracks[i].queue);
	pthread_cond_destroy(&issuer->more);
	pthread_mutex_destroy(&issuer->lock);
}

static bool start(struct issuer *issuer, struct worker *worker)
{
	issuer->worker = worker;
	issuer->awaits.elsewhere = true;
	pthread_mutex_init(&issuer->lock, NULL);
	pthread_cond_init(&issuer->more, NULL);
	issuer->job = job_take(worker, &issuer->spare);
	bool made = issuer->job;
	for (unsigned i = 0; i < ISSUE_TRACKS && made; i++) {
		issuer->tracks[i].issuer = issuer;
		made = issue_queue_init(&issuer->tracks[i].queue) == 0;
	}
	if (made && start_thread(issuer))
		return true;
	issuer_fini(issuer);
	return false;
}

static bool start_all(struct issuers *issuers)
{
	if (issuers->n_threads == issuers->n)
		return true;
	if (issuers->refused)
		return false;
	while (issuers->n_threads < issuers->n) {
		if (!start(&issuers->issuers[issuers->n_threads], issuers->worker)) {
			log_warn("no thread could be made to issue launches: the dispatcher issues "
				 "them all");
			issuers->refused = true;
			return false;
		}
		issuers->n_threads++;
	}
	return true;
}

struct issuers *issuers_new(struct worker *worker, unsigned n)
{
	struct issuers *issuers = n ? calloc(1, sizeof(*issuers)) : NULL;

	if (!issuers)
		return NULL;
	issuers->n = issuers->table.n_issuers = MIN(n, ISSUERS_MOST);
	issuers->issuers = aligned_alloc(WORKER_APART, issuers->n * sizeof(*issuers->issuers));
	if (!issuers->issuers) {
		free(issuers);
		return NULL;
	}
	memset(issuers->issuers, 0, issuers->n * sizeof(*issuers->issuers));
	issuers->worker = worker;
	return issuers;
}

static void stop(struct issuer *issuer)
{
	pthread_mutex_lock(&issuer->lock);
	issuer->stopping = true;
	pthread_cond_signal(&issuer->more);
	pthread_mutex_unlock(&issuer->lock);
	pthread_join(issuer->thread, NULL);
	issuer_fini(issuer);
}

void issuers_stop(struct worker *worker)
{
	struct issuers *issuers = worker->issuers;

	if (!issuers)
		return;
	issuers_rest(worker);
	while (issuers->n_threads)
		stop(&issuers->issuers[--issuers->n_threads]);
}

struct issuers *issuers_free(struct issuers *issuers)
{
	if (!issuers)
		return NULL;
	free(issuers->issuers);
	free(issuers);
	return NULL;
}

/* --- the dispatcher's side --- */

bool issuers_know(uint32_t id)
{
	return id == API_cuLaunchKernel || id == API_cuLaunchKernelEx ||
	       id == API_cuStreamSynchronize;
}

static struct issue_track *track_at(struct issuers *issuers, unsigned i)
{
	return &issuers->issuers[i % issuers->n].tracks[i / issuers->n];
}

static struct issue_track *track_of(struct issuers *issuers, CUstream stream)
{
	struct issue_slot *slot = issue_table_give(&issuers->table, stream);
	struct issue_track *track = track_at(issuers, slot->track - 1u);

	if (likely(slot->next == slot->track) || !issue_queue_is_empty(&track->queue))
		return track;
	slot->track = slot->next;
	return track_at(issuers, slot->track - 1u);
}

static void count_launch(struct issuers *issuers, CUstream stream)
{
	issuers->changes += stream != issuers->last;
	issuers->last = stream;
	if (++issuers->launches < WINDOW)
		return;
	unsigned changes = issuers->changes - issuers->window_changes;
	issuers->quiet = changes >= CHANGES ? 0 : issuers->quiet + 1;
	bool pays =
	    (!issuers->quiet || (issuers->pays && issuers->quiet < QUIET)) && start_all(issuers);
	if (pays != issuers->pays)
		log_debug("launches are issued %s: %u changes of stream in %d launches",
		    pays ? "side by side" : "by the dispatcher", changes, WINDOW);
	if (pays)
		issue_table_balance(&issuers->table, issuers->waits >= WAITS);
	issuers->pays = pays;
	issuers->launches = issuers->waits = 0;
	issuers->window_changes = issuers->changes;
}

static void count_wait(struct issuers *issuers)
{
	issuers->alone = issuers->changes == issuers->waited_changes ? issuers->alone + 1 : 0;
	issuers->waited_changes = issuers->changes;
	issuers->waits++;
	if (likely(!issuers->pays || issuers->alone < ALONE))
		return;
	log_debug("launches are issued by the dispatcher: one stream is waited for");
	issuers->pays = false;
	issuers->quiet = QUIET;
}

static bool may(struct call *call, CUstream stream)
{
	struct worker *worker = call->worker;

	return worker->issuers->pays && stream && stream != CU_STREAM_LEGACY && !worker->gpu_time &&
	       /* What is not all in the record. */
	       !(call->flags & (WIRE_F_ATTACHED | WIRE_F_BULK_REPLY)) &&
	       /* Relaxed: captures begin and end on this thread. */
	       !atomic_load_explicit(&worker->captures, memory_order_relaxed) &&
	       !mirrors_exist(worker);
}

static struct issue_track *choose(struct call *call, CUstream stream)
{
	if (likely(may(call, stream)))
		return track_of(call->worker->issuers, stream);
	issuers_settle(call->worker);
	return NULL;
}

struct issue_track *issuers_for_launch(struct call *call, CUstream stream)
{
	if (!call->worker->issuers)
		return NULL;
	count_launch(call->worker->issuers, stream);
	return choose(call, stream);
}

struct issue_track *issuers_for_wait(struct call *call, CUstream stream)
{
	if (!call->worker->issuers)
		return NULL;
	count_wait(call->worker->issuers);
	return choose(call, stream);
}

static void wake(struct issuer *issuer)
{
	/* Relaxed: see rest(), whose lock also covers the time until it sleeps. */
	if (likely(!atomic_load_explicit(&issuer->asleep, memory_order_relaxed)))
		return;
	pthread_mutex_lock(&issuer->lock);
	pthread_cond_signal(&issuer->more);
	pthread_mutex_unlock(&issuer->lock);
}

void issuers_ring(struct worker *worker)
{
	struct issuers *issuers = worker->issuers;

	if (likely(!issuers || !issuers->unrung))
		return;
	atomic_thread_fence(memory_order_seq_cst); /* see rest() */
	for (; issuers->unrung; issuers->unrung &= issuers->unrung - 1)
		wake(&issuers->issuers[__builtin_ctzll(issuers->unrung)]);
	issuers->n_unrung = 0;
}

static void pause_for(struct worker *worker)
{
	if (worker->crowded)
		sched_yield();
	else
		__builtin_ia32_pause();
}

static struct handed *room(struct issue_track *track, size_t size)
{
	struct worker *worker = track->issuer->worker;
	struct handed *handed = issue_queue_room(&track->queue, size);

	if (likely(handed))
		return handed;
	issuers_ring(worker);
	chan_wake(worker->chan); /* this may take its time */
	while (!(handed = issue_queue_room(&track->queue, size)))
		pause_for(worker);
	return handed;
}

static void put(struct issue_track *track, size_t size)
{
	struct issuer *issuer = track->issuer;
	struct issuers *issuers = issuer->worker->issuers;

	issue_queue_put(&track->queue, size);
	issuers->busy = true;
	issuers->unrung |= 1ull << (issuer - issuers->issuers);
	if (++issuers->n_unrung >= RING_EACH)
		issuers_ring(issuer->worker);
}

CUresult issuer_give(struct issue_track *track, struct call *call)
{
	const struct job *job = call_job(call);
	const struct wire_record *record = (const void *)job->record;
	size_t size = sizeof(struct handed) + record->size;
	struct handed *handed = room(track, size);

	handed->from = job->from;
	memcpy(handed + 1, record, record->size);
	put(track, size);
	return CALL_PASSED_ON;
}

static struct issue_queue *queue_of(const struct issuers *issuers, unsigned i)
{
	return &issuers->issuers[i / ISSUE_TRACKS].tracks[i % ISSUE_TRACKS].queue;
}

void issuers_settle(struct worker *worker)
{
	struct issuers *issuers = worker->issuers;

	if (likely(!issuers || !issuers->busy))
		return;
	issuers_ring(worker);
	if (!issuers_are_settled(worker))
		chan_wake(worker->chan); /* this may take its time */
	while (!issuers_are_settled(worker))
		pause_for(worker);
	issuers->busy = false;
}

bool issuers_are_settled(struct worker *worker)
{
	struct issuers *issuers = worker->issuers;

	for (unsigned i = 0; issuers && issuers->busy && i < issuers->n_threads * ISSUE_TRACKS; i++)
		if (!issue_queue_is_empty(queue_of(issuers, i)))
			return false;
	return true;
}

uint64_t issuers_progress(const struct worker *worker)
{
	const struct issuers *issuers = worker->issuers;
	uint64_t sum = 0;

	for (unsigned i = 0; issuers && i < issuers->n * ISSUE_TRACKS; i++)
		sum += issue_queue_taken(queue_of(issuers, i));
	return sum;
}

void issuers_rest(struct worker *worker)
{
	struct issuers *issuers = worker->issuers;

	issuers_settle(worker);
	for (unsigned i = 0; issuers && i < issuers->n_threads; i++) {
		struct issue_track *track = &issuers->issuers[i].tracks[0];
		room(track, sizeof(struct handed))->from.lane = NULL;
		put(track, sizeof(struct handed));
	}
	issuers_settle(worker);
}
