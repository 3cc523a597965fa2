/* Graphs have no cycles, so that the longest ways are found by taking nodes whose predecessors are
 * done. */
#include "worker/graph_order.h"

#include <stdlib.h>

#include "worker/graph_swap.h"
#include "worker/worker.h"

struct named {
	CUgraphNode node;
	uint32_t number;
};

static int by_node(const void *a, const void *b)
{
	uint64_t first = (uint64_t)((const struct named *)a)->node;
	uint64_t second = (uint64_t)((const struct named *)b)->node;

	return (first > second) - (first < second);
}

static int by_value(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

	return (first > second) - (first < second);
}

static uint64_t number_of(const struct named *names, size_t n, CUgraphNode node)
{
	const struct named key = {.node = node};
	const struct named *found = bsearch(&key, names, n, sizeof(*names), by_node);

	return found ? found->number : UINT32_MAX;
}

static CUresult number_edges(struct call *call, CUgraph graph, const struct named *names, size_t n,
    uint64_t *edges, size_t n_edges)
{
	CUgraphNode *from = calloc(n_edges + 1, sizeof(*from));
	CUgraphNode *to = calloc(n_edges + 1, sizeof(*to));
	CUresult r = from && to ? call->backend->cuGraphGetEdges(graph, from, to, &n_edges)
				: CUDA_ERROR_OUT_OF_MEMORY;

	for (size_t i = 0; r == CUDA_SUCCESS && i < n_edges; i++)
		edges[i] = number_of(names, n, from[i]) << 32 | number_of(names, n, to[i]);
	free(from);
	free(to);
	qsort(edges, n_edges, sizeof(*edges), by_value);
	return r;
}

CUresult graph_edges_of(struct call *call, CUgraph graph, const CUgraphNode *order, size_t n,
    uint64_t **edges, size_t *n_edges)
{
	struct named *names = calloc(n + 1, sizeof(*names));
	CUresult r = call->backend->cuGraphGetEdges(graph, NULL, NULL, n_edges);

	*edges = NULL;
	if (r == CUDA_SUCCESS && names && (*edges = calloc(*n_edges + 1, sizeof(**edges)))) {
		for (size_t i = 0; i < n; i++)
			names[i] = (struct named){order[i], (uint32_t)i};
		qsort(names, n, sizeof(*names), by_node);
		r = *n_edges ? number_edges(call, graph, names, n, *edges, *n_edges) : r;
	} else if (r == CUDA_SUCCESS) {
		r = CUDA_ERROR_OUT_OF_MEMORY;
	}
	free(names);
	return r;
}

struct placed {
	CUgraphNode node;
	uint32_t depth, number; /* number: in the order of making */
	uint32_t waits;		/* for so many predecessors */
	uint32_t first_edge;	/* of those that lead on */
};

static int by_depth(const void *a, const void *b)
{
	const struct placed *first = a, *second = b;

	if (first->depth != second->depth)
		return first->depth < second->depth ? -1 : 1;
	return (first->number > second->number) - (first->number < second->number);
}

/* queue: room for n numbers. */
static void find_depths(
    struct placed *placed, size_t n, const uint64_t *edges, size_t n_edges, uint32_t *queue)
{
	size_t head = 0, tail = 0;

	for (size_t i = n_edges; i-- > 0;) {
		placed[edges[i] >> 32].first_edge = (uint32_t)i;
		placed[(uint32_t)edges[i]].waits++;
	}
	for (size_t i = 0; i < n; i++)
		if (!placed[i].waits)
			queue[tail++] = (uint32_t)i;
	while (head < tail) {
		uint32_t from = queue[head++];
		for (size_t i = placed[from].first_edge; i < n_edges && edges[i] >> 32 == from;
		    i++) {
			struct placed *to = &placed[(uint32_t)edges[i]];
			to->depth = MAX(to->depth, placed[from].depth + 1);
			if (!--to->waits)
				queue[tail++] = (uint32_t)edges[i];
		}
	}
}

static bool are_inside(const uint64_t *edges, size_t n_edges, size_t n)
{
	for (size_t i = 0; i < n_edges; i++)
		if (edges[i] >> 32 >= n || (uint32_t)edges[i] >= n)
			return false;
	return true;
}

CUresult graph_nodes_in_order(struct call *call, CUgraph graph, CUgraphNode **nodes, size_t *n)
{
	uint64_t *edges = NULL;
	size_t n_edges;
	CUresult r = graph_nodes_of(call, graph, nodes, n)
			 ?: graph_edges_of(call, graph, *nodes, *n, &edges, &n_edges);
	struct placed *placed = r == CUDA_SUCCESS ? calloc(*n + 1, sizeof(*placed)) : NULL;
	uint32_t *queue = r == CUDA_SUCCESS ? calloc(*n + 1, sizeof(*queue)) : NULL;

	if (r == CUDA_SUCCESS && (!placed || !queue))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	if (r == CUDA_SUCCESS && !are_inside(edges, n_edges, *n))
		r = CUDA_ERROR_UNKNOWN;
	if (r == CUDA_SUCCESS) {
		for (size_t i = 0; i < *n; i++)
			placed[i] = (struct placed){.node = (*nodes)[i], .number = (uint32_t)i};
		find_depths(placed, *n, edges, n_edges, queue);
		qsort(placed, *n, sizeof(*placed), by_depth);
		for (size_t i = 0; i < *n; i++)
			(*nodes)[i] = placed[i].node;
	}
	free(queue);
	free(placed);
	free(edges);
	return r;
}
