/* Graphs: every type of node, changing them, instantiation, update, capture. */
#include <unistd.h>

#include "conform.h"

#define N 1000

/* For functions that not every device has: the test is skipped where one is not supported. */
#define NEEDS(call)                                                                                \
	do {                                                                                       \
		CUresult needs_r = (call);                                                         \
		if (needs_r == CUDA_ERROR_NOT_SUPPORTED)                                           \
			SKIP("this device does not support " #call);                               \
		conform_check(__FILE__, __LINE__, #call, needs_r, CUDA_SUCCESS);                   \
	} while (0)

/* What most tests need; all memory holds N words. */
struct graph_test {
	CUcontext context;
	CUgraph graph;
	CUstream stream;
	CUdeviceptr data;
	unsigned *host; /* pinned */
	CUfunction fill, increment;
};

static struct graph_test begin(void)
{
	struct graph_test t = {0};

	conform_begin();
	OK(cuCtxGetCurrent(&t.context));
	CUresult r = cuGraphCreate(&t.graph, 0);
	if (r == CUDA_SUCCESS)
		r = cuCtxSynchronize(); /* where creating may fail later */
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no graphs on this device");
	OK(r);
	OK(cuStreamCreate(&t.stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&t.data, N * sizeof(unsigned)));
	OK(cuMemAllocHost((void **)&t.host, N * sizeof(unsigned)));
	t.fill = conform_kernel("fill");
	t.increment = conform_kernel("increment");
	return t;
}

/* A kernel over N words. */
static CUDA_KERNEL_NODE_PARAMS kernel(CUfunction function, void **values)
{
	return (CUDA_KERNEL_NODE_PARAMS){.func = function,
	    .gridDimX = 4,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 256,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .kernelParams = values};
}

static CUgraphNode add_kernel(
    CUgraph graph, const CUgraphNode *after, size_t count, CUfunction function, void **values)
{
	CUDA_KERNEL_NODE_PARAMS parameters = kernel(function, values);
	CUgraphNode node;

	NEEDS(cuGraphAddKernelNode(&node, graph, after, count, &parameters));
	return node;
}

static CUgraphNode add_increment(struct graph_test *t, CUgraph graph, const CUgraphNode *after)
{
	int n = N;

	return add_kernel(graph, after, after ? 1 : 0, t->increment, (void *[]){&t->data, &n});
}

static CUDA_MEMSET_NODE_PARAMS words(CUdeviceptr address, unsigned value)
{
	return (CUDA_MEMSET_NODE_PARAMS){
	    .dst = address, .value = value, .elementSize = 4, .width = N, .height = 1};
}

static CUgraphNode add_set(struct graph_test *t, CUgraph graph, unsigned value)
{
	CUDA_MEMSET_NODE_PARAMS parameters = words(t->data, value);
	CUgraphNode node;

	NEEDS(cuGraphAddMemsetNode(&node, graph, NULL, 0, &parameters, t->context));
	return node;
}

static CUDA_MEMCPY3D to_host(CUdeviceptr from, void *to)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
	    .srcDevice = from,
	    .dstMemoryType = CU_MEMORYTYPE_HOST,
	    .dstHost = to,
	    .WidthInBytes = N * sizeof(unsigned),
	    .Height = 1,
	    .Depth = 1};
}

static CUDA_MEMCPY3D to_device(const void *from, CUdeviceptr to)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = from,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = to,
	    .WidthInBytes = N * sizeof(unsigned),
	    .Height = 1,
	    .Depth = 1};
}

static CUgraphNode add_fetch(struct graph_test *t, const CUgraphNode *after)
{
	CUDA_MEMCPY3D copy = to_host(t->data, t->host);
	CUgraphNode node;

	NEEDS(cuGraphAddMemcpyNode(&node, t->graph, after, after ? 1 : 0, &copy, t->context));
	return node;
}

static CUgraphExec instantiate(CUgraph graph)
{
	CUgraphExec exec;

	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	return exec;
}

static void run_graph(struct graph_test *t, CUgraphExec exec)
{
	OK(cuGraphLaunch(exec, t->stream));
	OK(cuStreamSynchronize(t->stream));
}

static void check_host(const struct graph_test *t, unsigned wanted)
{
	for (int i = 0; i < N; i++)
		CHECK_EQ(t->host[i], wanted);
}

/* What is in device memory, whatever the graph copied. */
static void check_device(struct graph_test *t, unsigned wanted)
{
	OK(cuMemcpyDtoH(t->host, t->data, N * sizeof(unsigned)));
	check_host(t, wanted);
}

CONFORM(a_graph_runs_as_often_as_it_is_launched)
{
	struct graph_test t = begin();

	CUgraphNode set = add_set(&t, t.graph, 40);
	CUgraphNode one = add_increment(&t, t.graph, &set), two = add_increment(&t, t.graph, &one);
	add_fetch(&t, &two);
	CUgraphExec exec = instantiate(t.graph);
	for (int i = 0; i < 3; i++) {
		memset(t.host, 0, N * sizeof(unsigned));
		run_graph(&t, exec);
		check_host(&t, 42);
	}
	OK(cuGraphUpload(exec, t.stream));
	OK(cuGraphDestroy(t.graph));
	run_graph(&t, exec); /* outlives the graph */
	check_host(&t, 42);
	OK(cuGraphExecDestroy(exec));
}

#define BRANCHES 6

static unsigned *joined_words;
static unsigned joined_sum;

static void join(void *unused)
{
	joined_sum = 0;
	for (int i = 0; i < BRANCHES * N; i++)
		joined_sum += joined_words[i];
}

/* Branches with nothing in common but their end, which sees what all of them did. */
CONFORM(branches_join)
{
	struct graph_test t = begin();
	CUgraphNode ends[BRANCHES], end;
	CUDA_HOST_NODE_PARAMS host = {.fn = join};
	unsigned wanted = 0;
	int n = N;

	OK(cuMemAllocHost((void **)&joined_words, BRANCHES * N * sizeof(unsigned)));
	for (unsigned i = 0; i < BRANCHES; i++) {
		CUdeviceptr memory;
		CUgraphNode node;

		OK(cuMemAlloc(&memory, N * sizeof(unsigned)));
		CUDA_MEMSET_NODE_PARAMS set = words(memory, 100 * i);
		CUDA_MEMCPY3D copy = to_host(memory, joined_words + i * N);
		NEEDS(cuGraphAddMemsetNode(&node, t.graph, NULL, 0, &set, t.context));
		for (unsigned k = 0; k <= i; k++)
			node = add_kernel(t.graph, &node, 1, t.increment, (void *[]){&memory, &n});
		NEEDS(cuGraphAddMemcpyNode(&ends[i], t.graph, &node, 1, &copy, t.context));
		wanted += (100 * i + i + 1) * N;
	}
	NEEDS(cuGraphAddHostNode(&end, t.graph, ends, BRANCHES, &host));
	CUgraphExec exec = instantiate(t.graph);
	for (int i = 0; i < 5; i++) {
		memset(joined_words, 0, BRANCHES * N * sizeof(unsigned));
		run_graph(&t, exec);
		CHECK_EQ(joined_sum, wanted);
	}
}

CONFORM(structure)
{
	struct graph_test t = begin();
	CUgraphNode a, b, c, nodes[4], from[4], to[4];
	CUgraphNodeType type;
	size_t count = 0;

	NEEDS(cuGraphAddEmptyNode(&a, t.graph, NULL, 0));
	NEEDS(cuGraphAddEmptyNode(&b, t.graph, &a, 1));
	NEEDS(cuGraphAddEmptyNode(&c, t.graph, (CUgraphNode[]){a, b}, 2));
	OK(cuGraphGetNodes(t.graph, NULL, &count));
	CHECK_EQ(count, 3);
	count = 4;
	NEEDS(cuGraphGetRootNodes(t.graph, nodes, &count));
	CHECK_EQ(count, 1);
	CHECK(nodes[0] == a);
	count = 4;
	OK(cuGraphGetEdges(t.graph, from, to, NULL, &count));
	CHECK_EQ(count, 3);
	count = 4;
	OK(cuGraphNodeGetDependencies(c, nodes, NULL, &count));
	CHECK_EQ(count, 2);
	CHECK((nodes[0] == a && nodes[1] == b) || (nodes[0] == b && nodes[1] == a));
	OK(cuGraphRemoveDependencies(t.graph, &a, &c, NULL, 1));
	count = 4;
	OK(cuGraphNodeGetDependentNodes(a, nodes, NULL, &count));
	CHECK_EQ(count, 1);
	CHECK(nodes[0] == b);
	OK(cuGraphAddDependencies(t.graph, &a, &c, NULL, 1));
	OK(cuGraphNodeGetType(b, &type));
	CHECK_EQ(type, CU_GRAPH_NODE_TYPE_EMPTY);
	OK(cuGraphDestroyNode(b));
	OK(cuGraphGetNodes(t.graph, NULL, &count));
	CHECK_EQ(count, 2);
	run_graph(&t, instantiate(t.graph));
}

CONFORM(clones_are_independent)
{
	struct graph_test t = begin();
	CUgraphNode set = add_set(&t, t.graph, 7), found;
	CUDA_MEMSET_NODE_PARAMS other = words(t.data, 8), got;
	CUgraph clone;

	NEEDS(cuGraphClone(&clone, t.graph));
	NEEDS(cuGraphNodeFindInClone(&found, set, clone));
	CHECK(found != set);
	OK(cuGraphMemsetNodeSetParams(found, &other));
	OK(cuGraphMemsetNodeGetParams(set, &got));
	CHECK_EQ(got.value, 7);
	CHECK_EQ(got.dst, t.data);
	run_graph(&t, instantiate(clone));
	check_device(&t, 8);
	run_graph(&t, instantiate(t.graph));
	check_device(&t, 7);
}

CONFORM(kernel_nodes_keep_copies_of_their_parameters)
{
	struct graph_test t = begin();
	CUDA_KERNEL_NODE_PARAMS parameters, got;
	unsigned value = 5;
	int n = N;

	CUgraphNode node = add_kernel(t.graph, NULL, 0, t.fill, (void *[]){&t.data, &value, &n});
	value = 6; /* the node's is a copy */
	NEEDS(cuGraphKernelNodeGetParams(node, &got));
	CHECK(got.func == t.fill);
	CHECK_EQ(got.gridDimX, 4);
	CHECK_EQ(got.blockDimX, 256);
	CHECK_EQ(got.blockDimZ, 1);
	CHECK_EQ(got.sharedMemBytes, 0);
	CHECK(got.kernelParams);
	CHECK_EQ(*(CUdeviceptr *)got.kernelParams[0], t.data);
	CHECK_EQ(*(unsigned *)got.kernelParams[1], 5);
	CHECK_EQ(*(int *)got.kernelParams[2], N);
	run_graph(&t, instantiate(t.graph));
	check_device(&t, 5);

	parameters = kernel(t.fill, (void *[]){&t.data, &value, &n});
	parameters.gridDimX = 2;
	NEEDS(cuGraphKernelNodeSetParams(node, &parameters));
	NEEDS(cuGraphKernelNodeGetParams(node, &got));
	CHECK_EQ(got.gridDimX, 2);
	CHECK_EQ(*(unsigned *)got.kernelParams[1], 6);
	run_graph(&t, instantiate(t.graph));
	check_device(&t, 6);
}

CONFORM(kernel_nodes_take_a_buffer)
{
	struct graph_test t = begin();
	struct {
		CUdeviceptr out;
		unsigned value;
		int n;
	} buffer = {t.data, 9, N};
	size_t size = sizeof(buffer);
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &buffer, CU_LAUNCH_PARAM_BUFFER_SIZE,
	    &size, CU_LAUNCH_PARAM_END};
	CUDA_KERNEL_NODE_PARAMS parameters = kernel(t.fill, NULL);
	CUgraphNode node;

	parameters.extra = extra;
	NEEDS(cuGraphAddKernelNode(&node, t.graph, NULL, 0, &parameters));
	buffer.value = 10;
	run_graph(&t, instantiate(t.graph));
	check_device(&t, 9);
}

CONFORM(kernel_nodes_have_attributes)
{
	struct graph_test t = begin();
	CUkernelNodeAttrValue value = {.cooperative = 1}, got;
	CUgraphNode a = add_increment(&t, t.graph, NULL), b = add_increment(&t, t.graph, &a);

	NEEDS(cuGraphKernelNodeGetAttribute(a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &got));
	CHECK_EQ(got.cooperative, 0);
	OK(cuGraphKernelNodeSetAttribute(a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value));
	OK(cuGraphKernelNodeGetAttribute(a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &got));
	CHECK_EQ(got.cooperative, 1);
	OK(cuGraphKernelNodeCopyAttributes(b, a));
	OK(cuGraphKernelNodeGetAttribute(b, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &got));
	CHECK_EQ(got.cooperative, 1);
	OK(cuMemsetD32(t.data, 1, N));
	run_graph(&t, instantiate(t.graph));
	check_device(&t, 3);
}

CONFORM(copies_read_and_write_when_the_graph_runs)
{
	struct graph_test t = begin();
	CUDA_MEMCPY3D in, out, got;
	CUgraphNode first, second;
	unsigned *source;

	OK(cuMemAllocHost((void **)&source, N * sizeof(unsigned)));
	in = to_device(source, t.data);
	NEEDS(cuGraphAddMemcpyNode(&first, t.graph, NULL, 0, &in, t.context));
	CUgraphNode middle = add_increment(&t, t.graph, &first);
	second = add_fetch(&t, &middle);
	CUgraphExec exec = instantiate(t.graph);
	for (unsigned round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++)
			source[i] = 100 * round;
		run_graph(&t, exec);
		check_host(&t, 100 * round + 1);
	}
	NEEDS(cuGraphMemcpyNodeGetParams(second, &got));
	CHECK(got.dstHost == t.host);
	CHECK_EQ(got.srcDevice, t.data);
	CHECK_EQ(got.WidthInBytes, N * sizeof(unsigned));
	out = to_host(t.data, source);
	OK(cuGraphMemcpyNodeSetParams(second, &out));
	NEEDS(cuGraphMemcpyNodeGetParams(second, &got));
	CHECK(got.dstHost == source);
	NEEDS(cuGraphExecMemcpyNodeSetParams(exec, second, &out, t.context));
	run_graph(&t, exec);
	CHECK_EQ(source[0], 201);
	CHECK_EQ(source[N - 1], 201);
}

CONFORM(executable_nodes_change_alone)
{
	struct graph_test t = begin();
	unsigned value = 3;
	int n = N;
	CUDA_KERNEL_NODE_PARAMS other;
	CUDA_MEMSET_NODE_PARAMS set;
	unsigned enabled;

	CUgraphNode first = add_set(&t, t.graph, 1);
	CUgraphNode second =
	    add_kernel(t.graph, &first, 1, t.fill, (void *[]){&t.data, &value, &n});
	CUgraphExec exec = instantiate(t.graph);
	run_graph(&t, exec);
	check_device(&t, 3);
	value = 4;
	other = kernel(t.fill, (void *[]){&t.data, &value, &n});
	NEEDS(cuGraphExecKernelNodeSetParams(exec, second, &other));
	run_graph(&t, exec);
	check_device(&t, 4);
	OK(cuGraphNodeGetEnabled(exec, second, &enabled));
	CHECK_EQ(enabled, 1);
	OK(cuGraphNodeSetEnabled(exec, second, 0));
	OK(cuGraphNodeGetEnabled(exec, second, &enabled));
	CHECK_EQ(enabled, 0);
	run_graph(&t, exec);
	check_device(&t, 1);
	set = words(t.data, 2);
	OK(cuGraphExecMemsetNodeSetParams(exec, first, &set, t.context));
	run_graph(&t, exec);
	check_device(&t, 2);
	run_graph(&t, instantiate(t.graph)); /* the graph itself is as it was */
	check_device(&t, 3);
}

CONFORM(updates_tell_why_they_fail)
{
	struct graph_test t = begin();
	CUgraphExecUpdateResultInfo info;
	CUgraph same, longer, other;
	CUgraphNode first = add_set(&t, t.graph, 1), node;
	CUgraphExec exec = instantiate(t.graph);

	OK(cuGraphCreate(&same, 0));
	add_set(&t, same, 2);
	memset(&info, 0xff, sizeof(info));
	NEEDS(cuGraphExecUpdate(exec, same, &info));
	CHECK_EQ(info.result, CU_GRAPH_EXEC_UPDATE_SUCCESS);
	run_graph(&t, exec);
	check_device(&t, 2);

	OK(cuGraphCreate(&longer, 0));
	node = add_set(&t, longer, 3);
	add_increment(&t, longer, &node);
	GIVES(cuGraphExecUpdate(exec, longer, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
	CHECK_EQ(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);

	OK(cuGraphCreate(&other, 0));
	node = add_increment(&t, other, NULL);
	GIVES(cuGraphExecUpdate(exec, other, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
	CHECK_EQ(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED);
	CHECK(!info.errorNode || info.errorNode == node || info.errorNode == first);
	run_graph(&t, exec); /* a failed update changes nothing */
	check_device(&t, 2);
}

CONFORM(instantiation_with_parameters)
{
	struct graph_test t = begin();
	CUDA_GRAPH_INSTANTIATE_PARAMS parameters = {
	    .flags = CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD, .hUploadStream = t.stream};
	CUgraphConditionalHandle handle;
	CUgraphExec exec;
	uint64_t flags;

	add_set(&t, t.graph, 6);
	NEEDS(cuGraphInstantiateWithParams(&exec, t.graph, &parameters));
	CHECK_EQ(parameters.result_out, CUDA_GRAPH_INSTANTIATE_SUCCESS);
	OK(cuGraphExecGetFlags(exec, &flags));
	run_graph(&t, exec);
	check_device(&t, 6);
	/* A handle that no conditional node uses. */
	NEEDS(cuGraphConditionalHandleCreate(&handle, t.graph, t.context, 0, 0));
	parameters = (CUDA_GRAPH_INSTANTIATE_PARAMS){0};
	CHECK(cuGraphInstantiateWithParams(&exec, t.graph, &parameters) != CUDA_SUCCESS);
	CHECK_EQ(parameters.result_out, CUDA_GRAPH_INSTANTIATE_CONDITIONAL_HANDLE_UNUSED);
}

CONFORM(child_graphs)
{
	struct graph_test t = begin();
	CUgraphNode first, second, inner;
	CUgraph child, got;

	OK(cuGraphCreate(&child, 0));
	inner = add_increment(&t, child, NULL);
	add_increment(&t, child, &inner);
	first = add_set(&t, t.graph, 10);
	NEEDS(cuGraphAddChildGraphNode(&second, t.graph, &first, 1, child));
	OK(cuGraphChildGraphNodeGetGraph(second, &got));
	CHECK(got != child); /* it was cloned */
	CUgraphNodeParams parameters = {
	    .type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = child}};
	CUgraphNode third;
	NEEDS(cuGraphAddNode(&third, t.graph, &second, NULL, 1, &parameters));
	OK(cuGraphDestroy(child));
	run_graph(&t, instantiate(t.graph));
	check_device(&t, 14);
}

CONFORM(event_nodes)
{
	struct graph_test t = begin();
	CUgraphNode set, record, wait;
	CUevent event, other, got;

	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	OK(cuEventCreate(&other, CU_EVENT_DISABLE_TIMING));
	set = add_set(&t, t.graph, 1);
	NEEDS(cuGraphAddEventRecordNode(&record, t.graph, &set, 1, event));
	OK(cuGraphEventRecordNodeGetEvent(record, &got));
	CHECK(got == event);
	CUgraphNodeParams parameters = {
	    .type = CU_GRAPH_NODE_TYPE_WAIT_EVENT, .eventWait = {.event = event}};
	NEEDS(cuGraphAddNode(&wait, t.graph, NULL, NULL, 0, &parameters));
	OK(cuGraphEventWaitNodeGetEvent(wait, &got));
	CHECK(got == event);
	OK(cuGraphEventWaitNodeSetEvent(wait, other));
	OK(cuGraphEventWaitNodeGetEvent(wait, &got));
	CHECK(got == other);
	run_graph(&t, instantiate(t.graph));
	OK(cuEventSynchronize(event));
	OK(cuEventQuery(event));
	check_device(&t, 1);
}

CONFORM(nodes_that_allocate)
{
	struct graph_test t = begin();
	CUDA_MEM_ALLOC_NODE_PARAMS alloc = {
	    .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
		.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}},
	    .bytesize = N * sizeof(unsigned)};
	CUDA_MEM_ALLOC_NODE_PARAMS got;
	CUgraphNode a, b, c, d;
	CUdeviceptr freed;

	NEEDS(cuGraphAddMemAllocNode(&a, t.graph, NULL, 0, &alloc));
	CHECK(alloc.dptr);
	CUDA_MEMSET_NODE_PARAMS set = words(alloc.dptr, 77);
	NEEDS(cuGraphAddMemsetNode(&b, t.graph, &a, 1, &set, t.context));
	CUDA_MEMCPY3D copy = to_host(alloc.dptr, t.host);
	NEEDS(cuGraphAddMemcpyNode(&c, t.graph, &b, 1, &copy, t.context));
	NEEDS(cuGraphAddMemFreeNode(&d, t.graph, &c, 1, alloc.dptr));
	NEEDS(cuGraphMemAllocNodeGetParams(a, &got));
	CHECK_EQ(got.dptr, alloc.dptr);
	CHECK_EQ(got.bytesize, alloc.bytesize);
	OK(cuGraphMemFreeNodeGetParams(d, &freed));
	CHECK_EQ(freed, alloc.dptr);
	CUgraphExec exec = instantiate(t.graph);
	for (int i = 0; i < 3; i++) {
		memset(t.host, 0, N * sizeof(unsigned));
		run_graph(&t, exec);
		check_host(&t, 77);
	}
}

CONFORM(nodes_of_memory_operations)
{
	struct graph_test t = begin();
	CUstreamBatchMemOpParams operations[2] = {
	    {.writeValue = {.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32,
		 .address = t.data,
		 .value = 12}},
	    {.writeValue = {.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32,
		 .address = t.data + 4,
		 .value = 13}},
	};
	CUDA_BATCH_MEM_OP_NODE_PARAMS parameters = {t.context, 2, operations, 0}, got;
	CUgraphNode node;

	OK(cuMemsetD32(t.data, 1, N));
	NEEDS(cuGraphAddBatchMemOpNode(&node, t.graph, NULL, 0, &parameters));
	NEEDS(cuGraphBatchMemOpNodeGetParams(node, &got));
	CHECK_EQ(got.count, 2);
	CHECK_EQ(got.paramArray[1].writeValue.address, t.data + 4);
	CHECK_EQ(got.paramArray[1].writeValue.value, 13);
	run_graph(&t, instantiate(t.graph));
	OK(cuMemcpyDtoH(t.host, t.data, N * sizeof(unsigned)));
	CHECK_EQ(t.host[0], 12);
	CHECK_EQ(t.host[1], 13);
	CHECK_EQ(t.host[2], 1);
	operations[0].writeValue.value = 14;
	OK(cuGraphBatchMemOpNodeSetParams(node, &parameters));
	run_graph(&t, instantiate(t.graph));
	OK(cuMemcpyDtoH(t.host, t.data, N * sizeof(unsigned)));
	CHECK_EQ(t.host[0], 14);
}

static void add_ten(void *user)
{
	for (int i = 0; i < N; i++)
		((unsigned *)user)[i] += 10;
}

static void add_hundred(void *user)
{
	for (int i = 0; i < N; i++)
		((unsigned *)user)[i] += 100;
}

CONFORM(host_nodes)
{
	struct graph_test t = begin();
	CUDA_HOST_NODE_PARAMS parameters = {add_ten, t.host}, got;
	CUgraphNode set = add_set(&t, t.graph, 1), fetch = add_fetch(&t, &set), host, back;
	CUDA_MEMCPY3D copy = to_device(t.host, t.data);

	NEEDS(cuGraphAddHostNode(&host, t.graph, &fetch, 1, &parameters));
	NEEDS(cuGraphAddMemcpyNode(&back, t.graph, &host, 1, &copy, t.context));
	NEEDS(cuGraphHostNodeGetParams(host, &got));
	CHECK(got.fn == add_ten && got.userData == t.host);
	CUgraphExec exec = instantiate(t.graph);
	for (int i = 0; i < 3; i++) {
		run_graph(&t, exec);
		check_device(&t, 11);
	}
	parameters.fn = add_hundred;
	NEEDS(cuGraphExecHostNodeSetParams(exec, host, &parameters));
	run_graph(&t, exec);
	check_device(&t, 101);
	OK(cuGraphHostNodeSetParams(host, &parameters));
	NEEDS(cuGraphHostNodeGetParams(host, &got));
	CHECK(got.fn == add_hundred);
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_HOST, .host = {add_ten, t.host}};
	CUgraphNode again;
	OK(cuGraphRemoveDependencies(t.graph, &host, &back, NULL, 1));
	NEEDS(cuGraphAddNode(&again, t.graph, &host, NULL, 1, &p));
	OK(cuGraphAddDependencies(t.graph, &again, &back, NULL, 1));
	run_graph(&t, instantiate(t.graph));
	check_device(&t, 111);
}

/* A node whose body runs when the handle's value is not zero, which is its default at every
 * launch. */
static void add_if(struct graph_test *t, const CUgraphNode *after, unsigned value)
{
	CUgraphNodeParams parameters = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL};
	CUgraphNode node;

	NEEDS(cuGraphConditionalHandleCreate(&parameters.conditional.handle, t->graph, t->context,
	    value, CU_GRAPH_COND_ASSIGN_DEFAULT));
	parameters.conditional.type = CU_GRAPH_COND_TYPE_IF;
	parameters.conditional.size = 1;
	parameters.conditional.ctx = t->context;
	NEEDS(cuGraphAddNode(&node, t->graph, after, NULL, 1, &parameters));
	CHECK(parameters.conditional.phGraph_out && parameters.conditional.phGraph_out[0]);
	add_increment(t, parameters.conditional.phGraph_out[0], NULL);
}

CONFORM(conditional_nodes)
{
	struct graph_test t = begin();
	CUgraphNode set = add_set(&t, t.graph, 20);

	add_if(&t, &set, 1);
	add_if(&t, &set, 0);
	CUgraphExec exec = instantiate(t.graph);
	for (int i = 0; i < 2; i++) {
		run_graph(&t, exec);
		check_device(&t, 21);
	}
}

CONFORM(one_function_adds_every_type)
{
	struct graph_test t = begin();
	unsigned value = 30;
	int n = N;
	CUgraphNode set, fill, copy, empty;
	CUDA_KERNEL_NODE_PARAMS values = kernel(t.fill, (void *[]){&t.data, &value, &n});

	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
	NEEDS(cuGraphAddNode(&empty, t.graph, NULL, NULL, 0, &p));
	p = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_MEMSET};
	p.memset.dst = t.data;
	p.memset.value = 29;
	p.memset.elementSize = 4;
	p.memset.width = N;
	p.memset.height = 1;
	p.memset.ctx = t.context;
	NEEDS(cuGraphAddNode(&set, t.graph, &empty, NULL, 1, &p));
	p = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_KERNEL};
	memcpy(&p.kernel, &values, sizeof(values));
	NEEDS(cuGraphAddNode(&fill, t.graph, &set, NULL, 1, &p));
	CUgraphNodeParams fetch = {.type = CU_GRAPH_NODE_TYPE_MEMCPY,
	    .memcpy = {.copyCtx = t.context, .copyParams = to_host(t.data, t.host)}};
	NEEDS(cuGraphAddNode(&copy, t.graph, &fill, NULL, 1, &fetch));
	CUgraphExec exec = instantiate(t.graph);
	run_graph(&t, exec);
	check_host(&t, 30);
	value = 31;
	OK(cuGraphExecNodeSetParams(exec, fill, &p));
	run_graph(&t, exec);
	check_host(&t, 31);
	value = 32;
	OK(cuGraphNodeSetParams(fill, &p));
	run_graph(&t, instantiate(t.graph));
	check_host(&t, 32);
}

CONFORM(edges_carry_data)
{
	struct graph_test t = begin();
	CUgraphNode set = add_set(&t, t.graph, 3), a = add_increment(&t, t.graph, &set), from, to;
	CUgraphEdgeData edge = {0}, got;
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
	CUgraphNode empty;
	size_t count = 1;

	NEEDS(cuGraphAddNode(&empty, t.graph, &a, &edge, 1, &p));
	OK(cuGraphNodeGetDependencies(empty, &from, &got, &count));
	CHECK_EQ(count, 1);
	CHECK(from == a);
	CHECK_EQ(got.type, CU_GRAPH_DEPENDENCY_TYPE_DEFAULT);
	count = 1;
	OK(cuGraphNodeGetDependentNodes(set, &to, &got, &count));
	CHECK_EQ(count, 1);
	CHECK(to == a);
	run_graph(&t, instantiate(t.graph));
	check_device(&t, 4);
}

CONFORM(drawings)
{
	struct graph_test t = begin();
	char path[] = "/tmp/conform-graph-XXXXXX", text[64] = {0};
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CUgraphNode set = add_set(&t, t.graph, 3);
	add_increment(&t, t.graph, &set);
	NEEDS(cuGraphDebugDotPrint(t.graph, path, CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE));
	CHECK(read(fd, text, sizeof(text) - 1) > 8);
	CHECK(strstr(text, "digraph"));
	close(fd);
	unlink(path);
	CHECK(cuGraphDebugDotPrint(t.graph, "/nowhere/at/all", 0) != CUDA_SUCCESS);
}

/* Captures a copy in, a kernel and a copy out. */
static CUgraph capture(struct graph_test *t, CUstreamCaptureMode mode, unsigned *source)
{
	CUstreamCaptureStatus status;
	CUgraph graph;
	int n = N;

	OK(cuStreamBeginCapture(t->stream, mode));
	OK(cuMemcpyHtoDAsync(t->data, source, N * sizeof(unsigned), t->stream));
	OK(conform_launch(t->increment, 4, 256, 0, t->stream, (void *[]){&t->data, &n}));
	OK(cuMemcpyDtoHAsync(t->host, t->data, N * sizeof(unsigned), t->stream));
	OK(cuStreamIsCapturing(t->stream, &status));
	CHECK_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
	OK(cuStreamEndCapture(t->stream, &graph));
	OK(cuStreamIsCapturing(t->stream, &status));
	CHECK_EQ(status, CU_STREAM_CAPTURE_STATUS_NONE);
	return graph;
}

CONFORM(captured_graphs_are_graphs)
{
	static const CUstreamCaptureMode modes[] = {CU_STREAM_CAPTURE_MODE_GLOBAL,
	    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_RELAXED};
	struct graph_test t = begin();
	unsigned *source;

	OK(cuMemAllocHost((void **)&source, N * sizeof(unsigned)));
	for (unsigned i = 0; i < 3; i++) {
		CUgraph graph = capture(&t, modes[i], source);
		CUgraphExec exec = instantiate(graph);
		for (unsigned round = 0; round < 2; round++) {
			for (int word = 0; word < N; word++)
				source[word] = 10 * i + round;
			run_graph(&t, exec);
			check_host(&t, 10 * i + round + 1);
		}
		OK(cuGraphExecDestroy(exec));
		OK(cuGraphDestroy(graph));
	}
}

CONFORM(captured_nodes_show_their_parameters)
{
	struct graph_test t = begin();
	CUgraphNode nodes[3];
	CUgraphNodeType type;
	size_t count = 3;
	unsigned *source;
	CUDA_KERNEL_NODE_PARAMS parameters;
	CUDA_MEMCPY3D copy;

	OK(cuMemAllocHost((void **)&source, N * sizeof(unsigned)));
	CUgraph graph = capture(&t, CU_STREAM_CAPTURE_MODE_GLOBAL, source);
	OK(cuGraphGetNodes(graph, nodes, &count));
	CHECK_EQ(count, 3);
	for (size_t i = 0; i < count; i++) {
		OK(cuGraphNodeGetType(nodes[i], &type));
		if (type == CU_GRAPH_NODE_TYPE_MEMCPY) {
			NEEDS(cuGraphMemcpyNodeGetParams(nodes[i], &copy));
			CHECK_EQ(
			    copy.WidthInBytes * copy.Height * copy.Depth, N * sizeof(unsigned));
			continue;
		}
		CHECK_EQ(type, CU_GRAPH_NODE_TYPE_KERNEL);
		NEEDS(cuGraphKernelNodeGetParams(nodes[i], &parameters));
		CHECK_EQ(parameters.gridDimX, 4);
		CHECK_EQ(parameters.blockDimX, 256);
		CHECK_EQ(*(CUdeviceptr *)parameters.kernelParams[0], t.data);
		CHECK_EQ(*(int *)parameters.kernelParams[1], N);
		NEEDS(cuGraphKernelNodeSetParams(nodes[i], &parameters));
	}
	memset(source, 0, N * sizeof(unsigned));
	run_graph(&t, instantiate(graph));
	check_host(&t, 1);
}

CONFORM(nodes_join_a_capture)
{
	struct graph_test t = begin();
	CUstreamCaptureStatus status;
	const CUgraphNode *dependencies;
	CUgraph graph, got;
	CUgraphNode node;
	size_t count;
	int n = N;

	CUgraphNode set = add_set(&t, t.graph, 50);
	NEEDS(cuStreamBeginCaptureToGraph(
	    t.stream, t.graph, &set, NULL, 1, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(conform_launch(t.increment, 4, 256, 0, t.stream, (void *[]){&t.data, &n}));
	OK(cuStreamGetCaptureInfo_v2(t.stream, &status, NULL, &got, &dependencies, &count));
	CHECK_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
	CHECK(got == t.graph);
	CHECK_EQ(count, 1);
	node = add_increment(&t, t.graph, &dependencies[0]);
	OK(cuStreamUpdateCaptureDependencies_v2(
	    t.stream, &node, NULL, 1, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
	OK(conform_launch(t.increment, 4, 256, 0, t.stream, (void *[]){&t.data, &n}));
	OK(cuStreamEndCapture(t.stream, &graph));
	CHECK(graph == t.graph);
	run_graph(&t, instantiate(graph));
	check_device(&t, 53);
}

CONFORM(misuse_is_an_error)
{
	struct graph_test t = begin();
	CUDA_KERNEL_NODE_PARAMS parameters;
	CUDA_MEMCPY3D copy;
	CUgraphNode set = add_set(&t, t.graph, 1), node = add_increment(&t, t.graph, &set);

	NEEDS(cuGraphKernelNodeGetParams(node, &parameters));
	GIVES(cuGraphKernelNodeGetParams(set, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK(cuGraphMemcpyNodeGetParams(set, &copy) != CUDA_SUCCESS); /* of another type */
	parameters = kernel(t.fill, NULL);
	parameters.blockDimX = 0;
	CHECK(cuGraphAddKernelNode(&node, t.graph, NULL, 0, &parameters) != CUDA_SUCCESS);
}
