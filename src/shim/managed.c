/*
 * Managed memory, made of pinned segments (hostmem.c): program, worker and device have it at the
 * same address and see each other's writes as over any mapped memory, which is more than CUDA's
 * points of coherence ask for. What it is not is near the device: no page migrates, so all advice
 * is recorded (abi/managed.c) and nothing else. Everything here is answered in the process.
 */
#include "shim/managed.h"

#include <string.h>

#include "abi/managed.h"
#include "gen/shim_custom.h"
#include "shim/capture.h"
#include "shim/device.h"
#include "shim/hostmem.h"
#include "shim/thread.h"

CUresult shim_cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned flags)
{
	uint64_t start;

	if (!bytes || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
		return CUDA_ERROR_INVALID_VALUE;
	if (!shim_thread.context)
		return CUDA_ERROR_INVALID_CONTEXT;
	CUresult r = hostmem_take(bytes, &start);
	if (r != CUDA_SUCCESS)
		return r;
	struct range range = {.start = start,
	    .size = bytes,
	    .kind = RANGE_MANAGED,
	    .flags = CU_MEMHOSTALLOC_DEVICEMAP,
	    .context = shim_thread.context,
	    .device = shim_thread.device};
	if (!managed_add(start, bytes) || !range_add(&range)) {
		managed_remove(start);
		hostmem_give(start, bytes);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	/* Programs have come to rely on the zeros of fresh pages; a piece may have been used. */
	memset((void *)start, 0, bytes); /* NOLINT(performance-no-int-to-ptr) */
	*address = start;
	return CUDA_SUCCESS;
}

CUresult managed_free(const struct range *range, CUdeviceptr address)
{
	if (range->start != address || !range_remove(address, NULL))
		return CUDA_ERROR_INVALID_VALUE;
	managed_remove(address);
	return hostmem_give(address, range->size);
}

/* --- advice --- */

static bool names_device(CUmem_advise advice)
{
	return advice == CU_MEM_ADVISE_SET_PREFERRED_LOCATION ||
	       advice == CU_MEM_ADVISE_SET_ACCESSED_BY || advice == CU_MEM_ADVISE_UNSET_ACCESSED_BY;
}

static bool is_place(CUdevice device)
{
	return device == CU_DEVICE_CPU || device_find(device);
}

/* Whether there is a context for what has good arguments so far. */
static CUresult in_context(void)
{
	return shim_thread.context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult shim_cuMemAdvise_v2(
    CUdeviceptr address, size_t count, CUmem_advise advice, CUmemLocation location)
{
	return managed_check_advice(advice, location, device_count())
		   ?: in_context() ?: managed_advise(address, count, advice, location);
}

CUresult shim_cuMemAdvise(CUdeviceptr address, size_t count, CUmem_advise advice, CUdevice device)
{
	if (names_device(advice) && !is_place(device))
		return CUDA_ERROR_INVALID_DEVICE;
	return shim_cuMemAdvise_v2(address, count, advice,
	    managed_location(names_device(advice) ? device : CU_DEVICE_CPU));
}

CUresult shim_cuMemPrefetchAsync_v2(
    CUdeviceptr address, size_t count, CUmemLocation location, unsigned flags, CUstream stream)
{
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	return managed_check_prefetch(location, device_count())
		   ?: in_context() ?: capture_refuse(stream)
		   ?: managed_prefetch(address, count, location);
}

CUresult shim_cuMemPrefetchAsync(
    CUdeviceptr address, size_t count, CUdevice destination, CUstream stream)
{
	if (!is_place(destination))
		return CUDA_ERROR_INVALID_DEVICE;
	return shim_cuMemPrefetchAsync_v2(address, count, managed_location(destination), 0, stream);
}

CUresult shim_cuMemDiscardBatchAsync(
    CUdeviceptr *addresses, size_t *sizes, size_t count, unsigned long long flags, CUstream stream)
{
	return in_context() ?: managed_check_batch(addresses, sizes, count, flags, stream)
				  ?: capture_refuse(stream);
}

CUresult shim_cuMemPrefetchBatchAsync(CUdeviceptr *addresses, size_t *sizes, size_t count,
    CUmemLocation *locations, size_t *location_indices, size_t n_locations,
    unsigned long long flags, CUstream stream)
{
	return in_context() ?: managed_check_batch(addresses, sizes, count, flags, stream)
				  ?: capture_refuse(stream)
		   ?: managed_prefetch_batch(addresses, sizes, count, locations, location_indices,
			  n_locations, device_count());
}

/* Discarded or not, the bytes are where they were. */
CUresult shim_cuMemDiscardAndPrefetchBatchAsync(CUdeviceptr *addresses, size_t *sizes, size_t count,
    CUmemLocation *locations, size_t *location_indices, size_t n_locations,
    unsigned long long flags, CUstream stream)
{
	return shim_cuMemPrefetchBatchAsync(
	    addresses, sizes, count, locations, location_indices, n_locations, flags, stream);
}

CUresult shim_cuMemRangeGetAttribute(void *data, size_t data_size, CUmem_range_attribute attribute,
    CUdeviceptr address, size_t count)
{
	return managed_attribute(data, data_size, attribute, address, count);
}

CUresult shim_cuMemRangeGetAttributes(void **data, size_t *data_sizes,
    CUmem_range_attribute *attributes, size_t n_attributes, CUdeviceptr address, size_t count)
{
	return managed_attributes(data, data_sizes, attributes, n_attributes, address, count);
}

CUresult shim_cuStreamAttachMemAsync(
    CUstream stream, CUdeviceptr address, size_t length, unsigned flags)
{
	return managed_check_attach(stream, address, length, flags) ?: capture_refuse(stream);
}
