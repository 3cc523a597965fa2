/*
 * Memory that was freed in stream order and is handed out again. A program that allocates and frees
 * in turn would wait for an address each time; but what cuMemFreeAsync gives back to a stream may
 * be what the next cuMemAllocAsync of that size in that stream gets. So a free is kept here for a
 * while, and a matching allocation takes it: then neither leaves the process.
 *
 * Nobody can tell, since every call that could goes after the frees kept so far: all but plain work
 * put into streams. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "base/util.h"

/* A free of what was allocated as bytes out of pool (0: the device's current one), in the thread's
 * context. False: it was not kept, and is the caller's to send. */
bool pool_reuse_keep(CUdeviceptr address, size_t bytes, CUmemoryPool pool, CUstream stream);

/* A kept one that fits, which is allocated again; 0: none. */
CUdeviceptr pool_reuse_take(size_t bytes, CUmemoryPool pool, CUstream stream);

extern _Atomic unsigned pool_reuse_kept; /* how many */

static inline bool pool_reuse_any(void)
{
	/* Relaxed: a thread that must see another's free has synchronised with it. */
	return atomic_load_explicit(&pool_reuse_kept, memory_order_relaxed);
}

void pool_reuse_send_all(void);

/* Function id is about to leave the process: sends them before it if it may tell. */
void pool_reuse_send_before(uint32_t id);

static inline void pool_reuse_before(uint32_t id)
{
	if (unlikely(pool_reuse_any()))
		pool_reuse_send_before(id);
}

void pool_reuse_after_fork(void);
