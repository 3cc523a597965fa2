/* Advice on managed memory: it lives where it is, so hints are kept (abi/managed.h) and move
 * nothing. */
#include "softgpu/driver/driver.h"

#include "abi/managed.h"
#include "softgpu/driver/stream.h"

#define N_DEVICES 1

static CUresult managed_enter(void)
{
	struct sg_context *context;

	return sg_enter_context(&context);
}

/* Of what belongs to a stream and is refused where that is captured, as a wait is. */
static CUresult managed_enter_stream(CUstream stream)
{
	CUstreamCaptureStatus status;
	CUresult r = managed_enter();

	if (r != CUDA_SUCCESS)
		return r;
	if (cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS &&
	    status == CU_STREAM_CAPTURE_STATUS_NONE)
		return CUDA_SUCCESS;
	return cuStreamSynchronize(stream);
}

static bool names_device(CUmem_advise advice)
{
	return advice == CU_MEM_ADVISE_SET_PREFERRED_LOCATION ||
	       advice == CU_MEM_ADVISE_SET_ACCESSED_BY || advice == CU_MEM_ADVISE_UNSET_ACCESSED_BY;
}

static bool is_place(CUdevice device)
{
	return device == CU_DEVICE_CPU || device == 0;
}

CUresult cuMemAdvise_v2(
    CUdeviceptr address, size_t size, CUmem_advise advice, CUmemLocation location)
{
	return managed_enter() ?: managed_check_advice(advice, location, N_DEVICES)
					 ?: managed_advise(address, size, advice, location);
}

CUresult cuMemAdvise(CUdeviceptr address, size_t size, CUmem_advise advice, CUdevice device)
{
	if (names_device(advice) && !is_place(device))
		return managed_enter() ?: CUDA_ERROR_INVALID_DEVICE;
	return cuMemAdvise_v2(
	    address, size, advice, managed_location(names_device(advice) ? device : CU_DEVICE_CPU));
}

CUresult cuMemPrefetchAsync_v2(
    CUdeviceptr address, size_t size, CUmemLocation location, unsigned flags, CUstream stream)
{
	CUresult r = managed_enter();

	if (r == CUDA_SUCCESS && flags)
		r = CUDA_ERROR_INVALID_VALUE;
	return r ?: managed_check_prefetch(location, N_DEVICES)
			   ?: managed_enter_stream(stream)
			   ?: managed_prefetch(address, size, location);
}

CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t size, CUdevice device, CUstream stream)
{
	if (!is_place(device))
		return managed_enter() ?: CUDA_ERROR_INVALID_DEVICE;
	return cuMemPrefetchAsync_v2(address, size, managed_location(device), 0, stream);
}

CUresult cuMemDiscardBatchAsync(
    CUdeviceptr *addresses, size_t *sizes, size_t n, unsigned long long flags, CUstream stream)
{
	CUstream named = sg_stream_named(stream);

	return managed_enter() ?: managed_check_batch(addresses, sizes, n, flags, named)
					 ?: managed_enter_stream(stream);
}

CUresult cuMemPrefetchBatchAsync(CUdeviceptr *addresses, size_t *sizes, size_t n,
    CUmemLocation *locations, size_t *location_indices, size_t n_locations,
    unsigned long long flags, CUstream stream)
{
	CUstream named = sg_stream_named(stream);

	return managed_enter() ?: managed_check_batch(addresses, sizes, n, flags, named)
					 ?: managed_enter_stream(stream)
					 ?: managed_prefetch_batch(addresses, sizes, n, locations,
						location_indices, n_locations, N_DEVICES);
}

CUresult cuMemDiscardAndPrefetchBatchAsync(CUdeviceptr *addresses, size_t *sizes, size_t n,
    CUmemLocation *locations, size_t *location_indices, size_t n_locations,
    unsigned long long flags, CUstream stream)
{
	return cuMemPrefetchBatchAsync(
	    addresses, sizes, n, locations, location_indices, n_locations, flags, stream);
}

CUresult cuMemRangeGetAttribute(
    void *data, size_t data_size, CUmem_range_attribute attribute, CUdeviceptr address, size_t size)
{
	return managed_enter() ?: managed_attribute(data, data_size, attribute, address, size);
}

CUresult cuMemRangeGetAttributes(void **data, size_t *data_sizes, CUmem_range_attribute *attributes,
    size_t n, CUdeviceptr address, size_t size)
{
	return managed_enter()
		   ?: managed_attributes(data, data_sizes, attributes, n, address, size);
}

/* Which thread of the host may see managed memory: here all may, always. */
CUresult cuStreamAttachMemAsync(CUstream stream, CUdeviceptr address, size_t length, unsigned flags)
{
	return managed_enter()
		   ?: managed_check_attach(sg_stream_named(stream), address, length, flags)
		   ?: managed_enter_stream(stream);
}
