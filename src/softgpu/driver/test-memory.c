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

/* --- pools of other memory than the device's --- */

static CUmemoryPool test_pool(CUmemAllocationType type, CUmemLocationType place)
{
	CUmemPoolProps properties = {.allocType = type, .location = {.type = place}};
	CUmemoryPool pool = NULL;

	CHECK_OK(cuMemPoolCreate(&pool, &properties));
	return pool;
}

static CUdeviceptr test_from_pool(CUmemoryPool pool, size_t size)
{
	CUdeviceptr address = 0;

	CHECK_OK(cuMemAllocFromPoolAsync(&address, size, pool, NULL));
	CHECK_OK(cuStreamSynchronize(NULL));
	return address;
}

TEST(memory_of_managed_pools)
{
	CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
	CUmemoryPool owner = NULL;
	unsigned managed = 0;
	int place = 0;

	test_context();
	CUmemoryPool pool = test_pool(CU_MEM_ALLOCATION_TYPE_MANAGED, CU_MEM_LOCATION_TYPE_NONE);
	CUdeviceptr a = test_from_pool(pool, 4096);
	CHECK_OK(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, a));
	CHECK_EQ(managed, 1);
	CHECK_OK(cuPointerGetAttribute(&owner, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, a + 8));
	CHECK(owner == pool);
	/* Program and device use it as it is. */
	CHECK_OK(cuMemsetD32Async(a, 7, 1024, NULL));
	CHECK_OK(cuStreamSynchronize(NULL));
	CHECK_EQ(*(const uint32_t *)a, 7);
	CHECK_OK(cuMemPrefetchAsync_v2(a, 4096, here, 0, CU_STREAM_PER_THREAD));
	CHECK_OK(cuMemRangeGetAttribute(
	    &place, sizeof(place), CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, a, 4096));
	CHECK_EQ(place, 0);
	CHECK_OK(cuMemFreeAsync(a, NULL));
	CHECK_OK(cuStreamSynchronize(NULL));
	CHECK_EQ(cuMemPrefetchAsync_v2(a, 4096, here, 0, CU_STREAM_PER_THREAD),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuMemPoolDestroy(pool));
}

TEST(pools_belong_to_their_places)
{
	CUmemLocation host = {CU_MEM_LOCATION_TYPE_HOST, 0},
		      node = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
	CUmemoryPool standard = NULL, found = NULL;
	const CUmemAllocationType pinned = CU_MEM_ALLOCATION_TYPE_PINNED;

	test_context();
	CHECK_OK(cuMemGetDefaultMemPool(&standard, &host, pinned));
	CHECK_OK(cuMemGetDefaultMemPool(&found, &node, pinned));
	CHECK(found != standard);
	CUmemoryPool pool = test_pool(pinned, CU_MEM_LOCATION_TYPE_HOST);
	CHECK_EQ(cuMemSetMemPool(&node, pinned, pool), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuDeviceSetMemPool(0, pool), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuMemSetMemPool(&host, pinned, pool));
	CHECK_OK(cuMemGetMemPool(&found, &host, pinned));
	CHECK(found == pool);
	CHECK_OK(cuMemPoolDestroy(pool));
	CHECK_OK(cuMemGetMemPool(&found, &host, pinned));
	CHECK(found == standard);
	CHECK_EQ(cuMemPoolDestroy(standard), CUDA_ERROR_INVALID_VALUE);
}

/* What was taken from it stays until it is freed. */
TEST(pools_of_host_memory_outlive_their_handles)
{
	test_context();
	CUmemoryPool pool =
	    test_pool(CU_MEM_ALLOCATION_TYPE_PINNED, CU_MEM_LOCATION_TYPE_HOST_NUMA);
	CUdeviceptr a = test_from_pool(pool, 4096);
	CHECK_OK(cuMemPoolDestroy(pool));
	CUdeviceptr b = 0;
	CHECK_EQ(cuMemAllocFromPoolAsync(&b, 4096, pool, NULL), CUDA_ERROR_INVALID_VALUE);
	*(uint32_t *)a = 5;
	CHECK_OK(cuMemcpy((CUdeviceptr)&b, a, 4));
	CHECK_EQ(b, 5);
	CHECK_OK(cuMemFree_v2(a));
	CHECK_EQ(cuMemFree_v2(a), CUDA_ERROR_INVALID_VALUE);
}
