/*
 * Adding nodes to graphs, and asking and changing what they do. The functions of single types are
 * forms of the general ones.
 */
#include "softgpu/driver/driver.h"
#include "softgpu/driver/event.h"

#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/graph_node.h"
#include "softgpu/driver/launch.h"
#include "softgpu/driver/memory.h"

#define BODIES_MAX 4096 /* of one conditional node */

/* ---- what types need beside their work ---- */

/* The graph or one it is a body of, at any depth? A child must not contain its own node. */
static bool contains(const struct sg_graph *graph, const struct sg_graph *other)
{
	if (graph == other)
		return true;
	for (size_t i = 0; i < graph->n_nodes; i++)
		for (unsigned b = 0; b < graph->nodes[i]->n_bodies; b++)
			if (contains(graph->nodes[i]->bodies[b], other))
				return true;
	return false;
}

static CUresult equip_child(struct sg_node *node, const CUgraphNodeParams *params)
{
	struct sg_graph *child = sg_graph_get(params->graph.graph);
	bool moves = params->graph.ownership == CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE;

	if (!child || contains(child, node->graph) || (moves && child->is_body))
		return CUDA_ERROR_INVALID_VALUE;
	struct sg_graph **bodies = malloc(sizeof(struct sg_graph *));
	if (bodies)
		bodies[0] = moves ? child : sg_graph_clone(child);
	if (!bodies || !bodies[0] || sg_node_set_bodies(node, bodies, 1) != CUDA_SUCCESS) {
		if (bodies && !moves)
			sg_graph_free(bodies[0]);
		free(bodies);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	node->params.graph.graph = node->body_handles[0];
	node->params.graph.ownership = params->graph.ownership;
	return CUDA_SUCCESS;
}

static CUresult equip_conditional(struct sg_node *node, CUgraphNodeParams *params)
{
	unsigned n = params->conditional.size;
	CUgraphConditionalNodeType type = params->conditional.type;
	struct sg_range range;

	if (!sg_arena_find(params->conditional.handle, &range) ||
	    range.kind != SG_RANGE_CONDITION || range.address != params->conditional.handle)
		return CUDA_ERROR_INVALID_VALUE;
	if (!n || n > BODIES_MAX || (type == CU_GRAPH_COND_TYPE_IF && n > 2) ||
	    (type == CU_GRAPH_COND_TYPE_WHILE && n > 1) || type > CU_GRAPH_COND_TYPE_SWITCH)
		return CUDA_ERROR_INVALID_VALUE;
	struct sg_graph **bodies = calloc(n, sizeof(struct sg_graph *));
	bool done = bodies;
	for (unsigned i = 0; done && i < n; i++) {
		bodies[i] = sg_graph_new();
		done = bodies[i];
	}
	if (!done || sg_node_set_bodies(node, bodies, n) != CUDA_SUCCESS) {
		for (unsigned i = 0; bodies && i < n; i++)
			sg_graph_free(bodies[i]);
		free(bodies);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	node->condition = sg_condition_ref(range.owner);
	params->conditional.phGraph_out = node->body_handles;
	node->params.conditional = params->conditional;
	return CUDA_SUCCESS;
}

/* Of the device, whatever it is called; not of the host. */
static CUresult check_memory(const CUmemPoolProps *pool)
{
	bool is_managed = pool->allocType == CU_MEM_ALLOCATION_TYPE_MANAGED;

	switch ((int)pool->location.type) {
	case CU_MEM_LOCATION_TYPE_DEVICE:
		return (is_managed || pool->allocType == CU_MEM_ALLOCATION_TYPE_PINNED) &&
			       !pool->location.id
			   ? CUDA_SUCCESS
			   : CUDA_ERROR_INVALID_VALUE;
	case CU_MEM_LOCATION_TYPE_HOST:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA:
		return CUDA_ERROR_NOT_SUPPORTED;
	default:
		return is_managed ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
	}
}

/* The memory is there from now on; launches only say whether it is allocated. */
static CUresult equip_alloc(struct sg_node *node, CUgraphNodeParams *params)
{
	const CUmemPoolProps *pool = &params->alloc.poolProps;

	CUresult r = check_memory(pool);

	if (r == CUDA_SUCCESS && !params->alloc.bytesize)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	node->memory = sg_graph_memory_new(params->alloc.bytesize);
	if (!node->memory)
		return CUDA_ERROR_OUT_OF_MEMORY;
	params->alloc.dptr = node->memory->address;
	node->params.alloc = params->alloc;
	node->params.alloc.accessDescs = NULL; /* the program's array; access is everybody's here */
	node->params.alloc.accessDescCount = 0;
	return CUDA_SUCCESS;
}

static CUresult equip_free(struct sg_node *node, const CUgraphNodeParams *params)
{
	node->memory = sg_graph_memory_ref(sg_graph_memory_find(params->free.dptr));
	node->params.free = params->free;
	return node->memory ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult equip_event(struct sg_node *node, const CUgraphNodeParams *params)
{
	bool records = node->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD;
	CUevent event = records ? params->eventRecord.event : params->eventWait.event;

	if (!sg_handle_get(event, SG_EVENT))
		return CUDA_ERROR_INVALID_VALUE;
	if (sg_event_is_shared(event))
		return CUDA_ERROR_NOT_SUPPORTED;
	if (records)
		node->params.eventRecord = params->eventRecord;
	else
		node->params.eventWait = params->eventWait;
	return CUDA_SUCCESS;
}

static CUresult equip(struct sg_node *node, CUgraphNodeParams *params)
{
	switch (node->type) {
	case CU_GRAPH_NODE_TYPE_MEMCPY: /* arrays by name */
		node->params.memcpy = params->memcpy;
		return CUDA_SUCCESS;
	case CU_GRAPH_NODE_TYPE_GRAPH:
		return equip_child(node, params);
	case CU_GRAPH_NODE_TYPE_CONDITIONAL:
		return equip_conditional(node, params);
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
		return equip_alloc(node, params);
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
		return equip_free(node, params);
	case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
	case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
		return equip_event(node, params);
	default:
		return CUDA_SUCCESS;
	}
}

/* ---- adding ---- */

static CUresult type_check(const struct sg_graph *graph, CUgraphNodeType type)
{
	switch (type) {
	case CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL:
	case CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT:
		return CUDA_ERROR_NOT_SUPPORTED;
	case CU_GRAPH_NODE_TYPE_HOST:
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
	case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
	case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP: /* cannot be chosen or repeated */
		return graph->is_conditional ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
	default:
		return (unsigned)type <= CU_GRAPH_NODE_TYPE_CONDITIONAL ? CUDA_SUCCESS
									: CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult place_check(
    const struct sg_graph *graph, const CUgraphNode *dependencies, size_t count)
{
	if (count && !dependencies)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++) {
		const struct sg_node *node = sg_node_get(dependencies[i]);

		if (!node || node->graph != graph)
			return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

static CUresult add(CUgraphNode *out, CUgraph handle, const CUgraphNode *dependencies,
    const CUgraphEdgeData *edges, size_t count, CUgraphNodeParams *params)
{
	struct sg_graph *graph = sg_graph_get(handle);
	struct sg_work *work;
	const struct sg_launch_traits traits = {0};
	struct sg_node *node;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && params->type == CU_GRAPH_NODE_TYPE_KERNEL &&
	    !params->kernel.func && !params->kernel.kern)
		r = CUDA_ERROR_INVALID_HANDLE;
	if (r == CUDA_SUCCESS && (!out || !graph))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = place_check(graph, dependencies, count);
	if (r == CUDA_SUCCESS)
		r = type_check(graph, params->type);
	if (r == CUDA_SUCCESS)
		r = sg_node_work(params, &traits, &work);
	if (r == CUDA_SUCCESS)
		r = sg_graph_add(graph, work, &node);
	if (r != CUDA_SUCCESS)
		return r;
	r = equip(node, params);
	for (size_t i = 0; r == CUDA_SUCCESS && i < count; i++)
		r = sg_node_depend(node, sg_node_get(dependencies[i]), edges ? &edges[i] : NULL);
	if (r == CUDA_SUCCESS)
		*out = node->handle;
	else
		sg_node_free(node);
	return r;
}

CUresult cuGraphAddNode_v2(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
    const CUgraphEdgeData *edges, size_t count, CUgraphNodeParams *params)
{
	if (!params)
		return sg_enter() ?: CUDA_ERROR_INVALID_VALUE;
	return add(out, graph, dependencies, edges, count, params);
}

CUresult cuGraphAddNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, CUgraphNodeParams *params)
{
	return cuGraphAddNode_v2(out, graph, dependencies, NULL, count, params);
}

CUresult cuGraphAddEmptyNode(
    CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count)
{
	CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_EMPTY};

	return add(out, graph, dependencies, NULL, count, &params);
}

CUresult cuGraphAddChildGraphNode(
    CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count, CUgraph child)
{
	CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = child}};

	return add(out, graph, dependencies, NULL, count, &params);
}

CUresult cuGraphAddEventRecordNode(
    CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count, CUevent event)
{
	CUgraphNodeParams params = {
	    .type = CU_GRAPH_NODE_TYPE_EVENT_RECORD, .eventRecord = {event}};

	return add(out, graph, dependencies, NULL, count, &params);
}

CUresult cuGraphAddEventWaitNode(
    CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count, CUevent event)
{
	CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT, .eventWait = {event}};

	return add(out, graph, dependencies, NULL, count, &params);
}

CUresult cuGraphAddMemFreeNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, CUdeviceptr address)
{
	CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE, .free = {address}};

	return add(out, graph, dependencies, NULL, count, &params);
}

CUresult cuGraphAddMemAllocNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, CUDA_MEM_ALLOC_NODE_PARAMS *alloc)
{
	CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC};

	if (!alloc)
		return sg_enter() ?: CUDA_ERROR_INVALID_VALUE;
	memcpy(&params.alloc, alloc, sizeof(*alloc));
	CUresult r = add(out, graph, dependencies, NULL, count, &params);
	if (r == CUDA_SUCCESS)
		alloc->dptr = params.alloc.dptr;
	return r;
}

/* ---- parameters from and to the structs of single types ---- */

/* Older structs are the beginnings of the newer ones, which are in the union. */
#define PARAMS_FROM(node_type, member, from)                                                       \
	CUgraphNodeParams params = {.type = (node_type)};                                          \
	if (!(from))                                                                               \
		return sg_enter() ?: CUDA_ERROR_INVALID_VALUE;                                     \
	_Static_assert(sizeof(*(from)) <= sizeof(params.member), "a beginning");                   \
	memcpy(&params.member, (from), sizeof(*(from)))

static CUresult node_of_type(
    CUgraphNode handle, CUgraphNodeType type, const void *output, struct sg_node **node)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*node = sg_node_get(handle);
	return *node && (*node)->type == type && output ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult params_get(
    CUgraphNode handle, CUgraphNodeType type, const void *member, void *out, size_t size)
{
	struct sg_node *node;
	CUresult r = node_of_type(handle, type, out, &node);

	if (r == CUDA_SUCCESS)
		memcpy(out, (const char *)&node->params + (size_t)member, size);
	return r;
}

static CUresult params_set(CUgraphNode handle, CUgraphNodeParams *params)
{
	struct sg_node *node;
	struct sg_work *work;
	CUresult r = node_of_type(handle, params->type, params, &node);

	if (r != CUDA_SUCCESS)
		return r;
	if (!sg_node_is_work(node->type))
		return node->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD ||
			       node->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT
			   ? equip(node, params)
			   : CUDA_ERROR_INVALID_VALUE;
	struct sg_launch_traits traits = sg_launch_traits(node->work);
	r = sg_node_work(params, &traits, &work);
	if (r != CUDA_SUCCESS)
		return r;
	sg_node_set_work(node, work);
	return equip(node, params);
}

CUresult cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams *params)
{
	return params ? params_set(node, params) : sg_enter() ?: CUDA_ERROR_INVALID_VALUE;
}

/* The functions of one type: Get, Set; and Add where nothing comes back. */
#define GETTER(name, struct_type, node_type, member)                                               \
	CUresult name(CUgraphNode node, struct_type *out)                                          \
	{                                                                                          \
		return params_get(node, node_type,                                                 \
		    (const void *)offsetof(CUgraphNodeParams, member), out, sizeof(*out));         \
	}
#define SETTER(name, struct_type, node_type, member)                                               \
	CUresult name(CUgraphNode node, const struct_type *in)                                     \
	{                                                                                          \
		PARAMS_FROM(node_type, member, in);                                                \
		return params_set(node, &params);                                                  \
	}
#define ADDER(name, struct_type, node_type, member)                                                \
	CUresult name(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,            \
	    size_t count, const struct_type *in)                                                   \
	{                                                                                          \
		PARAMS_FROM(node_type, member, in);                                                \
		return add(out, graph, dependencies, NULL, count, &params);                        \
	}
#define ADDER_WITH_CONTEXT(name, struct_type, node_type, member, context_member)                   \
	CUresult name(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,            \
	    size_t count, const struct_type *in, CUcontext context)                                \
	{                                                                                          \
		PARAMS_FROM(node_type, member, in);                                                \
		params.context_member = context;                                                   \
		return add(out, graph, dependencies, NULL, count, &params);                        \
	}

#define KERNEL CU_GRAPH_NODE_TYPE_KERNEL
#define COPY   CU_GRAPH_NODE_TYPE_MEMCPY
#define FILL   CU_GRAPH_NODE_TYPE_MEMSET
#define HOST   CU_GRAPH_NODE_TYPE_HOST
#define WORDS  CU_GRAPH_NODE_TYPE_BATCH_MEM_OP

ADDER(cuGraphAddKernelNode, CUDA_KERNEL_NODE_PARAMS_v1, KERNEL, kernel)
ADDER(cuGraphAddKernelNode_v2, CUDA_KERNEL_NODE_PARAMS, KERNEL, kernel)
GETTER(cuGraphKernelNodeGetParams, CUDA_KERNEL_NODE_PARAMS_v1, KERNEL, kernel)
GETTER(cuGraphKernelNodeGetParams_v2, CUDA_KERNEL_NODE_PARAMS, KERNEL, kernel)
SETTER(cuGraphKernelNodeSetParams, CUDA_KERNEL_NODE_PARAMS_v1, KERNEL, kernel)
SETTER(cuGraphKernelNodeSetParams_v2, CUDA_KERNEL_NODE_PARAMS, KERNEL, kernel)
ADDER_WITH_CONTEXT(cuGraphAddMemcpyNode, CUDA_MEMCPY3D, COPY, memcpy.copyParams, memcpy.copyCtx)
GETTER(cuGraphMemcpyNodeGetParams, CUDA_MEMCPY3D, COPY, memcpy.copyParams)
SETTER(cuGraphMemcpyNodeSetParams, CUDA_MEMCPY3D, COPY, memcpy.copyParams)
ADDER_WITH_CONTEXT(cuGraphAddMemsetNode, CUDA_MEMSET_NODE_PARAMS, FILL, memset, memset.ctx)
GETTER(cuGraphMemsetNodeGetParams, CUDA_MEMSET_NODE_PARAMS, FILL, memset)
SETTER(cuGraphMemsetNodeSetParams, CUDA_MEMSET_NODE_PARAMS, FILL, memset)
ADDER(cuGraphAddHostNode, CUDA_HOST_NODE_PARAMS, HOST, host)
GETTER(cuGraphHostNodeGetParams, CUDA_HOST_NODE_PARAMS, HOST, host)
SETTER(cuGraphHostNodeSetParams, CUDA_HOST_NODE_PARAMS, HOST, host)
ADDER(cuGraphAddBatchMemOpNode, CUDA_BATCH_MEM_OP_NODE_PARAMS, WORDS, memOp)
GETTER(cuGraphBatchMemOpNodeGetParams, CUDA_BATCH_MEM_OP_NODE_PARAMS, WORDS, memOp)
SETTER(cuGraphBatchMemOpNodeSetParams, CUDA_BATCH_MEM_OP_NODE_PARAMS, WORDS, memOp)
GETTER(
    cuGraphMemAllocNodeGetParams, CUDA_MEM_ALLOC_NODE_PARAMS, CU_GRAPH_NODE_TYPE_MEM_ALLOC, alloc)
GETTER(cuGraphMemFreeNodeGetParams, CUdeviceptr, CU_GRAPH_NODE_TYPE_MEM_FREE, free.dptr)
GETTER(cuGraphEventRecordNodeGetEvent, CUevent, CU_GRAPH_NODE_TYPE_EVENT_RECORD, eventRecord.event)
GETTER(cuGraphEventWaitNodeGetEvent, CUevent, CU_GRAPH_NODE_TYPE_WAIT_EVENT, eventWait.event)

CUresult cuGraphEventRecordNodeSetEvent(CUgraphNode node, CUevent event)
{
	CUgraphNodeParams params = {
	    .type = CU_GRAPH_NODE_TYPE_EVENT_RECORD, .eventRecord = {event}};

	return params_set(node, &params);
}

CUresult cuGraphEventWaitNodeSetEvent(CUgraphNode node, CUevent event)
{
	CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT, .eventWait = {event}};

	return params_set(node, &params);
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode handle, CUgraph *graph)
{
	struct sg_node *node;
	CUresult r = node_of_type(handle, CU_GRAPH_NODE_TYPE_GRAPH, graph, &node);

	if (r == CUDA_SUCCESS)
		*graph = node->body_handles[0];
	return r;
}

/* ---- kernels' attributes ---- */

CUresult cuGraphKernelNodeGetAttribute(
    CUgraphNode handle, CUkernelNodeAttrID attribute, CUkernelNodeAttrValue *value)
{
	struct sg_node *node;
	CUresult r = node_of_type(handle, KERNEL, value, &node);

	if (r == CUDA_SUCCESS && (unsigned)attribute >= CU_LAUNCH_ATTRIBUTE_MAX)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	memset(value, 0, sizeof(*value));
	if (node->attributes)
		*value = node->attributes[attribute];
	struct sg_launch_traits traits = sg_launch_traits(node->work);
	if (attribute == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
		value->cooperative = traits.cooperative;
	if (attribute == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION) {
		value->clusterDim.x = traits.cluster[0];
		value->clusterDim.y = traits.cluster[1];
		value->clusterDim.z = traits.cluster[2];
	}
	return CUDA_SUCCESS;
}

/* Those attributes that the kernel's work is made with. */
static CUresult set_trait(
    struct sg_node *node, CUkernelNodeAttrID attribute, const CUkernelNodeAttrValue *value)
{
	struct sg_launch_traits traits = sg_launch_traits(node->work);
	struct sg_work *work;

	if (attribute == CU_LAUNCH_ATTRIBUTE_COOPERATIVE) {
		traits.cooperative = value->cooperative;
	} else {
		traits.cluster[0] = value->clusterDim.x;
		traits.cluster[1] = value->clusterDim.y;
		traits.cluster[2] = value->clusterDim.z;
	}
	CUresult r = sg_node_work(&node->params, &traits, &work);

	if (r == CUDA_SUCCESS)
		sg_node_set_work(node, work);
	return r;
}

CUresult cuGraphKernelNodeSetAttribute(
    CUgraphNode handle, CUkernelNodeAttrID attribute, const CUkernelNodeAttrValue *value)
{
	struct sg_node *node;
	CUresult r = node_of_type(handle, KERNEL, value, &node);

	if (r == CUDA_SUCCESS && (unsigned)attribute >= CU_LAUNCH_ATTRIBUTE_MAX)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && (attribute == CU_LAUNCH_ATTRIBUTE_COOPERATIVE ||
				     attribute == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION))
		return set_trait(node, attribute, value);
	if (r == CUDA_SUCCESS && !node->attributes) {
		node->attributes = calloc(CU_LAUNCH_ATTRIBUTE_MAX, sizeof(*node->attributes));
		r = node->attributes ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (r == CUDA_SUCCESS)
		node->attributes[attribute] = *value;
	return r;
}

CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode destination, CUgraphNode source)
{
	CUkernelNodeAttrValue value;
	CUresult r = CUDA_SUCCESS;

	for (unsigned i = 1; r == CUDA_SUCCESS && i < CU_LAUNCH_ATTRIBUTE_MAX; i++) {
		r = cuGraphKernelNodeGetAttribute(source, (CUkernelNodeAttrID)i, &value);
		if (r == CUDA_SUCCESS)
			r = cuGraphKernelNodeSetAttribute(
			    destination, (CUkernelNodeAttrID)i, &value);
	}
	return r;
}

/* ---- conditions ---- */

CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle *handle, CUgraph graph_handle,
    CUcontext context, unsigned initial, unsigned flags)
{
	struct sg_graph *graph = sg_graph_get(graph_handle);
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS &&
	    (!handle || !graph || (flags & ~(unsigned)CU_GRAPH_COND_ASSIGN_DEFAULT)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && !context)
		r = CUDA_ERROR_INVALID_CONTEXT;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_condition *condition = calloc(1, sizeof(*condition));
	struct sg_condition **all =
	    reallocarray(graph->conditions, graph->n_conditions + 1, sizeof(struct sg_condition *));
	if (all)
		graph->conditions = all;
	struct sg_range range = {
	    .size = sizeof(uint64_t), .kind = SG_RANGE_CONDITION, .owner = condition};
	if (!condition || !all || sg_arena_alloc(&range, sizeof(uint64_t)) < 0) {
		free(condition);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	atomic_init(&condition->references, 1);
	condition->address = range.address;
	condition->initial = initial;
	condition->assigns = flags & CU_GRAPH_COND_ASSIGN_DEFAULT;
	graph->conditions[graph->n_conditions++] = condition;
	*handle = range.address;
	return CUDA_SUCCESS;
}
