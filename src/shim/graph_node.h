/* Nodes of graphs, for other parts of the shim that make some. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"

/* The place of a new node. */
struct graph_place {
	CUgraph graph;
	const CUgraphNode *dependencies;
	const CUgraphEdgeData *edges; /* NULL: plain ones */
	size_t count;
	bool generic; /* by cuGraphAddNode, not by the function of the node's type */
};

/* Adds a node of any type; what CUDA gives back in p is there. Any thread. */
CUresult graph_node_add(CUgraphNode *node, const struct graph_place *place, CUgraphNodeParams *p);

/* Gives a node, or where exec is not NULL that node in exec, other parameters. */
CUresult graph_node_set(CUgraphExec exec, CUgraphNode node, bool generic, CUgraphNodeParams p);

/* A node's parameters, and in *tail what their pointers point to (api/graph.api), in memory that
 * lives with the node. */
CUresult graph_node_get(
    CUgraphNode node, CUgraphNodeType type, CUgraphNodeParams *p, void **tail, size_t *bytes);
