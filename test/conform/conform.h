/*
 * What the conformance programs share. They speak only the CUDA driver API, as any program does,
 * and run three ways: on the software GPU, through Rosen, and on NVIDIA's driver alone; the last
 * proves the tests. Each test is a process of its own (base/test.h), so that sticky errors end with
 * it.
 */
#pragma once

#include <cuda.h>

#include "base/test.h"

/* The kernels of kernels.cu as PTX text, NUL-terminated. */
extern const char conform_ptx[];

/* CUDA libraries keep descriptors and threads until exit. */
#define CONFORM(name) TEST_WITH(name, 120, true)

#define OK(call)	   conform_check(__FILE__, __LINE__, #call, (call), CUDA_SUCCESS)
#define GIVES(call, error) conform_check(__FILE__, __LINE__, #call, (call), (error))

/* For functions that not every device has: the test is skipped where one is not supported. */
#define NEEDS(call)                                                                                \
	do {                                                                                       \
		CUresult needs_r = (call);                                                         \
		if (needs_r == CUDA_ERROR_NOT_SUPPORTED)                                           \
			SKIP("this device does not support " #call);                               \
		conform_check(__FILE__, __LINE__, #call, needs_r, CUDA_SUCCESS);                   \
	} while (0)

static inline const char *conform_name(CUresult r)
{
	const char *name = NULL;

	return cuGetErrorName(r, &name) == CUDA_SUCCESS && name ? name : "an unknown code";
}

static inline void conform_check(
    const char *file, int line, const char *text, CUresult got, CUresult wanted)
{
	if (got != wanted)
		test_fail(file, line, "%s gives %d %s, wanted %d %s", text, (int)got,
		    conform_name(got), (int)wanted, conform_name(wanted));
}

/* Initialises CUDA and makes device 0's primary context current. */
static inline CUdevice conform_begin(void)
{
	CUdevice device;
	CUcontext context;

	OK(cuInit(0));
	OK(cuDeviceGet(&device, 0));
	OK(cuDevicePrimaryCtxRetain(&context, device));
	OK(cuCtxSetCurrent(context));
	return device;
}

static inline CUfunction conform_kernel(const char *name)
{
	static CUmodule module;
	CUfunction function;

	if (!module)
		OK(cuModuleLoadData(&module, conform_ptx));
	OK(cuModuleGetFunction(&function, module, name));
	return function;
}

/* Of a module of its own, which stays. */
static inline CUfunction conform_kernel_of(const char *ptx, const char *name)
{
	CUfunction function;
	CUmodule module;

	OK(cuModuleLoadData(&module, ptx));
	OK(cuModuleGetFunction(&function, module, name));
	return function;
}

/* One-dimensional launch. */
static inline CUresult conform_launch(CUfunction f, unsigned blocks, unsigned threads,
    unsigned shared, CUstream stream, void **parameters)
{
	return cuLaunchKernel(f, blocks, 1, 1, threads, 1, 1, shared, stream, parameters, NULL);
}

/* The same bytes for the same seed, everywhere. */
static inline void conform_fill(void *bytes, size_t size, uint64_t seed)
{
	uint8_t *out = bytes;

	for (size_t i = 0; i < size; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		out[i] = (uint8_t)(seed >> 56);
	}
}

static inline void *conform_random(size_t size, uint64_t seed)
{
	void *bytes = malloc(size ?: 1);

	CHECK(bytes);
	conform_fill(bytes, size, seed);
	return bytes;
}
