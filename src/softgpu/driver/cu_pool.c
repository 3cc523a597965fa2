/*
 * Stream-ordered allocation. Memory is taken from the arena when the program asks for it and given
 * back when the stream reaches the free, which fulfils the promise of the interface without keeping
 * memory in the pool: what a pool has reserved is always what is in use.
 */
#include "softgpu/driver/driver.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/util.h"
#include "softgpu/driver/graph.h"
#include "softgpu/driver/memory.h"
#include "softgpu/driver/stream.h"

#define POOL_ALIGN 256

struct sg_pool {
	CUmemoryPool handle;
	bool is_default, is_destroyed, is_import;
	int file; /* stands for it in other processes; -1: it cannot be shared */
	size_t max_size, used, used_high, n_ranges;
	int reuse[3];
	uint64_t threshold;
};

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sg_pool default_pool = {.is_default = true, .file = -1, .reuse = {1, 1, 1}};
static struct sg_pool *current_pool = &default_pool;

int sg_pool_init(void)
{
	default_pool.handle = sg_handle_new(SG_POOL, &default_pool);
	return default_pool.handle ? 0 : error_origin(-ENOMEM);
}

CUmemoryPool sg_pool_handle(const struct sg_pool *pool)
{
	return pool->handle;
}

int sg_pool_file(const struct sg_pool *pool)
{
	return pool->file;
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
	pthread_mutex_lock(&pool_lock);
	bool fits = !pool->max_size || size <= pool->max_size - MIN(pool->used, pool->max_size);
	if (fits) {
		pool->used += size;
		pool->used_high = MAX(pool->used_high, pool->used);
		pool->n_ranges++;
	}
	pthread_mutex_unlock(&pool_lock);
	return fits;
}

static void pool_uncharge(struct sg_pool *pool, size_t size)
{
	pthread_mutex_lock(&pool_lock);
	pool->used -= size;
	pool->n_ranges--;
	bool last = pool->is_destroyed && !pool->n_ranges;
	pthread_mutex_unlock(&pool_lock);
	if (last)
		pool_free(pool);
}

CUresult sg_pool_free_range(const struct sg_range *range)
{
	if (sg_arena_free(range->address) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	pool_uncharge(range->owner, range->size);
	return CUDA_SUCCESS;
}

void sg_pool_range_gone(const struct sg_range *range)
{
	if (range->kind == SG_RANGE_POOL)
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
		return capture_alloc(address, size, stream);
	if (!pool_charge(pool, size))
		return CUDA_ERROR_OUT_OF_MEMORY;
	range.context_id = context->id;
	if (sg_arena_alloc(&range, POOL_ALIGN) < 0) {
		pool_uncharge(pool, size);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*address = range.address;
	return CUDA_SUCCESS;
}

CUresult cuMemAllocAsync(CUdeviceptr *address, size_t size, CUstream stream)
{
	pthread_mutex_lock(&pool_lock);
	struct sg_pool *pool = current_pool;
	pthread_mutex_unlock(&pool_lock);
	return pool_alloc(address, size, pool, stream);
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
		memcpy(pool->reuse, default_pool.reuse, sizeof(pool->reuse));
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

CUresult cuMemPoolCreate(CUmemoryPool *handle, const CUmemPoolProps *properties)
{
	struct sg_pool *pool;
	int file = -1;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS &&
	    (!handle || !properties || properties->allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
		properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && properties->location.id != 0)
		r = CUDA_ERROR_INVALID_DEVICE;
	if (r == CUDA_SUCCESS && properties->handleTypes != CU_MEM_HANDLE_TYPE_NONE &&
	    properties->handleTypes != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r == CUDA_SUCCESS && properties->handleTypes != CU_MEM_HANDLE_TYPE_NONE &&
	    fd_memory("softgpu pool", SG_ARENA_PAGE, &file) < 0)
		r = CUDA_ERROR_OUT_OF_MEMORY;
	r = r ?: pool_new(file, &pool);
	if (r != CUDA_SUCCESS)
		return r;
	pool->max_size = properties->maxSize;
	*handle = pool->handle;
	return CUDA_SUCCESS;
}

CUresult sg_pool_import(int file, CUmemoryPool *out)
{
	struct sg_pool *pool;
	CUresult r = pool_new(file, &pool);

	if (r != CUDA_SUCCESS)
		return r;
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
	pthread_mutex_lock(&pool_lock);
	if (current_pool == pool)
		current_pool = &default_pool;
	pool->is_destroyed = true;
	bool last = !pool->n_ranges;
	pthread_mutex_unlock(&pool_lock);
	if (last)
		pool_free(pool);
	return CUDA_SUCCESS;
}

static CUresult pool_enter(CUmemoryPool handle, struct sg_pool **pool)
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

	return pool_enter(handle, &pool);
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
	CUresult r = pool_enter(handle, &pool);

	if (r == CUDA_SUCCESS && (!value || !pool_find_field(pool, attribute, &field)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&pool_lock);
	if (is_set)
		r = pool_set_field(pool, &field, value);
	else
		memcpy(value, field.at, field.size);
	pthread_mutex_unlock(&pool_lock);
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

static CUresult check_location(const CUmemLocation *location)
{
	if (!location || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	return location->id == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

/* The one device always has access, and there is nobody else to give it to. */
CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool handle, CUmemLocation *location)
{
	struct sg_pool *pool;
	CUresult r = pool_enter(handle, &pool);

	if (r == CUDA_SUCCESS)
		r = flags ? check_location(location) : CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
	return r;
}

CUresult cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc *access, size_t n)
{
	struct sg_pool *pool;
	CUresult r = pool_enter(handle, &pool);

	if (r == CUDA_SUCCESS && n && !access)
		r = CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; r == CUDA_SUCCESS && i < n; i++) {
		r = check_location(&access[i].location);
		if (r == CUDA_SUCCESS && access[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
			r = CUDA_ERROR_INVALID_DEVICE; /* the owner's access cannot be taken away */
	}
	return r;
}

/* ---- the device's pools ---- */

static CUresult device_pool_enter(const void *output, CUdevice device)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && !output)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && device != 0)
		r = CUDA_ERROR_INVALID_DEVICE;
	return r;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *handle, CUdevice device)
{
	CUresult r = device_pool_enter(handle, device);

	if (r == CUDA_SUCCESS)
		*handle = default_pool.handle;
	return r;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *handle, CUdevice device)
{
	CUresult r = sg_enter_given(handle && !device);

	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&pool_lock);
	*handle = current_pool->handle;
	pthread_mutex_unlock(&pool_lock);
	return CUDA_SUCCESS;
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool handle)
{
	struct sg_pool *pool;
	CUresult r = pool_enter(handle, &pool);

	if (r == CUDA_SUCCESS && (device != 0 || pool->is_import))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&pool_lock);
	current_pool = pool;
	pthread_mutex_unlock(&pool_lock);
	return CUDA_SUCCESS;
}

/* The same by place and kind of memory: the device is the only place. */
static CUresult check_place(const CUmemLocation *location, CUmemAllocationType type)
{
	if (!location || location->type != CU_MEM_LOCATION_TYPE_DEVICE ||
	    type != CU_MEM_ALLOCATION_TYPE_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

CUresult cuMemGetDefaultMemPool(
    CUmemoryPool *pool, CUmemLocation *location, CUmemAllocationType type)
{
	CUresult r = check_place(location, type);

	return r == CUDA_SUCCESS ? cuDeviceGetDefaultMemPool(pool, location->id) : r;
}

CUresult cuMemGetMemPool(CUmemoryPool *pool, CUmemLocation *location, CUmemAllocationType type)
{
	CUresult r = check_place(location, type);

	return r == CUDA_SUCCESS ? cuDeviceGetMemPool(pool, location->id) : r;
}

CUresult cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool pool)
{
	CUresult r = check_place(location, type);

	return r == CUDA_SUCCESS ? cuDeviceSetMemPool(location->id, pool) : r;
}
