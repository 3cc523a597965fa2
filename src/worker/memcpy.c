/*
 * Copies. api/memcpy.api says which form the shim sends when. What is decided here is whose memory
 * an address is: a host side must lie in a segment of the client's or in the staging area, a device
 * side in device memory, before the backend sees it; otherwise a client could read and write this
 * process. Sizes come from the private record.
 *
 * Copies that take the default stream by not naming one mean the lane's own under WIRE_F_PTDS.
 */
#include "base/log.h"
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

/* A copy that is done when it returns, in the default stream of this caller. */
static CUresult wait_for_default(struct call *call, CUresult issued)
{
	if (issued != CUDA_SUCCESS)
		return issued;
	return call->backend->cuStreamSynchronize(default_stream(call));
}

CUresult worker_cuMemcpy(struct call *call, struct args_cuMemcpy *a)
{
	if (!memory_is_clients(call, a->destination, a->bytes) ||
	    !memory_is_clients(call, a->source, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (!(call->flags & WIRE_F_PTDS))
		return call->backend->cuMemcpy(a->destination, a->source, a->bytes);
	CUstream stream = default_stream(call);
	return call->error
		   ?: wait_for_default(call, call->backend->cuMemcpyAsync(
						 a->destination, a->source, a->bytes, stream));
}

CUresult worker_cuMemcpyAsync(struct call *call, struct args_cuMemcpyAsync *a)
{
	if (!memory_is_clients(call, a->destination, a->bytes) ||
	    !memory_is_clients(call, a->source, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return GPU_TIMED(call, a->stream,
	    call->backend->cuMemcpyAsync(a->destination, a->source, a->bytes, a->stream));
}

CUresult worker_cuMemcpyHtoD_v2(struct call *call, struct args_cuMemcpyHtoD_v2 *a)
{
	const void *source = (const void *)a->source;

	if (!in_segment(call, a->source, a->bytes) ||
	    !memory_is_device(call, a->destination, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (!(call->flags & WIRE_F_PTDS))
		return call->backend->cuMemcpyHtoD_v2(a->destination, source, a->bytes);
	CUstream stream = default_stream(call);
	return call->error
		   ?: wait_for_default(call, call->backend->cuMemcpyHtoDAsync_v2(
						 a->destination, source, a->bytes, stream));
}

CUresult worker_cuMemcpyHtoDAsync_v2(struct call *call, struct args_cuMemcpyHtoDAsync_v2 *a)
{
	if (!in_segment(call, a->source, a->bytes) ||
	    !memory_is_device(call, a->destination, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return GPU_TIMED(call, a->stream,
	    call->backend->cuMemcpyHtoDAsync_v2(
		a->destination, (const void *)a->source, a->bytes, a->stream));
}

CUresult worker_cuMemcpyDtoH_v2(struct call *call, struct args_cuMemcpyDtoH_v2 *a)
{
	void *destination = (void *)a->destination;

	if (!in_segment(call, a->destination, a->bytes) ||
	    !memory_is_device(call, a->source, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (!(call->flags & WIRE_F_PTDS))
		return call->backend->cuMemcpyDtoH_v2(destination, a->source, a->bytes);
	CUstream stream = default_stream(call);
	return call->error
		   ?: wait_for_default(call, call->backend->cuMemcpyDtoHAsync_v2(
						 destination, a->source, a->bytes, stream));
}

CUresult worker_cuMemcpyDtoHAsync_v2(struct call *call, struct args_cuMemcpyDtoHAsync_v2 *a)
{
	if (!in_segment(call, a->destination, a->bytes) ||
	    !memory_is_device(call, a->source, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return GPU_TIMED(call, a->stream,
	    call->backend->cuMemcpyDtoHAsync_v2(
		(void *)a->destination, a->source, a->bytes, a->stream));
}

static CUresult device_to_device(
    struct call *call, CUdeviceptr destination, CUdeviceptr source, size_t bytes, CUstream stream)
{
	if (!memory_is_device(call, destination, bytes) || !memory_is_device(call, source, bytes))
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

CUresult worker_cuMemcpyPeer(struct call *call, struct args_cuMemcpyPeer *a)
{
	CUstream stream = default_stream(call);

	if (!memory_is_device(call, a->destination, a->bytes) ||
	    !memory_is_device(call, a->source, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return call->error
		   ?: call->backend->cuMemcpyPeerAsync(a->destination, a->destination_context,
			  a->source, a->source_context, a->bytes, stream);
}

CUresult worker_cuMemcpyPeerAsync(struct call *call, struct args_cuMemcpyPeerAsync *a)
{
	if (!memory_is_device(call, a->destination, a->bytes) ||
	    !memory_is_device(call, a->source, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return GPU_TIMED(call, a->stream,
	    call->backend->cuMemcpyPeerAsync(a->destination, a->destination_context, a->source,
		a->source_context, a->bytes, a->stream));
}

CUresult worker_cuMemcpyAtoD_v2(struct call *call, struct args_cuMemcpyAtoD_v2 *a)
{
	return check(memory_is_device(call, a->destination, a->bytes))
		   ?: call->backend->cuMemcpyAtoD_v2(
			  a->destination, a->source, a->offset, a->bytes);
}

CUresult worker_cuMemcpyDtoA_v2(struct call *call, struct args_cuMemcpyDtoA_v2 *a)
{
	return check(memory_is_device(call, a->source, a->bytes))
		   ?: call->backend->cuMemcpyDtoA_v2(
			  a->destination, a->offset, a->source, a->bytes);
}

CUresult worker_cuMemcpyAtoHAsync_v2(struct call *call, struct args_cuMemcpyAtoHAsync_v2 *a)
{
	return call->backend->cuMemcpyAtoHAsync_v2(
		   a->destination, a->source, a->offset, a->bytes, a->stream)
		   ?: call->backend->cuStreamSynchronize(a->stream);
}

/* --- the program's ordinary memory --- */

/*
 * A capture would keep the address of a record or of a staging run, which is reused at once: a graph
 * must not see either.
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
	return check(memory_is_device(call, a->destination, a->bytes))
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
	CUresult r = check(memory_is_device(call, a->destination, a->bytes))
			 ?: refuse_capture(call, a->stream)
			 ?: GPU_TIMED(call, a->stream, call->backend->cuMemcpyHtoDAsync_v2(
				a->destination, source, a->bytes, a->stream));
	if (r == CUDA_SUCCESS)
		staging_release_after(call, &run, a->stream);
	else
		chan_staging_release(call->worker->chan, &run);
	return r;
}

static CUresult copy_out(
    struct call *call, void *destination, CUdeviceptr source, size_t bytes, CUstream stream)
{
	return check(memory_is_device(call, source, bytes))
		   ?: refuse_capture(call, stream)
		   ?: GPU_TIMED(call, stream, call->backend->cuMemcpyDtoHAsync_v2(destination, source, bytes, stream))
		   ?: call->backend->cuStreamSynchronize(stream);
}

CUresult worker_rosenCopyOut(struct call *call, struct args_rosenCopyOut *a)
{
	return copy_out(call, a->destination, a->source, a->bytes, a->stream);
}

CUresult worker_rosenCopyOutStaged(struct call *call, struct args_rosenCopyOutStaged *a)
{
	struct wire_bulk run = {a->offset, a->bytes};
	void *destination = staging_memory(call, &run, a->bytes >= PIN_FROM);

	if (!destination)
		return CALL_MALFORMED;
	return copy_out(call, destination, a->source, a->bytes, a->stream);
}
