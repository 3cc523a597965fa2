/*
 * A graph that is part of another has an id of the worker's (cuGraphChildGraphNodeGetGraph): no
 * other can lie within what it is to get, and only for such a one is that gone through. Graphs with
 * conditional nodes become part of nothing, so their bodies need no look.
 */
#include "worker/graph_part.h"

#include <stdlib.h>

#include "gen/worker_custom.h"
#include "worker/worker.h"

/* One of the two, which is looked for. */
struct sought {
	CUgraph graph;
	CUgraphNode node;
};

static bool has_within(const struct backend *backend, CUgraph whole, const struct sought *sought);

static bool node_has(const struct backend *backend, CUgraphNode node, const struct sought *sought)
{
	CUgraphNodeType type;
	CUgraph part;

	if (node == sought->node)
		return true;
	return backend->cuGraphNodeGetType(node, &type) == CUDA_SUCCESS &&
	       type == CU_GRAPH_NODE_TYPE_GRAPH &&
	       backend->cuGraphChildGraphNodeGetGraph(node, &part) == CUDA_SUCCESS &&
	       (part == sought->graph || has_within(backend, part, sought));
}

/* Also when it cannot be told. */
static bool has_within(const struct backend *backend, CUgraph whole, const struct sought *sought)
{
	size_t n = 0;

	if (backend->cuGraphGetNodes(whole, NULL, &n) != CUDA_SUCCESS)
		return true;
	CUgraphNode *nodes = calloc(n + 1, sizeof(*nodes));
	bool has = !nodes || backend->cuGraphGetNodes(whole, nodes, &n) != CUDA_SUCCESS;
	for (size_t i = 0; i < n && !has; i++)
		has = node_has(backend, nodes[i], sought);
	free(nodes);
	return has;
}

CUresult graph_part_check(struct call *call, CUgraph graph, CUgraph part)
{
	uint64_t id = handles_id_of(call->worker->handles, HANDLE_GRAPH, (uint64_t)graph);
	const struct sought sought = {.graph = graph};

	if (!graph || !part || part == graph)
		return CUDA_ERROR_INVALID_VALUE;
	return handle_by_worker(id) && has_within(call->backend, part, &sought)
		   ? CUDA_ERROR_INVALID_VALUE
		   : CUDA_SUCCESS;
}

CUresult graph_part_check_node(struct call *call, CUgraphNode node, CUgraph part)
{
	const struct sought sought = {.node = node};

	return !node || !part || has_within(call->backend, part, &sought) ? CUDA_ERROR_INVALID_VALUE
									  : CUDA_SUCCESS;
}

CUresult worker_cuGraphAddChildGraphNode(struct call *call, struct args_cuGraphAddChildGraphNode *a)
{
	return graph_part_check(call, a->graph, a->child)
		   ?: call->backend->cuGraphAddChildGraphNode(
			  a->node, a->graph, a->dependencies, a->count, a->child);
}
