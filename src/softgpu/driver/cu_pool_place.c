/*
 * Which pool a place uses: each has one from the beginning, and the program may name another. The
 * place that most memory comes from is the device; those of host and of managed memory lie in the
 * same arena, where program and kernels reach all of it whatever a pool allows them: what it does
 * is kept and told.
 */
#include <errno.h>

#include "base/error.h"
#include "base/util.h"
#include "softgpu/driver/driver.h"
#include "softgpu/driver/pool.h"

#define STANDARD(memory, place)                                                                    \
	{                                                                                          \
	    .standard = {.is_default = true,                                                       \
		.file = -1,                                                                        \
		.reuse = {1, 1, 1},                                                                \
		.type = CU_MEM_ALLOCATION_TYPE_##memory,                                           \
		.location = {CU_MEM_LOCATION_TYPE_##place, 0}},                                    \
	}

static struct place {
	struct sg_pool standard, *current; /* NULL: the standard one */
} places[] = {
    STANDARD(PINNED, DEVICE), /* cuDeviceGetMemPool's */
    STANDARD(PINNED, HOST),
    STANDARD(PINNED, HOST_NUMA),
    STANDARD(MANAGED, NONE),
    STANDARD(MANAGED, DEVICE),
    STANDARD(MANAGED, HOST),
    STANDARD(MANAGED, HOST_NUMA),
};

int sg_pool_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct sg_pool *pool = &places[i].standard;
		pool->handle = sg_handle_new(SG_POOL, pool);
		if (!pool->handle)
			return error_origin(-ENOMEM);
		sg_pool_begin_access(pool);
	}
	return 0;
}

/* Under the lock. */
static struct sg_pool *pool_of(struct place *place)
{
	return place->current ?: &place->standard;
}

struct sg_pool *sg_pool_of_device(void)
{
	pthread_mutex_lock(&sg_pool_lock);
	struct sg_pool *pool = pool_of(&places[0]);
	pthread_mutex_unlock(&sg_pool_lock);
	return pool;
}

void sg_pool_leave_places(const struct sg_pool *pool)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (places[i].current == pool)
			places[i].current = NULL;
}

/* NULL: there is no such memory. */
static struct place *place_of(const CUmemLocation *location, CUmemAllocationType type)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct sg_pool *standard = &places[i].standard;
		if (standard->type == type && standard->location.type == location->type)
			return &places[i];
	}
	return NULL;
}

/* There is one device, and the host has one node. */
static bool is_numbered(const CUmemLocation *location)
{
	return location->type == CU_MEM_LOCATION_TYPE_DEVICE ||
	       location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA;
}

CUresult sg_pool_check_place(const CUmemLocation *location, CUmemAllocationType type)
{
	if (!place_of(location, type))
		return CUDA_ERROR_INVALID_VALUE;
	return is_numbered(location) && location->id ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

/* ---- access ---- */

/* All nodes of the host, also those that there are not, are one to pools. */
static CUresult check_location(const CUmemLocation *location)
{
	if (!location || (location->type != CU_MEM_LOCATION_TYPE_DEVICE &&
			     location->type != CU_MEM_LOCATION_TYPE_HOST &&
			     location->type != CU_MEM_LOCATION_TYPE_HOST_NUMA))
		return CUDA_ERROR_INVALID_VALUE;
	return location->type == CU_MEM_LOCATION_TYPE_DEVICE && location->id
		   ? CUDA_ERROR_INVALID_DEVICE
		   : CUDA_SUCCESS;
}

/* Managed memory is nobody's until somebody is allowed to use it, though all can. */
void sg_pool_begin_access(struct sg_pool *pool)
{
	if (sg_pool_is_managed(pool))
		return;
	*(sg_pool_is_host(pool) ? &pool->host : &pool->device) = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool handle, CUmemLocation *location)
{
	struct sg_pool *pool;
	CUresult r = sg_pool_enter(handle, &pool);

	if (r == CUDA_SUCCESS)
		r = flags ? check_location(location) : CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r == CUDA_ERROR_INVALID_DEVICE ? CUDA_ERROR_INVALID_VALUE : r;
	*flags = location->type == CU_MEM_LOCATION_TYPE_DEVICE ? pool->device : pool->host;
	return CUDA_SUCCESS;
}

/* Memory of the device is the device's alone, and that stays so. */
static CUresult set_access_of_device(const CUmemAccessDesc *access)
{
	if (access->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	return access->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE ? CUDA_SUCCESS
								   : CUDA_ERROR_INVALID_DEVICE;
}

/* The host's access to its own memory cannot be taken away, and nobody only reads. */
static CUresult set_access(struct sg_pool *pool, const CUmemAccessDesc *access)
{
	CUresult r = check_location(&access->location);

	if (r == CUDA_SUCCESS &&
	    (access->flags > CU_MEM_ACCESS_FLAGS_PROT_READWRITE || access->flags == 2))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	if (!sg_pool_is_managed(pool) && !sg_pool_is_host(pool))
		return set_access_of_device(access);
	bool is_device = access->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
	if (access->flags == CU_MEM_ACCESS_FLAGS_PROT_READ ||
	    (access->flags == CU_MEM_ACCESS_FLAGS_PROT_NONE && !is_device && sg_pool_is_host(pool)))
		return CUDA_ERROR_NOT_SUPPORTED;
	*(is_device ? &pool->device : &pool->host) = access->flags;
	return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc *access, size_t n)
{
	struct sg_pool *pool;
	CUresult r = sg_pool_enter(handle, &pool);

	if (r == CUDA_SUCCESS && n && !access)
		r = CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; r == CUDA_SUCCESS && i < n; i++)
		r = set_access(pool, &access[i]);
	return r;
}

/* ---- the pools of a place ---- */

static CUresult enter(const void *output, const CUmemLocation *location, CUmemAllocationType type)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!output || !location))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT)
		r = CUDA_ERROR_NOT_SUPPORTED;
	r = r ?: sg_pool_check_place(location, type);
	return r == CUDA_ERROR_INVALID_DEVICE ? CUDA_ERROR_INVALID_VALUE : r;
}

CUresult cuMemGetDefaultMemPool(
    CUmemoryPool *pool, CUmemLocation *location, CUmemAllocationType type)
{
	CUresult r = enter(pool, location, type);

	if (r == CUDA_SUCCESS)
		*pool = place_of(location, type)->standard.handle;
	return r;
}

CUresult cuMemGetMemPool(CUmemoryPool *pool, CUmemLocation *location, CUmemAllocationType type)
{
	CUresult r = enter(pool, location, type);

	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&sg_pool_lock);
	*pool = pool_of(place_of(location, type))->handle;
	pthread_mutex_unlock(&sg_pool_lock);
	return CUDA_SUCCESS;
}

CUresult cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool handle)
{
	struct sg_pool *pool;
	CUresult r = sg_pool_enter(handle, &pool) ?: enter(handle, location, type);

	if (r != CUDA_SUCCESS)
		return r;
	struct place *place = place_of(location, type);
	if (pool->is_import || place_of(&pool->location, pool->type) != place)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&sg_pool_lock);
	place->current = pool;
	pthread_mutex_unlock(&sg_pool_lock);
	return CUDA_SUCCESS;
}

/* ---- the device's ---- */

static CUmemLocation of_device(CUdevice device)
{
	return (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, device};
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *handle, CUdevice device)
{
	CUmemLocation location = of_device(device);

	/* Which pool is in use tells wrong devices by another code than which one is the
	 * standard. */
	if (handle && device)
		return sg_enter() ?: CUDA_ERROR_INVALID_DEVICE;
	return cuMemGetDefaultMemPool(handle, &location, CU_MEM_ALLOCATION_TYPE_PINNED);
}

CUresult cuDeviceGetMemPool(CUmemoryPool *handle, CUdevice device)
{
	CUmemLocation location = of_device(device);

	return cuMemGetMemPool(handle, &location, CU_MEM_ALLOCATION_TYPE_PINNED);
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool handle)
{
	CUmemLocation location = of_device(device);

	return cuMemSetMemPool(&location, CU_MEM_ALLOCATION_TYPE_PINNED, handle);
}
