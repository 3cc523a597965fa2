/*
 * Contexts. The stack of current contexts is thread-local and never leaves the process; the worker
 * hears of the top through rosenLaneState when a call is about to leave (call.c).
 *
 * A primary context has a fixed id from the start. Retaining is counted here and only the first
 * retain and the last release cross; flags and activity are answered from here, since nobody else
 * shares the worker's contexts. Changes take one mutex, questions read atomics.
 *
 * When a context ends, what the CUDA runtime stored in it (abi/context_storage.h) is destroyed
 * first, as the driver does, with no lock held: the destructors call back into this library.
 */
#include "shim/context.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "abi/context_storage.h"
#include "abi/narrow.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/coredump.h"
#include "shim/device.h"
#include "shim/entry.h"
#include "shim/graph_change.h"
#include "shim/limit.h"
#include "shim/object.h"
#include "shim/range.h"
#include "shim/session.h"
#include "shim/thread.h"

/* Attached to the id of a context the program made. */
struct context {
	CUdevice device;
	uint64_t number;
	bool narrow;		  /* of cuCtxCreate as it was before CUDA 3.2 */
	_Atomic uint32_t users;	  /* creating is the first */
	_Atomic uint32_t version; /* of its API; 0: not asked yet */
};

static struct primary {
	_Atomic uint32_t retained;
	_Atomic uint32_t active; /* 0 or 1 */
	_Atomic uint32_t flags;
	_Atomic uint64_t number;  /* 0: not given yet */
	_Atomic uint32_t users;	  /* of cuCtxAttach */
	_Atomic uint32_t version; /* of its API; 0: not asked yet */
} primaries[WIRE_DEVICES_MAX];	  /* by visible ordinal */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t last_number;

CUcontext context_primary(CUdevice device)
{
	return (CUcontext)handle_primary_context(device_real(device));
}

static bool is_primary(CUcontext context)
{
	uint64_t id = (uint64_t)context;

	return !handle_by_worker(id) && handle_index(id) < WIRE_DEVICES_MAX &&
	       id == handle_primary_context((int)handle_index(id));
}

bool context_device(CUcontext context, CUdevice *device)
{
	uint64_t id = (uint64_t)context;

	if (is_primary(context)) {
		*device = device_visible((int)handle_index(id));
		return *device != CU_DEVICE_INVALID;
	}
	struct context *object = shim_object(id, HANDLE_CONTEXT);
	if (!object)
		return false;
	*device = object->device;
	return true;
}

CUresult context_id(CUcontext context, uint64_t *id)
{
	CUdevice device;
	uint64_t none = 0;

	if (!context)
		context = shim_thread.context;
	if (!context_device(context, &device))
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!is_primary(context)) {
		struct context *object = shim_object((uint64_t)context, HANDLE_CONTEXT);
		*id = object ? object->number : 0;
		return object ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
	}
	_Atomic uint64_t *number = &primaries[device].number;
	*id = atomic_load_explicit(number, memory_order_relaxed);
	if (!*id) {
		uint64_t fresh = context_number();
		*id = atomic_compare_exchange_strong(number, &none, fresh) ? fresh : none;
	}
	return CUDA_SUCCESS;
}

CUcontext context_current(void)
{
	return shim_thread.context;
}

/* --- primary contexts --- */

CUresult shim_cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
	CUresult r = CUDA_SUCCESS;

	if (!device_find(device))
		return CUDA_ERROR_INVALID_DEVICE;
	struct primary *p = &primaries[device];
	pthread_mutex_lock(&lock);
	if (!p->active)
		r = remote_cuDevicePrimaryCtxRetain(device);
	if (r == CUDA_SUCCESS) {
		p->active = 1;
		p->retained++;
		*context = context_primary(device);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

/* What lived in the context is gone in the worker; forget it here. */
static void forget_contents(CUcontext context)
{
	range_drop_context(context);
	limit_forget(context);
	graph_changes_forget();
	shim_context_ended(context);
}

CUresult shim_cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
	CUresult r = CUDA_SUCCESS;

	if (!device_find(device))
		return CUDA_ERROR_INVALID_DEVICE;
	struct primary *p = &primaries[device];
	pthread_mutex_lock(&lock);
	if (!p->retained)
		r = CUDA_ERROR_INVALID_CONTEXT;
	bool last = r == CUDA_SUCCESS && p->retained == 1 && p->active;
	pthread_mutex_unlock(&lock);
	if (r != CUDA_SUCCESS)
		return r;
	if (last)
		abi_storage_drop(context_primary(device));

	pthread_mutex_lock(&lock);
	if (p->retained && --p->retained == 0 && p->active) {
		r = remote_cuDevicePrimaryCtxRelease_v2(device);
		p->active = 0;
		p->number = 0;
		forget_contents(context_primary(device));
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult shim_cuDevicePrimaryCtxRelease(CUdevice device)
{
	CUresult r = shim_cuDevicePrimaryCtxRelease_v2(device);

	return r == CUDA_ERROR_INVALID_CONTEXT ? CUDA_SUCCESS : r;
}

CUresult shim_cuDevicePrimaryCtxReset_v2(CUdevice device)
{
	CUresult r = CUDA_SUCCESS;

	if (!device_find(device))
		return CUDA_ERROR_INVALID_DEVICE;
	struct primary *p = &primaries[device];
	if (!p->active)
		return CUDA_SUCCESS;
	abi_storage_drop(context_primary(device));
	pthread_mutex_lock(&lock);
	if (p->active) {
		r = remote_cuDevicePrimaryCtxReset_v2(device);
		p->active = 0;
		p->number = 0;
		p->flags = 0;
		forget_contents(context_primary(device));
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult shim_cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags)
{
	if (!device_find(device))
		return CUDA_ERROR_INVALID_DEVICE;
	CUresult r = remote_cuDevicePrimaryCtxSetFlags_v2(device, flags);
	if (r == CUDA_SUCCESS)
		primaries[device].flags = flags;
	return r;
}

CUresult shim_cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active)
{
	if (!device_find(device))
		return CUDA_ERROR_INVALID_DEVICE;
	*flags = atomic_load_explicit(&primaries[device].flags, memory_order_relaxed);
	*active = (int)atomic_load_explicit(&primaries[device].active, memory_order_relaxed);
	return CUDA_SUCCESS;
}

/* --- the thread's stack --- */

static CUcontext *stack_of(struct shim_thread *thread)
{
	return thread->stack ?: thread->inline_stack;
}

static CUresult push(CUcontext context, CUdevice device)
{
	struct shim_thread *thread = &shim_thread;
	uint32_t capacity = thread->stack ? thread->capacity : THREAD_CONTEXTS_INLINE;

	if (thread->depth == capacity) {
		CUcontext *grown = realloc(thread->stack, 2 * capacity * sizeof(*grown));
		if (!grown)
			return CUDA_ERROR_OUT_OF_MEMORY;
		if (!thread->stack)
			memcpy(grown, thread->inline_stack, sizeof(thread->inline_stack));
		thread->stack = grown;
		thread->capacity = 2 * capacity;
		shim_thread_watch();
	}
	stack_of(thread)[thread->depth++] = context;
	thread->context = context;
	thread->device = device;
	return CUDA_SUCCESS;
}

/* The stack's top decides what is current; one whose context was destroyed is not. */
static void settle(struct shim_thread *thread)
{
	thread->context = thread->depth ? stack_of(thread)[thread->depth - 1] : NULL;
	if (thread->context && !context_device(thread->context, &thread->device))
		thread->context = NULL;
}

CUresult shim_cuCtxPushCurrent_v2(CUcontext context)
{
	CUdevice device;

	if (!context)
		return CUDA_ERROR_INVALID_VALUE;
	if (!context_device(context, &device))
		return CUDA_ERROR_INVALID_CONTEXT;
	return push(context, device);
}

CUresult shim_cuCtxPopCurrent_v2(CUcontext *context)
{
	struct shim_thread *thread = &shim_thread;

	if (!thread->depth)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (context)
		*context = thread->context;
	thread->depth--;
	settle(thread);
	return CUDA_SUCCESS;
}

CUresult shim_cuCtxSetCurrent(CUcontext context)
{
	struct shim_thread *thread = &shim_thread;
	CUdevice device;

	if (!context) {
		if (thread->depth)
			thread->depth--;
		settle(thread);
		return CUDA_SUCCESS;
	}
	if (context == thread->context)
		return CUDA_SUCCESS;
	if (!context_device(context, &device))
		return CUDA_ERROR_INVALID_CONTEXT;
	if (thread->depth)
		thread->depth--;
	return push(context, device);
}

CUresult shim_cuCtxGetCurrent(CUcontext *context)
{
	*context = shim_thread.context;
	return CUDA_SUCCESS;
}

CUresult shim_cuCtxGetDevice(CUdevice *device)
{
	struct shim_thread *thread = &shim_thread;

	if (!thread->context)
		return CUDA_ERROR_INVALID_CONTEXT;
	*device = thread->device;
	return CUDA_SUCCESS;
}

CUresult shim_cuCtxGetDevice_v2(CUdevice *device, CUcontext context)
{
	if (!context || context == shim_thread.context)
		return shim_cuCtxGetDevice(device);
	return context_device(context, device) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult shim_cuCtxGetId(CUcontext context, unsigned long long *id)
{
	uint64_t number;
	CUresult r = context_id(context, &number);

	if (r == CUDA_SUCCESS)
		*id = number;
	return r;
}

/* --- contexts the program makes --- */

uint64_t context_number(void)
{
	return atomic_fetch_add(&last_number, 1) + 1;
}

CUresult context_adopt(CUcontext context, CUdevice device, uint64_t number)
{
	struct context *object = malloc(sizeof(*object));

	if (!object)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*object = (struct context){.device = device, .number = number, .users = 1};
	struct context *known = shim_object_attach((uint64_t)context, HANDLE_CONTEXT, object);
	if (known != object)
		free(object);
	return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult created(CUresult r, CUcontext context, CUdevice device, CUcontext *out)
{
	if (r != CUDA_SUCCESS)
		return r;
	r = context_adopt(context, device, context_number()) ?: push(context, device);
	if (r == CUDA_SUCCESS)
		*out = context;
	else
		remote_cuCtxDestroy_v2(context);
	return r;
}

CUresult shim_cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device)
{
	CUcontext made;

	if (!device_find(device))
		return CUDA_ERROR_INVALID_DEVICE;
	CUresult r = remote_cuCtxCreate_v2(&made, flags, device);
	return created(r, made, device, context);
}

CUresult shim_cuCtxCreate(CUcontext *context, unsigned flags, CUdevice device)
{
	CUresult r = shim_cuCtxCreate_v2(context, flags, device);

	if (r == CUDA_SUCCESS) {
		struct context *object = shim_object((uint64_t)*context, HANDLE_CONTEXT);
		object->narrow = true;
	}
	return r;
}

/* NULL for a primary one, and for what is none. */
static struct context *made_by_program(CUcontext context)
{
	return is_primary(context) ? NULL : shim_object((uint64_t)context, HANDLE_CONTEXT);
}

/* Where a context's version is remembered; NULL: it is not active. */
static _Atomic uint32_t *version_of(CUcontext context)
{
	CUdevice device;

	if (is_primary(context) && context_device(context, &device))
		return primaries[device].active ? &primaries[device].version : NULL;
	struct context *object = made_by_program(context);
	return object ? &object->version : NULL;
}

/* The runtime asks in every new thread, which would else wait for all that the others have sent. */
CUresult shim_cuCtxGetApiVersion(CUcontext context, unsigned *version)
{
	CUcontext asked = context ?: shim_thread.context;
	const struct context *object = made_by_program(asked);
	_Atomic uint32_t *known = session.cache && shim_call_usable() ? version_of(asked) : NULL;

	if (object && object->narrow) {
		*version = NARROW_API_VERSION;
		return CUDA_SUCCESS;
	}
	/* Relaxed: the number is all there is to it. */
	uint32_t before = known ? atomic_load_explicit(known, memory_order_relaxed) : 0;
	if (before) {
		*version = before;
		return CUDA_SUCCESS;
	}
	CUresult r = remote_cuCtxGetApiVersion(context, version);
	if (r == CUDA_SUCCESS && known)
		atomic_store_explicit(known, *version, memory_order_relaxed);
	return r;
}

CUresult shim_enter_narrow(void)
{
	const struct context *object = made_by_program(shim_thread.context);

	return object && object->narrow ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult shim_cuCtxCreate_v3(CUcontext *context, const CUexecAffinityParam *affinity, int count,
    unsigned flags, CUdevice device)
{
	CUcontext made;

	if (!device_find(device))
		return CUDA_ERROR_INVALID_DEVICE;
	if (count < 0 || (count && !affinity))
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = remote_cuCtxCreate_v3(&made, affinity, count, flags, device);
	return created(r, made, device, context);
}

CUresult shim_cuCtxCreate_v4(
    CUcontext *context, CUctxCreateParams *parameters, unsigned flags, CUdevice device)
{
	CUcontext made;

	if (!device_find(device))
		return CUDA_ERROR_INVALID_DEVICE;
	if (parameters && parameters->cigParams)
		return CUDA_ERROR_NOT_SUPPORTED;
	CUresult r =
	    remote_cuCtxCreate_v4(&made, parameters ? parameters->execAffinityParams : NULL,
		parameters ? parameters->numExecAffinityParams : 0, flags, device);
	return created(r, made, device, context);
}

void context_ended(CUcontext context)
{
	struct shim_thread *thread = &shim_thread;

	limit_forget(context);
	coredump_forget(context);
	graph_changes_forget();
	shim_context_ended(context);
	if (thread->context == context) {
		thread->depth--;
		settle(thread);
	}
}

CUresult shim_cuCtxDestroy_v2(CUcontext context)
{
	CUdevice device;

	if (!context)
		return CUDA_ERROR_INVALID_VALUE;
	if (is_primary(context) || !context_device(context, &device))
		return CUDA_ERROR_INVALID_CONTEXT;
	abi_storage_drop(context);
	CUresult r = remote_cuCtxDestroy_v2(context);
	if (r != CUDA_SUCCESS)
		return r;
	range_drop_context(context);
	context_ended(context);
	return CUDA_SUCCESS;
}

/* --- counted uses --- */

static _Atomic uint32_t *users_of(CUcontext context)
{
	struct context *object = made_by_program(context);

	return object ? &object->users : &primaries[shim_thread.device].users;
}

CUresult shim_cuCtxAttach(CUcontext *context, unsigned flags)
{
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (!shim_thread.context)
		return CUDA_ERROR_INVALID_CONTEXT;
	*context = shim_thread.context;
	atomic_fetch_add(users_of(*context), 1);
	return CUDA_SUCCESS;
}

CUresult shim_cuCtxDetach(CUcontext context)
{
	if (!context || context != shim_thread.context)
		return CUDA_ERROR_INVALID_CONTEXT;
	_Atomic uint32_t *users = users_of(context);
	uint32_t n = atomic_load(users);
	do {
		if (!n)
			return CUDA_ERROR_INVALID_CONTEXT;
	} while (!atomic_compare_exchange_weak(users, &n, n - 1));
	return n == 1 && !is_primary(context) ? shim_cuCtxDestroy_v2(context) : CUDA_SUCCESS;
}
