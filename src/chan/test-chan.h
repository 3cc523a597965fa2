/*
 * What the channel's tests share: a client and a worker over memfd (two threads, or two processes),
 * and a small worker that answers.
 */
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include "chan/chan.h"
#include "chan/provider.h"

#define SPIN_NS 20000

/* Functions of the test worker. The first field of each payload is a number. */
enum echo_id {
	ECHO = 16,     /* replies with the payload; status is the number */
	ECHO_COUNT,    /* no reply: checks that numbers of a lane come in order */
	ECHO_RELEASE,  /* offset, size: checks that all bytes are the same, releases the run */
	ECHO_ATTACHED, /* replies with the sum of the attached bytes */
	ECHO_FILL,     /* bulk reply: offset, size are filled with 0x5a */
};

enum medium { OVER_MEMFD, OVER_LOOP };

struct pair {
	struct chan *client, *worker;
	pthread_t thread;
};

/* Both ends of a channel in this process; none of its memory is shared otherwise. */
struct pair pair_new(enum medium medium, const struct chan_geometry *geometry);
void pair_free(struct pair *pair);

/* And serve(worker) in a thread; pair_stop() ends it by ending the client, and the result of
 * serve() must then be -ENOTCONN. */
struct pair pair_start(
    enum medium medium, const struct chan_geometry *geometry, void *(*serve)(void *chan));
void pair_stop(struct pair *pair);

/* The same over memfd with the worker in a child process. */
struct fork_pair {
	struct chan *client;
	pid_t worker;
};
struct fork_pair fork_start(const struct chan_geometry *geometry, void *(*serve)(void *chan));
/* Ends the client, and expects the worker to notice and end well. */
void fork_stop(struct fork_pair *pair);

/* A worker's loop: until chan_next() fails, whose code it returns (as a pointer). */
void *echo_worker(void *chan);

/* One waiting call of ECHO: checks that what comes back is what was sent. */
void call_echo(struct chan *client, uint16_t lane, uint64_t number, const void *bytes, size_t size);

/* A posted ECHO_COUNT; returns what chan_begin() or chan_commit() did. */
int post_count(struct chan *client, uint16_t lane, uint64_t number, size_t payload);

/* A posted ECHO_RELEASE of a run filled with one byte value. */
void post_release(struct chan *client, uint16_t lane, size_t size, uint8_t value);
