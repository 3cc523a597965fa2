/*
 * Issuers: threads that put launches into streams beside the dispatcher. The driver takes some
 * microseconds for a launch, and takes launches into several streams at the same time; a dispatcher
 * alone is the limit of a program whose threads each have a stream.
 *
 * CUDA orders what is put into one stream, and nothing between streams but by calls that name both.
 * So the launches of a stream, and the waits for it, all go to one issuer, in their order; before
 * any other call is served, all that was handed over is in its stream. To the backend the order is
 * the ring's wherever a program can tell. One that has set CUDA_DEVICE_MAX_CONNECTIONS can tell
 * between streams too, and its worker has no issuers (main.c).
 *
 * Dispatcher only, unless said otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "worker/call.h"

struct issue_track;
struct issuers;

/* n threads at most, made when they first pay. NULL: none, or out of memory. */
struct issuers *issuers_new(struct worker *worker, unsigned n);
/* Serves what was handed over and ends the threads; what is awaited yet goes to waiters. */
void issuers_stop(struct worker *worker);
struct issuers *issuers_free(struct issuers *issuers);

/* Whether calls of function id look after their order themselves, with the two functions below; for
 * all others issuers_settle() comes first. */
bool issuers_know(uint32_t id);

/* Who shall put a launch into stream, or wait for it, in the dispatcher's place. NULL: the
 * dispatcher itself, and then all that was handed over for stream is in it. */
struct issue_track *issuers_for_launch(struct call *call, CUstream stream);
struct issue_track *issuers_for_wait(struct call *call, CUstream stream);

/* Hands call's record over, and gives what the call returns then. Blocks while the issuer has too
 * many. The issuer may sleep until issuers_ring(), which is due before the dispatcher waits. */
CUresult issuer_give(struct issue_track *track, struct call *call);
void issuers_ring(struct worker *worker);

/* Returns when all that was handed over is in its stream. */
void issuers_settle(struct worker *worker);
/* Whether it is. */
bool issuers_are_settled(struct worker *worker);
/* Grows with everything that was put into a stream. Any thread. */
uint64_t issuers_progress(const struct worker *worker);

/* The same as issuers_settle(), and what issuers wait for goes to waiters: before a capture begins,
 * during which nothing may be asked. */
void issuers_rest(struct worker *worker);
