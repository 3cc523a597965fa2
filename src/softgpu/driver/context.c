/*
 * Contexts: their life, each thread's stack of current ones, and the checks at every entry.
 *
 * A thread's stack holds handles, not pointers, so a context that another thread destroys is
 * noticed at the next use. Contexts other than the primary are freed when destroyed; using one from
 * another thread at that moment is the program's mistake, as in CUDA.
 */
#include "softgpu/driver/driver.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "abi/context_storage.h"
#include "abi/managed.h"
#include "base/error.h"
#include "base/log.h"
#include "base/util.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/memory.h"
#include "softgpu/driver/module.h"
#include "softgpu/driver/stream.h"
#include "softgpu/driver/texture.h"

#define CONTEXT_STACK_MAX  64
#define CONTEXT_FLAGS_KEPT (CU_CTX_FLAGS_MASK)

_Thread_local bool sg_in_callback;

static _Thread_local CUcontext context_stack[CONTEXT_STACK_MAX];
static _Thread_local unsigned context_depth;

static pthread_mutex_t context_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sg_context primary_context;
static atomic_uint_fast64_t context_next_id = 1;
static _Atomic(bool) driver_initialized;

/* ---- entry checks ---- */

bool sg_is_initialized(void)
{
	/* Acquire: what cuInit() set up is visible. */
	return atomic_load_explicit(&driver_initialized, memory_order_acquire);
}

void sg_set_initialized(bool value)
{
	atomic_store_explicit(&driver_initialized, value, memory_order_release);
}

CUresult sg_enter(void)
{
	if (unlikely(!sg_is_initialized()))
		return CUDA_ERROR_NOT_INITIALIZED;
	return unlikely(sg_in_callback) ? CUDA_ERROR_NOT_PERMITTED : CUDA_SUCCESS;
}

CUcontext sg_context_current_handle(void)
{
	return context_depth ? context_stack[context_depth - 1] : NULL;
}

CUresult sg_context_get(CUcontext handle, struct sg_context **context)
{
	if (!handle)
		handle = sg_context_current_handle();
	if (!handle)
		return CUDA_ERROR_INVALID_CONTEXT;
	*context = sg_handle_get(handle, SG_CONTEXT);
	if (!*context)
		return handle == sg_context_current_handle() ? CUDA_ERROR_CONTEXT_IS_DESTROYED
							     : CUDA_ERROR_INVALID_CONTEXT;
	return atomic_load_explicit(&(*context)->active, memory_order_acquire)
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

CUresult sg_enter_current(struct sg_context **context)
{
	CUresult r = sg_enter();

	return r == CUDA_SUCCESS ? sg_context_get(NULL, context) : r;
}

CUresult sg_enter_named(CUcontext handle, struct sg_context **context)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	return handle ? sg_context_get(handle, context) : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult sg_enter_context(struct sg_context **context)
{
	CUresult r = sg_enter_current(context);

	return r == CUDA_SUCCESS ? atomic_load_explicit(&(*context)->error, memory_order_relaxed)
				 : r;
}

void sg_context_fail(struct sg_context *context, CUresult error)
{
	CUresult none = CUDA_SUCCESS;

	/* Relaxed: the code is all there is to see. */
	atomic_compare_exchange_strong_explicit(
	    &context->error, &none, error, memory_order_relaxed, memory_order_relaxed);
}

/* ---- life ---- */

int sg_context_init(void)
{
	primary_context.is_primary = true;
	primary_context.handle = sg_handle_new(SG_CONTEXT, &primary_context);
	return primary_context.handle ? 0 : error_origin(-ENOMEM);
}

struct sg_context *sg_context_primary(void)
{
	return &primary_context;
}

static void context_set_limits(struct sg_context *context)
{
	memset(context->limits, 0, sizeof(context->limits));
	context->limits[CU_LIMIT_STACK_SIZE] = 1024;
	context->limits[CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20;
	context->limits[CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20;
	context->limits[CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = 2048;
	context->limits[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64;
	context->limits[CU_LIMIT_SHMEM_SIZE] =
	    (size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
}

static CUresult context_activate(struct sg_context *context)
{
	context->id = atomic_fetch_add_explicit(&context_next_id, 1, memory_order_relaxed);
	atomic_store_explicit(&context->error, CUDA_SUCCESS, memory_order_relaxed);
	atomic_store_explicit(&context->stop, 0, memory_order_relaxed);
	context->cache_config = CU_FUNC_CACHE_PREFER_NONE;
	context->shared_config = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
	context_set_limits(context);
	context->legacy = sg_stream_new(context, CU_STREAM_DEFAULT, 0);
	if (!context->legacy)
		return CUDA_ERROR_OUT_OF_MEMORY;
	/* Release: pairs with the acquire in sg_context_get(). */
	atomic_store_explicit(&context->active, true, memory_order_release);
	return CUDA_SUCCESS;
}

static void context_range_gone(const struct sg_range *range)
{
	if (range->kind == SG_RANGE_MANAGED)
		managed_remove(range->address);
	sg_pool_range_gone(range);
}

/* Ends everything that lives in the context. Running kernels are stopped, not waited for. */
static void context_deactivate(struct sg_context *context)
{
	abi_storage_drop(context->handle);
	atomic_store_explicit(&context->active, false, memory_order_release);
	/* Relaxed: a flag that is polled. */
	atomic_store_explicit(&context->stop, 1, memory_order_relaxed);
	sg_stream_free_all(context);
	sg_module_unload_all(context);
	sg_registration_drop(context->id);
	sg_texture_drop(context->id);
	sg_arena_free_context(context->id, context_range_gone);
}

/* ---- the primary context ---- */

static CUresult primary_enter(CUdevice device)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && device != 0)
		r = CUDA_ERROR_INVALID_DEVICE;
	return r;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *handle, CUdevice device)
{
	CUresult r = primary_enter(device);

	if (r == CUDA_SUCCESS && !handle)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&context_lock);
	/* After a reset it is retained still, but inactive. */
	if (!atomic_load_explicit(&primary_context.active, memory_order_relaxed))
		r = context_activate(&primary_context);
	if (r == CUDA_SUCCESS) {
		primary_context.retained++;
		*handle = primary_context.handle;
	}
	pthread_mutex_unlock(&context_lock);
	return r;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
	CUresult r = primary_enter(device);
	bool last = false;

	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&context_lock);
	if (!primary_context.retained)
		r = CUDA_ERROR_INVALID_CONTEXT;
	else
		last = --primary_context.retained == 0 && primary_context.active;
	pthread_mutex_unlock(&context_lock);
	/* Without the lock: destructors of context-local storage call back into the driver. */
	if (last)
		context_deactivate(&primary_context);
	return r;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
	CUresult r = cuDevicePrimaryCtxRelease_v2(device);

	return r == CUDA_ERROR_INVALID_CONTEXT ? CUDA_SUCCESS : r; /* nobody had retained it */
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device)
{
	CUresult r = primary_enter(device);

	if (r != CUDA_SUCCESS)
		return r;
	if (atomic_load_explicit(&primary_context.active, memory_order_acquire))
		context_deactivate(&primary_context);
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset(CUdevice device)
{
	return cuDevicePrimaryCtxReset_v2(device);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active)
{
	CUresult r = primary_enter(device);

	if (r == CUDA_SUCCESS && (!flags || !active))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	*flags = primary_context.flags;
	*active = atomic_load_explicit(&primary_context.active, memory_order_acquire);
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags)
{
	CUresult r = primary_enter(device);

	if (r == CUDA_SUCCESS && (flags & ~(unsigned)CONTEXT_FLAGS_KEPT))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		primary_context.flags = flags;
	return r;
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags)
{
	return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

/* ---- the thread's stack ---- */

/* An inactive primary context may be made current: the runtime does so before it retains it. */
static CUresult context_check_settable(CUcontext handle)
{
	return !handle || sg_handle_get(handle, SG_CONTEXT) ? CUDA_SUCCESS
							    : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuCtxGetCurrent(CUcontext *handle)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && !handle)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*handle = sg_context_current_handle();
	return r;
}

CUresult cuCtxSetCurrent(CUcontext handle)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS)
		r = context_check_settable(handle);
	if (r != CUDA_SUCCESS)
		return r;
	if (context_depth)
		context_depth--;
	if (handle)
		context_stack[context_depth++] = handle;
	return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext handle)
{
	CUresult r = sg_enter_given(handle);

	if (r != CUDA_SUCCESS)
		return r;
	if (context_check_settable(handle) != CUDA_SUCCESS)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (context_depth == CONTEXT_STACK_MAX)
		return CUDA_ERROR_OUT_OF_MEMORY;
	context_stack[context_depth++] = handle;
	return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext handle)
{
	return cuCtxPushCurrent_v2(handle);
}

CUresult cuCtxPopCurrent_v2(CUcontext *handle)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	if (!context_depth)
		return CUDA_ERROR_INVALID_CONTEXT;
	context_depth--;
	if (handle)
		*handle = context_stack[context_depth];
	return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *handle)
{
	return cuCtxPopCurrent_v2(handle);
}

/* ---- other contexts ---- */

CUresult sg_enter_narrow(void)
{
	struct sg_context *context;
	CUresult r = sg_enter_current(&context);

	return r == CUDA_SUCCESS && !context->narrow ? CUDA_ERROR_INVALID_CONTEXT : r;
}

struct sg_context *sg_context_make(unsigned flags)
{
	struct sg_context *context = calloc(1, sizeof(*context));

	if (!context)
		return NULL;
	context->flags = flags;
	context->users = 1;
	context->handle = sg_handle_new(SG_CONTEXT, context);
	if (context->handle && context_activate(context) == CUDA_SUCCESS)
		return context;
	sg_handle_free(context->handle);
	free(context);
	return NULL;
}

void sg_context_end(struct sg_context *context)
{
	context_deactivate(context);
	if (sg_context_current_handle() == context->handle)
		context_depth--;
	sg_handle_free(context->handle);
	free(context);
}

CUresult cuCtxCreate_v2(CUcontext *handle, unsigned flags, CUdevice device)
{
	CUresult r = primary_enter(device);

	if (r == CUDA_SUCCESS && (!handle || (flags & ~(unsigned)CONTEXT_FLAGS_KEPT)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	if (context_depth == CONTEXT_STACK_MAX)
		return CUDA_ERROR_OUT_OF_MEMORY;
	struct sg_context *context = sg_context_make(flags);
	if (!context)
		return CUDA_ERROR_OUT_OF_MEMORY;
	context_stack[context_depth++] = context->handle;
	*handle = context->handle;
	return CUDA_SUCCESS;
}

CUresult cuCtxCreate(CUcontext *handle, unsigned flags, CUdevice device)
{
	CUresult r = cuCtxCreate_v2(handle, flags, device);

	if (r == CUDA_SUCCESS) {
		struct sg_context *context = sg_handle_get(*handle, SG_CONTEXT);
		context->narrow = true;
	}
	return r;
}

CUresult cuCtxCreate_v3(CUcontext *handle, const CUexecAffinityParam *affinity, int n_affinity,
    unsigned flags, CUdevice device)
{
	CUresult r = n_affinity ? primary_enter(device) : CUDA_SUCCESS;

	if (r == CUDA_SUCCESS && n_affinity)
		r = handle && affinity ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY
				       : CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	return cuCtxCreate_v2(handle, flags, device);
}

CUresult cuCtxCreate_v4(
    CUcontext *handle, CUctxCreateParams *parameters, unsigned flags, CUdevice device)
{
	if (parameters && parameters->numExecAffinityParams)
		return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
	if (parameters && parameters->cigParams)
		return CUDA_ERROR_NOT_SUPPORTED;
	return cuCtxCreate_v2(handle, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext handle)
{
	CUresult r = sg_enter_given(handle);

	if (r != CUDA_SUCCESS)
		return r;
	struct sg_context *context = sg_handle_get(handle, SG_CONTEXT);
	if (!context || context->is_primary || context->green)
		return CUDA_ERROR_INVALID_CONTEXT;
	sg_context_end(context);
	return CUDA_SUCCESS;
}

CUresult cuCtxDestroy(CUcontext handle)
{
	return cuCtxDestroy_v2(handle);
}

/* ---- counted uses ---- */

CUresult cuCtxAttach(CUcontext *handle, unsigned flags)
{
	struct sg_context *context;
	CUresult r = sg_enter_current(&context);

	if (r != CUDA_SUCCESS)
		return r;
	if (!handle || flags)
		return CUDA_ERROR_INVALID_VALUE;
	atomic_fetch_add(&context->users, 1);
	*handle = context->handle;
	return CUDA_SUCCESS;
}

CUresult cuCtxDetach(CUcontext handle)
{
	struct sg_context *context;
	CUresult r = sg_enter_current(&context);

	if (r != CUDA_SUCCESS)
		return r;
	if (context->handle != handle)
		return CUDA_ERROR_INVALID_CONTEXT;
	unsigned n = atomic_load(&context->users);
	do {
		if (!n)
			return CUDA_ERROR_INVALID_CONTEXT;
	} while (!atomic_compare_exchange_weak(&context->users, &n, n - 1));
	return n == 1 && !context->is_primary ? cuCtxDestroy_v2(handle) : CUDA_SUCCESS;
}
