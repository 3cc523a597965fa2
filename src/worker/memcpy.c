/*
 * Copies. api/memcpy.api says which form the shim sends when. What is decided here is whose memory
 * an address is: a host side must lie in a segment of the client's or in the staging area, a device
 * side in device memory or, since the device reaches those too, in a segment, before the backend
 * sees it; otherwise a client could read and write this process. Sizes come from the private
 * record.
 *
 * Copies that take the default stream by not naming one mean the lane's own under WIRE_F_PTDS.
 */
#include <string.h>

#include "gen/worker_custom.h"
#include "worker/gpu_time.h"
#include "worker/memory.h"
#include "worker/segment.h"
#include "worker/staging.h"
#include "worker/worker.h"

#define PIN_FROM (64u * 1024) /* smaller copies gain nothing from a pinned staging area */

/* --- addresses to addresses --- */

static CUresult check(bool ours)
{
	return ours ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static bool in_segment(struct call *call, CUdeviceptr address, size_t bytes)
{
	return !bytes || segments_cover(call->worker->segments, address, bytes);
}

/* The stream a copy without a stream argument runs in. */
static CUstream default_stream(struct call *call)
{
	return call_stream(call, 0);
}

/* A copy that is over when the call is, in the default stream of this caller. */
static CUresult then_await(struct call *call, CUstream stream, CUresult issued)
{
	return issued ?: call_await_stream(call, stream, NULL, NULL);
}

/* Whether both sides of a copy are the client's; then nothing stands between the two. */
static bool may_copy(struct call *call, CUdeviceptr destination, CUdeviceptr source, size_t bytes)
{
	if (!memory_is_clients(call, destination, bytes) || !memory_is_clients(call, source, bytes))
		return false;
	memory_open(call, destination, source);
	return true;
}

/* The same for the device's side of a copy from or to the host. */
static bool may_reach(struct call *call, CUdeviceptr address, size_t bytes)
{
	if (!memory_is_clients(call, address, bytes))
		return false;
	memory_open(call, address, 0);
	return true;
}

CUresult worker_cuMemcpy(struct call *call, struct args_cuMemcpy *a)
{
	if (!may_copy(call, a->destination, a->source, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	CUstream stream = default_stream(call);
	return call->error
		   ?: then_await(call, stream,
			  call->backend->cuMemcpyAsync(
			      a->destination, a->source, a->bytes, stream));
}

CUresult worker_cuMemcpyAsync(struct call *call, struct args_cuMemcpyAsync *a)
{
	if (!may_copy(call, a->destination, a->source, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return GPU_TIMED(call, a->stream,
	    call->backend->cuMemcpyAsync(a->destination, a->source, a->bytes, a->stream));
}

CUresult worker_cuMemcpyHtoD_v2(struct call *call, struct args_cuMemcpyHtoD_v2 *a)
{
	const void *source = (const void *)a->source;

	if (!in_segment(call, a->source, a->bytes) || !may_reach(call, a->destination, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	CUstream stream = default_stream(call);
	return call->error
		   ?: then_await(call, stream,
			  call->backend->cuMemcpyHtoDAsync_v2(
			      a->destination, source, a->bytes, stream));
}

CUresult worker_cuMemcpyHtoDAsync_v2(struct call *call, struct args_cuMemcpyHtoDAsync_v2 *a)
{
	if (!in_segment(call, a->source, a->bytes) || !may_reach(call, a->destination, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return GPU_TIMED(call, a->stream,
	    call->backend->cuMemcpyHtoDAsync_v2(
		a->destination, (const void *)a->source, a->bytes, a->stream));
}

CUresult worker_cuMemcpyDtoH_v2(struct call *call, struct args_cuMemcpyDtoH_v2 *a)
{
	void *destination = (void *)a->destination;

	if (!in_segment(call, a->destination, a->bytes) || !may_reach(call, a->source, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	CUstream stream = default_stream(call);
	return call->error
		   ?: then_await(call, stream,
			  call->backend->cuMemcpyDtoHAsync_v2(
			      destination, a->source, a->bytes, stream));
}

CUresult worker_cuMemcpyDtoHAsync_v2(struct call *call, struct args_cuMemcpyDtoHAsync_v2 *a)
{
	if (!in_segment(call, a->destination, a->bytes) || !may_reach(call, a->source, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return GPU_TIMED(call, a->stream,
	    call->backend->cuMemcpyDtoHAsync_v2(
		(void *)a->destination, a->source, a->bytes, a->stream));
}

static CUresult device_to_device(
    struct call *call, CUdeviceptr destination, CUdeviceptr source, size_t bytes, CUstream stream)
{
	if (!may_copy(call, destination, source, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return GPU_TIMED(
	    call, stream, call->backend->cuMemcpyDtoDAsync_v2(destination, source, bytes, stream));
}

/* Does not wait, by CUDA's own rules: the asynchronous form is the same. */
CUresult worker_cuMemcpyDtoD_v2(struct call *call, struct args_cuMemcpyDtoD_v2 *a)
{
	CUstream stream = default_stream(call);

	return call->error ?: device_to_device(call, a->destination, a->source, a->bytes, stream);
}

CUresult worker_cuMemcpyDtoDAsync_v2(struct call *call, struct args_cuMemcpyDtoDAsync_v2 *a)
{
	return device_to_device(call, a->destination, a->source, a->bytes, a->stream);
}

/* The contexts say nothing that the addresses do not. */
static CUresult peer_to_peer(struct call *call, CUdeviceptr destination, CUcontext to,
    CUdeviceptr source, CUcontext from, size_t bytes, CUstream stream)
{
	if (memory_has_no_context(call, destination, source))
		return device_to_device(call, destination, source, bytes, stream);
	if (!may_copy(call, destination, source, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return GPU_TIMED(call, stream,
	    call->backend->cuMemcpyPeerAsync(destination, to, source, from, bytes, stream));
}

CUresult worker_cuMemcpyPeer(struct call *call, struct args_cuMemcpyPeer *a)
{
	CUstream stream = default_stream(call);

	return call->error
		   ?: peer_to_peer(call, a->destination, a->destination_context, a->source,
			  a->source_context, a->bytes, stream);
}

CUresult worker_cuMemcpyPeerAsync(struct call *call, struct args_cuMemcpyPeerAsync *a)
{
	return peer_to_peer(call, a->destination, a->destination_context, a->source,
	    a->source_context, a->bytes, a->stream);
}

/* --- the program's ordinary memory --- */

/*
 * A capture would keep the address of a record or of a staging run, which is reused at once: a
 * graph must not see either.
 */
static CUresult refuse_capture(struct call *call, CUstream stream)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;

	/* Relaxed: the stream's own answer decides. */
	if (likely(!atomic_load_explicit(&call->worker->captures, memory_order_relaxed)))
		return CUDA_SUCCESS;
	CUresult r = call->backend->cuStreamIsCapturing(stream, &status);
	if (r != CUDA_SUCCESS || status == CU_STREAM_CAPTURE_STATUS_NONE)
		return r;
	return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult worker_rosenCopyIn(struct call *call, struct args_rosenCopyIn *a)
{
	return check(may_reach(call, a->destination, a->bytes))
		   ?: refuse_capture(call, a->stream)
		   ?: GPU_TIMED(call, a->stream, call->backend->cuMemcpyHtoDAsync_v2(
			  a->destination, a->source, a->bytes, a->stream));
}

CUresult worker_rosenCopyInStaged(struct call *call, struct args_rosenCopyInStaged *a)
{
	struct wire_bulk run = {a->offset, a->bytes};
	const void *source = staging_memory(call, &run, a->bytes >= PIN_FROM);

	if (!source)
		return CALL_MALFORMED;
	CUresult r = check(may_reach(call, a->destination, a->bytes))
			 ?: refuse_capture(call, a->stream)
			 ?: GPU_TIMED(call, a->stream, call->backend->cuMemcpyHtoDAsync_v2(
				a->destination, source, a->bytes, a->stream));
	if (r == CUDA_SUCCESS)
		staging_release_after(call, &run, a->stream);
	else
		chan_staging_release(call->worker->chan, &run);
	return r;
}

/*
 * Into pinned memory the copy is issued at once, in its turn, and awaited. Into other memory the
 * driver itself would wait until the copy is done, so that is the waiter's.
 */
struct copy_out {
	void *destination;
	CUdeviceptr source;
	size_t bytes;
	CUstream stream;
	CUresult (*done)(struct call *call, void *state); /* NULL: nothing to do */
};

static CUresult issue_copy_out(struct call *call, const struct copy_out *copy)
{
	return GPU_TIMED(call, copy->stream,
	    call->backend->cuMemcpyDtoHAsync_v2(
		copy->destination, copy->source, copy->bytes, copy->stream));
}

/* On a waiter, so what the dispatcher found to be the client's may be so no more. */
static CUresult copy_out_slowly(struct call *call, void *state)
{
	struct segments *segments = call->worker->segments;
	const struct copy_out *copy = state;
	struct segments_user user;

	segments_use(segments, &user);
	CUresult r =
	    check(may_reach(call, copy->source, copy->bytes)) ?: issue_copy_out(call, copy);
	segments_used(segments, &user);
	return r	?: call->backend->cuStreamSynchronize(copy->stream)
		   ?: (copy->done ? copy->done(call, state) : CUDA_SUCCESS);
}

static CUresult copy_out(struct call *call, const struct copy_out *wanted, bool pinned)
{
	struct copy_out *copy = call_take(call, sizeof(*copy));

	if (!copy)
		return call->error;
	*copy = *wanted;
	CUresult r =
	    check(may_reach(call, copy->source, copy->bytes)) ?: refuse_capture(call, copy->stream);
	if (r == CUDA_SUCCESS && !pinned)
		return call_continue(call, copy_out_slowly, copy);
	return r ?: issue_copy_out(call, copy)
		   ?: call_await_stream(call, copy->stream, copy->done, copy);
}

/* The bytes are where the answer has them already; this puts their number before them. */
static CUresult answer_is_there(struct call *call, void *state)
{
	const struct copy_out *copy = state;
	size_t padded = wire_padded(copy->bytes);

	wire_put_u64(&call->writer, copy->bytes);
	memset(call->writer.at + copy->bytes, 0, padded - copy->bytes);
	call->writer.at += padded;
	return CUDA_SUCCESS;
}

CUresult worker_rosenCopyOut(struct call *call, struct args_rosenCopyOut *a)
{
	struct copy_out copy = {
	    call->writer.at + 8, a->source, a->bytes, a->stream, answer_is_there};
	size_t room = (size_t)(call->writer.end - call->writer.at);

	if (a->bytes > room || wire_bytes_size(a->bytes) > room)
		return CUDA_ERROR_UNKNOWN; /* as any answer that does not fit */
	bool in_lane = call->flags & WIRE_F_REPLY && !(call->flags & WIRE_F_BULK_REPLY);
	return copy_out(call, &copy, in_lane && staging_pins_replies(call));
}

CUresult worker_rosenCopyOutStaged(struct call *call, struct args_rosenCopyOutStaged *a)
{
	struct wire_bulk run = {a->offset, a->bytes};
	struct copy_out copy = {
	    staging_memory(call, &run, a->bytes >= PIN_FROM), a->source, a->bytes, a->stream, NULL};

	if (!copy.destination)
		return CALL_MALFORMED;
	return copy_out(call, &copy, staging_is_pinned(call));
}
