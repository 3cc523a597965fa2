/*
 * What processes share: memory and events by CUDA's handles, and memory by descriptors that travel
 * over a socket. Every test is two programs: one forks before it initialises CUDA, and the two
 * speak over a socket pair. The parent owns what is shared.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform.h"

enum { N = 1 << 20, BYTES = 4 * N };

struct other {
	pid_t pid;
	int socket;
};

/* Becomes the parent, with a child that runs peer() and ends. */
static struct other start(void (*peer)(int socket))
{
	struct other other;
	int pair[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	other.pid = fork();
	CHECK(other.pid >= 0);
	if (!other.pid) {
		close(pair[0]);
		peer(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	other.socket = pair[0];
	return other;
}

static void finish(const struct other *other)
{
	int status;

	CHECK_EQ(waitpid(other->pid, &status, 0), other->pid);
	CHECK_EQ(status, 0);
	close(other->socket);
}

/* Ends the other and skips the test. */
static void skip(const struct other *other, const char *reason)
{
	kill(other->pid, SIGKILL);
	SKIP(reason);
}

/* By which other can open the memory. */
static CUipcMemHandle handle_for(const struct other *other, CUdeviceptr address)
{
	CUipcMemHandle handle;
	CUresult r = cuIpcGetMemHandle(&handle, address);

	if (r == CUDA_ERROR_NOT_SUPPORTED)
		skip(other, "this device has no inter-process handles");
	OK(r);
	return handle;
}

/* A message with, or without (-1), a descriptor. */
static void tell(int socket, const void *bytes, size_t size, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec piece = {(void *)bytes, size};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

	if (fd >= 0) {
		message.msg_control = control.room;
		message.msg_controllen = sizeof(control.room);
		control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
		    .cmsg_level = SOL_SOCKET,
		    .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	CHECK_EQ(sendmsg(socket, &message, MSG_NOSIGNAL), size);
}

static int hear(int socket, void *bytes, size_t size)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec piece = {bytes, size};
	struct msghdr message = {.msg_iov = &piece,
	    .msg_iovlen = 1,
	    .msg_control = control.room,
	    .msg_controllen = sizeof(control.room)};
	int fd = -1;

	CHECK_EQ(recvmsg(socket, &message, MSG_CMSG_CLOEXEC), size);
	if (message.msg_controllen)
		memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

/* "It is your turn." */
static void signal_other(int socket)
{
	tell(socket, "!", 1, -1);
}

static void await_other(int socket)
{
	char byte;

	hear(socket, &byte, 1);
}

static void check_words(CUdeviceptr address, int n, uint32_t first)
{
	uint32_t *words = malloc(4 * (size_t)n);

	OK(cuMemcpyDtoH(words, address, 4 * (size_t)n));
	for (int i = 0; i < n; i++)
		CHECK_EQ(words[i], first + (uint32_t)i);
	free(words);
}

static void write_words(CUdeviceptr address, int n, uint32_t first)
{
	uint32_t *words = malloc(4 * (size_t)n);

	for (int i = 0; i < n; i++)
		words[i] = first + (uint32_t)i;
	OK(cuMemcpyHtoD(address, words, 4 * (size_t)n));
	/* From ordinary memory it returns when it has read it; another process is not behind it. */
	OK(cuCtxSynchronize());
	free(words);
}

static void increment(CUdeviceptr words, int n, CUstream stream)
{
	OK(conform_launch(conform_kernel("increment"), 32, 256, 0, stream, (void *[]){&words, &n}));
}

/* --- memory --- */

static void change_memory(int socket)
{
	CUipcMemHandle handle;
	CUdeviceptr address, again, base;
	unsigned type = 0;
	size_t size;

	conform_begin();
	hear(socket, &handle, sizeof(handle));
	OK(cuIpcOpenMemHandle(&address, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	check_words(address, N, 5);
	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address + 4));
	CHECK_EQ(type, CU_MEMORYTYPE_DEVICE);
	OK(cuMemGetAddressRange(&base, &size, address + 4));
	CHECK_EQ(base, address);
	CHECK_EQ(size, BYTES);
	increment(address, N, NULL);
	OK(cuCtxSynchronize());
	/* Opened twice it is one mapping, to be closed twice. */
	OK(cuIpcOpenMemHandle(&again, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	CHECK_EQ(again, address);
	OK(cuIpcCloseMemHandle(address));
	check_words(address, N, 6);
	signal_other(socket);
	await_other(socket); /* the owner has changed it too */
	check_words(address, N, 100);
	OK(cuIpcCloseMemHandle(address));
	CHECK(cuIpcCloseMemHandle(address) != CUDA_SUCCESS);
	/* And opened anew. */
	OK(cuIpcOpenMemHandle(&address, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	check_words(address, N, 100);
	OK(cuMemsetD32(address, 7, N));
	OK(cuCtxSynchronize());
	signal_other(socket);
}

CONFORM(memory_is_shared_by_handle)
{
	struct other other = start(change_memory);
	CUipcMemHandle handle, same;
	CUdeviceptr address;
	uint32_t word;

	conform_begin();
	OK(cuMemAlloc(&address, BYTES));
	write_words(address, N, 5);
	handle = handle_for(&other, address);
	OK(cuIpcGetMemHandle(&same, address));
	CHECK_BYTES(&same, &handle, sizeof(handle));
	tell(other.socket, &handle, sizeof(handle), -1);
	await_other(other.socket);
	check_words(address, N, 6);
	write_words(address, N, 100);
	signal_other(other.socket);
	await_other(other.socket);
	finish(&other);
	for (int i = 0; i < N; i += N / 16) {
		OK(cuMemcpyDtoH(&word, address + 4 * (size_t)i, 4));
		CHECK_EQ(word, 7);
	}
	OK(cuMemFree(address));
}

/* Small allocations, which lie together, and not at the beginning of anything. */
static void change_small_memory(int socket)
{
	CUipcMemHandle handles[20];
	CUdeviceptr addresses[20];

	conform_begin();
	hear(socket, handles, sizeof(handles));
	for (int i = 0; i < 20; i++) {
		OK(cuIpcOpenMemHandle(
		    &addresses[i], handles[i], CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
		check_words(addresses[i], 25, 1000u * (unsigned)i);
		write_words(addresses[i], 25, 7 + 1000u * (unsigned)i);
	}
	for (int i = 0; i < 20; i += 2)
		OK(cuIpcCloseMemHandle(addresses[i]));
	for (int i = 1; i < 20; i += 2)
		check_words(addresses[i], 25, 7 + 1000u * (unsigned)i);
}

CONFORM(small_memories_are_shared_each)
{
	struct other other = start(change_small_memory);
	CUipcMemHandle handles[20];
	CUdeviceptr addresses[20], filler;

	conform_begin();
	for (int i = 0; i < 20; i++) {
		OK(cuMemAlloc(&filler, 300));
		OK(cuMemAlloc(&addresses[i], 100));
		write_words(addresses[i], 25, 1000u * (unsigned)i);
		handles[i] = handle_for(&other, addresses[i]);
	}
	tell(other.socket, handles, sizeof(handles), -1);
	finish(&other);
	for (int i = 0; i < 20; i++)
		check_words(addresses[i], 25, 7 + 1000u * (unsigned)i);
}

static void be_refused(int socket)
{
	CUipcMemHandle handle, wrong;
	CUdeviceptr address;

	conform_begin();
	hear(socket, &handle, sizeof(handle));
	memset(&wrong, 0, sizeof(wrong));
	CHECK(cuIpcOpenMemHandle(&address, wrong, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) !=
	      CUDA_SUCCESS);
	OK(cuIpcOpenMemHandle(&address, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	signal_other(socket);
	await_other(socket);
}

CONFORM(wrong_handles_are_refused)
{
	struct other other = start(be_refused);
	CUipcMemHandle handle, none;
	CUdeviceptr address, pinned_address;
	void *pinned;

	conform_begin();
	OK(cuMemAlloc(&address, BYTES));
	handle = handle_for(&other, address);
	OK(cuMemAllocHost(&pinned, 4096));
	CHECK(cuIpcGetMemHandle(&none, (CUdeviceptr)pinned) != CUDA_SUCCESS);
	CHECK(cuIpcGetMemHandle(&none, 4096) != CUDA_SUCCESS);
	/* Not in the process that made it. */
	CHECK(cuIpcOpenMemHandle(&pinned_address, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) !=
	      CUDA_SUCCESS);
	CHECK(cuIpcCloseMemHandle(address) != CUDA_SUCCESS);
	tell(other.socket, &handle, sizeof(handle), -1);
	await_other(other.socket);
	signal_other(other.socket);
	finish(&other);
	write_words(address, N, 3);
	check_words(address, N, 3);
}

/* The child dies with the memory open. */
static void die_with_it(int socket)
{
	CUipcMemHandle handle;
	CUdeviceptr address;

	conform_begin();
	hear(socket, &handle, sizeof(handle));
	OK(cuIpcOpenMemHandle(&address, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	increment(address, N, NULL);
	OK(cuCtxSynchronize());
	signal_other(socket);
	pause();
}

CONFORM(opener_may_die)
{
	struct other other = start(die_with_it);
	CUipcMemHandle handle;
	CUdeviceptr address;
	int status;

	conform_begin();
	OK(cuMemAlloc(&address, BYTES));
	write_words(address, N, 41);
	handle = handle_for(&other, address);
	tell(other.socket, &handle, sizeof(handle), -1);
	await_other(other.socket);
	kill(other.pid, SIGKILL);
	CHECK_EQ(waitpid(other.pid, &status, 0), other.pid);
	close(other.socket);
	check_words(address, N, 42);
	increment(address, N, NULL);
	check_words(address, N, 43);
	OK(cuMemFree(address));
}

/* --- events --- */

struct event_message {
	CUipcEventHandle event;
	CUipcMemHandle memory;
};

/* Waits for the owner's work through its event, adds its own, and answers by the same event. */
static void follow_event(int socket)
{
	struct event_message message;
	CUdeviceptr address;
	CUstream stream;
	CUevent event;

	conform_begin();
	hear(socket, &message, sizeof(message));
	OK(cuIpcOpenMemHandle(&address, message.memory, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	OK(cuIpcOpenEventHandle(&event, message.event));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuEventSynchronize(event));
	check_words(address, N, 30);
	for (int round = 0; round < 20; round++) {
		OK(cuStreamWaitEvent(stream, event, 0));
		increment(address, N, stream);
		OK(cuEventRecord(event, stream));
		signal_other(socket);
		await_other(socket);
	}
	OK(cuStreamSynchronize(stream));
	OK(cuEventDestroy(event));
}

CONFORM(events_order_work_of_two_processes)
{
	struct other other = start(follow_event);
	struct event_message message;
	CUdeviceptr address;
	CUstream stream;
	CUevent event;

	conform_begin();
	CUresult r = cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		skip(&other, "this device has no inter-process events");
	OK(r);
	OK(cuIpcGetEventHandle(&message.event, event));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&address, BYTES));
	OK(cuIpcGetMemHandle(&message.memory, address));
	write_words(address, N, 0);
	for (int i = 0; i < 30; i++)
		increment(address, N, stream);
	OK(cuEventRecord(event, stream));
	tell(other.socket, &message, sizeof(message), -1);
	for (int round = 0; round < 20; round++) {
		await_other(other.socket);
		OK(cuStreamWaitEvent(stream, event, 0));
		for (int i = 0; i < 10; i++)
			increment(address, N, stream);
		OK(cuEventRecord(event, stream));
		signal_other(other.socket);
	}
	finish(&other);
	OK(cuStreamSynchronize(stream));
	check_words(address, N, 30 + 20 * 11);
	OK(cuEventDestroy(event));
	OK(cuMemFree(address));
}

CONFORM(event_that_is_not_shared_has_no_handle)
{
	CUipcEventHandle handle = {0};
	CUevent event;

	conform_begin();
	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	CHECK(cuIpcGetEventHandle(&handle, event) != CUDA_SUCCESS);
	CHECK(cuIpcOpenEventHandle(&event, handle) != CUDA_SUCCESS);
}

/* --- descriptors --- */

static CUmemAllocationProp shareable(void)
{
	return (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
	    .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
	    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
}

static CUdeviceptr map_allocation(CUmemGenericAllocationHandle handle, size_t size)
{
	CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
	    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
	CUdeviceptr address;

	OK(cuMemAddressReserve(&address, size, 0, 0, 0));
	OK(cuMemMap(address, size, 0, handle, 0));
	OK(cuMemSetAccess(address, size, &access, 1));
	return address;
}

static bool has_vmm(CUdevice device)
{
	int vmm = 0, fds = 0;

	OK(cuDeviceGetAttribute(
	    &vmm, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, device));
	OK(cuDeviceGetAttribute(
	    &fds, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, device));
	return vmm && fds;
}

static void import_allocation(int socket)
{
	CUmemGenericAllocationHandle handle;
	size_t size;

	conform_begin();
	int fd = hear(socket, &size, sizeof(size));
	CHECK(fd >= 0);
	OK(cuMemImportFromShareableHandle(
	    &handle, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
	close(fd);
	CUdeviceptr address = map_allocation(handle, size);
	OK(cuMemRelease(handle));
	check_words(address, N, 77);
	increment(address, N, NULL);
	OK(cuCtxSynchronize());
	signal_other(socket);
	await_other(socket); /* the owner has given everything up */
	check_words(address, N, 78);
	OK(cuMemUnmap(address, size));
	OK(cuMemAddressFree(address, size));
}

CONFORM(allocation_is_shared_by_descriptor)
{
	struct other other = start(import_allocation);
	CUmemAllocationProp properties = shareable();
	CUmemGenericAllocationHandle handle, twin;
	size_t granule, size;
	int fd = -1;

	if (!has_vmm(conform_begin()))
		skip(&other, "this device has no allocations that can be shared");
	OK(cuMemGetAllocationGranularity(&granule, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
	size = (BYTES + granule - 1) / granule * granule;
	OK(cuMemCreate(&handle, size, &properties, 0));
	CUdeviceptr address = map_allocation(handle, size);
	write_words(address, N, 77);
	OK(cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
	CHECK(fd >= 0);
	/* In this process too. */
	OK(cuMemImportFromShareableHandle(
	    &twin, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
	OK(cuMemRelease(twin));
	tell(other.socket, &size, sizeof(size), fd);
	close(fd);
	await_other(other.socket);
	check_words(address, N, 78);
	OK(cuMemUnmap(address, size));
	OK(cuMemRelease(handle));
	OK(cuMemAddressFree(address, size));
	signal_other(other.socket);
	finish(&other);
}

CONFORM(descriptor_that_is_no_memory_is_refused)
{
	CUmemGenericAllocationHandle handle;
	CUmemAllocationProp properties = shareable();
	size_t granule;
	int pair[2], fd = -1;

	if (!has_vmm(conform_begin()))
		SKIP("this device has no allocations that can be shared");
	CHECK_EQ(pipe(pair), 0);
	CHECK(cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)pair[0],
		  CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != CUDA_SUCCESS);
	CHECK(cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)-1,
		  CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != CUDA_SUCCESS);
	/* Only what was made to be shared is. */
	properties.requestedHandleTypes = CU_MEM_HANDLE_TYPE_NONE;
	OK(cuMemGetAllocationGranularity(&granule, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
	OK(cuMemCreate(&handle, granule, &properties, 0));
	CHECK(cuMemExportToShareableHandle(
		  &fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0) != CUDA_SUCCESS);
	OK(cuMemRelease(handle));
}

static void import_pool(int socket)
{
	CUmemPoolPtrExportData data;
	CUmemoryPool pool;
	CUdeviceptr address;

	CUdevice device = conform_begin();
	CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device},
	    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
	int fd = hear(socket, &data, sizeof(data));
	CHECK(fd >= 0);
	OK(cuMemPoolImportFromShareableHandle(
	    &pool, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
	close(fd);
	OK(cuMemPoolSetAccess(pool, &access, 1));
	OK(cuMemPoolImportPointer(&address, pool, &data));
	check_words(address, N, 9);
	increment(address, N, NULL);
	OK(cuCtxSynchronize());
	OK(cuMemFreeAsync(address, NULL));
	OK(cuCtxSynchronize());
	OK(cuMemPoolDestroy(pool));
}

CONFORM(pool_is_shared_by_descriptor)
{
	struct other other = start(import_pool);
	CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
	    .handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
	    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
	CUmemPoolPtrExportData data;
	int types = 0, fd = -1;
	CUdeviceptr address;
	CUmemoryPool pool;

	CUdevice device = conform_begin();
	OK(cuDeviceGetAttribute(
	    &types, CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES, device));
	if (!(types & CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR))
		skip(&other, "this device has no pools that can be shared");
	OK(cuMemPoolCreate(&pool, &properties));
	OK(cuMemAllocFromPoolAsync(&address, BYTES, pool, NULL));
	OK(cuCtxSynchronize());
	write_words(address, N, 9);
	OK(cuMemPoolExportToShareableHandle(
	    &fd, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
	OK(cuMemPoolExportPointer(&data, address));
	tell(other.socket, &data, sizeof(data), fd);
	close(fd);
	finish(&other);
	check_words(address, N, 10);
	OK(cuMemFreeAsync(address, NULL));
	OK(cuCtxSynchronize());
	OK(cuMemPoolDestroy(pool));
}

/* Memory that is imported as another interface's. The device may take descriptors of its own kind
 * (of allocations) or of address ranges. */
static int export_any(
    CUdevice device, CUdeviceptr *address, size_t *size, CUexternalMemoryHandleType *type)
{
	CUmemAllocationProp properties = shareable();
	CUmemGenericAllocationHandle handle;
	size_t granule;
	int fd = -1;

	if (has_vmm(device)) {
		OK(cuMemGetAllocationGranularity(
		    &granule, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
		*size = (BYTES + granule - 1) / granule * granule;
		*type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
		OK(cuMemCreate(&handle, *size, &properties, 0));
		*address = map_allocation(handle, *size);
		OK(cuMemExportToShareableHandle(
		    &fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
		return fd;
	}
	*size = BYTES;
	*type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
	OK(cuMemAlloc(address, BYTES));
	OK(cuMemGetHandleForAddressRange(
	    &fd, *address, BYTES, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0));
	return fd;
}

CONFORM(external_memory_is_imported)
{
	CUDA_EXTERNAL_MEMORY_HANDLE_DESC descriptor = {0};
	CUDA_EXTERNAL_MEMORY_BUFFER_DESC buffer = {0};
	CUexternalMemory memory;
	CUdeviceptr address, mapped;
	CUdevice device = conform_begin();

	descriptor.handle.fd =
	    export_any(device, &address, (size_t *)&descriptor.size, &descriptor.type);
	buffer.size = descriptor.size;
	write_words(address, N, 12);
	CUresult r = cuImportExternalMemory(&memory, &descriptor);
	if (r != CUDA_SUCCESS)
		SKIP("this device imports nothing that it exports itself");
	r = cuExternalMemoryGetMappedBuffer(&mapped, memory, &buffer);
	if (r != CUDA_SUCCESS)
		SKIP("this device maps no buffer of what it exports itself");
	check_words(mapped, N, 12);
	increment(mapped, N, NULL);
	OK(cuCtxSynchronize());
	check_words(address, N, 13);
	OK(cuMemFree(mapped));
	OK(cuDestroyExternalMemory(memory));
	check_words(address, N, 13);
}

CONFORM(external_objects_of_no_use_are_refused)
{
	CUDA_EXTERNAL_MEMORY_HANDLE_DESC memory = {
	    .type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD, .size = 4096};
	CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC semaphore = {
	    .type = CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD};
	CUexternalMemory m;
	CUexternalSemaphore s;

	conform_begin();
	int file = open("/dev/null", O_WRONLY);
	CHECK(file >= 0);
	memory.handle.fd = semaphore.handle.fd = file;
	CHECK(cuImportExternalMemory(&m, &memory) != CUDA_SUCCESS);
	CHECK(cuImportExternalSemaphore(&s, &semaphore) != CUDA_SUCCESS);
	memory.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_D3D12_HEAP;
	semaphore.type = CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_D3D12_FENCE;
	CHECK(cuImportExternalMemory(&m, &memory) != CUDA_SUCCESS);
	CHECK(cuImportExternalSemaphore(&s, &semaphore) != CUDA_SUCCESS);
}

/* Multicast: all of it where the device has it, a clear refusal where not. */
CONFORM(multicast_is_what_the_device_says)
{
	CUmulticastObjectProp properties = {.numDevices = 2, .size = 2 << 20};
	CUmemGenericAllocationHandle multicast;
	size_t granule = 0;
	int supported = 0;

	CUdevice device = conform_begin();
	OK(cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED, device));
	CUresult r =
	    cuMulticastGetGranularity(&granule, &properties, CU_MULTICAST_GRANULARITY_RECOMMENDED);
	if (!supported) {
		CHECK(r != CUDA_SUCCESS);
		CHECK(cuMulticastCreate(&multicast, &properties) != CUDA_SUCCESS);
		return;
	}
	OK(r);
	CHECK(granule > 0);
}
