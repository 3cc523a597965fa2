/* Graphs as wholes: structure, clones, instantiation, update, drawing, capture. */
#include <unistd.h>

#include "graphs.h"

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
