/* The order of work in streams, shown by host functions that note their numbers. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "softgpu/driver/test-driver.h"

static int order[64];
static atomic_int n_order;

static void note(void *value)
{
	usleep(1000);
	order[atomic_fetch_add(&n_order, 1)] = (int)(intptr_t)value;
}

static void submit(CUstream stream, int value)
{
	CHECK_OK(cuLaunchHostFunc(stream, note, (void *)(intptr_t)value));
}

static void check_order(int n)
{
	CHECK_EQ(n_order, n);
	for (int i = 0; i < n; i++)
		CHECK_EQ(order[i], i);
}

TEST(one_stream_keeps_its_order)
{
	CUstream stream;

	test_context();
	CHECK_OK(cuStreamCreate(&stream, 0));
	for (int i = 0; i < 20; i++)
		submit(stream, i);
	CHECK_EQ(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
	CHECK_OK(cuStreamSynchronize(stream));
	CHECK_OK(cuStreamQuery(stream));
	check_order(20);
}

TEST(events_order_streams)
{
	CUstream a, b;
	CUevent event;

	test_context();
	CHECK_OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	CHECK_OK(cuStreamWaitEvent(b, event, 0)); /* never recorded: no wait */
	submit(a, 0);
	submit(a, 1);
	CHECK_OK(cuEventRecord(event, a));
	CHECK_EQ(cuEventQuery(event), CUDA_ERROR_NOT_READY);
	CHECK_OK(cuStreamWaitEvent(b, event, 0));
	submit(b, 2);
	CHECK_OK(cuEventRecord(event, b));
	CHECK_OK(cuEventSynchronize(event));
	check_order(3);
	CHECK_OK(cuEventQuery(event));
	CHECK_OK(cuEventDestroy_v2(event));
	CHECK_EQ(cuEventQuery(event), CUDA_ERROR_INVALID_HANDLE);
}

TEST(the_legacy_stream_waits_and_is_waited_for)
{
	CUstream a, b;

	test_context();
	CHECK_OK(cuStreamCreate(&a, 0));
	CHECK_OK(cuStreamCreate(&b, 0));
	submit(a, 0);
	submit(NULL, 1);
	submit(b, 2);
	submit(CU_STREAM_LEGACY, 3);
	submit(a, 4);
	CHECK_OK(cuCtxSynchronize());
	check_order(5);
}

static atomic_bool release;

static void block(void *ignored)
{
	while (!release)
		usleep(100);
}

TEST(non_blocking_streams_pass_the_legacy_stream)
{
	CUstream a;

	test_context();
	CHECK_OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuLaunchHostFunc(NULL, block, NULL));
	submit(a, 0);
	CHECK_OK(cuStreamSynchronize(a));
	check_order(1);
	release = true;
	CHECK_OK(cuCtxSynchronize());
}

static void *use_own_stream(void *context)
{
	unsigned long long mine = 0;

	CHECK_OK(cuCtxSetCurrent(context));
	CHECK_OK(cuStreamGetId(CU_STREAM_PER_THREAD, &mine));
	CHECK_OK(cuLaunchHostFunc_ptsz(NULL, note, NULL));
	CHECK_OK(cuStreamSynchronize_ptsz(NULL));
	CHECK_EQ(n_order, 1);
	return (void *)(uintptr_t)mine;
}

TEST(each_thread_has_a_stream_of_its_own)
{
	CUcontext context = test_context();
	unsigned long long mine, legacy;
	pthread_t thread;
	void *other;

	CHECK_OK(cuStreamGetId_ptsz(NULL, &mine));
	CHECK_OK(cuStreamGetId(NULL, &legacy));
	CHECK(mine != legacy);
	CHECK(!pthread_create(&thread, NULL, use_own_stream, context));
	CHECK(!pthread_join(thread, &other));
	CHECK(mine != (uintptr_t)other && legacy != (uintptr_t)other);
}

TEST(elapsed_time_is_real)
{
	CUevent start, end;
	float ms = 0;

	test_context();
	CHECK_OK(cuEventCreate(&start, 0));
	CHECK_OK(cuEventCreate(&end, 0));
	CHECK_EQ(cuEventElapsedTime(&ms, start, end), CUDA_ERROR_INVALID_HANDLE);
	CHECK_OK(cuEventRecord(start, NULL));
	for (int i = 0; i < 10; i++)
		submit(NULL, i);
	CHECK_OK(cuEventRecord(end, NULL));
	CHECK_EQ(cuEventElapsedTime(&ms, start, end), CUDA_ERROR_NOT_READY);
	CHECK_OK(cuEventSynchronize(end));
	CHECK_OK(cuEventElapsedTime(&ms, start, end));
	CHECK(ms >= 10 && ms < 10000);
	CHECK_OK(cuEventDestroy_v2(start));
	CHECK_OK(cuEventDestroy_v2(end));
}

static void call_cuda(void *result)
{
	*(CUresult *)result = cuCtxSynchronize();
}

TEST(host_functions_must_not_call_cuda)
{
	CUresult result = CUDA_SUCCESS;

	test_context();
	CHECK_OK(cuLaunchHostFunc(NULL, call_cuda, &result));
	CHECK_OK(cuStreamSynchronize(NULL));
	CHECK_EQ(result, CUDA_ERROR_NOT_PERMITTED);
}

static void on_callback(CUstream stream, CUresult status, void *user)
{
	CHECK_EQ(status, CUDA_SUCCESS);
	*(CUstream *)user = stream;
}

TEST(callbacks_get_their_stream)
{
	CUstream stream, got = NULL;

	test_context();
	CHECK_OK(cuStreamCreate(&stream, 0));
	CHECK_OK(cuStreamAddCallback(stream, on_callback, &got, 0));
	CHECK_OK(cuStreamSynchronize(stream));
	CHECK(got == stream);
	CHECK_EQ(cuStreamAddCallback(stream, NULL, NULL, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST(a_destroyed_stream_finishes_its_work)
{
	CUstream stream;

	test_context();
	CHECK_OK(cuStreamCreate(&stream, 0));
	for (int i = 0; i < 5; i++)
		submit(stream, i);
	CHECK_OK(cuStreamDestroy_v2(stream));
	CHECK_EQ(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
	CHECK_OK(cuCtxSynchronize());
	check_order(5);
	CHECK_OK(cuDevicePrimaryCtxReset_v2(0));
}

TEST(queries)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_ACTIVE;
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
	CUstream stream;
	CUcontext context = test_context(), got;
	int priority, least, greatest;
	unsigned flags;

	CHECK_OK(cuCtxGetStreamPriorityRange(&least, &greatest));
	CHECK(least == 0 && greatest < 0);
	CHECK_OK(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, -100));
	CHECK_OK(cuStreamGetPriority(stream, &priority));
	CHECK_EQ(priority, greatest);
	CHECK_OK(cuStreamGetFlags(stream, &flags));
	CHECK_EQ(flags, CU_STREAM_NON_BLOCKING);
	CHECK_OK(cuStreamGetCtx(stream, &got));
	CHECK(got == context);
	CHECK_OK(cuStreamIsCapturing(stream, &status));
	CHECK_EQ(status, CU_STREAM_CAPTURE_STATUS_NONE);
	CHECK_OK(cuThreadExchangeStreamCaptureMode(&mode));
	CHECK_EQ(mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
	CHECK_OK(cuThreadExchangeStreamCaptureMode(&mode));
	CHECK_EQ(mode, CU_STREAM_CAPTURE_MODE_RELAXED);
}

TEST(words_are_waited_for)
{
	CUdeviceptr words;
	CUstream a, b;

	test_context();
	words = test_alloc(16);
	CHECK_OK(cuMemsetD32_v2(words, 0, 4));
	CHECK_OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuStreamWaitValue32_v2(a, words, 3, CU_STREAM_WAIT_VALUE_GEQ));
	submit(a, 2);
	submit(b, 0);
	CHECK_OK(cuStreamWriteValue64_v2(b, words + 8, UINT64_C(5) << 32, 0));
	CHECK_OK(cuStreamWaitValue64_v2(b, words + 8, UINT64_C(4) << 32, CU_STREAM_WAIT_VALUE_AND));
	submit(b, 1);
	CHECK_OK(cuStreamSynchronize(b));
	CHECK_EQ(cuStreamQuery(a), CUDA_ERROR_NOT_READY);
	CHECK_OK(cuStreamWriteValue32_v2(b, words, 4, 0));
	CHECK_OK(cuStreamSynchronize(a));
	check_order(3);
	CHECK_EQ(cuStreamWriteValue32_v2(b, words + 2, 4, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuStreamWriteValue32_v2(b, words + 16, 4, 0), CUDA_ERROR_INVALID_VALUE);
	/* A wait that nobody fulfils ends with the context. */
	CHECK_OK(cuStreamWaitValue32_v2(a, words, 99, CU_STREAM_WAIT_VALUE_EQ));
	CHECK_OK(cuDevicePrimaryCtxReset_v2(0));
}

TEST(long_queues_are_bounded)
{
	CUdeviceptr word;
	unsigned value;

	test_context();
	word = test_alloc(4);
	for (unsigned i = 0; i < 20000; i++)
		CHECK_OK(cuMemsetD32Async(word, i, 1, NULL));
	CHECK_OK(cuMemcpyDtoH_v2(&value, word, 4));
	CHECK_EQ(value, 19999);
}

static void *churn(void *context)
{
	CHECK_OK(cuCtxSetCurrent(context));
	for (int i = 0; i < 200; i++) {
		CUstream stream;
		CUevent event;
		CUdeviceptr address;
		CHECK_OK(cuStreamCreate(&stream, i % 2 ? CU_STREAM_NON_BLOCKING : 0));
		CHECK_OK(cuEventCreate(&event, 0));
		CHECK_OK(cuMemAllocAsync(&address, 4096, stream));
		CHECK_OK(cuMemsetD32Async(address, (unsigned)i, 1024, stream));
		CHECK_OK(cuEventRecord(event, stream));
		CHECK_OK(cuStreamWaitEvent(NULL, event, 0));
		unsigned back = 0;
		CHECK_OK(cuMemcpyDtoH_v2(&back, address + 4092, 4));
		CHECK_EQ(back, i);
		CHECK_OK(cuMemFreeAsync(address, stream));
		CHECK_OK(cuEventDestroy_v2(event));
		CHECK_OK(cuStreamDestroy_v2(stream));
	}
	return NULL;
}

TEST(many_threads_at_once)
{
	CUcontext context = test_context();
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, churn, context));
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK_OK(cuCtxSynchronize());
}
