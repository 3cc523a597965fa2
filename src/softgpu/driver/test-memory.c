/* Allocation, registration, pools, and what pointer queries say of each kind of memory. */
#include <sys/mman.h>

#include "softgpu/driver/test-driver.h"

TEST(allocations_are_checked)
{
	CUdeviceptr address, base;
	size_t size;

	setenv("SOFTGPU_MEMORY", "16", 1);
	test_context();
	CHECK_EQ(cuMemAlloc_v2(&address, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemAlloc_v2(NULL, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemAlloc_v2(&address, (16 << 20) + 1), CUDA_ERROR_OUT_OF_MEMORY);
	address = test_alloc(1000);
	CHECK_EQ(address % 256, 0);
	CHECK_OK(cuMemGetAddressRange_v2(&base, &size, address + 999));
	CHECK(base == address && size == 1000);
	CHECK_OK(cuMemGetAddressRange_v2(NULL, NULL, address));
	CHECK_EQ(cuMemGetAddressRange_v2(&base, &size, address + 1000), CUDA_ERROR_NOT_FOUND);
	CHECK_EQ(cuMemFree_v2(address + 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuMemFree_v2(address));
	CHECK_EQ(cuMemFree_v2(address), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuMemFree_v2(0));
}

TEST(pitched_rows_are_aligned)
{
	CUdeviceptr address;
	size_t pitch;

	test_context();
	CHECK_OK(cuMemAllocPitch_v2(&address, &pitch, 1001, 10, 4));
	CHECK(pitch >= 1001 && pitch % 512 == 0);
	CHECK_OK(cuMemsetD8_v2(address, 1, 10 * pitch));
	CHECK_EQ(cuMemAllocPitch_v2(&address, &pitch, 10, 10, 3), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemAllocPitch_v2(&address, &pitch, SIZE_MAX, 10, 4), CUDA_ERROR_OUT_OF_MEMORY);
}

static void check_pointer(CUdeviceptr address, CUmemorytype type, bool managed, void *host)
{
	CUmemorytype got_type = 0;
	unsigned is_managed = !managed;
	int ordinal = -1;
	void *got_host = NULL;

	CHECK_OK(cuPointerGetAttribute(&got_type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address));
	CHECK_EQ(got_type, type);
	CHECK_OK(cuPointerGetAttribute(&is_managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, address));
	CHECK_EQ(is_managed, managed);
	CHECK_OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address));
	CHECK_EQ(ordinal, 0);
	CHECK_EQ(cuPointerGetAttribute(&got_host, CU_POINTER_ATTRIBUTE_HOST_POINTER, address),
	    host ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
	CHECK(got_host == host);
}

TEST(pointers_of_every_kind)
{
	CUdeviceptr managed;
	void *host;

	test_context();
	check_pointer(test_alloc(100) + 50, CU_MEMORYTYPE_DEVICE, false, NULL);
	CHECK_OK(cuMemAllocManaged(&managed, 100, CU_MEM_ATTACH_GLOBAL));
	check_pointer(managed, CU_MEMORYTYPE_DEVICE, true, (void *)managed);
	CHECK_OK(cuMemHostAlloc(&host, 100, 0));
	memset(host, 1, 100);
	check_pointer((CUdeviceptr)host + 1, CU_MEMORYTYPE_HOST, false, (char *)host + 1);
	CHECK_EQ(cuMemFree_v2((CUdeviceptr)host), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuMemFreeHost(host));
	CHECK_OK(cuMemFree_v2(managed));
}

TEST(plain_host_memory_is_unknown)
{
	CUpointer_attribute attributes[] = {
	    CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_POINTER};
	unsigned type = 7;
	CUdeviceptr device = 7;
	void *data[] = {&type, &device};

	test_context();
	CHECK_EQ(cuPointerGetAttribute(&type, attributes[0], (CUdeviceptr)&type),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuPointerGetAttributes(2, attributes, data, (CUdeviceptr)&type));
	CHECK(type == 0 && device == 0);
}

TEST(shared_memory_can_be_registered_for_kernels)
{
	char *shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CUdeviceptr device;
	unsigned flags;

	test_context();
	CHECK(shared != MAP_FAILED);
	CHECK_OK(cuMemHostRegister_v2(shared + 100, 5000, CU_MEMHOSTREGISTER_DEVICEMAP));
	CHECK_OK(cuMemHostGetDevicePointer_v2(&device, shared + 200, 0));
	CHECK_OK(cuMemsetD8_v2(device, 9, 10));
	CHECK(shared[200] == 9 && shared[209] == 9 && shared[210] == 0);
	CHECK_OK(cuMemHostGetFlags(&flags, shared + 200));
	CHECK_EQ(
	    cuMemHostRegister_v2(shared + 5000, 100, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	CHECK_EQ(cuMemHostUnregister(shared + 101), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuMemHostUnregister(shared + 100));
	CHECK_EQ(cuMemsetD8_v2(device, 9, 10), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemHostGetFlags(&flags, shared + 200), CUDA_ERROR_INVALID_VALUE);
}

TEST(private_memory_can_be_registered_for_copies)
{
	char *private = malloc(8192);
	CUdeviceptr device;

	test_context();
	CHECK_OK(cuMemHostRegister_v2(private, 8192, 0));
	CHECK_EQ(cuMemHostGetDevicePointer_v2(&device, private, 0), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_OK(cuMemcpyHtoDAsync_v2(test_alloc(8192), private, 8192, NULL));
	CHECK_OK(cuMemHostUnregister(private));
	free(private);
}

static uint64_t pool_value(CUmemoryPool pool, CUmemPool_attribute attribute)
{
	uint64_t value = ~UINT64_C(0);

	CHECK_OK(cuMemPoolGetAttribute(pool, attribute, &value));
	return value;
}

TEST(pools_count_what_is_taken)
{
	CUmemPoolProps properties = {
	    .allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
	    .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
	    .maxSize = 10000,
	};
	CUmemoryPool pool, found;
	CUdeviceptr a, b;

	test_context();
	CHECK_OK(cuMemPoolCreate(&pool, &properties));
	CHECK_OK(cuMemAllocFromPoolAsync(&a, 6000, pool, NULL));
	CHECK_EQ(cuMemAllocFromPoolAsync(&b, 6000, pool, NULL), CUDA_ERROR_OUT_OF_MEMORY);
	CHECK_OK(cuPointerGetAttribute(&found, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, a));
	CHECK(found == pool);
	CHECK_EQ(pool_value(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 6000);
	CHECK_OK(cuMemsetD8Async(a, 1, 6000, NULL));
	CHECK_OK(cuMemFreeAsync(a, NULL));
	CHECK_OK(cuStreamSynchronize(NULL));
	CHECK_EQ(cuMemsetD8_v2(a, 1, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(pool_value(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0);
	CHECK_EQ(pool_value(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), 6000);
	CHECK_OK(cuMemAllocFromPoolAsync(&a, 50, pool, NULL));
	CHECK_OK(cuDevicePrimaryCtxReset_v2(0));
	CHECK_EQ(pool_value(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0);
	test_context();
	CHECK_OK(cuDeviceSetMemPool(0, pool));
	CHECK_OK(cuMemAllocAsync(&a, 100, NULL));
	CHECK_EQ(pool_value(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 100);
	CHECK_OK(cuMemPoolDestroy(pool));
	CHECK_OK(cuMemsetD8_v2(a, 1, 100));
	CHECK_OK(cuMemFree_v2(a));
	CHECK_OK(cuDeviceGetMemPool(&found, 0));
	CHECK_OK(cuDeviceGetDefaultMemPool(&pool, 0));
	CHECK(found == pool);
	CHECK_EQ(cuMemPoolDestroy(pool), CUDA_ERROR_INVALID_VALUE);
}
