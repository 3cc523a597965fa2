/*
 * Virtual memory management. Ranges and physical memory are the worker's business; what is mapped
 * enters the range map. Host memory is this process's business (virtual_host.h): a call for several
 * mappings at once goes to the one or the other by the mapping.
 */
#include "base/util.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/address.h"
#include "shim/call.h"
#include "shim/range.h"
#include "shim/thread.h"
#include "shim/virtual_host.h"

/* --- ranges --- */

/* Ranges that lie where the program has something else are held until another is found, lest the
 * driver has no other place to name. */
CUresult shim_cuMemAddressReserve(CUdeviceptr *address, size_t bytes, size_t alignment,
    CUdeviceptr hint, unsigned long long flags)
{
	CUdeviceptr taken[8];
	size_t n_taken = 0;
	CUresult r = remote_cuMemAddressReserve(address, bytes, alignment, hint, flags);

	while (r == CUDA_SUCCESS && !address_keep(*address, bytes)) {
		taken[n_taken++] = *address;
		r = n_taken == ARRAY_SIZE(taken)
			? CUDA_ERROR_OUT_OF_MEMORY
			: remote_cuMemAddressReserve(address, bytes, alignment, 0, flags);
	}
	for (size_t i = 0; i < n_taken; i++)
		remote_cuMemAddressFree(taken[i], bytes);
	return r;
}

CUresult shim_cuMemAddressFree(CUdeviceptr address, size_t bytes)
{
	CUresult r = remote_cuMemAddressFree(address, bytes);

	if (r == CUDA_SUCCESS)
		address_give_back(address);
	return r;
}

/* --- physical memory --- */

CUresult shim_cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
    const CUmemAllocationProp *properties, unsigned long long flags)
{
	switch ((int)properties->location.type) {
	case CU_MEM_LOCATION_TYPE_HOST:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA:
		return virtual_host_create(handle, bytes, properties, flags);
	case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
		return CUDA_ERROR_INVALID_VALUE;
	default:
		return remote_cuMemCreate(handle, bytes, properties, flags);
	}
}

CUresult shim_cuMemRelease(CUmemGenericAllocationHandle handle)
{
	int last = 0;

	if (virtual_host_knows(handle))
		return virtual_host_release(handle);
	CUresult r = remote_cuMemRelease((uint64_t)handle, &last);
	if (r == CUDA_SUCCESS && last)
		shim_handle_drop((uint64_t)handle);
	return r;
}

CUresult shim_cuMemGetAllocationPropertiesFromHandle(
    CUmemAllocationProp *properties, CUmemGenericAllocationHandle handle)
{
	return virtual_host_properties(handle, properties)
		   ? CUDA_SUCCESS
		   : remote_cuMemGetAllocationPropertiesFromHandle(properties, handle);
}

static bool is_host(CUdeviceptr address)
{
	struct range range;

	return range_find(address, &range) && range.kind == RANGE_MAPPED_HOST;
}

CUresult shim_cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, CUdeviceptr address)
{
	return is_host(address) ? virtual_host_retain(handle, address)
				: remote_cuMemRetainAllocationHandle(handle, address);
}

/* --- mappings --- */

CUresult shim_cuMemMap(CUdeviceptr address, size_t bytes, size_t offset,
    CUmemGenericAllocationHandle handle, unsigned long long flags)
{
	struct range range = {.start = address,
	    .size = bytes,
	    .kind = RANGE_MAPPED,
	    .device = shim_thread.context ? shim_thread.device : 0,
	    .owner = handle};
	struct range present;

	if (range_overlaps(address, bytes, &present) && present.kind == RANGE_MAPPED_HOST)
		return CUDA_ERROR_INVALID_VALUE;
	if (virtual_host_knows(handle))
		return virtual_host_map(address, bytes, offset, handle, flags);
	CUresult r = remote_cuMemMap(address, bytes, offset, handle, flags);
	if (r == CUDA_SUCCESS && !range_add(&range))
		return CUDA_ERROR_OUT_OF_MEMORY;
	return r;
}

/* How much of [address, address + size) goes to one side: *host: a mapping of host memory. Where
 * something is wrong it is all the worker's, which says what. */
static size_t part_at(CUdeviceptr address, size_t size, bool *host)
{
	struct range range;
	size_t part = 0;

	*host = range_find(address, &range) && range.kind == RANGE_MAPPED_HOST &&
		range.start == address && range.size <= size;
	if (*host)
		return range.size;
	while (part < size && range_find(address + part, &range) && range.kind != RANGE_MAPPED_HOST)
		part = range.start + range.size - address;
	return part && part < size && is_host(address + part) ? part : size;
}

static CUresult unmap(CUdeviceptr address, size_t bytes)
{
	struct range range;
	CUresult r = remote_cuMemUnmap(address, bytes);

	if (r != CUDA_SUCCESS)
		return r;
	/* One call may unmap what several mapped. */
	for (CUdeviceptr at = address; at < address + bytes; at += range.size)
		if (!range_remove(at, &range))
			break;
	return CUDA_SUCCESS;
}

CUresult shim_cuMemUnmap(CUdeviceptr address, size_t bytes)
{
	CUresult r = bytes ? CUDA_SUCCESS : unmap(address, bytes);
	size_t part;
	bool host;

	for (size_t done = 0; done < bytes && r == CUDA_SUCCESS; done += part) {
		part = part_at(address + done, bytes - done, &host);
		r = host ? virtual_host_unmap(address + done) : unmap(address + done, part);
	}
	return r;
}

CUresult shim_cuMemSetAccess(
    CUdeviceptr address, size_t bytes, const CUmemAccessDesc *access, size_t count)
{
	CUresult r = bytes ? CUDA_SUCCESS : remote_cuMemSetAccess(address, bytes, access, count);
	size_t part;
	bool host;

	for (size_t done = 0; done < bytes && r == CUDA_SUCCESS; done += part) {
		part = part_at(address + done, bytes - done, &host);
		r = host ? virtual_host_set_access(address + done, access, count)
			 : remote_cuMemSetAccess(address + done, part, access, count);
	}
	return r;
}

CUresult shim_cuMemGetAccess(
    unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address)
{
	return is_host(address) ? virtual_host_get_access(address, location, flags)
				: remote_cuMemGetAccess(flags, location, address);
}
