/* The shape of a graph, by which two graphs that were made alike can be compared. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

struct call;

/* The graph's nodes, by the length of the longest path that leads to them; nodes with equal lengths
 * in the order in which they were made. A node that replaced another (graph_swap.h) has its place.
 * *nodes: from malloc, to be freed in any case. */
CUresult graph_nodes_in_order(struct call *call, CUgraph graph, CUgraphNode **nodes, size_t *n);

/* The graph's edges, sorted. nodes: its n nodes in any order; an edge is two indices in nodes, the
 * first node's in the upper half. *edges: from malloc, to be freed in any case.
 * CUDA_ERROR_LOSSY_QUERY: some edges have data. */
CUresult graph_edges_of(struct call *call, CUgraph graph, const CUgraphNode *nodes, size_t n,
    uint64_t **edges, size_t *n_edges);
