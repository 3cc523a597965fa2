/* Streams: who waits for the legacy stream, values in memory that streams wait for, attributes. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "conform.h"

/* A word in pinned memory that streams wait for and the program writes. */
static atomic_uint *flag;
static CUdeviceptr flag_address, data;

static void put(CUstream stream, unsigned value)
{
	int n = 1;

	OK(conform_launch(conform_kernel("fill"), 1, 32, 0, stream, (void *[]){&data, &value, &n}));
}

/* The kernel is loaded by a first launch: loading may wait for everything, also for a stream
 * that is held. */
static void begin(void)
{
	CUdevice device = conform_begin();
	int able = 0;

	OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, device));
	if (!able)
		SKIP("no operations on memory in streams");
	OK(cuMemHostAlloc((void **)&flag, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
	OK(cuMemHostGetDevicePointer(&flag_address, (void *)flag, 0));
	memset((void *)flag, 0, 4096);
	OK(cuMemAlloc(&data, 4096));
	put(NULL, 1);
	OK(cuMemsetD32(data, 0, 1024));
	OK(cuCtxSynchronize());
}

static CUstream stream_new(unsigned flags)
{
	CUstream stream;

	OK(cuStreamCreate(&stream, flags));
	return stream;
}

/* What comes behind in the stream waits until the program lets it go. */
static void hold(CUstream stream)
{
	OK(cuStreamWaitValue32(stream, flag_address, 1, CU_STREAM_WAIT_VALUE_GEQ));
}

static void let_go(void)
{
	atomic_store(flag, 1);
}

static unsigned got(void)
{
	unsigned value;
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);

	OK(cuMemcpyDtoHAsync(&value, data, 4, stream));
	OK(cuStreamSynchronize(stream));
	OK(cuStreamDestroy(stream));
	return value;
}

static void settle(void)
{
	usleep(100000); /* for what should not happen meanwhile */
}

/* --- the legacy stream --- */

CONFORM(the_legacy_stream_waits_for_blocking_ones)
{
	begin();
	CUstream blocking = stream_new(CU_STREAM_DEFAULT);
	hold(blocking);
	put(NULL, 5);
	settle();
	GIVES(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
	GIVES(cuStreamQuery(CU_STREAM_LEGACY), CUDA_ERROR_NOT_READY);
	CHECK_EQ(got(), 0);
	let_go();
	OK(cuStreamSynchronize(NULL));
	CHECK_EQ(got(), 5);
}

CONFORM(blocking_streams_wait_for_the_legacy_one)
{
	begin();
	CUstream blocking = stream_new(CU_STREAM_DEFAULT);
	hold(NULL);
	put(blocking, 6);
	settle();
	GIVES(cuStreamQuery(blocking), CUDA_ERROR_NOT_READY);
	CHECK_EQ(got(), 0);
	let_go();
	OK(cuStreamSynchronize(blocking));
	CHECK_EQ(got(), 6);
}

CONFORM(non_blocking_streams_and_it_wait_for_nobody)
{
	begin();
	CUstream other = stream_new(CU_STREAM_NON_BLOCKING);
	hold(other);
	put(NULL, 7);
	OK(cuStreamSynchronize(NULL)); /* or hang */
	CHECK_EQ(got(), 7);
	GIVES(cuStreamQuery(other), CUDA_ERROR_NOT_READY);
	let_go();
	OK(cuStreamSynchronize(other));
	atomic_store(flag, 0);
	hold(NULL);
	put(other, 8);
	OK(cuStreamSynchronize(other));
	CHECK_EQ(got(), 8);
	let_go();
	OK(cuCtxSynchronize());
}

static CUcontext context;

static void *per_thread(void *unused)
{
	(void)unused;
	OK(cuCtxSetCurrent(context));
	put(CU_STREAM_PER_THREAD, 9);
	GIVES(cuStreamQuery(CU_STREAM_PER_THREAD), CUDA_ERROR_NOT_READY);
	let_go();
	OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
	CHECK_EQ(got(), 9);
	return NULL;
}

/* A thread's default stream is a blocking one. */
CONFORM(default_streams_of_threads_wait_for_it_too)
{
	pthread_t thread;

	begin();
	OK(cuCtxGetCurrent(&context));
	hold(NULL);
	CHECK(pthread_create(&thread, NULL, per_thread, NULL) == 0);
	pthread_join(thread, NULL);
	OK(cuCtxSynchronize());
}

/* --- values in memory --- */

CONFORM(streams_wait_for_what_another_writes)
{
	begin();
	CUstream a = stream_new(CU_STREAM_NON_BLOCKING), b = stream_new(CU_STREAM_NON_BLOCKING);
	CUdeviceptr word = data + 64;

	OK(cuStreamWaitValue64(b, word, 7, CU_STREAM_WAIT_VALUE_EQ));
	put(b, 10);
	settle();
	GIVES(cuStreamQuery(b), CUDA_ERROR_NOT_READY);
	OK(cuStreamWriteValue64(a, word, 7, 0));
	OK(cuStreamSynchronize(b));
	CHECK_EQ(got(), 10);
}

CONFORM(conditions_on_values)
{
	static const struct {
		unsigned flags, value, opens; /* what lets the stream go on */
	} cases[] = {
	    {CU_STREAM_WAIT_VALUE_GEQ, 5, 6},
	    {CU_STREAM_WAIT_VALUE_EQ, 5, 5},
	    {CU_STREAM_WAIT_VALUE_AND, 6, 4},
	};

	begin();
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
	for (int i = 0; i < 3; i++) {
		atomic_store(flag, 0);
		OK(cuStreamWaitValue32(stream, flag_address, cases[i].value, cases[i].flags));
		settle();
		GIVES(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
		atomic_store(flag, cases[i].opens);
		OK(cuStreamSynchronize(stream));
	}
}

CONFORM(several_operations_at_once)
{
	begin();
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
	CUstreamBatchMemOpParams operations[3] = {0};
	unsigned words[2];

	operations[0].waitValue.operation = CU_STREAM_MEM_OP_WAIT_VALUE_32;
	operations[0].waitValue.address = flag_address;
	operations[0].waitValue.value = 1;
	operations[0].waitValue.flags = CU_STREAM_WAIT_VALUE_GEQ;
	operations[1].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
	operations[1].writeValue.address = data;
	operations[1].writeValue.value = 21;
	operations[2].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
	operations[2].writeValue.address = data + 4;
	operations[2].writeValue.value = 22;
	OK(cuStreamBatchMemOp(stream, 3, operations, 0));
	settle();
	CHECK_EQ(got(), 0);
	let_go();
	OK(cuStreamSynchronize(stream));
	OK(cuMemcpyDtoH(words, data, sizeof(words)));
	CHECK_EQ(words[0], 21);
	CHECK_EQ(words[1], 22);
}

/* --- attributes --- */

CONFORM(attributes_are_kept_and_copied)
{
	conform_begin();
	CUstream a = stream_new(CU_STREAM_NON_BLOCKING), b = stream_new(CU_STREAM_NON_BLOCKING);
	CUstreamAttrValue value = {.syncPolicy = CU_SYNC_POLICY_BLOCKING_SYNC}, back = {0};
	CUdevice device = 77;

	OK(cuStreamSetAttribute(a, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
	OK(cuStreamGetAttribute(a, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &back));
	CHECK_EQ(back.syncPolicy, CU_SYNC_POLICY_BLOCKING_SYNC);
	OK(cuStreamCopyAttributes(b, a));
	back = (CUstreamAttrValue){0};
	OK(cuStreamGetAttribute(b, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &back));
	CHECK_EQ(back.syncPolicy, CU_SYNC_POLICY_BLOCKING_SYNC);
	OK(cuStreamGetDevice(a, &device));
	CHECK_EQ(device, 0);
	OK(cuStreamDestroy(a));
	OK(cuStreamDestroy(b));
}
