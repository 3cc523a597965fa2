/* Functions: their attributes and settings. Handles may be kernels too. */
#include "softgpu/driver/driver.h"

#include "base/util.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/launch.h"
#include "softgpu/driver/module.h"

unsigned sg_function_dynamic_limit(const struct sg_function *function)
{
	int standard = sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);

	if (function->max_dynamic_shared >= 0)
		return (unsigned)function->max_dynamic_shared;
	return (unsigned)MAX(standard - (int)function->info->shared_bytes, 0);
}

static CUresult function_enter(CUfunction handle, struct sg_function **function)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*function = sg_function_get(handle);
	return *function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle)
{
	struct sg_function *function;
	CUresult r = sg_enter_given(value) ?: function_enter(handle, &function);

	if (r != CUDA_SUCCESS)
		return r;
	const struct sg_kernel_info *info = function->info;
	switch (attribute) {
	case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
		*value = (int)info->max_threads_per_block;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
		*value = (int)info->shared_bytes;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
		*value = (int)info->const_bytes;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
		*value = (int)info->local_bytes;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_NUM_REGS:
		*value = (int)info->registers;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_PTX_VERSION:
		*value = (int)info->target;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
		*value = sg_device.capability;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
		*value = (int)sg_function_dynamic_limit(function);
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
		*value = function->carveout;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
		*value = function->non_portable_cluster;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
		*value = function->cluster_policy;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
		*value = 0;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
		*value = info->must_have_cluster || info->required_cluster[0];
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
	case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
	case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
		*value =
		    (int)info
			->required_cluster[attribute - CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH];
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult function_set_dynamic(struct sg_function *function, int value)
{
	int optin = sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);

	if (value < 0 || value > optin - (int)function->info->shared_bytes)
		return CUDA_ERROR_INVALID_VALUE;
	function->max_dynamic_shared = value;
	return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value)
{
	struct sg_function *function;
	CUresult r = function_enter(handle, &function);

	if (r != CUDA_SUCCESS)
		return r;
	switch (attribute) {
	case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
		return function_set_dynamic(function, value);
	case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
		if (value < CU_SHAREDMEM_CARVEOUT_DEFAULT || value > 100)
			return CUDA_ERROR_INVALID_VALUE;
		function->carveout = value;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
		function->non_portable_cluster = value;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
		function->cluster_policy = value;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config)
{
	struct sg_function *function;
	CUresult r = function_enter(handle, &function);

	if (r == CUDA_SUCCESS && config > CU_FUNC_CACHE_PREFER_EQUAL)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		function->cache_config = config;
	return r;
}

/* As cuCtxSetSharedMemConfig: accepted, without effect on current devices. */
CUresult cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig config)
{
	struct sg_function *function;
	CUresult r = function_enter(handle, &function);

	if (r == CUDA_SUCCESS && config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
		r = CUDA_ERROR_INVALID_VALUE;
	return r;
}

CUresult cuFuncGetModule(CUmodule *module, CUfunction handle)
{
	struct sg_function *function;
	CUresult r = sg_enter_given(module && handle) ?: function_enter(handle, &function);

	if (r == CUDA_SUCCESS)
		*module = function->module->handle;
	return r;
}

CUresult cuFuncGetName(const char **name, CUfunction handle)
{
	struct sg_function *function;
	CUresult r = sg_enter_given(name && handle) ?: function_enter(handle, &function);

	if (r == CUDA_SUCCESS)
		*name = function->info->name;
	return r;
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset, size_t *size)
{
	struct sg_function *function;
	CUresult r = sg_enter_given(offset && handle) ?: function_enter(handle, &function);

	if (r == CUDA_SUCCESS && index >= function->info->n_params)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	*offset = function->info->params[index].offset;
	if (size)
		*size = function->info->params[index].size;
	return CUDA_SUCCESS;
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction handle)
{
	struct sg_function *function;
	CUresult r = sg_enter_given(state) ?: function_enter(handle, &function);

	if (r == CUDA_SUCCESS)
		*state = CU_FUNCTION_LOADING_STATE_LOADED;
	return r;
}

CUresult cuFuncLoad(CUfunction handle)
{
	struct sg_function *function;

	return function_enter(handle, &function);
}
