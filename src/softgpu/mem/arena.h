/*
 * The device address space. Every address a kernel can reach lies inside one window of the host's
 * address space, so that a device pointer is a host pointer and one compare finds a stray one.
 *
 *   [SG_ARENA_BASE, + SG_ALLOC_SIZE)             allocations (softgpu/mem)
 *   [SG_SHARED_BASE, + SG_SHARED_SIZE)           memory the program itself maps there: registered,
 *                                                its device address is its host address
 *   [SG_EXEC_WINDOW_BASE, + SG_EXEC_WINDOW_SIZE) stacks, shared memory, parameters of running
 *                                                kernels (softgpu/exec maps it, nobody else)
 *
 * The first part is reserved without access. An allocation makes its own pages accessible and
 * leaves one page behind them that is not; freeing takes the access away and gives the memory back.
 * A program with very many allocations gets the later ones without that page, because the kernel
 * limits the number of mappings (vm.max_map_count).
 *
 * All functions may be called from any thread. Return codes: 0 or a negative errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef ROSEN_SANITIZE_THREAD
/* The thread sanitizer keeps the usual place for itself; programs get 256 GiB at the bottom. */
#define SG_ARENA_BASE  UINT64_C(0x1000000000)
#define SG_ALLOC_SIZE  (UINT64_C(64) << 30)
#define SG_SHARED_SIZE (UINT64_C(16) << 30)
#else
#define SG_ARENA_BASE  UINT64_C(0x200000000000)
#define SG_ALLOC_SIZE  (UINT64_C(4) << 40)
#define SG_SHARED_SIZE (UINT64_C(1) << 40)
#endif

#define SG_SHARED_BASE (SG_ARENA_BASE + SG_ALLOC_SIZE)

#define SG_EXEC_WINDOW_SIZE (UINT64_C(64) << 30)
#define SG_EXEC_WINDOW_BASE (SG_SHARED_BASE + SG_SHARED_SIZE)

/* The whole window, what a kernel's addresses are checked against. */
#define SG_ARENA_SIZE (SG_ALLOC_SIZE + SG_SHARED_SIZE + SG_EXEC_WINDOW_SIZE)

#define SG_ARENA_PAGE 4096u

/* What an allocation is for; it decides who may free it and what pointer queries say. */
enum sg_range_kind {
	SG_RANGE_DEVICE,     /* cuMemAlloc */
	SG_RANGE_POOL,	     /* cuMemAllocAsync; owner: the pool */
	SG_RANGE_HOST,	     /* pinned host memory */
	SG_RANGE_REGISTERED, /* a second mapping of the program's shared memory */
	SG_RANGE_MANAGED,
	SG_RANGE_MODULE, /* variables of a module */
	SG_RANGE_ARRAY,
	SG_RANGE_IPC,	      /* another process's, cuIpcOpenMemHandle */
	SG_RANGE_POOL_IMPORT, /* another process's, cuMemPoolImportPointer */
	SG_RANGE_EXTERNAL,    /* another process's, cuExternalMemoryGetMappedBuffer */
	SG_RANGE_GRAPH,	      /* a graph's nodes allocate it; owner: the graph's */
	SG_RANGE_CONDITION,   /* the value a graph's node looks at */
	SG_RANGE_RESERVED,    /* cuMemAddressReserve; nothing is found in it but what is mapped */
	SG_RANGE_MAPPED,      /* cuMemMap (virtual.h); owner: the physical memory */
};

struct sg_range {
	uint64_t address;
	size_t size; /* as asked for */
	enum sg_range_kind kind;
	unsigned flags;	     /* of the call that made it */
	uint64_t context_id; /* whose death frees it; 0: nobody's */
	void *owner;	     /* POOL: the pool; MANAGED: not NULL for a module's variables */
	uint64_t host;	  /* REGISTERED: the program's address; HOST, MANAGED: the same as address;
			     else 0 */
	uint64_t id;	  /* never used twice */
	size_t guard;	  /* inaccessible bytes behind it; the arena's own */
	bool sync_memops; /* CU_POINTER_ATTRIBUTE_SYNC_MEMOPS */
	bool is_shared;	  /* its memory is fd's; the arena's own */
	int fd;
};

/* Reserves the allocations' part of the window; they may take capacity bytes together. Once per
 * process. -ENOMEM: something else lies there. */
int sg_arena_init(size_t capacity);

/* A zeroed allocation described by *range, whose address and id are filled in. align: a power of
 * two. -ENOMEM: over capacity, or the host has no more. */
int sg_arena_alloc(struct sg_range *range, size_t align);

/*
 * Maps the program's memory range->host, range->size (both multiples of the page) a second time, at
 * an address in the window. Only shared mappings can be: -EINVAL for others. Takes no capacity.
 */
int sg_arena_alias(struct sg_range *range);

/*
 * A descriptor, the caller's, of the memory of the allocation (of kind DEVICE or POOL) that begins
 * at address, in whole pages. The first time its bytes move into shared memory: nobody may be using
 * it meanwhile.
 */
int sg_arena_share(uint64_t address, int *fd);

/* Maps what such a descriptor stands for, from offset on (a multiple of the page), as *range says,
 * of kind IPC or EXTERNAL. -EINVAL: it is not that much shared memory. Takes no capacity. */
int sg_arena_map(struct sg_range *range, int fd, uint64_t offset);

/* A range without memory, in which parts can be mapped (virtual.h). -ENOMEM: there is no room. */
int sg_arena_reserve(size_t size, size_t align, uint64_t *address);
/* -EINVAL: it is not just what was reserved. Nothing may be mapped in it. */
int sg_arena_unreserve(uint64_t address, size_t size);
/* The reserved range that address lies in. */
bool sg_arena_find_reserved(uint64_t address, struct sg_range *range);

/* Counts memory that is no allocation towards capacity. False: it would be too much. */
bool sg_arena_charge(size_t size);
void sg_arena_discharge(size_t size);

/* -ENOENT: no allocation begins at address. */
int sg_arena_free(uint64_t address);

/* Frees everything that belongs to a context; freed, which may be NULL, is told of each, and must
 * not call back. */
void sg_arena_free_context(uint64_t context_id, void (*freed)(const struct sg_range *range));

/* The allocation that contains address. False: none does. */
bool sg_arena_find(uint64_t address, struct sg_range *range);

/* Whether [address, address + size) lies inside one allocation, or in mappings side by side. */
bool sg_arena_covers(uint64_t address, size_t size);
/* Likewise for copies, which also reach what is mapped for the program alone. */
bool sg_arena_is_copied(uint64_t address, size_t size);

/* Sets sync_memops of the allocation that contains address. */
bool sg_arena_set_sync_memops(uint64_t address, bool value);

void sg_arena_usage(size_t *used, size_t *capacity);

/* Whether address lies where allocations do. */
static inline bool sg_arena_holds(uint64_t address)
{
	return address - SG_ARENA_BASE < SG_ALLOC_SIZE;
}
