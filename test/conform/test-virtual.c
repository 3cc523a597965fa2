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
