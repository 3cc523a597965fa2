/*
 * Pools of host memory and of managed memory: what cuMemPoolCreate() makes at
 * CU_MEM_LOCATION_TYPE_HOST and HOST_NUMA, and of CU_MEM_ALLOCATION_TYPE_MANAGED. They are known
 * here alone; their memory are ranges of kind RANGE_POOL_HOST, or RANGE_MANAGED with an owner. Any
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"
#include "shim/pool_heap.h"
#include "shim/range.h"

/* Whether such memory is one of those pools'. */
bool pool_host_is_for(CUmemLocationType place, CUmemAllocationType type);
CUresult pool_host_create(CUmemoryPool *handle, const CUmemPoolProps *properties);
/* Whether it is one of those, and not destroyed. */
bool pool_host_knows(CUmemoryPool handle);
CUresult pool_host_destroy(CUmemoryPool handle);
CUresult pool_host_trim(CUmemoryPool handle, size_t keep);

CUresult pool_host_alloc(CUdeviceptr *address, size_t bytes, CUmemoryPool handle, CUstream stream);
/* The range that begins at address and is such memory's; now: as cuMemFree() does. */
bool pool_host_owns(CUdeviceptr address, struct range *range);
CUresult pool_host_free(const struct range *range, CUstream stream);
CUresult pool_host_free_now(const struct range *range);

/* What a node of a graph answers that would allocate such memory: graphs have memory of devices
 * alone. */
CUresult pool_host_check_node(const CUmemPoolProps *properties);

/* For other processes: refused. */
CUresult pool_host_export(CUmemoryPool handle, CUmemAllocationHandleType type);

/* Attributes as 64-bit numbers, as they cross. */
CUresult pool_host_get(CUmemoryPool handle, CUmemPool_attribute attribute, uint64_t *value);
CUresult pool_host_set(CUmemoryPool handle, CUmemPool_attribute attribute, uint64_t value);
/* Of a device that there is. */
CUresult pool_host_get_access(
    CUmemAccess_flags *flags, CUmemoryPool handle, const CUmemLocation *location);
CUresult pool_host_set_access(CUmemoryPool handle, const CUmemAccessDesc *access, size_t count);

/* The pool of a place: the one that is there from the beginning, the one in use. */
CUresult pool_host_default(
    CUmemoryPool *handle, const CUmemLocation *location, CUmemAllocationType type);
CUresult pool_host_current(
    CUmemoryPool *handle, const CUmemLocation *location, CUmemAllocationType type);
CUresult pool_host_set_current(
    const CUmemLocation *location, CUmemAllocationType type, CUmemoryPool handle);

/* What the memory of a range of theirs was cut from. */
bool pool_host_block(const struct range *range, struct pool_block *block);
