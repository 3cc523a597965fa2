/*
 * Switching copies of ordinary memory off and on in executable graphs without a model
 * (graph_model.h): those of graphs that allocate memory or have conditional nodes, which CUDA lets
 * nobody clone or make executable twice. There the two parts of such a copy are switched in the
 * executable graph itself: the backend's copy as any node, and the host node by a function in its
 * place that does nothing.
 *
 * Under the worker's graph lock.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"

struct call;
struct worker;

/* exec was made of graph, and has no model. */
void graph_switch_note(struct call *call, CUgraphExec exec, CUgraph graph);
/* It is about to end. */
void graph_switch_forget(struct worker *worker, CUgraphExec exec);
void graph_switches_free(struct worker *worker);

/* CUDA_ERROR_NOT_SUPPORTED: nothing is known of the node in exec, or it has other parts now. */
CUresult graph_switch_set(struct call *call, CUgraphExec exec, CUgraphNode node, bool on);
bool graph_switch_is_on(struct worker *worker, CUgraphExec exec, CUgraphNode node);

/* The copy's parts in exec are now those of `other`, a graph of graph_copy_make(). */
CUresult graph_switch_follow(struct call *call, CUgraphExec exec, CUgraphNode node, CUgraph other);

/* The backend's own update, in one of its forms. */
typedef CUresult graph_updater(
    struct call *call, CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info);

/* Updates exec by updater; what is switched off remains off. */
CUresult graph_switch_update(struct call *call, CUgraphExec exec, CUgraph graph,
    graph_updater *updater, CUgraphExecUpdateResultInfo *info);
