/*
 * Green contexts. What the shim keeps of one is its device, its number and the CUcontext that it
 * may have become; such a context is then known to context.c like any other, and its id is the
 * client's. The backend retains the primary context for as long as a green one lives: so does the
 * shim, which counts the retains.
 *
 * Contexts that the shim never made may also come from the worker, as what a stream belongs to.
 */
#include <pthread.h>
#include <stdlib.h>

#include "abi/context_storage.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/context.h"
#include "shim/object.h"
#include "shim/thread.h"

/* Attached to the id. */
struct green {
	CUdevice device;
	uint64_t number;
	CUcontext context; /* NULL: not made yet; under lock */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct green *find(CUgreenCtx context)
{
	return shim_object((uint64_t)context, HANDLE_GREENCTX);
}

static CUresult attach(CUgreenCtx context, CUdevice device)
{
	struct green *green = malloc(sizeof(*green));

	if (!green)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*green = (struct green){.device = device, .number = context_number()};
	if (shim_object_attach((uint64_t)context, HANDLE_GREENCTX, green) == green)
		return CUDA_SUCCESS;
	free(green);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult shim_cuGreenCtxCreate(
    CUgreenCtx *context, CUdevResourceDesc descriptor, CUdevice device, unsigned flags)
{
	CUcontext primary;
	CUresult r = shim_cuDevicePrimaryCtxRetain(&primary, device);

	if (r != CUDA_SUCCESS)
		return r;
	r = remote_cuGreenCtxCreate(context, descriptor, device, flags);
	if (r == CUDA_SUCCESS) {
		r = attach(*context, device);
		if (r != CUDA_SUCCESS)
			remote_cuGreenCtxDestroy(*context, NULL);
	}
	if (r != CUDA_SUCCESS)
		shim_cuDevicePrimaryCtxRelease_v2(device);
	return r;
}

CUresult shim_cuGreenCtxDestroy(CUgreenCtx context)
{
	struct green *green = find(context);

	if (!green)
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&lock);
	CUcontext converted = green->context;
	pthread_mutex_unlock(&lock);
	CUdevice device = green->device;
	if (converted)
		abi_storage_drop(converted);
	CUresult r = remote_cuGreenCtxDestroy(context, converted);
	if (r != CUDA_SUCCESS)
		return r;
	if (converted)
		context_ended(converted);
	return shim_cuDevicePrimaryCtxRelease_v2(device);
}

CUresult shim_cuCtxFromGreenCtx(CUcontext *context, CUgreenCtx handle)
{
	struct green *green = find(handle);
	CUresult r = CUDA_SUCCESS;

	if (!green)
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&lock);
	if (!green->context) {
		CUcontext made;
		r = remote_cuCtxFromGreenCtx(&made, handle)
			?: context_adopt(made, green->device, green->number);
		if (r == CUDA_SUCCESS)
			green->context = made;
	}
	if (r == CUDA_SUCCESS)
		*context = green->context;
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult shim_cuGreenCtxGetId(CUgreenCtx handle, unsigned long long *id)
{
	struct green *green = handle ? find(handle) : NULL;
	CUcontext current = shim_thread.context;
	CUgreenCtx of_stream = NULL;
	CUcontext none;

	/* Of the current context: what the legacy stream belongs to then. */
	if (!handle && current &&
	    remote_cuStreamGetCtx_v2(CU_STREAM_LEGACY, &none, &of_stream) == CUDA_SUCCESS)
		green = of_stream ? find(of_stream) : NULL;
	if (!green)
		return CUDA_ERROR_INVALID_CONTEXT;
	*id = green->number;
	return CUDA_SUCCESS;
}

/* --- what a stream belongs to --- */

/* Makes a context known that the worker named. */
static CUresult note(CUstream stream, CUcontext context)
{
	CUdevice device;

	if (!context || context_device(context, &device))
		return CUDA_SUCCESS;
	CUresult r = remote_cuStreamGetDevice(stream, &device);
	return r ?: context_adopt(context, device, context_number());
}

CUresult shim_cuStreamGetCtx(CUstream stream, CUcontext *context)
{
	CUresult r = remote_cuStreamGetCtx(stream, context);

	return r ?: note(stream, *context);
}

CUresult shim_cuStreamGetCtx_v2(CUstream stream, CUcontext *context, CUgreenCtx *green)
{
	CUcontext of;
	CUgreenCtx of_green;
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	if (context || green)
		r = remote_cuStreamGetCtx_v2(stream, &of, &of_green) ?: note(stream, of);
	if (r != CUDA_SUCCESS)
		return r;
	if (context)
		*context = of;
	if (green)
		*green = of_green;
	return CUDA_SUCCESS;
}
