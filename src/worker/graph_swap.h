/*
 * A node of another type in a node's place: CUDA keeps a node's type, and our nodes for copies of
 * ordinary memory are of another one than the backend's copies. On the dispatcher.
 */
#pragma once

#include "abi/cuda.h"

struct call;

/* *nodes: from malloc, to be freed in any case; CUDA_ERROR_NOT_SUPPORTED: far too many. */
CUresult graph_nodes_of(struct call *call, CUgraph graph, CUgraphNode **nodes, size_t *n);

/* The graph that has the node, of those the client knows; NULL: none. */
CUgraph graph_of_node(struct call *call, CUgraphNode node);

/*
 * Adds a node to graph with the edges of the one that is there: a child graph, a copy or an empty
 * one. The caller destroys the old one, as soon as nothing need be asked about it.
 * CUDA_ERROR_NOT_SUPPORTED: CUDA lets nothing be taken out of this graph, since it allocates.
 */
CUresult graph_swap(struct call *call, CUgraph graph, CUgraphNode present,
    const CUgraphNodeParams *p, CUgraphNode *out);
