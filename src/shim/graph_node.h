/* Nodes of graphs, for other parts of the shim that make some. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"

/* Where a node goes. */
struct graph_place {
	CUgraph graph;
	const CUgraphNode *dependencies;
	const CUgraphEdgeData *edges; /* NULL: plain ones */
	size_t count;
	bool generic; /* by cuGraphAddNode, not by the function of the node's type */
};

/* Adds a node of any type; what CUDA gives back in p is there. Any thread. */
CUresult graph_node_add(CUgraphNode *node, const struct graph_place *place, CUgraphNodeParams *p);
