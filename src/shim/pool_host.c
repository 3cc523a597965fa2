/*
 * This memory is pinned (pool_heap.h): program, worker and devices see it at the same address. The
 * worker and the devices have a pool's memory mapped while at least one device may use it. Managed
 * memory they always have; the access rights that a program sets there are only stored and
 * reported, as in CUDA.
 *
 * A driver releases what a pool holds beyond its threshold when somebody synchronises. Here, since
 * registering memory takes long, a pool keeps it until it is trimmed, is asked how much it holds,
 * or another pool grows.
 *
 * A pool lives until it is destroyed and its last memory was freed. One mutex, which is held while
 * the worker is asked.
 */
#include "shim/pool_host.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "abi/managed.h"
#include "base/util.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/capture.h"
#include "shim/device.h"
#include "shim/hostmem.h"
#include "shim/numa.h"
#include "shim/pool_host_inside.h"
#include "shim/thread.h"

pthread_mutex_t pool_host_lock = PTHREAD_MUTEX_INITIALIZER;
static struct host_pool *pools;
/* Relaxed: who uses a pool has synchronised with the thread that made it. */
static _Atomic bool any;

bool pool_host_is_managed(const struct host_pool *pool)
{
	return pool->properties.allocType == CU_MEM_ALLOCATION_TYPE_MANAGED;
}

struct host_pool *pool_host_find(CUmemoryPool handle)
{
	struct host_pool *pool = pools;

	while (pool && (pool->handle != handle || pool->is_destroyed))
		pool = pool->next;
	return pool;
}

/* Under the lock, among those, too, that the program has destroyed. */
static struct host_pool *find_owner(uint64_t handle)
{
	struct host_pool *pool = pools;

	while (pool && (uint64_t)pool->handle != handle)
		pool = pool->next;
	return pool;
}

/* --- pools --- */

bool pool_host_is_for(CUmemLocationType place, CUmemAllocationType type)
{
	return type == CU_MEM_ALLOCATION_TYPE_MANAGED || place == CU_MEM_LOCATION_TYPE_HOST ||
	       place == CU_MEM_LOCATION_TYPE_HOST_NUMA ||
	       place == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;
}

/* Memory of the host as such, and managed memory, are not for other processes. */
static CUresult check_handle_types(const CUmemPoolProps *properties)
{
	unsigned shareable =
	    properties->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA &&
		    properties->allocType == CU_MEM_ALLOCATION_TYPE_PINNED
		? CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR | CU_MEM_HANDLE_TYPE_FABRIC
		: CU_MEM_HANDLE_TYPE_NONE;

	return properties->handleTypes & ~shareable ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static bool has_reserved(const CUmemPoolProps *properties)
{
	static const CUmemPoolProps none;

	return memcmp(properties->reserved, none.reserved, sizeof(none.reserved)) != 0;
}

CUresult pool_host_check(const CUmemPoolProps *properties)
{
	const CUmemLocation *location = &properties->location;
	bool is_managed = properties->allocType == CU_MEM_ALLOCATION_TYPE_MANAGED;

	if (properties->allocType != CU_MEM_ALLOCATION_TYPE_PINNED && !is_managed)
		return CUDA_ERROR_INVALID_VALUE;
	switch ((int)location->type) {
	case CU_MEM_LOCATION_TYPE_DEVICE:
		if (!device_find(location->id))
			return CUDA_ERROR_INVALID_VALUE;
		break;
	case CU_MEM_LOCATION_TYPE_HOST_NUMA:
		if (!numa_node_exists(location->id))
			return CUDA_ERROR_INVALID_VALUE;
		break;
	case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
		if (!is_managed)
			return CUDA_ERROR_INVALID_VALUE;
		break;
	default:
		break;
	}
	if ((is_managed && properties->maxSize) || has_reserved(properties))
		return CUDA_ERROR_INVALID_VALUE;
	return check_handle_types(properties);
}

struct host_pool *pool_host_new(const CUmemPoolProps *properties)
{
	struct host_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->handle = (CUmemoryPool)shim_handle_new(HANDLE_POOL);
	if (!pool->handle) {
		free(pool);
		return NULL;
	}
	pool->properties = *properties;
	pool->heap.way.node = properties->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA
				  ? properties->location.id
				  : NUMA_ANY;
	pool->heap.way.hidden = pool->heap.way.hides = !pool_host_is_managed(pool);
	pool->host = pool_host_is_managed(pool) ? CU_MEM_ACCESS_FLAGS_PROT_NONE
						: CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
	for (size_t i = 0; i < ARRAY_SIZE(pool->reuse); i++)
		pool->reuse[i] = 1;
	atomic_store_explicit(&any, true, memory_order_relaxed);
	pool->next = pools;
	pools = pool;
	return pool;
}

bool pool_host_knows(CUmemoryPool handle)
{
	if (likely(!atomic_load_explicit(&any, memory_order_relaxed)))
		return false;
	pthread_mutex_lock(&pool_host_lock);
	bool knows = pool_host_find(handle);
	pthread_mutex_unlock(&pool_host_lock);
	return knows;
}

CUresult pool_host_create(CUmemoryPool *handle, const CUmemPoolProps *properties)
{
	CUresult r = pool_host_check(properties);

	if (r != CUDA_SUCCESS)
		return r;
	if (!hostmem_can_share())
		return CUDA_ERROR_NOT_SUPPORTED;
	pthread_mutex_lock(&pool_host_lock);
	struct host_pool *pool = pool_host_new(properties);
	if (pool)
		*handle = pool->handle;
	pthread_mutex_unlock(&pool_host_lock);
	return pool ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* Under the lock. */
static void end_unused(struct host_pool *pool)
{
	struct host_pool **at = &pools;

	if (!pool->is_destroyed || pool->n_allocations)
		return;
	while (*at != pool)
		at = &(*at)->next;
	*at = pool->next;
	pool_heap_fini(&pool->heap);
	free(pool);
}

CUresult pool_host_destroy(CUmemoryPool handle)
{
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	pthread_mutex_lock(&pool_host_lock);
	struct host_pool *pool = pool_host_find(handle);
	if (pool && !pool->is_default) {
		r = CUDA_SUCCESS;
		pool->is_destroyed = true;
		pool_host_leave_places(pool);
		shim_handle_drop((uint64_t)handle);
		end_unused(pool);
	}
	pthread_mutex_unlock(&pool_host_lock);
	return r;
}

CUresult pool_host_trim(CUmemoryPool handle, size_t keep)
{
	pthread_mutex_lock(&pool_host_lock);
	struct host_pool *pool = pool_host_find(handle);
	if (pool)
		pool_heap_trim(&pool->heap, keep);
	pthread_mutex_unlock(&pool_host_lock);
	return pool ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* --- memory --- */

static CUresult check_stream(CUstream stream)
{
	if ((uint64_t)stream > 2 && !shim_handle_alive((uint64_t)stream, HANDLE_STREAM))
		return CUDA_ERROR_INVALID_HANDLE;
	return shim_thread.context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

/* A graph's memory is the device's. */
static CUresult refuse_capture(const struct host_pool *pool, CUstream stream)
{
	if (!capture_is_open(stream))
		return CUDA_SUCCESS;
	return pool_host_is_managed(pool) ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_SUPPORTED;
}

CUresult pool_host_check_node(const CUmemPoolProps *properties)
{
	bool is_managed = properties->allocType == CU_MEM_ALLOCATION_TYPE_MANAGED;

	switch ((int)properties->location.type) {
	case CU_MEM_LOCATION_TYPE_DEVICE:
		return CUDA_SUCCESS;
	case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
		return is_managed ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
	default:
		return pool_host_is_for(properties->location.type, properties->allocType)
			   ? CUDA_ERROR_NOT_SUPPORTED
			   : CUDA_SUCCESS;
	}
}

/* What other pools hold too much of goes first. */
static void trim_others(const struct host_pool *pool)
{
	for (struct host_pool *other = pools; other; other = other->next)
		if (other != pool && other->heap.reserved > other->threshold)
			pool_heap_trim(&other->heap, other->threshold);
}

static CUresult take(struct host_pool *pool, size_t bytes, CUstream stream, uint64_t *start)
{
	size_t most = pool->properties.maxSize, before = pool->heap.reserved;

	/* What it reserves for the last bytes it may give out, too. */
	most =
	    most && most <= SIZE_MAX - POOL_HEAP_CHUNK ? align_up(most, POOL_HEAP_CHUNK) : SIZE_MAX;
	pool->heap.opportunistic = pool->reuse[CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC -
					       CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES];
	CUresult r = pool_heap_take(&pool->heap, bytes, most, stream, start);

	if (r != CUDA_SUCCESS)
		return r;
	if (pool->heap.reserved > before)
		trim_others(pool);
	pool->n_allocations++;
	pool->used_high = MAX(pool->used_high, pool->heap.used);
	pool->reserved_high = MAX(pool->reserved_high, pool->heap.reserved);
	return CUDA_SUCCESS;
}

/* Back to the pool at once: nobody has used it. */
static void untake(struct host_pool *pool, uint64_t start)
{
	pool_heap_give_now(&pool->heap, start);
	pool->n_allocations--;
}

static CUresult note(const struct host_pool *pool, uint64_t start, size_t bytes)
{
	const struct range range = {.start = start,
	    .size = bytes,
	    .kind = pool_host_is_managed(pool) ? RANGE_MANAGED : RANGE_POOL_HOST,
	    .flags = CU_MEMHOSTALLOC_DEVICEMAP,
	    .device = shim_thread.device,
	    .owner = (uint64_t)pool->handle,
	    .host = start,
	    .remote = pool->heap.way.hidden ? 0 : start};

	if (pool_host_is_managed(pool) && !managed_add(start, bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (range_add(&range))
		return CUDA_SUCCESS;
	managed_remove(start);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult pool_host_alloc(CUdeviceptr *address, size_t bytes, CUmemoryPool handle, CUstream stream)
{
	CUresult r = check_stream(stream);
	uint64_t start;

	*address = 0;
	if (r != CUDA_SUCCESS || !bytes)
		return r;
	pthread_mutex_lock(&pool_host_lock);
	struct host_pool *pool = pool_host_find(handle);
	r = pool ? refuse_capture(pool, stream) : CUDA_ERROR_INVALID_VALUE;
	r = r ?: take(pool, bytes, stream, &start);
	if (r == CUDA_SUCCESS) {
		r = note(pool, start, bytes);
		if (r != CUDA_SUCCESS)
			untake(pool, start);
	}
	pthread_mutex_unlock(&pool_host_lock);
	if (r == CUDA_SUCCESS)
		*address = start;
	return r;
}

bool pool_host_owns(CUdeviceptr address, struct range *range)
{
	if (likely(!atomic_load_explicit(&any, memory_order_relaxed)))
		return false;
	return range_find(address, range) && range->start == address && range->owner &&
	       (range->kind == RANGE_POOL_HOST || range->kind == RANGE_MANAGED);
}

/* Under the lock; the memory has been given back to the heap. */
static void forget(struct host_pool *pool, const struct range *range)
{
	if (pool_host_is_managed(pool))
		managed_remove(range->start);
	range_remove(range->start, NULL);
	pool->n_allocations--;
	end_unused(pool);
}

CUresult pool_host_free(const struct range *range, CUstream stream)
{
	CUresult r = check_stream(stream);

	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&pool_host_lock);
	struct host_pool *pool = find_owner(range->owner);
	r = pool && !capture_is_open(stream) ? pool_heap_give(&pool->heap, range->start, stream)
					     : CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		forget(pool, range);
	pthread_mutex_unlock(&pool_host_lock);
	return r;
}

CUresult pool_host_free_now(const struct range *range)
{
	CUresult r = remote_cuCtxSynchronize();

	pthread_mutex_lock(&pool_host_lock);
	struct host_pool *pool = find_owner(range->owner);
	if (pool && pool_heap_give_now(&pool->heap, range->start))
		forget(pool, range);
	else
		r = CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_unlock(&pool_host_lock);
	return r;
}

bool pool_host_block(const struct range *range, struct pool_block *block)
{
	pthread_mutex_lock(&pool_host_lock);
	const struct host_pool *pool = find_owner(range->owner);
	bool found = pool && pool_heap_find(&pool->heap, range->start, block);
	pthread_mutex_unlock(&pool_host_lock);
	return found;
}
