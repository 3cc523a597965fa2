/*
 * Libraries and kernels: modules that belong to no context. On this device a kernel needs no
 * loading into a context, so its function exists from the start.
 */
#include "softgpu/driver/driver.h"

#include <stdlib.h>
#include <string.h>

#include "abi/managed.h"
#include "base/util.h"
#include "softgpu/driver/file.h"
#include "softgpu/driver/module.h"
#include "softgpu/driver/stream.h"

static CUresult library_check_options(unsigned n, const CUlibraryOption *options, void **values)
{
	if (n && !options)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < n; i++) {
		if (options[i] >= CU_LIBRARY_NUM_OPTIONS)
			return CUDA_ERROR_INVALID_VALUE;
		/* BINARY_IS_PRESERVED says that the image stays; we need it only now, and callers
		 * may leave out its value. The other one needs a loader for host tables. */
		if (options[i] == CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE)
			return CUDA_ERROR_NOT_SUPPORTED;
	}
	return CUDA_SUCCESS;
}

CUresult cuLibraryLoadData(CUlibrary *handle, const void *code, CUjit_option *jit_options,
    void **jit_values, unsigned n_jit, CUlibraryOption *options, void **values, unsigned n_options)
{
	struct sg_module_object *module;
	CUresult r = sg_enter_given(handle && code && (!n_jit || (jit_options && jit_values)));

	if (r == CUDA_SUCCESS)
		r = library_check_options(n_options, options, values);
	if (r == CUDA_SUCCESS)
		r = sg_module_open(code, n_jit, jit_options, jit_values, NULL, &module);
	if (r == CUDA_SUCCESS)
		*handle = module->library;
	return r;
}

CUresult cuLibraryLoadFromFile(CUlibrary *handle, const char *path, CUjit_option *jit_options,
    void **jit_values, unsigned n_jit, CUlibraryOption *options, void **values, unsigned n_options)
{
	char *text;
	CUresult r = sg_enter_given(handle && (!n_jit || (jit_options && jit_values)));

	if (r == CUDA_SUCCESS)
		r = sg_file_read(path, &text, NULL);
	if (r != CUDA_SUCCESS)
		return r;
	r = cuLibraryLoadData(
	    handle, text, jit_options, jit_values, n_jit, options, values, n_options);
	free(text);
	return r;
}

static CUresult library_enter(CUlibrary handle, struct sg_module_object **library)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*library = sg_handle_get(handle, SG_LIBRARY);
	return *library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuLibraryUnload(CUlibrary handle)
{
	struct sg_module_object *library;
	CUresult r = library_enter(handle, &library);

	if (r != CUDA_SUCCESS)
		return r;
	sg_engine_wait(); /* its kernels may be running in any context */
	sg_module_close(library);
	return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernel(CUkernel *kernel, CUlibrary handle, const char *name)
{
	struct sg_module_object *library;
	CUresult r = sg_enter_given(kernel && name) ?: library_enter(handle, &library);

	if (r != CUDA_SUCCESS)
		return r;
	for (size_t i = 0; i < library->n_functions; i++) {
		if (strcmp(library->functions[i].info->name, name))
			continue;
		*kernel = library->functions[i].kernel_handle;
		return CUDA_SUCCESS;
	}
	return CUDA_ERROR_NOT_FOUND;
}

CUresult cuLibraryGetKernelCount(unsigned *count, CUlibrary handle)
{
	struct sg_module_object *library;
	CUresult r = sg_enter_given(count) ?: library_enter(handle, &library);

	if (r == CUDA_SUCCESS)
		*count = (unsigned)library->n_functions;
	return r;
}

CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned n, CUlibrary handle)
{
	struct sg_module_object *library;
	CUresult r = sg_enter_given(kernels) ?: library_enter(handle, &library);

	for (size_t i = 0; r == CUDA_SUCCESS && i < MIN(library->n_functions, (size_t)n); i++)
		kernels[i] = library->functions[i].kernel_handle;
	return r;
}

CUresult cuLibraryGetModule(CUmodule *module, CUlibrary handle)
{
	struct sg_module_object *library;
	CUresult r = sg_enter_given(module) ?: library_enter(handle, &library);

	if (r == CUDA_SUCCESS)
		*module = library->handle;
	return r;
}

CUresult cuLibraryGetGlobal(CUdeviceptr *address, size_t *size, CUlibrary handle, const char *name)
{
	struct sg_module_object *library;
	CUresult r = sg_enter_given((address || size) && name) ?: library_enter(handle, &library);

	return r == CUDA_SUCCESS ? sg_module_variable(library, name, address, size) : r;
}

CUresult cuLibraryGetManaged(CUdeviceptr *address, size_t *size, CUlibrary handle, const char *name)
{
	CUdeviceptr found;
	size_t found_size;
	CUresult r = sg_enter_given(address || size)
			 ?: cuLibraryGetGlobal(&found, &found_size, handle, name);

	if (r != CUDA_SUCCESS)
		return r;
	if (!managed_covers(found, MAX(found_size, (size_t)1)))
		return CUDA_ERROR_NOT_FOUND;
	if (address)
		*address = found;
	if (size)
		*size = found_size;
	return CUDA_SUCCESS;
}

/* ---- kernels ---- */

static CUresult kernel_enter(CUkernel handle, const void *output, struct sg_function **kernel)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	if (!output)
		return CUDA_ERROR_INVALID_VALUE;
	*kernel = sg_handle_get(handle, SG_KERNEL);
	return *kernel ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuKernelGetFunction(CUfunction *function, CUkernel handle)
{
	struct sg_function *kernel;
	CUresult r = kernel_enter(handle, function, &kernel);

	if (r == CUDA_SUCCESS)
		*function = kernel->function;
	return r;
}

CUresult cuKernelGetLibrary(CUlibrary *library, CUkernel handle)
{
	struct sg_function *kernel;
	CUresult r = kernel_enter(handle, library, &kernel);

	if (r == CUDA_SUCCESS)
		*library = kernel->module->library;
	return r;
}

CUresult cuKernelGetName(const char **name, CUkernel handle)
{
	struct sg_function *kernel;
	CUresult r = sg_enter_given(handle) ?: kernel_enter(handle, name, &kernel);

	if (r == CUDA_SUCCESS)
		*name = kernel->info->name;
	return r;
}

CUresult cuKernelGetParamInfo(CUkernel handle, size_t index, size_t *offset, size_t *size)
{
	struct sg_function *kernel;
	CUresult r = sg_enter_given(handle) ?: kernel_enter(handle, offset, &kernel);

	if (r == CUDA_SUCCESS && index >= kernel->info->n_params)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	*offset = kernel->info->params[index].offset;
	if (size)
		*size = kernel->info->params[index].size;
	return CUDA_SUCCESS;
}

static CUresult kernel_check_device(CUkernel handle, CUdevice device)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && !sg_handle_get(handle, SG_KERNEL))
		r = CUDA_ERROR_INVALID_HANDLE;
	if (r == CUDA_SUCCESS && device != 0)
		r = CUDA_ERROR_INVALID_DEVICE;
	return r;
}

CUresult cuKernelGetAttribute(
    int *value, CUfunction_attribute attribute, CUkernel handle, CUdevice device)
{
	CUresult r = kernel_check_device(handle, device);

	return r == CUDA_SUCCESS ? cuFuncGetAttribute(value, attribute, (CUfunction)handle) : r;
}

CUresult cuKernelSetAttribute(
    CUfunction_attribute attribute, int value, CUkernel handle, CUdevice device)
{
	CUresult r = kernel_check_device(handle, device);

	return r == CUDA_SUCCESS ? cuFuncSetAttribute((CUfunction)handle, attribute, value) : r;
}

CUresult cuKernelSetCacheConfig(CUkernel handle, CUfunc_cache config, CUdevice device)
{
	CUresult r = kernel_check_device(handle, device);

	return r == CUDA_SUCCESS ? cuFuncSetCacheConfig((CUfunction)handle, config) : r;
}

/* Code runs on the device under addresses of its own, so no function is both. */
CUresult cuLibraryGetUnifiedFunction(void **function, CUlibrary handle, const char *symbol)
{
	struct sg_module_object *library;
	CUresult r = sg_enter_given(function) ?: library_enter(handle, &library);

	if (r == CUDA_SUCCESS && !symbol)
		r = CUDA_ERROR_INVALID_VALUE;
	return r ?: CUDA_ERROR_NOT_FOUND;
}
