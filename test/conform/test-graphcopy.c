/* Copies of ordinary memory in graphs: it is read and written whenever the graph runs, in its
 * turn. */
#include <pthread.h>
#include <string.h>

#include "conform.h"

enum { N = 20000, BYTES = 4 * N };

struct fixture {
	CUcontext context;
	CUgraph graph;
	CUstream stream;
	CUdeviceptr data;
	unsigned *source, *result; /* ordinary */
};

static struct fixture begin(void)
{
	struct fixture t = {0};

	conform_begin();
	OK(cuCtxGetCurrent(&t.context));
	OK(cuStreamCreate(&t.stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&t.data, BYTES));
	NEEDS(cuGraphCreate(&t.graph, 0));
	t.source = calloc(N, sizeof(unsigned));
	t.result = calloc(N, sizeof(unsigned));
	return t;
}

static CUDA_MEMCPY3D row(
    CUmemorytype to_type, const void *to, CUmemorytype from_type, const void *from)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = from_type,
	    .srcHost = from,
	    .srcDevice = (CUdeviceptr)from,
	    .srcPitch = BYTES,
	    .srcHeight = 1,
	    .dstMemoryType = to_type,
	    .dstHost = (void *)to,
	    .dstDevice = (CUdeviceptr)to,
	    .dstPitch = BYTES,
	    .dstHeight = 1,
	    .WidthInBytes = BYTES,
	    .Height = 1,
	    .Depth = 1};
}

static CUDA_MEMCPY3D to_device(CUdeviceptr to, const void *from)
{
	return row(CU_MEMORYTYPE_DEVICE, (void *)to, CU_MEMORYTYPE_HOST, from);
}

static CUDA_MEMCPY3D to_host(void *to, CUdeviceptr from)
{
	return row(CU_MEMORYTYPE_HOST, to, CU_MEMORYTYPE_DEVICE, (void *)from);
}

static CUgraphNode add_copy(struct fixture *t, CUgraph graph, CUgraphNode after, CUDA_MEMCPY3D copy)
{
	CUgraphNode node = NULL;
	CUresult r = cuGraphAddMemcpyNode(&node, graph, &after, after ? 1 : 0, &copy, t->context);

	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("this device does not support memcpy nodes");
	OK(r);
	return node;
}

static CUgraphNode add_increment(struct fixture *t, CUgraph graph, CUgraphNode after)
{
	int n = N;
	CUDA_KERNEL_NODE_PARAMS kernel = {.func = conform_kernel("increment"),
	    .gridDimX = 8,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 256,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .kernelParams = (void *[]){&t->data, &n}};
	CUgraphNode node = NULL;

	OK(cuGraphAddKernelNode(&node, graph, &after, after ? 1 : 0, &kernel));
	return node;
}

static void fill(unsigned *words, unsigned value)
{
	for (int i = 0; i < N; i++)
		words[i] = value + (unsigned)i;
}

static void check(const unsigned *words, unsigned value)
{
	for (int i = 0; i < N; i++)
		CHECK_EQ(words[i], value + (unsigned)i);
}

static void run_and_check(struct fixture *t, CUgraphExec exec)
{
	for (unsigned round = 0; round < 5; round++) {
		fill(t->source, 1000 * round);
		OK(cuGraphLaunch(exec, t->stream));
		OK(cuStreamSynchronize(t->stream));
		check(t->result, 1000 * round + 1);
	}
}

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

static void add_to(void *user)
{
	unsigned *words = user;

	for (int i = 0; i < N; i++)
		words[i] += 100;
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

static unsigned seen_by_function;

static void look(void *user)
{
	seen_by_function = *(unsigned *)user;
}

static CUgraph capture_round_trip(struct fixture *t, unsigned *from, unsigned *to)
{
	CUgraph graph;
	int n = N;

	OK(cuStreamBeginCapture(t->stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuMemcpyHtoDAsync(t->data, from, BYTES, t->stream));
	OK(conform_launch(
	    conform_kernel("increment"), 8, 256, 0, t->stream, (void *[]){&t->data, &n}));
	OK(cuMemcpyDtoHAsync(to, t->data, BYTES, t->stream));
	OK(cuStreamEndCapture(t->stream, &graph));
	return graph;
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

/* As the same, where what is captured uses now one kind of memory, now the other. */
CONFORM(updates_bring_other_kinds_of_memory)
{
	struct fixture t = begin();
	CUgraphExecUpdateResultInfo info;
	unsigned *pinned_from, *pinned_to, none = 0;
	CUDA_HOST_NODE_PARAMS host = {look, &none};
	CUgraphExec exec;

	OK(cuMemAllocHost((void **)&pinned_from, BYTES));
	OK(cuMemAllocHost((void **)&pinned_to, BYTES));
	CUgraph first = capture_round_trip(&t, pinned_from, pinned_to);
	CUgraphNode looks, nodes[4];
	size_t count = 4;
	NEEDS(cuGraphAddHostNode(&looks, first, NULL, 0, &host));
	OK(cuGraphInstantiateWithFlags(&exec, first, 0));
	for (unsigned round = 1; round < 6; round++) {
		unsigned *from = round % 2 ? t.source : pinned_from;
		unsigned *to = round / 2 % 2 ? t.result : pinned_to;
		CUgraph graph = capture_round_trip(&t, from, to);
		host.userData = to;
		OK(cuGraphAddHostNode(&looks, graph, NULL, 0, &host));
		OK(cuGraphExecUpdate(exec, graph, &info));
		CHECK_EQ(info.result, CU_GRAPH_EXEC_UPDATE_SUCCESS);
		OK(cuGraphDestroy(graph));
		fill(from, 30 * round);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		check(to, 30 * round + 1);
	}
	/* The nodes go by the names of the graph it was made of. */
	CUgraph other;
	OK(cuGraphGetNodes(first, nodes, &count));
	for (size_t i = 0; i < count; i++) {
		unsigned on;
		CUgraphNodeType type;
		OK(cuGraphNodeGetType(nodes[i], &type));
		if (type != CU_GRAPH_NODE_TYPE_KERNEL)
			continue;
		OK(cuGraphNodeSetEnabled(exec, nodes[i], 0));
		OK(cuGraphNodeGetEnabled(exec, nodes[i], &on));
		CHECK_EQ(on, 0);
	}
	fill(t.source, 70);
	OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(pinned_to, 70);
	/* A failure leaves it as it is. */
	OK(cuGraphCreate(&other, 0));
	add_copy(&t, other, NULL, to_device(t.data, pinned_from));
	GIVES(cuGraphExecUpdate(exec, other, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
	fill(t.source, 80);
	OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(pinned_to, 80);
}

/* From pinned memory to ordinary memory and back, as often as one likes. */
CONFORM(executable_nodes_change_between_kinds_of_memory)
{
	struct fixture t = begin();
	unsigned *pinned_in, *pinned_out;
	CUgraphExec exec;

	OK(cuMemAllocHost((void **)&pinned_in, BYTES));
	OK(cuMemAllocHost((void **)&pinned_out, BYTES));
	CUgraphNode in = add_copy(&t, t.graph, NULL, to_device(t.data, pinned_in));
	CUgraphNode out =
	    add_copy(&t, t.graph, add_increment(&t, t.graph, in), to_host(pinned_out, t.data));
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	for (unsigned round = 0; round < 4; round++) {
		unsigned *from = round % 2 ? t.source : pinned_in;
		unsigned *to = round / 2 ? t.result : pinned_out;
		CUDA_MEMCPY3D first = to_device(t.data, from), last = to_host(to, t.data);
		OK(cuGraphExecMemcpyNodeSetParams(exec, in, &first, t.context));
		OK(cuGraphExecMemcpyNodeSetParams(exec, out, &last, t.context));
		for (unsigned again = 0; again < 3; again++) {
			fill(from, 100 * round + 10 * again);
			OK(cuGraphLaunch(exec, t.stream));
			OK(cuStreamSynchronize(t.stream));
			check(to, 100 * round + 10 * again + 1);
		}
	}
	NEEDS(cuGraphNodeSetEnabled(exec, out, 0));
	fill(t.source, 7);
	OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(t.result, 321);
	OK(cuGraphNodeSetEnabled(exec, out, 1));
	OK(cuGraphLaunch(exec, t.stream)); /* may end before it has run */
	OK(cuGraphExecDestroy(exec));
	OK(cuStreamSynchronize(t.stream));
	check(t.result, 8);
}

/* A graph's own nodes change, too, and what was made of the graph before is still one with them. */
CONFORM(nodes_of_a_graph_change_between_kinds_of_memory)
{
	struct fixture t = begin();
	unsigned *pinned;
	CUgraphExec before, exec;
	CUDA_MEMCPY3D got;
	CUgraphNodeType type;

	OK(cuMemAllocHost((void **)&pinned, BYTES));
	CUgraphNode in = add_copy(&t, t.graph, NULL, to_device(t.data, pinned));
	CUgraphNode middle = add_increment(&t, t.graph, in);
	CUgraphNode out = add_copy(&t, t.graph, middle, to_host(pinned, t.data)), next;
	size_t count = 1;
	OK(cuGraphInstantiateWithFlags(&before, t.graph, 0));
	for (unsigned round = 0; round < 4; round++) {
		unsigned *from = round % 2 ? pinned : t.source;
		unsigned *to = round / 2 ? pinned : t.result;
		CUDA_MEMCPY3D first = to_device(t.data, from), last = to_host(to, t.data);
		OK(cuGraphMemcpyNodeSetParams(in, &first));
		OK(cuGraphMemcpyNodeSetParams(out, &last));
		OK(cuGraphMemcpyNodeGetParams(in, &got));
		CHECK(got.srcHost == from);
		OK(cuGraphMemcpyNodeGetParams(out, &got));
		CHECK(got.dstHost == to);
		OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
		fill(from, 10 * round);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		check(to, 10 * round + 1);
		OK(cuGraphExecDestroy(exec));
	}
	OK(cuGraphNodeGetType(in, &type));
	CHECK_EQ(type, CU_GRAPH_NODE_TYPE_MEMCPY);
	OK(cuGraphNodeGetDependentNodes(in, &next, NULL, &count));
	CHECK(count == 1 && next == middle);
	OK(cuGraphNodeGetDependencies(out, &next, NULL, &count));
	CHECK(count == 1 && next == middle);
	/* It is as it was made, and can be changed. */
	fill(pinned, 500);
	OK(cuGraphLaunch(before, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(pinned, 501);
	CUDA_MEMCPY3D last = to_host(t.result, t.data);
	OK(cuGraphExecMemcpyNodeSetParams(before, out, &last, t.context));
	OK(cuGraphLaunch(before, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(t.result, 502);
	check(pinned, 501);
}

/* Where other nodes can see what the copies bring: functions, other graphs, events. */
CONFORM(executable_nodes_change_kinds_beside_those_who_look)
{
	struct fixture t = begin();
	CUDA_HOST_NODE_PARAMS host = {add_to, NULL}, looker = {look, NULL};
	CUgraphNode function, event, child, fetch, last_look;
	unsigned *pinned, *pinned_out, five = 5;
	CUevent recorded, other;
	CUgraphExec exec;
	CUgraph inner;

	OK(cuMemAllocHost((void **)&pinned, BYTES));
	OK(cuMemAllocHost((void **)&pinned_out, BYTES));
	OK(cuEventCreate(&recorded, CU_EVENT_DISABLE_TIMING));
	OK(cuEventCreate(&other, CU_EVENT_DISABLE_TIMING));
	OK(cuGraphCreate(&inner, 0));
	add_increment(&t, inner, NULL);
	CUgraphNode in = add_copy(&t, t.graph, NULL, to_device(t.data, pinned));
	NEEDS(cuGraphAddChildGraphNode(&child, t.graph, &in, 1, inner));
	CUgraphNode out = add_copy(&t, t.graph, child, to_host(pinned_out, t.data));
	NEEDS(cuGraphAddEventRecordNode(&event, t.graph, &out, 1, recorded));
	host.userData = pinned_out;
	NEEDS(cuGraphAddHostNode(&function, t.graph, &event, 1, &host));
	fetch = add_copy(&t, t.graph, function, to_device(t.data, pinned_out));
	looker.userData = &five;
	OK(cuGraphAddHostNode(&last_look, t.graph, &fetch, 1, &looker));
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	for (unsigned round = 0; round < 4; round++) {
		unsigned *from = round % 2 ? t.source : pinned;
		unsigned *to = round / 2 ? t.result : pinned_out;
		CUDA_MEMCPY3D first = to_device(t.data, from), last = to_host(to, t.data);
		OK(cuGraphExecMemcpyNodeSetParams(exec, in, &first, t.context));
		OK(cuGraphExecMemcpyNodeSetParams(exec, out, &last, t.context));
		host.userData = to;
		OK(cuGraphExecHostNodeSetParams(exec, function, &host));
		fill(from, 1000 * round);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		check(to, 1000 * round + 101);
		CHECK_EQ(seen_by_function, 5);
	}
	/* What the graph has become takes every other change. */
	unsigned seven = 7;
	looker.userData = &seven;
	OK(cuGraphExecHostNodeSetParams(exec, last_look, &looker));
	OK(cuGraphExecEventRecordNodeSetEvent(exec, event, other));
	add_increment(&t, t.graph, NULL); /* no longer the graph it was made of */
	CUDA_MEMCPY3D first = to_device(t.data, pinned), last = to_host(pinned_out, t.data);
	OK(cuGraphExecMemcpyNodeSetParams(exec, in, &first, t.context));
	OK(cuGraphExecMemcpyNodeSetParams(exec, out, &last, t.context));
	host.userData = pinned_out;
	OK(cuGraphExecHostNodeSetParams(exec, function, &host));
	fill(pinned, 9000);
	OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	OK(cuEventQuery(other));
	check(pinned_out, 9101);
	CHECK_EQ(seen_by_function, 7);
}

/* In a graph with a conditional node. */
CONFORM(executable_nodes_change_kinds_beside_a_condition)
{
	struct fixture t = begin();
	CUgraphNodeParams parameters = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL};
	unsigned *pinned;
	CUgraphNode node;
	CUgraphExec exec;

	OK(cuMemAllocHost((void **)&pinned, BYTES));
	CUgraphNode in = add_copy(&t, t.graph, NULL, to_device(t.data, pinned));
	NEEDS(cuGraphConditionalHandleCreate(
	    &parameters.conditional.handle, t.graph, t.context, 1, CU_GRAPH_COND_ASSIGN_DEFAULT));
	parameters.conditional.type = CU_GRAPH_COND_TYPE_IF;
	parameters.conditional.size = 1;
	parameters.conditional.ctx = t.context;
	NEEDS(cuGraphAddNode(&node, t.graph, &in, NULL, 1, &parameters));
	add_increment(&t, parameters.conditional.phGraph_out[0], NULL);
	CUgraphNode out = add_copy(&t, t.graph, node, to_host(pinned, t.data));
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	for (unsigned round = 0; round < 3; round++) {
		CUDA_MEMCPY3D first = to_device(t.data, round ? t.source : pinned),
			      last = to_host(round == 1 ? pinned : t.result, t.data);
		OK(cuGraphExecMemcpyNodeSetParams(exec, in, &first, t.context));
		OK(cuGraphExecMemcpyNodeSetParams(exec, out, &last, t.context));
		fill((unsigned *)first.srcHost, 50 * round);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		check(last.dstHost, 50 * round + 1);
	}
}

/* Copies of ordinary memory are switched like others, for the launches that follow. */
CONFORM(they_can_be_switched_off)
{
	struct fixture t = begin();
	unsigned on;
	CUgraphExec exec;

	CUgraphNode in = add_copy(&t, t.graph, NULL, to_device(t.data, t.source));
	CUgraphNode middle = add_increment(&t, t.graph, in);
	CUgraphNode out = add_copy(&t, t.graph, middle, to_host(t.result, t.data));
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	OK(cuGraphNodeGetEnabled(exec, in, &on));
	CHECK_EQ(on, 1);
	fill(t.source, 0);
	OK(cuGraphLaunch(exec, t.stream)); /* 1 */
	NEEDS(cuGraphNodeSetEnabled(exec, in, 0));
	OK(cuGraphNodeGetEnabled(exec, in, &on));
	CHECK_EQ(on, 0);
	OK(cuGraphLaunch(exec, t.stream)); /* 2 */
	OK(cuGraphNodeSetEnabled(exec, out, 0));
	OK(cuGraphNodeSetEnabled(exec, out, 0));
	OK(cuGraphLaunch(exec, t.stream)); /* 3, that nobody fetches */
	OK(cuStreamSynchronize(t.stream));
	check(t.result, 2);
	/* Kernels beside them, too, and all of it stays when something else changes. */
	OK(cuGraphNodeSetEnabled(exec, middle, 0));
	OK(cuGraphNodeSetEnabled(exec, out, 1));
	OK(cuGraphNodeGetEnabled(exec, out, &on));
	CHECK_EQ(on, 1);
	OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(t.result, 3);
	OK(cuGraphNodeGetEnabled(exec, middle, &on));
	CHECK_EQ(on, 0);
	OK(cuGraphNodeSetEnabled(exec, middle, 1));
	OK(cuGraphNodeSetEnabled(exec, in, 1));
	OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(t.result, 1);
}

/* Other memory for a copy that is off: it shows when it is on again. */
CONFORM(what_is_off_gets_other_memory)
{
	struct fixture t = begin();
	unsigned *third = calloc(N, sizeof(unsigned)), *pinned, on;
	CUgraphExec exec;

	OK(cuMemAllocHost((void **)&pinned, BYTES));
	CUgraphNode in = add_copy(&t, t.graph, NULL, to_device(t.data, t.source));
	CUgraphNode middle = add_increment(&t, t.graph, in);
	CUgraphNode out = add_copy(&t, t.graph, middle, to_host(t.result, t.data));
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	unsigned *places[] = {third, pinned, third, t.result};
	for (unsigned round = 0; round < 4; round++) {
		CUDA_MEMCPY3D last = to_host(places[round], t.data);
		OK(cuGraphNodeSetEnabled(exec, out, 0));
		OK(cuGraphExecMemcpyNodeSetParams(exec, out, &last, t.context));
		OK(cuGraphNodeGetEnabled(exec, out, &on));
		CHECK_EQ(on, 0);
		memset(places[round], 0, BYTES);
		fill(t.source, 60 * round);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		CHECK_EQ(places[round][0], 0);
		CHECK_EQ(places[round][N - 1], 0);
		OK(cuGraphNodeSetEnabled(exec, out, 1));
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		check(places[round], 60 * round + 1);
	}
}

/* An executable graph that was updated changes like one that was not. */
CONFORM(they_change_after_an_update)
{
	struct fixture t = begin();
	CUgraphExecUpdateResultInfo info;
	unsigned *pinned;
	CUgraphExec exec;

	OK(cuMemAllocHost((void **)&pinned, BYTES));
	CUgraphNode in = add_copy(&t, t.graph, NULL, to_device(t.data, t.source));
	CUgraphNode out =
	    add_copy(&t, t.graph, add_increment(&t, t.graph, in), to_host(pinned, t.data));
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	for (unsigned round = 0; round < 3; round++) {
		unsigned *from = calloc(N, sizeof(unsigned));
		CUgraph graph = capture_round_trip(&t, from, pinned);
		NEEDS(cuGraphExecUpdate(exec, graph, &info));
		OK(cuGraphDestroy(graph));
		CUDA_MEMCPY3D last = to_host(t.result, t.data);
		OK(cuGraphExecMemcpyNodeSetParams(exec, out, &last, t.context));
		fill(from, 100 * round);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		check(t.result, 100 * round + 1);
		OK(cuGraphNodeSetEnabled(exec, in, 0));
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		check(t.result, 100 * round + 2);
		OK(cuGraphNodeSetEnabled(exec, in, 1));
	}
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
