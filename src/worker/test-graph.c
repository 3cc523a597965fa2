/*
 * Graphs with a hostile client: a count is believed only with the bytes it counts, a node may name
 * no memory that is not the client's, and what a failure says comes back.
 */
#include "base/test.h"
#include "wire/graph_copy.h"
#include "worker/test-client.h"

#define GRAPH ((CUgraph)0x6000)
#define OTHER ((CUgraph)0x6200) /* created with flags */
#define NODE  ((CUgraphNode)0x7000)

static char own[4096]; /* memory of this process that no client may reach */
static unsigned added;

static CUresult create(CUgraph *graph, unsigned flags)
{
	*graph = flags ? OTHER : GRAPH;
	return CUDA_SUCCESS;
}

static CUresult add_node(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, CUgraphNodeParams *parameters)
{
	*node = (CUgraphNode)(0x7000 + 0x10000ull * added++);
	return CUDA_SUCCESS;
}

static CUresult refuse(CUgraphExec *exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *parameters)
{
	parameters->hErrNode_out = NODE;
	parameters->result_out = CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE;
	return CUDA_ERROR_INVALID_VALUE;
}

struct graph_client {
	struct test_client client;
	CUgraph graph;
	uint32_t nodes;
};

/* The fake backend has no graphs; this one has what the tests need. */
static struct graph_client start(void)
{
	struct graph_client t = {.client = client_start(NULL)};
	struct backend *backend = (struct backend *)client_worker()->backend;

	backend->cuGraphCreate = create;
	backend->cuGraphAddNode = add_node;
	backend->cuGraphInstantiateWithParams = refuse;
	t.graph = (CUgraph)handle_id(false, HANDLE_GRAPH, 1, 0);
	struct args_cuGraphCreate a = {.graph = &t.graph};
	CHECK_EQ(CALL(&t.client, cuGraphCreate, &a), CUDA_SUCCESS);
	return t;
}

static CUresult add(
    struct graph_client *t, const CUgraphNodeParams *parameters, const void *tail, size_t bytes)
{
	CUgraphNode node = (CUgraphNode)handle_id(false, HANDLE_GRAPHNODE, 1, t->nodes++);
	CUdeviceptr address;
	CUgraph none;
	struct args_rosenGraphNodeAdd a = {.node = &node,
	    .graph = t->graph,
	    .generic = 1,
	    .parameters = parameters,
	    .tail = tail,
	    .tail_bytes = bytes,
	    .address = &address,
	    .graphs = &none};

	return (CUresult)CALL(&t->client, rosenGraphNodeAdd, &a);
}

static CUgraph other(struct graph_client *t)
{
	CUgraph graph = (CUgraph)handle_id(false, HANDLE_GRAPH, 1, 1);
	struct args_cuGraphCreate a = {.graph = &graph, .flags = 1};

	CHECK_EQ(CALL(&t->client, cuGraphCreate, &a), CUDA_SUCCESS);
	return graph;
}

TEST(graph_counts_are_those_of_the_tail)
{
	struct graph_client t = start();
	CUstreamBatchMemOpParams operations[2] = {0};
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP};

	p.memOp.count = 2;
	CHECK_EQ(add(&t, &p, operations, sizeof(operations)), CUDA_SUCCESS);
	p.memOp.count = 3;
	CHECK_EQ(add(&t, &p, operations, sizeof(operations)), CUDA_ERROR_INVALID_VALUE);
	p.memOp.count = UINT32_MAX;
	CHECK_EQ(add(&t, &p, operations, sizeof(operations)), CUDA_ERROR_INVALID_VALUE);
	p.memOp.count = 1;
	CHECK_EQ(add(&t, &p, operations, sizeof(operations)), CUDA_ERROR_INVALID_VALUE);
	p = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC};
	/* Times the size of an element that is 0 in 64 bits. */
	p.alloc.accessDescCount = (size_t)1 << 62;
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	p = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_CONDITIONAL};
	p.conditional.size = 2; /* and room for no graph */
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(added, 1);
	client_stop(&t.client, NULL);
}

TEST(graph_copies_reach_only_the_clients_memory)
{
	static const CUmemorytype types[] = {
	    CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_UNIFIED, 0, 77};
	struct graph_client t = start();
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};
	CUDA_MEMCPY3D *copy = &p.memcpy.copyParams;

	copy->dstMemoryType = CU_MEMORYTYPE_DEVICE;
	copy->dstDevice = WIRE_DEVICE_WINDOW_BASE;
	copy->WidthInBytes = 16;
	copy->Height = copy->Depth = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		copy->srcMemoryType = types[i];
		copy->srcHost = own;
		copy->srcDevice = (CUdeviceptr)own;
		CHECK_EQ(add(&t, &p, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	}
	copy->srcMemoryType = CU_MEMORYTYPE_DEVICE;
	copy->srcDevice = WIRE_DEVICE_WINDOW_BASE + 4096;
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_SUCCESS);
	copy->srcZ = 1; /* behind how many rows, and how long, the backend would have to guess */
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	copy->srcHeight = 4;
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	copy->srcZ = 0;
	copy->srcPitch = WIRE_DEVICE_WINDOW_SIZE;
	copy->Height = 3; /* the last row lies beyond the window */
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	copy->srcPitch = copy->srcHeight = UINT64_MAX;
	copy->Depth = UINT64_MAX;
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(added, 1);
	client_stop(&t.client, NULL);
}

TEST(graph_nodes_name_living_objects)
{
	struct graph_client t = start();
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD};

	p.eventRecord.event = (CUevent)own;
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_ERROR_INVALID_HANDLE);
	p = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_GRAPH};
	p.graph.graph = (CUgraph)handle_id(false, HANDLE_GRAPH, 1, 99);
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	p.graph.graph = other(&t);
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_SUCCESS);
	p = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT};
	CHECK_EQ(add(&t, &p, "one byte", 8), CUDA_ERROR_INVALID_VALUE);
	p.extSemWait.numExtSems = 1u << 31;
	CHECK_EQ(add(&t, &p, "one byte", 8), CUDA_ERROR_INVALID_VALUE);
	struct {
		uint64_t id;
		CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS parameters;
	} tail = {.id = handle_id(false, HANDLE_EXTSEMAPHORE, 1, 7)};
	p.extSemWait.numExtSems = 1;
	CHECK_EQ(add(&t, &p, &tail, sizeof(tail)), CUDA_ERROR_INVALID_HANDLE);
	tail.id = 0;
	CHECK_EQ(add(&t, &p, &tail, sizeof(tail)), CUDA_ERROR_INVALID_HANDLE);
	p.type = (CUgraphNodeType)1000;
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(added, 1);
	client_stop(&t.client, NULL);
}

TEST(graph_instantiation_that_fails_says_why)
{
	struct graph_client t = start();
	CUgraphInstantiateResult result;
	CUgraphNode culprit;
	CUresult status;
	struct args_cuGraphInstantiateWithParams a = {
	    .exec = handle_id(false, HANDLE_GRAPHEXEC, 1, 0),
	    .graph = t.graph,
	    .error_node = &culprit,
	    .result = &result,
	    .status = &status};

	CHECK_EQ(CALL(&t.client, cuGraphInstantiateWithParams, &a), CUDA_SUCCESS);
	CHECK_EQ(status, CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(result, CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE);
	CHECK_EQ(handle_kind_of((uint64_t)culprit), HANDLE_GRAPHNODE);
	struct args_cuGraphExecDestroy none = {.exec = (CUgraphExec)a.exec};
	CHECK_EQ(CALL(&t.client, cuGraphExecDestroy, &none), CUDA_ERROR_INVALID_VALUE);
	client_stop(&t.client, NULL);
}

TEST(graph_copies_that_the_client_moves_are_told_by_their_tail)
{
	struct graph_client t = start();
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};
	CUDA_MEMCPY3D *copy = &p.memcpy.copyParams;
	struct graph_copy staged = {.number = 1, .when = GRAPH_COPY_ALONE + 1};

	CHECK_EQ(add(&t, &p, &staged, sizeof(staged)), CUDA_ERROR_INVALID_VALUE);
	staged.when = 0;
	CHECK_EQ(add(&t, &p, &staged, sizeof(staged)), CUDA_ERROR_INVALID_VALUE);
	staged.when = GRAPH_COPY_BEFORE;
	CHECK_EQ(add(&t, &p, &staged, sizeof(staged) - 1), CUDA_ERROR_INVALID_VALUE);
	/* What stands in for the program's memory is checked like any other. */
	copy->srcMemoryType = CU_MEMORYTYPE_HOST;
	copy->srcHost = own;
	copy->dstMemoryType = CU_MEMORYTYPE_DEVICE;
	copy->dstDevice = WIRE_DEVICE_WINDOW_BASE;
	copy->WidthInBytes = 16;
	copy->Height = copy->Depth = 1;
	CHECK_EQ(add(&t, &p, &staged, sizeof(staged)), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(added, 0);
	client_stop(&t.client, NULL);
}

/* --- the end of a graph --- */

#define CHILD_NODE  ((CUgraphNode)0x7100)
#define CHILD_GRAPH ((CUgraph)0x6100)

static unsigned destroyed;

static CUresult get_nodes(CUgraph graph, CUgraphNode *nodes, size_t *count)
{
	if (nodes && graph == GRAPH) {
		nodes[0] = NODE;
		nodes[1] = CHILD_NODE;
	} else if (nodes) {
		nodes[0] = (CUgraphNode)0x7200;
	}
	*count = graph == GRAPH ? 2 : 1;
	return CUDA_SUCCESS;
}

static CUresult get_type(CUgraphNode node, CUgraphNodeType *type)
{
	*type = node == CHILD_NODE ? CU_GRAPH_NODE_TYPE_GRAPH : CU_GRAPH_NODE_TYPE_EMPTY;
	return CUDA_SUCCESS;
}

static CUresult get_child(CUgraphNode node, CUgraph *graph)
{
	*graph = CHILD_GRAPH;
	return CUDA_SUCCESS;
}

static CUresult destroy(CUgraph graph)
{
	destroyed++;
	return CUDA_SUCCESS;
}

static CUresult type_of(struct graph_client *t, CUgraphNode node)
{
	CUgraphNodeType type;
	struct args_cuGraphNodeGetType a = {.node = node, .type = &type};

	return (CUresult)CALL(&t->client, cuGraphNodeGetType, &a);
}

TEST(ids_of_nodes_end_with_their_graph)
{
	struct graph_client t = start();
	struct backend *backend = (struct backend *)client_worker()->backend;
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
	CUgraphNode own_node = (CUgraphNode)handle_id(false, HANDLE_GRAPHNODE, 1, 0), nodes[2];
	uint64_t ended[4] = {0};
	CUgraph child;
	size_t n = 2;

	backend->cuGraphGetNodes = get_nodes;
	backend->cuGraphNodeGetType = get_type;
	backend->cuGraphChildGraphNodeGetGraph = get_child;
	backend->cuGraphDestroy = destroy;
	CHECK_EQ(add(&t, &p, NULL, 0), CUDA_SUCCESS);
	struct args_cuGraphGetNodes get = {.graph = t.graph, .nodes = nodes, .count = &n};
	CHECK_EQ(CALL(&t.client, cuGraphGetNodes, &get), CUDA_SUCCESS);
	CHECK(nodes[0] == own_node && handle_by_worker((uint64_t)nodes[1]));
	struct args_cuGraphChildGraphNodeGetGraph of = {.node = nodes[1], .graph = &child};
	CHECK_EQ(CALL(&t.client, cuGraphChildGraphNodeGetGraph, &of), CUDA_SUCCESS);
	CHECK_EQ(type_of(&t, own_node), CUDA_SUCCESS);
	CHECK_EQ(type_of(&t, nodes[1]), CUDA_SUCCESS);
	n = 4;
	struct args_rosenGraphDestroy end = {.graph = t.graph, .nodes = ended, .count = &n};
	CHECK_EQ(CALL(&t.client, rosenGraphDestroy, &end), CUDA_SUCCESS);
	/* Only those that the client minted concern it. */
	CHECK_EQ(n, 1);
	CHECK_EQ(ended[0], (uint64_t)own_node);
	CHECK_EQ(destroyed, 1);
	CHECK_EQ(type_of(&t, own_node), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(type_of(&t, nodes[1]), CUDA_ERROR_INVALID_VALUE);
	struct args_cuGraphGetNodes gone = {.graph = child, .nodes = nodes, .count = &n};
	CHECK_EQ(CALL(&t.client, cuGraphGetNodes, &gone), CUDA_ERROR_INVALID_VALUE);
	client_stop(&t.client, NULL);
}

/* --- graphs that become part of graphs --- */

static CUresult add_child(
    CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count, CUgraph child)
{
	*node = (CUgraphNode)(0x8000 + 16ull * added++);
	return CUDA_SUCCESS;
}

/* As a child node, then as a node of any kind. */
static CUresult make_part(struct graph_client *t, CUgraph graph, CUgraph child)
{
	CUgraphNode node = (CUgraphNode)handle_id(false, HANDLE_GRAPHNODE, 1, t->nodes++);
	struct args_cuGraphAddChildGraphNode a = {.node = &node, .graph = graph, .child = child};
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = child}};
	struct graph_client of = {t->client, graph, t->nodes};
	CUresult r = (CUresult)CALL(&t->client, cuGraphAddChildGraphNode, &a);

	if (child)
		CHECK_EQ(add(&of, &p, NULL, 0), r);
	t->nodes = of.nodes;
	return r;
}

/* A graph's node that has a graph of its own. */
static struct graph_client start_with_child(CUgraphNode *node)
{
	struct graph_client t = start();
	struct backend *backend = (struct backend *)client_worker()->backend;
	CUgraphNode nodes[2];
	size_t n = 2;

	backend->cuGraphGetNodes = get_nodes;
	backend->cuGraphNodeGetType = get_type;
	backend->cuGraphChildGraphNodeGetGraph = get_child;
	struct args_cuGraphGetNodes get = {.graph = t.graph, .nodes = nodes, .count = &n};
	CHECK_EQ(CALL(&t.client, cuGraphGetNodes, &get), CUDA_SUCCESS);
	*node = nodes[1];
	return t;
}

TEST(a_graph_does_not_become_part_of_itself)
{
	CUgraphNode node;
	struct graph_client t = start_with_child(&node);
	struct backend *backend = (struct backend *)client_worker()->backend;
	CUgraph child;

	backend->cuGraphAddChildGraphNode = add_child;
	struct args_cuGraphChildGraphNodeGetGraph of = {.node = node, .graph = &child};
	CHECK_EQ(CALL(&t.client, cuGraphChildGraphNodeGetGraph, &of), CUDA_SUCCESS);
	CHECK_EQ(make_part(&t, t.graph, t.graph), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(make_part(&t, t.graph, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(make_part(&t, NULL, t.graph), CUDA_ERROR_INVALID_VALUE);
	/* child is within t.graph, which would be copied for as long as it grows. */
	CHECK_EQ(make_part(&t, child, t.graph), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(added, 0);
	CHECK_EQ(make_part(&t, t.graph, child), CUDA_SUCCESS);
	CHECK_EQ(make_part(&t, child, other(&t)), CUDA_SUCCESS);
	CHECK_EQ(added, 4);
	client_stop(&t.client, NULL);
}

static unsigned set_nodes;

static CUresult set_node(CUgraphNode node, CUgraphNodeParams *parameters)
{
	set_nodes++;
	return CUDA_SUCCESS;
}

TEST(a_node_does_not_get_a_graph_that_it_is_in)
{
	CUgraphNode node;
	struct graph_client t = start_with_child(&node);
	struct backend *backend = (struct backend *)client_worker()->backend;
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = t.graph}};

	backend->cuGraphNodeSetParams = set_node;
	struct args_rosenGraphNodeSet set = {.node = node, .generic = 1, .parameters = &p};
	CHECK_EQ(CALL(&t.client, rosenGraphNodeSet, &set), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(set_nodes, 0);
	p.graph.graph = other(&t);
	CHECK_EQ(CALL(&t.client, rosenGraphNodeSet, &set), CUDA_SUCCESS);
	CHECK_EQ(set_nodes, 1);
	client_stop(&t.client, NULL);
}

static unsigned asked, parameter_bytes;

static CUresult one_parameter(CUfunction function, size_t index, size_t *offset, size_t *bytes)
{
	asked++;
	*offset = 0;
	*bytes = parameter_bytes;
	return index ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static char given[16];

static CUresult add_kernel(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, CUgraphNodeParams *parameters)
{
	memcpy(given, parameters->kernel.kernelParams[0], parameter_bytes);
	return add_node(node, graph, dependencies, count, parameters);
}

/* What lies where in a kernel's buffer is asked for once, and again when its handle may be that of
 * another: the backend would read beyond the buffer, of which what is missing is 0. */
TEST(graph_kernels_parameters_lie_in_their_buffer)
{
	struct graph_client t = start();
	struct backend *backend = (struct backend *)client_worker()->backend;
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_KERNEL};
	struct args_cuModuleUnload unload = {
	    .module = (CUmodule)handle_id(false, HANDLE_MODULE, 1, 1)};

	backend->cuFuncGetParamInfo = one_parameter;
	backend->cuGraphAddNode = add_kernel;
	parameter_bytes = 8;
	p.kernel.func = client_function(&t.client);
	CHECK_EQ(add(&t, &p, "12345678", 8), CUDA_SUCCESS);
	unsigned once = asked;
	CHECK_EQ(add(&t, &p, "12345678", 8), CUDA_SUCCESS);
	CHECK_BYTES(given, "12345678", 8);
	CHECK_EQ(add(&t, &p, "1234567x", 7), CUDA_SUCCESS);
	CHECK_BYTES(given, "1234567", 8);
	CHECK_EQ(add(&t, &p, "123456789", 9), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(add(&t, &p, "", 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(asked, once);
	CHECK_EQ(added, 3);
	parameter_bytes = 16;
	CHECK_EQ(CALL(&t.client, cuModuleUnload, &unload), CUDA_SUCCESS);
	p.kernel.func = client_function(&t.client);
	CHECK_EQ(add(&t, &p, "12345678", 8), CUDA_SUCCESS);
	CHECK_BYTES(given, "12345678\0\0\0\0\0\0\0", 16);
	CHECK(asked > once);
	client_stop(&t.client, NULL);
}
