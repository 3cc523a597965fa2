/*
 * The worker's half of callbacks; callback.h says what the backend is given.
 *
 * Messages to the client (struct host_call) are queued by whoever has one: a backend's thread in
 * callback_run(), which then waits for the client's answer, or callback_end(), which does not wait.
 * One thread sends them, one after the other: the waiter of the lane that made rosenHostCalls,
 * whose call lasts as long as the session. A real driver runs host functions on few threads, so
 * that one that takes long holds up others; so it is here, and so CUDA allows.
 *
 * Nothing of a message depends on the dispatcher. It may be inside the driver, waiting for room in
 * a stream that waits for a callback. The client's answer is therefore a word in shared memory that
 * the sender looks at every LOOK_NS; rosenHostCallDone, served by the dispatcher, only makes it
 * look at once.
 *
 * Everyone who waits here gives up when the session is over: the dispatcher says so, or, should it
 * be stuck as above, the waiting themselves find the client gone.
 *
 * A client makes callbacks as fast as it likes and need not listen to their ends, so all that there
 * are, queued ends too, are counted, and there are no more than CALLBACKS_MAX.
 */
#include "worker/callback.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "gen/worker_custom.h"
#include "wire/host_call.h"
#include "worker/mirror.h"
#include "worker/worker.h"

#define LOOK_NS	 (NSEC_PER_SEC / 100)
#define ALIVE_NS (NSEC_PER_SEC / 10)
#define IDLE_NS	 NSEC_PER_SEC

struct message {
	struct message *next;
	struct host_call call;
	struct callback *owner; /* to be freed when sent; NULL: somebody waits for it */
	bool done;
};

struct callback {
	struct callbacks *callbacks;
	uint64_t number;
	CUuserObject object; /* of the backend's, whose destructor it is */
	bool once;	     /* its first run is its last */
	uint64_t copy;	     /* enum graph_copy_when of a graph's copy; 0: it is the program's */
	struct message end;
};

/* Everything under lock. */
struct callbacks {
	struct worker *worker;
	pthread_mutex_t lock;
	pthread_cond_t news; /* for the sender */
	pthread_cond_t done; /* for those who wait for their message's end */
	struct message *first, **last;
	unsigned waiting;
	bool has_sender, over;
	_Atomic unsigned n; /* callbacks there are; not under lock */
};

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

struct callbacks *callbacks_new(struct worker *worker)
{
	struct callbacks *callbacks = calloc(1, sizeof(*callbacks));

	if (!callbacks)
		return NULL;
	callbacks->worker = worker;
	callbacks->last = &callbacks->first;
	pthread_mutex_init(&callbacks->lock, NULL);
	init_condition(&callbacks->news);
	init_condition(&callbacks->done);
	return callbacks;
}

static void end_session(struct callbacks *callbacks)
{
	callbacks->over = true;
	pthread_cond_broadcast(&callbacks->news);
	pthread_cond_broadcast(&callbacks->done);
}

void callbacks_stop(struct callbacks *callbacks)
{
	pthread_mutex_lock(&callbacks->lock);
	end_session(callbacks);
	pthread_mutex_unlock(&callbacks->lock);
}

static void free_callback(struct callback *callback)
{
	/* Relaxed: a number, which says nothing about what is counted. */
	atomic_fetch_sub_explicit(&callback->callbacks->n, 1, memory_order_relaxed);
	free(callback);
}

struct callbacks *callbacks_free(struct callbacks *callbacks)
{
	struct message *next;

	if (!callbacks)
		return NULL;
	pthread_mutex_lock(&callbacks->lock);
	end_session(callbacks);
	while (callbacks->waiting)
		pthread_cond_wait(&callbacks->done, &callbacks->lock);
	pthread_mutex_unlock(&callbacks->lock);
	for (struct message *message = callbacks->first; message; message = next) {
		next = message->next;
		free_callback(message->owner);
	}
	pthread_cond_destroy(&callbacks->news);
	pthread_cond_destroy(&callbacks->done);
	pthread_mutex_destroy(&callbacks->lock);
	free(callbacks);
	return NULL;
}

/* --- the queue; with the lock held --- */

static void append(struct callbacks *callbacks, struct message *message)
{
	message->next = NULL;
	*callbacks->last = message;
	callbacks->last = &message->next;
	pthread_cond_broadcast(&callbacks->news);
}

static void take_out(struct callbacks *callbacks, struct message *message)
{
	struct message **at = &callbacks->first;

	while (*at && *at != message)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = message->next;
	if (!message->next)
		callbacks->last = at;
}

/* Waits at most ns; notices a client that is gone. */
static void wait_a_little(struct callbacks *callbacks, pthread_cond_t *condition, uint64_t ns)
{
	uint64_t until = clock_now_ns() + ns;
	struct timespec at = {(time_t)(until / NSEC_PER_SEC), (long)(until % NSEC_PER_SEC)};

	if (pthread_cond_timedwait(condition, &callbacks->lock, &at) &&
	    !chan_peer_alive(callbacks->worker->chan))
		end_session(callbacks);
}

/* --- the sender --- */

static void send_message(
    struct callbacks *callbacks, uint16_t lane, uint32_t seq, const struct host_call *call)
{
	struct chan *chan = callbacks->worker->chan;
	struct wire_writer writer = chan_reply_begin(chan, lane);

	wire_put_raw(&writer, call, sizeof(*call));
	chan_reply_commit(chan, lane, seq, CUDA_SUCCESS, &writer);
	while (!callbacks->over && !chan_reply_is_done(chan, lane, seq))
		wait_a_little(callbacks, &callbacks->news, LOOK_NS);
}

static void send_first(struct callbacks *callbacks, uint16_t lane, uint32_t seq)
{
	struct message *message = callbacks->first;
	struct callback *owner = message->owner;

	take_out(callbacks, message);
	struct host_call call = message->call;
	send_message(callbacks, lane, seq, &call);
	if (owner) {
		free_callback(owner);
	} else if (!callbacks->over) { /* else its waiter may have left */
		message->done = true;
		pthread_cond_broadcast(&callbacks->done);
	}
}

CUresult worker_rosenHostCalls(struct call *call, struct args_rosenHostCalls *a)
{
	const struct wire_record *record = (const void *)call_job(call)->record;
	struct callbacks *callbacks = call->worker->callbacks;
	uint32_t seq = record->seq;

	if (call->worker->options.no_waiters)
		return CUDA_ERROR_NOT_SUPPORTED;
	pthread_mutex_lock(&callbacks->lock);
	bool first = !callbacks->has_sender;
	callbacks->has_sender = true;
	while (first && !callbacks->over) {
		if (callbacks->first)
			send_first(callbacks, record->lane, ++seq);
		else
			wait_a_little(callbacks, &callbacks->news, IDLE_NS);
	}
	pthread_mutex_unlock(&callbacks->lock);
	return first ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_STATE;
}

CUresult worker_rosenHostCallDone(struct call *call, struct args_rosenHostCallDone *a)
{
	struct callbacks *callbacks = call->worker->callbacks;

	pthread_mutex_lock(&callbacks->lock);
	pthread_cond_broadcast(&callbacks->news);
	pthread_mutex_unlock(&callbacks->lock);
	return CUDA_SUCCESS;
}

/* --- what the backend calls --- */

static void run(struct callback *callback, uint32_t status, uint64_t value)
{
	struct callbacks *callbacks = callback->callbacks;
	struct message message = {
	    .call = {.flags = HOST_CALL_RUN | (callback->once ? HOST_CALL_LAST : 0),
		.status = status,
		.number = callback->number,
		.value = value}};

	/* While it is counted as waiting, the worker stays. */
	pthread_mutex_lock(&callbacks->lock);
	callbacks->waiting++;
	pthread_mutex_unlock(&callbacks->lock);
	mirrors_settle(callbacks->worker);
	pthread_mutex_lock(&callbacks->lock);
	append(callbacks, &message);
	while (!message.done && !callbacks->over)
		wait_a_little(callbacks, &callbacks->done, ALIVE_NS);
	take_out(callbacks, &message);
	pthread_mutex_unlock(&callbacks->lock);
	mirrors_push(callbacks->worker);
	if (callback->once)
		free_callback(callback);
	pthread_mutex_lock(&callbacks->lock);
	callbacks->waiting--;
	pthread_cond_broadcast(&callbacks->done);
	pthread_mutex_unlock(&callbacks->lock);
}

void callback_run(void *callback)
{
	run(callback, CUDA_SUCCESS, 0);
}

static void run_after(CUstream stream, CUresult status, void *callback)
{
	run(callback, status, 0);
}

void callback_notify(struct callback *callback, uint32_t type, uint64_t value)
{
	run(callback, type, value);
}

static void queue_end(struct callback *callback, uint32_t flags)
{
	struct callbacks *callbacks = callback->callbacks;

	callback->end = (struct message){
	    .call = {.flags = flags, .number = callback->number}, .owner = callback};
	pthread_mutex_lock(&callbacks->lock);
	append(callbacks, &callback->end);
	pthread_mutex_unlock(&callbacks->lock);
}

void callback_end(void *callback)
{
	if (callback)
		queue_end(callback, HOST_CALL_LAST);
}

/* --- life --- */

struct callback *callback_new(struct call *call, uint64_t number)
{
	struct callbacks *callbacks = call->worker->callbacks;
	struct callback *callback = calloc(1, sizeof(*callback));

	if (!callback)
		return NULL;
	callback->callbacks = callbacks;
	/* Relaxed: as in free_callback(). */
	if (atomic_fetch_add_explicit(&callbacks->n, 1, memory_order_relaxed) >= CALLBACKS_MAX) {
		log_warn_once("the client has %u callbacks, some of which it has to hear the end "
			      "of; there can be no more",
		    CALLBACKS_MAX);
		free_callback(callback);
		return NULL;
	}
	callback->number = number;
	return callback;
}

struct callback *callback_new_copy(struct call *call, const struct graph_copy *copy)
{
	struct callback *callback = callback_new(call, copy->number);

	if (callback)
		callback->copy = copy->when;
	return callback;
}

uint64_t callback_number(CUhostFn function, const void *user)
{
	return function == callback_run ? ((const struct callback *)user)->number : 0;
}

bool callback_copy(CUhostFn function, const void *user, struct graph_copy *out)
{
	const struct callback *callback = user;

	if (function != callback_run || !callback->copy)
		return false;
	*out = (struct graph_copy){callback->number, callback->copy};
	return true;
}

CUresult callback_give_graph(
    struct call *call, struct callback *callback, CUgraph graph, CUresult r)
{
	const struct backend *backend = call->backend;
	CUuserObject object = NULL;

	if (r != CUDA_SUCCESS) {
		callback_end(callback);
		return r;
	}
	if (!graph || backend->cuUserObjectCreate(&object, callback, callback_end, 1,
			  CU_USER_OBJECT_NO_DESTRUCTOR_SYNC) != CUDA_SUCCESS)
		return CUDA_SUCCESS;
	callback->object = object; /* before the graph, whose end ends the callback, has it */
	if (backend->cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE) !=
	    CUDA_SUCCESS)
		log_warn("a graph does not take a reference to its host node's callback");
	return CUDA_SUCCESS;
}

void callback_join_graph(struct call *call, struct callback *callback, CUgraph graph)
{
	if (!callback->object ||
	    call->backend->cuGraphRetainUserObject(graph, callback->object, 1, 0) != CUDA_SUCCESS)
		log_warn("a graph does not take a reference to its host node's callback");
}

void callback_leave_graph(struct call *call, CUhostFn function, const void *user, CUgraph graph)
{
	const struct callback *callback = user;

	if (function == callback_run && callback->object)
		call->backend->cuGraphReleaseUserObject(graph, callback->object, 1);
}

/* --- the driver's functions --- */

/* The graph that stream is being captured to; NULL: none. */
static CUgraph captured_graph(struct call *call, CUstream stream)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
	CUgraph graph = NULL;
	size_t count;

	/* Relaxed: a capture this call belongs to was begun by an earlier record. */
	if (!atomic_load_explicit(&call->worker->captures, memory_order_relaxed))
		return NULL;
	CUresult r =
	    call->backend->cuStreamGetCaptureInfo_v2(stream, &status, NULL, &graph, NULL, &count);
	return r == CUDA_SUCCESS && status == CU_STREAM_CAPTURE_STATUS_ACTIVE ? graph : NULL;
}

CUresult worker_cuLaunchHostFunc(struct call *call, struct args_cuLaunchHostFunc *a)
{
	CUgraph graph = captured_graph(call, a->stream);
	struct callback *callback = callback_new(call, a->number);

	if (!callback)
		return CUDA_ERROR_OUT_OF_MEMORY;
	callback->once = !graph;
	CUresult r = call->backend->cuLaunchHostFunc(a->stream, callback_run, callback);
	if (graph)
		return callback_give_graph(call, callback, graph, r);
	if (r != CUDA_SUCCESS)
		callback_end(callback);
	return r;
}

CUresult worker_cuStreamAddCallback(struct call *call, struct args_cuStreamAddCallback *a)
{
	struct callback *callback = callback_new(call, a->number);

	if (!callback)
		return CUDA_ERROR_OUT_OF_MEMORY;
	callback->once = true;
	CUresult r = call->backend->cuStreamAddCallback(a->stream, run_after, callback, a->flags);
	if (r != CUDA_SUCCESS)
		callback_end(callback);
	return r;
}

/* The backend may give the handle to another object when this returns: its id goes first. */
static void destroy_object(void *user)
{
	struct callback *callback = user;
	struct handles *handles = callback->callbacks->worker->handles;
	uint64_t id = handles_id_of(handles, HANDLE_USEROBJECT, (uint64_t)callback->object);

	handles_forget(handles, HANDLE_USEROBJECT, id);
	queue_end(callback, HOST_CALL_RUN | HOST_CALL_LAST);
}

CUresult worker_cuUserObjectCreate(struct call *call, struct args_cuUserObjectCreate *a)
{
	struct callback *callback = callback_new(call, a->number);

	if (!callback)
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult r = call->backend->cuUserObjectCreate(
	    a->object, callback, destroy_object, a->count, a->flags);
	if (r == CUDA_SUCCESS)
		callback->object = *a->object;
	else
		callback_end(callback);
	return r;
}
