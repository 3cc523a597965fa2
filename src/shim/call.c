/*
 * How a call leaves the process: call.h says what the generated code sees.
 *
 * A thread takes a lane of the channel at its first call and keeps it until it ends. What a lane
 * stands for in the worker (the thread's current context and its stream capture mode) is told
 * lazily: only when a call is about to leave and the worker's idea is out of date, by a posted
 * record just before it.
 *
 * The common call fits a record: shim_call_begin() opens it in the ring and the payload is encoded
 * in place, while what other threads send behind it waits, so nothing may happen between begin and
 * finish but encoding. A payload that does not fit is encoded to memory of its own and goes ahead
 * through staging; outputs that do not fit a lane come back through a staging run whose place the
 * record begins with.
 *
 * Errors of posted calls are kept by the worker in the channel's control page. Any later posted
 * call reports them, and so does a waiting call that brings nothing back; one that brings something
 * back (a new allocation) does not, since the program would lose what it got. Errors that end a
 * context are remembered, so that every later call gives them, as CUDA does.
 */
#include "shim/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gen/api_desc.h"
#include "gen/api_ids.h"
#include "gen/shim_remote.h"
#include "shim/capture.h"
#include "shim/observe.h"
#include "shim/pool_reuse.h"
#include "shim/progress.h"
#include "shim/session.h"
#include "shim/thread.h"

#define ATTACH_PART ((size_t)4 << 20)
#define RECORD_ROOM (WIRE_RECORD_MAX - sizeof(struct wire_record))

/* The error that ended a context. The error is written last and read first. */
static struct {
	_Atomic uint32_t error; /* 0: none */
	_Atomic(CUcontext) context;
} ended;

/* Those of which CUDA says that the process must be started again. */
static bool ends_context(uint32_t error)
{
	switch (error) {
	case CUDA_ERROR_ILLEGAL_ADDRESS:
	case CUDA_ERROR_LAUNCH_TIMEOUT:
	case CUDA_ERROR_ASSERT:
	case CUDA_ERROR_HARDWARE_STACK_ERROR:
	case CUDA_ERROR_ILLEGAL_INSTRUCTION:
	case CUDA_ERROR_MISALIGNED_ADDRESS:
	case CUDA_ERROR_INVALID_ADDRESS_SPACE:
	case CUDA_ERROR_INVALID_PC:
	case CUDA_ERROR_LAUNCH_FAILED:
		return true;
	default:
		return false;
	}
}

static CUresult noted(uint32_t error)
{
	uint32_t none = 0;

	if (likely(!error) || !ends_context(error) || !shim_thread.context)
		return (CUresult)error;
	if (!atomic_load(&ended.error)) {
		atomic_store(&ended.context, shim_thread.context);
		atomic_compare_exchange_strong(&ended.error, &none, error);
	}
	return (CUresult)error;
}

void shim_context_ended(CUcontext context)
{
	if (atomic_load(&ended.context) == context) {
		atomic_store(&ended.error, 0);
		atomic_store(&ended.context, NULL);
	}
}

/* Calls that do not work in the current context, or that end one. */
static bool needs_no_context(uint32_t id)
{
	switch (id) {
	case API_cuDevicePrimaryCtxRetain:
	case API_cuDevicePrimaryCtxRelease_v2:
	case API_cuDevicePrimaryCtxReset_v2:
	case API_cuDevicePrimaryCtxSetFlags_v2:
	case API_cuCtxCreate_v2:
	case API_cuCtxCreate_v3:
	case API_cuCtxCreate_v4:
	case API_cuCtxDestroy_v2:
	case API_rosenLaneState:
	case API_rosenLaneEnd:
	case API_rosenDeviceStatus:
	case API_rosenDeviceLinks:
	case API_rosenDeviceAsk:
	case API_rosenSegmentUnmap:
	case API_rosenJitLog:
	case API_rosenOutput: /* a failed assertion too */
		return true;
	default:
		return false;
	}
}

static CUresult refuse_ended(uint32_t id)
{
	uint32_t error = atomic_load(&ended.error);

	return atomic_load(&ended.context) == shim_thread.context && !needs_no_context(id)
		   ? (CUresult)error
		   : CUDA_SUCCESS;
}

bool shim_call_usable(void)
{
	/* Relaxed: a thread that must see another's error has synchronised with it. */
	return session_usable() == CUDA_SUCCESS && !session.sync &&
	       !atomic_load_explicit(&ended.error, memory_order_relaxed);
}

static const char *name_of(uint32_t id)
{
	const struct api_desc *desc = api_desc_by_id(id);

	return desc ? desc->name : "a call";
}

static CUresult take_lane(struct shim_thread *thread)
{
	int r = chan_lane_take(session.chan, &thread->lane);

	if (r < 0)
		return session_lost(r);
	thread->has_lane = true;
	thread->told = false;
	shim_thread_watch();
	return CUDA_SUCCESS;
}

static CUresult tell_lane_state(struct shim_thread *thread)
{
	thread->told = true;
	thread->told_context = thread->context;
	thread->told_capture_mode = thread->capture_mode;
	CUresult r = remote_rosenLaneState(
	    (uint64_t)thread->context, (CUstreamCaptureMode)thread->capture_mode);
	if (r != CUDA_SUCCESS)
		thread->told = false;
	return r;
}

static inline CUresult prepare_thread(struct shim_thread *thread)
{
	if (unlikely(!thread->has_lane)) {
		CUresult r = take_lane(thread);
		if (r != CUDA_SUCCESS)
			return r;
	}
	if (unlikely(!thread->told || thread->told_context != thread->context ||
		     thread->told_capture_mode != thread->capture_mode))
		return tell_lane_state(thread);
	return CUDA_SUCCESS;
}

/* Payload to memory of its own, outputs to staging, or both. */
static CUresult begin_large(struct shim_call *call, size_t payload, size_t reply_size)
{
	if (reply_size > chan_staging_largest(session.chan) || payload > WIRE_IMAGE_MAX)
		return CUDA_ERROR_OUT_OF_MEMORY;
	call->attached = malloc(payload ?: 1);
	if (!call->attached)
		return CUDA_ERROR_OUT_OF_MEMORY;
	call->attached_size = payload;
	call->bulk.size = reply_size;
	call->writer = wire_writer(call->attached, payload);
	return CUDA_SUCCESS;
}

CUresult shim_call_begin(
    struct shim_call *call, uint32_t id, size_t payload, unsigned flags, size_t reply_size)
{
	struct shim_thread *thread = &shim_thread;
	CUresult usable = session_usable();

	pool_reuse_before(id);

	if (unlikely(usable != CUDA_SUCCESS))
		return usable;
	/* Relaxed: a thread that must see another's error has synchronised with it. */
	if (unlikely(atomic_load_explicit(&ended.error, memory_order_relaxed)))
		usable = refuse_ended(id);
	if (likely(usable == CUDA_SUCCESS))
		usable = prepare_thread(thread);
	if (unlikely(usable != CUDA_SUCCESS))
		return usable;

	call->id = id;
	call->lane = thread->lane;
	call->attached = NULL;
	call->bulk.size = 0;
	call->bulk_memory = NULL;
	call->has_output = false;
	/* CUDA says at once what a capture refuses. */
	if (unlikely(session.sync || capture_may_be_open()))
		flags |= SHIM_WAIT;
	call->flags =
	    (flags & SHIM_WAIT ? WIRE_F_REPLY : 0) | (flags & SHIM_PTDS ? WIRE_F_PTDS : 0);
	call->reply_size = reply_size;
	if (unlikely(atomic_load_explicit(&shim_gate, memory_order_relaxed) & SHIM_GATE_OBSERVE))
		observe_bytes(payload);

	bool bulk = reply_size && reply_size > chan_reply_room(session.chan);
	if (unlikely(bulk || payload > RECORD_ROOM))
		return begin_large(call, payload, bulk ? reply_size : 0);
	int r = chan_begin(session.chan, call->lane, id, (uint16_t)call->flags, payload,
	    &call->writer, &call->seq);
	return likely(r == 0) ? CUDA_SUCCESS : session_lost(r);
}

/* In parts, between which a line on the terminal says how far it is. */
static int attach(const struct shim_call *call)
{
	struct progress progress = progress_begin("sending program code", call->attached_size);
	const char *bytes = call->attached;
	int r = 0;

	for (size_t done = 0; done < call->attached_size && r == 0; done += ATTACH_PART) {
		r = chan_attach(session.chan, call->lane, bytes + done,
		    MIN(call->attached_size - done, ATTACH_PART));
		progress_step(&progress, done);
	}
	progress_end(&progress);
	return r;
}

/* Sends what begin_large() made: attachment first (it needs staging runs of its own), then the
 * reply's run is taken, then the record. */
static int send_large(struct shim_call *call)
{
	struct wire_writer encoded = call->writer, writer;
	bool fits = call->attached_size + sizeof(struct wire_bulk) <= RECORD_ROOM;
	size_t payload =
	    (fits ? call->attached_size : 0) + (call->bulk.size ? sizeof(struct wire_bulk) : 0);

	if (encoded.failed || encoded.at != encoded.end)
		return -EINVAL;
	if (!fits) {
		call->flags |= WIRE_F_ATTACHED;
		int r = attach(call);
		if (r < 0)
			return r;
	}
	if (call->bulk.size) {
		call->flags |= WIRE_F_BULK_REPLY;
		int r = chan_staging_take(
		    session.chan, call->bulk.size, &call->bulk, &call->bulk_memory);
		if (r < 0)
			return r;
	}
	int r = chan_begin(session.chan, call->lane, call->id, (uint16_t)call->flags, payload,
	    &writer, &call->seq);
	if (r < 0)
		return r;
	if (call->bulk.size)
		wire_put_raw(&writer, &call->bulk, sizeof(call->bulk));
	if (fits)
		wire_put_raw(&writer, call->attached, call->attached_size);
	return chan_commit(session.chan, call->lane, &writer);
}

CUresult shim_take_error(void)
{
	return session.chan ? noted(chan_take_error(session.chan)) : CUDA_SUCCESS;
}

CUresult shim_call_wait(struct shim_call *call)
{
	uint32_t status;
	bool observed = atomic_load_explicit(&shim_gate, memory_order_relaxed) & SHIM_GATE_OBSERVE;
	uint64_t start = unlikely(observed) ? clock_now_ns() : 0;
	int r = chan_wait(session.chan, call->lane, call->seq, 0, &status, &call->reader);

	if (unlikely(r < 0))
		return session_lost(r);
	if (unlikely(status & WIRE_STATUS_OUTPUT)) {
		status &= ~WIRE_STATUS_OUTPUT;
		call->has_output = call->id != API_rosenOutput;
	}
	if (call->bulk_memory)
		call->reader = wire_reader(call->bulk_memory, call->bulk.size);
	if (unlikely(observed)) {
		observe_waited(start, call->lane);
		observe_bytes((size_t)(call->reader.end - call->reader.at));
	}
	if (status == CUDA_SUCCESS && !call->reply_size)
		status = chan_take_error(session.chan);
	return noted(status);
}

CUresult shim_call_send(struct shim_call *call)
{
	int r = unlikely(call->attached) ? send_large(call)
					 : chan_commit(session.chan, call->lane, &call->writer);

	if (likely(r >= 0))
		return CUDA_SUCCESS;
	if (r != -EINVAL)
		return session_lost(r);
	log_error("%s: its arguments did not encode to the size they said; a fault of this library",
	    name_of(call->id));
	return CUDA_ERROR_UNKNOWN;
}

CUresult shim_call_finish(struct shim_call *call)
{
	CUresult r = shim_call_send(call);

	if (unlikely(r != CUDA_SUCCESS))
		return r;
	if (call->flags & WIRE_F_REPLY)
		return shim_call_wait(call);
	return noted(chan_take_error(session.chan));
}

/* What kernels printed, to where a driver in this process would have written it. */
static void print_output(void)
{
	char text[2048];
	unsigned stream;
	size_t bytes;

	do {
		bytes = sizeof(text);
		if (remote_rosenOutput(text, &bytes, &stream) != CUDA_SUCCESS || !bytes)
			break;
		fwrite(text, 1, bytes, stream == STDERR_FILENO ? stderr : stdout);
	} while (true);
	fflush(stdout);
}

CUresult shim_call_end(struct shim_call *call, CUresult r)
{
	if (unlikely(call->has_output)) {
		call->has_output = false;
		print_output();
	}
	if (unlikely(call->attached)) {
		free(call->attached);
		call->attached = NULL;
		if (call->bulk_memory)
			chan_staging_give(session.chan, &call->bulk);
	}
	if (unlikely(r == CUDA_SUCCESS && (call->flags & WIRE_F_REPLY) && call->reply_size &&
		     call->reader.failed)) {
		log_error("%s: the worker's answer does not decode: are this library and rosend of "
			  "the same release?",
		    name_of(call->id));
		return CUDA_ERROR_UNKNOWN;
	}
	return r;
}
