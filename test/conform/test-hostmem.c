/* Host memory the device reaches: managed and registered memory, their attributes, advice. */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* --- registered memory --- */

/* Memory whose registered part starts and ends inside pages; what lies around must stay. */
struct block {
	uint8_t *all, *part;
	size_t size;
};

static struct block block_new(size_t size)
{
	struct block b = {.all = conform_random(size + 10000, 77), .size = size};

	b.part = b.all + 1234;
	return b;
}

static void block_check_surroundings(const struct block *b)
{
	uint8_t *fresh = conform_random(b->size + 10000, 77);

	CHECK_BYTES(b->all, fresh, 1234);
	CHECK_BYTES(b->part + b->size, fresh + 1234 + b->size, 10000 - 1234);
	free(fresh);
}

CONFORM(registered_memory_takes_part_in_copies)
{
	struct block b = block_new(1 << 20);
	uint8_t *before = malloc(b.size), *out = calloc(1, b.size);
	CUdeviceptr device;
	CUstream stream;

	conform_begin();
	memcpy(before, b.part, b.size);
	OK(cuMemAlloc(&device, b.size));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemHostRegister(b.part, b.size, 0));
	CHECK_BYTES(b.part, before, b.size);
	OK(cuMemcpyHtoDAsync(device, b.part, b.size, stream));
	OK(cuStreamSynchronize(stream));
	OK(cuMemcpyDtoH(out, device, b.size));
	CHECK_BYTES(out, before, b.size);
	/* From the middle to the middle. */
	OK(cuMemsetD8(device, 0x11, b.size));
	OK(cuCtxSynchronize()); /* the stream does not wait for it */
	OK(cuMemcpyDtoHAsync(b.part + 5000, device, 9999, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_BYTES(b.part, before, 5000);
	for (int i = 0; i < 9999; i++)
		CHECK_EQ(b.part[5000 + i], 0x11);
	CHECK_BYTES(b.part + 14999, before + 14999, b.size - 14999);
	OK(cuMemcpy((CUdeviceptr)b.part, device, b.size));
	for (size_t i = 0; i < b.size; i++)
		CHECK_EQ(b.part[i], 0x11);
	CUDA_MEMCPY2D box = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
	    .srcDevice = device,
	    .srcPitch = 100,
	    .dstMemoryType = CU_MEMORYTYPE_HOST,
	    .dstHost = b.part,
	    .dstPitch = 200,
	    .WidthInBytes = 100,
	    .Height = 50};
	OK(cuMemsetD8(device, 0x22, b.size));
	OK(cuMemcpy2D(&box));
	for (int i = 0; i < 200 * 50; i++)
		CHECK_EQ(b.part[i], i % 200 < 100 ? 0x22 : 0x11);
	OK(cuMemHostUnregister(b.part));
	CHECK_EQ(b.part[0], 0x22);
	CHECK_EQ(b.part[b.size - 1], 0x11);
	block_check_surroundings(&b);
	/* Ordinary memory again. */
	OK(cuMemcpyDtoH(b.part, device, b.size));
	CHECK_EQ(b.part[150], 0x22);
	free(b.all);
	OK(cuMemFree(device));
}

CONFORM(registered_memory_is_seen_by_kernels)
{
	struct block b = block_new(BYTES);
	CUdeviceptr words;

	b.part = (uint8_t *)(((uintptr_t)b.part + 63) / 64 * 64); /* aligned, not to a page */
	conform_begin();
	for (int i = 0; i < N; i++)
		((uint32_t *)b.part)[i] = (uint32_t)i;
	OK(cuMemHostRegister(b.part, b.size, CU_MEMHOSTREGISTER_DEVICEMAP));
	CUresult r = cuMemHostGetDevicePointer(&words, b.part, 0);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("this device does not map memory that is private to the program");
	OK(r);
	increment(words, N, NULL);
	OK(cuCtxSynchronize());
	for (int i = 0; i < N; i++)
		CHECK_EQ(((uint32_t *)b.part)[i], i + 1);
	((uint32_t *)b.part)[3] = 1000;
	increment(words, 4, NULL);
	OK(cuCtxSynchronize());
	CHECK_EQ(((uint32_t *)b.part)[3], 1001);
	CHECK_EQ(((uint32_t *)b.part)[4], 5);
	/* Whichever of its addresses it is asked by. */
	CHECK_EQ(
	    pointer_word(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, (CUdeviceptr)b.part + 8), words + 8);
	CHECK_EQ(pointer_word(CU_POINTER_ATTRIBUTE_HOST_POINTER, words + 8), (uint64_t)b.part + 8);
	OK(cuMemHostUnregister(b.part));
	CHECK_EQ(((uint32_t *)b.part)[3], 1001);
	free(b.all);
}

CONFORM(registered_memory_is_known_as_such)
{
	struct block b = block_new(50000);
	CUdeviceptr address = (CUdeviceptr)b.part;
	uint64_t word;
	unsigned flags = 0;

	conform_begin();
	GIVES(cuPointerGetAttribute(&word, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuMemHostRegister(b.part, b.size, CU_MEMHOSTREGISTER_PORTABLE));
	CHECK_EQ(pointer_int(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address + 9), CU_MEMORYTYPE_HOST);
	CHECK_EQ(pointer_int(CU_POINTER_ATTRIBUTE_IS_MANAGED, address), 0);
	CHECK_EQ(pointer_word(CU_POINTER_ATTRIBUTE_HOST_POINTER, address + 9), address + 9);
	CHECK_EQ(pointer_word(CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, address + 9), address);
	CHECK_EQ(pointer_word(CU_POINTER_ATTRIBUTE_RANGE_SIZE, address), b.size);
	OK(cuMemHostGetFlags(&flags, b.part));
	CHECK_EQ(flags, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
	/* The pages' other bytes are not registered. */
	GIVES(cuPointerGetAttribute(&word, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address - 1),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuPointerGetAttribute(&word, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address + b.size),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuMemHostUnregister(b.part));
	GIVES(cuPointerGetAttribute(&word, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address),
	    CUDA_ERROR_INVALID_VALUE);
	free(b.all);
}

CONFORM(registering_what_cannot_be)
{
	struct block b = block_new(50000);
	CUdeviceptr device, managed;
	void *pinned;

	conform_begin();
	GIVES(cuMemHostRegister(NULL, 4096, 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemHostRegister(b.part, 0, 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemHostRegister(b.part, b.size, 0x80), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemHostRegister(b.part, b.size, 0));
	GIVES(cuMemHostRegister(b.part, b.size, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	GIVES(cuMemHostRegister(b.part + 100, 10, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	GIVES(cuMemHostRegister(b.part - 100, 101, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	GIVES(
	    cuMemHostRegister(b.all, b.size + 10000, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	GIVES(cuMemHostUnregister(b.part + 1), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemHostUnregister(b.part + b.size), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
	GIVES(cuMemFreeHost(b.part), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemHostUnregister(b.part));
	GIVES(cuMemHostUnregister(b.part), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
	OK(cuMemAllocHost(&pinned, 10000));
	OK(cuMemAlloc(&device, 10000));
	OK(cuMemAllocManaged(&managed, 10000, CU_MEM_ATTACH_GLOBAL));
	GIVES(cuMemHostRegister(pinned, 100, 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemHostRegister((void *)device, 100, 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemHostRegister((void *)managed, 100, 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemHostUnregister(pinned), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFreeHost(pinned));
	OK(cuMemFree(device));
	OK(cuMemFree(managed));
	free(b.all);
}

/* Neighbours share a page; each is registered, used and unregistered on its own. */
CONFORM(registrations_that_share_pages)
{
	enum { PARTS = 12, PART = 1500 };
	uint8_t *all = conform_random(PARTS * PART, 5), *same = conform_random(PARTS * PART, 5);
	uint8_t *out = calloc(1, PART);
	CUdeviceptr device;

	conform_begin();
	OK(cuMemAlloc(&device, PART));
	for (int i = 0; i < PARTS; i++)
		OK(cuMemHostRegister(all + i * PART, PART, 0));
	for (int i = 0; i < PARTS; i++) {
		OK(cuMemcpyHtoD(device, all + i * PART, PART));
		OK(cuMemcpyDtoH(out, device, PART));
		CHECK_BYTES(out, same + i * PART, PART);
	}
	for (int i = 0; i < PARTS; i += 2)
		OK(cuMemHostUnregister(all + i * PART));
	for (int i = 0; i < PARTS; i++) {
		OK(cuMemsetD8(device, (unsigned char)i, PART));
		OK(cuMemcpyDtoH(all + i * PART, device, PART));
	}
	for (int i = 1; i < PARTS; i += 2)
		OK(cuMemHostUnregister(all + i * PART));
	for (int i = 0; i < PARTS * PART; i++)
		CHECK_EQ(all[i], i / PART);
	OK(cuMemFree(device));
}

/* Files, shared memory, the stack, memory that is read only. */
CONFORM(registering_memory_of_every_kind)
{
	uint8_t local[100], out[100];
	uint8_t *shared =
	    mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static uint8_t variable[100] = {1};
	uint8_t *kinds[] = {local, shared + 100, variable};
	CUdeviceptr device;

	conform_begin();
	OK(cuMemAlloc(&device, 100));
	for (int i = 0; i < 3; i++) {
		conform_fill(kinds[i], 100, (uint64_t)i);
		OK(cuMemHostRegister(kinds[i], 100, 0));
		OK(cuMemcpyHtoDAsync(device, kinds[i], 100, NULL));
		OK(cuMemcpyDtoH(out, device, 100));
		CHECK_BYTES(out, kinds[i], 100);
		OK(cuMemsetD8(device, 9, 100));
		OK(cuMemcpyDtoHAsync(kinds[i], device, 100, NULL));
		OK(cuStreamSynchronize(NULL));
		for (int k = 0; k < 100; k++)
			CHECK_EQ(kinds[i][k], 9);
		OK(cuMemHostUnregister(kinds[i]));
	}
	OK(cuMemFree(device));
}

/* Registers the middle of a file that another mapping, as another process has it, shows too. */
static void share_through_file(int fd)
{
	enum { AT = 4 * 4096, ALL = BYTES + 8 * 4096 };
	CUdeviceptr words;

	CHECK(fd >= 0 && ftruncate(fd, ALL) == 0);
	uint8_t *mine = mmap(NULL, ALL, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint32_t *other = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, AT);
	CHECK(mine != MAP_FAILED && other != MAP_FAILED);
	for (int i = 0; i < N; i++)
		other[i] = (uint32_t)i;
	OK(cuMemHostRegister(mine + AT, BYTES, CU_MEMHOSTREGISTER_DEVICEMAP));
	CUresult r = cuMemHostGetDevicePointer(&words, mine + AT, 0);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("this device does not map the program's memory");
	OK(r);
	increment(words, N, NULL);
	OK(cuCtxSynchronize());
	for (int i = 0; i < N; i++)
		CHECK_EQ(other[i], i + 1);
	other[7] = 700;
	increment(words, 8, NULL);
	OK(cuMemcpyDtoHAsync(mine + AT, words + 4, 4, NULL));
	OK(cuStreamSynchronize(NULL));
	CHECK_EQ(other[7], 701);
	CHECK_EQ(other[0], 3);
	OK(cuMemHostUnregister(mine + AT));
	CHECK_EQ(other[7], 701);
	munmap(mine, ALL);
	munmap(other, BYTES);
	close(fd);
}

CONFORM(registered_memory_of_a_file_stays_shared)
{
	char name[] = "/dev/shm/conform-XXXXXX";

	conform_begin();
	share_through_file(memfd_create("conform", 0));
	int fd = mkstemp(name);
	share_through_file(fd);
	unlink(name);
}

CONFORM(registering_again_and_again)
{
	struct block b = block_new(3 << 20);
	uint8_t *before = malloc(b.size);

	conform_begin();
	memcpy(before, b.part, b.size);
	for (int i = 0; i < 20; i++) {
		OK(cuMemHostRegister(b.part, b.size, 0));
		CHECK_EQ(b.part[i], before[i]);
		OK(cuMemHostUnregister(b.part));
	}
	CHECK_BYTES(b.part, before, b.size);
	block_check_surroundings(&b);
	free(b.all);
	free(before);
}

CONFORM(a_child_has_memory_of_its_own)
{
	struct block b = block_new(100000);
	CUdeviceptr device;
	int status;

	conform_begin();
	OK(cuMemAlloc(&device, b.size));
	memset(b.part, 1, b.size);
	OK(cuMemHostRegister(b.part, b.size, 0));
	pid_t child = fork();
	if (child == 0) {
		bool right = b.part[0] == 1 && b.part[b.size - 1] == 1;
		memset(b.all, 2, b.size + 10000);
		_exit(right ? 0 : 1);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	for (size_t i = 0; i < b.size; i++)
		CHECK_EQ(b.part[i], 1);
	block_check_surroundings(&b);
	OK(cuMemsetD8(device, 3, b.size));
	OK(cuMemcpyDtoH(b.part, device, b.size));
	CHECK_EQ(b.part[b.size - 1], 3);
	OK(cuMemHostUnregister(b.part));
	free(b.all);
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

/* --- batches --- */

CONFORM(batches_of_copies)
{
	enum { COPIES = 20 };
	CUmemcpyAttributes how[2] = {{.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM},
	    {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL}};
	CUdeviceptr to[COPIES], from[COPIES], device;
	size_t sizes[COPIES], indices[2] = {0, 7};
	uint8_t *in = conform_random(COPIES * 1000, 9), *out = calloc(1, COPIES * 1000);
	CUstream stream;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&device, COPIES * 1000));
	for (int i = 0; i < COPIES; i++) {
		to[i] = device + 1000 * (unsigned)i;
		from[i] = (CUdeviceptr)in + 1000 * (unsigned)i;
		sizes[i] = 500 + 20 * (unsigned)i;
	}
	OK(cuMemsetD8Async(device, 0, COPIES * 1000, stream));
	OK(cuMemcpyBatchAsync_v2(to, from, sizes, COPIES, how, indices, 2, stream));
	OK(cuMemcpyDtoHAsync(out, device, COPIES * 1000, stream));
	OK(cuStreamSynchronize(stream));
	for (size_t i = 0; i < COPIES; i++)
		for (size_t k = 0; k < 1000; k++)
			CHECK_EQ(out[1000 * i + k], k < sizes[i] ? in[1000 * i + k] : 0);
	GIVES(cuMemcpyBatchAsync_v2(to, from, sizes, 0, how, indices, 1, stream),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemcpyBatchAsync_v2(to, from, sizes, COPIES, how, indices, 0, stream),
	    CUDA_ERROR_INVALID_VALUE);
	indices[0] = 1;
	GIVES(cuMemcpyBatchAsync_v2(to, from, sizes, COPIES, how, indices, 1, stream),
	    CUDA_ERROR_INVALID_VALUE);
	indices[0] = 0;
	how[0].srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_INVALID;
	GIVES(cuMemcpyBatchAsync_v2(to, from, sizes, COPIES, how, indices, 1, stream),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFree(device));
}

CONFORM(batches_of_boxes)
{
	enum { W = 24, H = 5, D = 3, ROW = 40, ROWS = 8 };
	uint8_t *in = conform_random(W * H * D, 10), out[W * H * D];
	CUdeviceptr device;
	CUstream stream;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&device, ROW * ROWS * D));
	CUDA_MEMCPY3D_BATCH_OP op = {
	    .src = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = (CUdeviceptr)in}},
	    .dst = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER,
		.op.ptr = {.ptr = device, .rowLength = ROW, .layerHeight = ROWS}},
	    .extent = {W, H, D},
	    .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	OK(cuMemcpy3DBatchAsync_v2(1, &op, 0, stream));
	CUDA_MEMCPY3D down = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
	    .srcDevice = device,
	    .srcPitch = ROW,
	    .srcHeight = ROWS,
	    .dstMemoryType = CU_MEMORYTYPE_HOST,
	    .dstHost = out,
	    .dstPitch = W,
	    .dstHeight = H,
	    .WidthInBytes = W,
	    .Height = H,
	    .Depth = D};
	OK(cuStreamSynchronize(stream));
	OK(cuMemcpy3D(&down));
	CHECK_BYTES(out, in, W * H * D);
	GIVES(cuMemcpy3DBatchAsync_v2(0, &op, 0, stream), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFree(device));
}
