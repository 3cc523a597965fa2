/*
 * Memcpy nodes of an executable graph that were made for memory which the worker reaches and are
 * then given ordinary memory of the program's (wire/graph_copy.h), in graphs that cannot be made
 * anew (graph_model.h). What is executable cannot get a host node any more. So the bytes are moved
 * by a small graph of its own, launched ahead of the graph or behind it; that is the same as in
 * their turn as long as nobody looks meanwhile: where the graph has only kernels, copies, memsets,
 * memory and empty nodes, and conditional nodes, whose bodies have no others. Other graphs are
 * refused.
 *
 * Everything but launching is the dispatcher's.
 */
#pragma once

#include "abi/cuda.h"
#include "gen/api_codec.h"
#include "wire/graph_copy.h"

struct call;
struct worker;

/* exec was made of graph. Any thread. */
void graph_move_note(struct worker *worker, CUgraphExec exec, CUgraph graph);
/* It was made anew. */
void graph_move_anew(struct worker *worker, CUgraphExec former, CUgraphExec exec);
/* It ends. */
void graph_move_forget(struct call *call, CUgraphExec exec);
/* Its node, NULL for all of them, has memory again that the worker reaches. */
void graph_move_drop(struct call *call, CUgraphExec exec, CUgraphNode node);

/* New parameters; copy is between the device and the piece. CUDA_ERROR_NOT_SUPPORTED: see above. */
CUresult graph_move_set(struct call *call, const struct args_rosenGraphNodeSet *a,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged);

/* The graph and what belongs ahead and behind. Any thread. */
CUresult graph_move_launch(struct call *call, CUgraphExec exec, CUstream stream);

/* What worker_free() frees. */
void graph_moves_free(struct worker *worker);
