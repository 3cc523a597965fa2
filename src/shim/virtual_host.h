/*
 * Host memory of virtual memory management: what cuMemCreate() makes at CU_MEM_LOCATION_TYPE_HOST
 * and HOST_NUMA. The shim keeps its handles; the worker does not know of them. Its mappings are
 * ranges of kind RANGE_MAPPED_HOST. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"

/* Whether any was ever made. */
bool virtual_host_any(void);
CUresult virtual_host_create(CUmemGenericAllocationHandle *handle, size_t bytes,
    const CUmemAllocationProp *properties, unsigned long long flags);
/* Whether handle is such memory's, and still alive; and the properties it was made with. */
bool virtual_host_knows(CUmemGenericAllocationHandle handle);
bool virtual_host_properties(CUmemGenericAllocationHandle handle, CUmemAllocationProp *properties);
CUresult virtual_host_release(CUmemGenericAllocationHandle handle);
/* Another reference to the memory that is mapped at address. */
CUresult virtual_host_retain(CUmemGenericAllocationHandle *handle, CUdeviceptr address);

/* For other processes. export: *fd is the caller's; is_shared, import: so fd remains. */
CUresult virtual_host_export(
    int *fd, CUmemGenericAllocationHandle handle, unsigned long long flags);
bool virtual_host_is_shared(int fd);
CUresult virtual_host_import(CUmemGenericAllocationHandle *handle, int fd);

/* The number of the memory that is mapped at address: no other memory of the process has it. */
bool virtual_host_block(CUdeviceptr address, uint64_t *number);

CUresult virtual_host_map(CUdeviceptr address, size_t bytes, size_t offset,
    CUmemGenericAllocationHandle handle, unsigned long long flags);

/* Of the mapping that begins at address. unmap waits for the device's work first. */
CUresult virtual_host_unmap(CUdeviceptr address);
CUresult virtual_host_set_access(CUdeviceptr address, const CUmemAccessDesc *access, size_t count);
CUresult virtual_host_get_access(
    CUdeviceptr address, const CUmemLocation *location, unsigned long long *flags);
