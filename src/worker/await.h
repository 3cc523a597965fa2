/*
 * Awaiting: calls that have issued their work and end when a stream or an event has got there
 * (call_await_stream() in call.h). The dispatcher looks at them between records
 * for a while, as issuers do between launches; whoever takes longer goes to its lane's waiter. Each
 * list belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define AWAITS_MAX 16 /* looked at by one thread; more than that wait on their waiters */

struct job;
struct worker;

struct awaits {
	struct job *jobs[AWAITS_MAX];
	unsigned n, next;
	bool elsewhere; /* an issuer's, not the dispatcher's */
};

/* Takes job, which awaits something. False: it is the caller's still, for a waiter. */
bool awaits_add(struct worker *worker, struct awaits *awaits, struct job *job);

/* Asks about the next one in turn, of which there must be some. Whether others may run before the
 * one after it. */
bool awaits_ask(struct worker *worker, struct awaits *awaits);

/* All of them go to their waiters. */
void awaits_hand_over(struct worker *worker, struct awaits *awaits);

/* The dispatcher's: looks at what it awaits, and at the staging runs under way, until the client
 * has sent something more or nothing is left. Whether the client had sent something already, and
 * nothing else was to do. */
bool awaits_look(struct worker *worker);
