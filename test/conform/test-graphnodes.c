/* The types of nodes that graphs have: adding them, asking and changing what they do. */
#include "graphs.h"

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

static void set_value(
    struct graph_test *t, CUgraphExec exec, CUgraphNode node, unsigned value, CUresult wanted)
{
	int n = N;
	CUDA_KERNEL_NODE_PARAMS parameters = kernel(t->fill, (void *[]){&t->data, &value, &n});

	if (wanted != CUDA_SUCCESS)
		parameters.blockDimX = 0;
	GIVES(cuGraphExecKernelNodeSetParams(exec, node, &parameters), wanted);
}

/* Each launch has the arguments that were set before it, and a failure is told at once, however
 * often the same has succeeded. */
CONFORM(arguments_change_between_launches)
{
	struct graph_test t = begin();
	unsigned value = 0, *seen;
	int n = N;

	OK(cuMemAllocHost((void **)&seen, 100 * N * sizeof(unsigned)));
	CUgraphNode node = add_kernel(t.graph, NULL, 0, t.fill, (void *[]){&t.data, &value, &n});
	add_kernel(t.graph, &node, 1, t.increment, (void *[]){&t.data, &n});
	CUgraphExec exec = instantiate(t.graph), second = instantiate(t.graph);
	for (unsigned i = 0; i < 100; i++) {
		set_value(&t, exec, node, 1000 + i, CUDA_SUCCESS);
		set_value(&t, second, node, 5000 + i, CUDA_SUCCESS);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuMemcpyDtoHAsync(seen + i * N, t.data, N * sizeof(unsigned), t.stream));
	}
	OK(cuStreamSynchronize(t.stream));
	for (unsigned i = 0; i < 100 * N; i++)
		CHECK_EQ(seen[i], 1001 + i / N);
	set_value(&t, exec, node, 1, CUDA_ERROR_INVALID_VALUE);
	run_graph(&t, exec);
	check_device(&t, 1100); /* as it was */
	run_graph(&t, second);
	check_device(&t, 5100);

	/* An update may make anything of the node. */
	CUgraphExecUpdateResultInfo info;
	CUgraph changed;
	unsigned nine = 9;
	OK(cuGraphCreate(&changed, 0));
	CUgraphNode first = add_kernel(changed, NULL, 0, t.fill, (void *[]){&t.data, &nine, &n});
	add_kernel(changed, &first, 1, t.increment, (void *[]){&t.data, &n});
	OK(cuGraphExecUpdate(exec, changed, &info));
	run_graph(&t, exec);
	check_device(&t, 10);
	set_value(&t, exec, node, 20, CUDA_SUCCESS);
	run_graph(&t, exec);
	check_device(&t, 21);
	OK(cuGraphExecDestroy(second));
}
