/*
 * Two sets of address ranges do all the accounting (extents.h): `pages` over the whole slice in
 * pieces of 2 MiB, and `blocks` inside those pages that were made slabs. A slab is mapped when the
 * first small block needs it and unmapped when its last one goes, except for one that is kept, so
 * that a program which allocates and frees one small buffer in a loop does not map memory each
 * time.
 *
 * A mapping keeps its physical memory alive by itself, so the handle of cuMemCreate is released as
 * soon as the memory is mapped and there is nothing to remember about it.
 */
#include "worker/arena.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "wire/limits.h"
#include "worker/extents.h"

/* Owners of pages that are no context's: slabs, and what was imported. */
#define SLABS	UINT64_MAX
#define IMPORTS (UINT64_MAX - 1)

struct arena {
	const struct backend *backend;
	CUdevice device;
	uint64_t base, size;
	CUmemAllocationProp properties;
	pthread_mutex_t lock;
	CUmemAccessDesc
	    access[WIRE_DEVICES_MAX]; /* under lock: the device itself, then its peers */
	unsigned n_access;
	struct extents pages, blocks;
	uint64_t spare; /* an empty slab that stays mapped, 0: none */
	uint64_t mapped;
};

/* --- physical memory --- */

/* Takes memory over, also on failure. */
static CUresult map_memory(
    struct arena *arena, uint64_t address, uint64_t size, CUmemGenericAllocationHandle memory)
{
	const struct backend *backend = arena->backend;

	CUresult r = backend->cuMemMap(address, size, 0, memory, 0);
	backend->cuMemRelease(memory);
	if (r != CUDA_SUCCESS)
		return r;
	r = backend->cuMemSetAccess(address, size, arena->access, arena->n_access);
	if (r != CUDA_SUCCESS)
		backend->cuMemUnmap(address, size);
	return r;
}

static CUresult map(struct arena *arena, uint64_t address, uint64_t size)
{
	CUmemGenericAllocationHandle memory;

	CUresult r = arena->backend->cuMemCreate(&memory, size, &arena->properties, 0);
	r = r ?: map_memory(arena, address, size, memory);
	if (r == CUDA_SUCCESS)
		arena->mapped += size;
	return r;
}

static void unmap(struct arena *arena, uint64_t address, uint64_t size)
{
	CUresult r = arena->backend->cuMemUnmap(address, size);

	if (r != CUDA_SUCCESS) /* after a sticky error: the process's end frees it */
		log_debug("unmapping device memory: error %d", (int)r);
}

/* --- ranges --- */

static CUresult take_pages(struct arena *arena, uint64_t size, uint64_t owner, uint64_t *address)
{
	struct extent freed;

	if (extents_take(&arena->pages, size, owner, address))
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult r = map(arena, *address, align_up(size, ARENA_PIECE));
	if (r != CUDA_SUCCESS)
		extents_give(&arena->pages, *address, &freed);
	return r;
}

static void give_pages(struct arena *arena, uint64_t address, uint64_t size)
{
	struct extent freed;

	unmap(arena, address, align_up(size, ARENA_PIECE));
	arena->mapped -= align_up(size, ARENA_PIECE);
	extents_give(&arena->pages, address, &freed);
}

static CUresult add_slab(struct arena *arena)
{
	uint64_t slab;
	CUresult r = take_pages(arena, ARENA_PIECE, SLABS, &slab);

	if (r == CUDA_SUCCESS && extents_add(&arena->blocks, slab, ARENA_PIECE) < 0) {
		give_pages(arena, slab, ARENA_PIECE);
		r = CUDA_ERROR_OUT_OF_MEMORY;
	}
	return r;
}

static void drop_slab(struct arena *arena, uint64_t slab)
{
	extents_remove(&arena->blocks, slab);
	give_pages(arena, slab, ARENA_PIECE);
}

static CUresult take_block(struct arena *arena, uint64_t size, uint64_t owner, uint64_t *address)
{
	if (extents_take(&arena->blocks, size, owner, address)) {
		CUresult r = add_slab(arena);
		if (r != CUDA_SUCCESS)
			return r;
		if (extents_take(&arena->blocks, size, owner, address))
			return CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (*address / ARENA_PIECE * ARENA_PIECE == arena->spare)
		arena->spare = 0;
	return CUDA_SUCCESS;
}

static void give_block(struct arena *arena, uint64_t address)
{
	struct extent freed;

	extents_give(&arena->blocks, address, &freed);
	if (freed.size < ARENA_PIECE)
		return;
	if (arena->spare)
		drop_slab(arena, freed.start);
	else
		arena->spare = freed.start;
}

/* --- the interface --- */

CUresult arena_take(struct arena *arena, uint64_t size, uint64_t owner, CUdeviceptr *address)
{
	uint64_t at = 0;

	pthread_mutex_lock(&arena->lock);
	CUresult r = size <= ARENA_SMALL_MAX ? take_block(arena, size, owner, &at)
					     : take_pages(arena, size, owner, &at);
	if (r == CUDA_ERROR_OUT_OF_MEMORY && size > ARENA_SMALL_MAX && arena->spare) {
		drop_slab(arena, arena->spare);
		arena->spare = 0;
		r = take_pages(arena, size, owner, &at);
	}
	pthread_mutex_unlock(&arena->lock);
	*address = at;
	return r;
}

/* The allocation, in either set, that address lies in. Under the lock. */
static const struct extent *find(struct arena *arena, uint64_t address)
{
	const struct extent *page = extents_find(&arena->pages, address);

	if (page && page->owner == IMPORTS)
		return NULL;
	return page && page->owner == SLABS ? extents_find(&arena->blocks, address) : page;
}

static void give(struct arena *arena, const struct extent *range)
{
	if (range->size <= ARENA_SMALL_MAX)
		give_block(arena, range->start);
	else
		give_pages(arena, range->start, range->size);
}

bool arena_give(struct arena *arena, CUdeviceptr address)
{
	pthread_mutex_lock(&arena->lock);
	const struct extent *range = find(arena, address);
	bool found = range && range->start == address;
	if (found)
		give(arena, range);
	pthread_mutex_unlock(&arena->lock);
	return found;
}

void arena_give_all(struct arena *arena, uint64_t owner)
{
	const struct extent *range;

	pthread_mutex_lock(&arena->lock);
	while ((range = extents_next_of(&arena->blocks, owner, 0)))
		give(arena, range);
	while ((range = extents_next_of(&arena->pages, owner, 0)))
		give(arena, range);
	pthread_mutex_unlock(&arena->lock);
}

bool arena_find(struct arena *arena, CUdeviceptr address, CUdeviceptr *base, size_t *size)
{
	pthread_mutex_lock(&arena->lock);
	const struct extent *range = find(arena, address);
	if (range) {
		*base = range->start;
		*size = range->asked;
	}
	pthread_mutex_unlock(&arena->lock);
	return range != NULL;
}

/* --- sharing --- */

CUresult arena_export(
    struct arena *arena, CUdeviceptr address, uint64_t *start, uint64_t *size, int *fd)
{
	const struct backend *backend = arena->backend;
	CUmemGenericAllocationHandle memory;

	pthread_mutex_lock(&arena->lock);
	const struct extent *page =
	    find(arena, address) ? extents_find(&arena->pages, address) : NULL;
	CUresult r = CUDA_ERROR_INVALID_VALUE;
	if (page) {
		*start = page->start;
		*size = page->size;
		r = backend->cuMemRetainAllocationHandle(&memory, page->start);
	}
	pthread_mutex_unlock(&arena->lock);
	if (r != CUDA_SUCCESS)
		return r;
	r = backend->cuMemExportToShareableHandle(
	    fd, memory, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
	backend->cuMemRelease(memory);
	return r;
}

CUresult arena_import(struct arena *arena, int fd, uint64_t size, uint64_t *start)
{
	CUmemGenericAllocationHandle memory;
	struct extent freed;

	if (!size || size % ARENA_PIECE)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = arena->backend->cuMemImportFromShareableHandle(
	    &memory, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&arena->lock);
	if (extents_take(&arena->pages, size, IMPORTS, start)) {
		arena->backend->cuMemRelease(memory);
		r = CUDA_ERROR_OUT_OF_MEMORY;
	} else {
		r = map_memory(arena, *start, size, memory);
		if (r != CUDA_SUCCESS)
			extents_give(&arena->pages, *start, &freed);
	}
	pthread_mutex_unlock(&arena->lock);
	return r;
}

void arena_drop(struct arena *arena, uint64_t start)
{
	struct extent freed;

	pthread_mutex_lock(&arena->lock);
	const struct extent *page = extents_find(&arena->pages, start);
	if (page && page->owner == IMPORTS && page->start == start) {
		unmap(arena, start, page->size);
		extents_give(&arena->pages, start, &freed);
	}
	pthread_mutex_unlock(&arena->lock);
}

CUdevice arena_device(const struct arena *arena)
{
	return arena->device;
}

/* --- who may access it --- */

static CUmemAccessDesc access_for(CUdevice device)
{
	return (CUmemAccessDesc){
	    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device},
	    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
	};
}

/* What is mapped already becomes accessible too. Under the lock. */
static CUresult allow(struct arena *arena, CUdevice device)
{
	CUmemAccessDesc access = access_for(device);
	const struct extent *page;
	CUresult r = CUDA_SUCCESS;

	if (arena->n_access == WIRE_DEVICES_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	for (uint64_t at = 0; (page = extents_next(&arena->pages, at)); at = page->start + 1)
		r = r ?: arena->backend->cuMemSetAccess(page->start, page->size, &access, 1);
	if (r == CUDA_SUCCESS)
		arena->access[arena->n_access++] = access;
	return r;
}

CUresult arena_allow(struct arena *arena, CUdevice device, bool wanted)
{
	CUresult r = CUDA_SUCCESS;
	unsigned i = 1;

	pthread_mutex_lock(&arena->lock);
	while (i < arena->n_access && arena->access[i].location.id != device)
		i++;
	if (device != arena->device && wanted && i == arena->n_access)
		r = allow(arena, device);
	else if (!wanted && i < arena->n_access)
		arena->access[i] = arena->access[--arena->n_access];
	pthread_mutex_unlock(&arena->lock);
	return r;
}

bool arena_covers(const struct arena *arena, CUdeviceptr address)
{
	return address - arena->base < arena->size;
}

uint64_t arena_bytes(struct arena *arena)
{
	pthread_mutex_lock(&arena->lock);
	uint64_t bytes = arena->mapped;
	pthread_mutex_unlock(&arena->lock);
	return bytes;
}

/* --- making one --- */

static bool has(const struct backend *backend, CUdevice device, CUdevice_attribute attribute)
{
	int value = 0;

	return backend->cuDeviceGetAttribute(&value, attribute, device) == CUDA_SUCCESS && value;
}

/* As cuMemAlloc's memory is; and exportable where possible, so that it can outlive this process. */
static void set_properties(struct arena *arena)
{
	CUmemAllocationProp *p = &arena->properties;

	p->type = CU_MEM_ALLOCATION_TYPE_PINNED;
	p->location.type = CU_MEM_LOCATION_TYPE_DEVICE;
	p->location.id = arena->device;
	arena->access[0] = access_for(arena->device);
	arena->n_access = 1;
	if (has(arena->backend, arena->device,
		CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED))
		p->requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	p->allocFlags.gpuDirectRDMACapable = has(arena->backend, arena->device,
	    CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED);
}

/* NULL, or why there can be no arena. */
static const char *reserve(struct arena *arena)
{
	const struct backend *backend = arena->backend;
	size_t granularity = 0;
	CUdeviceptr at = 0;

	if (!has(backend, arena->device, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED))
		return "the device has no virtual memory management";
	set_properties(arena);
	if (backend->cuMemGetAllocationGranularity(&granularity, &arena->properties,
		CU_MEM_ALLOC_GRANULARITY_MINIMUM) != CUDA_SUCCESS ||
	    !granularity || ARENA_PIECE % granularity)
		return "the device maps memory in other units than 2 MiB";
	if (backend->cuMemAddressReserve(&at, arena->size, ARENA_PIECE, arena->base, 0) !=
	    CUDA_SUCCESS)
		return "the backend does not reserve the address window";
	if (at == arena->base)
		return NULL;
	backend->cuMemAddressFree(at, arena->size);
	return "the backend reserves other addresses than asked for";
}

struct arena *arena_new(
    const struct backend *backend, CUdevice device, uint64_t base, uint64_t size, const char **why)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	*why = "no memory";
	if (!arena)
		return NULL;
	arena->backend = backend;
	arena->device = device;
	arena->base = base;
	arena->size = size;
	pthread_mutex_init(&arena->lock, NULL);
	extents_init(&arena->pages, ARENA_PIECE, 0, ARENA_RANGES);
	extents_init(&arena->blocks, ARENA_ALIGN, ARENA_PIECE, ARENA_RANGES);
	if (!extents_add(&arena->pages, base, size))
		*why = reserve(arena);
	if (!*why)
		return arena;
	arena->size = 0; /* nothing reserved */
	return arena_free(arena);
}

struct arena *arena_free(struct arena *arena)
{
	if (!arena)
		return NULL;
	if (arena->size) {
		const struct extent *page;
		while ((page = extents_next_of(&arena->pages, SLABS, 0)))
			give_pages(arena, page->start, page->size);
		arena->backend->cuMemAddressFree(arena->base, arena->size);
	}
	extents_fini(&arena->pages);
	extents_fini(&arena->blocks);
	pthread_mutex_destroy(&arena->lock);
	free(arena);
	return NULL;
}
