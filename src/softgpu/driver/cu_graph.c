/* Graphs' entries of the driver API: what a graph is made of, and what holds its nodes together. */
#include "softgpu/driver/driver.h"

#include "base/util.h"
#include "softgpu/driver/graph.h"

static CUresult graph_enter(CUgraph handle, struct sg_graph **graph)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*graph = sg_graph_get(handle);
	return *graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult node_enter(CUgraphNode handle, const void *output, struct sg_node **node)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*node = sg_node_get(handle);
	return *node && output ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphCreate(CUgraph *handle, unsigned flags)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!handle || flags))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_graph *graph = sg_graph_new();
	if (!graph)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*handle = graph->handle;
	return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph handle)
{
	struct sg_graph *graph;
	CUresult r = graph_enter(handle, &graph);

	if (r == CUDA_SUCCESS && graph->is_body) /* its node's */
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		sg_graph_free(graph);
	return r;
}

/* As NVIDIA's driver: memory and conditions are one graph's. */
static bool can_clone(const struct sg_graph *graph)
{
	for (size_t i = 0; i < graph->n_nodes; i++)
		if (graph->nodes[i]->memory || graph->nodes[i]->condition)
			return false;
	return true;
}

CUresult cuGraphClone(CUgraph *out, CUgraph handle)
{
	struct sg_graph *graph;
	CUresult r = graph_enter(handle, &graph);

	if (r == CUDA_SUCCESS && !out)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	if (!can_clone(graph))
		return CUDA_ERROR_NOT_SUPPORTED;
	struct sg_graph *clone = sg_graph_clone(graph);
	if (!clone)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*out = clone->handle;
	return CUDA_SUCCESS;
}

CUresult cuGraphNodeFindInClone(CUgraphNode *out, CUgraphNode original, CUgraph handle)
{
	struct sg_graph *graph;
	struct sg_node *node;
	CUresult r = node_enter(original, out, &node);

	if (r == CUDA_SUCCESS)
		r = graph_enter(handle, &graph);
	for (size_t i = 0; r == CUDA_SUCCESS && i < graph->n_nodes; i++)
		if (graph->nodes[i]->model_id == node->id) {
			*out = graph->nodes[i]->handle;
			return CUDA_SUCCESS;
		}
	return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : r;
}

CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *type)
{
	struct sg_node *node;
	CUresult r = node_enter(handle, type, &node);

	if (r == CUDA_SUCCESS)
		*type = node->type;
	return r;
}

CUresult cuGraphDestroyNode(CUgraphNode handle)
{
	struct sg_node *node;
	CUresult r = node_enter(handle, &node, &node);

	if (r == CUDA_SUCCESS)
		sg_node_free(node);
	return r;
}

/* ---- lists ---- */

/*
 * Answers of variable length: *count is the room, then how many were given; without arrays, how
 * many there are. What is left of the room is cleared.
 */
struct list {
	CUgraphNode *first, *second;
	CUgraphEdgeData *edges;
	size_t room, n;
};

static void list_put(
    struct list *list, CUgraphNode first, CUgraphNode second, const CUgraphEdgeData *edge)
{
	static const CUgraphEdgeData plain;

	if (list->n < list->room) {
		if (list->first)
			list->first[list->n] = first;
		if (list->second)
			list->second[list->n] = second;
		if (list->edges)
			list->edges[list->n] = edge ? *edge : plain;
	}
	list->n++;
}

static CUresult list_finish(struct list *list, size_t *count)
{
	if (!list->first && !list->second) {
		*count = list->n;
		return CUDA_SUCCESS;
	}
	*count = MIN(list->n, list->room);
	for (size_t i = *count; i < list->room; i++) {
		if (list->first)
			list->first[i] = NULL;
		if (list->second)
			list->second[i] = NULL;
	}
	return CUDA_SUCCESS;
}

static CUresult list_nodes(CUgraph handle, bool roots_only, CUgraphNode *nodes, size_t *count)
{
	struct sg_graph *graph;
	CUresult r = graph_enter(handle, &graph);

	if (r == CUDA_SUCCESS && !count)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct list list = {.first = nodes, .room = nodes ? *count : 0};
	for (size_t i = 0; i < graph->n_nodes; i++)
		if (!roots_only || !graph->nodes[i]->n_edges)
			list_put(&list, graph->nodes[i]->handle, NULL, NULL);
	return list_finish(&list, count);
}

CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode *nodes, size_t *count)
{
	return list_nodes(handle, false, nodes, count);
}

CUresult cuGraphGetRootNodes(CUgraph handle, CUgraphNode *nodes, size_t *count)
{
	return list_nodes(handle, true, nodes, count);
}

CUresult cuGraphGetEdges_v2(
    CUgraph handle, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *edges, size_t *count)
{
	struct sg_graph *graph;
	CUresult r = graph_enter(handle, &graph);

	if (r == CUDA_SUCCESS && (!count || !from != !to))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct list list = {from, to, edges, from ? *count : 0, 0};
	for (size_t i = 0; i < graph->n_nodes; i++)
		for (size_t e = 0; e < graph->nodes[i]->n_edges; e++)
			list_put(&list, graph->nodes[i]->edges[e].from->handle,
			    graph->nodes[i]->handle, &graph->nodes[i]->edges[e].data);
	return list_finish(&list, count);
}

CUresult cuGraphGetEdges(CUgraph handle, CUgraphNode *from, CUgraphNode *to, size_t *count)
{
	return cuGraphGetEdges_v2(handle, from, to, NULL, count);
}

CUresult cuGraphNodeGetDependencies_v2(
    CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *edges, size_t *count)
{
	struct sg_node *node;
	CUresult r = node_enter(handle, count, &node);

	if (r != CUDA_SUCCESS)
		return r;
	struct list list = {nodes, NULL, edges, nodes ? *count : 0, 0};
	for (size_t e = 0; e < node->n_edges; e++)
		list_put(&list, node->edges[e].from->handle, NULL, &node->edges[e].data);
	return list_finish(&list, count);
}

CUresult cuGraphNodeGetDependencies(CUgraphNode handle, CUgraphNode *nodes, size_t *count)
{
	return cuGraphNodeGetDependencies_v2(handle, nodes, NULL, count);
}

CUresult cuGraphNodeGetDependentNodes_v2(
    CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *edges, size_t *count)
{
	struct sg_node *node;
	CUresult r = node_enter(handle, count, &node);

	if (r != CUDA_SUCCESS)
		return r;
	struct list list = {nodes, NULL, edges, nodes ? *count : 0, 0};
	for (size_t i = 0; i < node->graph->n_nodes; i++) {
		const struct sg_node *other = node->graph->nodes[i];
		size_t edge = sg_node_find_edge(other, node);

		if (edge < other->n_edges)
			list_put(&list, other->handle, NULL, &other->edges[edge].data);
	}
	return list_finish(&list, count);
}

CUresult cuGraphNodeGetDependentNodes(CUgraphNode handle, CUgraphNode *nodes, size_t *count)
{
	return cuGraphNodeGetDependentNodes_v2(handle, nodes, NULL, count);
}

/* ---- dependencies ---- */

/* The two ends of an edge of the graph. */
static CUresult ends_get(
    const struct sg_graph *graph, CUgraphNode from, CUgraphNode to, struct sg_node *ends[2])
{
	ends[0] = sg_node_get(from);
	ends[1] = sg_node_get(to);
	return ends[0] && ends[1] && ends[0]->graph == graph && ends[1]->graph == graph
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphAddDependencies_v2(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to,
    const CUgraphEdgeData *edges, size_t count)
{
	struct sg_graph *graph;
	struct sg_node *ends[2];
	CUresult r = graph_enter(handle, &graph);

	if (r == CUDA_SUCCESS && count && (!from || !to))
		r = CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; r == CUDA_SUCCESS && i < count; i++) {
		r = ends_get(graph, from[i], to[i], ends);
		if (r == CUDA_SUCCESS)
			r = sg_node_depend(ends[1], ends[0], edges ? &edges[i] : NULL);
	}
	return r;
}

CUresult cuGraphAddDependencies(
    CUgraph handle, const CUgraphNode *from, const CUgraphNode *to, size_t count)
{
	return cuGraphAddDependencies_v2(handle, from, to, NULL, count);
}

CUresult cuGraphRemoveDependencies_v2(CUgraph handle, const CUgraphNode *from,
    const CUgraphNode *to, const CUgraphEdgeData *edges, size_t count)
{
	struct sg_graph *graph;
	struct sg_node *ends[2];
	CUresult r = graph_enter(handle, &graph);

	if (r == CUDA_SUCCESS && count && (!from || !to))
		r = CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; r == CUDA_SUCCESS && i < count; i++) {
		r = ends_get(graph, from[i], to[i], ends);
		if (r != CUDA_SUCCESS)
			break;
		size_t edge = sg_node_find_edge(ends[1], ends[0]);
		if (edge == ends[1]->n_edges)
			return CUDA_ERROR_INVALID_VALUE;
		sg_node_drop_edge(ends[1], edge);
	}
	return r;
}

CUresult cuGraphRemoveDependencies(
    CUgraph handle, const CUgraphNode *from, const CUgraphNode *to, size_t count)
{
	return cuGraphRemoveDependencies_v2(handle, from, to, NULL, count);
}
