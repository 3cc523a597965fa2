/*
 * What a program advised about its managed memory, and where it last prefetched it to: the part of
 * managed memory that is bookkeeping, the same for every library that offers it. Advice is a hint
 * and moves nothing here; cuMemRangeGetAttribute must tell it all the same.
 *
 * Kept by pages of 4096 bytes, as CUDA rounds. Any thread; one lock for all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

/* Enters an allocation of managed memory. False: out of memory. */
bool managed_add(uint64_t address, uint64_t size);
/* False: none starts there. */
bool managed_remove(uint64_t address);
/* Whether [address, address + size), not empty, lies inside one allocation. */
bool managed_covers(uint64_t address, uint64_t size);

/* The older functions' device, CU_DEVICE_CPU included, as a location. */
CUmemLocation managed_location(CUdevice device);

/*
 * Whether advice can name location, on a machine of n_devices: CUDA_SUCCESS, or
 * CUDA_ERROR_INVALID_VALUE. Advice that names none (read mostly, no preferred location) takes any
 * location whose type exists.
 */
CUresult managed_check_advice(CUmem_advise advice, CUmemLocation location, int n_devices);
/* Likewise for prefetching. */
CUresult managed_check_prefetch(CUmemLocation location, int n_devices);

/* Both CUDA_ERROR_INVALID_VALUE unless the range lies inside one allocation. Arguments are
 * checked. */
CUresult managed_advise(
    uint64_t address, uint64_t size, CUmem_advise advice, CUmemLocation location);
CUresult managed_prefetch(uint64_t address, uint64_t size, CUmemLocation location);

/* cuMemRangeGetAttribute, whole. */
CUresult managed_attribute(
    void *data, size_t data_size, CUmem_range_attribute attribute, uint64_t address, uint64_t size);

/* cuMemRangeGetAttributes, whole: stops at the first that fails. */
CUresult managed_attributes(void **data, const size_t *data_sizes,
    const CUmem_range_attribute *attributes, size_t n, uint64_t address, uint64_t size);

/* Arguments of the batch functions: flags must be 0, the stream not the legacy one, each range
 * managed. */
CUresult managed_check_batch(const CUdeviceptr *addresses, const size_t *sizes, size_t count,
    unsigned long long flags, CUstream stream);
/* Ranges from location_indices[i] up to the next index go to locations[i]. The ranges are checked;
 * nothing is changed if a location is not valid. */
CUresult managed_prefetch_batch(const CUdeviceptr *addresses, const size_t *sizes, size_t count,
    const CUmemLocation *locations, const size_t *location_indices, size_t n_locations,
    int n_devices);

/* Whether cuStreamAttachMemAsync may be called so; its effect is none where program and device may
 * use managed memory at the same time. */
CUresult managed_check_attach(CUstream stream, uint64_t address, size_t length, unsigned flags);

/* The child of a fork() has a lock nobody holds. */
void managed_after_fork(void);
