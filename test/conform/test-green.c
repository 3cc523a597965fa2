/*
 * Green contexts: a device's multiprocessors are split, one part becomes a context, and kernels run
 * in it.
 */
#include "conform.h"

/* The device's multiprocessors; ends the test as skipped where there are no green contexts. */
static CUdevResource all_of_device(void)
{
	CUdevResource all = {0};

	CUresult r = cuDeviceGetDevResource(0, &all, CU_DEV_RESOURCE_TYPE_SM);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no green contexts");
	OK(r);
	return all;
}

static CUgreenCtx make_part(CUdevResource *part)
{
	CUdevResource all = all_of_device();
	CUdevResourceDesc description;
	CUgreenCtx green;
	unsigned groups = 1;

	OK(cuDevSmResourceSplitByCount(part, &groups, &all, NULL, 0, all.sm.minSmPartitionSize));
	CHECK_EQ(groups, 1);
	OK(cuDevResourceGenerateDesc(&description, part, 1));
	OK(cuGreenCtxCreate(&green, description, 0, CU_GREEN_CTX_DEFAULT_STREAM));
	return green;
}

CONFORM(a_device_splits_into_groups)
{
	CUdevResource part[2], rest, none;
	int multiprocessors;
	unsigned groups = 0;

	conform_begin();
	CUdevResource all = all_of_device();
	OK(cuDeviceGetAttribute(&multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
	CHECK_EQ(all.type, CU_DEV_RESOURCE_TYPE_SM);
	CHECK_EQ(all.sm.smCount, multiprocessors);
	unsigned least = all.sm.minSmPartitionSize;
	OK(cuDevSmResourceSplitByCount(NULL, &groups, &all, NULL, 0, least));
	CHECK(groups >= 2);
	groups = 2;
	OK(cuDevSmResourceSplitByCount(part, &groups, &all, &rest, 0, least));
	CHECK_EQ(groups, 2);
	CHECK(part[0].sm.smCount >= least);
	CHECK_EQ(part[0].sm.smCount, part[1].sm.smCount);
	CHECK_EQ(part[0].sm.smCount * 2 + rest.sm.smCount, all.sm.smCount);
	GIVES(cuDeviceGetDevResource(0, &none, (CUdevResourceType)1000),
	    CUDA_ERROR_INVALID_RESOURCE_TYPE);
	GIVES(cuDevSmResourceSplitByCount(part, &groups, &all, NULL, 0, 100000),
	    CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION);
}

CONFORM(a_green_context_runs_kernels)
{
	unsigned value = 3, got[512];
	int n = 512, active;
	unsigned flags;
	CUdevResource part, its;
	CUcontext context, again, of_stream;
	CUgreenCtx green_of_stream;
	CUstream stream;
	CUevent done;
	CUdeviceptr data;

	OK(cuInit(0));
	CUgreenCtx green = make_part(&part);
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(active, 1);
	OK(cuGreenCtxGetDevResource(green, &its, CU_DEV_RESOURCE_TYPE_SM));
	CHECK_EQ(its.sm.smCount, part.sm.smCount);
	OK(cuCtxFromGreenCtx(&context, green));
	OK(cuCtxFromGreenCtx(&again, green));
	CHECK(again == context);
	OK(cuGreenCtxStreamCreate(&stream, green, CU_STREAM_NON_BLOCKING, 0));
	OK(cuCtxSetCurrent(context));
	OK(cuStreamGetGreenCtx(stream, &green_of_stream));
	CHECK(green_of_stream == green);
	OK(cuStreamGetCtx_v2(stream, &of_stream, &green_of_stream));
	CHECK(green_of_stream == green);
	OK(cuCtxGetDevResource(context, &its, CU_DEV_RESOURCE_TYPE_SM));
	CHECK_EQ(its.sm.smCount, part.sm.smCount);
	OK(cuMemAlloc(&data, sizeof(got)));
	OK(cuEventCreate(&done, CU_EVENT_DISABLE_TIMING));
	OK(conform_launch(
	    conform_kernel("fill"), 4, 128, 0, stream, (void *[]){&data, &value, &n}));
	OK(cuGreenCtxRecordEvent(green, done));
	OK(cuEventSynchronize(done));
	OK(cuMemcpyDtoH(got, data, sizeof(got)));
	for (int i = 0; i < n; i++)
		CHECK_EQ(got[i], 3);
	OK(cuMemFree(data));
	OK(cuEventDestroy(done));
	OK(cuStreamDestroy(stream));
	OK(cuCtxSetCurrent(NULL));
	OK(cuGreenCtxDestroy(green));
}

CONFORM(green_contexts_have_numbers)
{
	unsigned long long id[2];
	CUdevResource part;

	conform_begin();
	CUgreenCtx a = make_part(&part), b = make_part(&part);
	OK(cuGreenCtxGetId(a, &id[0]));
	OK(cuGreenCtxGetId(b, &id[1]));
	CHECK(id[0] != id[1]);
	OK(cuGreenCtxDestroy(a));
	OK(cuGreenCtxDestroy(b));
}

CONFORM(events_order_green_contexts)
{
	CUdevResource part;
	CUevent done;

	conform_begin();
	CUgreenCtx green = make_part(&part);
	OK(cuEventCreate(&done, CU_EVENT_DISABLE_TIMING));
	OK(cuEventRecord(done, NULL));
	OK(cuGreenCtxWaitEvent(green, done));
	OK(cuGreenCtxRecordEvent(green, done));
	OK(cuEventSynchronize(done));
	OK(cuEventDestroy(done));
	OK(cuGreenCtxDestroy(green));
}
