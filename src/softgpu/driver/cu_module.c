/* Modules' entries of the driver API. */
#include "softgpu/driver/driver.h"

#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/file.h"
#include "softgpu/driver/module.h"
#include "softgpu/driver/stream.h"

CUresult cuModuleLoadDataEx(
    CUmodule *handle, const void *image, unsigned n_options, CUjit_option *options, void **values)
{
	struct sg_module_object *module;
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && !handle)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = sg_module_open(image, n_options, options, values, context, &module);
	if (r == CUDA_SUCCESS)
		*handle = module->handle;
	return r;
}

CUresult cuModuleLoadData(CUmodule *handle, const void *image)
{
	return cuModuleLoadDataEx(handle, image, 0, NULL, NULL);
}

CUresult cuModuleLoadFatBinary(CUmodule *handle, const void *fatbin)
{
	return cuModuleLoadDataEx(handle, fatbin, 0, NULL, NULL);
}

CUresult cuModuleLoad(CUmodule *handle, const char *path)
{
	char *text;
	CUresult r = sg_enter_given(handle);

	if (r == CUDA_SUCCESS)
		r = sg_file_read(path, &text, NULL);
	if (r != CUDA_SUCCESS)
		return r;
	r = cuModuleLoadData(handle, text);
	free(text);
	return r;
}

static CUresult module_enter(CUmodule handle, struct sg_module_object **module)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	*module = sg_handle_get(handle, SG_MODULE);
	return *module ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* Kernels of the module may be running. A library's module goes with the library only. */
CUresult cuModuleUnload(CUmodule handle)
{
	struct sg_module_object *module;
	CUresult r = module_enter(handle, &module);

	if (r != CUDA_SUCCESS)
		return r;
	if (!module->context)
		return CUDA_ERROR_NOT_PERMITTED;
	struct sg_context *context = module->context;
	sg_engine_wait();
	sg_module_close(module);
	return atomic_load_explicit(&context->error, memory_order_relaxed);
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule handle, const char *name)
{
	struct sg_module_object *module;
	CUresult r = module_enter(handle, &module);

	if (r == CUDA_SUCCESS && (!function || !name))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	for (size_t i = 0; i < module->n_functions; i++) {
		if (strcmp(module->functions[i].info->name, name))
			continue;
		*function = module->functions[i].function;
		return CUDA_SUCCESS;
	}
	return CUDA_ERROR_NOT_FOUND;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *size, CUmodule handle, const char *name)
{
	struct sg_module_object *module;
	CUresult r = module_enter(handle, &module);

	return r == CUDA_SUCCESS ? sg_module_variable(module, name, address, size) : r;
}

CUresult cuModuleGetFunctionCount(unsigned *count, CUmodule handle)
{
	struct sg_module_object *module;
	CUresult r = sg_enter_given(count) ?: module_enter(handle, &module);

	if (r == CUDA_SUCCESS)
		*count = (unsigned)module->n_functions;
	return r;
}

CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned n, CUmodule handle)
{
	struct sg_module_object *module;
	size_t all;
	CUresult r = sg_enter_given(functions) ?: module_enter(handle, &module);

	return r == CUDA_SUCCESS ? sg_module_list(handle, functions, n, &all) : r;
}

/* PTX is translated when a kernel is first launched, which is what "lazy" means; the environment
 * may say otherwise, as with a real driver. */
CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
	const char *wanted = getenv("CUDA_MODULE_LOADING");
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && !mode)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*mode = wanted && !strcmp(wanted, "EAGER") ? CU_MODULE_EAGER_LOADING
							   : CU_MODULE_LAZY_LOADING;
	return r;
}
