/*
 * Awaiting: calls that have issued their work and end when a stream or an event has got there
 * (call_await_stream(), call_await_event() in call.h). The dispatcher looks at them between records
 * for a while; whoever takes longer goes to its lane's waiter. Dispatcher only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define AWAITS_MAX 16 /* looked at by the dispatcher; more than that wait on their waiters */

struct job;
struct worker;

struct awaits {
	struct job *jobs[AWAITS_MAX];
	unsigned n, next;
};

/* Takes job, which awaits something. False: it is the caller's still, for a waiter. */
bool awaits_add(struct worker *worker, struct job *job);

/* Looks at what is awaited, and at the staging runs under way, until the client has sent something
 * more or nothing is left. Whether the client had sent something already, and nothing else was to do. */
bool awaits_look(struct worker *worker);
