/*
 * Forms of functions that newer ones have replaced, with the names and structs that a program
 * compiled with CUDA 10 to 12 means: without edge data in graphs, without locations of memory, with
 * smaller kernel nodes. test-legacy.c has those from before CUDA 4.
 */
#include "conform.h"

#undef cuCtxCreate
#undef cuDeviceGetUuid
#undef cuDevicePrimaryCtxSetFlags
#undef cuEventElapsedTime
#undef cuGetProcAddress
#undef cuGraphAddDependencies
#undef cuGraphAddKernelNode
#undef cuGraphAddNode
#undef cuGraphExecKernelNodeSetParams
#undef cuGraphExecUpdate
#undef cuGraphGetEdges
#undef cuGraphInstantiate
#undef cuGraphKernelNodeGetParams
#undef cuGraphKernelNodeSetParams
#undef cuGraphNodeGetDependencies
#undef cuGraphNodeGetDependentNodes
#undef cuGraphRemoveDependencies
#undef cuMemAdvise
#undef cuMemPrefetchAsync
#undef cuMemcpyBatchAsync
#undef cuStreamGetCaptureInfo
#undef cuStreamUpdateCaptureDependencies

enum { N = 256 };

static CUdeviceptr data;
static CUstream stream;
static int n = N;

static void begin(void)
{
	conform_begin();
	OK(cuMemAlloc_v2(&data, N * sizeof(unsigned)));
	OK(cuMemsetD8_v2(data, 0, N * sizeof(unsigned)));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuCtxSynchronize());
}

static void check_data(unsigned wanted)
{
	unsigned got[N];

	OK(cuStreamSynchronize(stream));
	OK(cuMemcpyDtoH_v2(got, data, sizeof(got)));
	for (int i = 0; i < N; i++)
		CHECK_EQ(got[i], wanted);
}

static CUDA_KERNEL_NODE_PARAMS_v1 kernel(const char *name, void **values)
{
	return (CUDA_KERNEL_NODE_PARAMS_v1){.func = conform_kernel(name),
	    .gridDimX = 1,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 64,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .kernelParams = values};
}

static void run(CUgraphExec exec, unsigned wanted)
{
	OK(cuGraphLaunch(exec, stream));
	check_data(wanted);
}

CONFORM(kernel_nodes_without_a_context)
{
	unsigned value = 5;
	CUgraphNode set, add;
	CUgraphExec exec;
	CUgraph graph;
	char log[64] = "";

	begin();
	void *fill_values[] = {&data, &value, &n}, *values[] = {&data, &n};
	CUDA_KERNEL_NODE_PARAMS_v1 fill = kernel("fill", fill_values), got;
	CUDA_KERNEL_NODE_PARAMS_v1 increment = kernel("increment", values);
	OK(cuGraphCreate(&graph, 0));
	OK(cuGraphAddKernelNode(&set, graph, NULL, 0, &fill));
	OK(cuGraphAddKernelNode(&add, graph, &set, 1, &increment));
	OK(cuGraphKernelNodeGetParams(set, &got));
	CHECK_EQ(got.blockDimX, 64);
	CHECK_EQ(*(unsigned *)got.kernelParams[1], 5);
	OK(cuGraphInstantiate(&exec, graph, NULL, log, sizeof(log)));
	run(exec, 6);
	value = 10;
	OK(cuGraphExecKernelNodeSetParams(exec, set, &fill));
	run(exec, 11);
	OK(cuGraphExecDestroy(exec));
	value = 20;
	OK(cuGraphKernelNodeSetParams(set, &fill));
	OK(cuGraphInstantiate_v2(&exec, graph, NULL, NULL, 0));
	run(exec, 21);
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(graph));
}

CONFORM(edges_without_data)
{
	unsigned one = 1, two = 2;
	CUgraphNode a, b, c, from[4], to[4];
	CUgraphExec exec;
	CUgraph graph;
	size_t count;

	begin();
	void *ones[] = {&data, &one, &n}, *twos[] = {&data, &two, &n}, *values[] = {&data, &n};
	CUDA_KERNEL_NODE_PARAMS_v1 first = kernel("fill", ones), second = kernel("fill", twos),
				   third = kernel("increment", values);
	OK(cuGraphCreate(&graph, 0));
	OK(cuGraphAddKernelNode(&a, graph, NULL, 0, &first));
	OK(cuGraphAddKernelNode(&b, graph, NULL, 0, &second));
	OK(cuGraphAddKernelNode(&c, graph, NULL, 0, &third));
	OK(cuGraphAddDependencies(graph, (CUgraphNode[]){a, b}, (CUgraphNode[]){b, c}, 2));
	OK(cuGraphGetEdges(graph, NULL, NULL, &count));
	CHECK_EQ(count, 2);
	OK(cuGraphGetEdges(graph, from, to, &count));
	for (size_t i = 0; i < count; i++)
		CHECK((from[i] == a && to[i] == b) || (from[i] == b && to[i] == c));
	count = 4;
	OK(cuGraphNodeGetDependencies(c, from, &count));
	CHECK_EQ(count, 1);
	CHECK(from[0] == b);
	count = 4;
	OK(cuGraphNodeGetDependentNodes(a, to, &count));
	CHECK_EQ(count, 1);
	CHECK(to[0] == b);
	OK(cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
	run(exec, 3);
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphRemoveDependencies(graph, &b, &c, 1));
	OK(cuGraphGetEdges(graph, NULL, NULL, &count));
	CHECK_EQ(count, 1);
	OK(cuGraphDestroy(graph));
}

CONFORM(updates_name_a_node)
{
	unsigned value = 1;
	CUgraphExecUpdateResult result;
	CUgraphNode node, last, wrong = NULL;
	CUgraphExec exec;
	CUgraph graph, other;

	begin();
	void *values[] = {&data, &value, &n}, *data_alone[] = {&data, &n};
	CUDA_KERNEL_NODE_PARAMS_v1 fill = kernel("fill", values);
	CUDA_KERNEL_NODE_PARAMS_v1 increment = kernel("increment", data_alone);
	OK(cuGraphCreate(&graph, 0));
	OK(cuGraphAddKernelNode(&node, graph, NULL, 0, &fill));
	OK(cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
	value = 8;
	OK(cuGraphCreate(&other, 0));
	OK(cuGraphAddKernelNode(&node, other, NULL, 0, &fill));
	OK(cuGraphExecUpdate(exec, other, &wrong, &result));
	CHECK_EQ(result, CU_GRAPH_EXEC_UPDATE_SUCCESS);
	run(exec, 8);
	OK(cuGraphAddKernelNode(&last, other, &node, 1, &increment));
	GIVES(
	    cuGraphExecUpdate(exec, other, &wrong, &result), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
	/* This form tells less: its successor says that the topology changed. */
	CHECK_EQ(result, CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED);
	CHECK(!wrong);
	OK(cuGraphExecDestroy(exec));
	/* Of as many nodes it says so, too. */
	OK(cuGraphInstantiate(&exec, other, NULL, NULL, 0));
	OK(cuGraphRemoveDependencies(other, &node, &last, 1));
	GIVES(
	    cuGraphExecUpdate(exec, other, &wrong, &result), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
	CHECK_EQ(result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
	CHECK(wrong);
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(other));
	OK(cuGraphDestroy(graph));
}

CONFORM(captures_tell_less)
{
	CUstreamCaptureStatus status;
	unsigned value = 4;
	uint64_t id = 0, same = 0;
	const CUgraphNode *nodes;
	const CUgraphEdgeData *edges;
	CUgraphNode last;
	CUgraph graph, now;
	size_t count;

	begin();
	void *values[] = {&data, &value, &n};
	conform_kernel("fill"); /* not loaded while the stream is captured */
	OK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	OK(conform_launch(conform_kernel("fill"), 1, 64, 0, stream, values));
	OK(cuStreamGetCaptureInfo(stream, &status, &id));
	CHECK_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
	OK(cuStreamGetCaptureInfo_v3(stream, &status, &same, &now, &nodes, &edges, &count));
	CHECK_EQ(id, same);
	CHECK_EQ(count, 1);
	last = nodes[0];
	OK(cuStreamUpdateCaptureDependencies(stream, NULL, 0, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
	OK(conform_launch(conform_kernel("fill"), 1, 64, 0, stream, values));
	OK(cuStreamUpdateCaptureDependencies(stream, &last, 1, CU_STREAM_ADD_CAPTURE_DEPENDENCIES));
	OK(cuStreamGetCaptureInfo_v3(stream, &status, &same, &now, &nodes, &edges, &count));
	CHECK_EQ(count, 2);
	OK(cuStreamEndCapture(stream, &graph));
	OK(cuGraphGetRootNodes(graph, NULL, &count));
	CHECK_EQ(count, 2);
	OK(cuGraphDestroy(graph));
}

CONFORM(memory_is_advised_by_device)
{
	CUdeviceptr managed;
	int able = 0, got = 7;

	begin();
	OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 0));
	if (!able)
		SKIP("no advice about managed memory");
	OK(cuMemAllocManaged(&managed, 1 << 16, CU_MEM_ATTACH_GLOBAL));
	OK(cuMemAdvise(managed, 1 << 16, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, 0));
	OK(cuMemRangeGetAttribute(
	    &got, sizeof(got), CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, managed, 1 << 16));
	CHECK_EQ(got, 0);
	OK(cuMemPrefetchAsync(managed, 1 << 16, 0, stream));
	OK(cuMemPrefetchAsync(managed, 1 << 16, CU_DEVICE_CPU, stream));
	OK(cuStreamSynchronize(stream));
	OK(cuMemFree_v2(managed));
}

CONFORM(batches_name_the_copy_that_failed)
{
	CUmemcpyAttributes how = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	size_t sizes[] = {256, 128}, first = 0, failed = 77;
	unsigned *pinned;

	begin();
	OK(cuMemAllocHost_v2((void **)&pinned, 512));
	for (unsigned i = 0; i < 128; i++)
		pinned[i] = i;
	CUdeviceptr to[] = {data, data + 512};
	CUdeviceptr from[] = {(CUdeviceptr)pinned, (CUdeviceptr)pinned + 256};
	CUresult r = cuMemcpyBatchAsync(to, from, sizes, 2, &how, &first, 1, &failed, stream);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no batches of copies");
	OK(r);
	unsigned got[N] = {0};
	OK(cuStreamSynchronize(stream));
	OK(cuMemcpyDtoH_v2(got, data, sizeof(got)));
	for (unsigned i = 0; i < 64; i++)
		CHECK_EQ(got[i], i);
	for (unsigned i = 0; i < 32; i++)
		CHECK_EQ(got[128 + i], 64 + i);
	OK(cuMemFreeHost(pinned));
}

CONFORM(times_and_names)
{
	CUevent start, end;
	CUuuid uuid, same;
	void *address = NULL;
	float milliseconds = -1;

	begin();
	OK(cuEventCreate(&start, 0));
	OK(cuEventCreate(&end, 0));
	OK(cuEventRecord(start, stream));
	OK(cuEventRecord(end, stream));
	OK(cuStreamSynchronize(stream));
	OK(cuEventElapsedTime(&milliseconds, start, end));
	CHECK(milliseconds >= 0);
	OK(cuDeviceGetUuid(&uuid, 0));
	OK(cuDeviceGetUuid_v2(&same, 0));
	CHECK_BYTES(&uuid, &same, sizeof(uuid));
	OK(cuGetProcAddress("cuMemAlloc", &address, 11030, CU_GET_PROC_ADDRESS_DEFAULT));
	CHECK(address);
	GIVES(cuGetProcAddress("cuNoSuchThing", &address, 11030, CU_GET_PROC_ADDRESS_DEFAULT),
	    CUDA_ERROR_NOT_FOUND);
}

CONFORM(contexts_by_every_form)
{
	CUctxCreateParams parameters = {0};
	CUcontext third, fourth, current;
	unsigned flags;

	begin();
	OK(cuCtxCreate_v3(&third, NULL, 0, CU_CTX_SCHED_BLOCKING_SYNC, 0));
	OK(cuCtxGetFlags(&flags));
	CHECK_EQ(flags & CU_CTX_SCHED_MASK, CU_CTX_SCHED_BLOCKING_SYNC);
	OK(cuCtxCreate_v4(&fourth, &parameters, 0, 0));
	OK(cuCtxGetCurrent(&current));
	CHECK(current == fourth);
	OK(cuCtxDestroy_v2(fourth));
	OK(cuCtxDestroy_v2(third));
}
