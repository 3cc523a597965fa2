/* Which graphs may become a child graph of another. The backend copies a graph that becomes a child;
 * if that were the graph itself, or held it, the copying would not end. */
#pragma once

#include "abi/cuda.h"

struct call;

/* Whether part may become a node of graph. CUDA_ERROR_INVALID_VALUE: it is no graph, or it is graph,
 * or has graph within it. Any thread. */
CUresult graph_part_check(struct call *call, CUgraph graph, CUgraph part);
/* The same for a child graph node that is to get another part. */
CUresult graph_part_check_node(struct call *call, CUgraphNode node, CUgraph part);
