/*
 * Device memory: cuMemAlloc and its kin, out of the device's arena (arena.h) or, where there is
 * none, from the backend. The arena is made at the first allocation on a device: a session that
 * uses one GPU of eight reserves nothing on the others.
 *
 * cuMemAlloc does not wait and runs on the dispatcher; cuMemFree waits for the device, as CUDA
 * does, on the lane's waiter. While a stream captures, waiting would spoil the capture: memory
 * freed then is put aside (struct quarantine) and given back at the next free outside of captures.
 */
#include "worker/memory.h"

#include <stdlib.h>

#include "abi/pointer.h"
#include "base/log.h"
#include "gen/worker_custom.h"
#include "worker/arena.h"
#include "worker/backend_host.h"
#include "worker/graph_memory.h"
#include "worker/ipc.h"
#include "worker/mirror.h"
#include "worker/segment.h"
#include "worker/sync_memops.h"
#include "worker/worker.h"

/* --- arenas --- */

static int count_devices(const struct backend *backend)
{
	int n = 1;

	backend->cuDeviceGetCount(&n);
	return n;
}

/* Each device has an equal slice of the lower half of the window; the upper half is for address
 * ranges that the program reserves itself. */
static uint64_t slice_size(const struct backend *backend)
{
	int n = count_devices(backend);
	uint64_t slices = 1;

	while (slices < (uint64_t)n)
		slices *= 2;
	return WIRE_DEVICE_WINDOW_SIZE / 2 / slices;
}

/*
 * The backend's own allocator copies between devices that do not reach each other, by way of the
 * host; arenas cannot.
 */
static bool reaches_all_others(const struct backend *backend, CUdevice device)
{
	int n = count_devices(backend), can = 1;

	for (CUdevice other = 0; other < n && can; other++)
		if (other != device &&
		    backend->cuDeviceCanAccessPeer(&can, device, other) != CUDA_SUCCESS)
			can = 0;
	return can;
}

static struct arena *arena_make(struct worker *worker, CUdevice device)
{
	uint64_t size = slice_size(worker->backend);
	const char *why = "not every other device reaches this one";
	struct arena *arena = NULL;

	if (reaches_all_others(worker->backend, device))
		arena = arena_new(worker->backend, device,
		    WIRE_DEVICE_WINDOW_BASE + (uint64_t)device * size, size, &why);
	if (!arena)
		log_info(
		    "device %d: memory comes from the backend's own allocator: %s", device, why);
	return arena;
}

struct arena *memory_arena_of(struct worker *worker, CUdevice device)
{
	if (!worker->options.arena || device < 0 || device >= (int)WIRE_DEVICES_MAX)
		return NULL;
	pthread_mutex_lock(&worker->memory_lock);
	if (!worker->arenas[device] && !worker->no_arena[device]) {
		worker->arenas[device] = arena_make(worker, device);
		worker->no_arena[device] = !worker->arenas[device];
		atomic_store_explicit(&worker->several_devices, count_devices(worker->backend) > 1,
		    memory_order_relaxed);
	}
	struct arena *arena = worker->arenas[device];
	pthread_mutex_unlock(&worker->memory_lock);
	return arena;
}

struct arena *memory_arena_at(struct worker *worker, CUdeviceptr address)
{
	struct arena *found = NULL;

	pthread_mutex_lock(&worker->memory_lock);
	for (unsigned i = 0; i < WIRE_DEVICES_MAX && !found; i++)
		if (worker->arenas[i] && arena_covers(worker->arenas[i], address))
			found = worker->arenas[i];
	pthread_mutex_unlock(&worker->memory_lock);
	return found;
}

/* --- allocating --- */

/*
 * The error that broke the current context, if one did: the arena can hand out addresses without
 * the backend, but a program that allocates on a broken context is told, as CUDA tells it. Not
 * while a stream captures: a query of the default stream would spoil the capture.
 */
static CUresult context_error(struct call *call)
{
	/* Relaxed: a capture begun beside this allocation is a race of the client's own threads. */
	if (atomic_load_explicit(&call->worker->captures, memory_order_relaxed))
		return CUDA_SUCCESS;
	CUresult r = call->backend->cuStreamQuery(NULL);
	/* The errors CUDA calls sticky; others are about the query. */
	return r >= CUDA_ERROR_ILLEGAL_ADDRESS && r <= CUDA_ERROR_LAUNCH_FAILED ? r : CUDA_SUCCESS;
}

static CUresult allocate(struct call *call, size_t bytes, CUdeviceptr *address)
{
	CUdevice device;
	CUresult r = call->backend->cuCtxGetDevice(&device);

	if (r != CUDA_SUCCESS)
		return r;
	if (!bytes)
		return CUDA_ERROR_INVALID_VALUE;
	r = context_error(call);
	if (r != CUDA_SUCCESS)
		return r;
	struct arena *arena = memory_arena_of(call->worker, device);
	r = arena ? arena_take(arena, bytes, (uint64_t)call_job(call)->from.context, address)
		  : CUDA_ERROR_OUT_OF_MEMORY;
	/* The backend has the last word: it may have pools of its own to shrink. */
	return r == CUDA_SUCCESS ? r : call->backend->cuMemAlloc_v2(address, bytes);
}

CUresult worker_cuMemAlloc_v2(struct call *call, struct args_cuMemAlloc_v2 *a)
{
	return allocate(call, a->bytes, a->address);
}

CUresult worker_cuMemAllocPitch_v2(struct call *call, struct args_cuMemAllocPitch_v2 *a)
{
	size_t pitch = (a->width + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1), bytes;

	if (!a->width || !a->height || pitch < a->width ||
	    (a->element != 4 && a->element != 8 && a->element != 16) ||
	    __builtin_mul_overflow(pitch, a->height, &bytes))
		return CUDA_ERROR_INVALID_VALUE;
	*a->pitch = pitch;
	return allocate(call, bytes, a->address);
}

/* --- freeing --- */

/* Waits for everything that could use freed memory; false: not now, a capture is under way. */
static CUresult wait_for_device(struct call *call, bool *waited)
{
	/* Relaxed: a capture begun beside this free is a race of the client's own threads. */
	*waited = !atomic_load_explicit(&call->worker->captures, memory_order_relaxed);
	return *waited ? call->backend->cuCtxSynchronize() : CUDA_SUCCESS;
}

/* False: it was put aside before, so this is the second time it is freed. */
static bool put_aside(struct worker *worker, CUdeviceptr address)
{
	struct quarantine *entry = malloc(sizeof(*entry)), *other;

	pthread_mutex_lock(&worker->memory_lock);
	for (other = worker->quarantine; other && other->address != address;)
		other = other->next;
	if (!other && entry) { /* without memory for the note it stays allocated until the end */
		*entry = (struct quarantine){worker->quarantine, address};
		worker->quarantine = entry;
		entry = NULL;
	}
	pthread_mutex_unlock(&worker->memory_lock);
	free(entry);
	return !other;
}

void memory_give_put_aside(struct worker *worker)
{
	pthread_mutex_lock(&worker->memory_lock);
	struct quarantine *entry = worker->quarantine, *next;
	worker->quarantine = NULL;
	pthread_mutex_unlock(&worker->memory_lock);
	for (; entry; entry = next) {
		struct arena *arena = memory_arena_at(worker, entry->address);
		if (arena)
			arena_give(arena, entry->address);
		next = entry->next;
		free(entry);
	}
}

CUresult worker_cuMemFree_v2(struct call *call, struct args_cuMemFree_v2 *a)
{
	struct worker *worker = call->worker;
	struct arena *arena = memory_arena_at(worker, a->address);
	CUdeviceptr base;
	size_t size;
	bool waited;

	if (!arena || !arena_find(arena, a->address, &base, &size)) {
		ipc_memory_freed(worker, a->address);
		return call->backend->cuMemFree_v2(a->address);
	}
	if (base != a->address)
		return CUDA_ERROR_INVALID_VALUE;
	sync_memops_forget(worker, base);
	ipc_memory_freed(worker, a->address);
	CUresult r = wait_for_device(call, &waited);
	if (!waited)
		return put_aside(worker, a->address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	memory_give_put_aside(worker);
	return arena_give(arena, a->address) ? r : CUDA_ERROR_INVALID_VALUE;
}

/* Forgets what was put aside and is gone by other means: its address may be given out again. */
static void drop_put_aside(struct worker *worker, struct arena *arena)
{
	struct quarantine *entry;
	CUdeviceptr base;
	size_t size;

	pthread_mutex_lock(&worker->memory_lock);
	for (struct quarantine **at = &worker->quarantine; (entry = *at);) {
		if (!arena_covers(arena, entry->address) ||
		    arena_find(arena, entry->address, &base, &size)) {
			at = &entry->next;
			continue;
		}
		*at = entry->next;
		free(entry);
	}
	pthread_mutex_unlock(&worker->memory_lock);
}

void memory_forget_context(struct worker *worker, CUcontext context)
{
	for (unsigned i = 0; i < WIRE_DEVICES_MAX; i++) {
		pthread_mutex_lock(&worker->memory_lock);
		struct arena *arena = worker->arenas[i];
		pthread_mutex_unlock(&worker->memory_lock);
		if (!arena)
			continue;
		arena_give_all(arena, (uint64_t)context);
		drop_put_aside(worker, arena);
	}
	ipc_forget_context(worker, context);
}

/* --- peers --- */

/*
 * Memory of the peer's device becomes accessible from the current one. The backend's own call
 * covers its own allocations; the arena's are mapped device by device.
 */
static CUresult allow_peer(struct call *call, CUcontext peer, bool allow)
{
	CUdevice from, to;
	CUresult r = call->backend->cuCtxGetDevice(&from);

	r = r ?: call->backend->cuCtxGetDevice_v2(&to, peer);
	if (r != CUDA_SUCCESS)
		return r;
	struct arena *arena = memory_arena_of(call->worker, to);
	return arena ? arena_allow(arena, from, allow) : CUDA_SUCCESS;
}

bool memory_has_no_context(struct call *call, CUdeviceptr a, CUdeviceptr b)
{
	return memory_arena_at(call->worker, a) || memory_arena_at(call->worker, b);
}

/* Should it fail, the copy itself has the better error. */
static void open_to(struct arena *arena, CUdevice device)
{
	if (arena && arena_device(arena) != device)
		arena_allow(arena, device, true);
}

void memory_open(struct call *call, CUdeviceptr a, CUdeviceptr b)
{
	struct worker *worker = call->worker;
	CUdevice current;

	/* Relaxed: whoever names an address of an arena has it from an earlier call. */
	if (likely(!atomic_load_explicit(&worker->several_devices, memory_order_relaxed)) ||
	    call->backend->cuCtxGetDevice(&current) != CUDA_SUCCESS)
		return;
	struct arena *first = memory_arena_at(worker, a), *second = memory_arena_at(worker, b);
	open_to(first, current);
	open_to(second, current);
	if (first && second) {
		open_to(first, arena_device(second));
		open_to(second, arena_device(first));
	}
}

CUresult worker_cuCtxEnablePeerAccess(struct call *call, struct args_cuCtxEnablePeerAccess *a)
{
	return call->backend->cuCtxEnablePeerAccess(a->peer, a->flags)
		   ?: allow_peer(call, a->peer, true);
}

CUresult worker_cuCtxDisablePeerAccess(struct call *call, struct args_cuCtxDisablePeerAccess *a)
{
	return call->backend->cuCtxDisablePeerAccess(a->peer) ?: allow_peer(call, a->peer, false);
}

uint64_t worker_device_memory(struct worker *worker)
{
	uint64_t bytes =
	    worker->host->rosen_softgpu_memory ? worker->host->rosen_softgpu_memory() : 0;

	pthread_mutex_lock(&worker->memory_lock);
	for (unsigned i = 0; i < WIRE_DEVICES_MAX; i++)
		if (worker->arenas[i])
			bytes += arena_bytes(worker->arenas[i]);
	pthread_mutex_unlock(&worker->memory_lock);
	return bytes;
}

/* --- whose memory --- */

static bool in_window(CUdeviceptr address, size_t bytes)
{
	return address >= WIRE_DEVICE_WINDOW_BASE && bytes <= WIRE_DEVICE_WINDOW_SIZE &&
	       address - WIRE_DEVICE_WINDOW_BASE <= WIRE_DEVICE_WINDOW_SIZE - bytes;
}

static bool backend_says_device(struct call *call, CUdeviceptr address)
{
	CUmemorytype type = 0;

	return call->backend->cuPointerGetAttribute(
		   &type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address) == CUDA_SUCCESS &&
	       type == CU_MEMORYTYPE_DEVICE;
}

bool memory_is_device(struct call *call, CUdeviceptr address, size_t bytes)
{
	CUdeviceptr last;

	if (likely(in_window(address, bytes)) || !bytes)
		return true;
	if (__builtin_add_overflow(address, bytes - 1, &last))
		return false;
	return (backend_says_device(call, address) && backend_says_device(call, last)) ||
	       mirrors_cover(call->worker, address, bytes) ||
	       graph_memory_covers(call->worker, address, bytes);
}

bool memory_is_clients(struct call *call, CUdeviceptr address, size_t bytes)
{
	return segments_cover(call->worker->segments, address, bytes) ||
	       memory_is_device(call, address, bytes);
}

CUresult worker_cuMemGetAddressRange_v2(struct call *call, struct args_cuMemGetAddressRange_v2 *a)
{
	struct arena *arena = memory_arena_at(call->worker, a->address);
	CUdeviceptr base;
	size_t size;

	if (!arena)
		return call->backend->cuMemGetAddressRange_v2(a->base, a->bytes, a->address);
	if (!arena_find(arena, a->address, &base, &size))
		return CUDA_ERROR_NOT_FOUND;
	if (a->base)
		*a->base = base;
	if (a->bytes)
		*a->bytes = size;
	return CUDA_SUCCESS;
}

CUresult worker_cuPointerGetAttribute(struct call *call, struct args_cuPointerGetAttribute *a)
{
	size_t size = abi_pointer_attribute_size(a->attribute);
	uint64_t value[8] = {0}; /* more than any attribute takes */
	struct arena *arena = memory_arena_at(call->worker, a->address);
	CUdeviceptr base;
	size_t bytes;

	if (!memory_is_clients(call, a->address, 1))
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = call->backend->cuPointerGetAttribute(value, a->attribute, a->address);
	if (r != CUDA_SUCCESS)
		return r;
	/* Two words are tokens for other drivers of this machine, which are not the tenant's. */
	if (!size || size > sizeof(value[0]) || size > a->capacity)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (a->attribute == CU_POINTER_ATTRIBUTE_SYNC_MEMOPS && arena &&
	    arena_find(arena, a->address, &base, &bytes))
		value[0] = sync_memops_asked_for(call->worker, base);
	if (a->attribute == CU_POINTER_ATTRIBUTE_CONTEXT)
		value[0] = call_id_of(call, HANDLE_CONTEXT, value[0]);
	if (a->attribute == CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE)
		value[0] = call_id_of(call, HANDLE_POOL, value[0]);
	__builtin_memcpy(a->value, value, size);
	return call->error;
}

/* A handle's references beyond its first. */
struct retained {
	struct retained *next;
	CUmemGenericAllocationHandle handle;
	unsigned n;
};

/* With memory_lock held. */
static struct retained **find_retained(struct worker *worker, CUmemGenericAllocationHandle handle)
{
	struct retained **at = &worker->retained;

	while (*at && (*at)->handle != handle)
		at = &(*at)->next;
	return at;
}

static bool note_retained(struct worker *worker, CUmemGenericAllocationHandle handle)
{
	struct retained **at = find_retained(worker, handle);

	if (!*at)
		*at = calloc(1, sizeof(**at));
	if (!*at)
		return false;
	(*at)->handle = handle;
	(*at)->n++;
	return true;
}

CUresult worker_cuMemRetainAllocationHandle(
    struct call *call, struct args_cuMemRetainAllocationHandle *a)
{
	struct worker *worker = call->worker;
	bool noted = true;

	if (memory_arena_at(worker, a->address))
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&worker->memory_lock);
	CUresult r = call->backend->cuMemRetainAllocationHandle(a->handle, a->address);
	if (r == CUDA_SUCCESS &&
	    handles_id_of(worker->handles, HANDLE_ALLOCATION, (uint64_t)*a->handle))
		noted = note_retained(worker, *a->handle);
	pthread_mutex_unlock(&worker->memory_lock);
	if (noted)
		return r;
	call->backend->cuMemRelease(*a->handle);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult worker_cuMemRelease(struct call *call, struct args_cuMemRelease *a)
{
	struct worker *worker = call->worker;
	CUmemGenericAllocationHandle handle = call_handle(call, HANDLE_ALLOCATION, a->id);

	if (!handle)
		return call->error ?: CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&worker->memory_lock);
	CUresult r = call->backend->cuMemRelease(handle);
	struct retained **at = find_retained(worker, handle), *retained = *at;
	*a->last = !retained;
	if (r == CUDA_SUCCESS && !retained)
		handles_forget(worker->handles, HANDLE_ALLOCATION, a->id);
	if (r == CUDA_SUCCESS && retained && !--retained->n) {
		*at = retained->next;
		free(retained);
	}
	pthread_mutex_unlock(&worker->memory_lock);
	return r;
}

void memory_forget_retained(struct worker *worker)
{
	struct retained *next;

	for (struct retained *retained = worker->retained; retained; retained = next) {
		next = retained->next;
		free(retained);
	}
	worker->retained = NULL;
}
