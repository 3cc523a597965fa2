/*
 * Graphs made node by node. A node's work is made by the function that would otherwise queue it, on a
 * stream of its own that is captured to the graph: so a node does what the call does. Nodes run in
 * the order in which they were added, which fulfils every dependency, since a node can only depend on
 * those that are there; a child graph's nodes run in its node's turn.
 */
#include <stdlib.h>

#include "softgpu/driver/driver.h"
#include "softgpu/driver/graph.h"
#include "softgpu/driver/stream.h"

static struct sg_graph *graph_get(CUgraph handle)
{
	return sg_handle_get(handle, SG_GRAPH);
}

static struct sg_node *node_get(CUgraphNode handle)
{
	return sg_handle_get(handle, SG_GRAPH_NODE);
}

/* Whether a node can go where it is to go. */
static CUresult check_place(
    CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	if (!out || !graph_get(graph) || (count && !dependencies))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++) {
		const struct sg_node *node = node_get(dependencies[i]);
		if (!node || node->graph != graph_get(graph))
			return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

/* --- by capture --- */

struct recorder {
	struct sg_stream *stream;
	CUstream handle;
	struct sg_capture capture;
};

static CUresult recorder_init(struct recorder *recorder, struct sg_graph *graph)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS)
		r = cuStreamCreate(&recorder->handle, CU_STREAM_NON_BLOCKING);
	if (r != CUDA_SUCCESS)
		return r;
	sg_stream_get(recorder->handle, context, &recorder->stream);
	/* Nobody else knows the stream, so the id need not differ from another recorder's. */
	recorder->capture =
	    (struct sg_capture){.graph = graph, .origin = recorder->stream, .id = UINT64_MAX};
	sg_engine_lock();
	recorder->stream->capture = &recorder->capture;
	sg_engine_unlock();
	return CUDA_SUCCESS;
}

static void recorder_fini(struct recorder *recorder)
{
	sg_engine_lock();
	recorder->stream->capture = NULL;
	sg_engine_unlock();
	cuStreamDestroy_v2(recorder->handle);
}

/* Queues one piece of work of what a type's parameters say. */
typedef CUresult issue_function(const void *parameters, CUstream stream);

static CUresult issue_copy(const void *parameters, CUstream stream)
{
	return cuMemcpy3DAsync_v2(parameters, stream);
}

static CUresult issue_host(const void *parameters, CUstream stream)
{
	const CUDA_HOST_NODE_PARAMS *host = parameters;

	return cuLaunchHostFunc(stream, host->fn, host->userData);
}

static CUresult issue_fill(const void *parameters, CUstream stream)
{
	const CUDA_MEMSET_NODE_PARAMS *p = parameters;
	size_t pitch = p->height > 1 ? p->pitch : p->width * p->elementSize;

	switch (p->elementSize) {
	case 1:
		return cuMemsetD2D8Async(
		    p->dst, pitch, (unsigned char)p->value, p->width, p->height, stream);
	case 2:
		return cuMemsetD2D16Async(
		    p->dst, pitch, (unsigned short)p->value, p->width, p->height, stream);
	case 4:
		return cuMemsetD2D32Async(p->dst, pitch, p->value, p->width, p->height, stream);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult issue_kernel(const void *parameters, CUstream stream)
{
	const CUDA_KERNEL_NODE_PARAMS *k = parameters;

	return cuLaunchKernel(k->func ?: (CUfunction)k->kern, k->gridDimX, k->gridDimY, k->gridDimZ,
	    k->blockDimX, k->blockDimY, k->blockDimZ, k->sharedMemBytes, stream, k->kernelParams,
	    k->extra);
}

/* Adds one node to graph; *node is it. */
static CUresult record(
    struct sg_graph *graph, issue_function *issue, const void *parameters, struct sg_node **node)
{
	struct recorder recorder;
	size_t before = graph->n_nodes;
	CUresult r = recorder_init(&recorder, graph);

	if (r != CUDA_SUCCESS)
		return r;
	r = issue(parameters, recorder.handle);
	recorder_fini(&recorder);
	if (r == CUDA_SUCCESS && graph->n_nodes != before + 1)
		r = CUDA_ERROR_INVALID_VALUE; /* it would do nothing */
	if (r == CUDA_SUCCESS)
		*node = graph->nodes[before];
	return r;
}

static CUresult add(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
    issue_function *issue, const void *parameters, struct sg_node **node)
{
	CUresult r = check_place(out, graph, dependencies, count);

	if (r == CUDA_SUCCESS && !parameters)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = record(graph_get(graph), issue, parameters, node);
	if (r == CUDA_SUCCESS)
		*out = (*node)->handle;
	return r;
}

CUresult cuGraphAddMemcpyNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, const CUDA_MEMCPY3D *copy, CUcontext context)
{
	struct sg_node *node;
	CUresult r = add(out, graph, dependencies, count, issue_copy, copy, &node);

	if (r == CUDA_SUCCESS)
		node->copy = *copy;
	return r;
}

CUresult cuGraphAddHostNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, const CUDA_HOST_NODE_PARAMS *host)
{
	struct sg_node *node;
	CUresult r = add(out, graph, dependencies, count, issue_host, host, &node);

	if (r == CUDA_SUCCESS)
		node->host = *host;
	return r;
}

CUresult cuGraphAddMemsetNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, const CUDA_MEMSET_NODE_PARAMS *fill, CUcontext context)
{
	struct sg_node *node;

	return add(out, graph, dependencies, count, issue_fill, fill, &node);
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, const CUDA_KERNEL_NODE_PARAMS *kernel)
{
	struct sg_node *node;

	return add(out, graph, dependencies, count, issue_kernel, kernel, &node);
}

CUresult cuGraphAddKernelNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
    size_t count, const CUDA_KERNEL_NODE_PARAMS_v1 *kernel)
{
	CUDA_KERNEL_NODE_PARAMS newer = {0};

	if (!kernel)
		return sg_enter() ?: CUDA_ERROR_INVALID_VALUE;
	/* The older struct is the beginning of the newer. */
	__builtin_memcpy(&newer, kernel, sizeof(*kernel));
	return cuGraphAddKernelNode_v2(out, graph, dependencies, count, &newer);
}

/* --- nodes without work of their own --- */

static CUresult nothing_run(struct sg_work *work, struct sg_context *context)
{
	return CUDA_SUCCESS;
}

static CUresult add_bare(struct sg_graph *graph, CUgraphNodeType type, struct sg_node **node)
{
	struct sg_work *work = sg_work_new(sizeof(*work), nothing_run);

	if (!work)
		return CUDA_ERROR_OUT_OF_MEMORY;
	work->node = SG_NODE(type);
	CUresult r = sg_graph_add(graph, work);
	if (r == CUDA_SUCCESS)
		*node = graph->nodes[graph->n_nodes - 1];
	return r;
}

CUresult cuGraphAddEmptyNode(
    CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count)
{
	struct sg_node *node;
	CUresult r = check_place(out, graph, dependencies, count);

	if (r == CUDA_SUCCESS)
		r = add_bare(graph_get(graph), CU_GRAPH_NODE_TYPE_EMPTY, &node);
	if (r == CUDA_SUCCESS)
		*out = node->handle;
	return r;
}

CUresult cuGraphAddChildGraphNode(
    CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count, CUgraph child)
{
	struct sg_node *node;
	CUresult r = check_place(out, graph, dependencies, count);

	if (r == CUDA_SUCCESS && !graph_get(child))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_graph *clone = sg_graph_clone(graph_get(child));
	if (!clone)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = add_bare(graph_get(graph), CU_GRAPH_NODE_TYPE_GRAPH, &node);
	if (r != CUDA_SUCCESS) {
		sg_graph_free(clone);
		return r;
	}
	node->child = clone;
	*out = node->handle;
	return CUDA_SUCCESS;
}

/* --- what nodes are --- */

static CUresult node_of_type(
    CUgraphNode handle, CUgraphNodeType type, const void *out, struct sg_node **node)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*node = node_get(handle);
	return *node && (*node)->type == type && out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode handle, CUgraph *graph)
{
	struct sg_node *node;
	CUresult r = node_of_type(handle, CU_GRAPH_NODE_TYPE_GRAPH, graph, &node);

	if (r == CUDA_SUCCESS)
		*graph = node->child->handle;
	return r;
}

/* Of a captured node the parameters are not kept: neither function nor side is known then. */
CUresult cuGraphHostNodeGetParams(CUgraphNode handle, CUDA_HOST_NODE_PARAMS *host)
{
	struct sg_node *node;
	CUresult r = node_of_type(handle, CU_GRAPH_NODE_TYPE_HOST, host, &node);

	if (r == CUDA_SUCCESS && !node->host.fn)
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r == CUDA_SUCCESS)
		*host = node->host;
	return r;
}

CUresult cuGraphMemcpyNodeGetParams(CUgraphNode handle, CUDA_MEMCPY3D *copy)
{
	struct sg_node *node;
	CUresult r = node_of_type(handle, CU_GRAPH_NODE_TYPE_MEMCPY, copy, &node);

	if (r == CUDA_SUCCESS && !node->copy.WidthInBytes)
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r == CUDA_SUCCESS)
		*copy = node->copy;
	return r;
}

/* --- changing a graph --- */

CUresult cuGraphDestroyNode(CUgraphNode handle)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && !node_get(handle))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		sg_node_free(node_get(handle));
	return r;
}

/* The node gets the work of a new one, which is dropped again. */
CUresult cuGraphMemcpyNodeSetParams(CUgraphNode handle, const CUDA_MEMCPY3D *copy)
{
	struct sg_node *node, *other;
	CUresult r = node_of_type(handle, CU_GRAPH_NODE_TYPE_MEMCPY, copy, &node);

	if (r == CUDA_SUCCESS)
		r = record(node->graph, issue_copy, copy, &other);
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_work *work = node->work;
	node->work = other->work;
	other->work = work;
	node->copy = *copy;
	sg_node_free(other);
	return CUDA_SUCCESS;
}

CUresult cuGraphClone(CUgraph *out, CUgraph handle)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!out || !graph_get(handle)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_graph *clone = sg_graph_clone(graph_get(handle));
	if (!clone)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*out = clone->handle;
	return CUDA_SUCCESS;
}

/* --- joining a capture --- */

/* What is captured comes after everything in the graph already, whichever nodes are named. */
CUresult cuStreamUpdateCaptureDependencies(
    CUstream stream, CUgraphNode *nodes, size_t count, unsigned flags)
{
	CUstreamCaptureStatus status;
	CUresult r = cuStreamIsCapturing(stream, &status);

	if (r != CUDA_SUCCESS)
		return r;
	if (status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
		return CUDA_ERROR_ILLEGAL_STATE;
	if ((count && !nodes) || flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++)
		if (!node_get(nodes[i]))
			return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}
