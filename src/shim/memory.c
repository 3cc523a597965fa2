/*
 * Device memory: every allocation waits for its address and enters the range map; every release
 * leaves the map first, so that a thread that gets the same address anew cannot lose its entry.
 */
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/managed.h"
#include "shim/pool_host.h"
#include "shim/range.h"

CUresult shim_cuMemAlloc_v2(CUdeviceptr *address, size_t bytes)
{
	if (!bytes)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = remote_cuMemAlloc_v2(address, bytes);
	return r == CUDA_SUCCESS ? range_note(*address, bytes, RANGE_DEVICE, 0) : r;
}

CUresult shim_cuMemAllocPitch_v2(
    CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned element)
{
	CUresult r = remote_cuMemAllocPitch_v2(address, pitch, width, height, element);

	return r == CUDA_SUCCESS ? range_note(*address, *pitch * height, RANGE_DEVICE, 0) : r;
}

CUresult shim_cuMemFree_v2(CUdeviceptr address)
{
	struct range range;

	if (!address)
		return CUDA_SUCCESS;
	if (pool_host_owns(address, &range))
		return pool_host_free_now(&range);
	if (range_find(address, &range) && range_is_host(&range))
		return range.kind == RANGE_MANAGED ? managed_free(&range, address)
						   : CUDA_ERROR_INVALID_VALUE;
	if (range_find(address, &range) && range.kind == RANGE_IPC)
		return CUDA_ERROR_INVALID_VALUE; /* it is cuIpcCloseMemHandle's */
	bool known = range_remove(address, &range);
	if (!known && range_find(address, &range))
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = remote_cuMemFree_v2(address);
	if (r == CUDA_ERROR_INVALID_VALUE && known)
		range_add(&range);
	return r;
}

CUresult shim_cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes)
{
	size_t nobody;

	return remote_cuMemGetInfo_v2(free_bytes ?: &nobody, total_bytes ?: &nobody);
}

CUresult shim_cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr address)
{
	CUdeviceptr found_base;
	size_t found_bytes;
	struct range range;

	if (!base && !bytes)
		return CUDA_SUCCESS;
	bool known = range_find(address, &range);
	if (known && (range.kind == RANGE_POOL_HOST || range.kind == RANGE_MAPPED_HOST) &&
	    !range.remote)
		return CUDA_ERROR_NOT_FOUND; /* it has no address of a device's */
	if (known && range.kind != RANGE_MAPPED) {
		found_base = range.start;
		found_bytes = range.size;
	} else {
		CUresult r = remote_cuMemGetAddressRange_v2(&found_base, &found_bytes, address);
		if (r != CUDA_SUCCESS)
			return r;
	}
	if (base)
		*base = found_base;
	if (bytes)
		*bytes = found_bytes;
	return CUDA_SUCCESS;
}
