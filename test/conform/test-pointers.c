/* What cuPointerGetAttribute and its plural say of memory of every kind. */
#include <sys/mman.h>

#include "conform.h"

enum { SIZE = 3 << 20, INSIDE = 12345 };

struct facts {
	CUmemorytype type;
	CUdeviceptr device;
	void *host;
	int ordinal;
	unsigned managed, mapped, legacy_ipc;
	unsigned long long id;
	CUdeviceptr start;
	size_t size;
};

/* All at once; what is not known stays zero. */
static struct facts facts_of(CUdeviceptr address)
{
	static const CUpointer_attribute attributes[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
	    CU_POINTER_ATTRIBUTE_DEVICE_POINTER, CU_POINTER_ATTRIBUTE_HOST_POINTER,
	    CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, CU_POINTER_ATTRIBUTE_IS_MANAGED,
	    CU_POINTER_ATTRIBUTE_MAPPED, CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE,
	    CU_POINTER_ATTRIBUTE_BUFFER_ID, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
	    CU_POINTER_ATTRIBUTE_RANGE_SIZE};
	struct facts f = {0};
	void *values[] = {&f.type, &f.device, &f.host, &f.ordinal, &f.managed, &f.mapped,
	    &f.legacy_ipc, &f.id, &f.start, &f.size};

	OK(cuPointerGetAttributes(
	    ARRAY_SIZE(attributes), (CUpointer_attribute *)attributes, values, address));
	return f;
}

static void check_range(const struct facts *f, CUdeviceptr start, size_t size)
{
	CHECK_EQ(f->start, start);
	CHECK_EQ(f->size, size);
	CHECK_EQ(f->ordinal, 0);
	CHECK(f->id);
}

static void check_unknown(CUdeviceptr address)
{
	struct facts f = facts_of(address);
	uint64_t word;

	CHECK_EQ(f.type, 0);
	CHECK_EQ(f.device, 0);
	/* A driver that lets kernels use all of the program's memory takes any address for such. */
	CHECK(!f.host || (CUdeviceptr)f.host == address);
	GIVES(cuPointerGetAttribute(&word, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuPointerGetAttribute(&word, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, address),
	    CUDA_ERROR_INVALID_VALUE);
}

static void check_device_memory(CUdeviceptr address, size_t size)
{
	struct facts f = facts_of(address + INSIDE);

	check_range(&f, address, size);
	CHECK_EQ(f.type, CU_MEMORYTYPE_DEVICE);
	CHECK_EQ(f.device, address + INSIDE);
	CHECK(!f.host);
	CHECK_EQ(f.managed, 0);
}

CONFORM(device_memory)
{
	CUdeviceptr a, b;
	uint64_t word;

	conform_begin();
	OK(cuMemAlloc(&a, SIZE));
	OK(cuMemAlloc(&b, SIZE));
	check_device_memory(a, SIZE);
	CHECK_EQ(facts_of(a).legacy_ipc, 1);
	CHECK(facts_of(a).id != facts_of(b).id);
	CHECK_EQ(facts_of(a).id, facts_of(a + SIZE - 1).id);
	GIVES(cuPointerGetAttribute(&word, CU_POINTER_ATTRIBUTE_HOST_POINTER, a),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFree(a));
	check_unknown(a);
	check_device_memory(b, SIZE);
}

CONFORM(pitched_memory)
{
	CUdeviceptr a;
	size_t pitch;

	conform_begin();
	OK(cuMemAllocPitch(&a, &pitch, 100, 1000, 4));
	struct facts f = facts_of(a + INSIDE);
	CHECK_EQ(f.type, CU_MEMORYTYPE_DEVICE);
	CHECK_EQ(f.start, a);
	CHECK(f.size >= pitch * 1000);
	OK(cuMemFree(a));
}

static void check_pinned(void *host, CUdeviceptr at, size_t size)
{
	struct facts f = facts_of(at + INSIDE);

	check_range(&f, at, size);
	CHECK_EQ(f.type, CU_MEMORYTYPE_HOST);
	CHECK(f.host == (uint8_t *)host + INSIDE);
	CHECK_EQ(f.device, at + INSIDE); /* one address for both */
	CHECK_EQ(f.managed, 0);
}

CONFORM(pinned_memory)
{
	static const unsigned flags[] = {0, CU_MEMHOSTALLOC_PORTABLE, CU_MEMHOSTALLOC_DEVICEMAP,
	    CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP};
	void *host;

	conform_begin();
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		OK(cuMemHostAlloc(&host, SIZE, flags[i]));
		check_pinned(host, (CUdeviceptr)host, SIZE);
		OK(cuMemFreeHost(host));
		check_unknown((CUdeviceptr)host);
	}
	OK(cuMemAllocHost(&host, SIZE));
	check_pinned(host, (CUdeviceptr)host, SIZE);
	OK(cuMemFreeHost(host));
}

CONFORM(registered_memory)
{
	conform_begin();
	uint8_t *all =
	    mmap(NULL, SIZE + 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t *part = all + 4321;
	CHECK(all != MAP_FAILED);
	check_unknown((CUdeviceptr)part);
	OK(cuMemHostRegister(part, SIZE, 0));
	struct facts f = facts_of((CUdeviceptr)part + INSIDE);
	check_range(&f, (CUdeviceptr)part, SIZE);
	CHECK_EQ(f.type, CU_MEMORYTYPE_HOST);
	CHECK(f.host == part + INSIDE);
	CHECK(f.device);
	check_unknown((CUdeviceptr)part - 1);
	OK(cuMemHostUnregister(part));
	check_unknown((CUdeviceptr)part);
	munmap(all, SIZE + 8192);
}

CONFORM(managed_memory)
{
	CUdeviceptr a;

	conform_begin();
	OK(cuMemAllocManaged(&a, SIZE, CU_MEM_ATTACH_GLOBAL));
	struct facts f = facts_of(a + INSIDE);
	CHECK_EQ(f.start, a);
	CHECK_EQ(f.size, SIZE);
	CHECK_EQ(f.managed, 1);
	CHECK_EQ(f.device, a + INSIDE);
	CHECK((CUdeviceptr)f.host == a + INSIDE);
	OK(cuMemFree(a));
	check_unknown(a);
}

CONFORM(memory_of_a_pool)
{
	CUdeviceptr a;
	CUmemoryPool pool, got = NULL;
	CUstream stream;

	CUdevice device = conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	CUresult r = cuMemAllocAsync(&a, SIZE, stream);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no stream-ordered memory");
	OK(r);
	OK(cuStreamSynchronize(stream));
	check_device_memory(a, SIZE);
	CHECK_EQ(facts_of(a).legacy_ipc, 0);
	OK(cuDeviceGetMemPool(&pool, device));
	OK(cuPointerGetAttribute(&got, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, a));
	CHECK(got == pool);
	OK(cuMemFreeAsync(a, stream));
	OK(cuStreamSynchronize(stream));
}

CONFORM(mapped_physical_memory)
{
	CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
	    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
	    .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR};
	CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
	    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
	CUmemGenericAllocationHandle handle;
	CUdeviceptr a;
	size_t granule;
	int able = 0;

	CUdevice device = conform_begin();
	OK(cuDeviceGetAttribute(
	    &able, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, device));
	if (!able)
		SKIP("this device has no virtual memory management");
	OK(cuMemGetAllocationGranularity(&granule, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
	CUresult r = cuMemCreate(&handle, granule, &properties, 0);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no physical memory with descriptors");
	OK(r);
	OK(cuMemAddressReserve(&a, 2 * granule, 0, 0, 0));
	OK(cuMemMap(a, granule, 0, handle, 0));
	OK(cuMemSetAccess(a, granule, &access, 1));
	struct facts f = facts_of(a + INSIDE);
	CHECK_EQ(f.type, CU_MEMORYTYPE_DEVICE);
	CHECK_EQ(f.device, a + INSIDE);
	CHECK_EQ(f.mapped, 1);
	CHECK_EQ(f.legacy_ipc, 0);
	CHECK_EQ(f.managed, 0);
	OK(cuMemUnmap(a, granule));
	OK(cuMemAddressFree(a, 2 * granule));
	OK(cuMemRelease(handle));
	check_unknown(a);
}

CONFORM(memory_of_a_module)
{
	CUmodule module;
	CUdeviceptr a;
	size_t size;

	conform_begin();
	OK(cuModuleLoadData(&module, conform_ptx));
	OK(cuModuleGetGlobal(&a, &size, module, "counter"));
	struct facts f = facts_of(a);
	CHECK_EQ(f.type, CU_MEMORYTYPE_DEVICE);
	CHECK_EQ(f.device, a);
	CHECK_EQ(f.managed, 0);
}

CONFORM(ordinary_memory)
{
	static int variable;
	int local;
	void *heap = malloc(100);

	conform_begin();
	check_unknown((CUdeviceptr)&variable);
	check_unknown((CUdeviceptr)&local);
	check_unknown((CUdeviceptr)heap);
	check_unknown(0);
	check_unknown(0x1234);
	free(heap);
}

CONFORM(synchronous_operations_can_be_asked_for)
{
	CUdeviceptr a;
	unsigned on = 1, got = 7;

	conform_begin();
	OK(cuMemAlloc(&a, SIZE));
	OK(cuPointerGetAttribute(&got, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, a));
	CHECK_EQ(got, 0);
	OK(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, a));
	OK(cuPointerGetAttribute(&got, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, a));
	CHECK_EQ(got, 1);
	GIVES(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, a),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFree(a));
}
