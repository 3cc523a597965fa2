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

/* Whether the tail of a memcpy node's record is one of these; *out: a copy of it. */
bool graph_copy_read(const void *tail, size_t size, struct graph_copy *out);

/* A graph of just that. copy: as the backend takes it. Not looked at for GRAPH_COPY_ALONE. The
 * number is ended in any case of failure. */
CUresult graph_copy_make(struct call *call, const CUDA_MEMCPY_NODE_PARAMS *copy,
    const struct graph_copy *staged, CUgraph *graph);
/* And a node of it. */
CUresult graph_copy_add(struct call *call, const struct args_rosenGraphNodeAdd *a,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged);
/* New parameters for a memcpy node of a graph, which becomes one if it is not.
 * CUDA_ERROR_NOT_SUPPORTED: it cannot, graph_swap.h says why. */
CUresult graph_copy_set(struct call *call, CUgraphNode node, const CUDA_MEMCPY_NODE_PARAMS *copy,
    const struct graph_copy *staged);
/* For a node that is one, with the callback that graph_copy_make() has put into other. */
CUresult graph_copy_follow(struct call *call, CUgraphNode node, CUgraph other,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged);

/* What one consists of. */
struct graph_copy_parts {
	CUgraphNode copy; /* the backend's; NULL: both sides are the program's */
	CUgraphNode host;
	void *callback; /* host's, for callback_run() */
};

/* The parts of a node that is one, or of a graph of graph_copy_make(); false: it is none. */
bool graph_copy_parts(struct call *call, CUgraphNode node, struct graph_copy_parts *out);
bool graph_copy_parts_of(struct call *call, CUgraph graph, struct graph_copy_parts *out);

/* A CUhostFn in place of callback_run() that leaves the client's part out. */
void graph_copy_skip(void *callback);

/* Ends the number of one that cannot be made. Returns r. */
CUresult graph_copy_refuse(struct call *call, const struct graph_copy *staged, CUresult r);

/* Whether node is one, and what it was made of. */
bool graph_copy_find(struct call *call, CUgraphNode node, struct graph_copy *out);
