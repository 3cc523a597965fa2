/*
 * Memcpy nodes of an executable graph that were made for memory which the worker reaches and are
 * then given ordinary memory of the program's (wire/graph_copy.h), in graphs that have no model
 * (graph_model.h). No host node can be added to an executable graph. So the bytes are moved by a
 * small graph of its own, launched before or after the whole graph. That gives the same result as
 * moving them in the node's turn if no node in between can look at the program's memory: if the
 * graph has only kernels, copies, memsets, memory nodes, empty nodes, and conditional nodes, whose
 * bodies have no others either. For other graphs the change is refused.
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
/* exec replaces former, of the same graph. */
void graph_move_anew(struct worker *worker, CUgraphExec former, CUgraphExec exec);
/* exec ends. */
void graph_move_forget(struct call *call, CUgraphExec exec);
/* A node of exec, or all of them (NULL), has memory again that the worker reaches. */
void graph_move_drop(struct call *call, CUgraphExec exec, CUgraphNode node);

/* Gives a node ordinary memory; copy is the backend's part: between the device and the pinned piece.
 * CUDA_ERROR_NOT_SUPPORTED: see above. */
CUresult graph_move_set(struct call *call, const struct args_rosenGraphNodeSet *a,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged);

/* Launches exec, and before and after it the graphs that move bytes. Any thread. */
CUresult graph_move_launch(struct call *call, CUgraphExec exec, CUstream stream);

/* What worker_free() frees. */
void graph_moves_free(struct worker *worker);
