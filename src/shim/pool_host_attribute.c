/* What pools of host and managed memory tell and are told: attributes, and who may use them. */
#include "base/log.h"
#include "shim/device.h"
#include "shim/pool_host.h"
#include "shim/pool_host_inside.h"

static CUresult get(struct host_pool *pool, CUmemPool_attribute attribute, uint64_t *value)
{
	switch ((int)attribute) {
	case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
		*value =
		    (uint64_t)
			pool->reuse[attribute - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES];
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
		*value = pool->threshold;
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
		pool_heap_trim(&pool->heap, pool->threshold);
		*value = pool->heap.reserved;
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
		*value = pool->reserved_high;
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
		*value = pool->heap.used;
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
		*value = pool->used_high;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult pool_host_get(CUmemoryPool handle, CUmemPool_attribute attribute, uint64_t *value)
{
	pthread_mutex_lock(&pool_host_lock);
	struct host_pool *pool = pool_host_find(handle);
	CUresult r = pool ? get(pool, attribute, value) : CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_unlock(&pool_host_lock);
	return r;
}

static CUresult set(struct host_pool *pool, CUmemPool_attribute attribute, uint64_t value)
{
	switch ((int)attribute) {
	case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
		pool->reuse[attribute - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES] =
		    (int)value;
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
		pool->threshold = value;
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
		pool->reserved_high = value ? pool->reserved_high : pool->heap.reserved;
		return value ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
		pool->used_high = value ? pool->used_high : pool->heap.used;
		return value ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult pool_host_set(CUmemoryPool handle, CUmemPool_attribute attribute, uint64_t value)
{
	pthread_mutex_lock(&pool_host_lock);
	struct host_pool *pool = pool_host_find(handle);
	CUresult r = pool ? set(pool, attribute, value) : CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_unlock(&pool_host_lock);
	return r;
}

/* --- for other processes --- */

CUresult pool_host_export(CUmemoryPool handle, CUmemAllocationHandleType type)
{
	pthread_mutex_lock(&pool_host_lock);
	const struct host_pool *pool = pool_host_find(handle);
	bool may = pool && (pool->properties.handleTypes & type);
	pthread_mutex_unlock(&pool_host_lock);
	if (!may)
		return CUDA_ERROR_INVALID_VALUE;
	log_warn_once("pools of host memory are not shared with other processes");
	return CUDA_ERROR_NOT_SUPPORTED;
}

/* --- access --- */

static CUresult check_flags(CUmemAccess_flags flags)
{
	return flags == CU_MEM_ACCESS_FLAGS_PROT_NONE || flags == CU_MEM_ACCESS_FLAGS_PROT_READ ||
		       flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_INVALID_VALUE;
}

static CUresult get_access(
    const struct host_pool *pool, const CUmemLocation *location, CUmemAccess_flags *flags)
{
	switch ((int)location->type) {
	case CU_MEM_LOCATION_TYPE_DEVICE:
		*flags = pool->device[location->id];
		return CUDA_SUCCESS;
	case CU_MEM_LOCATION_TYPE_HOST:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA:
		*flags = pool->host;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult pool_host_get_access(
    CUmemAccess_flags *flags, CUmemoryPool handle, const CUmemLocation *location)
{
	pthread_mutex_lock(&pool_host_lock);
	const struct host_pool *pool = pool_host_find(handle);
	CUresult r = pool ? get_access(pool, location, flags) : CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_unlock(&pool_host_lock);
	return r;
}

static bool any_device(const struct host_pool *pool)
{
	for (unsigned i = 0; i < WIRE_DEVICES_MAX; i++)
		if (pool->device[i])
			return true;
	return false;
}

static CUresult allow_device(struct host_pool *pool, int device, CUmemAccess_flags flags)
{
	if (!device_find(device))
		return CUDA_ERROR_INVALID_DEVICE;
	if (flags == CU_MEM_ACCESS_FLAGS_PROT_READ)
		return CUDA_ERROR_NOT_SUPPORTED;
	CUmemAccess_flags before = pool->device[device];
	pool->device[device] = flags;
	if (pool_host_is_managed(pool))
		return CUDA_SUCCESS;
	CUresult r = any_device(pool) ? pool_heap_show(&pool->heap) : pool_heap_hide(&pool->heap);
	if (r != CUDA_SUCCESS)
		pool->device[device] = before;
	return r;
}

/* All of the host at once. */
static CUresult allow_host(struct host_pool *pool, CUmemAccess_flags flags)
{
	if (flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE &&
	    (flags != CU_MEM_ACCESS_FLAGS_PROT_NONE || !pool_host_is_managed(pool)))
		return CUDA_ERROR_NOT_SUPPORTED;
	pool->host = flags;
	return CUDA_SUCCESS;
}

static CUresult set_access(struct host_pool *pool, const CUmemAccessDesc *access)
{
	switch ((int)access->location.type) {
	case CU_MEM_LOCATION_TYPE_DEVICE:
		return allow_device(pool, access->location.id, access->flags);
	case CU_MEM_LOCATION_TYPE_HOST:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA:
		return allow_host(pool, access->flags);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult pool_host_set_access(CUmemoryPool handle, const CUmemAccessDesc *access, size_t count)
{
	pthread_mutex_lock(&pool_host_lock);
	struct host_pool *pool = pool_host_find(handle);
	CUresult r = pool ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++)
		r = check_flags(access[i].flags) ?: set_access(pool, &access[i]);
	pthread_mutex_unlock(&pool_host_lock);
	return r;
}
