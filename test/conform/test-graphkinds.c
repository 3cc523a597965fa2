/* Copies of graphs that change between pinned and ordinary memory, or are switched on and off. */
#include <string.h>

#include "graphcopies.h"

static unsigned seen_by_function;

static void look(void *user)
{
	seen_by_function = *(unsigned *)user;
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

/* After a launch that left 1, with in off: one that adds to it, and one without out, too. */
static void launch_with_one_off(
    struct fixture *t, CUgraphExec exec, CUgraphNode in, CUgraphNode out)
{
	unsigned on;

	OK(cuGraphNodeGetEnabled(exec, in, &on));
	CHECK_EQ(on, 0);
	OK(cuGraphLaunch(exec, t->stream)); /* 2 */
	OK(cuGraphNodeSetEnabled(exec, out, 0));
	OK(cuGraphNodeSetEnabled(exec, out, 0));
	OK(cuGraphLaunch(exec, t->stream)); /* 3, that nobody fetches */
	OK(cuStreamSynchronize(t->stream));
	check(t->result, 2);
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
	launch_with_one_off(&t, exec, in, out);
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

/* What is off stays off, and gets the other graph's memory for when it is on again. */
CONFORM(what_is_off_stays_off_over_updates)
{
	struct fixture t = begin();
	CUgraphExecUpdateResultInfo info;
	unsigned *pinned, on;
	CUgraphExec exec;

	OK(cuMemAllocHost((void **)&pinned, BYTES));
	CUgraphNode in = add_copy(&t, t.graph, NULL, to_device(t.data, t.source));
	CUgraphNode middle = add_increment(&t, t.graph, in);
	CUgraphNode out = add_copy(&t, t.graph, middle, to_host(t.result, t.data));
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	for (unsigned round = 0; round < 5; round++) {
		unsigned *from = calloc(N, sizeof(unsigned));
		unsigned *to = round % 2 ? pinned : calloc(N, sizeof(unsigned));
		CUgraph graph = capture_round_trip(&t, from, to);
		NEEDS(cuGraphNodeSetEnabled(exec, out, 0));
		OK(cuGraphNodeSetEnabled(exec, middle, round % 3 != 0));
		OK(cuGraphExecUpdate(exec, graph, &info));
		OK(cuGraphDestroy(graph));
		OK(cuGraphNodeGetEnabled(exec, out, &on));
		CHECK_EQ(on, 0);
		fill(from, 40 * round);
		memset(to, 0, BYTES);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		CHECK(!to[0] && !to[N - 1]);
		OK(cuGraphNodeSetEnabled(exec, out, 1));
		OK(cuGraphNodeGetEnabled(exec, middle, &on));
		CHECK_EQ(on, round % 3 != 0);
		OK(cuGraphLaunch(exec, t.stream));
		OK(cuStreamSynchronize(t.stream));
		check(to, 40 * round + on);
	}
}

/* What has changed once changes again, in the graph and in what was made of it. */
CONFORM(changes_follow_changes)
{
	struct fixture t = begin();
	unsigned *places[4], *pinned;
	CUgraphExec exec;

	OK(cuMemAllocHost((void **)&pinned, BYTES));
	for (unsigned i = 0; i < 4; i++)
		places[i] = calloc(N, sizeof(unsigned));
	CUgraphNode in = add_copy(&t, t.graph, NULL, to_device(t.data, t.source));
	CUgraphNode out =
	    add_copy(&t, t.graph, add_increment(&t, t.graph, in), to_host(pinned, t.data));
	for (unsigned round = 0; round < 2; round++) {
		CUDA_MEMCPY3D last = to_host(places[round], t.data);
		OK(cuGraphMemcpyNodeSetParams(out, &last));
		OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
		for (unsigned i = 0; i < 4; i++) {
			last = to_host(places[i], t.data);
			OK(cuGraphExecMemcpyNodeSetParams(exec, out, &last, t.context));
			OK(cuGraphNodeSetEnabled(exec, out, i % 2));
			OK(cuGraphNodeSetEnabled(exec, out, 1));
			last = to_host(places[(i + 1) % 4], t.data);
			OK(cuGraphExecMemcpyNodeSetParams(exec, out, &last, t.context));
			fill(t.source, 10 * i);
			OK(cuGraphLaunch(exec, t.stream));
			OK(cuStreamSynchronize(t.stream));
			check(places[(i + 1) % 4], 10 * i + 1);
		}
		OK(cuGraphExecDestroy(exec));
	}
}

/* Values: the word's address and how often it is written. */
static CUDA_KERNEL_NODE_PARAMS spin(void **values)
{
	return (CUDA_KERNEL_NODE_PARAMS){.func = conform_kernel("spin"),
	    .gridDimX = 1,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 1,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .kernelParams = values};
}

/* Launches of one graph come one after the other in whatever streams, also when it has changed: a
 * long one, then a short one elsewhere, which has the last word. */
CONFORM(launches_keep_their_order_over_changes)
{
	struct fixture t = begin();
	CUgraphExecUpdateResultInfo info;
	CUdeviceptr word = 0;
	uint64_t turns = 0;
	CUDA_KERNEL_NODE_PARAMS kernel = spin((void *[]){&word, &turns});
	CUgraphNode middle;
	CUgraphExec exec;
	CUgraph same;
	CUstream other;
	unsigned *pinned, written;

	OK(cuMemAllocHost((void **)&pinned, BYTES));
	OK(cuMemAlloc(&word, 4));
	OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	CUgraphNode in = add_copy(&t, t.graph, NULL, to_device(t.data, t.source));
	NEEDS(cuGraphAddKernelNode(&middle, t.graph, &in, 1, &kernel));
	CUgraphNode out = add_copy(&t, t.graph, middle, to_host(pinned, t.data));
	NEEDS(cuGraphClone(&same, t.graph));
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	for (unsigned round = 0; round < 4; round++) {
		CUDA_MEMCPY3D last = to_host(round % 2 ? pinned : t.result, t.data);
		turns = 20000000;
		OK(cuGraphExecKernelNodeSetParams(exec, middle, &kernel));
		OK(cuGraphLaunch(exec, t.stream));
		if (round < 2)
			OK(cuGraphExecMemcpyNodeSetParams(exec, out, &last, t.context));
		else if (round == 2)
			OK(cuGraphNodeSetEnabled(exec, in, 0));
		else
			OK(cuGraphExecUpdate(exec, same, &info));
		turns = round + 1;
		OK(cuGraphExecKernelNodeSetParams(exec, middle, &kernel));
		OK(cuGraphLaunch(exec, other));
		OK(cuCtxSynchronize());
		OK(cuMemcpyDtoH(&written, word, 4));
		CHECK_EQ(written, round);
	}
}

/* --- graphs that cannot be cloned --- */

/* One that allocates, or one with a condition, ahead of what follows *node. */
static void make_single(struct fixture *t, bool allocates, CUgraphNode *node)
{
	CUDA_MEM_ALLOC_NODE_PARAMS memory = {
	    .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
		.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}},
	    .bytesize = BYTES};
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL};
	CUgraphNode first;

	if (allocates) {
		NEEDS(cuGraphAddMemAllocNode(&first, t->graph, NULL, 0, &memory));
		OK(cuGraphAddMemFreeNode(node, t->graph, &first, 1, memory.dptr));
		return;
	}
	NEEDS(cuGraphConditionalHandleCreate(
	    &p.conditional.handle, t->graph, t->context, 0, CU_GRAPH_COND_ASSIGN_DEFAULT));
	p.conditional.type = CU_GRAPH_COND_TYPE_IF;
	p.conditional.size = 1;
	p.conditional.ctx = t->context;
	NEEDS(cuGraphAddNode(node, t->graph, NULL, NULL, 0, &p));
	add_increment(t, p.conditional.phGraph_out[0], NULL);
}

static void switch_single(bool allocates)
{
	struct fixture t = begin();
	unsigned *third = calloc(N, sizeof(unsigned)), on;
	CUgraphNode first;
	CUgraphExec exec;

	make_single(&t, allocates, &first);
	CUgraphNode in = add_copy(&t, t.graph, first, to_device(t.data, t.source));
	CUgraphNode over =
	    add_copy(&t, t.graph, in, row(CU_MEMORYTYPE_HOST, third, CU_MEMORYTYPE_HOST, t.source));
	CUgraphNode middle = add_increment(&t, t.graph, over);
	CUgraphNode out = add_copy(&t, t.graph, middle, to_host(t.result, t.data));
	OK(cuGraphInstantiateWithFlags(&exec, t.graph, 0));
	fill(t.source, 0);
	OK(cuGraphLaunch(exec, t.stream)); /* 1 */
	OK(cuGraphNodeSetEnabled(exec, in, 0));
	launch_with_one_off(&t, exec, in, out);
	check(third, 0);
	/* Between two places of the program, too. */
	OK(cuGraphNodeSetEnabled(exec, over, 0));
	fill(t.source, 500);
	OK(cuGraphLaunch(exec, t.stream)); /* 4 */
	OK(cuStreamSynchronize(t.stream));
	check(third, 0);
	/* Other memory while it is off, and then on again. */
	CUDA_MEMCPY3D last = to_host(third, t.data);
	OK(cuGraphExecMemcpyNodeSetParams(exec, out, &last, t.context));
	OK(cuGraphLaunch(exec, t.stream)); /* 5 */
	OK(cuStreamSynchronize(t.stream));
	check(third, 0);
	OK(cuGraphNodeSetEnabled(exec, out, 1));
	OK(cuGraphNodeGetEnabled(exec, out, &on));
	CHECK_EQ(on, 1);
	OK(cuGraphLaunch(exec, t.stream)); /* 6 */
	OK(cuStreamSynchronize(t.stream));
	check(third, 6);
	check(t.result, 2);
	OK(cuGraphNodeSetEnabled(exec, in, 1));
	OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(third, 501);
	/* What the graph is now is what it was made of again, but for what is off. */
	CUgraphExecUpdateResultInfo info;
	OK(cuGraphNodeSetEnabled(exec, in, 0));
	CUresult r = cuGraphExecUpdate(exec, t.graph, &info);
	if (r == CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE)
		return; /* no update of such graphs on this device */
	OK(r);
	fill(t.source, 600);
	OK(cuGraphLaunch(exec, t.stream)); /* 502 */
	OK(cuStreamSynchronize(t.stream));
	check(third, 501);
	check(t.result, 502);
	OK(cuGraphNodeSetEnabled(exec, in, 1));
	OK(cuGraphNodeSetEnabled(exec, over, 1));
	OK(cuGraphLaunch(exec, t.stream));
	OK(cuStreamSynchronize(t.stream));
	check(t.result, 601);
	check(third, 600);
}

CONFORM(they_can_be_switched_off_where_memory_is_allocated)
{
	switch_single(true);
}

CONFORM(they_can_be_switched_off_beside_a_condition)
{
	switch_single(false);
}
