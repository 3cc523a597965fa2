/*
 * Pools of host memory and of managed memory: what cuMemPoolCreate() makes at
 * CU_MEM_LOCATION_TYPE_HOST and HOST_NUMA, and of CU_MEM_ALLOCATION_TYPE_MANAGED. The shim keeps
 * them; the worker does not know of them. Their memory is in the range map, as RANGE_POOL_HOST or
 * as RANGE_MANAGED with an owner. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"
#include "shim/pool_heap.h"
#include "shim/range.h"

/* Whether a pool at this place, of this type, is one of these. */
bool pool_host_is_for(CUmemLocationType place, CUmemAllocationType type);
CUresult pool_host_create(CUmemoryPool *handle, const CUmemPoolProps *properties);
/* Whether handle is one of these pools, and not destroyed. */
bool pool_host_knows(CUmemoryPool handle);
CUresult pool_host_destroy(CUmemoryPool handle);
CUresult pool_host_trim(CUmemoryPool handle, size_t keep);

CUresult pool_host_alloc(CUdeviceptr *address, size_t bytes, CUmemoryPool handle, CUstream stream);
/* Whether a range of these pools' memory begins at address. */
bool pool_host_owns(CUdeviceptr address, struct range *range);
CUresult pool_host_free(const struct range *range, CUstream stream); /* in stream order */
CUresult pool_host_free_now(const struct range *range);		     /* as cuMemFree() */

/* The error of a graph node that would allocate such memory: graphs allocate device memory only. */
CUresult pool_host_check_node(const CUmemPoolProps *properties);

/* For other processes: refused. */
CUresult pool_host_export(CUmemoryPool handle, CUmemAllocationHandleType type);

/* Attributes, all as 64-bit numbers. */
CUresult pool_host_get(CUmemoryPool handle, CUmemPool_attribute attribute, uint64_t *value);
CUresult pool_host_set(CUmemoryPool handle, CUmemPool_attribute attribute, uint64_t value);
/* location: of a device that exists. */
CUresult pool_host_get_access(
    CUmemAccess_flags *flags, CUmemoryPool handle, const CUmemLocation *location);
CUresult pool_host_set_access(CUmemoryPool handle, const CUmemAccessDesc *access, size_t count);

/* The pool of a place: the one it has from the beginning, and the one it uses. */
CUresult pool_host_default(
    CUmemoryPool *handle, const CUmemLocation *location, CUmemAllocationType type);
CUresult pool_host_current(
    CUmemoryPool *handle, const CUmemLocation *location, CUmemAllocationType type);
CUresult pool_host_set_current(
    const CUmemLocation *location, CUmemAllocationType type, CUmemoryPool handle);

/* The block of a pool's heap that the memory of a range was cut from. */
bool pool_host_block(const struct range *range, struct pool_block *block);
