/*
 * The names that a program means which was compiled with the per-thread default stream: _ptsz of
 * functions with a stream, for which 0 is the calling thread's own, and _ptds of those without one,
 * which work in it. Boxes, arrays and what streams tell of themselves: test-twins.c.
 */
#include "perthread.h"

static void check_device(const uint8_t *wanted)
{
	uint8_t got[N];

	OK(cuMemcpyDtoH_v2_ptds(got, device, N));
	CHECK_BYTES(got, wanted, N);
}

CONFORM(copies_go_into_the_threads_stream)
{
	begin();
	hold();
	OK(cuMemcpyHtoDAsync_v2_ptsz(device, host, N / 2, NULL));
	OK(cuMemcpyDtoDAsync_v2_ptsz(device + N / 2, device, N / 4, NULL));
	OK(cuMemcpyAsync_ptsz(device + N / 4 * 3, device + N / 2, N / 8, NULL));
	OK(cuMemcpyDtoHAsync_v2_ptsz(back, device, N, NULL));
	CHECK_EQ(back[0] | back[1] | back[2], 0);
	let_go();
	memcpy(host + N / 2, host, N / 4);
	memcpy(host + N / 4 * 3, host, N / 8);
	memset(host + N / 8 * 7, 0, N / 8);
	CHECK_BYTES(back, host, N);
	check_device(host);
}

CONFORM(fills_go_into_the_threads_stream)
{
	uint8_t wanted[N] = {0};

	begin();
	hold();
	OK(cuMemsetD8Async_ptsz(device, 0x11, 16, NULL));
	OK(cuMemsetD16Async_ptsz(device + 16, 0x2222, 8, NULL));
	OK(cuMemsetD32Async_ptsz(device + 32, 0x33333333, 4, NULL));
	OK(cuMemsetD2D8Async_ptsz(device + 64, 32, 0x44, 16, 2, NULL));
	OK(cuMemsetD2D16Async_ptsz(device + 128, 32, 0x5555, 8, 2, NULL));
	OK(cuMemsetD2D32Async_ptsz(device + 192, 32, 0x66666666, 4, 2, NULL));
	let_go();
	for (int i = 0; i < 48; i++)
		wanted[i] = (uint8_t)(0x11 * (1 + i / 16));
	for (int i = 0; i < 16; i++) {
		wanted[64 + i] = wanted[96 + i] = 0x44;
		wanted[128 + i] = wanted[160 + i] = 0x55;
		wanted[192 + i] = wanted[224 + i] = 0x66;
	}
	check_device(wanted);
}

static void add_one(void *data)
{
	atomic_fetch_add((atomic_int *)data, 1);
}

static void add_ten(CUstream stream, CUresult status, void *data)
{
	CHECK_EQ(status, CUDA_SUCCESS);
	atomic_fetch_add((atomic_int *)data, 10);
}

CONFORM(work_goes_into_the_threads_stream)
{
	unsigned value = 7, words[N / 4];
	atomic_int called = 0;
	int n = N / 4;
	CUevent event;

	begin();
	CUfunction fill = conform_kernel("fill"), increment = conform_kernel("increment");
	void *all[] = {&device, &value, &n}, *data[] = {&device, &n};
	CUlaunchConfig config = {1, 1, 1, 64, 1, 1, 0, NULL, NULL, 0};
	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	hold();
	OK(cuLaunchKernel_ptsz(fill, 1, 1, 1, 64, 1, 1, 0, NULL, all, NULL));
	OK(cuLaunchKernelEx_ptsz(&config, increment, data, NULL));
	OK(cuLaunchCooperativeKernel_ptsz(increment, 1, 1, 1, 64, 1, 1, 0, NULL, data));
	OK(cuStreamWriteValue32_v2_ptsz(NULL, device, 1000, 0));
	OK(cuStreamWriteValue64_v2_ptsz(NULL, device + 8, 2000, 0));
	OK(cuLaunchHostFunc_ptsz(NULL, add_one, &called));
	OK(cuStreamAddCallback_ptsz(NULL, add_ten, &called, 0));
	OK(cuEventRecord_ptsz(event, NULL));
	GIVES(cuEventQuery(event), CUDA_ERROR_NOT_READY);
	let_go();
	OK(cuEventQuery(event));
	CHECK_EQ(atomic_load(&called), 11);
	OK(cuMemcpyDtoH_v2_ptds(words, device, N));
	for (int i = 4; i < n; i++)
		CHECK_EQ(words[i], 9);
	CHECK_EQ(words[0], 1000);
	CHECK_EQ(words[1], 9);
	CHECK_EQ(words[2], 2000);
	CHECK_EQ(words[3], 0);
	OK(cuEventDestroy(event));
}

CONFORM(memory_comes_and_goes_in_the_threads_stream)
{
	CUdeviceptr a;

	begin();
	OK(cuMemAllocAsync_ptsz(&a, N, NULL));
	OK(cuMemcpyHtoDAsync_v2_ptsz(a, host, N, NULL));
	OK(cuMemcpyDtoHAsync_v2_ptsz(back, a, N, NULL));
	OK(cuMemFreeAsync_ptsz(a, NULL));
	OK(cuStreamSynchronize_ptsz(NULL));
	CHECK_BYTES(back, host, N);
}

/* A copy that waits works in the thread's stream, behind what is there. */
CONFORM(copies_that_wait_are_ordered_too)
{
	int n = N / 4;
	unsigned value = 3, got[2];

	begin();
	void *all[] = {&device, &value, &n}, *data[] = {&device, &n};
	OK(cuLaunchKernel_ptsz(conform_kernel("fill"), 1, 1, 1, 64, 1, 1, 0, NULL, all, NULL));
	OK(cuMemcpyDtoH_v2_ptds(got, device, sizeof(got)));
	CHECK_EQ(got[1], 3);
	got[0] = 20;
	OK(cuMemcpyHtoD_v2_ptds(device, got, sizeof(got)));
	OK(cuLaunchKernel_ptsz(
	    conform_kernel("increment"), 1, 1, 1, 64, 1, 1, 0, NULL, data, NULL));
	OK(cuMemcpyDtoD_v2_ptds(device + N / 2, device, 8));
	OK(cuMemcpy_ptds((CUdeviceptr)got, device + N / 2, 8));
	CHECK_EQ(got[0], 21);
	CHECK_EQ(got[1], 4);
	OK(cuMemsetD8_v2_ptds(device, 1, N));
	OK(cuMemsetD16_v2_ptds(device, 2, 2));
	OK(cuMemsetD32_v2_ptds(device + 4, 5, 1));
	OK(cuMemcpyDtoH_v2_ptds(got, device, sizeof(got)));
	CHECK_EQ(got[0], 0x20002);
	CHECK_EQ(got[1], 5);
}

CONFORM(the_threads_stream_can_be_captured)
{
	CUstreamCaptureStatus status;
	unsigned value = 30, got;
	int n = 1;
	uint64_t id = 0;
	CUgraphExec exec;
	CUgraph graph, same;
	size_t count;

	begin();
	void *all[] = {&device, &value, &n}, *data[] = {&device, &n};
	OK(cuStreamBeginCapture_v2_ptsz(NULL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	OK(cuStreamIsCapturing_ptsz(NULL, &status));
	CHECK_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
	OK(cuLaunchKernel_ptsz(conform_kernel("fill"), 1, 1, 1, 64, 1, 1, 0, NULL, all, NULL));
	OK(cuLaunchKernel_ptsz(
	    conform_kernel("increment"), 1, 1, 1, 64, 1, 1, 0, NULL, data, NULL));
	OK(cuStreamGetCaptureInfo_v2_ptsz(NULL, &status, &id, &same, NULL, &count));
	CHECK(id);
	CHECK_EQ(count, 1);
	OK(cuStreamEndCapture_ptsz(NULL, &graph));
	CHECK(graph == same);
	OK(cuGraphGetNodes(graph, NULL, &count));
	CHECK_EQ(count, 2);
	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	OK(cuGraphUpload_ptsz(exec, NULL));
	hold();
	OK(cuGraphLaunch_ptsz(exec, NULL));
	let_go();
	OK(cuMemcpyDtoH_v2_ptds(&got, device, 4));
	CHECK_EQ(got, 31);
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(graph));
}

static void *held_elsewhere(void *context)
{
	OK(cuCtxSetCurrent(context));
	hold();
	OK(cuMemsetD8Async_ptsz(device, 9, N, NULL));
	return NULL;
}

/* One thread's stream does not wait for another's. */
CONFORM(each_thread_has_its_own)
{
	CUcontext context;
	pthread_t thread;

	begin();
	OK(cuCtxGetCurrent(&context));
	CHECK_EQ(pthread_create(&thread, NULL, held_elsewhere, context), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	OK(cuMemcpyDtoHAsync_v2_ptsz(back, device, N, NULL));
	OK(cuStreamSynchronize_ptsz(NULL));
	CHECK_EQ(back[0] | back[N - 1], 0);
	atomic_store(flag, 1);
	OK(cuCtxSynchronize());
	OK(cuMemcpyDtoHAsync_v2_ptsz(back, device, N, NULL));
	OK(cuStreamSynchronize_ptsz(NULL));
	CHECK_EQ(back[0], 9);
	CHECK_EQ(back[N - 1], 9);
}
