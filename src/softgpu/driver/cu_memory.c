/*
 * Allocation: device, pinned host and managed memory all lie in the arena, where program and
 * kernels reach them at the same address.
 */
#include "softgpu/driver/graph.h"
#include "softgpu/driver/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "abi/managed.h"
#include "base/util.h"
#include "softgpu/driver/driver.h"
#include "softgpu/driver/stream.h"
#include "softgpu/mem/virtual.h"

#define MEMORY_ALIGN 256
#define MEMORY_PITCH 512
#define HOST_ALLOC_FLAGS                                                                           \
	(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED)
#define HOST_REGISTER_FLAGS                                                                        \
	(CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_READ_ONLY)

static CUresult memory_alloc(
    struct sg_context *context, enum sg_range_kind kind, unsigned flags, size_t size, uint64_t *out)
{
	struct sg_range range = {
	    .size = size, .kind = kind, .flags = flags, .context_id = context->id};

	if (!size)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = sg_memory_result(sg_arena_alloc(&range, MEMORY_ALIGN));
	if (r == CUDA_SUCCESS)
		*out = range.address;
	return r;
}

/* What a call that had to wait returns: work may have failed meanwhile. */
static CUresult memory_result_after(const struct sg_context *context)
{
	return atomic_load_explicit(&context->error, memory_order_relaxed);
}

/* ---- device memory ---- */

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size)
{
	struct sg_context *context;
	uint64_t found;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && !address)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = memory_alloc(context, SG_RANGE_DEVICE, 0, size, &found);
	if (r == CUDA_SUCCESS)
		*address = found;
	return r;
}

CUresult cuMemAllocPitch_v2(
    CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned element_size)
{
	struct sg_context *context;
	uint64_t found;
	size_t size;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && (!address || !pitch || !width || !height))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && element_size != 4 && element_size != 8 && element_size != 16)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	if (width > SG_ARENA_SIZE)
		return CUDA_ERROR_OUT_OF_MEMORY;
	size_t row = align_up(width, MEMORY_PITCH);
	if (__builtin_mul_overflow(row, height, &size))
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = memory_alloc(context, SG_RANGE_DEVICE, 0, size, &found);
	if (r == CUDA_SUCCESS) {
		*address = found;
		*pitch = row;
	}
	return r;
}

CUresult cuMemAllocManaged(CUdeviceptr *address, size_t size, unsigned flags)
{
	struct sg_context *context;
	uint64_t found;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && !address)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = memory_alloc(context, SG_RANGE_MANAGED, flags, size, &found);
	if (r == CUDA_SUCCESS && !managed_add(found, size)) {
		sg_arena_free(found);
		r = CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (r == CUDA_SUCCESS)
		*address = found;
	return r;
}

/* As on a real device, freeing waits for the work that may use the memory. */
CUresult cuMemFree_v2(CUdeviceptr address)
{
	struct sg_context *context;
	struct sg_range range;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS || !address)
		return r;
	if (!sg_arena_find(address, &range) || range.address != address)
		return CUDA_ERROR_INVALID_VALUE;
	if (range.kind == SG_RANGE_GRAPH) {
		sg_engine_wait();
		return sg_graph_memory_release(address) ? memory_result_after(context)
							: CUDA_ERROR_INVALID_VALUE;
	}
	if (range.kind != SG_RANGE_DEVICE && range.kind != SG_RANGE_MANAGED &&
	    range.kind != SG_RANGE_POOL && range.kind != SG_RANGE_POOL_IMPORT &&
	    range.kind != SG_RANGE_EXTERNAL)
		return CUDA_ERROR_INVALID_VALUE;
	if (range.kind == SG_RANGE_MANAGED && range.owner) /* a module's variable */
		return CUDA_ERROR_INVALID_VALUE;
	sg_engine_wait();
	if (range.kind == SG_RANGE_MANAGED)
		managed_remove(address);
	if (range.kind == SG_RANGE_POOL)
		sg_pool_free_range(&range);
	else
		sg_arena_free(address);
	return memory_result_after(context);
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total)
{
	struct sg_context *context;
	size_t used, capacity;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	sg_arena_usage(&used, &capacity);
	if (free_bytes)
		*free_bytes = capacity - used;
	if (total)
		*total = capacity;
	return CUDA_SUCCESS;
}

uint64_t rosen_softgpu_memory(void)
{
	size_t used, capacity;

	sg_arena_usage(&used, &capacity);
	return used;
}

/* Or of the host, where the device may use it. */
static bool is_of_device(const struct sg_range *range)
{
	struct sg_mapping mapping;

	if (range->kind == SG_RANGE_POOL)
		return sg_pool_is_open(range->owner);
	return range->kind != SG_RANGE_MAPPED || !sg_physical_is_host(range->owner) ||
	       !sg_virtual_find(range->address, &mapping) || mapping.access;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address)
{
	struct sg_context *context;
	struct sg_range range;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS || (!base && !size))
		return r;
	if (!sg_arena_find(address, &range) || !is_of_device(&range))
		return CUDA_ERROR_NOT_FOUND;
	if (base)
		*base = range.address;
	if (size)
		*size = range.size;
	return CUDA_SUCCESS;
}

/* ---- pinned host memory ---- */

CUresult cuMemHostAlloc(void **address, size_t size, unsigned flags)
{
	struct sg_context *context;
	uint64_t found = 0;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && (!address || (flags & ~(unsigned)HOST_ALLOC_FLAGS)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && size)
		r = memory_alloc(context, SG_RANGE_HOST, flags, size, &found);
	if (r == CUDA_SUCCESS)
		*address = (void *)found;
	return r;
}

CUresult cuMemAllocHost_v2(void **address, size_t size)
{
	return cuMemHostAlloc(address, size, 0);
}

CUresult cuMemFreeHost(void *address)
{
	struct sg_context *context;
	struct sg_range range;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS || !address)
		return r;
	if (!sg_arena_find((uint64_t)address, &range) || range.address != (uint64_t)address ||
	    range.kind != SG_RANGE_HOST)
		return CUDA_ERROR_INVALID_VALUE;
	sg_engine_wait();
	sg_arena_free(range.address);
	return memory_result_after(context);
}

/* ---- registered host memory ---- */

static pthread_mutex_t registration_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sg_registration *registrations;
static size_t n_registrations, registrations_room;
static uint64_t registration_next_id = UINT64_C(1) << 62; /* apart from the arena's ids */

static struct sg_registration *registration_at(uint64_t host, size_t size)
{
	for (size_t i = 0; i < n_registrations; i++)
		if (host < registrations[i].host + registrations[i].size &&
		    registrations[i].host < host + size)
			return &registrations[i];
	return NULL;
}

bool sg_registration_find(uint64_t host, struct sg_registration *registration)
{
	pthread_mutex_lock(&registration_lock);
	const struct sg_registration *found = registration_at(host, 1);
	if (found)
		*registration = *found;
	pthread_mutex_unlock(&registration_lock);
	return found;
}

void sg_registration_drop(uint64_t context_id)
{
	pthread_mutex_lock(&registration_lock);
	for (size_t i = n_registrations; i-- > 0;)
		if (registrations[i].context_id == context_id)
			registrations[i] = registrations[--n_registrations];
	pthread_mutex_unlock(&registration_lock);
}

/* Memory in the window's shared part is seen where it is. Of other memory kernels see whole pages;
 * 0 when it is private to the program and cannot be shared. */
static uint64_t registration_alias(const struct sg_context *context, uint64_t host, size_t size)
{
	if (host - SG_SHARED_BASE < SG_SHARED_SIZE &&
	    size <= SG_SHARED_BASE + SG_SHARED_SIZE - host)
		return host;
	uint64_t first = host & ~(uint64_t)(SG_ARENA_PAGE - 1);
	struct sg_range range = {
	    .host = first,
	    .size = align_up(host + size, SG_ARENA_PAGE) - first,
	    .context_id = context->id,
	};

	if (sg_arena_alias(&range) < 0)
		return 0;
	return range.address + (host - first);
}

static CUresult registration_add(
    const struct sg_context *context, uint64_t host, size_t size, unsigned flags)
{
	if (registration_at(host, size))
		return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
	if (n_registrations == registrations_room) {
		size_t room = registrations_room ? 2 * registrations_room : 16;
		void *more = reallocarray(registrations, room, sizeof(*registrations));
		if (!more)
			return CUDA_ERROR_OUT_OF_MEMORY;
		registrations = more;
		registrations_room = room;
	}
	registrations[n_registrations++] = (struct sg_registration){
	    .host = host,
	    .size = size,
	    .flags = flags,
	    .alias = registration_alias(context, host, size),
	    .context_id = context->id,
	    .id = registration_next_id++,
	};
	return CUDA_SUCCESS;
}

/*
 * Any memory may be registered; copies then count it as pinned. Kernels reach it only when it is a
 * shared mapping, which can be mapped into the arena a second time.
 */
CUresult cuMemHostRegister_v2(void *address, size_t size, unsigned flags)
{
	struct sg_context *context;
	uint64_t host = (uint64_t)address;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS &&
	    (!address || !size || (flags & ~(unsigned)HOST_REGISTER_FLAGS) || host + size < host))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && sg_arena_holds(host))
		r = CUDA_ERROR_INVALID_VALUE; /* pinned, managed or the device's already */
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&registration_lock);
	r = registration_add(context, host, size, flags);
	pthread_mutex_unlock(&registration_lock);
	return r;
}

CUresult cuMemHostRegister(void *address, size_t size, unsigned flags)
{
	return cuMemHostRegister_v2(address, size, flags & HOST_REGISTER_FLAGS);
}

CUresult cuMemHostUnregister(void *address)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	if (!address || sg_arena_holds((uint64_t)address))
		return CUDA_ERROR_INVALID_VALUE;
	sg_engine_wait();
	r = memory_result_after(context);
	pthread_mutex_lock(&registration_lock);
	struct sg_registration *found = registration_at((uint64_t)address, 1);
	if (!found) {
		r = CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
	} else if (found->host != (uint64_t)address) {
		r = CUDA_ERROR_INVALID_VALUE;
	} else {
		if (found->alias)
			sg_arena_free(found->alias & ~(uint64_t)(SG_ARENA_PAGE - 1));
		*found = registrations[--n_registrations];
	}
	pthread_mutex_unlock(&registration_lock);
	return r;
}

/* And the device may use it. A pool's memory does not count. */
static bool is_pinned(const struct sg_range *range)
{
	return range->kind == SG_RANGE_HOST ||
	       (range->kind == SG_RANGE_MAPPED && sg_physical_is_host(range->owner) &&
		   is_of_device(range));
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *address, unsigned flags)
{
	struct sg_context *context;
	struct sg_registration registration;
	struct sg_range range;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && (!device || !address || flags))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	if (sg_arena_find((uint64_t)address, &range) && is_pinned(&range)) {
		*device = (CUdeviceptr)address;
		return CUDA_SUCCESS;
	}
	if (!sg_registration_find((uint64_t)address, &registration))
		return CUDA_ERROR_INVALID_VALUE;
	if (!registration.alias)
		return CUDA_ERROR_NOT_SUPPORTED;
	*device = registration.alias + ((uint64_t)address - registration.host);
	return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned *flags, void *address)
{
	struct sg_context *context;
	struct sg_registration registration;
	struct sg_range range;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && !flags)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	/* With unified addressing all pinned memory is mapped. */
	if (sg_arena_find((uint64_t)address, &range) && is_pinned(&range))
		*flags = range.flags | CU_MEMHOSTALLOC_DEVICEMAP |
			 (range.kind == SG_RANGE_MAPPED ? CU_MEMHOSTALLOC_PORTABLE : 0);
	else if (sg_registration_find((uint64_t)address, &registration))
		*flags = registration.flags | CU_MEMHOSTREGISTER_DEVICEMAP;
	else
		r = CUDA_ERROR_INVALID_VALUE;
	return r;
}
