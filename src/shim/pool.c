/*
 * Memory in stream order, and the pools it comes from. Pools of device memory are the worker's.
 * Those of host and of managed memory, which the program reaches, are this process's own
 * (pool_host.h): each function asks first whose a pool is.
 */
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/capture.h"
#include "shim/device.h"
#include "shim/pool_host.h"
#include "shim/pool_reuse.h"
#include "shim/range.h"
#include "shim/session.h"

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
	if (pool_host_knows(mem_pool))
		return pool_host_alloc(address, bytes, mem_pool, stream);
	if (mem_pool && take_kept(address, bytes, mem_pool, stream))
		return CUDA_SUCCESS;
	CUresult r = remote_cuMemAllocFromPoolAsync(address, bytes, mem_pool, stream);

	return r == CUDA_SUCCESS && *address
		   ? range_note(*address, bytes, RANGE_POOL, (uint64_t)mem_pool)
		   : r;
}

/* What the map does not know as memory of a device's pools. A graph's memory is the worker's to
 * find. */
static CUresult free_other(CUdeviceptr address, CUstream stream)
{
	struct range range;
	bool known = range_find(address, &range);

	if (known ? range.start != address || range_is_host(&range)
		  : session_in_host_window(address))
		return CUDA_ERROR_INVALID_VALUE;
	/* Memory of cuMemAlloc may be given back like this too, but is none of a pool. */
	if (known && range.kind == RANGE_DEVICE && !capture_is_open(stream))
		return shim_cuMemFree_v2(address);
	range_remove(address, NULL);
	pool_reuse_send_all(); /* it may be freed for the second time */
	return remote_cuMemFreeAsync(address, stream);
}

CUresult shim_cuMemFreeAsync(CUdeviceptr address, CUstream stream)
{
	struct range range;

	if (!address)
		return CUDA_SUCCESS;
	if ((uint64_t)stream > 2 && !shim_handle_alive((uint64_t)stream, HANDLE_STREAM))
		return CUDA_ERROR_INVALID_HANDLE;
	if (pool_host_owns(address, &range))
		return pool_host_free(&range, stream);
	if (!range_remove_kind(address, RANGE_POOL, &range))
		return free_other(address, stream);
	if (pool_reuse_keep(address, range.size, (CUmemoryPool)range.owner, stream))
		return shim_take_error();
	pool_reuse_send_all(); /* in the order in which they were freed */
	return remote_cuMemFreeAsync(address, stream);
}

/* --- pools --- */

CUresult shim_cuMemPoolCreate(CUmemoryPool *mem_pool, const CUmemPoolProps *properties)
{
	return pool_host_is_for(properties->location.type, properties->allocType)
		   ? pool_host_create(mem_pool, properties)
		   : remote_cuMemPoolCreate(mem_pool, properties);
}

CUresult shim_cuMemPoolDestroy(CUmemoryPool mem_pool)
{
	return pool_host_knows(mem_pool) ? pool_host_destroy(mem_pool)
					 : remote_cuMemPoolDestroy(mem_pool);
}

CUresult shim_cuMemPoolTrimTo(CUmemoryPool mem_pool, size_t keep)
{
	return pool_host_knows(mem_pool) ? pool_host_trim(mem_pool, keep)
					 : remote_cuMemPoolTrimTo(mem_pool, keep);
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
	CUresult r = pool_host_knows(mem_pool)
			 ? pool_host_get(mem_pool, attribute, &number)
			 : remote_cuMemPoolGetAttribute(mem_pool, attribute, &number);

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

	return pool_host_knows(mem_pool)
		   ? pool_host_set(mem_pool, attribute, number)
		   : remote_cuMemPoolSetAttribute(mem_pool, attribute, number);
}

CUresult shim_cuMemPoolGetAccess(
    CUmemAccess_flags *flags, CUmemoryPool mem_pool, CUmemLocation *location)
{
	if (location->type == CU_MEM_LOCATION_TYPE_DEVICE && !device_find(location->id))
		return CUDA_ERROR_INVALID_VALUE;
	return pool_host_knows(mem_pool) ? pool_host_get_access(flags, mem_pool, location)
					 : remote_cuMemPoolGetAccess(flags, mem_pool, location);
}

CUresult shim_cuMemPoolSetAccess(CUmemoryPool mem_pool, const CUmemAccessDesc *access, size_t count)
{
	return pool_host_knows(mem_pool) ? pool_host_set_access(mem_pool, access, count)
					 : remote_cuMemPoolSetAccess(mem_pool, access, count);
}

/* --- the pools of a place --- */

CUresult shim_cuMemGetDefaultMemPool(
    CUmemoryPool *mem_pool, CUmemLocation *location, CUmemAllocationType type)
{
	return pool_host_is_for(location->type, type)
		   ? pool_host_default(mem_pool, location, type)
		   : remote_cuMemGetDefaultMemPool(mem_pool, location, type);
}

CUresult shim_cuMemGetMemPool(
    CUmemoryPool *mem_pool, CUmemLocation *location, CUmemAllocationType type)
{
	return pool_host_is_for(location->type, type)
		   ? pool_host_current(mem_pool, location, type)
		   : remote_cuMemGetMemPool(mem_pool, location, type);
}

CUresult shim_cuMemSetMemPool(
    CUmemLocation *location, CUmemAllocationType type, CUmemoryPool mem_pool)
{
	return pool_host_is_for(location->type, type) || pool_host_knows(mem_pool)
		   ? pool_host_set_current(location, type, mem_pool)
		   : remote_cuMemSetMemPool(location, type, mem_pool);
}

CUresult shim_cuDeviceSetMemPool(CUdevice device, CUmemoryPool mem_pool)
{
	return pool_host_knows(mem_pool) ? CUDA_ERROR_INVALID_VALUE
					 : remote_cuDeviceSetMemPool(device, mem_pool);
}
