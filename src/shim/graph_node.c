/*
 * Nodes of graphs whose parameters hold more than values: kernels, copies, allocations, memory
 * operations, and whatever the functions take that serve every type of node. All of them become one
 * CUgraphNodeParams without its pointers, and a tail with what those pointed to (api/graph.api).
 *
 * What a getter returns pointers to, and the array of a conditional node's bodies, is CUDA's memory
 * and lives with the node: here it is attached to the node's id and replaced only when the node's
 * parameters have changed, which ends the older one's life in CUDA too.
 */
#include <stdlib.h>
#include <string.h>

#include "gen/api_codec.h"
#include "gen/api_ids.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/callback.h"
#include "shim/graph_change.h"
#include "shim/graph_copy.h"
#include "shim/graph_external.h"
#include "shim/graph_node.h"
#include "shim/launch.h"
#include "shim/object.h"
#include "shim/place.h"
#include "shim/pool_host.h"
#include "shim/range.h"
#include "shim/thread.h"
#include "wire/limits.h"

#define TAIL_FIRST 1024
#define COUNT_MOST 4096u /* access descriptions, operations, bodies of one node */

/* --- memory that lives with a node --- */

struct lent {
	size_t n, bytes;
	void *content;	  /* behind the pointers */
	void *pointers[]; /* into content */
};

/* Attaches a copy of content, behind room for n pointers, to node; or gives the copy that is there
 * when it is the same. NULL: out of memory, or the node is gone. */
static struct lent *lend(CUgraphNode node, size_t n, const void *content, size_t bytes)
{
	struct lent *lent = shim_object((uint64_t)node, HANDLE_GRAPHNODE);

	if (lent && lent->n == n && lent->bytes == bytes && !memcmp(lent->content, content, bytes))
		return lent;
	lent = malloc(sizeof(*lent) + n * sizeof(lent->pointers[0]) + bytes);
	if (!lent)
		return NULL;
	lent->n = n;
	lent->bytes = bytes;
	lent->content = &lent->pointers[n];
	memcpy(lent->content, content, bytes);
	if (shim_object_replace((uint64_t)node, HANDLE_GRAPHNODE, lent))
		return lent;
	free(lent);
	return NULL;
}

/* --- parameters on their way out --- */

static CUresult pack_kernel(
    CUDA_KERNEL_NODE_PARAMS_v3 *kernel, void *stack, struct launch_buffer *tail)
{
	CUfunction handle = kernel->func ?: (CUfunction)kernel->kern;
	struct function *f;

	if (!handle || (kernel->kernelParams && kernel->extra))
		return CUDA_ERROR_INVALID_VALUE;
	if (kernel->func)
		kernel->kern = NULL; /* not looked at, so it may hold anything */
	CUresult r = function_find(handle, &f);
	if (r == CUDA_SUCCESS)
		r = launch_buffer(f, kernel->kernelParams, kernel->extra, stack, tail);
	kernel->kernelParams = NULL;
	kernel->extra = NULL;
	return r;
}

/* stack: room for the tail. */
static CUresult pack_copy(CUDA_MEMCPY3D *copy, bool stage, void *stack, struct launch_buffer *tail)
{
	struct graph_copy staged;
	CUresult r = graph_copy_pack(copy, stage, &staged);

	if (r == CUDA_SUCCESS && staged.number) {
		memcpy(stack, &staged, sizeof(staged));
		tail->size = sizeof(staged);
	}
	return r;
}

static CUresult pack_array(
    const void *array, size_t count, size_t element, struct launch_buffer *tail)
{
	if (count > COUNT_MOST || (count && !array))
		return CUDA_ERROR_INVALID_VALUE;
	tail->bytes = array;
	tail->size = count * element;
	return CUDA_SUCCESS;
}

/* The function stays here; its number goes in place of what it is called with. */
static CUresult pack_host(CUDA_HOST_NODE_PARAMS_v2 *host)
{
	uint64_t number = 0;
	CUresult r =
	    host->fn ? callback_new(host->fn, host->userData, &number) : CUDA_ERROR_INVALID_VALUE;

	host->fn = NULL;
	host->userData = (void *)(uintptr_t)number; /* NOLINT(performance-no-int-to-ptr) */
	return r;
}

/* Moves what p points to into tail. stack: LAUNCH_ON_STACK bytes. stage: graph_copy_pack(). */
static CUresult pack(CUgraphNodeParams *p, bool stage, void *stack, struct launch_buffer *tail)
{
	CUresult r;

	*tail = (struct launch_buffer){.bytes = stack};
	switch (p->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return pack_kernel(&p->kernel, stack, tail);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return pack_copy(&p->memcpy.copyParams, stage, stack, tail);
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
		r = pool_host_check_node(&p->alloc.poolProps)
			?: pack_array(p->alloc.accessDescs, p->alloc.accessDescCount,
			       sizeof(*p->alloc.accessDescs), tail);
		p->alloc.accessDescs = NULL;
		return r;
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		r = pack_array(
		    p->memOp.paramArray, p->memOp.count, sizeof(*p->memOp.paramArray), tail);
		p->memOp.paramArray = NULL;
		return r;
	case CU_GRAPH_NODE_TYPE_CONDITIONAL:
		p->conditional.phGraph_out = NULL;
		return p->conditional.size <= COUNT_MOST ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	case CU_GRAPH_NODE_TYPE_HOST:
		return pack_host(&p->host);
	case CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL:
	case CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT:
		return graph_external_pack(p, tail);
	default:
		return CUDA_SUCCESS;
	}
}

/* --- adding --- */

/* The addresses and graphs that came with a node, in the program's struct. */
static CUresult take_outputs(
    CUgraphNode node, CUgraphNodeParams *p, CUdeviceptr address, const CUgraph *bodies)
{
	if (p->type == CU_GRAPH_NODE_TYPE_CONDITIONAL) {
		struct lent *lent = lend(node, 0, bodies, p->conditional.size * sizeof(*bodies));
		p->conditional.phGraph_out = lent ? lent->content : NULL;
		return lent ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (p->type != CU_GRAPH_NODE_TYPE_MEM_ALLOC)
		return CUDA_SUCCESS;
	p->alloc.dptr = address;
	struct range range = {.start = address,
	    .size = p->alloc.bytesize,
	    .kind = RANGE_POOL,
	    .context = shim_thread.context,
	    .device = p->alloc.poolProps.location.id};
	return range_add(&range) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult graph_node_add(CUgraphNode *node, const struct graph_place *place, CUgraphNodeParams *p)
{
	_Alignas(16) char stack[LAUNCH_ON_STACK];
	CUgraphNodeParams sent = *p;
	struct launch_buffer tail;
	CUdeviceptr address = 0;
	CUgraph *bodies = NULL, none;

	/* Told before anything else. */
	if (p->type == CU_GRAPH_NODE_TYPE_KERNEL && !p->kernel.func && !p->kernel.kern)
		return CUDA_ERROR_INVALID_HANDLE;
	if (!node)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = pack(&sent, false, stack, &tail);
	unsigned n = p->type == CU_GRAPH_NODE_TYPE_CONDITIONAL ? p->conditional.size : 0;
	if (r == CUDA_SUCCESS && n && !(bodies = calloc(n, sizeof(*bodies))))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	if (r == CUDA_SUCCESS)
		r = remote_rosenGraphNodeAdd(node, place->graph, place->dependencies, place->edges,
		    place->count, place->generic, &sent, tail.bytes, tail.size, &address,
		    bodies ?: &none, n);
	free(tail.heap);
	if (r == CUDA_SUCCESS)
		r = take_outputs(*node, p, address, bodies);
	free(bodies);
	return r;
}

CUresult shim_cuGraphAddNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, CUgraphNodeParams *parameters)
{
	struct graph_place place = {graph, dependencies, NULL, count, true};

	return graph_node_add(node, &place, parameters);
}

CUresult shim_cuGraphAddNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
    const CUgraphEdgeData *edges, size_t count, CUgraphNodeParams *parameters)
{
	struct graph_place place = {graph, dependencies, edges, count, true};

	return graph_node_add(node, &place, parameters);
}

/* The forms of each type's own functions, as the one that serves all types. */
static CUgraphNodeParams of_kernel(const CUDA_KERNEL_NODE_PARAMS *k)
{
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_KERNEL};

	_Static_assert(sizeof(p.kernel) == sizeof(*k), "the versions differ in name only");
	memcpy(&p.kernel, k, sizeof(*k));
	return p;
}

static CUgraphNodeParams of_kernel_v1(const CUDA_KERNEL_NODE_PARAMS_v1 *k)
{
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_KERNEL};

	_Static_assert(offsetof(CUDA_KERNEL_NODE_PARAMS_v3, kern) == sizeof(*k),
	    "the first version is the beginning of the others");
	memcpy(&p.kernel, k, sizeof(*k));
	return p;
}

static CUgraphNodeParams of_copy(const CUDA_MEMCPY3D *copy, CUcontext context)
{
	return (CUgraphNodeParams){
	    .type = CU_GRAPH_NODE_TYPE_MEMCPY, .memcpy = {.copyCtx = context, .copyParams = *copy}};
}

static CUgraphNodeParams of_host(const CUDA_HOST_NODE_PARAMS *host)
{
	return (CUgraphNodeParams){
	    .type = CU_GRAPH_NODE_TYPE_HOST, .host = {host->fn, host->userData}};
}

static CUgraphNodeParams of_operations(const CUDA_BATCH_MEM_OP_NODE_PARAMS *o)
{
	return (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP,
	    .memOp = {o->ctx, o->count, o->paramArray, o->flags}};
}

CUresult shim_cuGraphAddKernelNode(CUgraphNode *node, CUgraph graph,
    const CUgraphNode *dependencies, size_t count, const CUDA_KERNEL_NODE_PARAMS_v1 *parameters)
{
	struct graph_place place = {graph, dependencies, NULL, count, false};
	CUgraphNodeParams p = of_kernel_v1(parameters);

	return graph_node_add(node, &place, &p);
}

CUresult shim_cuGraphAddKernelNode_v2(CUgraphNode *node, CUgraph graph,
    const CUgraphNode *dependencies, size_t count, const CUDA_KERNEL_NODE_PARAMS *parameters)
{
	struct graph_place place = {graph, dependencies, NULL, count, false};
	CUgraphNodeParams p = of_kernel(parameters);

	return graph_node_add(node, &place, &p);
}

CUresult shim_cuGraphAddMemcpyNode(CUgraphNode *node, CUgraph graph,
    const CUgraphNode *dependencies, size_t count, const CUDA_MEMCPY3D *parameters,
    CUcontext context)
{
	struct graph_place place = {graph, dependencies, NULL, count, false};
	CUgraphNodeParams p = of_copy(parameters, context);

	return graph_node_add(node, &place, &p);
}

CUresult shim_cuGraphAddHostNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, const CUDA_HOST_NODE_PARAMS *parameters)
{
	struct graph_place place = {graph, dependencies, NULL, count, false};
	CUgraphNodeParams p = of_host(parameters);

	return graph_node_add(node, &place, &p);
}

CUresult shim_cuGraphAddMemAllocNode(CUgraphNode *node, CUgraph graph,
    const CUgraphNode *dependencies, size_t count, CUDA_MEM_ALLOC_NODE_PARAMS *parameters)
{
	struct graph_place place = {graph, dependencies, NULL, count, false};
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC,
	    .alloc = {.poolProps = parameters->poolProps,
		.accessDescs = parameters->accessDescs,
		.accessDescCount = parameters->accessDescCount,
		.bytesize = parameters->bytesize}};

	CUresult r = graph_node_add(node, &place, &p);
	if (r == CUDA_SUCCESS)
		parameters->dptr = p.alloc.dptr;
	return r;
}

CUresult shim_cuGraphAddBatchMemOpNode(CUgraphNode *node, CUgraph graph,
    const CUgraphNode *dependencies, size_t count, const CUDA_BATCH_MEM_OP_NODE_PARAMS *parameters)
{
	struct graph_place place = {graph, dependencies, NULL, count, false};
	CUgraphNodeParams p = of_operations(parameters);

	return graph_node_add(node, &place, &p);
}

/* --- setting --- */

/* What a memcpy node has of the program's; number 0: nothing. */
static CUresult get_copy(
    CUgraphNode node, CUDA_MEMCPY_NODE_PARAMS *copy, struct graph_copy *staged);

/* Whether node is a copy for whose sides memory stands in: then it must remain so. */
static bool is_staged(CUgraphNode node, CUgraphNodeType type)
{
	CUDA_MEMCPY_NODE_PARAMS copy;
	struct graph_copy staged;

	return type == CU_GRAPH_NODE_TYPE_MEMCPY && graph_copy_any() &&
	       get_copy(node, &copy, &staged) == CUDA_SUCCESS && staged.number;
}

CUresult graph_node_set(CUgraphExec exec, CUgraphNode node, bool generic, CUgraphNodeParams p)
{
	_Alignas(16) char stack[LAUNCH_ON_STACK];
	struct launch_buffer tail;

	CUresult r = pack(&p, is_staged(node, p.type), stack, &tail);
	if (r == CUDA_SUCCESS)
		r = remote_rosenGraphNodeSet(exec, node, generic, &p, tail.bytes, tail.size);
	free(tail.heap);
	return r;
}

/* remote_rosenGraphNodeSet() that does not wait. */
static CUresult post_set(const struct args_rosenGraphNodeSet *a)
{
	struct shim_call call;
	CUresult r = shim_call_begin(
	    &call, API_rosenGraphNodeSet, wire_size_rosenGraphNodeSet(a), SHIM_POST, 0);

	if (r != CUDA_SUCCESS)
		return r;
	wire_encode_rosenGraphNodeSet(&call.writer, a);
	return shim_call_end(&call, shim_call_finish(&call));
}

/* A kernel's arguments change again and again between launches (graph_change.h). */
static CUresult set_exec_kernel(
    CUgraphExec exec, CUgraphNode node, bool generic, CUgraphNodeParams *p)
{
	_Alignas(16) char stack[LAUNCH_ON_STACK];
	struct graph_change change = graph_change_of(exec, node, &p->kernel);
	bool plain = !p->kernel.extra; /* then their size is right */
	struct launch_buffer tail = {0};

	CUresult r = pack(p, false, stack, &tail);
	if (r == CUDA_SUCCESS) {
		struct args_rosenGraphNodeSet a = {exec, node, generic, p, tail.bytes, tail.size};
		if (plain && graph_change_is_sure(&change)) {
			r = post_set(&a);
		} else {
			r = remote_rosenGraphNodeSet(exec, node, generic, p, tail.bytes, tail.size);
			if (r == CUDA_SUCCESS)
				graph_change_note(&change);
		}
	}
	free(tail.heap);
	return r;
}

static CUresult set_exec(CUgraphExec exec, CUgraphNode node, bool generic, CUgraphNodeParams p)
{
	if (!exec) /* it would mean the node itself */
		return CUDA_ERROR_INVALID_VALUE;
	return p.type == CU_GRAPH_NODE_TYPE_KERNEL ? set_exec_kernel(exec, node, generic, &p)
						   : graph_node_set(exec, node, generic, p);
}

CUresult shim_cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams *parameters)
{
	return graph_node_set(NULL, node, true, *parameters);
}

CUresult shim_cuGraphExecNodeSetParams(
    CUgraphExec exec, CUgraphNode node, CUgraphNodeParams *parameters)
{
	return set_exec(exec, node, true, *parameters);
}

CUresult shim_cuGraphKernelNodeSetParams(
    CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1 *parameters)
{
	return graph_node_set(NULL, node, false, of_kernel_v1(parameters));
}

CUresult shim_cuGraphKernelNodeSetParams_v2(
    CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *parameters)
{
	return graph_node_set(NULL, node, false, of_kernel(parameters));
}

CUresult shim_cuGraphExecKernelNodeSetParams(
    CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1 *parameters)
{
	return set_exec(exec, node, false, of_kernel_v1(parameters));
}

CUresult shim_cuGraphExecKernelNodeSetParams_v2(
    CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *parameters)
{
	return set_exec(exec, node, false, of_kernel(parameters));
}

CUresult shim_cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D *parameters)
{
	return graph_node_set(NULL, node, false, of_copy(parameters, NULL));
}

CUresult shim_cuGraphExecMemcpyNodeSetParams(
    CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D *parameters, CUcontext context)
{
	return set_exec(exec, node, false, of_copy(parameters, context));
}

CUresult shim_cuGraphHostNodeSetParams(CUgraphNode node, const CUDA_HOST_NODE_PARAMS *parameters)
{
	return graph_node_set(NULL, node, false, of_host(parameters));
}

CUresult shim_cuGraphExecHostNodeSetParams(
    CUgraphExec exec, CUgraphNode node, const CUDA_HOST_NODE_PARAMS *parameters)
{
	return set_exec(exec, node, false, of_host(parameters));
}

CUresult shim_cuGraphBatchMemOpNodeSetParams(
    CUgraphNode node, const CUDA_BATCH_MEM_OP_NODE_PARAMS *parameters)
{
	return graph_node_set(NULL, node, false, of_operations(parameters));
}

CUresult shim_cuGraphExecBatchMemOpNodeSetParams(
    CUgraphExec exec, CUgraphNode node, const CUDA_BATCH_MEM_OP_NODE_PARAMS *parameters)
{
	return set_exec(exec, node, false, of_operations(parameters));
}

/* --- getting --- */

/* *tail: from malloc. */
static CUresult get(
    CUgraphNode node, CUgraphNodeType type, CUgraphNodeParams *p, void **tail, size_t *bytes)
{
	for (size_t capacity = TAIL_FIRST;; capacity = *bytes) {
		*tail = malloc(capacity);
		if (!*tail)
			return CUDA_ERROR_OUT_OF_MEMORY;
		CUresult r = remote_rosenGraphNodeGet(node, type, p, *tail, capacity, bytes);
		if (r == CUDA_SUCCESS && *bytes <= capacity)
			return CUDA_SUCCESS;
		free(*tail);
		*tail = NULL;
		if (r != CUDA_SUCCESS)
			return r;
		if (*bytes > WIRE_IMAGE_MAX)
			return CUDA_ERROR_UNKNOWN;
	}
}

/* get(), with the tail in memory that lives with the node. */
static CUresult get_lent(
    CUgraphNode node, CUgraphNodeType type, CUgraphNodeParams *p, struct lent **lent)
{
	size_t bytes;
	void *tail;

	CUresult r = get(node, type, p, &tail, &bytes);
	if (r != CUDA_SUCCESS)
		return r;
	*lent = lend(node, 0, tail, bytes);
	free(tail);
	return *lent ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult graph_node_get(
    CUgraphNode node, CUgraphNodeType type, CUgraphNodeParams *p, void **tail, size_t *bytes)
{
	struct lent *lent;
	CUresult r = get_lent(node, type, p, &lent);

	if (r != CUDA_SUCCESS)
		return r;
	*tail = lent->content;
	*bytes = lent->bytes;
	return CUDA_SUCCESS;
}

/* The pointers of kernelParams, in front of the buffer they point into. */
static CUresult lend_parameters(
    CUgraphNode node, CUDA_KERNEL_NODE_PARAMS_v3 *kernel, const void *buffer, size_t bytes)
{
	struct function *f;
	CUresult r = function_find(kernel->func ?: (CUfunction)kernel->kern, &f);

	kernel->kernelParams = NULL;
	kernel->extra = NULL;
	if (r != CUDA_SUCCESS || !f->n_parameters)
		return r;
	if (bytes < f->bytes)
		return CUDA_ERROR_UNKNOWN;
	struct lent *lent = lend(node, f->n_parameters, buffer, bytes);
	if (!lent)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (uint32_t i = 0; i < f->n_parameters; i++)
		lent->pointers[i] = (char *)lent->content + f->parameter[i].offset;
	kernel->kernelParams = lent->pointers;
	return CUDA_SUCCESS;
}

static CUresult get_kernel(CUgraphNode node, CUgraphNodeParams *p)
{
	size_t bytes;
	void *tail;

	CUresult r = get(node, CU_GRAPH_NODE_TYPE_KERNEL, p, &tail, &bytes);
	if (r == CUDA_SUCCESS)
		r = lend_parameters(node, &p->kernel, tail, bytes);
	free(tail);
	return r;
}

CUresult shim_cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS_v1 *parameters)
{
	CUgraphNodeParams p;
	CUresult r = get_kernel(node, &p);

	if (r != CUDA_SUCCESS)
		return r;
	if (!p.kernel.func)
		p.kernel.func = (CUfunction)p.kernel.kern;
	memcpy(parameters, &p.kernel, sizeof(*parameters));
	return CUDA_SUCCESS;
}

CUresult shim_cuGraphKernelNodeGetParams_v2(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS *parameters)
{
	CUgraphNodeParams p;
	CUresult r = get_kernel(node, &p);

	if (r == CUDA_SUCCESS)
		memcpy(parameters, &p.kernel, sizeof(*parameters));
	return r;
}

/* Of a node without a tail. */
static CUresult get_plain(CUgraphNode node, CUgraphNodeType type, CUgraphNodeParams *p)
{
	size_t bytes;
	void *tail;
	CUresult r = get(node, type, p, &tail, &bytes);

	free(tail);
	return r;
}

static CUresult get_copy(CUgraphNode node, CUDA_MEMCPY_NODE_PARAMS *copy, struct graph_copy *staged)
{
	CUgraphNodeParams p;
	size_t bytes;
	void *tail;
	CUresult r = get(node, CU_GRAPH_NODE_TYPE_MEMCPY, &p, &tail, &bytes);

	*staged = (struct graph_copy){0};
	if (r != CUDA_SUCCESS)
		return r;
	if (bytes == sizeof(*staged))
		memcpy(staged, tail, bytes);
	free(tail);
	*copy = p.memcpy;
	return !staged->number || graph_copy_original(staged->number, &copy->copyParams)
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_INVALID_VALUE;
}

CUresult shim_cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D *parameters)
{
	CUDA_MEMCPY_NODE_PARAMS copy;
	struct graph_copy staged;
	CUresult r = get_copy(node, &copy, &staged);

	if (r == CUDA_SUCCESS)
		*parameters = copy.copyParams;
	return r;
}

CUresult shim_cuGraphHostNodeGetParams(CUgraphNode node, CUDA_HOST_NODE_PARAMS *parameters)
{
	CUgraphNodeParams p;
	CUresult r = get_plain(node, CU_GRAPH_NODE_TYPE_HOST, &p);

	if (r != CUDA_SUCCESS)
		return r;
	return callback_find((uint64_t)p.host.userData, &parameters->fn, &parameters->userData)
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_INVALID_VALUE;
}

CUresult shim_cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *parameters)
{
	CUgraphNodeParams p;
	struct lent *lent;
	CUresult r = get_lent(node, CU_GRAPH_NODE_TYPE_MEM_ALLOC, &p, &lent);

	if (r == CUDA_SUCCESS)
		*parameters = (CUDA_MEM_ALLOC_NODE_PARAMS){p.alloc.poolProps,
		    lent->bytes ? lent->content : NULL, lent->bytes / sizeof(*p.alloc.accessDescs),
		    p.alloc.bytesize, p.alloc.dptr};
	return r;
}

CUresult shim_cuGraphBatchMemOpNodeGetParams(
    CUgraphNode node, CUDA_BATCH_MEM_OP_NODE_PARAMS *parameters)
{
	CUgraphNodeParams p;
	struct lent *lent;
	CUresult r = get_lent(node, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, &p, &lent);

	if (r == CUDA_SUCCESS)
		*parameters = (CUDA_BATCH_MEM_OP_NODE_PARAMS){p.memOp.ctx,
		    (unsigned)(lent->bytes / sizeof(*p.memOp.paramArray)), lent->content,
		    p.memOp.flags};
	return r;
}
