/*
 * Waiters: the threads that wait for the GPU in the dispatcher's place, one per lane, made when the
 * lane first needs one. A waiter serves its lane's jobs one after the other.
 */
#pragma once

struct job;
struct lane;
struct worker;

/* Hands job to its lane's waiter; where there is none to be had the job ends with an error. Blocks
 * while WORKER_JOBS_MAX are queued. Dispatcher and issuers. */
void waiter_take(struct worker *worker, struct job *job);

/* The lane's waiter ends when its queue is empty; a later job gets a new one. Dispatcher only. */
void waiter_retire(struct lane *lane);

/* Waits for all waiters to run dry and end. */
void waiters_join(struct worker *worker);
