/*
 * Calls of the client's functions: what the backend is given in place of them.
 *
 * The client sends a number (shim/callback.h). callback_new() makes the object that the backend
 * gets as user data, beside callback_run() as the function; when that runs, on a thread of the
 * backend, it has the client called and waits for the end, so that the stream waits too. The wait
 * ends when the client is gone.
 *
 *	struct callback *callback = callback_new(call, number);
 *	if (!callback)
 *		return CUDA_ERROR_OUT_OF_MEMORY;
 *	CUDA_HOST_NODE_PARAMS node = {.fn = callback_run, .userData = callback};
 *	CUresult r = call->backend->cuGraphAddHostNode(&node, graph, ..., &parameters);
 *	return callback_give_graph(call, callback, graph, r);
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "wire/graph_copy.h"

struct call;
struct callback;
struct callbacks;
struct worker;

/* Of a session, until the client has heard of their ends. */
#define CALLBACKS_MAX (1u << 18)

/* A callback that may run many times, until callback_end(). NULL: out of memory, or there are
 * CALLBACKS_MAX. */
struct callback *callback_new(struct call *call, uint64_t number);

/* The same for the host node of a graph's copy. */
struct callback *callback_new_copy(struct call *call, const struct graph_copy *copy);

/* The client forgets the number; the object is gone. NULL: nothing is done. Also as the destructor
 * of a user object of the backend's. Does not wait. */
void callback_end(void *callback);

/*
 * Hands the callback over after the backend's call that made it part of graph gave r: it ends with
 * the graph and all that was made from it (a user object of the backend's sees to that), or at once
 * when r is a failure. A graph that cannot hold user objects, or NULL for none, makes it last as
 * long as the session; for what is executable see graph_host.h. Returns r.
 */
CUresult callback_give_graph(
    struct call *call, struct callback *callback, CUgraph graph, CUresult r);

/* A callback of callback_new_copy() that was given to a graph before belongs to another one, too;
 * and ends its part in a graph again. */
void callback_join_graph(struct call *call, struct callback *callback, CUgraph graph);
void callback_leave_graph(struct call *call, CUhostFn function, const void *user, CUgraph graph);

/* A CUhostFn for the backend: has the client run it, returns when it has. */
void callback_run(void *callback);

/* The same for a notification: its type and what it is about. */
void callback_notify(struct callback *callback, uint32_t type, uint64_t value);

/* The number behind a host node's parameters; 0 when they are not of our making. */
uint64_t callback_number(CUhostFn function, const void *user);

/* Whether they are of callback_new_copy(); *out: what it was given. */
bool callback_copy(CUhostFn function, const void *user, struct graph_copy *out);

/* The session's part. */
struct callbacks *callbacks_new(struct worker *worker);
/* Lets everyone go who waits for the client. */
void callbacks_stop(struct callbacks *callbacks);
struct callbacks *callbacks_free(struct callbacks *callbacks);
