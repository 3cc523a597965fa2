/*
 * Nodes of graphs whose parameters hold more than values (api/graph.api). They come as the
 * program's own struct with ids for handles, and a tail with what its pointers pointed to; here ids
 * become the backend's handles, and pointers point into the private record, which lives as long as
 * the call: the backend copies what it keeps. A count is only believed when it is the tail's
 * length.
 *
 * Host memory that a node names must be a segment's: the graph will use it whenever it runs.
 */
#include <string.h>

#include "gen/worker_custom.h"
#include "worker/callback.h"
#include "worker/copy_box.h"
#include "worker/function.h"
#include "worker/graph_copy.h"
#include "worker/graph_end.h"
#include "worker/graph_external.h"
#include "worker/graph_host.h"
#include "worker/graph_memory.h"
#include "worker/graph_model.h"
#include "worker/graph_part.h"
#include "worker/launch.h"
#include "worker/worker.h"

/* A handle's id, in place, becomes the backend's handle. */
#define REAL(call, kind, field)                                                                    \
	((field) = (__typeof__(field))call_handle((call), (kind), (uint64_t)(field)))

struct tail {
	const void *bytes;
	size_t size;
};

/* Parameters as the backend takes them. */
struct node {
	CUgraphNodeParams p;
	struct launch_parameters parameters;
	struct callback *callback; /* of a host node: to be handed to its graph */
	struct graph_copy staged;  /* of a memcpy node; number 0: it is the backend's alone */
};

/* The tail as an array of count elements, NULL for none. False: it is not one. */
static bool tail_is(const struct tail *tail, size_t count, size_t element)
{
	return count <= tail->size / element && count * element == tail->size;
}

static CUresult build_kernel(struct call *call, struct node *node, const struct tail *tail)
{
	CUDA_KERNEL_NODE_PARAMS_v3 *kernel = &node->p.kernel;

	if (tail->size > WIRE_PARAMETER_BYTES_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	REAL(call, HANDLE_FUNCTION, kernel->func);
	REAL(call, HANDLE_KERNEL, kernel->kern);
	REAL(call, HANDLE_CONTEXT, kernel->ctx);
	if (call->error)
		return call->error;
	CUresult r = launch_as_values(call, kernel->func ?: (CUfunction)kernel->kern, tail->bytes,
	    tail->size, &node->parameters);
	kernel->kernelParams = node->parameters.values;
	kernel->extra = node->parameters.extra;
	return r;
}

static CUresult build_copy(struct call *call, struct node *node, const struct tail *tail)
{
	CUDA_MEMCPY_NODE_PARAMS *copy = &node->p.memcpy;
	CUDA_MEMCPY3D *c = &copy->copyParams;
	bool staged = graph_copy_read(tail->bytes, tail->size, &node->staged);

	if (tail->size && !staged)
		return CUDA_ERROR_INVALID_VALUE;
	if (staged && node->staged.when == GRAPH_COPY_ALONE)
		return CUDA_SUCCESS;

	/* Fields that a side's type does not use may hold anything. */
	c->srcArray = c->srcMemoryType == CU_MEMORYTYPE_ARRAY ? c->srcArray : NULL;
	c->dstArray = c->dstMemoryType == CU_MEMORYTYPE_ARRAY ? c->dstArray : NULL;
	c->reserved0 = c->reserved1 = NULL;
	REAL(call, HANDLE_CONTEXT, copy->copyCtx);
	REAL(call, HANDLE_ARRAY, c->srcArray);
	REAL(call, HANDLE_ARRAY, c->dstArray);
	return call->error ?: copy_box_check(call, c);
}

static CUresult build_allocation(CUDA_MEM_ALLOC_NODE_PARAMS_v2 *alloc, const struct tail *tail)
{
	if (!tail_is(tail, alloc->accessDescCount, sizeof(*alloc->accessDescs)))
		return CUDA_ERROR_INVALID_VALUE;
	alloc->accessDescs = alloc->accessDescCount ? tail->bytes : NULL;
	alloc->poolProps.win32SecurityAttributes = NULL;
	alloc->dptr = 0;
	return CUDA_SUCCESS;
}

static CUresult build_operations(
    struct call *call, CUDA_BATCH_MEM_OP_NODE_PARAMS_v2 *operations, const struct tail *tail)
{
	if (!tail_is(tail, operations->count, sizeof(*operations->paramArray)))
		return CUDA_ERROR_INVALID_VALUE;
	operations->paramArray = (CUstreamBatchMemOpParams *)tail->bytes;
	REAL(call, HANDLE_CONTEXT, operations->ctx);
	return call->error;
}

static CUresult build_host(struct call *call, struct node *node)
{
	node->callback = callback_new(call, (uint64_t)node->p.host.userData);
	node->p.host.fn = callback_run;
	node->p.host.userData = node->callback;
	return node->callback ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult build(struct call *call, const CUgraphNodeParams *parameters,
    const struct tail *tail, struct node *node)
{
	CUgraphNodeParams *p = &node->p;

	*p = *parameters;
	node->callback = NULL;
	node->staged = (struct graph_copy){0};
	switch ((int)p->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return build_kernel(call, node, tail);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return build_copy(call, node, tail);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		REAL(call, HANDLE_CONTEXT, p->memset.ctx);
		return call->error;
	case CU_GRAPH_NODE_TYPE_GRAPH:
		REAL(call, HANDLE_GRAPH, p->graph.graph);
		return call->error;
	case CU_GRAPH_NODE_TYPE_EMPTY:
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
		return CUDA_SUCCESS;
	case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
		REAL(call, HANDLE_EVENT, p->eventWait.event);
		return call->error;
	case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
		REAL(call, HANDLE_EVENT, p->eventRecord.event);
		return call->error;
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
		return build_allocation(&p->alloc, tail);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		return build_operations(call, &p->memOp, tail);
	case CU_GRAPH_NODE_TYPE_CONDITIONAL:
		p->conditional.phGraph_out = NULL;
		REAL(call, HANDLE_CONTEXT, p->conditional.ctx);
		return call->error;
	case CU_GRAPH_NODE_TYPE_HOST:
		return build_host(call, node);
	case CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL:
	case CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT:
		return graph_external_build(call, p, tail->bytes, tail->size);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

/* The functions of each type take structs of their own, with the layout of the newest. */
static CUDA_KERNEL_NODE_PARAMS kernel_of(const CUgraphNodeParams *p)
{
	CUDA_KERNEL_NODE_PARAMS kernel;

	_Static_assert(sizeof(kernel) == sizeof(p->kernel), "the versions differ in name only");
	memcpy(&kernel, &p->kernel, sizeof(kernel));
	return kernel;
}

static CUDA_HOST_NODE_PARAMS host_of(const CUgraphNodeParams *p)
{
	return (CUDA_HOST_NODE_PARAMS){p->host.fn, p->host.userData};
}

static CUDA_BATCH_MEM_OP_NODE_PARAMS operations_of(const CUgraphNodeParams *p)
{
	return (CUDA_BATCH_MEM_OP_NODE_PARAMS){
	    p->memOp.ctx, p->memOp.count, p->memOp.paramArray, p->memOp.flags};
}

/* --- adding --- */

static CUresult add_allocation(
    const struct backend *backend, const struct args_rosenGraphNodeAdd *a, CUgraphNodeParams *p)
{
	CUDA_MEM_ALLOC_NODE_PARAMS alloc = {p->alloc.poolProps, p->alloc.accessDescs,
	    p->alloc.accessDescCount, p->alloc.bytesize, 0};
	CUresult r =
	    backend->cuGraphAddMemAllocNode(a->node, a->graph, a->dependencies, a->count, &alloc);

	p->alloc.dptr = alloc.dptr;
	return r;
}

/* By the function of the node's type. */
static CUresult add_by_type(
    const struct backend *backend, const struct args_rosenGraphNodeAdd *a, CUgraphNodeParams *p)
{
	CUDA_BATCH_MEM_OP_NODE_PARAMS operations;
	CUDA_KERNEL_NODE_PARAMS kernel;
	CUDA_HOST_NODE_PARAMS host;

	switch ((int)p->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		kernel = kernel_of(p);
		return backend->cuGraphAddKernelNode_v2(
		    a->node, a->graph, a->dependencies, a->count, &kernel);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return backend->cuGraphAddMemcpyNode(a->node, a->graph, a->dependencies, a->count,
		    &p->memcpy.copyParams, p->memcpy.copyCtx);
	case CU_GRAPH_NODE_TYPE_HOST:
		host = host_of(p);
		return backend->cuGraphAddHostNode(
		    a->node, a->graph, a->dependencies, a->count, &host);
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
		return add_allocation(backend, a, p);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		operations = operations_of(p);
		return backend->cuGraphAddBatchMemOpNode(
		    a->node, a->graph, a->dependencies, a->count, &operations);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult add_any(
    const struct backend *backend, const struct args_rosenGraphNodeAdd *a, CUgraphNodeParams *p)
{
	if (!a->edges)
		return backend->cuGraphAddNode(a->node, a->graph, a->dependencies, a->count, p);
	return backend->cuGraphAddNode_v2(
	    a->node, a->graph, a->dependencies, a->edges, a->count, p);
}

CUresult worker_rosenGraphNodeAdd(struct call *call, struct args_rosenGraphNodeAdd *a)
{
	const struct tail tail = {a->tail, a->tail_bytes};
	struct node node;
	CUgraphNodeParams *p = &node.p;
	bool conditional = a->parameters->type == CU_GRAPH_NODE_TYPE_CONDITIONAL;

	if (a->n_graphs != (conditional ? a->parameters->conditional.size : 0))
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = build(call, a->parameters, &tail, &node);
	if (r != CUDA_SUCCESS)
		return graph_copy_refuse(call, &node.staged, r);
	if (p->type == CU_GRAPH_NODE_TYPE_GRAPH)
		r = graph_part_check(call, a->graph, p->graph.graph);
	if (r != CUDA_SUCCESS)
		return r;
	if (node.staged.number)
		return graph_copy_add(call, a, &p->memcpy, &node.staged);
	r = a->generic ? add_any(call->backend, a, p) : add_by_type(call->backend, a, p);
	if (node.callback)
		r = callback_give_graph(call, node.callback, a->graph, r);
	if (r != CUDA_SUCCESS)
		return r;
	if (p->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) {
		*a->address = p->alloc.dptr;
		graph_memory_note(call->worker, p->alloc.dptr, p->alloc.bytesize);
	}
	if (conditional && a->n_graphs) {
		memcpy(a->graphs, p->conditional.phGraph_out, a->n_graphs * sizeof(*a->graphs));
		graph_note_bodies(call->worker, *a->node, a->graphs, a->n_graphs);
	}
	return CUDA_SUCCESS;
}

/* --- setting --- */

static CUresult set_by_type(
    const struct backend *backend, CUgraphExec exec, CUgraphNode node, const CUgraphNodeParams *p)
{
	CUDA_BATCH_MEM_OP_NODE_PARAMS operations;
	CUDA_KERNEL_NODE_PARAMS kernel;
	CUDA_HOST_NODE_PARAMS host;

	switch ((int)p->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		kernel = kernel_of(p);
		return exec ? backend->cuGraphExecKernelNodeSetParams_v2(exec, node, &kernel)
			    : backend->cuGraphKernelNodeSetParams_v2(node, &kernel);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return exec ? backend->cuGraphExecMemcpyNodeSetParams(
				  exec, node, &p->memcpy.copyParams, p->memcpy.copyCtx)
			    : backend->cuGraphMemcpyNodeSetParams(node, &p->memcpy.copyParams);
	case CU_GRAPH_NODE_TYPE_HOST:
		host = host_of(p);
		return exec ? backend->cuGraphExecHostNodeSetParams(exec, node, &host)
			    : backend->cuGraphHostNodeSetParams(node, &host);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		operations = operations_of(p);
		return exec ? backend->cuGraphExecBatchMemOpNodeSetParams(exec, node, &operations)
			    : backend->cuGraphBatchMemOpNodeSetParams(node, &operations);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult set_any(
    const struct backend *backend, CUgraphExec exec, CUgraphNode node, CUgraphNodeParams *p)
{
	return exec ? backend->cuGraphExecNodeSetParams(exec, node, p)
		    : backend->cuGraphNodeSetParams(node, p);
}

struct setting {
	unsigned generic;
	CUgraphNodeParams *p;
};

static CUresult set(struct call *call, CUgraphExec exec, CUgraphNode node, const void *what)
{
	const struct setting *setting = what;

	return setting->generic ? set_any(call->backend, exec, node, setting->p)
				: set_by_type(call->backend, exec, node, setting->p);
}

static CUresult set_node(
    struct call *call, const struct args_rosenGraphNodeSet *a, struct node *node)
{
	const struct setting setting = {a->generic, &node->p};

	if (node->p.type == CU_GRAPH_NODE_TYPE_MEMCPY && a->exec)
		return graph_model_set_copy(call, a, &node->p, &node->staged);
	if (node->staged.number)
		return graph_copy_set(call, a->node, &node->p.memcpy, &node->staged);
	if (!a->exec && node->p.type == CU_GRAPH_NODE_TYPE_GRAPH &&
	    graph_part_check_node(call, a->node, node->p.graph.graph) != CUDA_SUCCESS)
		return CUDA_ERROR_INVALID_VALUE;
	if (!a->exec)
		return set(call, NULL, a->node, &setting);
	return node->p.type == CU_GRAPH_NODE_TYPE_GRAPH
		   ? graph_model_set(call, a->exec, a->node, NULL, node->p.graph.graph)
		   : graph_model_set(call, a->exec, a->node, set, &setting);
}

CUresult worker_rosenGraphNodeSet(struct call *call, struct args_rosenGraphNodeSet *a)
{
	const struct tail tail = {a->tail, a->tail_bytes};
	CUDA_HOST_NODE_PARAMS former = {0};
	struct node node;

	CUresult r = build(call, a->parameters, &tail, &node);
	if (r != CUDA_SUCCESS)
		return graph_copy_refuse(call, &node.staged, r);
	if (node.callback && !a->exec)
		call->backend->cuGraphHostNodeGetParams(a->node, &former);
	r = set_node(call, a, &node);
	if (!node.callback)
		return r;
	return a->exec ? graph_host_given(call, a->exec, a->node, node.callback, r)
		       : graph_host_given_in_graph(call, a->node, &former, node.callback, r);
}

/* --- getting --- */

/* A function is known by the id the client has for it, under either kind, or gets a new one. */
static uint64_t function_id(struct call *call, enum handle_kind kind, uint64_t real)
{
	enum handle_kind other = kind == HANDLE_KERNEL ? HANDLE_FUNCTION : HANDLE_KERNEL;

	if (!real)
		return 0;
	return handles_id_of(call->worker->handles, kind, real)
		   ?: handles_id_of(call->worker->handles, other, real)
		   ?: call_id_of(call, kind, real);
}

/* Copies what fits to the tail and says how much there is. */
static CUresult give_tail(struct args_rosenGraphNodeGet *a, const void *bytes, size_t size)
{
	*a->tail_bytes = size;
	if (size && size <= a->capacity)
		memcpy(a->tail, bytes, size);
	return CUDA_SUCCESS;
}

/* The buffer of a node whose parameters the backend keeps one by one. */
static CUresult give_values(
    struct call *call, CUfunction function, void *const *values, struct args_rosenGraphNodeGet *a)
{
	size_t offset, bytes, end = 0;
	CUresult r;

	for (size_t i = 0; i < WIRE_PARAMETERS_MAX; i++) {
		r = function_parameter(call, function, i, &offset, &bytes);
		if (r != CUDA_SUCCESS)
			break;
		if (offset > WIRE_PARAMETER_BYTES_MAX || bytes > WIRE_PARAMETER_BYTES_MAX - offset)
			return CUDA_ERROR_NOT_SUPPORTED;
		if (offset + bytes <= a->capacity)
			memcpy((char *)a->tail + offset, values[i], bytes);
		end = MAX(end, offset + bytes);
	}
	*a->tail_bytes = end;
	return r == CUDA_ERROR_INVALID_VALUE ? CUDA_SUCCESS : r;
}

static CUresult give_extra(void *const *extra, struct args_rosenGraphNodeGet *a)
{
	const void *buffer = NULL;
	size_t size = 0;

	for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
		if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
			buffer = extra[1];
		else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
			size = *(const size_t *)extra[1];
		else
			return CUDA_ERROR_NOT_SUPPORTED;
	}
	return give_tail(a, buffer, buffer ? size : 0);
}

static CUresult get_kernel(
    struct call *call, struct args_rosenGraphNodeGet *a, CUDA_KERNEL_NODE_PARAMS_v3 *out)
{
	CUDA_KERNEL_NODE_PARAMS kernel = {0};
	CUresult r = call->backend->cuGraphKernelNodeGetParams_v2(a->node, &kernel);

	if (r == CUDA_SUCCESS && kernel.extra)
		r = give_extra(kernel.extra, a);
	else if (r == CUDA_SUCCESS && kernel.kernelParams)
		r = give_values(
		    call, kernel.func ?: (CUfunction)kernel.kern, kernel.kernelParams, a);
	if (r != CUDA_SUCCESS)
		return r;
	memcpy(out, &kernel, sizeof(kernel));
	out->kernelParams = NULL;
	out->extra = NULL;
	out->func = (CUfunction)function_id(call, HANDLE_FUNCTION, (uint64_t)kernel.func);
	out->kern = (CUkernel)function_id(call, HANDLE_KERNEL, (uint64_t)kernel.kern);
	out->ctx = (CUcontext)call_id_of(call, HANDLE_CONTEXT, (uint64_t)kernel.ctx);
	return CUDA_SUCCESS;
}

static CUresult get_copy(
    struct call *call, struct args_rosenGraphNodeGet *a, CUDA_MEMCPY_NODE_PARAMS *out)
{
	CUDA_MEMCPY3D *c = &out->copyParams;
	struct graph_copy staged;

	if (graph_copy_find(call, a->node, &staged)) /* the client knows the rest */
		return give_tail(a, &staged, sizeof(staged));
	CUresult r = call->backend->cuGraphMemcpyNodeGetParams(a->node, c);

	if (r != CUDA_SUCCESS)
		return r;
	c->srcArray = c->srcMemoryType != CU_MEMORYTYPE_ARRAY
			  ? NULL
			  : (CUarray)call_id_of(call, HANDLE_ARRAY, (uint64_t)c->srcArray);
	c->dstArray = c->dstMemoryType != CU_MEMORYTYPE_ARRAY
			  ? NULL
			  : (CUarray)call_id_of(call, HANDLE_ARRAY, (uint64_t)c->dstArray);
	return CUDA_SUCCESS;
}

static CUresult get_allocation(
    struct call *call, struct args_rosenGraphNodeGet *a, CUDA_MEM_ALLOC_NODE_PARAMS_v2 *out)
{
	CUDA_MEM_ALLOC_NODE_PARAMS alloc = {0};
	CUresult r = call->backend->cuGraphMemAllocNodeGetParams(a->node, &alloc);

	if (r != CUDA_SUCCESS)
		return r;
	*out = (CUDA_MEM_ALLOC_NODE_PARAMS_v2){
	    alloc.poolProps, NULL, alloc.accessDescCount, alloc.bytesize, alloc.dptr};
	return give_tail(a, alloc.accessDescs, alloc.accessDescCount * sizeof(*alloc.accessDescs));
}

static CUresult get_operations(
    struct call *call, struct args_rosenGraphNodeGet *a, CUDA_BATCH_MEM_OP_NODE_PARAMS_v2 *out)
{
	CUDA_BATCH_MEM_OP_NODE_PARAMS operations = {0};
	CUresult r = call->backend->cuGraphBatchMemOpNodeGetParams(a->node, &operations);

	if (r != CUDA_SUCCESS)
		return r;
	*out = (CUDA_BATCH_MEM_OP_NODE_PARAMS_v2){
	    (CUcontext)call_id_of(call, HANDLE_CONTEXT, (uint64_t)operations.ctx), operations.count,
	    NULL, operations.flags};
	return give_tail(
	    a, operations.paramArray, operations.count * sizeof(*operations.paramArray));
}

/* Nodes of our making, or of captured host functions, which are of our making too. */
static CUresult get_host(
    struct call *call, struct args_rosenGraphNodeGet *a, CUDA_HOST_NODE_PARAMS_v2 *out)
{
	CUDA_HOST_NODE_PARAMS host = {0};
	CUresult r = call->backend->cuGraphHostNodeGetParams(a->node, &host);

	if (r == CUDA_SUCCESS)
		out->userData = (void *)callback_number(host.fn, host.userData);
	return r;
}

static CUresult get_external(struct call *call, struct args_rosenGraphNodeGet *a)
{
	size_t bytes;
	void *tail;
	CUresult r = graph_external_get(call, a->node, a->type, a->parameters, &tail, &bytes);

	return r ?: give_tail(a, tail, bytes);
}

CUresult worker_rosenGraphNodeGet(struct call *call, struct args_rosenGraphNodeGet *a)
{
	CUgraphNodeParams *p = a->parameters;
	CUresult r;

	p->type = a->type;
	switch ((int)a->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		r = get_kernel(call, a, &p->kernel);
		break;
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		r = get_copy(call, a, &p->memcpy);
		break;
	case CU_GRAPH_NODE_TYPE_HOST:
		r = get_host(call, a, &p->host);
		break;
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
		r = get_allocation(call, a, &p->alloc);
		break;
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		r = get_operations(call, a, &p->memOp);
		break;
	case CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL:
	case CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT:
		r = get_external(call, a);
		break;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	return r ?: call->error;
}

/* --- attributes of kernel nodes --- */

CUresult worker_cuGraphKernelNodeSetAttribute(
    struct call *call, struct args_cuGraphKernelNodeSetAttribute *a)
{
	CUlaunchAttributeValue value = *a->value;

	return launch_attribute(call, a->attribute, &value)
		   ?: call->backend->cuGraphKernelNodeSetAttribute(a->node, a->attribute, &value);
}

CUresult worker_cuGraphKernelNodeGetAttribute(
    struct call *call, struct args_cuGraphKernelNodeGetAttribute *a)
{
	CUresult r = call->backend->cuGraphKernelNodeGetAttribute(a->node, a->attribute, a->value);
	CUevent *event = a->attribute == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT
			     ? &a->value->programmaticEvent.event
			 : a->attribute == CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT
			     ? &a->value->launchCompletionEvent.event
			     : NULL;

	if (r != CUDA_SUCCESS || !event)
		return r;
	*event = (CUevent)call_id_of(call, HANDLE_EVENT, (uint64_t)*event);
	return call->error;
}
