/* Which graphs may become part of another: the backend copies what becomes part, and does not come
 * to an end where that is the graph itself. */
#pragma once

#include "abi/cuda.h"

struct call;

/* Whether part may become a node of graph. CUDA_ERROR_INVALID_VALUE: it is none, or graph, or has
 * graph within it. Any thread. */
CUresult graph_part_check(struct call *call, CUgraph graph, CUgraph part);
/* The same of a node that is to get another part. */
CUresult graph_part_check_node(struct call *call, CUgraphNode node, CUgraph part);
