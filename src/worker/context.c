/*
 * Contexts. The client's threads have current contexts; the worker's threads take them over call by
 * call (lane.c), so making a context must not leave it current on whatever thread made it. A
 * device's primary context is known by its fixed id from the start; here it becomes alive, and
 * again nothing.
 *
 * A worker that was warmed holds one primary context of its own before the client asks for any.
 * The client must notice nothing of that except the time saved. So the client's first retain of
 * that context takes the worker's over, and the count is the client's alone; before any call that
 * makes another context the worker releases its own, memory and all.
 *
 * When a context ends its streams, functions and memory end with it. What the worker keeps by
 * itself is dropped here: per-thread streams and arena memory. Ids of the context's objects are
 * ended by the client, which knows them; a stale one is then a stale handle to the backend, as it
 * would be without Rosen.
 */
#include "gen/worker_custom.h"
#include "worker/gpu_time.h"
#include "worker/graph_host.h"
#include "worker/graph_model.h"
#include "worker/idle.h"
#include "worker/layout.h"
#include "worker/memory.h"
#include "worker/mirror.h"
#include "worker/prints.h"
#include "worker/staging.h"
#include "worker/worker.h"

static void context_ended(struct worker *worker, CUcontext context)
{
	memory_forget_context(worker, context);
	prints_forget(worker);
	layouts_forget(worker->layouts);
	graph_models_forget_context(worker, context);
	graph_hosts_forget_context(worker, context);
	gpu_time_forget_context(worker, context);
	idle_context_ended(worker);
	lanes_forget_context(worker, context);
	lane_left();
}

/* --- primary contexts --- */

static bool is_warm(struct worker *worker, CUdevice device)
{
	return device >= 0 && worker->warm == 1u + (unsigned)device;
}

static void release_warm(struct worker *worker)
{
	unsigned warm = atomic_exchange(&worker->warm, 0);

	if (warm)
		worker->backend->cuDevicePrimaryCtxRelease_v2((CUdevice)(warm - 1));
}

CUresult worker_cuDevicePrimaryCtxRetain(struct call *call, struct args_cuDevicePrimaryCtxRetain *a)
{
	uint64_t id = handle_primary_context(a->device);
	CUcontext context;

	if (!is_warm(call->worker, a->device))
		release_warm(call->worker);
	CUresult r = call->backend->cuDevicePrimaryCtxRetain(&context, a->device);
	if (r != CUDA_SUCCESS)
		return r;
	release_warm(call->worker);
	if (handles_find(call->worker->handles, HANDLE_CONTEXT, id) == (uint64_t)context)
		return CUDA_SUCCESS;
	call_forget(call, HANDLE_CONTEXT, id);
	r = call_adopt(call, HANDLE_CONTEXT, id, (uint64_t)context);
	if (r != CUDA_SUCCESS)
		call->backend->cuDevicePrimaryCtxRelease_v2(a->device);
	return r;
}

/* The primary context of a device is about to end, or to be emptied. */
static CUcontext primary(struct call *call, CUdevice device)
{
	return (CUcontext)handles_find(
	    call->worker->handles, HANDLE_CONTEXT, handle_primary_context(device));
}

CUresult worker_cuDevicePrimaryCtxRelease_v2(
    struct call *call, struct args_cuDevicePrimaryCtxRelease_v2 *a)
{
	CUcontext context = primary(call, a->device);

	staging_finish(call->worker);
	mirrors_suspend(call->worker, 0);
	CUresult r = call->backend->cuDevicePrimaryCtxRelease_v2(a->device);
	mirrors_resume(call, 0, context, r == CUDA_SUCCESS);
	if (r != CUDA_SUCCESS || !context)
		return r;
	call_forget(call, HANDLE_CONTEXT, handle_primary_context(a->device));
	context_ended(call->worker, context);
	return CUDA_SUCCESS;
}

CUresult worker_cuDevicePrimaryCtxReset_v2(
    struct call *call, struct args_cuDevicePrimaryCtxReset_v2 *a)
{
	CUcontext context = primary(call, a->device);

	staging_finish(call->worker);
	mirrors_suspend(call->worker, 0);
	CUresult r = call->backend->cuDevicePrimaryCtxReset_v2(a->device);
	mirrors_resume(call, 0, context, r == CUDA_SUCCESS);
	if (r == CUDA_SUCCESS && context)
		context_ended(call->worker, context);
	return r;
}

/* Older drivers take flags only before the context is there. */
CUresult worker_cuDevicePrimaryCtxSetFlags_v2(
    struct call *call, struct args_cuDevicePrimaryCtxSetFlags_v2 *a)
{
	CUresult r = call->backend->cuDevicePrimaryCtxSetFlags_v2(a->device, a->flags);

	if (r != CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE || !is_warm(call->worker, a->device))
		return r;
	release_warm(call->worker);
	return call->backend->cuDevicePrimaryCtxSetFlags_v2(a->device, a->flags);
}

/* --- contexts of the program's own --- */

/* The backend made the new context current here: take it off again. */
static CUresult context_made(struct call *call, CUresult made)
{
	CUcontext popped;

	if (made == CUDA_SUCCESS) {
		call->backend->cuCtxPopCurrent_v2(&popped);
		lanes_forget_context(call->worker, NULL);
	}
	lane_left();
	return made;
}

CUresult worker_cuCtxCreate_v2(struct call *call, struct args_cuCtxCreate_v2 *a)
{
	release_warm(call->worker);
	return context_made(call, call->backend->cuCtxCreate_v2(a->context, a->flags, a->device));
}

CUresult worker_cuCtxCreate_v3(struct call *call, struct args_cuCtxCreate_v3 *a)
{
	CUexecAffinityParam *affinity = (CUexecAffinityParam *)a->affinity; /* only read */

	release_warm(call->worker);
	return context_made(call, call->backend->cuCtxCreate_v3(a->context, affinity,
				      affinity ? a->count : 0, a->flags, a->device));
}

CUresult worker_cuCtxCreate_v4(struct call *call, struct args_cuCtxCreate_v4 *a)
{
	CUctxCreateParams parameters = {
	    .execAffinityParams = (CUexecAffinityParam *)a->affinity, /* only read */
	    .numExecAffinityParams = a->count,
	};

	release_warm(call->worker);
	return context_made(call, call->backend->cuCtxCreate_v4(a->context,
				      a->affinity ? &parameters : NULL, a->flags, a->device));
}

CUresult worker_cuCtxDestroy_v2(struct call *call, struct args_cuCtxDestroy_v2 *a)
{
	if (!a->context)
		return CUDA_ERROR_INVALID_CONTEXT;
	staging_finish(call->worker);
	mirrors_suspend(call->worker, 0);
	CUresult r = call->backend->cuCtxDestroy_v2(a->context);
	mirrors_resume(call, 0, a->context, r == CUDA_SUCCESS);
	if (r == CUDA_SUCCESS)
		context_ended(call->worker, a->context);
	return r;
}

/* --- green contexts --- */

CUresult worker_cuDevResourceGenerateDesc(
    struct call *call, struct args_cuDevResourceGenerateDesc *a)
{
	if (!a->count)
		return CUDA_ERROR_INVALID_VALUE;
	return call->backend->cuDevResourceGenerateDesc(a->descriptor, a->resources, a->count);
}

CUresult worker_cuCtxFromGreenCtx(struct call *call, struct args_cuCtxFromGreenCtx *a)
{
	return call->backend->cuCtxFromGreenCtx(a->context, a->green);
}

CUresult worker_cuGreenCtxDestroy(struct call *call, struct args_cuGreenCtxDestroy *a)
{
	CUresult r = call->backend->cuGreenCtxDestroy(a->context);

	/* Memory made in it is its primary context's, and stays. */
	if (r == CUDA_SUCCESS && a->converted) {
		lanes_forget_context(call->worker, a->converted);
		lane_left();
	}
	return r;
}
