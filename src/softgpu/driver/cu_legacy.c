/* Launching as it was before CUDA 4 (abi/old_launch.h); the state is the function object's. */
#include "softgpu/driver/driver.h"

#include "softgpu/driver/launch.h"
#include "softgpu/driver/module.h"

static CUresult legacy_enter(CUfunction handle, struct old_launch **old)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	struct sg_function *function = sg_function_get(handle);
	if (!function)
		return CUDA_ERROR_INVALID_HANDLE;
	*old = &function->old;
	return old_launch_make_room(*old, function->info->param_bytes);
}

/* Of a function only, not of a kernel, which stands for one elsewhere. */
CUresult cuFuncSetBlockShape(CUfunction handle, int x, int y, int z)
{
	const unsigned block[3] = {(unsigned)x, (unsigned)y, (unsigned)z};
	struct old_launch *old;
	CUresult r = legacy_enter(handle, &old);

	if (r != CUDA_SUCCESS)
		return r;
	const struct sg_function *function = sg_function_get(handle);
	if ((CUfunction)function->kernel_handle == handle)
		return CUDA_ERROR_INVALID_HANDLE;
	if (!sg_function_takes_block(function, block))
		return CUDA_ERROR_INVALID_VALUE;
	return old_launch_block(old, x, y, z);
}

CUresult cuFuncSetSharedSize(CUfunction handle, unsigned bytes)
{
	struct old_launch *old;

	return legacy_enter(handle, &old) ?: old_launch_shared(old, bytes);
}

CUresult cuParamSetSize(CUfunction handle, unsigned bytes)
{
	struct old_launch *old;

	return legacy_enter(handle, &old) ?: old_launch_bytes(old, bytes);
}

CUresult cuParamSetv(CUfunction handle, int offset, void *address, unsigned bytes)
{
	struct old_launch *old;
	CUresult r = legacy_enter(handle, &old);

	if (r == CUDA_SUCCESS && !address && bytes)
		r = CUDA_ERROR_INVALID_VALUE;
	return r ?: old_launch_put(old, offset, address, bytes);
}

CUresult cuParamSeti(CUfunction handle, int offset, unsigned value)
{
	return cuParamSetv(handle, offset, &value, sizeof(value));
}

CUresult cuParamSetf(CUfunction handle, int offset, float value)
{
	return cuParamSetv(handle, offset, &value, sizeof(value));
}

CUresult cuLaunchGridAsync(CUfunction handle, int width, int height, CUstream stream)
{
	struct old_launch *old;

	return legacy_enter(handle, &old)
		   ?: old_launch_go(old, handle, width, height, stream, cuLaunchKernel);
}

CUresult cuLaunchGrid(CUfunction handle, int width, int height)
{
	return cuLaunchGridAsync(handle, width, height, NULL);
}

CUresult cuLaunch(CUfunction handle)
{
	return cuLaunchGridAsync(handle, 1, 1, NULL);
}
