/*
 * Memory as the driver API sees it: what an address is, pools.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "softgpu/driver/context.h"
#include "softgpu/mem/arena.h"

/* CUDA's result for a negative errno of the arena. */
static inline CUresult sg_memory_result(int r)
{
	return r < 0 ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

/*
 * Bytes of the arena in use: what cuMemGetInfo() says, without a context. Exported beside CUDA's
 * names, for Rosen's worker, which reports it from a thread of its own.
 */
__attribute__((visibility("default"))) uint64_t rosen_softgpu_memory(void);

/* Host memory a program has registered. */
struct sg_registration {
	uint64_t host;
	size_t size;
	unsigned flags;
	uint64_t alias; /* where kernels see it; 0: they cannot */
	uint64_t context_id, id;
};

/* The registration that contains the host address. Any thread. */
bool sg_registration_find(uint64_t host, struct sg_registration *registration);

/* Forgets those of a context that is ending. */
void sg_registration_drop(uint64_t context_id);

struct sg_pool;

/* Frees pool memory in the order of a stream's work. */
CUresult sg_pool_free_range(const struct sg_range *range);
/* The range is gone already, with its context. */
void sg_pool_range_gone(const struct sg_range *range);
CUmemoryPool sg_pool_handle(const struct sg_pool *pool);

/* Whether physical memory (the owner of a mapped range) is the host's. */
bool sg_physical_is_host(const void *physical);
/* The file that stands for the pool in other processes, which stays the pool's; -1: it cannot be
 * shared. */
int sg_pool_file(const struct sg_pool *pool);
/* Whether it is a pool of pinned memory, or of managed memory; otherwise it is the device's. */
bool sg_pool_is_host(const struct sg_pool *pool);
bool sg_pool_is_managed(const struct sg_pool *pool);
/* Whether the device may use its memory. */
bool sg_pool_is_open(const struct sg_pool *pool);
/* Another process's pool: memory can be imported from it, none can be taken. */
bool sg_pool_is_import(const struct sg_pool *pool);
/* A pool for the file of another process's pool; the new pool owns the file. */
CUresult sg_pool_import(int file, CUmemoryPool *out);
/* 0 or -ENOMEM. */
int sg_pool_init(void);
