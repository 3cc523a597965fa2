/*
 * Functions and kernels: names, and what a launch must know of them. A kernel may stand wherever a
 * function is expected; where the backend insists on one of the two, the other form is tried, since
 * an id does not say which the program holds.
 */
#include "worker/function.h"

#include <string.h>

#include "gen/worker_custom.h"
#include "worker/worker.h"

static CUresult give_name(const char *found, char *name, size_t capacity, size_t *length)
{
	*length = strlen(found);
	memcpy(name, found, MIN(*length, capacity));
	return CUDA_SUCCESS;
}

CUresult worker_cuFuncGetName(struct call *call, struct args_cuFuncGetName *a)
{
	const char *found = NULL;
	CUresult r = call->backend->cuFuncGetName(&found, a->function);

	return r ?: give_name(found, a->name, a->capacity, a->length);
}

CUresult worker_cuKernelGetName(struct call *call, struct args_cuKernelGetName *a)
{
	const char *found = NULL;
	CUresult r = call->backend->cuKernelGetName(&found, a->kernel);

	return r ?: give_name(found, a->name, a->capacity, a->length);
}

CUresult function_parameter(
    struct call *call, CUfunction function, size_t index, size_t *offset, size_t *bytes)
{
	CUresult r = call->backend->cuFuncGetParamInfo(function, index, offset, bytes);

	if (r == CUDA_ERROR_INVALID_HANDLE)
		r = call->backend->cuKernelGetParamInfo((CUkernel)function, index, offset, bytes);
	return r;
}

static CUresult attribute(
    struct call *call, CUfunction function, CUfunction_attribute which, int *value)
{
	CUdevice device;
	CUresult r = call->backend->cuFuncGetAttribute(value, which, function);

	if (r != CUDA_ERROR_INVALID_HANDLE)
		return r;
	return call->backend->cuCtxGetDevice(&device)
		   ?: call->backend->cuKernelGetAttribute(value, which, (CUkernel)function, device);
}

CUresult worker_cuFuncSetBlockShape(struct call *call, struct args_cuFuncSetBlockShape *a)
{
	if (handle_kind_of(a->function) != HANDLE_FUNCTION)
		return CUDA_ERROR_INVALID_HANDLE;
	CUfunction function = (CUfunction)call_handle(call, HANDLE_FUNCTION, a->function);

	return call->error ?: call->backend->cuFuncSetBlockShape(function, a->x, a->y, a->z);
}

CUresult worker_rosenFunctionInfo(struct call *call, struct args_rosenFunctionInfo *a)
{
	size_t offset = 0, bytes = 0;
	unsigned n = 0;
	CUresult r;

	while ((r = function_parameter(call, a->function, n, &offset, &bytes)) == CUDA_SUCCESS) {
		if (offset > UINT32_MAX || bytes > UINT32_MAX || n == WIRE_PARAMETERS_MAX)
			return CUDA_ERROR_NOT_SUPPORTED;
		if (n < a->capacity)
			a->layout[n] = (uint64_t)bytes << 32 | offset;
		n++;
	}
	if (r != CUDA_ERROR_INVALID_VALUE)
		return r;
	*a->n_parameters = n;
	return attribute(call, a->function, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, a->max_threads)
		   ?: attribute(
			  call, a->function, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, a->static_shared);
}
