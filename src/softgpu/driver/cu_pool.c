/*
 * Stream-ordered allocation. Memory is taken from the arena when the program asks for it and given
 * back when the stream reaches the free, which fulfils the promise of the interface without keeping
 * memory in the pool: what a pool has reserved is always what is in use.
 */
#include "softgpu/driver/driver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "abi/managed.h"
#include "base/fd.h"
#include "base/util.h"
#include "softgpu/driver/graph.h"
#include "softgpu/driver/memory.h"
#include "softgpu/driver/pool.h"
#include "softgpu/driver/stream.h"

#define POOL_ALIGN 256
/* What NVIDIA's driver reserves for a pool of host memory at once, and may then give out. */
#define HOST_CHUNK (32ull << 20)

pthread_mutex_t sg_pool_lock = PTHREAD_MUTEX_INITIALIZER;

CUmemoryPool sg_pool_handle(const struct sg_pool *pool)
{
	return pool->handle;
}

int sg_pool_file(const struct sg_pool *pool)
{
	return pool->file;
}

bool sg_pool_is_host(const struct sg_pool *pool)
{
	return pool->type == CU_MEM_ALLOCATION_TYPE_PINNED &&
	       pool->location.type != CU_MEM_LOCATION_TYPE_DEVICE;
}

bool sg_pool_is_managed(const struct sg_pool *pool)
{
	return pool->type == CU_MEM_ALLOCATION_TYPE_MANAGED;
}

bool sg_pool_is_open(const struct sg_pool *pool)
{
	return !sg_pool_is_host(pool) || pool->device;
}

bool sg_pool_is_import(const struct sg_pool *pool)
{
	return pool->is_import;
}

static void pool_free(struct sg_pool *pool)
{
	fd_close(pool->file);
	free(pool);
}

/* ---- allocation ---- */

static bool pool_charge(struct sg_pool *pool, size_t size)
{
	pthread_mutex_lock(&sg_pool_lock);
	bool fits = !pool->max_size || size <= pool->max_size - MIN(pool->used, pool->max_size);
	if (fits) {
		pool->used += size;
		pool->used_high = MAX(pool->used_high, pool->used);
		pool->n_ranges++;
	}
	pthread_mutex_unlock(&sg_pool_lock);
	return fits;
}

static void pool_uncharge(struct sg_pool *pool, size_t size)
{
	pthread_mutex_lock(&sg_pool_lock);
	pool->used -= size;
	pool->n_ranges--;
	bool last = pool->is_destroyed && !pool->n_ranges;
	pthread_mutex_unlock(&sg_pool_lock);
	if (last)
		pool_free(pool);
}

CUresult sg_pool_free_range(const struct sg_range *range)
{
	if (sg_pool_is_managed(range->owner))
		managed_remove(range->address);
	if (sg_arena_free(range->address) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	pool_uncharge(range->owner, range->size);
	return CUDA_SUCCESS;
}

void sg_pool_range_gone(const struct sg_range *range)
{
	if (range->kind != SG_RANGE_POOL)
		return;
	if (sg_pool_is_managed(range->owner))
		managed_remove(range->address);
	pool_uncharge(range->owner, range->size);
}

/* As part of a graph it is memory of the graph's own. */
static CUresult capture_alloc(CUdeviceptr *address, size_t size, struct sg_stream *stream)
{
	struct sg_graph_memory *memory = sg_graph_memory_new(size);
	struct sg_work *work =
	    memory ? sg_graph_memory_work(memory, CU_GRAPH_NODE_TYPE_MEM_ALLOC) : NULL;
	CUresult r = work ? sg_stream_submit(stream, work, NULL) : CUDA_ERROR_OUT_OF_MEMORY;

	if (r == CUDA_SUCCESS)
		*address = memory->address;
	sg_graph_memory_unref(memory); /* the node has its own reference */
	return r;
}

static CUresult capture_free(CUdeviceptr address, struct sg_stream *stream)
{
	struct sg_graph_memory *memory = sg_graph_memory_find(address);

	if (!memory)
		return CUDA_ERROR_INVALID_VALUE;
	struct sg_work *work = sg_graph_memory_work(memory, CU_GRAPH_NODE_TYPE_MEM_FREE);
	return work ? sg_stream_submit(stream, work, NULL) : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult pool_alloc(CUdeviceptr *address, size_t size, struct sg_pool *pool, CUstream handle)
{
	struct sg_range range = {.size = size, .kind = SG_RANGE_POOL, .owner = pool};
	struct sg_context *context;
	struct sg_stream *stream;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && (!address || !pool || pool->is_import))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = sg_stream_get(handle, context, &stream);
	if (r != CUDA_SUCCESS)
		return r;
	*address = 0;
	if (!size)
		return CUDA_SUCCESS;
	if (sg_capture_id(stream))
		return sg_pool_is_managed(pool) ? CUDA_ERROR_INVALID_VALUE
		       : sg_pool_is_host(pool)	? CUDA_ERROR_NOT_SUPPORTED
						: capture_alloc(address, size, stream);
	if (!pool_charge(pool, size))
		return CUDA_ERROR_OUT_OF_MEMORY;
	range.context_id = context->id;
	if (sg_arena_alloc(&range, POOL_ALIGN) < 0) {
		pool_uncharge(pool, size);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (sg_pool_is_managed(pool) && !managed_add(range.address, size)) {
		sg_pool_free_range(&range);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*address = range.address;
	return CUDA_SUCCESS;
}

CUresult cuMemAllocAsync(CUdeviceptr *address, size_t size, CUstream stream)
{
	return pool_alloc(address, size, sg_pool_of_device(), stream);
}

CUresult cuMemAllocFromPoolAsync(
    CUdeviceptr *address, size_t size, CUmemoryPool handle, CUstream stream)
{
	CUresult r = sg_enter();

	return r == CUDA_SUCCESS ? pool_alloc(address, size, sg_handle_get(handle, SG_POOL), stream)
				 : r;
}

struct free_work {
	struct sg_work work;
	struct sg_range range;
};

/* The range was found when the program asked; freeing it twice in stream order finds it gone. */
static CUresult free_run(struct sg_work *work, struct sg_context *context)
{
	const struct sg_range *range = &((struct free_work *)work)->range;
	struct sg_range now;

	if (!sg_arena_find(range->address, &now) || now.id != range->id)
		return CUDA_SUCCESS;
	if (range->kind == SG_RANGE_POOL)
		sg_pool_free_range(range);
	else
		sg_arena_free(range->address);
	return CUDA_SUCCESS;
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream handle)
{
	struct sg_context *context;
	struct sg_stream *stream;
	struct sg_range range;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS)
		r = sg_stream_get(handle, context, &stream);
	if (r != CUDA_SUCCESS || !address)
		return r;
	if (sg_capture_id(stream))
		return capture_free(address, stream);
	if (sg_graph_memory_release(address)) /* it stays in its place for the next launch */
		return CUDA_SUCCESS;
	if (!sg_arena_find(address, &range) || range.address != address ||
	    (range.kind != SG_RANGE_POOL && range.kind != SG_RANGE_DEVICE &&
		range.kind != SG_RANGE_POOL_IMPORT))
		return CUDA_ERROR_INVALID_VALUE;
	struct free_work *work = sg_work_new(sizeof(*work), free_run);
	if (!work)
		return CUDA_ERROR_OUT_OF_MEMORY;
	work->work.always = true;
	work->range = range;
	return sg_stream_submit(stream, &work->work, NULL);
}

/* ---- pools ---- */

/* Takes file over. */
static CUresult pool_new(int file, struct sg_pool **out)
{
	struct sg_pool *pool = calloc(1, sizeof(*pool));

	if (pool) {
		pool->file = file;
		memcpy(pool->reuse, (int[]){1, 1, 1}, sizeof(pool->reuse));
		pool->handle = sg_handle_new(SG_POOL, pool);
	}
	if (pool && pool->handle) {
		*out = pool;
		return CUDA_SUCCESS;
	}
	fd_close(file);
	free(pool);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

/* Memory of the host as such, and managed memory, are not for other processes. */
static CUresult check_handle_types(const CUmemPoolProps *properties)
{
	if (properties->handleTypes == CU_MEM_HANDLE_TYPE_NONE)
		return CUDA_SUCCESS;
	if (properties->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	if (properties->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA)
		return properties->handleTypes &
			       ~(unsigned)(CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR |
					   CU_MEM_HANDLE_TYPE_FABRIC)
			   ? CUDA_ERROR_INVALID_VALUE
			   : CUDA_SUCCESS;
	if (properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	return properties->handleTypes == CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_NOT_SUPPORTED;
}

/* Of a size that the device would have, managed memory is not. */
static CUresult check_properties(const CUmemPoolProps *properties)
{
	static const CUmemPoolProps none;
	bool is_managed = properties->allocType == CU_MEM_ALLOCATION_TYPE_MANAGED;
	bool is_of_thread =
	    is_managed && properties->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;
	CUresult r = is_of_thread
			 ? CUDA_SUCCESS
			 : sg_pool_check_place(&properties->location, properties->allocType);

	if (r == CUDA_ERROR_INVALID_DEVICE &&
	    (is_managed || properties->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS &&
	    ((is_managed && properties->maxSize) ||
		memcmp(properties->reserved, none.reserved, sizeof(none.reserved)) != 0))
		r = CUDA_ERROR_INVALID_VALUE;
	return r ?: check_handle_types(properties);
}

CUresult cuMemPoolCreate(CUmemoryPool *handle, const CUmemPoolProps *properties)
{
	struct sg_pool *pool;
	int file = -1;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!handle || !properties))
		r = CUDA_ERROR_INVALID_VALUE;
	r = r ?: check_properties(properties);
	if (r == CUDA_SUCCESS && properties->handleTypes != CU_MEM_HANDLE_TYPE_NONE &&
	    properties->location.type == CU_MEM_LOCATION_TYPE_DEVICE &&
	    fd_memory("softgpu pool", SG_ARENA_PAGE, &file) < 0)
		r = CUDA_ERROR_OUT_OF_MEMORY;
	r = r ?: pool_new(file, &pool);
	if (r != CUDA_SUCCESS)
		return r;
	pool->type = properties->allocType;
	pool->location = properties->location;
	sg_pool_begin_access(pool);
	pool->max_size = properties->maxSize;
	if (pool->max_size && sg_pool_is_host(pool))
		pool->max_size = MAX(align_up(pool->max_size, HOST_CHUNK), pool->max_size);
	*handle = pool->handle;
	return CUDA_SUCCESS;
}

CUresult sg_pool_import(int file, CUmemoryPool *out)
{
	struct sg_pool *pool;
	CUresult r = pool_new(file, &pool);

	if (r != CUDA_SUCCESS)
		return r;
	pool->type = CU_MEM_ALLOCATION_TYPE_PINNED;
	pool->location.type = CU_MEM_LOCATION_TYPE_DEVICE;
	pool->is_import = true;
	*out = pool->handle;
	return CUDA_SUCCESS;
}

/* Memory taken from it stays valid; the pool goes with the last of it. */
CUresult cuMemPoolDestroy(CUmemoryPool handle)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	struct sg_pool *pool = sg_handle_get(handle, SG_POOL);
	if (!pool || pool->is_default)
		return CUDA_ERROR_INVALID_VALUE;
	sg_handle_free(handle);
	pthread_mutex_lock(&sg_pool_lock);
	sg_pool_leave_places(pool);
	pool->is_destroyed = true;
	bool last = !pool->n_ranges;
	pthread_mutex_unlock(&sg_pool_lock);
	if (last)
		pool_free(pool);
	return CUDA_SUCCESS;
}

CUresult sg_pool_enter(CUmemoryPool handle, struct sg_pool **pool)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*pool = sg_handle_get(handle, SG_POOL);
	return *pool ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Nothing is kept that could be given back. */
CUresult cuMemPoolTrimTo(CUmemoryPool handle, size_t keep)
{
	struct sg_pool *pool;

	return sg_pool_enter(handle, &pool);
}

/* Where an attribute is kept, as an int or in 64 bits. */
struct pool_field {
	void *at;
	size_t size;
	bool is_fixed; /* cannot be set */
	bool is_mark;  /* can only be reset, by a zero */
};

static bool pool_find_field(
    struct sg_pool *pool, CUmemPool_attribute attribute, struct pool_field *field)
{
	switch (attribute) {
	case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
		*field = (struct pool_field){
		    &pool->reuse[attribute - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES],
		    sizeof(pool->reuse[0]), false, false};
		return true;
	case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
		*field =
		    (struct pool_field){&pool->threshold, sizeof(pool->threshold), false, false};
		return true;
	case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
	case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
		*field = (struct pool_field){&pool->used, sizeof(pool->used), true, false};
		return true;
	case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
	case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
		*field =
		    (struct pool_field){&pool->used_high, sizeof(pool->used_high), false, true};
		return true;
	default:
		return false;
	}
}

static CUresult pool_set_field(struct sg_pool *pool, const struct pool_field *field, void *value)
{
	if (field->is_fixed || (field->is_mark && *(const uint64_t *)value))
		return CUDA_ERROR_INVALID_VALUE;
	if (field->is_mark)
		pool->used_high = pool->used;
	else
		memcpy(field->at, value, field->size);
	return CUDA_SUCCESS;
}

/* value is only written where it is not set. */
static CUresult pool_attribute(
    CUmemoryPool handle, CUmemPool_attribute attribute, void *value, bool is_set)
{
	struct sg_pool *pool;
	struct pool_field field;
	CUresult r = sg_pool_enter(handle, &pool);

	if (r == CUDA_SUCCESS && (!value || !pool_find_field(pool, attribute, &field)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&sg_pool_lock);
	if (is_set)
		r = pool_set_field(pool, &field, value);
	else
		memcpy(value, field.at, field.size);
	pthread_mutex_unlock(&sg_pool_lock);
	return r;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value)
{
	return pool_attribute(handle, attribute, value, false);
}

CUresult cuMemPoolSetAttribute(
    CUmemoryPool handle, CUmemPool_attribute attribute, const void *value)
{
	return pool_attribute(handle, attribute, (void *)value, true);
}
