/* Copies of ordinary memory in graphs: it is read and written whenever the graph runs, in its
 * turn. */
#include <string.h>

#include "graphcopies.h"

CONFORM(nodes_read_and_write_it_when_the_graph_runs)
{
	struct fixture t = begin();
	CUgraphNode first, middle, last, nodes[4];
	CUgraphNodeType type;
	CUgraphExec exec;
	size_t count = 4;

	first = add_copy(&t, t.graph, NULL, to_device(t.data, t.source));
	middle = add_increment(&t, t.graph, first);
	last = add_copy(&t, t.graph, middle, to_host(t.result, t.data));
	/* One node each. */
	OK(cuGraphGetNodes(t.graph, nodes, &count));
	CHECK_EQ(count, 3);
	OK(cuGraphNodeGetType(first, &type));
	CHECK_EQ(type, CU_GRAPH_NODE_TYPE_MEMCPY);
	OK(cuGraphNodeGetType(last, &type));
	CHECK_EQ(type, CU_GRAPH_NODE_TYPE_MEMCPY);
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	run_and_check(&t, exec);
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(t.graph));
}

CONFORM(nodes_show_what_they_were_given)
{
	struct fixture t = begin();
	CUDA_MEMCPY3D got;
	CUgraph inner;

	CUgraphNode node = add_copy(&t, t.graph, NULL, to_device(t.data, t.source));
	OK(cuGraphMemcpyNodeGetParams(node, &got));
	CHECK(got.srcHost == t.source);
	CHECK_EQ(got.dstDevice, t.data);
	CHECK_EQ(got.WidthInBytes, BYTES);
	CHECK(cuGraphChildGraphNodeGetGraph(node, &inner) != CUDA_SUCCESS);
	CUDA_MEMCPY3D other = to_device(t.data, t.result);
	OK(cuGraphMemcpyNodeSetParams(node, &other));
	OK(cuGraphMemcpyNodeGetParams(node, &got));
	CHECK(got.srcHost == t.result);
	CUgraphNode middle = add_increment(&t, t.graph, node);
	add_copy(&t, t.graph, middle, to_host(t.source, t.data));
	CUgraphExec exec;
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	fill(t.result, 7);
	OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(t.source, 8);
}

CONFORM(executable_nodes_get_other_memory)
{
	struct fixture t = begin();
	unsigned *other = calloc(N, sizeof(unsigned)), *third = calloc(N, sizeof(unsigned)),
		 *pinned;
	CUgraphExec exec;

	OK(cuMemAllocHost((void **)&pinned, BYTES));
	CUgraphNode first = add_copy(&t, t.graph, NULL, to_device(t.data, t.source));
	CUgraphNode middle = add_increment(&t, t.graph, first);
	CUgraphNode last = add_copy(&t, t.graph, middle, to_host(t.result, t.data));
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	CUDA_MEMCPY3D in = to_device(t.data, other), out = to_host(third, t.data);
	NEEDS(cuGraphExecMemcpyNodeSetParams(exec, first, &in, t.context));
	OK(cuGraphExecMemcpyNodeSetParams(exec, last, &out, t.context));
	fill(other, 40);
	OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(third, 41);
	/* CUDA does not say whether the kind of host memory may change. */
	out = to_host(pinned, t.data);
	if (cuGraphExecMemcpyNodeSetParams(exec, last, &out, t.context) != CUDA_SUCCESS)
		return;
	fill(other, 50);
	OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(pinned, 51);
	check(third, 41);
}

CONFORM(captured_copies_too)
{
	struct fixture t = begin();
	CUgraphNode nodes[8];
	CUgraphNodeType type;
	CUgraphExec exec;
	CUgraph graph;
	size_t count = 8;
	int n = N;

	OK(cuStreamBeginCapture(t.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuMemcpyHtoDAsync(t.data, t.source, BYTES, t.stream));
	OK(conform_launch(
	    conform_kernel("increment"), 8, 256, 0, t.stream, (void *[]){&t.data, &n}));
	OK(cuMemcpyDtoHAsync(t.result, t.data, BYTES, t.stream));
	OK(cuStreamEndCapture(t.stream, &graph));
	OK(cuGraphGetNodes(graph, nodes, &count));
	CHECK_EQ(count, 3);
	OK(cuGraphNodeGetType(nodes[0], &type));
	CHECK_EQ(type, CU_GRAPH_NODE_TYPE_MEMCPY);
	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	for (int i = 0; i < N; i++)
		CHECK_EQ(t.result[i], 0); /* nothing has run */
	run_and_check(&t, exec);
}

/*
 * A function finds what a copy before it has brought to ordinary memory. (The other way round
 * NVIDIA's driver may read ordinary memory before the function in front of the copy has run.)
 */
CONFORM(host_functions_stand_in_order_with_the_copies)
{
	struct fixture t = begin();
	CUgraphExec exec;
	CUgraph graph;
	unsigned *pinned;

	OK(cuMemAllocHost((void **)&pinned, BYTES));
	OK(cuStreamBeginCapture(t.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuLaunchHostFunc(t.stream, add_to, pinned));
	OK(cuMemcpyHtoDAsync(t.data, pinned, BYTES, t.stream));
	OK(cuMemcpyDtoHAsync(t.result, t.data, BYTES, t.stream));
	OK(cuLaunchHostFunc(t.stream, add_to, t.result));
	OK(cuStreamEndCapture(t.stream, &graph));
	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	fill(pinned, 0);
	for (unsigned round = 1; round <= 4; round++)
		OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(pinned, 400);
	check(t.result, 500);
	OK(cuMemFreeHost(pinned));
}

CONFORM(rectangles_keep_what_lies_between_the_rows)
{
	struct fixture t = begin();
	CUDA_MEMCPY2D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
			  .srcHost = t.source,
			  .srcPitch = 100,
			  .srcXInBytes = 8,
			  .srcY = 2,
			  .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			  .dstDevice = t.data,
			  .dstPitch = 64,
			  .WidthInBytes = 60,
			  .Height = 50},
		      out = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
			  .srcDevice = t.data,
			  .srcPitch = 64,
			  .dstMemoryType = CU_MEMORYTYPE_HOST,
			  .dstHost = t.result,
			  .dstPitch = 120,
			  .dstXInBytes = 4,
			  .dstY = 1,
			  .WidthInBytes = 60,
			  .Height = 50};
	CUgraphExec exec;
	CUgraph graph;

	OK(cuStreamBeginCapture(t.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	OK(cuMemcpy2DAsync(&in, t.stream));
	OK(cuMemcpy2DAsync(&out, t.stream));
	OK(cuStreamEndCapture(t.stream, &graph));
	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	for (unsigned round = 0; round < 3; round++) {
		conform_fill(t.source, BYTES, round);
		memset(t.result, 0xee, BYTES);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		for (int y = 0; y < 52; y++)
			for (int x = 0; x < 120; x++) {
				bool inside = y >= 1 && y < 51 && x >= 4 && x < 64;
				uint8_t wanted = 0xee;
				if (inside)
					wanted = ((uint8_t *)t.source)[(y + 1) * 100 + x + 4];
				CHECK_EQ(((uint8_t *)t.result)[y * 120 + x], wanted);
			}
	}
}

CONFORM(between_the_programs_own_places)
{
	struct fixture t = begin();
	CUgraphExec exec;

	add_copy(
	    &t, t.graph, NULL, row(CU_MEMORYTYPE_HOST, t.result, CU_MEMORYTYPE_HOST, t.source));
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	for (unsigned round = 0; round < 3; round++) {
		fill(t.source, round);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		check(t.result, round);
	}
}

CONFORM(clones_and_children_have_them)
{
	struct fixture t = begin();
	CUgraph parent, clone;
	CUgraphNode child;
	CUgraphExec exec;

	CUgraphNode first = add_copy(&t, t.graph, NULL, to_device(t.data, t.source));
	CUgraphNode middle = add_increment(&t, t.graph, first);
	add_copy(&t, t.graph, middle, to_host(t.result, t.data));
	OK(cuGraphClone(&clone, t.graph));
	OK(cuGraphCreate(&parent, 0));
	OK(cuGraphAddChildGraphNode(&child, parent, NULL, 0, t.graph));
	OK(cuGraphDestroy(t.graph));
	OK(cuGraphInstantiateWithFlags(&exec, clone, 0));
	run_and_check(&t, exec);
	OK(cuGraphDestroy(clone));
	OK(cuGraphInstantiateWithFlags(&exec, parent, 0));
	run_and_check(&t, exec);
}

/* As programs do that capture every time and keep one executable graph. */
CONFORM(updates_bring_other_memory)
{
	struct fixture t = begin();
	CUgraphExecUpdateResultInfo info;
	CUgraphExec exec;

	CUgraph graph = capture_round_trip(&t, t.source, t.result);
	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	OK(cuGraphDestroy(graph));
	for (unsigned round = 0; round < 10; round++) {
		unsigned *from = calloc(N, sizeof(unsigned)), *to = calloc(N, sizeof(unsigned));
		graph = capture_round_trip(&t, from, to);
		NEEDS(cuGraphExecUpdate(exec, graph, &info));
		CHECK_EQ(info.result, CU_GRAPH_EXEC_UPDATE_SUCCESS);
		OK(cuGraphDestroy(graph));
		for (unsigned again = 0; again < 2; again++) {
			fill(from, 100 * round + again);
			OK(cuGraphLaunch(exec, t.stream));
			OK(cuStreamSynchronize(t.stream));
			check(to, 100 * round + again + 1);
		}
	}
	for (int i = 0; i < N; i++)
		CHECK_EQ(t.result[i], 0);
}

CONFORM(much_memory_again_and_again)
{
	struct fixture t = begin();
	size_t size = 3 << 20;
	uint8_t *in = malloc(size), *out = malloc(size);
	CUdeviceptr data;
	CUgraphExec exec;

	OK(cuMemAlloc(&data, size));
	for (unsigned round = 0; round < 20; round++) {
		CUDA_MEMCPY3D first = to_device(data, in), last = to_host(out, data);
		CUgraph graph;
		first.srcPitch = first.dstPitch = first.WidthInBytes = size;
		last.srcPitch = last.dstPitch = last.WidthInBytes = size;
		OK(cuGraphCreate(&graph, 0));
		add_copy(&t, graph, add_copy(&t, graph, NULL, first), last);
		OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
		OK(cuGraphDestroy(graph));
		conform_fill(in, size, round);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		CHECK_BYTES(out, in, size);
		OK(cuGraphExecDestroy(exec));
	}
}
