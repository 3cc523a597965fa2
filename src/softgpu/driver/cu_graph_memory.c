/* What graphs keep of the device's memory for their own allocations. */
#include "softgpu/driver/driver.h"

#include "softgpu/driver/graph.h"

static CUresult memory_enter(CUdevice device, CUgraphMem_attribute attribute, const void *value)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && device != 0)
		r = CUDA_ERROR_INVALID_DEVICE;
	if (r == CUDA_SUCCESS &&
	    (!value || (unsigned)attribute > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH))
		r = CUDA_ERROR_INVALID_VALUE;
	return r;
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void *value)
{
	CUresult r = memory_enter(device, attribute, value);

	if (r == CUDA_SUCCESS)
		*(uint64_t *)value = sg_graph_memory_usage(attribute);
	return r;
}

/* The highest values can be reset, to nothing but 0. */
CUresult cuDeviceSetGraphMemAttribute(
    CUdevice device, CUgraphMem_attribute attribute, const void *value)
{
	CUresult r = memory_enter(device, attribute, value);

	if (r != CUDA_SUCCESS)
		return r;
	if (*(const uint64_t *)value || (attribute != CU_GRAPH_MEM_ATTR_USED_MEM_HIGH &&
					    attribute != CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH))
		return CUDA_ERROR_INVALID_VALUE;
	sg_graph_memory_forget_high(attribute == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH);
	return CUDA_SUCCESS;
}

CUresult cuDeviceGraphMemTrim(CUdevice device)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && device != 0)
		r = CUDA_ERROR_INVALID_DEVICE;
	if (r != CUDA_SUCCESS)
		return r;
	sg_engine_wait();
	sg_graph_memory_trim();
	return CUDA_SUCCESS;
}
