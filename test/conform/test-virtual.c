/* Virtual memory management: ranges, physical memory, mapping one onto the other, access. */
#include "conform.h"

enum { BLOCKS = 4 };

static CUmemAllocationProp properties = {
    .type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
static const CUmemAccessDesc access_all = {
    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
static size_t granule;

static void begin(void)
{
	int vmm = 0;
	CUdevice device = conform_begin();

	OK(cuDeviceGetAttribute(
	    &vmm, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, device));
	if (!vmm)
		SKIP("this device has no virtual memory management");
	OK(cuMemGetAllocationGranularity(&granule, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
	CHECK(granule > 0);
}

static CUmemGenericAllocationHandle create(size_t size)
{
	CUmemGenericAllocationHandle handle;

	OK(cuMemCreate(&handle, size, &properties, 0));
	return handle;
}

/* As a growing heap does: one range, memory put behind memory, work across all of it. */
CONFORM(mappings_side_by_side_are_one_memory)
{
	CUdeviceptr base;

	begin();
	size_t size = BLOCKS * granule;
	int n = (int)(size / 4);
	uint32_t *words = malloc(size);
	OK(cuMemAddressReserve(&base, 2 * size, 0, 0, 0));
	CHECK_EQ(base % granule, 0);
	for (size_t i = 0; i < BLOCKS; i++) {
		CUmemGenericAllocationHandle handle = create(granule);
		OK(cuMemMap(base + i * granule, granule, 0, handle, 0));
		OK(cuMemSetAccess(base + i * granule, granule, &access_all, 1));
		OK(cuMemRelease(handle)); /* the mapping keeps it */
	}
	for (int i = 0; i < n; i++)
		words[i] = (uint32_t)i;
	OK(cuMemcpyHtoD(base, words, size));
	OK(conform_launch(conform_kernel("increment"), 64, 256, 0, NULL, (void *[]){&base, &n}));
	memset(words, 0, size);
	OK(cuMemcpyDtoH(words, base, size));
	for (int i = 0; i < n; i++)
		CHECK_EQ(words[i], i + 1);
	OK(cuMemsetD32(base + granule - 64, 7, 32));
	OK(cuMemcpyDtoD(base + 2 * granule - 64, base + granule - 64, 128));
	OK(cuMemcpyDtoH(words, base + 2 * granule - 64, 128));
	for (int i = 0; i < 32; i++)
		CHECK_EQ(words[i], 7);
	/* Behind it there is nothing. */
	CHECK(cuMemcpyHtoD(base + size, words, 4) != CUDA_SUCCESS);
	OK(cuMemUnmap(base, size)); /* all at once */
	OK(cuMemAddressFree(base, 2 * size));
	free(words);
}

CONFORM(physical_memory_keeps_its_bytes)
{
	CUmemGenericAllocationHandle handle, twin;
	CUmemAllocationProp found = {0};
	unsigned long long flags = 0;
	CUdeviceptr first, second;
	uint32_t word = 0;

	begin();
	handle = create(granule);
	OK(cuMemAddressReserve(&first, granule, 0, 0, 0));
	OK(cuMemAddressReserve(&second, granule, 0, 0, 0));
	OK(cuMemMap(first, granule, 0, handle, 0));
	OK(cuMemSetAccess(first, granule, &access_all, 1));
	OK(cuMemGetAccess(&flags, &access_all.location, first));
	CHECK_EQ(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
	OK(cuMemsetD32(first, 41, granule / 4));
	/* Seen at two places. */
	OK(cuMemMap(second, granule, 0, handle, 0));
	OK(cuMemSetAccess(second, granule, &access_all, 1));
	OK(cuMemsetD32(second + 400, 42, 1));
	OK(cuMemcpyDtoH(&word, first + 400, 4));
	CHECK_EQ(word, 42);
	/* The handle, once more. */
	OK(cuMemRetainAllocationHandle(&twin, first + 100));
	CHECK_EQ(twin, handle);
	OK(cuMemGetAllocationPropertiesFromHandle(&found, twin));
	CHECK_EQ(found.type, CU_MEM_ALLOCATION_TYPE_PINNED);
	CHECK_EQ(found.location.type, CU_MEM_LOCATION_TYPE_DEVICE);
	CHECK_EQ(found.location.id, 0);
	OK(cuMemUnmap(first, granule));
	OK(cuMemUnmap(second, granule));
	OK(cuMemRelease(handle));
	/* One reference is left. */
	OK(cuMemMap(first, granule, 0, twin, 0));
	OK(cuMemSetAccess(first, granule, &access_all, 1));
	OK(cuMemcpyDtoH(&word, first + 400, 4));
	CHECK_EQ(word, 42);
	OK(cuMemcpyDtoH(&word, first + 404, 4));
	CHECK_EQ(word, 41);
	OK(cuMemUnmap(first, granule));
	OK(cuMemRelease(twin));
	OK(cuMemAddressFree(first, granule));
	OK(cuMemAddressFree(second, granule));
}

CONFORM(mapping_what_cannot_be)
{
	CUmemGenericAllocationHandle handle, other;
	CUmemAllocationProp wrong = properties;
	CUdeviceptr base, plain;

	begin();
	handle = create(granule);
	OK(cuMemAddressReserve(&base, 2 * granule, 0, 0, 0));
	CHECK(cuMemMap(base, 2 * granule, 0, handle, 0) != CUDA_SUCCESS); /* more than there is */
	CHECK(cuMemMap(base, granule / 2, 0, handle, 0) != CUDA_SUCCESS);
	OK(cuMemAlloc(&plain, granule));
	CHECK(cuMemMap(plain, granule, 0, handle, 0) != CUDA_SUCCESS); /* not reserved */
	CHECK(cuMemRetainAllocationHandle(&other, plain) != CUDA_SUCCESS);
	OK(cuMemMap(base, granule, 0, handle, 0));
	CHECK(cuMemMap(base, granule, 0, handle, 0) != CUDA_SUCCESS); /* mapped already */
	CHECK(cuMemFree(base) != CUDA_SUCCESS);
	OK(cuMemUnmap(base, granule));
	CHECK(cuMemCreate(&other, granule / 2, &properties, 0) != CUDA_SUCCESS);
	wrong.location.id = 1000;
	CHECK(cuMemCreate(&other, granule, &wrong, 0) != CUDA_SUCCESS);
	OK(cuMemRelease(handle));
	OK(cuMemAddressFree(base, 2 * granule));
	OK(cuMemFree(plain));
}

/* --- host memory --- */

static CUmemAllocationProp host_properties = {
    .type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {.type = CU_MEM_LOCATION_TYPE_HOST}};
static const CUmemAccessDesc access_both[] = {
    {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
	.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE},
    {.location = {.type = CU_MEM_LOCATION_TYPE_HOST}, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE},
};

static void begin_host(void)
{
	int supported = 0;

	begin();
	OK(cuDeviceGetAttribute(
	    &supported, CU_DEVICE_ATTRIBUTE_HOST_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 0));
	if (!supported)
		SKIP("this device's virtual memory management has no host memory");
	OK(cuMemGetAllocationGranularity(
	    &granule, &host_properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
}

static void check_words(const uint32_t *words, int n, uint32_t first, uint32_t step)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(words[i], first + (uint32_t)i * step);
}

/* Program and device use it in turn, under one address. */
CONFORM(host_memory_is_mapped_for_both)
{
	CUmemGenericAllocationHandle handle;
	CUdeviceptr base, device;
	CUstream stream;

	begin_host();
	int n = (int)(granule / 4);
	uint32_t *copy = malloc(granule);
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&device, granule));
	OK(cuMemCreate(&handle, granule, &host_properties, 0));
	OK(cuMemAddressReserve(&base, 2 * granule, 0, 0, 0));
	OK(cuMemMap(base, granule, 0, handle, 0));
	OK(cuMemSetAccess(base, granule, access_both, 2));
	uint32_t *words = (uint32_t *)base;
	CHECK_EQ(words[n - 1], 0);
	CUmemorytype type;
	CUdeviceptr same;
	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, base + 8));
	CHECK_EQ(type, CU_MEMORYTYPE_HOST);
	OK(cuPointerGetAttribute(&same, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, base + 8));
	CHECK_EQ(same, base + 8);
	OK(cuPointerGetAttribute(&same, CU_POINTER_ATTRIBUTE_HOST_POINTER, base + 8));
	CHECK_EQ(same, base + 8);
	for (int i = 0; i < n; i++)
		words[i] = (uint32_t)i;
	OK(conform_launch(conform_kernel("increment"), 64, 256, 0, stream, (void *[]){&base, &n}));
	OK(cuStreamSynchronize(stream));
	check_words(words, n, 1, 1);
	/* Either side of a copy, as memory of the host, of the device and as neither. */
	OK(cuMemcpyHtoD(device, words, granule));
	OK(cuMemcpyDtoH(copy, device, granule));
	check_words(copy, n, 1, 1);
	OK(cuMemcpyDtoH(copy, base, granule));
	check_words(copy, n, 1, 1);
	OK(cuMemsetD32Async(device, 7, (size_t)n, stream));
	OK(cuMemcpyDtoHAsync(words, device, granule, stream));
	OK(cuStreamSynchronize(stream));
	check_words(words, n, 7, 0);
	OK(cuMemsetD32(base, 8, (size_t)n));
	OK(cuCtxSynchronize());
	check_words(words, n, 8, 0);
	OK(cuMemcpy(device, base, granule));
	OK(cuMemcpyDtoH(copy, device, granule));
	check_words(copy, n, 8, 0);
	for (int i = 0; i < n; i++)
		copy[i] = (uint32_t)i;
	OK(cuMemcpyHtoD(base, copy, granule));
	OK(cuCtxSynchronize()); /* it may be on its way */
	check_words(words, n, 0, 1);
	OK(cuMemUnmap(base, granule));
	OK(cuMemRelease(handle));
	OK(cuMemAddressFree(base, 2 * granule));
	free(copy);
}

/* The memory is there as long as its handle or a mapping is. */
CONFORM(host_memory_keeps_its_bytes)
{
	CUmemGenericAllocationHandle handle, twin;
	CUmemAllocationProp found = {0};
	unsigned long long flags = 0;
	CUdeviceptr first, second;

	begin_host();
	OK(cuMemCreate(&handle, 2 * granule, &host_properties, 0));
	OK(cuMemAddressReserve(&first, 4 * granule, 0, 0, 0));
	second = first + 2 * granule;
	OK(cuMemMap(first, 2 * granule, 0, handle, 0));
	OK(cuMemSetAccess(first, 2 * granule, access_both, 2));
	OK(cuMemGetAccess(&flags, &access_both[0].location, first));
	CHECK_EQ(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
	*(uint32_t *)(first + granule) = 41;
	/* At two places. */
	OK(cuMemMap(second, 2 * granule, 0, handle, 0));
	OK(cuMemSetAccess(second, 2 * granule, access_both, 2));
	CHECK_EQ(*(uint32_t *)(second + granule), 41);
	OK(cuMemsetD32(second + granule, 42, 1));
	OK(cuCtxSynchronize());
	CHECK_EQ(*(uint32_t *)(first + granule), 42);
	OK(cuMemRetainAllocationHandle(&twin, first + 100));
	CHECK_EQ(twin, handle);
	OK(cuMemGetAllocationPropertiesFromHandle(&found, twin));
	CHECK_EQ(found.type, CU_MEM_ALLOCATION_TYPE_PINNED);
	CHECK(found.location.type != CU_MEM_LOCATION_TYPE_DEVICE);
	OK(cuMemRelease(handle));
	OK(cuMemUnmap(first, 4 * granule)); /* both at once */
	OK(cuMemMap(second, 2 * granule, 0, twin, 0));
	OK(cuMemRelease(twin)); /* the mapping keeps it */
	OK(cuMemSetAccess(second, 2 * granule, access_both, 2));
	CHECK_EQ(*(uint32_t *)(second + granule), 42);
	OK(cuMemUnmap(second, 2 * granule));
	OK(cuMemAddressFree(first, 4 * granule));
}

/* Beside memory of the device in one range, which is one memory to kernels. */
CONFORM(host_memory_lies_beside_memory_of_the_device)
{
	CUmemGenericAllocationHandle here, there;
	CUdeviceptr base;

	begin_host();
	int n = (int)(2 * granule / 4);
	uint32_t *copy = malloc(2 * granule);
	OK(cuMemCreate(&here, granule, &host_properties, 0));
	there = create(granule);
	OK(cuMemAddressReserve(&base, 2 * granule, 0, 0, 0));
	OK(cuMemMap(base, granule, 0, here, 0));
	OK(cuMemMap(base + granule, granule, 0, there, 0));
	OK(cuMemSetAccess(base, 2 * granule, &access_both[0], 1));
	OK(cuMemSetAccess(base, granule, &access_both[1], 1));
	for (int i = 0; i < n / 2; i++)
		((uint32_t *)base)[i] = (uint32_t)i;
	OK(cuMemsetD32(base + granule, 5, granule / 4));
	OK(conform_launch(conform_kernel("increment"), 64, 256, 0, NULL, (void *[]){&base, &n}));
	OK(cuMemcpyDtoH(copy, base + granule, granule));
	check_words(copy, n / 2, 6, 0);
	check_words((uint32_t *)base, n / 2, 1, 1);
	CHECK(cuMemMap(base, granule, 0, there, 0) != CUDA_SUCCESS); /* mapped already */
	CHECK(cuMemMap(base + granule, granule, 0, here, 0) != CUDA_SUCCESS);
	OK(cuMemUnmap(base, 2 * granule));
	/* Each in the other one's place. */
	OK(cuMemMap(base, granule, 0, there, 0));
	OK(cuMemMap(base + granule, granule, 0, here, 0));
	OK(cuMemSetAccess(base, 2 * granule, &access_both[0], 1));
	OK(cuMemcpyDtoH(copy, base, granule));
	check_words(copy, n / 2, 6, 0);
	OK(cuMemcpyDtoH(copy, base + granule, granule));
	check_words(copy, n / 2, 1, 1);
	OK(cuMemUnmap(base, granule));
	OK(cuMemUnmap(base + granule, granule));
	OK(cuMemRelease(here));
	OK(cuMemRelease(there));
	OK(cuMemAddressFree(base, 2 * granule));
	free(copy);
}

CONFORM(host_memory_that_cannot_be)
{
	CUmemGenericAllocationHandle handle, other;
	CUmemAllocationProp wrong = host_properties;
	CUdeviceptr base, plain;
	int fd;

	begin_host();
	OK(cuMemCreate(&handle, granule, &host_properties, 0));
	OK(cuMemAddressReserve(&base, 2 * granule, 0, 0, 0));
	OK(cuMemAlloc(&plain, granule));
	CHECK(cuMemMap(base, 2 * granule, 0, handle, 0) != CUDA_SUCCESS); /* more than there is */
	CHECK(cuMemMap(base, granule / 2, 0, handle, 0) != CUDA_SUCCESS);
	CHECK(cuMemMap(plain, granule, 0, handle, 0) != CUDA_SUCCESS); /* not reserved */
	CHECK(cuMemCreate(&other, granule / 2, &host_properties, 0) != CUDA_SUCCESS);
	wrong.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	GIVES(cuMemCreate(&other, granule, &wrong, 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(
	    cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuMemMap(base, granule, 0, handle, 0));
	CHECK(cuMemMap(base, granule, 0, handle, 0) != CUDA_SUCCESS); /* mapped already */
	CHECK(cuMemFreeHost((void *)base) != CUDA_SUCCESS);
	CHECK(cuMemFree(base) != CUDA_SUCCESS);
	OK(cuMemUnmap(base, granule));
	OK(cuMemRelease(handle));
	CHECK(cuMemRelease(handle) != CUDA_SUCCESS);
	OK(cuMemAddressFree(base, 2 * granule));
	OK(cuMemFree(plain));
}

/* --- who may use it --- */

static const CUmemAccessDesc no_access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};

/* Mapped at the second granule of four. */
static CUdeviceptr map_host(CUmemAllocationProp *where, CUmemGenericAllocationHandle *handle)
{
	CUdeviceptr base;

	OK(cuMemCreate(handle, granule, where, 0));
	OK(cuMemAddressReserve(&base, 4 * granule, 0, 0, 0));
	OK(cuMemMap(base + granule, granule, 0, *handle, 0));
	return base + granule;
}

static void unmap_host(CUdeviceptr at, CUmemGenericAllocationHandle handle)
{
	OK(cuMemUnmap(at, granule));
	OK(cuMemRelease(handle));
	OK(cuMemAddressFree(at - granule, 4 * granule));
}

static void check_pointer(CUpointer_attribute attribute, CUdeviceptr at, bool there)
{
	CUdeviceptr got = 0;

	GIVES(cuPointerGetAttribute(&got, attribute, at + 8),
	    there ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
	if (there)
		CHECK_EQ(got, at + 8);
}

static void check_pointers(CUdeviceptr at, bool device, bool host)
{
	CUmemorytype type;

	check_pointer(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, at, device);
	check_pointer(CU_POINTER_ATTRIBUTE_HOST_POINTER, at, host);
	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, at + 8));
	CHECK_EQ(type, CU_MEMORYTYPE_HOST);
}

CONFORM(host_memory_has_pointers_for_those_who_may_use_it)
{
	CUmemGenericAllocationHandle handle;
	CUdeviceptr start = 0;
	size_t size = 0;

	begin_host();
	CUdeviceptr at = map_host(&host_properties, &handle);
	check_pointers(at, false, false);
	OK(cuMemSetAccess(at, granule, &access_both[1], 1));
	check_pointers(at, false, true);
	OK(cuMemSetAccess(at, granule, &access_both[0], 1));
	check_pointers(at, true, true);
	/* They are part of what was reserved. */
	OK(cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, at + 8));
	CHECK_EQ(start, at - granule);
	OK(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, at + 8));
	CHECK_EQ(size, 4 * granule);
	OK(cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR, at + 8));
	CHECK_EQ(start, at);
	OK(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_MAPPING_SIZE, at + 8));
	CHECK_EQ(size, granule);
	unmap_host(at, handle);
}

CONFORM(host_memory_of_the_host_alone_is_copied)
{
	CUmemGenericAllocationHandle handle;
	CUdeviceptr device;
	uint32_t *pinned;

	begin_host();
	OK(cuMemAlloc(&device, 64));
	OK(cuMemHostAlloc((void **)&pinned, 64, 0));
	CUdeviceptr at = map_host(&host_properties, &handle);
	uint32_t *words = (uint32_t *)at; /* NOLINT(performance-no-int-to-ptr) */
	OK(cuMemSetAccess(at, granule, &access_both[1], 1));
	for (uint32_t i = 0; i < 16; i++)
		pinned[i] = i + 1;
	OK(cuMemcpyHtoD(at, pinned, 64));
	OK(cuCtxSynchronize());
	CHECK_BYTES(words, pinned, 64);
	words[3] = 99;
	OK(cuMemcpyHtoD(device, words, 64));
	OK(cuMemcpyDtoH(pinned, device, 64));
	CHECK_EQ(pinned[3], 99);
	CHECK_EQ(pinned[15], 16);
	GIVES(cuMemsetD32(at, 1, 4), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(words[0], 1);
	/* Once the device may use it, and as long as it may. */
	OK(cuMemSetAccess(at, granule, &access_both[0], 1));
	OK(cuMemsetD32(at, 7, 4));
	OK(cuCtxSynchronize());
	CHECK_EQ(words[0], 7);
	CHECK_EQ(words[4], 5);
	OK(cuMemSetAccess(at, granule, &no_access, 1));
	GIVES(cuMemsetD32(at, 1, 4), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemSetAccess(at, granule, &access_both[0], 1));
	OK(cuMemsetD32(at, 8, 4));
	OK(cuCtxSynchronize());
	CHECK_EQ(words[0], 8);
	unmap_host(at, handle);
}

/* Where it is, how it was pinned: told to those whose device may use it. */
static void check_what_is_said(CUdeviceptr at, CUDA_POINTER_ATTRIBUTE_ACCESS_FLAGS flags)
{
	CUdeviceptr base, same;
	unsigned found = 9, access = 9;
	size_t size;

	OK(cuPointerGetAttribute(&access, CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, at + 8));
	CHECK_EQ(access, flags);
	bool device = flags != CU_POINTER_ATTRIBUTE_ACCESS_FLAG_NONE;
	CUresult wanted = device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	GIVES(cuMemHostGetDevicePointer(&same, (void *)at, 0), wanted);
	GIVES(cuMemHostGetFlags(&found, (void *)at), wanted);
	CHECK_EQ(found, device ? CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP : 9);
	GIVES(cuMemGetAddressRange(&base, &size, at + 8),
	    device ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND);
	if (device) {
		CHECK_EQ(same, at);
		CHECK_EQ(size, granule);
	}
}

/* access NULL: nobody's. */
static void check_mapped(const CUmemAccessDesc *access, CUDA_POINTER_ATTRIBUTE_ACCESS_FLAGS flags)
{
	CUmemGenericAllocationHandle handle;
	uint64_t block = 0;

	CUdeviceptr at = map_host(&host_properties, &handle);
	if (access)
		OK(cuMemSetAccess(at, granule, access, 1));
	OK(cuPointerGetAttribute(&block, CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID, at + 8));
	CHECK(block != 0);
	check_what_is_said(at, flags);
	unmap_host(at, handle);
}

CONFORM(what_is_said_of_host_memory_depends_on_the_device)
{
	CUmemAccessDesc reads = access_both[0];

	begin_host();
	reads.flags = CU_MEM_ACCESS_FLAGS_PROT_READ;
	check_mapped(NULL, CU_POINTER_ATTRIBUTE_ACCESS_FLAG_NONE);
	check_mapped(&access_both[1], CU_POINTER_ATTRIBUTE_ACCESS_FLAG_NONE);
	check_mapped(&reads, CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READ);
	check_mapped(&access_both[0], CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
}

CONFORM(host_memory_of_the_host_alone_is_copied_in_stream_order)
{
	CUmemGenericAllocationHandle handle;
	CUdeviceptr device;
	CUstream stream;
	uint32_t *heap;

	begin_host();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&device, 64));
	heap = calloc(1, 64);
	CUdeviceptr at = map_host(&host_properties, &handle);
	uint32_t *words = (uint32_t *)at; /* NOLINT(performance-no-int-to-ptr) */
	OK(cuMemSetAccess(at, granule, &access_both[1], 1));
	GIVES(cuMemsetD32Async(at, 1, 4, stream), CUDA_ERROR_INVALID_VALUE);
	heap[0] = 5;
	OK(cuMemcpyHtoDAsync(at, heap, 64, stream));
	OK(cuMemcpyDtoDAsync(device, at, 64, stream));
	OK(cuMemsetD32Async(device + 4, 6, 1, stream));
	OK(cuMemcpyDtoDAsync(at, device, 64, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(words[0], 5);
	CHECK_EQ(words[1], 6);
	words[0] = 7;
	OK(cuMemcpyHtoDAsync(device, words, 64, stream));
	OK(cuMemsetD32Async(device + 4, 8, 1, stream));
	OK(cuMemcpyDtoHAsync(words, device, 64, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(words[0], 7);
	CHECK_EQ(words[1], 8);
	CUDA_MEMCPY2D rows = {.srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = words,
	    .srcPitch = 8,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = device + 32,
	    .dstPitch = 8,
	    .WidthInBytes = 4,
	    .Height = 1};
	OK(cuMemcpy2D(&rows));
	rows.srcMemoryType = CU_MEMORYTYPE_DEVICE;
	rows.srcDevice = at;
	OK(cuMemcpy2D(&rows));
	OK(cuMemcpyDtoH(heap, device + 32, 4));
	CHECK_EQ(heap[0], 7);
	unmap_host(at, handle);
	free(heap);
}

static void check_nodes_that_are_not(CUmemAllocationProp wanted)
{
	CUmemGenericAllocationHandle handle;
	size_t same = 0;

	wanted.location.id = 1000;
	OK(cuMemGetAllocationGranularity(&same, &wanted, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
	CHECK_EQ(same, granule);
	GIVES(cuMemCreate(&handle, granule, &wanted, 0), CUDA_ERROR_INVALID_VALUE);
	wanted.location.id = -1;
	GIVES(cuMemCreate(&handle, granule, &wanted, 0), CUDA_ERROR_INVALID_VALUE);
}

/* Memory of one node of the host. */
CONFORM(host_memory_lies_on_a_node)
{
	CUmemAllocationProp node = host_properties, found = {0};
	CUmemGenericAllocationHandle handle;
	unsigned long long flags = 9;
	int supported = 0;

	begin_host();
	OK(cuDeviceGetAttribute(
	    &supported, CU_DEVICE_ATTRIBUTE_HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 0));
	if (!supported)
		SKIP("no memory of one node of the host");
	node.location.type = CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;
	GIVES(cuMemCreate(&handle, granule, &node, 0), CUDA_ERROR_INVALID_VALUE);
	node.location.type = CU_MEM_LOCATION_TYPE_HOST_NUMA;
	check_nodes_that_are_not(node);
	CUdeviceptr at = map_host(&node, &handle);
	CUmemAccessDesc access = {.location = node.location, .flags = access_both[0].flags};
	OK(cuMemSetAccess(at, granule, &access, 1));
	OK(cuMemSetAccess(at, granule, &access_both[0], 1));
	OK(cuMemGetAccess(&flags, &node.location, at));
	CHECK_EQ(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
	OK(cuMemsetD32(at, 5, granule / 4));
	OK(cuCtxSynchronize());
	check_words(
	    (uint32_t *)at, (int)(granule / 4), 5, 0); /* NOLINT(performance-no-int-to-ptr) */
	OK(cuMemGetAllocationPropertiesFromHandle(&found, handle));
	CHECK_EQ(found.location.type, CU_MEM_LOCATION_TYPE_HOST_NUMA);
	CHECK_EQ(found.location.id, 0);
	unmap_host(at, handle);
	/* The host as such is a node, too. */
	at = map_host(&host_properties, &handle);
	OK(cuMemGetAllocationPropertiesFromHandle(&found, handle));
	CHECK_EQ(found.location.type, CU_MEM_LOCATION_TYPE_HOST_NUMA);
	unmap_host(at, handle);
}
