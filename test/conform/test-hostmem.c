/* Host memory the device reaches: managed and registered memory, their attributes, advice. */
#include <sys/mman.h>

#include "conform.h"

enum { N = 1 << 16, BYTES = 4 * N };

static int pointer_int(CUpointer_attribute attribute, CUdeviceptr address)
{
	int value = -77;

	OK(cuPointerGetAttribute(&value, attribute, address));
	return value;
}

static uint64_t pointer_word(CUpointer_attribute attribute, CUdeviceptr address)
{
	uint64_t value = 77;

	OK(cuPointerGetAttribute(&value, attribute, address));
	return value;
}

static void increment(CUdeviceptr words, int n, CUstream stream)
{
	OK(conform_launch(conform_kernel("increment"), 32, 256, 0, stream, (void *[]){&words, &n}));
}

/* --- managed memory --- */

CONFORM(managed_memory_is_written_by_both)
{
	CUdeviceptr address;

	conform_begin();
	OK(cuMemAllocManaged(&address, BYTES, CU_MEM_ATTACH_GLOBAL));
	uint32_t *words = (uint32_t *)address;
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < N; i++)
			words[i] = i * 3 + round;
		increment(address, N, NULL);
		OK(cuCtxSynchronize());
		for (uint32_t i = 0; i < N; i++)
			CHECK_EQ(words[i], i * 3 + round + 1);
	}
	OK(cuMemFree(address));
}

CONFORM(managed_memory_takes_part_in_copies)
{
	uint8_t *in = conform_random(BYTES, 3), *out = calloc(1, BYTES);
	CUdeviceptr managed, device;
	CUstream stream;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAllocManaged(&managed, BYTES, CU_MEM_ATTACH_GLOBAL));
	OK(cuMemAlloc(&device, BYTES));
	OK(cuMemcpyHtoD(managed, in, BYTES));
	CHECK_BYTES((void *)managed, in, BYTES);
	OK(cuMemcpyDtoDAsync(device, managed, BYTES, stream));
	OK(cuMemsetD8Async(managed, 0x5a, BYTES, stream));
	OK(cuStreamSynchronize(stream));
	for (int i = 0; i < BYTES; i++)
		CHECK_EQ(((uint8_t *)managed)[i], 0x5a);
	OK(cuMemcpy(managed, device, BYTES));
	OK(cuMemcpyDtoH(out, managed, BYTES));
	CHECK_BYTES(out, in, BYTES);
	/* The program's own pointer, as a host side. */
	memset((void *)managed, 7, BYTES);
	OK(cuMemcpyHtoDAsync(device, (void *)managed, BYTES, stream));
	OK(cuMemcpyDtoHAsync(out, device, BYTES, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_BYTES(out, (void *)managed, BYTES);
	CUDA_MEMCPY2D box = {.srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = in,
	    .srcPitch = 256,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = managed,
	    .dstPitch = 512,
	    .WidthInBytes = 200,
	    .Height = 100};
	OK(cuMemcpy2D(&box));
	for (int y = 0; y < 100; y++)
		CHECK_BYTES((char *)managed + 512 * y, in + 256 * y, 200);
	OK(cuMemFree(managed));
	OK(cuMemFree(device));
}

CONFORM(managed_memory_is_known_as_such)
{
	CUdeviceptr address, base;
	size_t bytes;

	conform_begin();
	OK(cuMemAllocManaged(&address, BYTES, CU_MEM_ATTACH_GLOBAL));
	CHECK_EQ(pointer_int(CU_POINTER_ATTRIBUTE_IS_MANAGED, address), 1);
	CHECK_EQ(pointer_int(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address + 5), CU_MEMORYTYPE_DEVICE);
	CHECK_EQ(pointer_word(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, address + 5), address + 5);
	CHECK_EQ(pointer_word(CU_POINTER_ATTRIBUTE_HOST_POINTER, address + 5), address + 5);
	CHECK_EQ(pointer_word(CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, address + 5), address);
	CHECK_EQ(pointer_word(CU_POINTER_ATTRIBUTE_RANGE_SIZE, address), BYTES);
	CHECK_EQ(pointer_int(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, address), 1);
	OK(cuMemGetAddressRange(&base, &bytes, address + 9));
	CHECK_EQ(base, address);
	CHECK_EQ(bytes, BYTES);
	GIVES(cuMemFreeHost((void *)address), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemFree(address + 4), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFree(address));
	GIVES(cuPointerGetAttribute(&bytes, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, address),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemAllocManaged(&address, 0, CU_MEM_ATTACH_GLOBAL), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemAllocManaged(&address, 4096, 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemAllocManaged(&address, 4096, CU_MEM_ATTACH_SINGLE), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemAllocManaged(&address, 4096, CU_MEM_ATTACH_HOST));
	OK(cuMemFree(address));
}

static int range_int(CUmem_range_attribute attribute, CUdeviceptr address, size_t bytes)
{
	int value = -77;

	OK(cuMemRangeGetAttribute(&value, sizeof(value), attribute, address, bytes));
	return value;
}

CONFORM(managed_advice_is_remembered)
{
	const CUmemLocation device = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
			    host = {CU_MEM_LOCATION_TYPE_HOST, 0};
	CUdeviceptr m;
	int list[3];

	conform_begin();
	OK(cuMemAllocManaged(&m, 1 << 20, CU_MEM_ATTACH_GLOBAL));
	CHECK_EQ(range_int(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, m, 1 << 20), 0);
	CHECK_EQ(range_int(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, m, 1 << 20), -2);
	OK(cuMemAdvise_v2(m, 1 << 20, CU_MEM_ADVISE_SET_READ_MOSTLY, device));
	CHECK_EQ(range_int(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, m, 1 << 20), 1);
	OK(cuMemAdvise_v2(m, 1 << 19, CU_MEM_ADVISE_UNSET_READ_MOSTLY, device));
	CHECK_EQ(range_int(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, m, 1 << 20), 0);
	CHECK_EQ(range_int(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, m + (1 << 19), 1 << 19), 1);
	OK(cuMemAdvise_v2(m, 1 << 20, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, device));
	CHECK_EQ(range_int(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, m, 1 << 20), 0);
	CHECK_EQ(range_int(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE, m, 1 << 20),
	    CU_MEM_LOCATION_TYPE_DEVICE);
	OK(cuMemAdvise_v2(m, 1 << 20, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, host));
	CHECK_EQ(range_int(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, m, 1 << 20), -1);
	OK(cuMemAdvise_v2(m, 1 << 20, CU_MEM_ADVISE_SET_ACCESSED_BY, device));
	OK(cuMemAdvise_v2(m, 1 << 20, CU_MEM_ADVISE_SET_ACCESSED_BY, host));
	OK(cuMemRangeGetAttribute(
	    list, sizeof(list), CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, m, 1 << 20));
	CHECK_EQ(list[0], 0);
	CHECK_EQ(list[1], -1);
	CHECK_EQ(list[2], -2);
	OK(cuMemFree(m));
}

CONFORM(managed_prefetching)
{
	const CUmemLocation device = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
			    host = {CU_MEM_LOCATION_TYPE_HOST, 0};
	CUdeviceptr m, plain;
	CUstream stream;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAllocManaged(&m, BYTES, CU_MEM_ATTACH_GLOBAL));
	memset((void *)m, 0, BYTES);
	OK(cuMemPrefetchAsync_v2(m, BYTES, device, 0, stream));
	CHECK_EQ(range_int(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, m, BYTES), 0);
	increment(m, N, stream);
	OK(cuMemPrefetchAsync_v2(m, BYTES, host, 0, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(range_int(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, m, BYTES), -1);
	for (int i = 0; i < N; i++)
		CHECK_EQ(((uint32_t *)m)[i], 1);
	GIVES(cuMemPrefetchAsync_v2(m, 0, device, 0, stream), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemPrefetchAsync_v2(m, BYTES, device, 1, stream), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemAlloc(&plain, BYTES));
	GIVES(cuMemPrefetchAsync_v2(plain, BYTES, device, 0, stream), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemAdvise_v2(plain, BYTES, CU_MEM_ADVISE_SET_READ_MOSTLY, device),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemAdvise_v2(m, 4096, (CUmem_advise)0, device), CUDA_ERROR_INVALID_VALUE);
	OK(cuStreamAttachMemAsync(stream, m, 0, CU_MEM_ATTACH_SINGLE));
	OK(cuStreamAttachMemAsync(stream, m, 0, CU_MEM_ATTACH_GLOBAL));
	GIVES(cuStreamAttachMemAsync(stream, m, 4096, CU_MEM_ATTACH_GLOBAL),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuStreamAttachMemAsync(NULL, m, 0, CU_MEM_ATTACH_SINGLE), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFree(m));
	OK(cuMemFree(plain));
}
