/* Several host threads: one context, own streams, per-thread default streams, order between
 * threads. */
#include <pthread.h>

#include "conform.h"

enum { THREADS = 8, ROUNDS = 60, N = 4096 };

static CUcontext context;
static CUfunction fill, increment;

/* In the context and with the kernels that the threads share. */
static CUdevice begin(void)
{
	CUdevice device = conform_begin();

	OK(cuCtxGetCurrent(&context));
	fill = conform_kernel("fill");
	increment = conform_kernel("increment");
	return device;
}

/* THREADS of them, each with its number, until all have ended. */
static void run_threads(void *(*body)(void *))
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, body, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

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
	begin();
	run_threads(own_stream);
	OK(cuCtxSynchronize());
}

/* Work into two streams and the default one, by turns, and then whatever says that it is done. */
static void *ask_and_look(void *argument)
{
	unsigned id = (unsigned)(uintptr_t)argument, dice = id * 2654435761u + 1;
	volatile unsigned *memory;
	CUstream streams[3] = {NULL};
	CUevent event;
	int n = N;

	OK(cuCtxSetCurrent(context));
	OK(cuMemHostAlloc((void **)&memory, 3 * N * sizeof(*memory), 0));
	OK(cuStreamCreate(&streams[1], CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&streams[2], CU_STREAM_DEFAULT));
	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	for (unsigned round = 0; round < 4 * ROUNDS; round++) {
		unsigned which = dice % 3, how = dice / 3 % 6;
		CUstream stream = streams[which];
		volatile unsigned *at = memory + (size_t)which * N;
		dice = dice * 1664525u + 1013904223u;
		CUdeviceptr out = (CUdeviceptr)at;
		OK(conform_launch(fill, 2, 64, 0, stream, (void *[]){&out, &round, &n}));
		if (how & 1)
			OK(cuEventRecord(event, stream));
		CUresult r = CUDA_ERROR_NOT_READY;
		while (r == CUDA_ERROR_NOT_READY)
			r = how == 0   ? cuStreamQuery(stream)
			    : how == 1 ? cuEventQuery(event)
			    : how == 2 ? cuStreamSynchronize(stream)
			    : how == 3 ? cuEventSynchronize(event)
				       : cuCtxSynchronize();
		CHECK_EQ(r, CUDA_SUCCESS);
		CHECK_EQ(at[0], round);
		CHECK_EQ(at[N - 1], round);
		/* It stays so; the default stream is others' too. */
		if (which)
			OK(cuStreamQuery(stream));
		if (how & 1)
			OK(cuEventQuery(event));
	}
	OK(cuEventDestroy(event));
	OK(cuStreamDestroy(streams[1]));
	OK(cuStreamDestroy(streams[2]));
	OK(cuMemFreeHost((void *)memory));
	return NULL;
}

CONFORM(what_is_said_to_be_done_is_done)
{
	begin();
	ask_and_look((void *)100); /* alone, so that everything is done now and then */
	run_threads(ask_and_look);
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
	unsigned got = 0;

	begin();
	OK(cuMemAlloc(&shared_word, 4));
	OK(cuMemsetD32(shared_word, 0, 1));
	run_threads(add_in_turn);
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
	begin();
	run_threads(own_default_stream);
}

/* --- managed memory under several threads --- */

static CUdeviceptr slices; /* THREADS of them, side by side: neighbours share pages */

/* Program and device take turns in this thread's slice, whatever goes on in the others'. */
static void *own_slice(void *argument)
{
	unsigned id = (unsigned)(uintptr_t)argument;
	int n = 1000;
	CUdeviceptr slice = slices + (size_t)id * 4 * (size_t)n;
	volatile unsigned *words = (volatile unsigned *)slice;
	CUstream stream;

	OK(cuCtxSetCurrent(context));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < n; i++)
		words[i] = 1000 * id;
	for (unsigned round = 1; round <= ROUNDS; round++) {
		OK(conform_launch(increment, 4, 256, 0, stream, (void *[]){&slice, &n}));
		OK(cuStreamSynchronize(stream));
		for (int i = 0; i < n; i++)
			CHECK_EQ(words[i], 1000 * id + 2 * round - 1);
		for (int i = 0; i < n; i++)
			words[i]++;
	}
	OK(cuStreamDestroy(stream));
	return NULL;
}

CONFORM(threads_share_managed_memory_with_the_device)
{
	int able = 0;

	CUdevice device = begin();
	OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, device));
	if (!able)
		SKIP("program and device cannot use managed memory at the same time");
	OK(cuMemAllocManaged(&slices, THREADS * 4000, CU_MEM_ATTACH_GLOBAL));
	run_threads(own_slice);
	OK(cuMemFree(slices));
}
