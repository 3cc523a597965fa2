/*
 * Pools of host memory and of managed memory: what there can be, who may use their memory and what
 * CUDA says of it, and what they count.
 */
#include "conform.h"

enum { BYTES = 1 << 20 };

static CUstream stream;

static CUmemAccess_flags none = CU_MEM_ACCESS_FLAGS_PROT_NONE,
			 reads = CU_MEM_ACCESS_FLAGS_PROT_READ,
			 all = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;

static void begin(void)
{
	int able = 0, version;

	OK(cuDeviceGetAttribute(
	    &able, CU_DEVICE_ATTRIBUTE_HOST_NUMA_MEMORY_POOLS_SUPPORTED, conform_begin()));
	OK(cuDriverGetVersion(&version));
	if (!able || version < 13000)
		SKIP("no pools of host memory, or none of managed memory");
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
}

static const CUmemAllocationType pinned = CU_MEM_ALLOCATION_TYPE_PINNED,
				 managed = CU_MEM_ALLOCATION_TYPE_MANAGED;
static const CUmemLocationType device = CU_MEM_LOCATION_TYPE_DEVICE,
			       host = CU_MEM_LOCATION_TYPE_HOST,
			       node = CU_MEM_LOCATION_TYPE_HOST_NUMA,
			       current = CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;

static CUmemoryPool pool_new(CUmemAllocationType type, CUmemLocationType place)
{
	CUmemPoolProps properties = {.allocType = type, .location = {.type = place}};
	CUmemoryPool pool;

	OK(cuMemPoolCreate(&pool, &properties));
	return pool;
}

static CUdeviceptr take(CUmemoryPool pool, size_t bytes)
{
	CUdeviceptr address = 0;

	OK(cuMemAllocFromPoolAsync(&address, bytes, pool, stream));
	return address;
}

static void *pointer(CUdeviceptr address)
{
	return (void *)address; /* NOLINT(performance-no-int-to-ptr) */
}

static CUresult allow(
    CUmemoryPool pool, CUmemLocationType place, int number, CUmemAccess_flags flags)
{
	CUmemAccessDesc access = {.location = {place, number}, .flags = flags};

	return cuMemPoolSetAccess(pool, &access, 1);
}

static void check_access(CUmemoryPool pool, CUmemLocationType place, CUmemAccess_flags wanted)
{
	CUmemLocation location = {.type = place};
	CUmemAccess_flags flags = 9;

	OK(cuMemPoolGetAccess(&flags, pool, &location));
	CHECK_EQ(flags, wanted);
}

static uint64_t value(CUmemoryPool pool, CUmemPool_attribute attribute)
{
	uint64_t got = 0;

	OK(cuMemPoolGetAttribute(pool, attribute, &got));
	return got;
}

/* --- which there are --- */

static void check_create(CUresult wanted, CUmemPoolProps properties)
{
	CUmemoryPool pool = NULL;

	GIVES(cuMemPoolCreate(&pool, &properties), wanted);
	if (wanted == CUDA_SUCCESS)
		OK(cuMemPoolDestroy(pool));
}

CONFORM(pools_there_are_and_are_not)
{
	const CUresult wrong = CUDA_ERROR_INVALID_VALUE;

	begin();
	check_create(CUDA_SUCCESS, (CUmemPoolProps){pinned, 0, {host, 7}});
	check_create(CUDA_SUCCESS, (CUmemPoolProps){pinned, 0, {host, 0}, .maxSize = BYTES});
	check_create(wrong, (CUmemPoolProps){pinned, 1, {host, 0}});
	check_create(wrong, (CUmemPoolProps){pinned, 0, {host, 0}, .reserved = {[3] = 1}});
	check_create(wrong, (CUmemPoolProps){pinned, 0, {node, 1000}});
	check_create(wrong, (CUmemPoolProps){pinned, 0, {node, -1}});
	/* By descriptor, and over a fabric. */
	check_create(CUDA_SUCCESS, (CUmemPoolProps){pinned, 1, {node, 0}});
	check_create(CUDA_SUCCESS, (CUmemPoolProps){pinned, 8, {node, 0}});
	check_create(wrong, (CUmemPoolProps){pinned, 0, {current, 0}});
	check_create(CUDA_SUCCESS, (CUmemPoolProps){managed, 0, {current, 0}});
	check_create(CUDA_SUCCESS, (CUmemPoolProps){managed, 0, {device, 0}});
	check_create(wrong, (CUmemPoolProps){managed, 0, {device, 1000}});
	check_create(wrong, (CUmemPoolProps){managed, 0, {node, 1000}});
	check_create(wrong, (CUmemPoolProps){managed, 1, {0, 0}});
	check_create(wrong, (CUmemPoolProps){managed, 0, {0, 0}, .maxSize = 64 * BYTES});
	check_create(wrong, (CUmemPoolProps){3, 0, {host, 0}});
}

CONFORM(no_device_has_no_access)
{
	CUmemLocation far = {.type = device, .id = 1000};
	CUmemAccess_flags flags = 9;
	CUmemoryPool pool;

	begin();
	OK(cuDeviceGetDefaultMemPool(&pool, 0));
	GIVES(cuMemPoolGetAccess(&flags, pool, &far), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemPoolGetAccess(&flags, pool_new(pinned, host), &far), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemPoolGetAccess(&flags, pool_new(managed, 0), &far), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemGetDefaultMemPool(&pool, &far, pinned), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemGetMemPool(&pool, &far, pinned), CUDA_ERROR_INVALID_VALUE);
}

CONFORM(the_current_node_is_no_place)
{
	CUmemLocation place = {.type = current};
	CUmemoryPool pool;

	begin();
	CUmemoryPool own = pool_new(managed, current);
	GIVES(cuMemGetDefaultMemPool(&pool, &place, pinned), CUDA_ERROR_NOT_SUPPORTED);
	GIVES(cuMemGetMemPool(&pool, &place, pinned), CUDA_ERROR_NOT_SUPPORTED);
	GIVES(cuMemGetDefaultMemPool(&pool, &place, managed), CUDA_ERROR_NOT_SUPPORTED);
	GIVES(cuMemSetMemPool(&place, managed, own), CUDA_ERROR_NOT_SUPPORTED);
	OK(cuMemPoolDestroy(own));
}

/* --- who may use it --- */

CONFORM(host_memory_is_the_hosts_and_who_is_let_in)
{
	begin();
	CUmemoryPool pool = pool_new(pinned, host);
	CUdeviceptr a = take(pool, BYTES);
	uint32_t *words = pointer(a);
	check_access(pool, host, all);
	check_access(pool, node, all);
	check_access(pool, device, none);
	GIVES(cuMemsetD32Async(a, 5, 4, stream), CUDA_ERROR_INVALID_VALUE);
	/* Nobody only reads, and the host does not leave. */
	GIVES(allow(pool, device, 0, reads), CUDA_ERROR_NOT_SUPPORTED);
	GIVES(allow(pool, host, 0, reads), CUDA_ERROR_NOT_SUPPORTED);
	GIVES(allow(pool, host, 0, none), CUDA_ERROR_NOT_SUPPORTED);
	GIVES(allow(pool, node, 0, none), CUDA_ERROR_NOT_SUPPORTED);
	OK(allow(pool, node, 9, all));
	GIVES(allow(pool, device, 0, 2), CUDA_ERROR_INVALID_VALUE);
	GIVES(allow(pool, device, 0, 7), CUDA_ERROR_INVALID_VALUE);
	GIVES(allow(pool, device, 1000, all), CUDA_ERROR_INVALID_DEVICE);
	GIVES(allow(pool, 0, 0, all), CUDA_ERROR_INVALID_VALUE);
	GIVES(allow(pool, current, 0, all), CUDA_ERROR_INVALID_VALUE);
	check_access(pool, device, none);
	/* What the device was given can be taken back, and given again. */
	for (uint32_t i = 6; i < 8; i++) {
		OK(allow(pool, device, 0, all));
		check_access(pool, device, all);
		OK(cuMemsetD32Async(a, i, 4, stream));
		OK(cuStreamSynchronize(stream));
		CHECK_EQ(words[3], i);
		OK(allow(pool, device, 0, none));
		check_access(pool, device, none);
		GIVES(cuMemsetD32Async(a, 9, 4, stream), CUDA_ERROR_INVALID_VALUE);
		CHECK_EQ(words[3], i);
	}
	OK(cuStreamSynchronize(stream));
	OK(cuMemFreeAsync(a, stream));
	OK(cuMemPoolDestroy(pool));
}

CONFORM(managed_memory_is_everybodys_whatever_is_allowed)
{
	begin();
	CUmemoryPool pool = pool_new(managed, 0);
	CUdeviceptr a = take(pool, BYTES);
	check_access(pool, device, none);
	check_access(pool, host, none);
	check_access(pool, node, none);
	GIVES(allow(pool, device, 0, reads), CUDA_ERROR_NOT_SUPPORTED);
	GIVES(allow(pool, host, 0, reads), CUDA_ERROR_NOT_SUPPORTED);
	OK(cuMemsetD32Async(a, 5, 4, stream));
	OK(allow(pool, device, 0, all));
	check_access(pool, device, all);
	check_access(pool, host, none);
	OK(allow(pool, node, 9, all));
	check_access(pool, host, all);
	OK(allow(pool, host, 0, none));
	check_access(pool, node, none);
	OK(allow(pool, device, 0, none));
	check_access(pool, device, none);
	OK(cuMemsetD32Async(a, 7, 3, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(((uint32_t *)pointer(a))[2], 7);
	CHECK_EQ(((uint32_t *)pointer(a))[3], 5);
	OK(cuMemFreeAsync(a, stream));
	OK(cuMemPoolDestroy(pool));
}

/* It is no device's then: only as what it is, and as neither. */
CONFORM(host_memory_is_copied_without_the_device)
{
	CUdeviceptr there;
	uint32_t *words;

	begin();
	CUmemoryPool pool = pool_new(pinned, node);
	CUdeviceptr a = take(pool, BYTES);
	uint32_t *here = pointer(a);
	OK(cuMemAlloc(&there, 64));
	OK(cuMemHostAlloc((void **)&words, 64, 0));
	words[0] = 41;
	here[0] = 42;
	GIVES(cuMemcpyHtoDAsync(a, words, 64, stream), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemcpyDtoHAsync(words, a, 64, stream), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemcpyDtoDAsync(there, a, 64, stream), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemcpyHtoDAsync(there, here, 64, stream));
	OK(cuMemcpyDtoHAsync(words, there, 64, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(words[0], 42);
	words[0] = 43;
	OK(cuMemcpyAsync(there, (CUdeviceptr)words, 64, stream));
	OK(cuMemcpyDtoHAsync(here, there, 64, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(here[0], 43);
	here[0] = 44;
	OK(cuMemcpyAsync(there, a, 64, stream));
	OK(cuMemcpyAsync(a, there, 64, stream));
	OK(cuMemcpyAsync((CUdeviceptr)words, a, 64, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(words[0], 44);
	OK(cuMemFreeAsync(a, stream));
	OK(cuMemPoolDestroy(pool));
}

/* --- what CUDA says of it --- */

static void check_flag(CUdeviceptr at, CUpointer_attribute attribute, unsigned wanted)
{
	unsigned got = 77;

	OK(cuPointerGetAttribute(&got, attribute, at));
	CHECK_EQ(got, wanted);
}

static uint64_t fact(CUdeviceptr at, CUpointer_attribute attribute)
{
	uint64_t got = 0;

	OK(cuPointerGetAttribute(&got, attribute, at));
	return got;
}

/* Of memory that was cut from something larger. */
static void check_mapping(CUdeviceptr at, size_t bytes)
{
	uint64_t base = fact(at, CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR),
		 size = fact(at, CU_POINTER_ATTRIBUTE_MAPPING_SIZE);

	CHECK(base <= at && at + bytes <= base + size);
	CHECK(fact(at, CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID) != 0);
}

CONFORM(host_memory_of_a_pool_as_pointers_know_it)
{
	CUdeviceptr base, same;
	unsigned flags;
	size_t size;

	begin();
	CUmemoryPool pool = pool_new(pinned, host);
	CUdeviceptr a = take(pool, BYTES);
	for (int round = 0; round < 2; round++) {
		CHECK_EQ(fact(a + 8, CU_POINTER_ATTRIBUTE_CONTEXT), 0);
		CHECK_EQ(fact(a + 8, CU_POINTER_ATTRIBUTE_HOST_POINTER), a + 8);
		CHECK_EQ(fact(a + 8, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE), (uint64_t)pool);
		CHECK_EQ(fact(a + 8, CU_POINTER_ATTRIBUTE_RANGE_SIZE), BYTES);
		check_flag(a + 8, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_MEMORYTYPE_HOST);
		check_flag(a + 8, CU_POINTER_ATTRIBUTE_MAPPED, 1);
		check_flag(a + 8, CU_POINTER_ATTRIBUTE_ACCESS_FLAGS,
		    CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
		check_mapping(a, BYTES);
		GIVES(cuMemHostGetDevicePointer(&same, pointer(a), 0), CUDA_ERROR_INVALID_VALUE);
		GIVES(cuMemHostRegister(pointer(a), 4096, 0), CUDA_ERROR_INVALID_VALUE);
		GIVES(cuMemFreeHost(pointer(a)), CUDA_ERROR_INVALID_VALUE);
		if (round == 0) {
			GIVES(cuMemHostGetFlags(&flags, pointer(a)), CUDA_ERROR_INVALID_VALUE);
			GIVES(cuMemGetAddressRange(&base, &size, a + 8), CUDA_ERROR_NOT_FOUND);
			GIVES(cuPointerGetAttribute(
				  &same, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, a + 8),
			    CUDA_ERROR_INVALID_VALUE);
			OK(allow(pool, device, 0, all));
		}
	}
	CHECK_EQ(fact(a + 8, CU_POINTER_ATTRIBUTE_DEVICE_POINTER), a + 8);
	OK(allow(pool, device, 0, none));
	GIVES(cuPointerGetAttribute(&same, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, a + 8),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFreeAsync(a, stream));
	OK(cuMemPoolDestroy(pool));
}

CONFORM(managed_memory_of_a_pool_as_pointers_know_it)
{
	CUdeviceptr base, same;
	unsigned flags;
	size_t size;

	begin();
	CUmemoryPool pool = pool_new(managed, device);
	CUdeviceptr a = take(pool, BYTES);
	CHECK_EQ(fact(a + 8, CU_POINTER_ATTRIBUTE_CONTEXT), 0);
	CHECK_EQ(fact(a + 8, CU_POINTER_ATTRIBUTE_DEVICE_POINTER), a + 8);
	CHECK_EQ(fact(a + 8, CU_POINTER_ATTRIBUTE_HOST_POINTER), a + 8);
	CHECK_EQ(fact(a + 8, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE), (uint64_t)pool);
	check_flag(a + 8, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_MEMORYTYPE_DEVICE);
	check_flag(
	    a + 8, CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
	check_mapping(a, BYTES);
	OK(cuMemGetAddressRange(&base, &size, a + 8));
	CHECK_EQ(base, a);
	CHECK_EQ(size, BYTES);
	GIVES(cuMemHostGetFlags(&flags, pointer(a)), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemHostGetDevicePointer(&same, pointer(a), 0), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFreeAsync(a, stream));
	OK(cuMemPoolDestroy(pool));
}

/* --- what is counted, and what is freed --- */

static void check_used(CUmemoryPool pool, uint64_t bytes)
{
	CHECK_EQ(value(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), bytes);
}

static void check_counts(CUmemoryPool pool)
{
	CUdeviceptr a = take(pool, BYTES), b = take(pool, 100), c = take(pool, 1);

	check_used(pool, BYTES + 100 + 1); /* as they were asked for */
	GIVES(cuMemFreeAsync(a + 256, stream), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFreeAsync(b, stream));
	OK(cuStreamSynchronize(stream));
	check_used(pool, BYTES + 1);
	OK(cuMemFreeAsync(a, stream));
	OK(cuMemFreeAsync(c, stream));
	OK(cuStreamSynchronize(stream));
	GIVES(cuMemFreeAsync(c, stream), CUDA_ERROR_INVALID_VALUE);
	check_used(pool, 0);
	CHECK_EQ(value(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), BYTES + 100 + 1);
	OK(cuMemAllocFromPoolAsync(&a, 0, pool, stream));
	CHECK_EQ(a, 0);
	OK(cuMemPoolDestroy(pool));
}

CONFORM(what_is_used_is_counted_in_bytes)
{
	begin();
	check_counts(pool_new(pinned, host));
	check_counts(pool_new(managed, 0));
}

/* Memory is reserved 32 MiB at a time, and a pool may give out what it has. */
CONFORM(the_largest_size_of_a_pool)
{
	CUmemPoolProps properties = {pinned, 0, {host, 0}, .maxSize = BYTES};
	CUmemoryPool pool;
	CUdeviceptr a;

	begin();
	OK(cuMemPoolCreate(&pool, &properties));
	OK(cuMemAllocFromPoolAsync(&a, BYTES, pool, stream));
	OK(cuMemAllocFromPoolAsync(&a, 4096, pool, stream));
	GIVES(cuMemAllocFromPoolAsync(&a, 40 * BYTES, pool, stream), CUDA_ERROR_OUT_OF_MEMORY);
	properties.maxSize = 64 * BYTES;
	OK(cuMemPoolCreate(&pool, &properties));
	OK(cuMemAllocFromPoolAsync(&a, 40 * BYTES, pool, stream));
	GIVES(cuMemAllocFromPoolAsync(&a, 40 * BYTES, pool, stream), CUDA_ERROR_OUT_OF_MEMORY);
	OK(cuMemAllocFromPoolAsync(&a, 20 * BYTES, pool, stream));
	check_used(pool, 60 * BYTES);
}

/* --- in graphs --- */

static void check_capture(CUmemoryPool pool, CUresult wanted)
{
	CUdeviceptr a = 0, b = take(pool, BYTES);
	CUgraph graph;
	size_t n = 7;

	OK(cuStreamSynchronize(stream));
	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	GIVES(cuMemAllocFromPoolAsync(&a, BYTES, pool, stream), wanted);
	CHECK_EQ(a, 0);
	GIVES(cuMemFreeAsync(b, stream), CUDA_ERROR_INVALID_VALUE);
	OK(cuStreamEndCapture(stream, &graph));
	OK(cuGraphGetNodes(graph, NULL, &n));
	CHECK_EQ(n, 0);
	OK(cuMemFreeAsync(b, stream));
	OK(cuMemPoolDestroy(pool));
}

CONFORM(captures_take_no_memory_of_these_pools)
{
	begin();
	check_capture(pool_new(pinned, host), CUDA_ERROR_NOT_SUPPORTED);
	check_capture(pool_new(managed, 0), CUDA_ERROR_INVALID_VALUE);
}

static CUresult add_node(CUgraph graph, CUmemAllocationType type, CUmemLocationType place)
{
	CUmemAccessDesc access = {.location = {device, 0}, .flags = all};
	CUDA_MEM_ALLOC_NODE_PARAMS parameters = {
	    .poolProps = {.allocType = type, .location = {.type = place}},
	    .accessDescs = &access,
	    .accessDescCount = place != device,
	    .bytesize = BYTES};
	CUgraphNode added;
	CUresult r = cuGraphAddMemAllocNode(&added, graph, NULL, 0, &parameters);

	CHECK_EQ(parameters.dptr != 0, r == CUDA_SUCCESS);
	return r;
}

CONFORM(graphs_allocate_memory_of_devices_alone)
{
	CUgraph graph;

	begin();
	OK(cuGraphCreate(&graph, 0));
	GIVES(add_node(graph, pinned, host), CUDA_ERROR_NOT_SUPPORTED);
	GIVES(add_node(graph, pinned, node), CUDA_ERROR_NOT_SUPPORTED);
	GIVES(add_node(graph, pinned, current), CUDA_ERROR_INVALID_VALUE);
	GIVES(add_node(graph, managed, 0), CUDA_ERROR_NOT_SUPPORTED);
	GIVES(add_node(graph, managed, host), CUDA_ERROR_NOT_SUPPORTED);
	OK(add_node(graph, managed, device));
	OK(add_node(graph, pinned, device));
}
