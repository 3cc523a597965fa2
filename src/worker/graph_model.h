/*
 * Changes of executable graphs that the backend cannot make: a copy node changes from pinned to
 * ordinary memory of the program's, or back, or a copy of ordinary memory is switched off. To the
 * backend these are nodes of different types (worker/graph_copy.h).
 *
 * So an executable graph with copies of host memory has a model: a clone of the graph it was made
 * of. Each change that the backend can make is made to both. One that it cannot is made to the
 * model, of which the executable graph is then made again.
 *
 * Graphs that allocate memory or have conditional nodes cannot be cloned, so they have no model:
 * graph_switch.h and graph_move.h do what is possible there. Nodes are given by the backend's
 * handles for the nodes that the client names. Any thread; no two threads change one executable
 * graph at the same time, as in CUDA.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"
#include "gen/api_codec.h"
#include "wire/graph_copy.h"
#include "worker/graph_switch.h"

struct call;
struct worker;

/* exec was made of graph. */
void graph_model_note(struct call *call, CUgraphExec exec, CUgraph graph, unsigned long long flags);
/* It is about to end. */
void graph_model_forget(struct call *call, CUgraphExec exec);
void graph_models_free(struct worker *worker);
void graph_models_forget_context(struct worker *worker, CUcontext context);

/* Launches it, after the launches of the executable graphs that it replaced. On the dispatcher. */
CUresult graph_model_launch(struct call *call, CUgraphExec exec, CUstream stream);

/* In a graph of the client's, node `other` is about to take the place of node `present`. */
void graph_models_rename(struct call *call, CUgraphNode present, CUgraphNode other);

/* Sets parameters of a node: in exec, or if that is NULL in the graph the node belongs to. */
typedef CUresult graph_setter(
    struct call *call, CUgraphExec exec, CUgraphNode node, const void *what);
CUresult graph_model_set(
    struct call *call, CUgraphExec exec, CUgraphNode node, graph_setter *setter, const void *what);

/* The same for a memcpy node; staged->number 0: it copies no ordinary memory. */
CUresult graph_model_set_copy(struct call *call, const struct args_rosenGraphNodeSet *a,
    const CUgraphNodeParams *p, const struct graph_copy *staged);

/* cuGraphExecUpdate() in one of its forms, which also accepts a graph whose copies use another kind
 * of memory. */
CUresult graph_model_update(struct call *call, CUgraphExec exec, CUgraph graph,
    graph_updater *updater, CUgraphExecUpdateResultInfo *info);
