/*
 * More names of the per-thread default stream (test-perthread.c): boxes and arrays, copies that
 * wait, operations on memory, captures, and what streams tell of themselves. Where a copy waits, a
 * stream that blocks with the legacy one is held instead of the thread's: the legacy stream would
 * wait for it forever.
 */
#include "perthread.h"

#undef cuGraphInstantiate
#undef cuMemPrefetchAsync
#undef cuMemcpyBatchAsync
#undef cuStreamBeginCapture
#undef cuStreamGetCaptureInfo
#undef cuStreamUpdateCaptureDependencies

static CUstream other;

static void hold_another(void)
{
	watch_what_is_held();
	OK(cuStreamCreate(&other, CU_STREAM_DEFAULT));
	OK(cuStreamWaitValue32_v2(other, word, 1, CU_STREAM_WAIT_VALUE_GEQ));
}

/* What was done to have it loaded before a stream is held. */
static void forget(void)
{
	OK(cuCtxSynchronize());
	OK(cuMemsetD8(device, 0, N));
	memset(back, 0, N);
	OK(cuCtxSynchronize());
}

static void let_another_go(void)
{
	GIVES(cuStreamQuery(other), CUDA_ERROR_NOT_READY);
	atomic_store(flag, 1);
	OK(cuStreamSynchronize(other));
}

static void check_device(size_t from, const uint8_t *wanted, size_t size)
{
	uint8_t got[N];

	OK(cuMemcpyDtoH_v2_ptds(got, device + from, size));
	CHECK_BYTES(got, wanted, size);
}

static CUcontext current(void)
{
	CUcontext context;

	OK(cuCtxGetCurrent(&context));
	return context;
}

/* From every second row of host memory to rows of device memory without a gap. */
static CUDA_MEMCPY2D rows(size_t to, size_t from, size_t width, size_t height)
{
	return (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = host + from,
	    .srcPitch = 2 * width,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = device + to,
	    .dstPitch = width,
	    .WidthInBytes = width,
	    .Height = height};
}

static CUDA_MEMCPY3D box(size_t to, size_t from, size_t width, size_t height, size_t depth)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = host + from,
	    .srcPitch = width,
	    .srcHeight = height,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = device + to,
	    .dstPitch = width,
	    .dstHeight = height,
	    .WidthInBytes = width,
	    .Height = height,
	    .Depth = depth};
}

static CUDA_MEMCPY3D_PEER between(size_t to, size_t from, size_t width, size_t height)
{
	return (CUDA_MEMCPY3D_PEER){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
	    .srcDevice = device + from,
	    .srcContext = current(),
	    .srcPitch = width,
	    .srcHeight = height,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = device + to,
	    .dstContext = current(),
	    .dstPitch = width,
	    .dstHeight = height,
	    .WidthInBytes = width,
	    .Height = height,
	    .Depth = 1};
}

CONFORM(boxes_go_into_the_threads_stream)
{
	uint8_t wanted[192];

	begin();
	CUDA_MEMCPY2D flat = rows(0, 0, 16, 4);
	CUDA_MEMCPY3D deep = box(64, 1000, 8, 2, 3);
	CUDA_MEMCPY3D_PEER peer = between(128, 0, 8, 4);
	for (int held = 0; held < 2; held++) {
		if (held)
			hold();
		OK(cuMemcpy2DAsync_v2_ptsz(&flat, NULL));
		OK(cuMemcpy3DAsync_v2_ptsz(&deep, NULL));
		OK(cuMemcpy3DPeerAsync_ptsz(&peer, NULL));
		OK(cuMemcpyPeerAsync_ptsz(
		    device + 160, current(), device + 64, current(), 32, NULL));
		if (!held)
			forget();
	}
	let_go();
	for (int y = 0; y < 4; y++)
		memcpy(wanted + 16 * y, host + 32 * y, 16);
	memcpy(wanted + 64, host + 1000, 48);
	memset(wanted + 112, 0, 16);
	memcpy(wanted + 128, wanted, 32);
	memcpy(wanted + 160, wanted + 64, 32);
	check_device(0, wanted, sizeof(wanted));
}

CONFORM(batches_go_into_the_threads_stream)
{
	CUmemcpyAttributes how = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	size_t size = 64, first = 0, failed = 7;

	begin();
	CUdeviceptr to = device, next = device + 64, from = (CUdeviceptr)host;
	CUDA_MEMCPY3D_BATCH_OP op = {
	    .src = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = from + 128}},
	    .dst = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = device + 128}},
	    .extent = {64, 1, 1},
	    .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	CUDA_MEMCPY3D_BATCH_OP next_op = op;
	next_op.src.op.ptr.ptr += 64;
	next_op.dst.op.ptr.ptr += 64;
	/* The legacy stream takes none. */
	GIVES(cuMemcpyBatchAsync(&to, &from, &size, 1, &how, &first, 1, &failed, NULL),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemcpy3DBatchAsync_v2(1, &op, 0, NULL), CUDA_ERROR_INVALID_VALUE);
	CUstream own = CU_STREAM_PER_THREAD;
	hold();
	OK(cuMemcpyBatchAsync_ptsz(&to, &from, &size, 1, &how, &first, 1, &failed, own));
	from += 64;
	OK(cuMemcpyBatchAsync_v2_ptsz(&next, &from, &size, 1, &how, &first, 1, own));
	OK(cuMemcpy3DBatchAsync_ptsz(1, &op, &failed, 0, own));
	OK(cuMemcpy3DBatchAsync_v2_ptsz(1, &next_op, 0, own));
	let_go();
	check_device(0, host, 256);
}

static CUarray row_array(size_t bytes)
{
	CUDA_ARRAY_DESCRIPTOR shape = {bytes, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1};
	CUarray array;

	OK(cuArrayCreate(&array, &shape));
	return array;
}

CONFORM(arrays_are_copied_in_the_threads_stream)
{
	begin();
	CUarray array = row_array(256);
	for (int held = 0; held < 2; held++) {
		if (held)
			hold();
		OK(cuMemcpyHtoAAsync_v2_ptsz(array, 0, host, 256, NULL));
		OK(cuMemcpyAtoHAsync_v2_ptsz(back, array, 16, 200, NULL));
		if (!held)
			forget();
	}
	CHECK_EQ(back[0] | back[1] | back[2], 0);
	let_go();
	CHECK_BYTES(back, host + 16, 200);
	OK(cuArrayDestroy(array));
}

CONFORM(copies_that_wait_leave_other_streams_alone)
{
	uint8_t wanted[N];

	begin();
	CUDA_MEMCPY2D flat = rows(0, 0, 16, 4), again = rows(64, 8, 12, 4);
	CUDA_MEMCPY3D deep = box(128, 1000, 8, 2, 3);
	CUDA_MEMCPY3D_PEER peer = between(192, 0, 8, 4);
	again.srcPitch = 25; /* no multiple of anything */
	for (int held = 0; held < 2; held++) {
		if (held)
			hold_another();
		OK(cuMemcpy2D_v2_ptds(&flat));
		OK(cuMemcpy2DUnaligned_v2_ptds(&again));
		OK(cuMemcpy3D_v2_ptds(&deep));
		OK(cuMemcpy3DPeer_ptds(&peer));
		OK(cuMemcpyPeer_ptds(device + 224, current(), device + 128, current(), 32));
		OK(cuStreamSynchronize_ptsz(NULL));
		if (!held)
			forget();
	}
	for (int y = 0; y < 4; y++) {
		memcpy(wanted + 16 * y, host + 32 * y, 16);
		memcpy(wanted + 64 + 12 * y, host + 8 + 25 * y, 12);
	}
	memset(wanted + 112, 0, 16);
	memcpy(wanted + 128, host + 1000, 48);
	memset(wanted + 176, 0, 16);
	memcpy(wanted + 192, wanted, 32);
	memcpy(wanted + 224, wanted + 128, 32);
	check_device(0, wanted, 256);
	let_another_go();
}

CONFORM(copies_of_arrays_leave_other_streams_alone)
{
	begin();
	CUarray a = row_array(64), b = row_array(64);
	for (int held = 0; held < 2; held++) {
		if (held)
			hold_another();
		OK(cuMemcpyHtoA_v2_ptds(a, 0, host, 64));
		OK(cuMemcpyHtoA_v2_ptds(b, 0, host + 64, 64));
		OK(cuMemcpyAtoA_v2_ptds(b, 8, a, 16, 32));
		OK(cuMemcpyAtoD_v2_ptds(device, b, 8, 40));
		OK(cuMemcpyDtoA_v2_ptds(a, 48, device, 16));
		OK(cuMemcpyAtoH_v2_ptds(back, a, 0, 64));
		if (!held)
			forget();
	}
	memcpy(host + 64 + 8, host + 16, 32);
	check_device(0, host + 64 + 8, 40);
	memcpy(host + 48, host + 64 + 8, 16);
	CHECK_BYTES(back, host, 64);
	let_another_go();
	OK(cuArrayDestroy(a));
	OK(cuArrayDestroy(b));
}

CONFORM(fills_leave_other_streams_alone)
{
	uint8_t wanted[96] = {0};

	begin();
	for (int held = 0; held < 2; held++) {
		if (held)
			hold_another();
		OK(cuMemsetD2D8_v2_ptds(device, 16, 0x11, 8, 2));
		OK(cuMemsetD2D16_v2_ptds(device + 32, 16, 0x2222, 4, 2));
		OK(cuMemsetD2D32_v2_ptds(device + 64, 16, 0x33333333, 2, 2));
		OK(cuStreamSynchronize_ptsz(NULL));
		if (!held)
			forget();
	}
	for (int i = 0; i < 6; i++)
		memset(wanted + 16 * i, 0x11 * (1 + i / 2), 8);
	check_device(0, wanted, sizeof(wanted));
	let_another_go();
}

/* Memory that the program sees too has its bytes when the call returns. */
CONFORM(what_the_program_sees_is_there)
{
	enum { MANY = 16 << 20 };
	CUdeviceptr pinned, managed, filled;
	uint8_t *seen;

	begin();
	OK(cuMemHostAlloc((void **)&seen, MANY, CU_MEMHOSTALLOC_DEVICEMAP));
	OK(cuMemHostGetDevicePointer(&pinned, seen, 0));
	OK(cuMemAllocManaged(&managed, MANY, CU_MEM_ATTACH_GLOBAL));
	OK(cuMemAlloc(&filled, MANY));
	for (unsigned i = 1; i < 5; i++) {
		OK(cuMemsetD8(pinned, (uint8_t)i, MANY));
		CHECK_EQ(seen[MANY - 1], i);
		OK(cuMemsetD32_v2_ptds(pinned, i, MANY / 4));
		CHECK_EQ(seen[MANY - 4], i);
		OK(cuMemsetD16(managed, (uint16_t)i, MANY / 2));
		CHECK_EQ(((uint8_t *)managed)[MANY - 2], i); /* NOLINT(performance-no-int-to-ptr) */
		OK(cuMemsetD8(filled, (uint8_t)i + 10, MANY));
		OK(cuMemcpyDtoD(pinned, filled, MANY));
		CHECK_EQ(seen[MANY - 1], i + 10);
	}
	OK(cuMemFree(managed));
	OK(cuMemFree(filled));
	OK(cuMemFreeHost(seen));
}

/* --- operations on memory --- */

static CUstreamBatchMemOpParams write_of(CUdeviceptr address, unsigned value)
{
	return (CUstreamBatchMemOpParams){
	    .writeValue = {
		.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32, .address = address, .value = value}};
}

CONFORM(writes_go_into_the_threads_stream)
{
	unsigned got[2];

	begin();
	CUstreamBatchMemOpParams write = write_of(device + 4, 6);
	hold();
	OK(cuStreamWaitValue64_v2_ptsz(NULL, word, 1, CU_STREAM_WAIT_VALUE_GEQ));
	OK(cuStreamWriteValue32_v2_ptsz(NULL, device, 5, 0));
	OK(cuStreamBatchMemOp_v2_ptsz(NULL, 1, &write, 0));
	let_go();
	OK(cuMemcpyDtoH_v2_ptds(got, device, sizeof(got)));
	CHECK_EQ(got[0], 5);
	CHECK_EQ(got[1], 6);
}

CONFORM(waits_hold_the_threads_stream)
{
	begin();
	OK(cuStreamWaitValue64_v2_ptsz(NULL, word, 1, CU_STREAM_WAIT_VALUE_GEQ));
	GIVES(cuStreamQuery_ptsz(NULL), CUDA_ERROR_NOT_READY);
	atomic_store(flag, 1);
	OK(cuStreamSynchronize_ptsz(NULL));
}

/* The first form of these operations is what a device may have switched off. */
CONFORM(first_form_of_operations_on_memory)
{
	unsigned got[6];
	int able = 0;

	begin();
	CUstreamBatchMemOpParams write = write_of(device + 16, 7);
	OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_MEM_OPS_V1, 0));
	CUresult wanted = able ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
	if (able)
		hold();
	GIVES(cuStreamWaitValue32_ptsz(NULL, word, 1, CU_STREAM_WAIT_VALUE_GEQ), wanted);
	GIVES(cuStreamWaitValue64_ptsz(NULL, word, 1, CU_STREAM_WAIT_VALUE_GEQ), wanted);
	GIVES(cuStreamWriteValue32_ptsz(NULL, device, 5, 0), wanted);
	GIVES(cuStreamWriteValue64_ptsz(NULL, device + 8, 6, 0), wanted);
	GIVES(cuStreamBatchMemOp_ptsz(NULL, 1, &write, 0), wanted);
	if (!able)
		return;
	let_go();
	OK(cuMemcpyDtoH_v2_ptds(got, device, sizeof(got)));
	CHECK_EQ(got[0], 5);
	CHECK_EQ(got[2], 6);
	CHECK_EQ(got[4], 7);
}

/* --- events --- */

CONFORM(events_of_the_threads_stream)
{
	CUevent event, late;

	begin();
	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	OK(cuEventCreate(&late, CU_EVENT_DISABLE_TIMING));
	hold_another();
	OK(cuEventRecord(event, other));
	OK(cuStreamWaitEvent_ptsz(NULL, event, CU_EVENT_WAIT_DEFAULT));
	OK(cuEventRecordWithFlags_ptsz(late, NULL, CU_EVENT_RECORD_DEFAULT));
	usleep(20000);
	GIVES(cuStreamQuery_ptsz(NULL), CUDA_ERROR_NOT_READY);
	GIVES(cuEventQuery(late), CUDA_ERROR_NOT_READY);
	let_another_go();
	OK(cuStreamSynchronize_ptsz(NULL));
	OK(cuEventQuery(late));
	OK(cuEventDestroy(event));
	OK(cuEventDestroy(late));
}

/* --- what streams tell of themselves --- */

static void *id_here(void *id)
{
	OK(cuCtxSetCurrent(*(CUcontext *)id));
	OK(cuStreamGetId_ptsz(NULL, id));
	return NULL;
}

CONFORM(the_threads_stream_tells_who_it_is)
{
	unsigned long long id, same, legacy;
	union {
		CUcontext context;
		unsigned long long id;
	} elsewhere;
	pthread_t thread;

	begin();
	OK(cuStreamGetId_ptsz(NULL, &id));
	OK(cuStreamGetId(CU_STREAM_PER_THREAD, &same));
	OK(cuStreamGetId(CU_STREAM_LEGACY, &legacy));
	CHECK_EQ(id, same);
	CHECK(id != legacy);
	elsewhere.context = current();
	CHECK_EQ(pthread_create(&thread, NULL, id_here, &elsewhere), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(elsewhere.id != id && elsewhere.id != legacy);
}

CONFORM(the_threads_stream_tells_what_it_is)
{
	CUgreenCtx green = (CUgreenCtx)&green;
	CUcontext context = NULL;
	unsigned flags = 77;
	int priority = 77;
	CUdevice of = 77;

	begin();
	OK(cuStreamGetFlags_ptsz(NULL, &flags));
	CHECK_EQ(flags, 0);
	OK(cuStreamGetPriority_ptsz(NULL, &priority));
	CHECK_EQ(priority, 0);
	OK(cuStreamGetDevice_ptsz(NULL, &of));
	CHECK_EQ(of, 0);
	OK(cuStreamGetCtx_ptsz(NULL, &context));
	CHECK(context == current());
	context = NULL;
	OK(cuStreamGetCtx_v2_ptsz(NULL, &context, &green));
	CHECK(context == current());
	CHECK(!green);
}

static int policy_of(CUstream stream)
{
	CUstreamAttrValue value = {0};

	OK(cuStreamGetAttribute(stream, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
	return (int)value.syncPolicy;
}

CONFORM(the_threads_stream_keeps_attributes)
{
	CUstreamAttrValue value = {.syncPolicy = CU_SYNC_POLICY_YIELD}, got = {0};
	CUstream made;

	begin();
	OK(cuStreamCreate(&made, CU_STREAM_NON_BLOCKING));
	int before = policy_of(CU_STREAM_LEGACY);
	OK(cuStreamSetAttribute_ptsz(NULL, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
	OK(cuStreamGetAttribute_ptsz(NULL, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &got));
	CHECK_EQ(got.syncPolicy, CU_SYNC_POLICY_YIELD);
	CHECK_EQ(policy_of(CU_STREAM_PER_THREAD), CU_SYNC_POLICY_YIELD);
	CHECK_EQ(policy_of(CU_STREAM_LEGACY), before);
	OK(cuStreamCopyAttributes_ptsz(made, NULL));
	CHECK_EQ(policy_of(made), CU_SYNC_POLICY_YIELD);
	OK(cuStreamDestroy(made));
}

/* --- captures --- */

CONFORM(captures_by_every_form)
{
	CUstreamCaptureStatus status;
	const CUgraphEdgeData *edges;
	const CUgraphNode *nodes;
	CUgraphNode none[1];
	uint64_t id = 0, same = 1;
	CUgraph graph, seen;
	size_t count;

	begin();
	OK(cuStreamBeginCapture_ptsz(NULL));
	OK(cuStreamGetCaptureInfo_ptsz(NULL, &status, &id));
	CHECK_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
	OK(cuMemsetD8Async_ptsz(device, 1, 16, NULL));
	OK(cuStreamGetCaptureInfo_v3_ptsz(NULL, &status, &same, &seen, &nodes, &edges, &count));
	CHECK_EQ(id, same);
	CHECK_EQ(count, 1);
	OK(cuStreamUpdateCaptureDependencies_ptsz(
	    NULL, none, 0, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
	OK(cuMemsetD8Async_ptsz(device + 16, 2, 16, NULL));
	OK(cuStreamUpdateCaptureDependencies_v2_ptsz(
	    NULL, none, NULL, 0, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
	OK(cuMemsetD8Async_ptsz(device + 32, 3, 16, NULL));
	OK(cuStreamEndCapture_ptsz(NULL, &graph));
	CHECK(graph == seen);
	OK(cuGraphGetRootNodes(graph, NULL, &count));
	CHECK_EQ(count, 3); /* none waits for another */
	OK(cuGraphDestroy(graph));
}

CONFORM(captures_into_a_graph)
{
	CUDA_GRAPH_INSTANTIATE_PARAMS how = {.flags = CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD};
	uint8_t wanted[32];
	CUgraph graph, same;
	CUgraphExec exec;

	begin();
	OK(cuGraphCreate(&graph, 0));
	OK(cuStreamBeginCaptureToGraph_ptsz(
	    NULL, graph, NULL, NULL, 0, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	OK(cuMemsetD8Async_ptsz(device, 4, 32, NULL));
	OK(cuStreamEndCapture_ptsz(NULL, &same));
	CHECK(graph == same);
	/* It is uploaded in the thread's stream, which waits for nobody. */
	hold_another();
	OK(cuGraphInstantiateWithParams_ptsz(&exec, graph, &how));
	CHECK_EQ(how.result_out, CUDA_GRAPH_INSTANTIATE_SUCCESS);
	OK(cuStreamSynchronize_ptsz(NULL));
	OK(cuGraphLaunch_ptsz(exec, NULL));
	memset(wanted, 4, sizeof(wanted));
	check_device(0, wanted, sizeof(wanted));
	let_another_go();
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(graph));
}

/* --- memory --- */

CONFORM(pools_give_memory_in_the_threads_stream)
{
	CUdeviceptr address;
	CUmemoryPool pool;

	begin();
	OK(cuDeviceGetDefaultMemPool(&pool, 0));
	hold_another();
	OK(cuMemAllocFromPoolAsync_ptsz(&address, N, pool, NULL));
	OK(cuMemcpyHtoDAsync_v2_ptsz(address, host, N, NULL));
	OK(cuMemcpyDtoHAsync_v2_ptsz(back, address, N, NULL));
	OK(cuMemFreeAsync_ptsz(address, NULL));
	OK(cuStreamSynchronize_ptsz(NULL));
	CHECK_BYTES(back, host, N);
	let_another_go();
}
