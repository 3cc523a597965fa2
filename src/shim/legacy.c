/*
 * Launching as it was before CUDA 4 (abi/old_launch.h). The state lies in what the shim keeps of a
 * function, so that setting it costs no message, but for the shape; a launch goes the way of
 * cuLaunchKernel.
 */
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/function.h"

/* Only the backend knows which shapes a function takes; it is told to say so, and never launches. */
CUresult shim_cuFuncSetBlockShape(CUfunction function, int x, int y, int z)
{
	struct function *f;

	return function_find(function, &f)
		   ?: remote_cuFuncSetBlockShape((uint64_t)function, x, y, z)
		   ?: old_launch_block(&f->old, x, y, z);
}

CUresult shim_cuFuncSetSharedSize(CUfunction function, unsigned bytes)
{
	struct function *f;

	return function_find(function, &f) ?: old_launch_shared(&f->old, bytes);
}

CUresult shim_cuParamSetSize(CUfunction function, unsigned bytes)
{
	struct function *f;

	return function_find(function, &f) ?: old_launch_bytes(&f->old, bytes);
}

CUresult shim_cuParamSetv(CUfunction function, int offset, void *address, unsigned bytes)
{
	struct function *f;

	return function_find(function, &f) ?: old_launch_put(&f->old, offset, address, bytes);
}

CUresult shim_cuParamSeti(CUfunction function, int offset, unsigned value)
{
	return shim_cuParamSetv(function, offset, &value, sizeof(value));
}

CUresult shim_cuParamSetf(CUfunction function, int offset, float value)
{
	return shim_cuParamSetv(function, offset, &value, sizeof(value));
}

CUresult shim_cuLaunchGridAsync(CUfunction function, int width, int height, CUstream stream)
{
	struct function *f;

	return function_find(function, &f)
		   ?: old_launch_go(&f->old, function, width, height, stream, shim_cuLaunchKernel);
}

CUresult shim_cuLaunchGrid(CUfunction function, int width, int height)
{
	return shim_cuLaunchGridAsync(function, width, height, NULL);
}

CUresult shim_cuLaunch(CUfunction function)
{
	return shim_cuLaunchGridAsync(function, 1, 1, NULL);
}
