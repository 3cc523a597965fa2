/*
 * CUDA_LAUNCH_BLOCKING: a kernel's launch returns when the kernel has ended, with the kernel's
 * error. Each test is a process that sets the variable before it initialises CUDA.
 */
#include "conform.h"

#define TURNS 2000000ull /* milliseconds on any device */

static void begin_with(const char *value)
{
	CHECK(setenv("CUDA_LAUNCH_BLOCKING", value, 1) == 0);
	conform_begin();
}

static CUdeviceptr word(void)
{
	CUdeviceptr word;

	OK(cuMemAlloc(&word, 4));
	OK(cuMemsetD32(word, 0, 1));
	OK(cuCtxSynchronize());
	return word;
}

CONFORM(a_launch_returns_when_its_kernel_has_ended)
{
	uint64_t turns = TURNS;
	CUstream stream;
	CUevent event;

	begin_with("1");
	CUfunction spin = conform_kernel("spin");
	CUdeviceptr data = word();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	CUstream streams[] = {stream, NULL, CU_STREAM_PER_THREAD};
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		OK(conform_launch(spin, 1, 1, 0, streams[i], (void *[]){&data, &turns}));
		OK(cuStreamQuery(streams[i]));
	}
	CUlaunchConfig config = {.gridDimX = 1,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 1,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .hStream = stream};
	OK(cuLaunchKernelEx(&config, spin, (void *[]){&data, &turns}, NULL));
	OK(cuStreamQuery(stream));
}

CONFORM(work_before_a_launch_is_done_too)
{
	unsigned value = 7, *pinned;
	uint64_t turns = TURNS;
	CUstream stream;

	begin_with("1");
	CUdeviceptr data = word();
	OK(cuMemAllocHost((void **)&pinned, 4));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemsetD32Async(data, value, 1, stream));
	OK(cuMemcpyDtoHAsync(pinned, data, 4, stream));
	OK(conform_launch(conform_kernel("spin"), 1, 1, 0, stream, (void *[]){&data, &turns}));
	CHECK_EQ(*pinned, value);
}

CONFORM(a_trap_is_its_launchs_error)
{
	begin_with("1");
	GIVES(
	    conform_launch(conform_kernel("trap"), 1, 1, 0, NULL, NULL), CUDA_ERROR_LAUNCH_FAILED);
	GIVES(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
}

CONFORM(a_wild_store_is_its_launchs_error)
{
	unsigned value = 3;
	int n = 1;

	begin_with("1");
	CUfunction fill = conform_kernel("fill"), wild = conform_kernel("write_out_of_bounds");
	CUdeviceptr data = word();
	OK(conform_launch(fill, 1, 1, 0, NULL, (void *[]){&data, &value, &n}));
	GIVES(conform_launch(wild, 1, 1, 0, NULL, (void *[]){&data}), CUDA_ERROR_ILLEGAL_ADDRESS);
	GIVES(conform_launch(fill, 1, 1, 0, NULL, (void *[]){&data, &value, &n}),
	    CUDA_ERROR_ILLEGAL_ADDRESS);
}

CONFORM(switched_off_a_launch_says_nothing_of_its_kernel)
{
	begin_with("0");
	OK(conform_launch(conform_kernel("trap"), 1, 1, 0, NULL, NULL));
	GIVES(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
}
