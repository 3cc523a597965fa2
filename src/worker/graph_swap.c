/*
 * Which graph a node is in the backend does not say (before CUDA 13.1), so the graphs of the client
 * are looked through. That happens when a program changes the kind of memory that a copy uses,
 * which it does seldom.
 */
#include "worker/graph_swap.h"

#include <stdlib.h>

#include "worker/worker.h"

#define NODES_MOST (1u << 20) /* of a graph that is looked through */

CUresult graph_nodes_of(struct call *call, CUgraph graph, CUgraphNode **nodes, size_t *n)
{
	const struct backend *backend = call->backend;
	CUresult r = backend->cuGraphGetNodes(graph, NULL, n);

	*nodes = NULL;
	if (r == CUDA_SUCCESS && *n > NODES_MOST)
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r == CUDA_SUCCESS && !(*nodes = calloc(*n + 1, sizeof(**nodes))))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	return r ?: *n ? backend->cuGraphGetNodes(graph, *nodes, n) : CUDA_SUCCESS;
}

static bool has(struct call *call, CUgraph graph, CUgraphNode node)
{
	CUgraphNode *nodes;
	size_t n;
	bool found = false;

	if (graph_nodes_of(call, graph, &nodes, &n) == CUDA_SUCCESS)
		for (size_t i = 0; i < n && !found; i++)
			found = nodes[i] == node;
	free(nodes);
	return found;
}

CUgraph graph_of_node(struct call *call, CUgraphNode node)
{
	struct handles *handles = call->worker->handles;
	size_t n = handles_count_of(handles, HANDLE_GRAPH);
	uint64_t *graphs = calloc(n + 1, sizeof(*graphs));
	CUgraph found = NULL;

	n = graphs ? MIN(handles_list(handles, HANDLE_GRAPH, graphs, n), n) : 0;
	for (size_t i = 0; i < n && !found; i++)
		if (has(call, (CUgraph)graphs[i], node))
			found = (CUgraph)graphs[i];
	free(graphs);
	return found;
}

static bool allocates(struct call *call, CUgraph graph)
{
	CUgraphNode *nodes;
	CUgraphNodeType type;
	size_t n;
	bool found = graph_nodes_of(call, graph, &nodes, &n) != CUDA_SUCCESS;

	for (size_t i = 0; !found && i < n; i++)
		found = call->backend->cuGraphNodeGetType(nodes[i], &type) != CUDA_SUCCESS ||
			type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || type == CU_GRAPH_NODE_TYPE_MEM_FREE;
	free(nodes);
	return found;
}

static CUresult add(struct call *call, CUgraph graph, const CUgraphNode *dependencies, size_t n,
    const CUgraphNodeParams *p, CUgraphNode *out)
{
	const struct backend *backend = call->backend;

	if (p->type == CU_GRAPH_NODE_TYPE_GRAPH)
		return backend->cuGraphAddChildGraphNode(
		    out, graph, dependencies, n, p->graph.graph);
	if (p->type == CU_GRAPH_NODE_TYPE_MEMCPY)
		return backend->cuGraphAddMemcpyNode(
		    out, graph, dependencies, n, &p->memcpy.copyParams, p->memcpy.copyCtx);
	return backend->cuGraphAddEmptyNode(out, graph, dependencies, n);
}

typedef CUresult neighbours(CUgraphNode node, CUgraphNode *nodes, size_t *n);

/* Copies have plain edges, which the first form tells whole. *nodes: from malloc. */
static CUresult ask(neighbours *question, CUgraphNode node, CUgraphNode **nodes, size_t *n)
{
	CUresult r = question(node, NULL, n);

	*nodes = NULL;
	if (r == CUDA_SUCCESS && !(*nodes = calloc(*n + 1, sizeof(**nodes))))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	return r ?: *n ? question(node, *nodes, n) : CUDA_SUCCESS;
}

static CUresult lead_on(
    struct call *call, CUgraph graph, CUgraphNode node, const CUgraphNode *dependents, size_t n)
{
	CUgraphNode *from = calloc(n + 1, sizeof(*from));

	if (!from)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < n; i++)
		from[i] = node;
	CUresult r =
	    n ? call->backend->cuGraphAddDependencies(graph, from, dependents, n) : CUDA_SUCCESS;
	free(from);
	return r;
}

CUresult graph_swap(struct call *call, CUgraph graph, CUgraphNode present,
    const CUgraphNodeParams *p, CUgraphNode *out)
{
	const struct backend *backend = call->backend;
	CUgraphNode *before = NULL, *after = NULL;
	size_t n_before, n_after;

	if (allocates(call, graph))
		return CUDA_ERROR_NOT_SUPPORTED;
	CUresult r = ask(backend->cuGraphNodeGetDependencies, present, &before, &n_before)
			 ?: ask(backend->cuGraphNodeGetDependentNodes, present, &after, &n_after)
			 ?: add(call, graph, before, n_before, p, out);
	if (r == CUDA_SUCCESS) {
		r = lead_on(call, graph, *out, after, n_after);
		if (r != CUDA_SUCCESS)
			backend->cuGraphDestroyNode(*out);
	}
	free(before);
	free(after);
	return r;
}
