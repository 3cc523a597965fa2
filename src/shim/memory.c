/*
 * Device memory: every allocation waits for its address and enters the range map; every release
 * leaves the map first, so that a thread that gets the same address anew cannot lose its entry.
 */
#include "base/log.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/capture.h"
#include "shim/managed.h"
#include "shim/pool_reuse.h"
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
	if (range_find(address, &range) && range.kind != RANGE_MAPPED) {
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

/* --- in stream order --- */

/* Kept memory that fits, entered again. */
static bool take_kept(CUdeviceptr *address, size_t bytes, CUmemoryPool mem_pool, CUstream stream)
{
	CUdeviceptr kept = pool_reuse_take(bytes, mem_pool, stream);

	if (!kept)
		return false;
	if (range_note(kept, bytes, RANGE_POOL, (uint64_t)mem_pool) != CUDA_SUCCESS) {
		remote_cuMemFreeAsync(kept, stream);
		return false;
	}
	*address = kept;
	return true;
}

CUresult shim_cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream)
{
	if (take_kept(address, bytes, NULL, stream))
		return CUDA_SUCCESS;
	CUresult r = remote_cuMemAllocAsync(address, bytes, stream);

	/* Of no bytes there is no address. */
	return r == CUDA_SUCCESS && *address ? range_note(*address, bytes, RANGE_POOL, 0) : r;
}

CUresult shim_cuMemAllocFromPoolAsync(
    CUdeviceptr *address, size_t bytes, CUmemoryPool mem_pool, CUstream stream)
{
	if (mem_pool && take_kept(address, bytes, mem_pool, stream))
		return CUDA_SUCCESS;
	CUresult r = remote_cuMemAllocFromPoolAsync(address, bytes, mem_pool, stream);

	return r == CUDA_SUCCESS && *address
		   ? range_note(*address, bytes, RANGE_POOL, (uint64_t)mem_pool)
		   : r;
}

CUresult shim_cuMemFreeAsync(CUdeviceptr address, CUstream stream)
{
	struct range range;

	if (!address)
		return CUDA_SUCCESS;
	if ((uint64_t)stream > 2 && !shim_handle_alive((uint64_t)stream, HANDLE_STREAM))
		return CUDA_ERROR_INVALID_HANDLE;
	/* Memory of cuMemAlloc may be given back like this too, but is none of a pool. */
	if (range_find(address, &range) && range.kind == RANGE_DEVICE && !capture_may_be_open())
		return shim_cuMemFree_v2(address);
	if (range_remove(address, &range) && range.kind == RANGE_POOL &&
	    pool_reuse_keep(address, range.size, (CUmemoryPool)range.owner, stream))
		return shim_take_error();
	pool_reuse_send_all(); /* it may be freed for the second time */
	return remote_cuMemFreeAsync(address, stream);
}

/* Memory of pools is the worker's: the program cannot reach it. */
static CUresult check_place(CUmemLocationType place, CUmemAllocationType type)
{
	if (type != CU_MEM_ALLOCATION_TYPE_MANAGED && place != CU_MEM_LOCATION_TYPE_HOST &&
	    place != CU_MEM_LOCATION_TYPE_HOST_NUMA &&
	    place != CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT)
		return CUDA_SUCCESS;
	log_warn_once("host memory is allocated by cuMemHostAlloc, cuMemAllocManaged or "
		      "cuMemCreate, not from pools");
	return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult shim_cuMemPoolCreate(CUmemoryPool *mem_pool, const CUmemPoolProps *properties)
{
	return check_place(properties->location.type, properties->allocType)
		   ?: remote_cuMemPoolCreate(mem_pool, properties);
}

static bool is_int(CUmemPool_attribute attribute)
{
	return attribute >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES &&
	       attribute <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES;
}

CUresult shim_cuMemPoolGetAttribute(
    CUmemoryPool mem_pool, CUmemPool_attribute attribute, void *value)
{
	uint64_t number;
	CUresult r = remote_cuMemPoolGetAttribute(mem_pool, attribute, &number);

	if (r == CUDA_SUCCESS && is_int(attribute))
		*(int *)value = (int)number;
	else if (r == CUDA_SUCCESS)
		*(uint64_t *)value = number;
	return r;
}

CUresult shim_cuMemPoolSetAttribute(
    CUmemoryPool mem_pool, CUmemPool_attribute attribute, const void *value)
{
	uint64_t number =
	    is_int(attribute) ? (uint64_t)*(const int *)value : *(const uint64_t *)value;

	return remote_cuMemPoolSetAttribute(mem_pool, attribute, number);
}
