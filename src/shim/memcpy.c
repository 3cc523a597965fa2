/*
 * Copies of runs of bytes. What can be reached from the worker under the same address crosses as
 * addresses only; bytes of ordinary memory move through records (small) and the staging area
 * (chunks), as api/memcpy.api describes.
 *
 * Into the device nothing is waited for: once the bytes are captured the program may reuse its
 * memory, which is all that CUDA promises for pageable memory. Only when the destination is not in
 * the range map, or a capture may refuse it, the call waits, because CUDA says so at once. Out of
 * the device every copy to ordinary memory waits; large ones fill one half of a staging run while
 * the other half is being copied out. Between ordinary memory on both sides the stream is drained,
 * then memcpy().
 */
#include <string.h>

#include "base/util.h"
#include "gen/api_codec.h"
#include "gen/api_ids.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/capture.h"
#include "shim/graph_copy.h"
#include "shim/mirror.h"
#include "shim/observe.h"
#include "shim/place.h"
#include "shim/session.h"
#include "shim/team.h"
#include "shim/virtual_host.h"

/* Copies up to this size travel in the record; beyond it a staging chunk is cheaper for the
 * ring. */
#define INLINE_MAX (16u << 10)
/* A copy is cut into a few chunks, so that moving one overlaps the device's work on another; small
 * enough to stay in a processor's cache on the way, large enough not to feel the message. */
#define CHUNK_LEAST (128u << 10)
#define CHUNK_MOST  (512u << 10)

static size_t chunk_for(size_t bytes)
{
	size_t chunk = align_up(bytes / 4, WIRE_CHUNK_SIZE);

	return MIN(
	    MIN(MAX(chunk, CHUNK_LEAST), CHUNK_MOST), chan_staging_largest(session.chan) / 2);
}

static CUstream stream_of_flags(unsigned shim_flags)
{
	return shim_flags & SHIM_PTDS ? CU_STREAM_PER_THREAD : NULL;
}

static CUresult copy_in_record(
    CUdeviceptr destination, const void *source, size_t bytes, CUstream stream, unsigned flags)
{
	struct args_rosenCopyIn a = {destination, source, bytes, stream};
	struct shim_call call;

	CUresult r = shim_call_begin(&call, API_rosenCopyIn, wire_size_rosenCopyIn(&a), flags, 0);
	if (r != CUDA_SUCCESS)
		return r;
	wire_encode_rosenCopyIn(&call.writer, &a);
	return shim_call_end(&call, shim_call_finish(&call));
}

static CUresult copy_in_chunk(
    CUdeviceptr destination, const void *source, size_t bytes, CUstream stream, unsigned flags)
{
	struct args_rosenCopyInStaged a = {destination, 0, bytes, stream};
	struct shim_call call;
	struct wire_bulk run;
	void *memory;

	int error = chan_staging_take(session.chan, bytes, &run, &memory);
	if (error < 0)
		return session_lost(error);
	team_copy(memory, source, bytes);
	observe_bytes(bytes);
	a.offset = run.offset;
	CUresult r = shim_call_begin(
	    &call, API_rosenCopyInStaged, wire_size_rosenCopyInStaged(&a), flags, 0);
	if (r != CUDA_SUCCESS) {
		chan_staging_give(session.chan, &run);
		return r;
	}
	wire_encode_rosenCopyInStaged(&call.writer, &a);
	r = shim_call_send(&call);
	/* Sent or not: the run is the worker's, or the channel is dead. */
	chan_staging_hand_over(session.chan, &run);
	if (r == CUDA_SUCCESS)
		r = call.flags & WIRE_F_REPLY ? shim_call_wait(&call) : shim_take_error();
	return shim_call_end(&call, r);
}

static CUresult copy_in(CUdeviceptr destination, const void *source, size_t bytes, CUstream stream)
{
	bool safe = place_is_known(destination, bytes) && !capture_may_be_open();
	unsigned flags = safe ? SHIM_POST : SHIM_WAIT;
	size_t chunk = chunk_for(bytes);

	if (bytes <= INLINE_MAX)
		return copy_in_record(destination, source, bytes, stream, flags);
	for (size_t done = 0; done < bytes; done += chunk) {
		CUresult r = copy_in_chunk(destination + done, (const char *)source + done,
		    MIN(chunk, bytes - done), stream, flags);
		if (r != CUDA_SUCCESS)
			return r;
	}
	return CUDA_SUCCESS;
}

/* Asks for one chunk to be put at offset of the staging area. */
static CUresult copy_out_send(
    struct shim_call *call, uint64_t offset, CUdeviceptr source, size_t bytes, CUstream stream)
{
	struct args_rosenCopyOutStaged a = {offset, source, bytes, stream};

	CUresult r = shim_call_begin(
	    call, API_rosenCopyOutStaged, wire_size_rosenCopyOutStaged(&a), SHIM_WAIT, 0);
	if (r != CUDA_SUCCESS)
		return r;
	wire_encode_rosenCopyOutStaged(&call->writer, &a);
	return shim_call_send(call);
}

static CUresult copy_out_staged(
    char *destination, CUdeviceptr source, size_t bytes, CUstream stream)
{
	size_t chunk = chunk_for(bytes);
	struct shim_call call[2];
	struct wire_bulk run;
	void *memory;

	int error =
	    chan_staging_take(session.chan, bytes > chunk ? 2 * chunk : chunk, &run, &memory);
	if (error < 0)
		return session_lost(error);
	size_t done = 0, now = MIN(chunk, bytes);
	unsigned half = 0;
	CUresult r = copy_out_send(&call[0], run.offset, source, now, stream);
	while (r == CUDA_SUCCESS) {
		r = shim_call_end(&call[half], shim_call_wait(&call[half]));
		if (r != CUDA_SUCCESS)
			break;
		size_t next = MIN(chunk, bytes - done - now);
		if (next)
			r = copy_out_send(&call[!half], run.offset + (half ? 0 : chunk),
			    source + done + now, next, stream);
		team_copy(destination + done, (char *)memory + (half ? chunk : 0), now);
		observe_bytes(now);
		if (!next)
			break;
		done += now;
		now = next;
		half = !half;
	}
	chan_staging_give(session.chan, &run);
	return r;
}

static CUresult copy_out(void *destination, CUdeviceptr source, size_t bytes, CUstream stream)
{
	CUresult r;

	if (wire_bytes_size(bytes) > chan_reply_room(session.chan))
		return copy_out_staged(destination, source, bytes, stream);
	r = remote_rosenCopyOut(destination, source, bytes, stream);
	return r == CUDA_SUCCESS ? shim_take_error() : r;
}

/* Both sides are this process's: in the stream's turn, which is now that it is drained. */
static CUresult copy_here(void *destination, const void *source, size_t bytes, CUstream stream)
{
	CUresult r = remote_cuStreamSynchronize(stream);

	if (r == CUDA_SUCCESS)
		memmove(destination, source, bytes);
	return r;
}

/* One side at least is ordinary memory. */
static CUresult copy_moving(
    const struct place *to, const struct place *from, size_t bytes, CUstream stream)
{
	void *destination = (void *)(uintptr_t)to->here; /* NOLINT(performance-no-int-to-ptr) */
	const void *source =
	    (const void *)(uintptr_t)from->here; /* NOLINT(performance-no-int-to-ptr) */
	CUresult usable = session_usable();

	if (usable != CUDA_SUCCESS)
		return usable;
	if ((!to->shared && !destination) || (!from->shared && !source))
		return CUDA_ERROR_INVALID_VALUE; /* NULL */
	CUresult r = destination && source ? copy_here(destination, source, bytes, stream)
		     : to->shared	   ? copy_in(to->remote, source, bytes, stream)
					   : copy_out(destination, from->remote, bytes, stream);
	return capture_explain(r);
}

CUresult shim_cuMemcpy(
    CUdeviceptr destination, CUdeviceptr source, size_t bytes, unsigned shim_flags)
{
	struct place to = place_find(destination), from = place_find(source);

	if (!bytes)
		return CUDA_SUCCESS;
	CUresult r = to.shared && from.shared
			 ? remote_cuMemcpy(to.remote, from.remote, bytes, shim_flags)
			 : copy_moving(&to, &from, bytes, stream_of_flags(shim_flags));
	return r ?: mirror_await(destination, stream_of_flags(shim_flags));
}

/* In stream order, or into the graph that the stream is captured to. */
static CUresult copy_moving_async(
    const struct place *to, const struct place *from, size_t bytes, CUstream stream)
{
	bool captured = false;

	if (!capture_may_be_open())
		return copy_moving(to, from, bytes, stream);
	CUresult r = graph_copy_capture_bytes(to->here ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
	    to->here ?: to->remote, from->here ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
	    from->here ?: from->remote, bytes, stream, &captured);

	return r == CUDA_SUCCESS && !captured ? copy_moving(to, from, bytes, stream) : r;
}

CUresult shim_cuMemcpyAsync(
    CUdeviceptr destination, CUdeviceptr source, size_t bytes, CUstream stream)
{
	struct place to = place_find(destination), from = place_find(source);

	if (!bytes)
		return CUDA_SUCCESS;
	if (to.shared && from.shared)
		return remote_cuMemcpyAsync(to.remote, from.remote, bytes, stream);
	return copy_moving_async(&to, &from, bytes, stream);
}

/* Where one side may be mapped memory of the host that no device may use: the program moves it. */
static bool moves_within_device(
    CUdeviceptr destination, CUdeviceptr source, struct place *to, struct place *from)
{
	if (likely(!virtual_host_any()))
		return false;
	*to = place_of_device(destination);
	*from = place_of_device(source);
	return !to->shared || !from->shared;
}

CUresult shim_cuMemcpyDtoD_v2(
    CUdeviceptr destination, CUdeviceptr source, size_t bytes, unsigned shim_flags)
{
	struct place to, from;

	if (unlikely(moves_within_device(destination, source, &to, &from)) && bytes)
		return copy_moving(&to, &from, bytes, stream_of_flags(shim_flags));
	CUresult r = remote_cuMemcpyDtoD_v2(destination, source, bytes, shim_flags);

	if (r != CUDA_SUCCESS || (!place_find(destination).here && !place_find(source).here))
		return r;
	return remote_cuStreamSynchronize(stream_of_flags(shim_flags));
}

CUresult shim_cuMemcpyDtoDAsync_v2(
    CUdeviceptr destination, CUdeviceptr source, size_t bytes, CUstream stream)
{
	struct place to, from;

	if (unlikely(moves_within_device(destination, source, &to, &from)) && bytes)
		return copy_moving_async(&to, &from, bytes, stream);
	return remote_cuMemcpyDtoDAsync_v2(destination, source, bytes, stream);
}

CUresult shim_cuMemcpyHtoD_v2(
    CUdeviceptr destination, const void *source, size_t bytes, unsigned shim_flags)
{
	struct place to = place_of_device(destination), from = place_of_host(source);

	if (!bytes)
		return CUDA_SUCCESS;
	CUresult r = to.shared && from.shared
			 ? remote_cuMemcpyHtoD_v2(to.remote, from.remote, bytes, shim_flags)
			 : copy_moving(&to, &from, bytes, stream_of_flags(shim_flags));
	return r ?: mirror_await(destination, stream_of_flags(shim_flags));
}

CUresult shim_cuMemcpyHtoDAsync_v2(
    CUdeviceptr destination, const void *source, size_t bytes, CUstream stream)
{
	struct place to = place_of_device(destination), from = place_of_host(source);

	if (!bytes)
		return CUDA_SUCCESS;
	if (to.shared && from.shared)
		return remote_cuMemcpyHtoDAsync_v2(to.remote, from.remote, bytes, stream);
	return copy_moving_async(&to, &from, bytes, stream);
}

CUresult shim_cuMemcpyDtoH_v2(
    void *destination, CUdeviceptr source, size_t bytes, unsigned shim_flags)
{
	struct place to = place_of_host(destination), from = place_of_device(source);

	if (!bytes)
		return CUDA_SUCCESS;
	if (to.shared && from.shared)
		return remote_cuMemcpyDtoH_v2(to.remote, from.remote, bytes, shim_flags);
	return copy_moving(&to, &from, bytes, stream_of_flags(shim_flags));
}

CUresult shim_cuMemcpyDtoHAsync_v2(
    void *destination, CUdeviceptr source, size_t bytes, CUstream stream)
{
	struct place to = place_of_host(destination), from = place_of_device(source);

	if (!bytes)
		return CUDA_SUCCESS;
	if (to.shared && from.shared)
		return remote_cuMemcpyDtoHAsync_v2(to.remote, from.remote, bytes, stream);
	return copy_moving_async(&to, &from, bytes, stream);
}
