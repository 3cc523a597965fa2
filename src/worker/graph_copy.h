/*
 * Memcpy nodes whose memory the client moves (wire/graph_copy.h). To the backend such a node is a
 * child graph of two nodes, the copy and a host node in front of or behind it, so that its place
 * among the other nodes, its copies in clones and its life are the backend's business. To the
 * client it is a memcpy node.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"
#include "gen/api_codec.h"
#include "wire/graph_copy.h"

struct call;

/* Whether the tail of a memcpy node's record describes such a copy; *out: a copy of it. */
bool graph_copy_read(const void *tail, size_t size, struct graph_copy *out);

/* Makes the child graph of such a node. copy: the backend's part of it, not looked at for
 * GRAPH_COPY_ALONE. After a failure the number has ended. */
CUresult graph_copy_make(struct call *call, const CUDA_MEMCPY_NODE_PARAMS *copy,
    const struct graph_copy *staged, CUgraph *graph);
/* The same, and adds it to a graph as a node. */
CUresult graph_copy_add(struct call *call, const struct args_rosenGraphNodeAdd *a,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged);
/* New parameters for a memcpy node of a graph, which becomes such a copy if it is not.
 * CUDA_ERROR_NOT_SUPPORTED: it cannot; graph_swap.h says why. */
CUresult graph_copy_set(struct call *call, CUgraphNode node, const CUDA_MEMCPY_NODE_PARAMS *copy,
    const struct graph_copy *staged);
/* The same for a node that is such a copy, with the callback that graph_copy_make() put into the
 * graph `other`. */
CUresult graph_copy_follow(struct call *call, CUgraphNode node, CUgraph other,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged);

/* What such a copy consists of. */
struct graph_copy_parts {
	CUgraphNode copy; /* the backend's; NULL: both sides are the program's */
	CUgraphNode host;
	void *callback; /* host's, for callback_run() */
};

/* The parts of such a node, or of a graph of graph_copy_make(). False: it is not one. */
bool graph_copy_parts(struct call *call, CUgraphNode node, struct graph_copy_parts *out);
bool graph_copy_parts_of(struct call *call, CUgraph graph, struct graph_copy_parts *out);

/* A CUhostFn in place of callback_run() that leaves the client's part out. */
void graph_copy_skip(void *callback);

/* Ends the number of a copy that cannot be made. Returns r. */
CUresult graph_copy_refuse(struct call *call, const struct graph_copy *staged, CUresult r);

/* Whether node is such a copy; *out: what it was made with. */
bool graph_copy_find(struct call *call, CUgraphNode node, struct graph_copy *out);
