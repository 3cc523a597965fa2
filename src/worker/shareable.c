/*
 * Descriptors that programs hold for memory: of allocations and pools, and dma-bufs.
 *
 * The backend's descriptor of an allocation is a door to the GPU's driver, so the program gets a
 * ticket in its place (control/share.h), which rosend makes; another worker gets the backend's by
 * what the ticket says. A dma-buf is good for nothing but its memory: the program, which may pass
 * it to a network card's driver, gets it as it is. Both go over the side socket before the call is
 * answered.
 */
#include <sys/socket.h>

#include "base/fd.h"
#include "gen/worker_custom.h"
#include "worker/memory.h"
#include "worker/share.h"

static CUresult send_descriptor(struct call *call, uint64_t number, int fd)
{
	struct side_message message = {.kind = SIDE_DESCRIPTOR, .segment = number};

	return chan_side_send(call->worker->chan, &message, fd) < 0 ? CUDA_ERROR_OPERATING_SYSTEM
								    : CUDA_SUCCESS;
}

static CUresult give_ticket(struct call *call, enum share_type type, int fd, uint64_t number)
{
	struct control_share what = {.type = type};
	_cleanup_fd_ int ticket = -1;

	return share_offer(call->worker, &what, fd, &ticket)
		   ?: send_descriptor(call, number, ticket);
}

/* What the program's ticket stands for, of that type: the backend's descriptor, the caller's. */
static CUresult take_ticket(
    struct call *call, const CUipcMemHandle *name, enum share_type type, int *fd)
{
	struct control_share what;

	return share_take(call->worker, name, SHARE_BIT(type), &what, fd);
}

CUresult worker_cuMemExportToShareableHandle(
    struct call *call, struct args_cuMemExportToShareableHandle *a)
{
	_cleanup_fd_ int fd = -1;

	return call->backend->cuMemExportToShareableHandle(
		   &fd, a->handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, a->flags)
		   ?: give_ticket(call, SHARE_ALLOCATION, fd, a->number);
}

CUresult worker_cuMemImportFromShareableHandle(
    struct call *call, struct args_cuMemImportFromShareableHandle *a)
{
	_cleanup_fd_ int fd = -1;

	return take_ticket(call, &a->name, SHARE_ALLOCATION, &fd)
		   ?: call->backend->cuMemImportFromShareableHandle(a->handle, (void *)(intptr_t)fd,
			  CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
}

CUresult worker_cuMemPoolExportToShareableHandle(
    struct call *call, struct args_cuMemPoolExportToShareableHandle *a)
{
	_cleanup_fd_ int fd = -1;

	return call->backend->cuMemPoolExportToShareableHandle(
		   &fd, a->mem_pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, a->flags)
		   ?: give_ticket(call, SHARE_POOL, fd, a->number);
}

CUresult worker_cuMemPoolImportFromShareableHandle(
    struct call *call, struct args_cuMemPoolImportFromShareableHandle *a)
{
	_cleanup_fd_ int fd = -1;

	return take_ticket(call, &a->name, SHARE_POOL, &fd)
		   ?: call->backend->cuMemPoolImportFromShareableHandle(a->mem_pool,
			  (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, a->flags);
}

CUresult worker_cuMemPoolImportPointer(struct call *call, struct args_cuMemPoolImportPointer *a)
{
	CUresult r = call->backend->cuMemPoolImportPointer(a->address, a->mem_pool, a->data);

	if (r == CUDA_SUCCESS &&
	    call->backend->cuMemGetAddressRange_v2(NULL, a->bytes, *a->address) != CUDA_SUCCESS)
		*a->bytes = 1; /* it is there, whatever its size */
	return r;
}

CUresult worker_cuMemGetHandleForAddressRange(
    struct call *call, struct args_cuMemGetHandleForAddressRange *a)
{
	_cleanup_fd_ int fd = -1;

	if (a->handle_type != CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD ||
	    !memory_is_device(call, a->address, a->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return call->backend->cuMemGetHandleForAddressRange(
		   &fd, a->address, a->bytes, a->handle_type, a->flags)
		   ?: send_descriptor(call, a->number, fd);
}
