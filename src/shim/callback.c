/*
 * The client's half of callbacks; callback.h says what they are.
 *
 * The callback thread takes a lane of its own when the first callback is registered, posts
 * rosenHostCalls, and from then on only waits for replies in that lane. Each says which function is
 * due. When the function has returned the thread says so twice: with chan_reply_done(), which
 * reaches the worker whatever state it is in, and by a record that wakes it. The second is a
 * courtesy, left out where the ring is full: the dispatcher may be stuck inside the driver behind a
 * full stream that waits for this callback or for the next one, which this thread must then be free
 * to run.
 *
 * The thread is never joined: it lives as long as the process.
 */
#include "shim/callback.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "gen/api_ids.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/session.h"
#include "shim/thread.h"
#include "wire/host_call.h"

struct entry {
	CUhostFn function; /* one of the three */
	CUstreamCallback stream_function;
	CUasyncCallback notification;
	CUstream stream;
	void *user;
	CUhostFn end;	     /* called when the number ends; NULL: nothing is */
	uint64_t object;     /* a user object's id, or a notification's; 0 none */
	uint32_t generation; /* of this slot: the number's upper half */
	bool used;
};

/* Everything under lock. */
static struct {
	pthread_mutex_t lock;
	struct entry *entries;
	uint32_t n, room, first_free; /* no free one is before first_free */
	bool has_thread;
	int asked; /* what asking for the worker's calls came to, in this lane: */
	uint16_t lane;
	uint32_t seq;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- numbers --- */

/* NULL: none of ours. */
static struct entry *find(uint64_t number)
{
	uint32_t index = (uint32_t)number - 1;
	struct entry *entry = index < table.n ? &table.entries[index] : NULL;

	return entry && entry->used && entry->generation == number >> 32 ? entry : NULL;
}

static struct entry *take_slot(void)
{
	uint32_t i = table.first_free;

	while (i < table.n && table.entries[i].used)
		i++;
	if (i == table.room) {
		uint32_t room = table.room ? 2 * table.room : 16;
		struct entry *grown = reallocarray(table.entries, room, sizeof(*grown));
		if (!grown)
			return NULL;
		table.entries = grown;
		table.room = room;
	}
	if (i == table.n)
		table.entries[table.n++] = (struct entry){0};
	table.first_free = i + 1;
	return &table.entries[i];
}

static void give_slot(struct entry *entry)
{
	entry->used = false;
	table.first_free = MIN(table.first_free, (uint32_t)(entry - table.entries));
}

/* --- the thread --- */

static void notify(const struct entry *entry, const struct host_call *call)
{
	CUasyncNotificationInfo info = {.type = (CUasyncNotificationType)call->status};

	info.info.overBudget.bytesOverBudget = call->value;
	entry->notification(&info, entry->user, (CUasyncCallbackHandle)entry->object);
}

static void run(const struct entry *entry, const struct host_call *call)
{
	shim_thread.in_callback = true;
	if (entry->function)
		entry->function(entry->user);
	else if (entry->notification)
		notify(entry, call);
	else
		entry->stream_function(entry->stream, (CUresult)call->status, entry->user);
	shim_thread.in_callback = false;
}

static void serve(const struct host_call *call)
{
	struct entry entry = {0};

	pthread_mutex_lock(&table.lock);
	struct entry *found = find(call->number);
	if (found)
		entry = *found;
	if (found && (call->flags & HOST_CALL_LAST))
		give_slot(found);
	pthread_mutex_unlock(&table.lock);
	if (!found) {
		log_warn("the worker names a callback that does not exist");
		return;
	}
	if (call->flags & HOST_CALL_RUN)
		run(&entry, call);
	if (entry.end && (call->flags & HOST_CALL_LAST))
		entry.end(entry.user);
	if (entry.object && (call->flags & HOST_CALL_LAST))
		shim_handle_drop(entry.object);
}

/*
 * The call whose replies are the messages; it is answered as long as the session lasts. Sent before
 * anything that makes a message: the worker may read no further while a stream that waits for a
 * host function is full. With the table locked.
 */
static int ask_for_calls(void)
{
	struct wire_writer writer;
	int r = chan_lane_take(session.chan, &table.lane);

	if (r == 0)
		r = chan_begin(
		    session.chan, table.lane, API_rosenHostCalls, 0, 0, &writer, &table.seq);
	return r < 0 ? r : chan_commit(session.chan, table.lane, &writer);
}

static void *callback_thread(void *unused)
{
	struct wire_reader reader;
	uint32_t status;

	(void)unused;
	pthread_setname_np(pthread_self(), "rosen-callback");
	pthread_mutex_lock(&table.lock); /* whoever started this thread asks first */
	uint16_t lane = table.lane;
	uint32_t seq = table.seq;
	int r = table.asked;
	pthread_mutex_unlock(&table.lock);
	while (r >= 0) {
		r = chan_wait_unasked(session.chan, lane, ++seq, &status, &reader);
		if (r < 0)
			break;
		const struct host_call *call = wire_get_raw(&reader, sizeof(*call));
		if (!reader.failed)
			serve(call);
		chan_reply_done(session.chan, lane, seq);
		r = chan_try_post(session.chan, lane, API_rosenHostCallDone);
	}
	session_lost(r);
	return NULL;
}

/* Signals are the business of the program's own threads. With the table locked. */
static CUresult start_thread(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;

	if (table.has_thread)
		return CUDA_SUCCESS;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	table.has_thread = pthread_create(&thread, &attributes, callback_thread, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (!table.has_thread)
		return CUDA_ERROR_OUT_OF_MEMORY;
	table.asked = ask_for_calls(); /* what failed, the thread tells all */
	/* Relaxed: it matters to the callback thread, which was made before. */
	atomic_fetch_or_explicit(&shim_gate, SHIM_GATE_CALLBACK, memory_order_relaxed);
	return CUDA_SUCCESS;
}

/* --- registering --- */

static CUresult enter(const struct entry *wanted, uint64_t *number)
{
	CUresult r = session_usable();

	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&table.lock);
	r = start_thread();
	struct entry *entry = r == CUDA_SUCCESS ? take_slot() : NULL;
	if (entry) {
		uint32_t generation = entry->generation + 1;
		*entry = *wanted;
		entry->generation = generation;
		entry->used = true;
		*number = (uint64_t)generation << 32 | (uint32_t)(entry - table.entries + 1);
	}
	pthread_mutex_unlock(&table.lock);
	return entry ? CUDA_SUCCESS : r != CUDA_SUCCESS ? r : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult callback_new(CUhostFn function, void *user, uint64_t *number)
{
	return enter(&(struct entry){.function = function, .user = user}, number);
}

CUresult callback_new_owned(CUhostFn function, void *user, CUhostFn end, uint64_t *number)
{
	return enter(&(struct entry){.function = function, .user = user, .end = end}, number);
}

static CUresult callback_new_stream(
    CUstreamCallback function, CUstream stream, void *user, uint64_t *number)
{
	return enter(
	    &(struct entry){.stream_function = function, .stream = stream, .user = user}, number);
}

static CUresult callback_new_notification(CUasyncCallback function, void *user, uint64_t *number)
{
	return enter(&(struct entry){.notification = function, .user = user}, number);
}

/* Drops the id of the object that it belongs to when it is over. */
static void set_object(uint64_t number, uint64_t object)
{
	pthread_mutex_lock(&table.lock);
	struct entry *entry = find(number);
	if (entry)
		entry->object = object;
	pthread_mutex_unlock(&table.lock);
}

bool callback_find(uint64_t number, CUhostFn *function, void **user)
{
	pthread_mutex_lock(&table.lock);
	struct entry *entry = find(number);
	bool found = entry && entry->function;
	if (found) {
		*function = entry->function;
		*user = entry->user;
	}
	pthread_mutex_unlock(&table.lock);
	return found;
}

void callback_after_fork(void)
{
	pthread_mutex_init(&table.lock, NULL);
	table.n = table.first_free = 0; /* the parent's numbers reach nobody here */
	table.has_thread = false;
}

/* --- the driver's functions --- */

CUresult shim_cuLaunchHostFunc(CUstream stream, CUhostFn function, void *user)
{
	uint64_t number;

	if (!function)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = callback_new(function, user, &number);
	return r != CUDA_SUCCESS ? r : remote_cuLaunchHostFunc(stream, number);
}

CUresult shim_cuStreamAddCallback(
    CUstream stream, CUstreamCallback function, void *user, unsigned flags)
{
	uint64_t number;

	if (!function || flags)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = callback_new_stream(function, stream, user, &number);
	return r != CUDA_SUCCESS ? r : remote_cuStreamAddCallback(stream, number, flags);
}

CUresult shim_cuUserObjectCreate(
    CUuserObject *object, void *address, CUhostFn destroy, unsigned count, unsigned flags)
{
	uint64_t number;

	if (!destroy || !count || count > INT_MAX || flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = callback_new(destroy, address, &number);
	if (r == CUDA_SUCCESS)
		r = remote_cuUserObjectCreate(object, number, count, flags);
	if (r == CUDA_SUCCESS)
		set_object(number, (uint64_t)*object);
	return r;
}

CUresult shim_cuDeviceRegisterAsyncNotification(
    CUdevice device, CUasyncCallback function, void *user, CUasyncCallbackHandle *handle)
{
	uint64_t number;

	if (!function)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = callback_new_notification(function, user, &number);
	if (r == CUDA_SUCCESS)
		r = remote_cuDeviceRegisterAsyncNotification(device, number, handle);
	if (r == CUDA_SUCCESS)
		set_object(number, (uint64_t)*handle);
	return r;
}
