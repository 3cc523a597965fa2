/* Contexts: the stack of each thread, flags, limits, the primary context's reset. */
#include <pthread.h>

#include "conform.h"

static CUcontext current(void)
{
	CUcontext context;

	OK(cuCtxGetCurrent(&context));
	return context;
}

static CUcontext context_new(void)
{
	CUcontext context;

	OK(cuCtxCreate_v2(&context, 0, 0));
	return context;
}

static void *has_none(void *unused)
{
	CUcontext popped;

	(void)unused;
	CHECK(!current());
	GIVES(cuCtxPopCurrent(&popped), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
	return NULL;
}

CONFORM(every_thread_has_a_stack_of_its_own)
{
	CUcontext primary, a, b, popped;
	pthread_t thread;

	conform_begin();
	primary = current();
	a = context_new(); /* on top of it */
	CHECK(current() == a);
	b = context_new();
	CHECK(current() == b && a != b);
	CHECK(pthread_create(&thread, NULL, has_none, NULL) == 0);
	pthread_join(thread, NULL);
	OK(cuCtxPushCurrent(a)); /* one may be there twice */
	CHECK(current() == a);
	OK(cuCtxPopCurrent(&popped));
	CHECK(popped == a && current() == b);
	OK(cuCtxPopCurrent(&popped));
	CHECK(popped == b && current() == a);
	OK(cuCtxSetCurrent(b)); /* in the place of the top */
	OK(cuCtxPopCurrent(&popped));
	CHECK(popped == b && current() == primary);
	OK(cuCtxSetCurrent(NULL)); /* takes the top off */
	CHECK(!current());
	GIVES(cuCtxPopCurrent(&popped), CUDA_ERROR_INVALID_CONTEXT);
	OK(cuCtxDestroy(a));
	OK(cuCtxDestroy(b));
}

CONFORM(a_context_that_ends_leaves_the_stack)
{
	CUcontext primary;

	conform_begin();
	primary = current();
	CUcontext a = context_new();
	OK(cuCtxDestroy(a));
	CHECK(current() == primary);
	OK(cuCtxSynchronize());
}

CONFORM(contexts_have_things_of_their_own)
{
	CUcontext primary, of;
	CUstream stream;
	CUdeviceptr data;
	uint64_t first = 0, second = 0;
	unsigned got = 0;

	conform_begin();
	primary = current();
	OK(cuCtxGetId(NULL, (unsigned long long *)&first));
	CUcontext other = context_new();
	OK(cuCtxGetId(other, (unsigned long long *)&second));
	CHECK(first != second);
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuStreamGetCtx(stream, &of));
	CHECK(of == other);
	OK(cuMemAlloc(&data, 4));
	OK(cuMemsetD32(data, 77, 1));
	OK(cuPointerGetAttribute(&of, CU_POINTER_ATTRIBUTE_CONTEXT, data));
	CHECK(of == other);
	OK(cuCtxPushCurrent(primary)); /* one device, one address space */
	OK(cuMemcpyDtoH(&got, data, 4));
	CHECK_EQ(got, 77);
	OK(cuCtxDestroy(other));
	GIVES(cuPointerGetAttribute(&of, CU_POINTER_ATTRIBUTE_CONTEXT, data),
	    CUDA_ERROR_INVALID_VALUE);
}

CONFORM(flags_are_kept)
{
	unsigned flags = 0;
	int active = 7;

	OK(cuInit(0));
	GIVES(cuDevicePrimaryCtxSetFlags(0, 0x4000), CUDA_ERROR_INVALID_VALUE);
	OK(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_BLOCKING_SYNC));
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(flags & CU_CTX_SCHED_MASK, CU_CTX_SCHED_BLOCKING_SYNC);
	CHECK_EQ(active, 0);
	conform_begin();
	OK(cuCtxGetFlags(&flags));
	CHECK_EQ(flags & CU_CTX_SCHED_MASK, CU_CTX_SCHED_BLOCKING_SYNC);
	CUcontext other;
	OK(cuCtxCreate_v2(&other, CU_CTX_SCHED_YIELD, 0));
	OK(cuCtxGetFlags(&flags));
	CHECK_EQ(flags & CU_CTX_SCHED_MASK, CU_CTX_SCHED_YIELD);
	OK(cuCtxDestroy(other));
}

CONFORM(limits_are_at_least_what_was_asked_for)
{
	static const CUlimit limits[] = {
	    CU_LIMIT_STACK_SIZE, CU_LIMIT_PRINTF_FIFO_SIZE, CU_LIMIT_MALLOC_HEAP_SIZE};
	size_t before, now;

	conform_begin();
	for (int i = 0; i < 3; i++) {
		OK(cuCtxGetLimit(&before, limits[i]));
		OK(cuCtxSetLimit(limits[i], 2 * before));
		OK(cuCtxGetLimit(&now, limits[i]));
		CHECK(now >= 2 * before);
	}
	CHECK(cuCtxGetLimit(&now, (CUlimit)1000) != CUDA_SUCCESS);
	CHECK(cuCtxSetLimit((CUlimit)1000, 1) != CUDA_SUCCESS);
	GIVES(cuCtxGetLimit(NULL, CU_LIMIT_STACK_SIZE), CUDA_ERROR_INVALID_VALUE);
}

static void check_works(void)
{
	unsigned value = 9, got[64];
	int n = 64;
	CUmodule module;
	CUfunction fill;
	CUdeviceptr data;

	OK(cuModuleLoadData(&module, conform_ptx));
	OK(cuModuleGetFunction(&fill, module, "fill"));
	OK(cuMemAlloc(&data, sizeof(got)));
	OK(conform_launch(fill, 1, 64, 0, NULL, (void *[]){&data, &value, &n}));
	OK(cuMemcpyDtoH(got, data, sizeof(got)));
	for (int i = 0; i < n; i++)
		CHECK_EQ(got[i], 9);
}

/* Whatever is left in it goes, and it begins anew when somebody retains it again. */
CONFORM(the_primary_context_is_reset)
{
	CUcontext context;
	CUdeviceptr before;
	unsigned flags, version, again;
	int active;

	conform_begin();
	check_works();
	OK(cuMemAlloc(&before, 64 << 20));
	OK(cuCtxGetCurrent(&context));
	OK(cuCtxGetApiVersion(context, &version));
	OK(cuDevicePrimaryCtxReset(0));
	CHECK(cuCtxGetApiVersion(context, &again) != CUDA_SUCCESS);
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(active, 0);
	OK(cuDevicePrimaryCtxRetain(&context, 0));
	OK(cuCtxSetCurrent(context));
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(active, 1);
	OK(cuCtxGetApiVersion(NULL, &again));
	CHECK_EQ(again, version);
	CHECK(cuMemFree(before) != CUDA_SUCCESS);
	check_works();
}

/* The same through releases, and what libraries do at their end. */
CONFORM(the_last_release_ends_the_primary_context)
{
	CUcontext a, b;
	unsigned flags;
	int active;

	OK(cuInit(0));
	GIVES(cuDevicePrimaryCtxRelease(0), CUDA_ERROR_INVALID_CONTEXT);
	for (int round = 0; round < 3; round++) {
		OK(cuDevicePrimaryCtxRetain(&a, 0));
		OK(cuDevicePrimaryCtxRetain(&b, 0));
		CHECK(a == b);
		OK(cuCtxSetCurrent(a));
		check_works();
		OK(cuDevicePrimaryCtxRelease(0));
		OK(cuCtxSynchronize());
		OK(cuDevicePrimaryCtxRelease(0));
		OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
		CHECK_EQ(active, 0);
	}
}

/* Of several things that are wrong the first in this order is told. */
CONFORM(errors_have_an_order)
{
	CUdeviceptr data;
	int count;

	GIVES(cuDeviceGetCount(NULL), CUDA_ERROR_NOT_INITIALIZED);
	GIVES(cuMemAlloc(NULL, 0), CUDA_ERROR_NOT_INITIALIZED);
	GIVES(cuCtxSynchronize(), CUDA_ERROR_NOT_INITIALIZED);
	GIVES(cuInit(1), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
	OK(cuInit(0));
	OK(cuInit(0));
	GIVES(cuMemAlloc(&data, 4), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
	conform_begin();
	GIVES(cuMemAlloc(&data, 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemAlloc(NULL, 4), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuStreamCreate(NULL, 0), CUDA_ERROR_INVALID_VALUE);
	CUstream stream;
	GIVES(cuStreamCreate(&stream, 0x100), CUDA_ERROR_INVALID_VALUE);
	CUevent event;
	GIVES(cuEventCreate(&event, 0x100), CUDA_ERROR_INVALID_VALUE);
	OK(cuCtxSynchronize()); /* none of it broke anything */
}
