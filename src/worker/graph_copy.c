/*
 * graph_copy.h says what the backend is given. The callback belongs to the child graph through a
 * user object; adding a child graph to a graph clones it with such references, and so does
 * everything that is made from that graph. One child graph is told from the program's own by its
 * host node, whose function and user data are ours; nobody but this file adds such host nodes.
 */
#include "worker/graph_copy.h"

#include <string.h>

#include "gen/worker_custom.h"
#include "worker/callback.h"
#include "worker/graph_move.h"
#include "worker/worker.h"

#define NODES_MOST 2

bool graph_copy_read(const void *tail, size_t size, struct graph_copy *out)
{
	if (size != sizeof(*out))
		return false;
	memcpy(out, tail, size);
	return out->when >= GRAPH_COPY_BEFORE && out->when <= GRAPH_COPY_ALONE;
}

/* Fills an empty graph. */
static CUresult fill(struct call *call, CUgraph graph, const CUDA_MEMCPY_NODE_PARAMS *copy,
    struct callback *callback, const struct graph_copy *staged)
{
	const struct backend *backend = call->backend;
	CUDA_HOST_NODE_PARAMS host = {callback_run, callback};
	CUgraphNode before, after;

	switch (staged->when) {
	case GRAPH_COPY_BEFORE:
		return backend->cuGraphAddHostNode(&before, graph, NULL, 0, &host)
			   ?: backend->cuGraphAddMemcpyNode(
				  &after, graph, &before, 1, &copy->copyParams, copy->copyCtx);
	case GRAPH_COPY_AFTER:
		return backend->cuGraphAddMemcpyNode(
			   &before, graph, NULL, 0, &copy->copyParams, copy->copyCtx)
			   ?: backend->cuGraphAddHostNode(&after, graph, &before, 1, &host);
	default:
		return backend->cuGraphAddHostNode(&before, graph, NULL, 0, &host);
	}
}

/* The number is ended in any case of failure, as the client expects. */
static CUresult fill_and_give(struct call *call, CUgraph graph, const CUDA_MEMCPY_NODE_PARAMS *copy,
    const struct graph_copy *staged)
{
	struct callback *callback = callback_new_copy(call, staged);

	if (!callback)
		return CUDA_ERROR_OUT_OF_MEMORY;
	return callback_give_graph(
	    call, callback, graph, fill(call, graph, copy, callback, staged));
}

CUresult graph_copy_make(struct call *call, const CUDA_MEMCPY_NODE_PARAMS *copy,
    const struct graph_copy *staged, CUgraph *graph)
{
	CUresult r = call->backend->cuGraphCreate(graph, 0);

	if (r != CUDA_SUCCESS)
		return r;
	r = fill_and_give(call, *graph, copy, staged);
	if (r != CUDA_SUCCESS)
		call->backend->cuGraphDestroy(*graph);
	return r;
}

CUresult graph_copy_add(struct call *call, const struct args_rosenGraphNodeAdd *a,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged)
{
	const struct backend *backend = call->backend;
	CUgraph child;
	CUresult r = graph_copy_make(call, copy, staged, &child);

	if (r != CUDA_SUCCESS)
		return r;
	if (a->edges) {
		CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = child}};
		r = backend->cuGraphAddNode_v2(
		    a->node, a->graph, a->dependencies, a->edges, a->count, &p);
	} else {
		r = backend->cuGraphAddChildGraphNode(
		    a->node, a->graph, a->dependencies, a->count, child);
	}
	backend->cuGraphDestroy(child);
	return r;
}

/* --- what a node is --- */

/* The copy that a host node is part of. */
static bool read_host(struct call *call, CUgraphNode node, struct graph_copy *out)
{
	CUgraphNodeType type;
	CUDA_HOST_NODE_PARAMS host;

	return call->backend->cuGraphNodeGetType(node, &type) == CUDA_SUCCESS &&
	       type == CU_GRAPH_NODE_TYPE_HOST &&
	       call->backend->cuGraphHostNodeGetParams(node, &host) == CUDA_SUCCESS &&
	       callback_copy(host.fn, host.userData, out);
}

/* nodes: room for NODES_MOST. */
static bool find(struct call *call, CUgraphNode node, CUgraph *graph, CUgraphNode *nodes, size_t *n,
    struct graph_copy *out)
{
	const struct backend *backend = call->backend;
	CUgraphNodeType type;

	if (backend->cuGraphNodeGetType(node, &type) != CUDA_SUCCESS ||
	    type != CU_GRAPH_NODE_TYPE_GRAPH ||
	    backend->cuGraphChildGraphNodeGetGraph(node, graph) != CUDA_SUCCESS ||
	    backend->cuGraphGetNodes(*graph, NULL, n) != CUDA_SUCCESS || !*n || *n > NODES_MOST ||
	    backend->cuGraphGetNodes(*graph, nodes, n) != CUDA_SUCCESS)
		return false;
	for (size_t i = 0; i < *n; i++)
		if (read_host(call, nodes[i], out))
			return true;
	return false;
}

bool graph_copy_find(struct call *call, CUgraphNode node, struct graph_copy *out)
{
	CUgraphNode nodes[NODES_MOST];
	CUgraph graph;
	size_t n;

	return find(call, node, &graph, nodes, &n, out);
}

/* --- other parameters --- */

static CUresult set_exec(struct call *call, const struct args_rosenGraphNodeSet *a,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged)
{
	CUgraph child;
	CUresult r = graph_copy_make(call, copy, staged, &child);

	if (r != CUDA_SUCCESS)
		return r;
	r = call->backend->cuGraphExecChildGraphNodeSetParams(a->exec, a->node, child);
	call->backend->cuGraphDestroy(child);
	return r;
}

CUresult graph_copy_set(struct call *call, const struct args_rosenGraphNodeSet *a,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged)
{
	CUgraphNode nodes[NODES_MOST];
	struct graph_copy present;
	CUgraph graph;
	size_t n;

	if (!find(call, a->node, &graph, nodes, &n, &present))
		return graph_move_set(call, a, copy, staged);
	if (a->exec)
		return set_exec(call, a, copy, staged);
	for (size_t i = 0; i < n; i++) {
		CUresult r = call->backend->cuGraphDestroyNode(nodes[i]);
		if (r != CUDA_SUCCESS)
			return r;
	}
	return fill_and_give(call, graph, copy, staged);
}

/* --- what the client sees of it --- */

CUresult worker_cuGraphNodeGetType(struct call *call, struct args_cuGraphNodeGetType *a)
{
	struct graph_copy staged;
	CUresult r = call->backend->cuGraphNodeGetType(a->node, a->type);

	if (r == CUDA_SUCCESS && *a->type == CU_GRAPH_NODE_TYPE_GRAPH &&
	    graph_copy_find(call, a->node, &staged))
		*a->type = CU_GRAPH_NODE_TYPE_MEMCPY;
	return r;
}

CUresult worker_cuGraphChildGraphNodeGetGraph(
    struct call *call, struct args_cuGraphChildGraphNodeGetGraph *a)
{
	struct graph_copy staged;

	return graph_copy_find(call, a->node, &staged)
		   ? CUDA_ERROR_INVALID_VALUE
		   : call->backend->cuGraphChildGraphNodeGetGraph(a->node, a->graph);
}
