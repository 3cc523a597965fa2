/*
 * Fills without a stream. They are put into the default stream, the thread's own for the names of
 * per-thread streams, and of device memory nobody waits for them, as in CUDA. Memory that the
 * program sees as well has its new bytes when the call returns.
 */
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/place.h"

/* After the fill of memory from address on was issued to the default stream of these flags. */
static CUresult await_fill(CUresult issued, CUdeviceptr address, unsigned shim_flags)
{
	if (issued != CUDA_SUCCESS || !place_find(address).here)
		return issued;
	return remote_cuStreamSynchronize(shim_flags & SHIM_PTDS ? CU_STREAM_PER_THREAD : NULL);
}

CUresult shim_cuMemsetD8_v2(
    CUdeviceptr address, unsigned char value, size_t count, unsigned shim_flags)
{
	CUresult r = shim_flags & SHIM_PTDS
			 ? remote_cuMemsetD8Async(address, value, count, CU_STREAM_PER_THREAD)
			 : remote_cuMemsetD8_v2(address, value, count, 0);

	return await_fill(r, address, shim_flags);
}

CUresult shim_cuMemsetD16_v2(
    CUdeviceptr address, unsigned short value, size_t count, unsigned shim_flags)
{
	CUresult r = shim_flags & SHIM_PTDS
			 ? remote_cuMemsetD16Async(address, value, count, CU_STREAM_PER_THREAD)
			 : remote_cuMemsetD16_v2(address, value, count, 0);

	return await_fill(r, address, shim_flags);
}

CUresult shim_cuMemsetD32_v2(CUdeviceptr address, unsigned value, size_t count, unsigned shim_flags)
{
	CUresult r = shim_flags & SHIM_PTDS
			 ? remote_cuMemsetD32Async(address, value, count, CU_STREAM_PER_THREAD)
			 : remote_cuMemsetD32_v2(address, value, count, 0);

	return await_fill(r, address, shim_flags);
}

CUresult shim_cuMemsetD2D8_v2(CUdeviceptr address, size_t pitch, unsigned char value, size_t width,
    size_t height, unsigned shim_flags)
{
	CUresult r = shim_flags & SHIM_PTDS
			 ? remote_cuMemsetD2D8Async(
			       address, pitch, value, width, height, CU_STREAM_PER_THREAD)
			 : remote_cuMemsetD2D8_v2(address, pitch, value, width, height, 0);

	return await_fill(r, address, shim_flags);
}

CUresult shim_cuMemsetD2D16_v2(CUdeviceptr address, size_t pitch, unsigned short value,
    size_t width, size_t height, unsigned shim_flags)
{
	CUresult r = shim_flags & SHIM_PTDS
			 ? remote_cuMemsetD2D16Async(
			       address, pitch, value, width, height, CU_STREAM_PER_THREAD)
			 : remote_cuMemsetD2D16_v2(address, pitch, value, width, height, 0);

	return await_fill(r, address, shim_flags);
}

CUresult shim_cuMemsetD2D32_v2(CUdeviceptr address, size_t pitch, unsigned value, size_t width,
    size_t height, unsigned shim_flags)
{
	CUresult r = shim_flags & SHIM_PTDS
			 ? remote_cuMemsetD2D32Async(
			       address, pitch, value, width, height, CU_STREAM_PER_THREAD)
			 : remote_cuMemsetD2D32_v2(address, pitch, value, width, height, 0);

	return await_fill(r, address, shim_flags);
}
