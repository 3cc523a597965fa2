/*
 * The dispatcher hands a call here when it may wait for the GPU; the call's job, with its private
 * record and pool, changes owner through the queue. The waiter makes the lane's context current (it
 * is the client thread's stand-in), runs the rest, answers, and looks for more.
 *
 * A client thread that waits for an answer sends nothing else, so queues are nearly always of
 * length one; a client that breaks this finds the dispatcher waiting with it. Threads are detached
 * from the lane by waiter_retire(): the struct belongs to the thread from then on, except that
 * waiters_join() counts the living.
 */
#include "worker/waiter.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "worker/gpu_time.h"
#include "worker/idle.h"
#include "worker/worker.h"

#define WAITER_STACK (1u << 20) /* GPU drivers want room */

struct waiter {
	struct worker *worker;
	struct lane *lane;
	pthread_mutex_t lock;
	pthread_cond_t more, room; /* a job came or it shall end; a job was taken */
	struct job *first, **last;
	_Atomic unsigned n_jobs; /* changed under lock, watched without */
	bool retired;
	bool eager; /* the last job came soon: worth watching for the next. The thread's own */
};

/* Waiters alive, over all workers of the process: joined in tests, never in a session. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t fewer;
	unsigned n;
} alive = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static void count(int change)
{
	pthread_mutex_lock(&alive.lock);
	alive.n += (unsigned)change;
	pthread_cond_broadcast(&alive.fewer);
	pthread_mutex_unlock(&alive.lock);
}

static void serve(struct worker *worker, struct job *job)
{
	CUresult r = lane_enter(worker, job->from.context, job->from.capture_mode);

	if (r == CUDA_SUCCESS)
		r = job_serve(job);
	if (r == CALL_CONTINUES) /* a first half that came here because of `blocks` */
		r = job_serve(job);
	gpu_time_harvest(&job->call);
	job_end(worker, job, r);
}

/*
 * Programs synchronise in loops, and waking a thread costs more than most waits for the GPU. So a
 * waiter watches for its next job for as long as a channel's side watches memory, if the one
 * before came that soon.
 */
static void watch(struct waiter *waiter)
{
	uint64_t patience = waiter->worker->options.spin_ns, start = clock_now_ns();

	while (waiter->eager && clock_now_ns() - start < patience) {
		/* Relaxed: the lock is taken before the queue is looked at. */
		if (atomic_load_explicit(&waiter->n_jobs, memory_order_relaxed))
			return;
		if (waiter->worker->crowded)
			sched_yield();
		else
			__builtin_ia32_pause();
	}
}

/* NULL: the waiter is retired and has nothing left. */
static struct job *next_job(struct waiter *waiter)
{
	uint64_t start = clock_now_ns();

	watch(waiter);
	pthread_mutex_lock(&waiter->lock);
	while (!waiter->first && !waiter->retired)
		pthread_cond_wait(&waiter->more, &waiter->lock);
	struct job *job = waiter->first;
	if (job) {
		waiter->first = job->next;
		if (!waiter->first)
			waiter->last = &waiter->first;
		waiter->n_jobs--;
		pthread_cond_signal(&waiter->room);
	}
	pthread_mutex_unlock(&waiter->lock);
	waiter->eager = clock_now_ns() - start < 2 * waiter->worker->options.spin_ns;
	return job;
}

static struct waiter *waiter_free(struct waiter *waiter)
{
	pthread_cond_destroy(&waiter->more);
	pthread_cond_destroy(&waiter->room);
	pthread_mutex_destroy(&waiter->lock);
	free(waiter);
	return NULL;
}

static void *waiter_thread(void *argument)
{
	struct waiter *waiter = argument;
	struct job *job;

	while ((job = next_job(waiter)))
		serve(waiter->worker, job);
	waiter_free(waiter);
	count(-1);
	return NULL;
}

static int start_thread(struct waiter *waiter)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, WAITER_STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	count(1);
	int r = pthread_create(&thread, &attributes, waiter_thread, waiter);
	pthread_attr_destroy(&attributes);
	if (r)
		count(-1);
	return r ? error_origin(-r) : 0;
}

static struct waiter *waiter_new(struct worker *worker, struct lane *lane)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return NULL;
	waiter->worker = worker;
	waiter->lane = lane;
	waiter->last = &waiter->first;
	pthread_mutex_init(&waiter->lock, NULL);
	pthread_cond_init(&waiter->more, NULL);
	pthread_cond_init(&waiter->room, NULL);
	return start_thread(waiter) < 0 ? waiter_free(waiter) : waiter;
}

/* Under the lane's waiter_lock: a waiter that retires is gone as soon as it likes. 0 or a negative
 * errno, and then the job is still the caller's. */
static int submit(struct worker *worker, struct lane *lane, struct job *job)
{
	if (!lane->waiter)
		lane->waiter = waiter_new(worker, lane);
	struct waiter *waiter = lane->waiter;
	if (!waiter)
		return error_origin(-ENOMEM);
	job->next = NULL;
	pthread_mutex_lock(&waiter->lock);
	while (waiter->n_jobs >= WORKER_JOBS_MAX)
		pthread_cond_wait(&waiter->room, &waiter->lock);
	*waiter->last = job;
	waiter->last = &job->next;
	waiter->n_jobs++;
	pthread_cond_signal(&waiter->more);
	pthread_mutex_unlock(&waiter->lock);
	return 0;
}

void waiter_take(struct worker *worker, struct job *job)
{
	struct lane *lane = job->from.lane; /* the job is the waiter's soon */

	idle_leaves(worker, job);
	if (unlikely(worker->options.no_waiters)) {
		serve(worker, job);
		return;
	}
	pthread_mutex_lock(&lane->waiter_lock);
	int r = submit(worker, lane, job);
	pthread_mutex_unlock(&lane->waiter_lock);
	if (r < 0) {
		log_error("no thread could be made to wait for the GPU");
		job_end(worker, job, CUDA_ERROR_OUT_OF_MEMORY);
	}
}

void waiter_retire(struct lane *lane)
{
	pthread_mutex_lock(&lane->waiter_lock);
	struct waiter *waiter = lane->waiter;
	lane->waiter = NULL;
	pthread_mutex_unlock(&lane->waiter_lock);
	if (!waiter)
		return;
	pthread_mutex_lock(&waiter->lock);
	waiter->retired = true;
	pthread_cond_signal(&waiter->more);
	pthread_mutex_unlock(&waiter->lock);
}

void waiters_join(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->options.lanes; i++)
		waiter_retire(&worker->lanes[i]);
	pthread_mutex_lock(&alive.lock);
	while (alive.n)
		pthread_cond_wait(&alive.fewer, &alive.lock);
	pthread_mutex_unlock(&alive.lock);
}
