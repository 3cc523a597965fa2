/* What the files about pools of host memory share. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "shim/pool_heap.h"
#include "wire/limits.h"

struct host_pool {
	struct host_pool *next;
	CUmemoryPool handle;
	CUmemPoolProps properties;
	bool is_default, is_destroyed;
	CUmemAccess_flags host, device[WIRE_DEVICES_MAX]; /* as they were told */
	int reuse[3];
	uint64_t threshold, used_high, reserved_high;
	size_t n_allocations;
	struct pool_heap heap;
};

/* Held for all that follows, but for checks. */
extern pthread_mutex_t pool_host_lock;

/* The program's pool. NULL: there is none of that handle, or it was destroyed. */
struct host_pool *pool_host_find(CUmemoryPool handle);
bool pool_host_is_managed(const struct host_pool *pool);

/* Whether there can be such a pool; a new one, NULL: out of memory. */
CUresult pool_host_check(const CUmemPoolProps *properties);
struct host_pool *pool_host_new(const CUmemPoolProps *properties);

/* Places that use pool go back to their own. */
void pool_host_leave_places(const struct host_pool *pool);
