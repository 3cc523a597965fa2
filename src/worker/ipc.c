/*
 * CUDA's inter-process handles (cuIpc*): 64 bytes by which one process names its memory or event
 * for another. A program's handle is a name of rosend's (wire/share.h); behind it is what the two
 * workers need.
 *
 * Memory of the arena is virtual memory to the backend, for which cuIpcGetMemHandle has no handle.
 * It is shared as what it is: the owner exports the physical memory its allocation lies in, the
 * opener imports it and maps it in its own arena, in the slice of the device that has it. So the
 * addresses differ, as they may in CUDA; and memory that the owner frees stays until the last
 * opener closes it. Small allocations share a slab of 2 MiB, which is opened whole, as CUDA does.
 *
 * Memory from elsewhere is the backend's own. NVIDIA's driver has handles for it, which travel
 * inside rosend's record. The software GPU's are places in the owner's process, where no other
 * worker may look, so its memory is shared as a dma-buf and opened as external memory.
 *
 * Events are the backend's own business. Its handle travels inside rosend's record: no program can
 * hand the backend bytes of its own making.
 *
 * The same allocation has the same handle each time, and a handle opened twice in a context is one
 * mapping with two users: programs rely on both. A mapping whose last user closed it goes at once,
 * or, while a capture forbids waiting for the device, at a later call; opened again, it comes back.
 */
#include "worker/ipc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/fd.h"
#include "gen/worker_custom.h"
#include "worker/arena.h"
#include "worker/memory.h"
#include "worker/share.h"

struct offered {
	struct offered *next;
	bool event;
	uint64_t what;	   /* the allocation's address, or the backend's event */
	CUcontext context; /* that was current */
	struct share_token token;
};

struct opened {
	struct opened *next;
	struct share_token token;
	CUcontext context;
	unsigned users;
	CUdeviceptr address;
	size_t size;
	CUdevice device;
	uint32_t type;		   /* how: enum share_type */
	struct arena *arena;	   /* MEMORY */
	uint64_t mapping;	   /* in the arena */
	CUexternalMemory external; /* RANGE */
};

struct ipc {
	struct worker *worker;
	pthread_mutex_t offered_lock; /* held briefly: the dispatcher takes it */
	struct offered *offered;
	_Atomic unsigned n_offered;
	pthread_mutex_t opened_lock; /* held while rosend and the backend are asked */
	struct opened *opened;
};

struct ipc *ipc_new(struct worker *worker)
{
	struct ipc *ipc = calloc(1, sizeof(*ipc));

	if (!ipc)
		return NULL;
	ipc->worker = worker;
	pthread_mutex_init(&ipc->offered_lock, NULL);
	pthread_mutex_init(&ipc->opened_lock, NULL);
	return ipc;
}

/* --- what this session offers --- */

static struct offered **find_offered(struct ipc *ipc, bool event, uint64_t what)
{
	struct offered **at = &ipc->offered;

	while (*at && ((*at)->event != event || (*at)->what != what))
		at = &(*at)->next;
	return at;
}

static bool has_name(struct ipc *ipc, bool event, uint64_t what, struct share_name *name)
{
	pthread_mutex_lock(&ipc->offered_lock);
	struct offered *found = *find_offered(ipc, event, what);
	if (found)
		*name = share_name(&found->token);
	pthread_mutex_unlock(&ipc->offered_lock);
	return found;
}

/* Enters an offer; another thread may have been quicker, then its offer counts. */
static CUresult enter_offer(struct call *call, bool event, uint64_t what,
    const struct share_token *token, struct share_name *name)
{
	struct ipc *ipc = call->worker->ipc;
	struct offered *mine = malloc(sizeof(*mine));

	if (!mine) {
		share_withdraw(ipc->worker, token);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*mine = (struct offered){
	    .event = event, .what = what, .context = call_job(call)->from.context, .token = *token};
	pthread_mutex_lock(&ipc->offered_lock);
	struct offered *found = *find_offered(ipc, event, what);
	if (!found) {
		found = mine;
		mine->next = ipc->offered;
		ipc->offered = mine;
		/* Relaxed: who frees the memory or destroys the event knows of this call's end. */
		atomic_fetch_add_explicit(&ipc->n_offered, 1, memory_order_relaxed);
	}
	*name = share_name(&found->token);
	pthread_mutex_unlock(&ipc->offered_lock);
	if (found != mine) {
		share_withdraw(ipc->worker, token);
		free(mine);
	}
	return CUDA_SUCCESS;
}

static void withdraw(struct ipc *ipc, bool event, uint64_t what)
{
	if (!atomic_load_explicit(&ipc->n_offered, memory_order_relaxed))
		return;
	pthread_mutex_lock(&ipc->offered_lock);
	struct offered **at = find_offered(ipc, event, what), *found = *at;
	if (found) {
		*at = found->next;
		atomic_fetch_sub_explicit(&ipc->n_offered, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&ipc->offered_lock);
	if (found)
		share_withdraw(ipc->worker, &found->token);
	free(found);
}

void ipc_memory_freed(struct worker *worker, CUdeviceptr address)
{
	withdraw(worker->ipc, false, address);
}

/* An allocation that is offered and not there any more, or goes with context; 0: none. */
static uint64_t find_stale(struct ipc *ipc, CUcontext context)
{
	uint64_t stale = 0;
	CUdeviceptr base;
	size_t size;

	pthread_mutex_lock(&ipc->offered_lock);
	for (struct offered *o = ipc->offered; o && !stale; o = o->next) {
		struct arena *arena = o->event ? NULL : memory_arena_at(ipc->worker, o->what);
		bool there = arena ? arena_find(arena, o->what, &base, &size)
				   : o->event || o->context != context;
		if (!there)
			stale = o->what;
	}
	pthread_mutex_unlock(&ipc->offered_lock);
	return stale;
}

/* --- memory: giving it --- */

static CUresult export_handle(
    struct call *call, CUdeviceptr address, struct control_share *what, CUdeviceptr *base)
{
	const struct backend *backend = call->backend;
	CUipcMemHandle handle;
	size_t size;

	CUresult r = backend->cuMemGetAddressRange_v2(base, &size, address);
	r = r
		?: backend->cuPointerGetAttribute(
		       &what->device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, *base);
	r = r ?: backend->cuIpcGetMemHandle(&handle, *base);
	if (r != CUDA_SUCCESS)
		return r;
	what->type = SHARE_HANDLE;
	what->size = what->mapped_size = size;
	memcpy(what->data, &handle, sizeof(what->data));
	return CUDA_SUCCESS;
}

static CUresult export_range(
    struct call *call, CUdeviceptr address, struct control_share *what, CUdeviceptr *base, int *fd)
{
	const struct backend *backend = call->backend;
	size_t size;

	CUresult r = backend->cuMemGetAddressRange_v2(base, &size, address);
	r = r
		?: backend->cuPointerGetAttribute(
		       &what->device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, *base);
	what->type = SHARE_RANGE;
	what->size = size;
	what->mapped_size = align_up(size, 4096);
	return r
		   ?: backend->cuMemGetHandleForAddressRange(
			  fd, *base, what->mapped_size, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0);
}

static CUresult export_arena(struct arena *arena, CUdeviceptr address, struct control_share *what,
    CUdeviceptr *base, int *fd)
{
	uint64_t start;
	size_t size;

	if (!arena_find(arena, address, base, &size))
		return CUDA_ERROR_INVALID_VALUE;
	what->type = SHARE_MEMORY;
	what->device = arena_device(arena);
	what->size = size;
	CUresult r = arena_export(arena, *base, &start, &what->mapped_size, fd);
	what->offset = *base - start;
	return r;
}

static CUresult offer_memory(
    struct call *call, struct arena *arena, CUdeviceptr address, struct share_name *name)
{
	struct control_share what = {0};
	_cleanup_fd_ int fd = -1;
	CUdeviceptr base;
	int none;

	CUresult r;
	if (arena)
		r = export_arena(arena, address, &what, &base, &fd);
	else if (call->worker->options.backend == CONTROL_BACKEND_CUDA)
		r = export_handle(call, address, &what, &base);
	else
		r = export_range(call, address, &what, &base, &fd);
	r = r ?: share_offer(call->worker, &what, fd, &none);
	return r ?: enter_offer(call, false, base, &what.token, name);
}

CUresult worker_cuIpcGetMemHandle(struct call *call, struct args_cuIpcGetMemHandle *a)
{
	struct arena *arena = memory_arena_at(call->worker, a->address);
	CUdeviceptr base = a->address;
	struct share_name name;
	size_t size;
	bool found = arena ? arena_find(arena, a->address, &base, &size)
			   : call->backend->cuMemGetAddressRange_v2(&base, &size, a->address) ==
				 CUDA_SUCCESS;

	if (!found)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = CUDA_SUCCESS;
	if (!has_name(call->worker->ipc, false, base, &name))
		r = offer_memory(call, arena, base, &name);
	if (r == CUDA_SUCCESS)
		memcpy(a->handle, &name, sizeof(name));
	return r;
}

/* --- memory: opening it --- */

static CUresult map_external(struct call *call, struct opened *opened, uint64_t size, int *fd)
{
	const struct backend *backend = call->backend;
	CUDA_EXTERNAL_MEMORY_HANDLE_DESC memory = {
	    .type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_DMABUF_FD, .handle.fd = *fd, .size = size};
	CUDA_EXTERNAL_MEMORY_BUFFER_DESC buffer = {.size = size};

	CUresult r = backend->cuImportExternalMemory(&opened->external, &memory);
	if (r != CUDA_SUCCESS)
		return r;
	*fd = -1; /* the backend's now */
	r = backend->cuExternalMemoryGetMappedBuffer(&opened->address, opened->external, &buffer);
	if (r != CUDA_SUCCESS)
		backend->cuDestroyExternalMemory(opened->external);
	return r;
}

/* With access for the current device too, should the memory be another one's. */
static CUresult map_arena(struct call *call, struct opened *opened, uint64_t size, int fd)
{
	CUdevice current;

	opened->arena = memory_arena_of(call->worker, opened->device);
	if (!opened->arena)
		return CUDA_ERROR_NOT_SUPPORTED;
	CUresult r = call->backend->cuCtxGetDevice(&current);
	r = r ?: arena_import(opened->arena, fd, size, &opened->mapping);
	if (r != CUDA_SUCCESS)
		return r;
	r = arena_allow(opened->arena, current, true);
	if (r != CUDA_SUCCESS)
		arena_drop(opened->arena, opened->mapping);
	return r;
}

static CUresult map_handle(
    struct call *call, struct opened *opened, const struct control_share *what)
{
	CUipcMemHandle handle;

	memcpy(&handle, what->data, sizeof(handle));
	return call->backend->cuIpcOpenMemHandle_v2(
	    &opened->address, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
}

static void unmap(struct ipc *ipc, struct opened *opened)
{
	const struct backend *backend = ipc->worker->backend;

	if (opened->type == SHARE_MEMORY) {
		arena_drop(opened->arena, opened->mapping);
	} else if (opened->type == SHARE_HANDLE) {
		backend->cuIpcCloseMemHandle(opened->address);
	} else {
		backend->cuMemFree_v2(opened->address);
		backend->cuDestroyExternalMemory(opened->external);
	}
}

static CUresult map(
    struct call *call, struct opened *opened, const struct control_share *what, int *fd)
{
	/* Whoever offered it is another worker of this user: a wrong size would be its own loss,
	 * but the range must be one. */
	if (what->size > what->mapped_size || what->offset > what->mapped_size - what->size ||
	    what->device < 0 || what->device >= (int)WIRE_DEVICES_MAX)
		return CUDA_ERROR_INVALID_HANDLE;
	opened->size = what->size;
	opened->device = what->device;
	opened->type = what->type;
	if (what->type == SHARE_HANDLE)
		return map_handle(call, opened, what);
	if (what->type == SHARE_RANGE)
		return map_external(call, opened, what->mapped_size, fd);
	CUresult r = map_arena(call, opened, what->mapped_size, *fd);
	opened->address = opened->mapping + what->offset;
	return r;
}

/* Under opened_lock. */
static CUresult open_new(struct call *call, const CUipcMemHandle *handle, struct opened **out)
{
	struct worker *worker = call->worker;
	struct control_share what;
	_cleanup_fd_ int fd = -1;

	CUresult r = share_take(worker, handle,
	    SHARE_BIT(SHARE_MEMORY) | SHARE_BIT(SHARE_RANGE) | SHARE_BIT(SHARE_HANDLE), &what, &fd);
	if (r != CUDA_SUCCESS)
		return r;
	if (what.session == worker->options.session) /* CUDA opens no handle of its own process */
		return CUDA_ERROR_INVALID_CONTEXT;
	struct opened *opened = calloc(1, sizeof(*opened));
	if (!opened)
		return CUDA_ERROR_OUT_OF_MEMORY;
	opened->token = what.token;
	opened->context = call_job(call)->from.context;
	r = map(call, opened, &what, &fd);
	if (r != CUDA_SUCCESS) {
		free(opened);
		return r;
	}
	opened->next = worker->ipc->opened;
	worker->ipc->opened = opened;
	*out = opened;
	return CUDA_SUCCESS;
}

/* Unmaps what nobody uses any more, unless a capture is under way. Under opened_lock. */
static CUresult reap(struct call *call)
{
	struct ipc *ipc = call->worker->ipc;
	struct opened *opened;
	bool waited = false;
	CUresult r = CUDA_SUCCESS;

	/* Relaxed: a capture begun beside this call is a race of the client's own threads. */
	if (atomic_load_explicit(&call->worker->captures, memory_order_relaxed))
		return CUDA_SUCCESS;
	for (struct opened **at = &ipc->opened; (opened = *at);) {
		if (opened->users) {
			at = &opened->next;
			continue;
		}
		r = waited ? r : call->backend->cuCtxSynchronize();
		waited = true;
		*at = opened->next;
		unmap(ipc, opened);
		free(opened);
	}
	return r;
}

static struct opened *find_opened(struct ipc *ipc, CUcontext context, const CUipcMemHandle *handle)
{
	struct opened *opened = ipc->opened;
	struct share_token token;

	if (!share_name_parse(handle, &token))
		return NULL;
	while (opened &&
	       (opened->context != context || memcmp(&opened->token, &token, sizeof(token)) != 0))
		opened = opened->next;
	return opened;
}

CUresult worker_cuIpcOpenMemHandle_v2(struct call *call, struct args_cuIpcOpenMemHandle_v2 *a)
{
	struct ipc *ipc = call->worker->ipc;
	CUcontext context = call_job(call)->from.context;
	CUresult r = CUDA_SUCCESS;

	if (!context)
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&ipc->opened_lock);
	struct opened *opened = find_opened(ipc, context, &a->handle);
	if (!opened)
		r = open_new(call, &a->handle, &opened);
	if (r == CUDA_SUCCESS) {
		opened->users++;
		*a->address = opened->address;
		*a->bytes = opened->size;
		*a->device = opened->device;
	}
	reap(call);
	pthread_mutex_unlock(&ipc->opened_lock);
	return r;
}

CUresult worker_cuIpcCloseMemHandle(struct call *call, struct args_cuIpcCloseMemHandle *a)
{
	struct ipc *ipc = call->worker->ipc;
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	pthread_mutex_lock(&ipc->opened_lock);
	struct opened *opened = ipc->opened;
	while (opened && (opened->address != a->address || !opened->users))
		opened = opened->next;
	if (opened) {
		opened->users--;
		*a->last = !opened->users;
		r = reap(call);
	}
	pthread_mutex_unlock(&ipc->opened_lock);
	return r;
}

void ipc_forget_context(struct worker *worker, CUcontext context)
{
	struct ipc *ipc = worker->ipc;
	struct opened *opened;
	uint64_t stale;

	while ((stale = find_stale(ipc, context)))
		withdraw(ipc, false, stale);
	pthread_mutex_lock(&ipc->opened_lock);
	for (struct opened **at = &ipc->opened; (opened = *at);) {
		if (opened->context != context) {
			at = &opened->next;
			continue;
		}
		*at = opened->next;
		unmap(ipc, opened);
		free(opened);
	}
	pthread_mutex_unlock(&ipc->opened_lock);
}

struct ipc *ipc_free(struct ipc *ipc)
{
	struct offered *offered;
	struct opened *opened;

	if (!ipc)
		return NULL;
	while ((offered = ipc->offered)) {
		ipc->offered = offered->next;
		free(offered);
	}
	while ((opened = ipc->opened)) {
		ipc->opened = opened->next;
		unmap(ipc, opened);
		free(opened);
	}
	pthread_mutex_destroy(&ipc->offered_lock);
	pthread_mutex_destroy(&ipc->opened_lock);
	free(ipc);
	return NULL;
}

/* --- events --- */

CUresult worker_cuIpcGetEventHandle(struct call *call, struct args_cuIpcGetEventHandle *a)
{
	struct ipc *ipc = call->worker->ipc;
	struct control_share what = {.type = SHARE_EVENT};
	CUipcEventHandle handle;
	struct share_name name;
	int none;

	CUresult r = CUDA_SUCCESS;
	if (!has_name(ipc, true, (uint64_t)a->event, &name)) {
		r = call->backend->cuIpcGetEventHandle(&handle, a->event);
		memcpy(what.data, &handle, sizeof(what.data));
		r = r ?: share_offer(call->worker, &what, -1, &none);
		r = r ?: enter_offer(call, true, (uint64_t)a->event, &what.token, &name);
	}
	if (r == CUDA_SUCCESS)
		memcpy(a->handle, &name, sizeof(name));
	return r;
}

CUresult worker_cuIpcOpenEventHandle(struct call *call, struct args_cuIpcOpenEventHandle *a)
{
	struct control_share what;
	CUipcEventHandle handle;
	int none;

	CUresult r = share_take(call->worker, &a->handle, SHARE_BIT(SHARE_EVENT), &what, &none);
	if (r != CUDA_SUCCESS)
		return r;
	memcpy(&handle, what.data, sizeof(handle));
	return call->backend->cuIpcOpenEventHandle(a->event, handle);
}

CUresult worker_cuEventDestroy_v2(struct call *call, struct args_cuEventDestroy_v2 *a)
{
	withdraw(call->worker->ipc, true, (uint64_t)a->event);
	return call->backend->cuEventDestroy_v2(a->event);
}
