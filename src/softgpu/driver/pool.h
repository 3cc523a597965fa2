/* What the files about pools share. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "softgpu/driver/memory.h"

struct sg_pool {
	CUmemoryPool handle;
	CUmemAllocationType type;
	CUmemLocation location;
	bool is_default, is_destroyed, is_import;
	int file; /* stands for it in other processes; -1: it cannot be shared */
	size_t max_size, used, used_high, n_ranges;
	int reuse[3];
	uint64_t threshold;
	CUmemAccess_flags device, host; /* what they were allowed */
};

/* Guards what changes in pools, and which pool each place uses. */
extern pthread_mutex_t sg_pool_lock;

/* The pool that a program named, after sg_enter(). */
CUresult sg_pool_enter(CUmemoryPool handle, struct sg_pool **pool);

/* The pool that cuMemAllocAsync() takes memory from. */
struct sg_pool *sg_pool_of_device(void);

/* Gives a new pool the access rights that it begins with. */
void sg_pool_begin_access(struct sg_pool *pool);

/* Whether a program can have a pool of such memory there. */
CUresult sg_pool_check_place(const CUmemLocation *location, CUmemAllocationType type);

/* Under the lock: places that use pool go back to their own. */
void sg_pool_leave_places(const struct sg_pool *pool);
