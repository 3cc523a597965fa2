/*
 * One cooperative launch over several devices, a form CUDA has given up since. The launches cross
 * together: their shapes and their parameter buffers one behind the other, each on a multiple of 16
 * bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/launch.h"
#include "wire/limits.h"

/* Which of two kernels on different devices begins first, and what comes behind both. */
#define FLAGS 3u

struct launches {
	CUfunction *functions;
	CUstream *streams;
	uint64_t *sizes;
	unsigned *shapes; /* 7 of each: grid, block, shared memory */
	char *parameters;
	size_t parameter_bytes;
};

static CUresult take(struct launches *l, unsigned i, const CUDA_LAUNCH_PARAMS *launch)
{
	const unsigned shape[7] = {launch->gridDimX, launch->gridDimY, launch->gridDimZ,
	    launch->blockDimX, launch->blockDimY, launch->blockDimZ, launch->sharedMemBytes};
	struct function *f;
	CUresult r = function_find(launch->function, &f);

	if (r != CUDA_SUCCESS)
		return r;
	if (f->n_parameters && !launch->kernelParams)
		return CUDA_ERROR_INVALID_VALUE;
	size_t end = l->parameter_bytes + align_up(f->bytes, WIRE_PARAMETER_ALIGN);
	char *grown = realloc(l->parameters, end ?: 1);
	if (!grown)
		return CUDA_ERROR_OUT_OF_MEMORY;
	l->parameters = grown;
	memset(grown + l->parameter_bytes, 0, end - l->parameter_bytes);
	r = launch_pack(f, launch->kernelParams, grown + l->parameter_bytes);
	l->parameter_bytes = end;
	l->functions[i] = launch->function;
	l->streams[i] = launch->hStream;
	l->sizes[i] = f->bytes;
	memcpy(l->shapes + (size_t)i * 7, shape, sizeof(shape));
	return r;
}

CUresult shim_cuLaunchCooperativeKernelMultiDevice(
    CUDA_LAUNCH_PARAMS *launches, unsigned count, unsigned flags)
{
	CUfunction functions[WIRE_DEVICES_MAX];
	CUstream streams[WIRE_DEVICES_MAX];
	uint64_t sizes[WIRE_DEVICES_MAX];
	unsigned shapes[WIRE_DEVICES_MAX * 7];
	struct launches l = {functions, streams, sizes, shapes, NULL, 0};
	CUresult r = CUDA_SUCCESS;

	/* Each is on a device of its own. */
	if (!count || count > WIRE_DEVICES_MAX || flags & ~FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; r == CUDA_SUCCESS && i < count; i++)
		r = take(&l, i, &launches[i]);
	if (r == CUDA_SUCCESS)
		r = remote_cuLaunchCooperativeKernelMultiDevice(functions, streams, sizes, shapes,
		    count, l.parameters, l.parameter_bytes, flags);
	free(l.parameters);
	return r;
}
