/*
 * Descriptors a program exchanges for memory: tickets (control/share.h) for allocations and pools,
 * dma-bufs, and those of other interfaces (external memory and semaphores).
 */
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/descriptor.h"
#include "shim/pool_host.h"
#include "shim/range.h"
#include "shim/virtual_host.h"

/* Programs ask for a kind of handle and go on with another, so it is said once. */
static CUresult check_type(CUmemAllocationHandleType type)
{
	if (type == CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_SUCCESS;
	if (type != CU_MEM_HANDLE_TYPE_FABRIC && type != CU_MEM_HANDLE_TYPE_WIN32 &&
	    type != CU_MEM_HANDLE_TYPE_WIN32_KMT)
		return CUDA_ERROR_INVALID_VALUE;
	log_warn_once("memory is not shared by fabric or Windows handles, only by descriptors");
	return CUDA_ERROR_NOT_SUPPORTED;
}

static CUresult check_ticket(
    CUmemAllocationHandleType type, const void *os_handle, CUipcMemHandle *name)
{
	struct share_name found;
	CUresult r = check_type(type);

	if (r != CUDA_SUCCESS)
		return r;
	if (!descriptor_is_ticket((int)(intptr_t)os_handle, &found))
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(name, &found, sizeof(found));
	return CUDA_SUCCESS;
}

/* --- allocations and pools --- */

CUresult shim_cuMemExportToShareableHandle(void *os_handle, CUmemGenericAllocationHandle handle,
    CUmemAllocationHandleType type, unsigned long long flags)
{
	uint64_t number = descriptor_number();
	CUresult r = check_type(type);

	if (r == CUDA_SUCCESS && virtual_host_knows(handle))
		return virtual_host_export(os_handle, handle, flags);
	return r
		   ?: remote_cuMemExportToShareableHandle(handle, flags, number)
		   ?: descriptor_receive(number, os_handle);
}

CUresult shim_cuMemImportFromShareableHandle(
    CUmemGenericAllocationHandle *handle, void *os_handle, CUmemAllocationHandleType type)
{
	CUipcMemHandle name;
	CUresult r = check_type(type);

	if (r == CUDA_SUCCESS && virtual_host_is_shared((int)(intptr_t)os_handle))
		return virtual_host_import(handle, (int)(intptr_t)os_handle);
	return r
		   ?: check_ticket(type, os_handle, &name)
		   ?: remote_cuMemImportFromShareableHandle(handle, name);
}

CUresult shim_cuMemPoolExportToShareableHandle(
    void *handle, CUmemoryPool mem_pool, CUmemAllocationHandleType type, unsigned long long flags)
{
	uint64_t number = descriptor_number();
	CUresult r = check_type(type);

	if (r == CUDA_SUCCESS && pool_host_knows(mem_pool))
		return pool_host_export(mem_pool, type);
	return r
		   ?: remote_cuMemPoolExportToShareableHandle(mem_pool, flags, number)
		   ?: descriptor_receive(number, handle);
}

CUresult shim_cuMemPoolImportFromShareableHandle(
    CUmemoryPool *mem_pool, void *handle, CUmemAllocationHandleType type, unsigned long long flags)
{
	CUipcMemHandle name;

	return check_ticket(type, handle, &name)
		   ?: remote_cuMemPoolImportFromShareableHandle(mem_pool, name, flags);
}

CUresult shim_cuMemPoolImportPointer(
    CUdeviceptr *address, CUmemoryPool mem_pool, CUmemPoolPtrExportData *data)
{
	size_t bytes;
	CUresult r = remote_cuMemPoolImportPointer(address, &bytes, mem_pool, data);

	/* Not RANGE_POOL: its free must not wait here to be allocated again. */
	return r ?: range_note(*address, bytes, RANGE_EXTERNAL, (uint64_t)mem_pool);
}

/* --- dma-bufs --- */

CUresult shim_cuMemGetHandleForAddressRange(void *handle, CUdeviceptr address, size_t bytes,
    CUmemRangeHandleType type, unsigned long long flags)
{
	uint64_t number = descriptor_number();

	return remote_cuMemGetHandleForAddressRange(address, bytes, type, flags, number)
		   ?: descriptor_receive(number, handle);
}

/* --- of other interfaces --- */

CUresult shim_cuImportExternalMemory(
    CUexternalMemory *memory, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *descriptor)
{
	int fd = descriptor->handle.fd;
	CUipcMemHandle name = {{0}};
	struct share_name found;
	uint64_t number = 0;
	CUresult r = CUDA_SUCCESS;

	if (descriptor->type < CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD ||
	    descriptor->type > CU_EXTERNAL_MEMORY_HANDLE_TYPE_DMABUF_FD)
		return CUDA_ERROR_INVALID_VALUE;
	if (descriptor->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD &&
	    descriptor->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_DMABUF_FD) {
		log_warn_once("external memory is imported by descriptors (OPAQUE_FD, DMABUF_FD), "
			      "not by Windows handles or NvSci objects");
		return CUDA_ERROR_NOT_SUPPORTED;
	}
	if (descriptor_is_ticket(fd, &found))
		memcpy(&name, &found, sizeof(found));
	else
		r = descriptor_send(fd, &number);
	r = r
		?: remote_cuImportExternalMemory(
		       memory, descriptor->type, number, name, descriptor->size, descriptor->flags);
	if (r == CUDA_SUCCESS)
		close(fd); /* CUDA's from now on */
	return r;
}

CUresult shim_cuExternalMemoryGetMappedBuffer(CUdeviceptr *address, CUexternalMemory memory,
    const CUDA_EXTERNAL_MEMORY_BUFFER_DESC *descriptor)
{
	return remote_cuExternalMemoryGetMappedBuffer(address, memory, descriptor)
		   ?: range_note(*address, descriptor->size, RANGE_EXTERNAL, 0);
}

CUresult shim_cuImportExternalSemaphore(
    CUexternalSemaphore *semaphore, const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC *descriptor)
{
	uint64_t number;

	if (descriptor->type < CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD ||
	    descriptor->type > CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_WIN32)
		return CUDA_ERROR_INVALID_VALUE;
	if (descriptor->type != CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD &&
	    descriptor->type != CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_FD) {
		log_warn_once("external semaphores are imported by descriptors (OPAQUE_FD, "
			      "TIMELINE_SEMAPHORE_FD), not by Windows handles or NvSci objects");
		return CUDA_ERROR_NOT_SUPPORTED;
	}
	CUresult r = descriptor_send(descriptor->handle.fd, &number);
	r = r
		?: remote_cuImportExternalSemaphore(
		       semaphore, descriptor->type, number, descriptor->flags);
	if (r == CUDA_SUCCESS)
		close(descriptor->handle.fd); /* CUDA's from now on */
	return r;
}
