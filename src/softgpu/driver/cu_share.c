/*
 * Memory shared with other processes: CUDA's inter-process handles, and descriptors.
 *
 * An allocation is private until it is first shared; then its bytes move into a file in memory at
 * the same address, which other processes map at addresses of their own. A handle says where that
 * file can be had: process, descriptor, and inode, since a descriptor's number may be used again.
 * Who may look at another process's descriptors is the kernel's decision.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "softgpu/driver/driver.h"
#include "softgpu/driver/memory.h"
#include "softgpu/driver/stream.h"

#define HANDLE_MAGIC  0x636970757067666f /* "ofgpupic" */
#define POINTER_MAGIC 0x6c6f6f707067666f /* "ofgppool" */

struct ipc_handle {
	uint64_t magic, pid, fd, inode, size;
	uint64_t pool; /* of a pointer: the inode of its pool's file */
	uint64_t zero[2];
};
_Static_assert(sizeof(struct ipc_handle) == sizeof(CUipcMemHandle), "it travels as one");
_Static_assert(sizeof(struct ipc_handle) == sizeof(CUmemPoolPtrExportData), "and as one of these");

/* Memory of another process: opened twice it is mapped once. */
struct opened {
	struct opened *next;
	uint64_t inode, address, id; /* id: of the arena's range, which may go with its context */
	unsigned users;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct opened *all_opened;

/* The descriptor of an allocation's memory, the caller's. */
static CUresult share(uint64_t address, int *fd)
{
	sg_engine_pause();
	int r = sg_arena_share(address, fd);
	sg_engine_unlock();
	return r == -ENOENT ? CUDA_ERROR_INVALID_VALUE : sg_memory_result(r);
}

/* --- handles --- */

/* Says where the memory of the range can be had, which it is from now on. */
static CUresult describe(struct sg_range range, struct ipc_handle *out)
{
	struct stat status;
	_cleanup_fd_ int fd = -1;
	CUresult r = share(range.address, &fd);

	/* The arena's own descriptor lasts as long as the allocation. */
	if (r == CUDA_SUCCESS && (!sg_arena_find(range.address, &range) || fstat(fd, &status) < 0))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	out->pid = (uint64_t)getpid();
	out->fd = (uint64_t)range.fd;
	out->inode = status.st_ino;
	out->size = range.size;
	return CUDA_SUCCESS;
}

CUresult cuIpcGetMemHandle(CUipcMemHandle *out, CUdeviceptr address)
{
	struct ipc_handle handle = {.magic = HANDLE_MAGIC};
	struct sg_context *context;
	struct sg_range range;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS &&
	    (!out || !sg_arena_find(address, &range) || range.kind != SG_RANGE_DEVICE))
		r = CUDA_ERROR_INVALID_VALUE;
	r = r ?: describe(range, &handle);
	if (r == CUDA_SUCCESS)
		memcpy(out, &handle, sizeof(handle));
	return r;
}

/* The handle's file, -1: it is not there any more. */
static int open_file(const struct ipc_handle *handle)
{
	char path[64];
	struct stat status;

	snprintf(path, sizeof(path), "/proc/%llu/fd/%llu", (unsigned long long)handle->pid,
	    (unsigned long long)handle->fd);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &status) < 0 || status.st_ino != handle->inode))
		fd = fd_close(fd);
	return fd;
}

/* The one with that inode, or else that address; those whose mapping is gone are dropped. Under the
 * lock. */
static struct opened **find_opened(uint64_t inode, uint64_t address)
{
	struct sg_range range;
	struct opened *o;

	for (struct opened **at = &all_opened; (o = *at);) {
		if (!sg_arena_find(o->address, &range) || range.id != o->id) {
			*at = o->next;
			free(o);
		} else if (inode ? o->inode == inode : o->address == address) {
			return at;
		} else {
			at = &o->next;
		}
	}
	return NULL;
}

static CUresult open_new(
    const struct sg_context *context, const struct ipc_handle *handle, struct opened **out)
{
	struct sg_range range = {
	    .size = handle->size, .kind = SG_RANGE_IPC, .context_id = context->id};
	_cleanup_fd_ int fd = open_file(handle);

	if (fd < 0)
		return CUDA_ERROR_INVALID_HANDLE;
	struct opened *o = malloc(sizeof(*o));
	if (!o)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (sg_arena_map(&range, fd, 0) < 0) {
		free(o);
		return CUDA_ERROR_MAP_FAILED;
	}
	*o = (struct opened){all_opened, handle->inode, range.address, range.id, 0};
	all_opened = o;
	*out = o;
	return CUDA_SUCCESS;
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle bytes, unsigned flags)
{
	struct sg_context *context;
	struct ipc_handle handle;
	CUresult r = sg_enter_context(&context);

	memcpy(&handle, &bytes, sizeof(handle));
	if (r == CUDA_SUCCESS &&
	    (!address || flags & ~(unsigned)CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS ||
		handle.magic != HANDLE_MAGIC))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && handle.pid == (uint64_t)getpid())
		r = CUDA_ERROR_INVALID_CONTEXT;
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&lock);
	struct opened **at = find_opened(handle.inode, 0), *o = at ? *at : NULL;
	if (!o)
		r = open_new(context, &handle, &o);
	if (r == CUDA_SUCCESS) {
		o->users++;
		*address = o->address;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult cuIpcOpenMemHandle(CUdeviceptr *address, CUipcMemHandle handle, unsigned flags)
{
	return cuIpcOpenMemHandle_v2(address, handle, flags);
}

CUresult cuIpcCloseMemHandle(CUdeviceptr address)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	sg_engine_wait();
	pthread_mutex_lock(&lock);
	struct opened **at = find_opened(0, address), *o = at ? *at : NULL;
	if (!o)
		r = CUDA_ERROR_INVALID_VALUE;
	if (o && --o->users == 0) {
		*at = o->next;
		sg_arena_free(o->address);
		free(o);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

/* --- pools: a file stands for each; what is known of a pointer says which file it is in --- */

CUresult cuMemPoolExportToShareableHandle(
    void *out, CUmemoryPool handle, CUmemAllocationHandleType type, unsigned long long flags)
{
	const struct sg_pool *pool = sg_handle_get(handle, SG_POOL);
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS &&
	    (!out || !pool || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
		sg_pool_file(pool) < 0 || sg_pool_is_import(pool)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	int fd = fcntl(sg_pool_file(pool), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	*(int *)out = fd;
	return CUDA_SUCCESS;
}

CUresult cuMemPoolImportFromShareableHandle(
    CUmemoryPool *out, void *os_handle, CUmemAllocationHandleType type, unsigned long long flags)
{
	int file = (int)(intptr_t)os_handle;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS &&
	    (!out || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
		fcntl(file, F_GET_SEALS) < 0)) /* no file in memory */
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	/* The copy keeps the inode from being another file's. */
	file = fcntl(file, F_DUPFD_CLOEXEC, 0);
	return file < 0 ? CUDA_ERROR_OPERATING_SYSTEM : sg_pool_import(file, out);
}

CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData *out, CUdeviceptr address)
{
	struct ipc_handle handle = {.magic = POINTER_MAGIC};
	struct sg_context *context;
	struct sg_range range;
	struct stat status;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS &&
	    (!out || !sg_arena_find(address, &range) || range.kind != SG_RANGE_POOL ||
		sg_pool_file(range.owner) < 0 || fstat(sg_pool_file(range.owner), &status) < 0))
		r = CUDA_ERROR_INVALID_VALUE;
	r = r ?: describe(range, &handle);
	if (r != CUDA_SUCCESS)
		return r;
	handle.pool = status.st_ino;
	memcpy(out, &handle, sizeof(handle));
	return CUDA_SUCCESS;
}

CUresult cuMemPoolImportPointer(
    CUdeviceptr *address, CUmemoryPool pool_handle, CUmemPoolPtrExportData *data)
{
	const struct sg_pool *pool = sg_handle_get(pool_handle, SG_POOL);
	struct ipc_handle handle;
	struct sg_context *context;
	struct stat status;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && (!address || !data || !pool || !sg_pool_is_import(pool) ||
				     fstat(sg_pool_file(pool), &status) < 0))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	memcpy(&handle, data, sizeof(handle));
	if (handle.magic != POINTER_MAGIC || handle.pool != status.st_ino)
		return CUDA_ERROR_INVALID_VALUE;
	struct sg_range range = {
	    .size = handle.size, .kind = SG_RANGE_POOL_IMPORT, .context_id = context->id};
	_cleanup_fd_ int fd = open_file(&handle);
	if (fd < 0)
		return CUDA_ERROR_INVALID_VALUE;
	if (sg_arena_map(&range, fd, 0) < 0)
		return CUDA_ERROR_MAP_FAILED;
	*address = range.address;
	return CUDA_SUCCESS;
}

/* --- descriptors --- */

CUresult cuMemGetHandleForAddressRange(void *handle, CUdeviceptr address, size_t size,
    CUmemRangeHandleType type, unsigned long long flags)
{
	struct sg_context *context;
	struct sg_range range;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS &&
	    (!handle || !size || flags || type != CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD ||
		!sg_arena_find(address, &range)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	/* A file begins where an allocation does, and is whole pages. */
	if (range.address != address || size != align_up(range.size, SG_ARENA_PAGE))
		return CUDA_ERROR_NOT_SUPPORTED;
	return range.kind == SG_RANGE_DEVICE ? share(address, handle) : CUDA_ERROR_INVALID_VALUE;
}

struct external {
	int fd;
	uint64_t size;
};

CUresult cuImportExternalMemory(
    CUexternalMemory *out, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *descriptor)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!out || !descriptor || descriptor->handle.fd < 0))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	if (descriptor->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD &&
	    descriptor->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_DMABUF_FD)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (fcntl(descriptor->handle.fd, F_GET_SEALS) < 0) /* no file in memory */
		return CUDA_ERROR_INVALID_HANDLE;
	struct external *external = malloc(sizeof(*external));
	if (!external)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*external = (struct external){descriptor->handle.fd, descriptor->size};
	*out = sg_handle_new(SG_EXTERNAL, external);
	if (*out)
		return CUDA_SUCCESS;
	free(external);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuExternalMemoryGetMappedBuffer(CUdeviceptr *address, CUexternalMemory memory,
    const CUDA_EXTERNAL_MEMORY_BUFFER_DESC *descriptor)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);
	const struct external *external = sg_handle_get(memory, SG_EXTERNAL);

	if (r == CUDA_SUCCESS && memory && !external)
		r = CUDA_ERROR_INVALID_HANDLE;
	if (r == CUDA_SUCCESS && (!memory || !address || !descriptor || descriptor->flags ||
				     descriptor->size > external->size ||
				     descriptor->offset > external->size - descriptor->size))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_range range = {
	    .size = descriptor->size, .kind = SG_RANGE_EXTERNAL, .context_id = context->id};
	if (sg_arena_map(&range, external->fd, descriptor->offset) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	*address = range.address;
	return CUDA_SUCCESS;
}

CUresult cuDestroyExternalMemory(CUexternalMemory memory)
{
	CUresult r = sg_enter_given(memory);
	struct external *external = sg_handle_get(memory, SG_EXTERNAL);

	if (r == CUDA_SUCCESS && !external)
		r = CUDA_ERROR_INVALID_HANDLE;
	if (r != CUDA_SUCCESS)
		return r;
	sg_handle_free(memory);
	fd_close(external->fd);
	free(external);
	return CUDA_SUCCESS;
}
