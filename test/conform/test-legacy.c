/*
 * Functions of early CUDA that the driver still exports: forms with 32-bit sizes and addresses,
 * counted contexts.
 *
 * A context remembers whether it was made by cuCtxCreate of before CUDA 3.2. The narrow forms are for
 * such contexts; elsewhere, in a primary one too, they give CUDA_ERROR_INVALID_CONTEXT. Their names
 * are those that a header of today gives to newer forms, which are called here by their full names.
 */
#include "conform.h"

#undef cuArrayCreate
#undef cuArrayGetDescriptor
#undef cuCtxCreate
#undef cuDeviceTotalMem
#undef cuMemAlloc
#undef cuMemAllocHost
#undef cuMemAllocPitch
#undef cuMemFree
#undef cuMemGetAddressRange
#undef cuMemGetInfo
#undef cuMemcpy2D
#undef cuMemcpyAtoH
#undef cuMemcpyDtoH
#undef cuMemcpyHtoA
#undef cuMemcpyHtoD
#undef cuMemsetD8

CONFORM(total_memory_needs_no_context)
{
	unsigned narrow;
	size_t wide;

	OK(cuInit(0));
	OK(cuDeviceTotalMem(&narrow, 0));
	OK(cuDeviceTotalMem_v2(&wide, 0));
	if (wide <= UINT32_MAX)
		CHECK_EQ(narrow, wide);
	GIVES(cuDeviceTotalMem(&narrow, 100000), CUDA_ERROR_INVALID_DEVICE);
	GIVES(cuDeviceTotalMem(NULL, 0), CUDA_ERROR_INVALID_VALUE);
}

CONFORM(narrow_forms_are_refused_in_contexts_of_today)
{
	CUDA_ARRAY_DESCRIPTOR_v1 d = {8, 4, CU_AD_FORMAT_UNSIGNED_INT8, 1};
	CUcontext own;
	CUdeviceptr_v1 address;
	CUarray array;
	unsigned a, b, version;
	void *host;

	GIVES(cuMemAlloc(&address, 16), CUDA_ERROR_NOT_INITIALIZED);
	conform_begin();
	OK(cuCtxGetApiVersion(NULL, &version));
	CHECK(version >= 3020);
	for (int i = 0; i < 2; i++) {
		GIVES(cuMemAlloc(&address, 16), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemAllocPitch(&address, &a, 64, 4, 4), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemAllocHost(&host, 64), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemGetInfo(&a, &b), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuArrayCreate(&array, &d), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemFree(4096), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemcpyHtoD(4096, &a, 4), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemcpyDtoH(&a, 4096, 4), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemsetD8(4096, 1, 4), CUDA_ERROR_INVALID_CONTEXT);
		OK(cuCtxCreate_v2(&own, 0, 0));
	}
}

CONFORM(narrow_contexts)
{
	CUcontext narrow;
	unsigned version, free_bytes, total;
	void *host;

	OK(cuInit(0));
	OK(cuCtxCreate(&narrow, 0, 0));
	OK(cuCtxGetApiVersion(narrow, &version));
	CHECK_EQ(version, 3010);
	OK(cuMemGetInfo(&free_bytes, &total));
	CHECK(free_bytes > 0 && free_bytes <= total);
	OK(cuMemAllocHost(&host, 64));
	memset(host, 1, 64);
	OK(cuMemFreeHost(host));
	OK(cuCtxDestroy(narrow));
}

/* There may be no memory at addresses of 32 bits; what there is works. */
CONFORM(narrow_addresses)
{
	CUdeviceptr_v1 address = 0, base;
	unsigned char out[256], in[256];
	unsigned bytes;
	CUcontext narrow;

	OK(cuInit(0));
	OK(cuCtxCreate(&narrow, 0, 0));
	conform_fill(in, sizeof(in), 1);
	CUresult r = cuMemAlloc(&address, sizeof(in));
	if (r != CUDA_SUCCESS) {
		CHECK_EQ(r, CUDA_ERROR_OUT_OF_MEMORY);
		return;
	}
	CHECK(address);
	OK(cuMemcpyHtoD(address, in, sizeof(in)));
	OK(cuMemcpyDtoH(out, address, sizeof(out)));
	CHECK_BYTES(out, in, sizeof(in));
	OK(cuMemGetAddressRange(&base, &bytes, address + 8));
	CHECK_EQ(base, address);
	CHECK_EQ(bytes, sizeof(in));
	OK(cuMemFree(address));
}

CONFORM(narrow_array_copies)
{
	CUDA_ARRAY_DESCRIPTOR_v1 d = {16, 8, CU_AD_FORMAT_UNSIGNED_INT8, 1}, got = {0};
	unsigned char in[128], out[128] = {0};
	CUcontext narrow;
	CUarray array;

	OK(cuInit(0));
	OK(cuCtxCreate(&narrow, 0, 0));
	conform_fill(in, sizeof(in), 2);
	OK(cuArrayCreate(&array, &d));
	OK(cuArrayGetDescriptor(&got, array));
	CHECK_BYTES(&got, &d, sizeof(d));
	CUDA_MEMCPY2D_v1 copy = {
	    .srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = in,
	    .srcPitch = 16,
	    .dstMemoryType = CU_MEMORYTYPE_ARRAY,
	    .dstArray = array,
	    .WidthInBytes = 16,
	    .Height = 8,
	};
	OK(cuMemcpy2D(&copy));
	OK(cuMemcpyHtoA(array, 4, out, 4));
	memset(in + 4, 0, 4);
	OK(cuMemcpyAtoH(out, array, 0, 16));
	CHECK_BYTES(out, in, 16);
	GIVES(cuMemcpy2D(NULL), CUDA_ERROR_INVALID_VALUE);
	OK(cuArrayDestroy(array));
}

CONFORM(contexts_count_their_uses)
{
	CUcontext own, attached, current;

	OK(cuInit(0));
	GIVES(cuCtxAttach(&attached, 0), CUDA_ERROR_INVALID_CONTEXT);
	OK(cuCtxCreate_v2(&own, 0, 0));
	GIVES(cuCtxAttach(&attached, 1), CUDA_ERROR_INVALID_VALUE);
	OK(cuCtxAttach(&attached, 0));
	CHECK(attached == own);
	OK(cuCtxDetach(own));
	OK(cuCtxGetCurrent(&current));
	CHECK(current == own);
	OK(cuCtxDetach(own));
	OK(cuCtxGetCurrent(&current));
	CHECK(!current);
}
