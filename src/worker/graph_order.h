/* The shape of a graph, by which two that were made alike can be compared. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

struct call;

/* Its nodes by their longest way from a beginning, and where that is the same in the order of their
 * making: a node that took another's place is in that place. *nodes: from malloc, to be freed in
 * any case. */
CUresult graph_nodes_in_order(struct call *call, CUgraph graph, CUgraphNode **nodes, size_t *n);

/* Its edges, with its n nodes in that or another order: pairs of places in it, sorted, the first
 * node's in the upper half. *edges: from malloc, to be freed in any case. CUDA_ERROR_LOSSY_QUERY:
 * some are not plain. */
CUresult graph_edges_of(struct call *call, CUgraph graph, const CUgraphNode *nodes, size_t n,
    uint64_t **edges, size_t *n_edges);
