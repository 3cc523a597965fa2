/*
 * Memory pools: which one a device uses, what they hold and give back, who has access, and what
 * they are told to keep.
 */
#include "conform.h"

static const CUmemLocation here = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0};

static CUmemoryPool pool_new(void)
{
	CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = here};
	CUmemoryPool pool;

	OK(cuMemPoolCreate(&pool, &properties));
	return pool;
}

static void begin(void)
{
	int able = 0;

	OK(cuDeviceGetAttribute(
	    &able, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, conform_begin()));
	if (!able)
		SKIP("no memory pools");
}

static uint64_t attribute(CUmemoryPool pool, CUmemPool_attribute which)
{
	uint64_t value = 0;

	OK(cuMemPoolGetAttribute(pool, which, &value));
	return value;
}

CONFORM(a_device_uses_the_pool_it_was_given)
{
	CUmemoryPool standard, got;

	begin();
	OK(cuDeviceGetDefaultMemPool(&standard, 0));
	OK(cuDeviceGetMemPool(&got, 0));
	CHECK(got == standard);
	CUmemoryPool own = pool_new();
	OK(cuDeviceSetMemPool(0, own));
	OK(cuDeviceGetMemPool(&got, 0));
	CHECK(got == own);
	OK(cuDeviceGetDefaultMemPool(&got, 0));
	CHECK(got == standard);

	CUdeviceptr a;
	OK(cuMemAllocAsync(&a, 1 << 20, NULL));
	OK(cuStreamSynchronize(NULL));
	CHECK_EQ(attribute(own, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 1 << 20);
	OK(cuMemFreeAsync(a, NULL));
	OK(cuStreamSynchronize(NULL));
	CHECK_EQ(attribute(own, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0);
	OK(cuDeviceSetMemPool(0, standard));
	OK(cuMemPoolDestroy(own));
}

CONFORM(pools_are_found_by_place)
{
	CUmemLocation location = here;
	CUmemoryPool standard, got;
	int version;

	begin();
	OK(cuDriverGetVersion(&version));
	if (version < 13000)
		SKIP("pools by place came with CUDA 13.0");
	OK(cuDeviceGetDefaultMemPool(&standard, 0));
	OK(cuMemGetDefaultMemPool(&got, &location, CU_MEM_ALLOCATION_TYPE_PINNED));
	CHECK(got == standard);
	CUmemoryPool own = pool_new();
	OK(cuMemSetMemPool(&location, CU_MEM_ALLOCATION_TYPE_PINNED, own));
	OK(cuMemGetMemPool(&got, &location, CU_MEM_ALLOCATION_TYPE_PINNED));
	CHECK(got == own);
	OK(cuDeviceGetMemPool(&got, 0));
	CHECK(got == own);
	OK(cuMemSetMemPool(&location, CU_MEM_ALLOCATION_TYPE_PINNED, standard));
	OK(cuMemPoolDestroy(own));
}

CONFORM(what_is_kept_can_be_given_back)
{
	enum { BYTES = 64 << 20 };
	uint64_t keep = UINT64_MAX, got = 0;
	CUdeviceptr a;

	begin();
	CUmemoryPool pool = pool_new();
	OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
	OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &got));
	CHECK_EQ(got, keep);
	OK(cuMemAllocFromPoolAsync(&a, BYTES, pool, NULL));
	OK(cuStreamSynchronize(NULL));
	CHECK(attribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= BYTES);
	OK(cuMemFreeAsync(a, NULL));
	OK(cuStreamSynchronize(NULL));
	CHECK_EQ(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0);
	OK(cuMemPoolTrimTo(pool, 0));
	CHECK_EQ(attribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), 0);
	OK(cuMemPoolDestroy(pool));
}

/* Once it was waited for; the pool of a device keeps nothing unless told to. */
CONFORM(what_a_pool_got_back_is_there_for_others)
{
	CUdeviceptr a, b;
	CUstream stream;
	size_t free_bytes, total;

	begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < 3; i++) {
		OK(cuMemGetInfo(&free_bytes, &total));
		size_t most = free_bytes / 10 * 6;
		OK(cuMemAllocAsync(&a, most, stream));
		OK(cuMemsetD8Async(a, 1, 4096, stream));
		OK(cuMemFreeAsync(a, stream));
		OK(cuStreamSynchronize(stream));
		OK(cuMemAlloc(&b, most));
		OK(cuMemFree(b));
	}
	OK(cuStreamDestroy(stream));
}

CONFORM(high_watermarks_stay_until_reset)
{
	uint64_t zero = 0;
	CUdeviceptr a;

	begin();
	CUmemoryPool pool = pool_new();
	OK(cuMemAllocFromPoolAsync(&a, 1 << 20, pool, NULL));
	OK(cuMemFreeAsync(a, NULL));
	OK(cuStreamSynchronize(NULL));
	CHECK_EQ(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), 1 << 20);
	OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &zero));
	CHECK_EQ(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), 0);
	zero = 1;
	GIVES(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &zero),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuMemPoolDestroy(pool));
}

/* These are ints, the others 64 bits wide. */
CONFORM(reuse_can_be_switched)
{
	static const CUmemPool_attribute switches[] = {
	    CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES,
	    CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC,
	    CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES};

	begin();
	CUmemoryPool pool = pool_new();
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
		int value[2] = {7, 7};
		OK(cuMemPoolGetAttribute(pool, switches[i], value));
		CHECK_EQ(value[0], 1);
		CHECK_EQ(value[1], 7);
		value[0] = 0;
		OK(cuMemPoolSetAttribute(pool, switches[i], value));
		value[0] = 7;
		OK(cuMemPoolGetAttribute(pool, switches[i], value));
		CHECK_EQ(value[0], 0);
	}
	OK(cuMemPoolDestroy(pool));
}

CONFORM(its_own_device_has_access)
{
	CUmemLocation location = here;
	CUmemAccess_flags flags = 0;

	begin();
	CUmemoryPool pool = pool_new();
	OK(cuMemPoolGetAccess(&flags, pool, &location));
	CHECK_EQ(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
	CUmemAccessDesc none = {.location = here, .flags = CU_MEM_ACCESS_FLAGS_PROT_NONE};
	GIVES(cuMemPoolSetAccess(pool, &none, 1), CUDA_ERROR_INVALID_DEVICE);
	OK(cuMemPoolGetAccess(&flags, pool, &location));
	CHECK_EQ(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
	OK(cuMemPoolDestroy(pool));
}

/* It is the device's, as pointers know it, and only as a whole given back. */
CONFORM(memory_of_a_pool_is_no_contexts)
{
	CUcontext context = (CUcontext)1;
	CUmemoryPool standard, owner = NULL;
	CUdeviceptr a;

	begin();
	OK(cuDeviceGetDefaultMemPool(&standard, 0));
	OK(cuMemAllocFromPoolAsync(&a, 4096, standard, NULL));
	OK(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, a + 8));
	CHECK(!context);
	OK(cuPointerGetAttribute(&owner, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, a + 8));
	CHECK(owner == standard);
	OK(cuMemFreeAsync(a, NULL));
	OK(cuStreamSynchronize(NULL));
}

/* --- of host memory --- */

static const CUmemAccessDesc device_access = {
    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

static CUmemoryPool pool_at(CUmemLocationType place, CUdevice_attribute supported)
{
	CUmemPoolProps properties = {
	    .allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {.type = place}};
	CUmemoryPool pool;
	int able = 0;

	begin();
	OK(cuDeviceGetAttribute(&able, supported, 0));
	if (!able)
		SKIP("no pools of host memory");
	OK(cuMemPoolCreate(&pool, &properties));
	return pool;
}

static CUmemAccess_flags access_of(CUmemoryPool pool, CUmemLocationType place)
{
	CUmemLocation location = {.type = place};
	CUmemAccess_flags flags = 9;

	OK(cuMemPoolGetAccess(&flags, pool, &location));
	return flags;
}

static void check_host_pool(CUmemoryPool pool)
{
	enum { BYTES = 1 << 20 };
	CUdeviceptr a, pointer = 0;
	int n = BYTES / 4;
	CUstream stream;

	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAllocFromPoolAsync(&a, BYTES, pool, stream));
	CHECK_EQ(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), BYTES);
	CHECK(attribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= BYTES);
	OK(cuStreamSynchronize(stream));
	uint32_t *words = (uint32_t *)a; /* NOLINT(performance-no-int-to-ptr) */
	words[0] = words[n - 1] = 41;
	/* The device has to be let in. */
	CHECK_EQ(access_of(pool, CU_MEM_LOCATION_TYPE_HOST), CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
	CHECK_EQ(
	    access_of(pool, CU_MEM_LOCATION_TYPE_HOST_NUMA), CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
	CHECK_EQ(access_of(pool, CU_MEM_LOCATION_TYPE_DEVICE), CU_MEM_ACCESS_FLAGS_PROT_NONE);
	GIVES(cuPointerGetAttribute(&pointer, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, a),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemsetD32(a, 5, 4), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemPoolSetAccess(pool, &device_access, 1));
	CHECK_EQ(access_of(pool, CU_MEM_LOCATION_TYPE_DEVICE), CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
	CHECK_EQ(words[n - 1], 41);
	OK(cuMemsetD32Async(a, 5, (size_t)n - 1, stream));
	OK(conform_launch(conform_kernel("increment"), 1024, 256, 0, stream, (void *[]){&a, &n}));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(words[0], 6);
	CHECK_EQ(words[n - 2], 6);
	CHECK_EQ(words[n - 1], 42);
	OK(cuMemFreeAsync(a, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0);
	OK(cuMemPoolDestroy(pool));
	OK(cuStreamDestroy(stream));
}

CONFORM(host_memory_comes_from_a_pool)
{
	check_host_pool(
	    pool_at(CU_MEM_LOCATION_TYPE_HOST, CU_DEVICE_ATTRIBUTE_HOST_MEMORY_POOLS_SUPPORTED));
}

CONFORM(host_memory_of_a_node_comes_from_a_pool)
{
	check_host_pool(pool_at(
	    CU_MEM_LOCATION_TYPE_HOST_NUMA, CU_DEVICE_ATTRIBUTE_HOST_NUMA_MEMORY_POOLS_SUPPORTED));
}

/* What a stream gives back others do not get before it is done with it. */
CONFORM(host_memory_is_given_back_in_stream_order)
{
	enum { BYTES = 4 << 20 };
	CUmemoryPool pool =
	    pool_at(CU_MEM_LOCATION_TYPE_HOST, CU_DEVICE_ATTRIBUTE_HOST_MEMORY_POOLS_SUPPORTED);
	CUdeviceptr a, b, seen, flag;
	uint32_t *word, *copy = malloc(BYTES);
	CUstream streams[2];

	OK(cuMemPoolSetAccess(pool, &device_access, 1));
	OK(cuMemAlloc(&seen, BYTES));
	OK(cuMemHostAlloc((void **)&word, sizeof(*word), CU_MEMHOSTALLOC_DEVICEMAP));
	OK(cuMemHostGetDevicePointer(&flag, word, 0));
	for (int i = 0; i < 2; i++)
		OK(cuStreamCreate(&streams[i], CU_STREAM_NON_BLOCKING));
	for (uint32_t round = 1; round < 10; round++) {
		*word = 0;
		OK(cuMemAllocFromPoolAsync(&a, BYTES, pool, streams[0]));
		OK(cuStreamWaitValue32(streams[0], flag, 1, CU_STREAM_WAIT_VALUE_GEQ));
		OK(cuMemsetD32Async(a, round, BYTES / 4, streams[0]));
		OK(cuMemcpyAsync(seen, a, BYTES, streams[0]));
		OK(cuMemFreeAsync(a, streams[0]));
		OK(cuMemAllocFromPoolAsync(&b, BYTES, pool, streams[1]));
		OK(cuMemsetD32Async(b, 77, BYTES / 4, streams[1]));
		OK(cuMemFreeAsync(b, streams[1]));
		__atomic_store_n(word, 1, __ATOMIC_RELEASE);
		OK(cuStreamSynchronize(streams[0]));
		OK(cuStreamSynchronize(streams[1]));
		OK(cuMemcpyDtoH(copy, seen, BYTES));
		for (int i = 0; i < BYTES / 4; i += 512)
			CHECK_EQ(copy[i], round);
	}
	CHECK_EQ(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0);
	OK(cuMemPoolDestroy(pool));
	free(copy);
}
