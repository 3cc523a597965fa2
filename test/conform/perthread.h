/*
 * What the programs about per-thread default streams share: memory, and the stream of the calling
 * thread held by a word in memory while work is put into it, so that what went elsewhere would be
 * seen: it would be done at once.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "conform.h"

enum { N = 4096, PATIENCE_MS = 5000 };

/* Memory of the device, pinned memory to copy from and to, and the word that holds the stream. */
static CUdeviceptr device, word;
static uint8_t *host, *back;
static atomic_uint *flag;

/* What is used while the stream is held is loaded before: loading may wait for it. */
static inline void begin(void)
{
	CUdevice ordinal = conform_begin();
	unsigned value = 0;
	int able = 0, n = N / 4;

	OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, ordinal));
	if (!able)
		SKIP("no operations on memory in streams");
	OK(cuMemAlloc(&device, N));
	OK(conform_launch(conform_kernel("fill"), 1, 64, 0, NULL, (void *[]){&device, &value, &n}));
	OK(conform_launch(conform_kernel("increment"), 1, 64, 0, NULL, (void *[]){&device, &n}));
	OK(cuMemsetD8(device, 0, N));
	OK(cuMemHostAlloc((void **)&host, 4 * N, CU_MEMHOSTALLOC_DEVICEMAP));
	back = host + N;
	flag = (atomic_uint *)(host + 2 * N);
	OK(cuMemHostGetDevicePointer(&word, (void *)flag, 0));
	memset(host, 0, 4 * N);
	conform_fill(host, N, 1);
	OK(cuCtxSynchronize());
}

/* Ends what would be held for ever: work that went elsewhere may wait for this. */
static void *lose_patience(void *unused)
{
	for (int i = 0; i < PATIENCE_MS / 10 && !atomic_load(flag); i++)
		usleep(10000);
	atomic_store(flag, 1);
	return unused;
}

static inline void watch_what_is_held(void)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, lose_patience, NULL), 0);
	CHECK_EQ(pthread_detach(thread), 0);
}

static inline void hold(void)
{
	watch_what_is_held();
	OK(cuStreamWaitValue32_v2_ptsz(NULL, word, 1, CU_STREAM_WAIT_VALUE_GEQ));
}

/* Nothing has happened to the device's memory yet; then all of it happens. */
static inline void let_go(void)
{
	uint8_t got[N], nothing[N] = {0};
	CUstream other;

	usleep(50000);
	OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	OK(cuMemcpyDtoHAsync_v2_ptsz(got, device, N, other));
	OK(cuStreamSynchronize_ptsz(other));
	CHECK_BYTES(got, nothing, N);
	GIVES(cuStreamQuery_ptsz(NULL), CUDA_ERROR_NOT_READY);
	atomic_store(flag, 1);
	OK(cuStreamSynchronize_ptsz(NULL));
	OK(cuStreamQuery_ptsz(NULL));
	OK(cuStreamDestroy(other));
}
