/* What the tests of the driver's entries share. Each test runs in a process of its own. */
#pragma once

#include "base/test.h"
#include "gen/cuda_api.h"

#define CHECK_OK(call) CHECK_EQ((call), CUDA_SUCCESS)

/* The primary context, retained and current. */
static inline CUcontext test_context(void)
{
	CUcontext context = NULL;

	CHECK_OK(cuInit(0));
	CHECK_OK(cuDevicePrimaryCtxRetain(&context, 0));
	CHECK_OK(cuCtxSetCurrent(context));
	return context;
}

static inline CUdeviceptr test_alloc(size_t size)
{
	CUdeviceptr address = 0;

	CHECK_OK(cuMemAlloc_v2(&address, size));
	return address;
}
