/*
 * Changes of executable graphs that the backend cannot make to what is executable: a copy of pinned
 * memory that is given ordinary memory of the program's, or the other way round, and a copy of
 * ordinary memory that is switched off. A graph with copies of host memory keeps a model, a clone
 * of what it was made of, to which every change is made as well; a change of that kind is made to
 * the model alone, and the graph is made anew from it.
 *
 * Graphs that allocate memory or have conditional nodes cannot be cloned and have no model: there
 * graph_switch.h and graph_move.h may do. Nodes are named by the backend's handles for what the
 * client names. Any thread; no two change one executable graph at once, as in CUDA.
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

/* Launches it, behind the launches of what it was before it was made anew. On the dispatcher. */
CUresult graph_model_launch(struct call *call, CUgraphExec exec, CUstream stream);

/* In a graph of the client's another node is about to take present's place. */
void graph_models_rename(struct call *call, CUgraphNode present, CUgraphNode other);

/* How a node gets what it is to get: in exec, or where that is NULL in the graph it belongs to. */
typedef CUresult graph_setter(
    struct call *call, CUgraphExec exec, CUgraphNode node, const void *what);
CUresult graph_model_set(
    struct call *call, CUgraphExec exec, CUgraphNode node, graph_setter *setter, const void *what);

/* The same for a memcpy node; staged->number 0: the backend's alone. */
CUresult graph_model_set_copy(struct call *call, const struct args_rosenGraphNodeSet *a,
    const CUgraphNodeParams *p, const struct graph_copy *staged);

/* cuGraphExecUpdate() in one of its forms, which takes a graph whose copies use another kind of
 * memory, too. */
CUresult graph_model_update(struct call *call, CUgraphExec exec, CUgraph graph,
    graph_updater *updater, CUgraphExecUpdateResultInfo *info);
