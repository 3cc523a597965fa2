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
/* New parameters for a node that is one already, or by graph_move.h: CUDA_ERROR_NOT_SUPPORTED
 * for others. */
CUresult graph_copy_set(struct call *call, const struct args_rosenGraphNodeSet *a,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged);

/* Whether node is one, and what it was made of. */
bool graph_copy_find(struct call *call, CUgraphNode node, struct graph_copy *out);
