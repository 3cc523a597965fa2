/*
 * Memory and semaphores of other interfaces, by their descriptors: the program's own, which came
 * over the side socket, or the backend's behind a ticket. A descriptor is the program's choice and
 * may be of any kind; the backend finds out, in this program's own worker.
 */
#include "base/fd.h"
#include "gen/worker_custom.h"
#include "worker/segment.h"
#include "worker/share.h"

CUresult worker_cuImportExternalMemory(struct call *call, struct args_cuImportExternalMemory *a)
{
	CUDA_EXTERNAL_MEMORY_HANDLE_DESC memory = {
	    .type = a->type, .size = a->bytes, .flags = a->flags};
	struct control_share what;
	_cleanup_fd_ int fd = -1;
	CUresult r = CUDA_SUCCESS;

	if (a->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD &&
	    a->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_DMABUF_FD)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (a->number)
		fd = segments_take_descriptor(call->worker->segments, a->number);
	else
		r = share_take(call->worker, &a->name, SHARE_BIT(SHARE_ALLOCATION), &what, &fd);
	if (r == CUDA_SUCCESS && fd < 0)
		r = CUDA_ERROR_INVALID_VALUE;
	memory.handle.fd = fd;
	r = r ?: call->backend->cuImportExternalMemory(a->memory, &memory);
	if (r == CUDA_SUCCESS)
		fd = -1; /* the backend's now */
	return r;
}

CUresult worker_cuImportExternalSemaphore(
    struct call *call, struct args_cuImportExternalSemaphore *a)
{
	CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC semaphore = {.type = a->type, .flags = a->flags};

	if (a->type != CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD &&
	    a->type != CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_FD)
		return CUDA_ERROR_NOT_SUPPORTED;
	_cleanup_fd_ int fd = segments_take_descriptor(call->worker->segments, a->number);
	if (fd < 0)
		return CUDA_ERROR_INVALID_VALUE;
	semaphore.handle.fd = fd;
	CUresult r = call->backend->cuImportExternalSemaphore(a->semaphore, &semaphore);
	if (r == CUDA_SUCCESS)
		fd = -1; /* the backend's now */
	return r;
}

/* The backend dies of NULL. */
static bool are_there(const CUexternalSemaphore *semaphores, unsigned count)
{
	bool there = count;

	for (unsigned i = 0; i < count; i++)
		there &= semaphores[i] != NULL;
	return there;
}

CUresult worker_cuSignalExternalSemaphoresAsync(
    struct call *call, struct args_cuSignalExternalSemaphoresAsync *a)
{
	if (!are_there(a->semaphores, a->count))
		return CUDA_ERROR_INVALID_VALUE;
	return call->backend->cuSignalExternalSemaphoresAsync(
	    a->semaphores, a->parameters, a->count, a->stream);
}

CUresult worker_cuWaitExternalSemaphoresAsync(
    struct call *call, struct args_cuWaitExternalSemaphoresAsync *a)
{
	if (!are_there(a->semaphores, a->count))
		return CUDA_ERROR_INVALID_VALUE;
	return call->backend->cuWaitExternalSemaphoresAsync(
	    a->semaphores, a->parameters, a->count, a->stream);
}
