/*
 * Between the dispatcher and each issuer is a queue of one writer and one reader. A stream's issuer
 * follows from its handle by a table that never changes once an entry is used, so that nothing need
 * be known of streams that end.
 *
 * Handing over costs more than a tenth of a launch, and a program with one busy stream gains
 * nothing. So the dispatcher counts how often launches change from one stream to another, and only
 * starts with this when they do so often, and goes on with it for a while when they do no longer:
 * threads that find the ring full take turns of a thousand records.
 *
 * Captures, GPU time and mirrors of managed variables keep state on the dispatcher with every
 * launch; while there are any, it keeps the launches too. The default streams stay with it as well:
 * what is put into the legacy one is ordered with all others.
 *
 * An issuer looks after what it awaits between two jobs as the dispatcher does (await.c), and
 * watches its queue as long as an idle side of a channel watches memory before it sleeps.
 */
#include "worker/issuer.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "gen/api_ids.h"
#include "worker/mirror.h"
#include "worker/waiter.h"
#include "worker/worker.h"

#define QUEUE	   128u /* jobs; a power of two. The driver holds more than that in each stream */
#define WINDOW	   256	/* launches; changes of stream among them that pay: */
#define CHANGES	   4
#define QUIET	   16 /* windows without so many, after which it no longer does */
#define SLOTS	   256u
#define STACK	   (256u << 10)
#define CACHE_LINE 64

struct issuer {
	struct worker *worker;
	pthread_t thread;
	struct job *queue[QUEUE]; /* NULL: hand what is awaited to waiters */
	struct awaits awaits;	  /* the issuer's own */

	_Atomic uint32_t pushed __attribute__((aligned(CACHE_LINE))); /* by the dispatcher */
	_Atomic uint32_t served __attribute__((aligned(CACHE_LINE))); /* by the issuer */

	_Atomic bool asleep __attribute__((aligned(CACHE_LINE)));
	bool stopping; /* under lock */
	pthread_mutex_t lock;
	pthread_cond_t more;
};

struct issuers {
	struct worker *worker;
	unsigned n, n_threads;
	bool refused; /* a thread could not be made: no further try */

	bool pays, busy; /* busy: something was handed over since all was settled */
	unsigned launches, changes, quiet;
	CUstream last;

	uint8_t slots[SLOTS]; /* 1 + the issuer of the streams of a slot, 0: none yet */
	unsigned next;
	struct issuer *issuers;
};

/* --- the issuer's side --- */

static bool has_more(struct issuer *issuer)
{
	/* Acquire: the job behind the new count. Sequentially consistent, since before sleeping it
	 * must not be read earlier than `asleep` is written. */
	return atomic_load_explicit(&issuer->pushed, memory_order_seq_cst) !=
	       atomic_load_explicit(&issuer->served, memory_order_relaxed);
}

/* Until there is more. False: there is not, and never will be. */
static bool rest(struct issuer *issuer)
{
	uint64_t start = clock_now_ns(), patience = issuer->worker->options.spin_ns;

	do {
		if (has_more(issuer))
			return true;
		__builtin_ia32_pause();
	} while (clock_now_ns() - start < patience);
	pthread_mutex_lock(&issuer->lock);
	/* Sequentially consistent, as are the dispatcher's count and its look at this: one of the
	 * two sees what the other wrote. */
	atomic_store_explicit(&issuer->asleep, true, memory_order_seq_cst);
	while (!has_more(issuer) && !issuer->stopping)
		pthread_cond_wait(&issuer->more, &issuer->lock);
	atomic_store_explicit(&issuer->asleep, false, memory_order_relaxed);
	pthread_mutex_unlock(&issuer->lock);
	return has_more(issuer);
}

static void serve(struct issuer *issuer, struct job *job)
{
	struct worker *worker = issuer->worker;

	if (!job)
		awaits_hand_over(worker, &issuer->awaits);
	else if (!job->call.await.on)
		waiter_serve(worker, job);
	else if (!awaits_add(worker, &issuer->awaits, job))
		waiter_take(worker, job);
}

static void *issue(void *argument)
{
	struct issuer *issuer = argument;

	for (;;) {
		if (has_more(issuer)) {
			uint32_t at = atomic_load_explicit(&issuer->served, memory_order_relaxed);
			serve(issuer, issuer->queue[at % QUEUE]);
			/* Release: the dispatcher that sees the count sees what the call has
			 * done. */
			atomic_store_explicit(&issuer->served, at + 1, memory_order_release);
		} else if (!issuer->awaits.n && !rest(issuer)) {
			return NULL;
		}
		if (issuer->awaits.n && awaits_ask(issuer->worker, &issuer->awaits))
			sched_yield();
	}
}

/* --- making and ending --- */

static bool start(struct issuer *issuer, struct worker *worker)
{
	pthread_attr_t attributes;

	issuer->worker = worker;
	issuer->awaits.elsewhere = true;
	pthread_mutex_init(&issuer->lock, NULL);
	pthread_cond_init(&issuer->more, NULL);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	int r = pthread_create(&issuer->thread, &attributes, issue, issuer);
	pthread_attr_destroy(&attributes);
	return r == 0;
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
	issuers->issuers = aligned_alloc(CACHE_LINE, n * sizeof(*issuers->issuers));
	if (!issuers->issuers) {
		free(issuers);
		return NULL;
	}
	memset(issuers->issuers, 0, n * sizeof(*issuers->issuers));
	issuers->worker = worker;
	issuers->n = MIN(n, UINT8_MAX - 1);
	return issuers;
}

static void stop(struct issuer *issuer)
{
	pthread_mutex_lock(&issuer->lock);
	issuer->stopping = true;
	pthread_cond_signal(&issuer->more);
	pthread_mutex_unlock(&issuer->lock);
	pthread_join(issuer->thread, NULL);
	pthread_cond_destroy(&issuer->more);
	pthread_mutex_destroy(&issuer->lock);
}

struct issuers *issuers_free(struct issuers *issuers)
{
	if (!issuers)
		return NULL;
	issuers_rest(issuers->worker);
	for (unsigned i = 0; i < issuers->n_threads; i++)
		stop(&issuers->issuers[i]);
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

static void count_launch(struct issuers *issuers, CUstream stream)
{
	issuers->changes += stream != issuers->last;
	issuers->last = stream;
	if (++issuers->launches < WINDOW)
		return;
	issuers->quiet = issuers->changes >= CHANGES ? 0 : issuers->quiet + 1;
	bool pays =
	    (!issuers->quiet || (issuers->pays && issuers->quiet < QUIET)) && start_all(issuers);
	if (pays != issuers->pays)
		log_debug("launches are issued %s: %u changes of stream in %d launches",
		    pays ? "side by side" : "by the dispatcher", issuers->changes, WINDOW);
	issuers->pays = pays;
	issuers->launches = issuers->changes = 0;
}

static bool may(struct worker *worker, CUstream stream)
{
	return worker->issuers->pays && stream && stream != CU_STREAM_LEGACY && !worker->gpu_time &&
	       /* Relaxed: captures begin and end on this thread. */
	       !atomic_load_explicit(&worker->captures, memory_order_relaxed) &&
	       !mirrors_exist(worker);
}

static struct issuer *issuer_of(struct issuers *issuers, CUstream stream)
{
	uint8_t *slot =
	    &issuers->slots[((uint64_t)stream >> 4) * 0x9e3779b97f4a7c15 >> 32 & (SLOTS - 1)];

	if (!*slot)
		*slot = (uint8_t)(1 + issuers->next++ % issuers->n);
	return &issuers->issuers[*slot - 1];
}

static struct issuer *choose(struct worker *worker, CUstream stream)
{
	if (likely(may(worker, stream)))
		return issuer_of(worker->issuers, stream);
	issuers_settle(worker);
	return NULL;
}

struct issuer *issuers_for_launch(struct call *call, CUstream stream)
{
	struct worker *worker = call->worker;

	if (!worker->issuers)
		return NULL;
	count_launch(worker->issuers, stream);
	return choose(worker, stream);
}

struct issuer *issuers_for_wait(struct call *call, CUstream stream)
{
	return call->worker->issuers ? choose(call->worker, stream) : NULL;
}

static uint32_t unserved(const struct issuer *issuer)
{
	/* Acquire: see issue(). */
	return atomic_load_explicit(&issuer->pushed, memory_order_relaxed) -
	       atomic_load_explicit(&issuer->served, memory_order_acquire);
}

/* Until at most n jobs are. */
static void wait_for(struct issuer *issuer, uint32_t n)
{
	if (likely(unserved(issuer) <= n))
		return;
	chan_wake(issuer->worker->chan); /* this may take its time */
	while (unserved(issuer) > n) {
		if (issuer->worker->crowded)
			sched_yield();
		else
			__builtin_ia32_pause();
	}
}

void issuer_give(struct issuer *issuer, struct job *job)
{
	uint32_t at = atomic_load_explicit(&issuer->pushed, memory_order_relaxed);

	issuer->worker->issuers->busy = true;
	wait_for(issuer, QUEUE - 1);
	issuer->queue[at % QUEUE] = job;
	/* Sequentially consistent: see rest(). It also publishes the job. */
	atomic_store_explicit(&issuer->pushed, at + 1, memory_order_seq_cst);
	if (likely(!atomic_load_explicit(&issuer->asleep, memory_order_seq_cst)))
		return;
	pthread_mutex_lock(&issuer->lock);
	pthread_cond_signal(&issuer->more);
	pthread_mutex_unlock(&issuer->lock);
}

void issuers_settle(struct worker *worker)
{
	struct issuers *issuers = worker->issuers;

	if (likely(!issuers || !issuers->busy))
		return;
	for (unsigned i = 0; i < issuers->n_threads; i++)
		wait_for(&issuers->issuers[i], 0);
	issuers->busy = false;
}

bool issuers_are_settled(const struct worker *worker)
{
	const struct issuers *issuers = worker->issuers;

	for (unsigned i = 0; issuers && issuers->busy && i < issuers->n_threads; i++)
		if (unserved(&issuers->issuers[i]))
			return false;
	return true;
}

void issuers_rest(struct worker *worker)
{
	struct issuers *issuers = worker->issuers;

	for (unsigned i = 0; issuers && i < issuers->n_threads; i++)
		issuer_give(&issuers->issuers[i], NULL);
	issuers_settle(worker);
}
