/* Several host threads: one context, own streams, per-thread default streams, order between
 * threads. */
#include <pthread.h>

#include "conform.h"

enum { THREADS = 8, ROUNDS = 60, N = 4096 };

static CUcontext context;
static CUfunction fill, increment;

static void *own_stream(void *argument)
{
	unsigned id = (unsigned)(uintptr_t)argument, got[N];
	int n = N;
	CUdeviceptr data;
	CUstream stream;

	OK(cuCtxSetCurrent(context));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned value = id * 1000 + round;
		OK(cuMemAlloc(&data, sizeof(got)));
		OK(conform_launch(fill, 4, 256, 0, stream, (void *[]){&data, &value, &n}));
		OK(conform_launch(increment, 4, 256, 0, stream, (void *[]){&data, &n}));
		OK(cuMemcpyDtoHAsync(got, data, sizeof(got), stream));
		OK(cuStreamSynchronize(stream));
		CHECK_EQ(got[0], value + 1);
		CHECK_EQ(got[N - 1], value + 1);
		OK(cuMemFree(data));
	}
	OK(cuStreamDestroy(stream));
	return NULL;
}

CONFORM(threads_with_streams_of_their_own)
{
	pthread_t threads[THREADS];

	conform_begin();
	OK(cuCtxGetCurrent(&context));
	fill = conform_kernel("fill");
	increment = conform_kernel("increment");
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, own_stream, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	OK(cuCtxSynchronize());
}

static CUdeviceptr shared_word;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* A happens-before between two host threads is an order of their work on one stream. */
static void *add_in_turn(void *argument)
{
	int n = 1;

	(void)argument;
	OK(cuCtxSetCurrent(context));
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&turn);
		OK(conform_launch(increment, 1, 1, 0, NULL, (void *[]){&shared_word, &n}));
		pthread_mutex_unlock(&turn);
	}
	return NULL;
}

CONFORM(threads_sharing_the_default_stream)
{
	pthread_t threads[THREADS];
	unsigned got = 0;

	conform_begin();
	OK(cuCtxGetCurrent(&context));
	increment = conform_kernel("increment");
	OK(cuMemAlloc(&shared_word, 4));
	OK(cuMemsetD32(shared_word, 0, 1));
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, add_in_turn, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	OK(cuMemcpyDtoH(&got, shared_word, 4));
	CHECK_EQ(got, THREADS * ROUNDS);
}

static void *own_default_stream(void *argument)
{
	unsigned value = (unsigned)(uintptr_t)argument, got = 0;
	int n = 1;
	CUdeviceptr data;

	OK(cuCtxSetCurrent(context));
	OK(cuMemAlloc(&data, 4));
	for (int i = 0; i < ROUNDS; i++) {
		OK(conform_launch(
		    fill, 1, 1, 0, CU_STREAM_PER_THREAD, (void *[]){&data, &value, &n}));
		OK(conform_launch(increment, 1, 1, 0, CU_STREAM_PER_THREAD, (void *[]){&data, &n}));
		OK(cuMemcpyDtoHAsync(&got, data, 4, CU_STREAM_PER_THREAD));
		OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
		CHECK_EQ(got, value + 1);
	}
	return NULL;
}

CONFORM(per_thread_default_streams)
{
	pthread_t threads[THREADS];

	conform_begin();
	OK(cuCtxGetCurrent(&context));
	fill = conform_kernel("fill");
	increment = conform_kernel("increment");
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, own_default_stream, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}
