/*
 * Functions of the client's that host nodes of executable graphs are given after these were made
 * (callback.h). A graph keeps its callbacks alive for all that is made of it; what is executable
 * keeps none itself, and what it was given must stay for as long as a launch under way may call it.
 *
 * On the dispatcher, unless said otherwise.
 */
#pragma once

#include "abi/cuda.h"

struct call;
struct callback;
struct worker;

/*
 * Hands the callback over after the change that gave it to exec's node returned r, which is
 * returned. It ends when another one was set in its place or the graph has ended, and no launch
 * may call it any more. After a failure it ends so, too: a part of the change may have been made.
 */
CUresult graph_host_given(
    struct call *call, CUgraphExec exec, CUgraphNode node, struct callback *callback, CUresult r);

/* The same for a node of a graph, whose former parameters go. */
CUresult graph_host_given_in_graph(struct call *call, CUgraphNode node,
    const CUDA_HOST_NODE_PARAMS *former, struct callback *callback, CUresult r);

/* exec was launched into stream. */
void graph_host_launched(struct call *call, CUgraphExec exec, CUstream stream);
/* It is about to end. */
void graph_host_forget(struct call *call, CUgraphExec exec);

/* A context has ended, and what was launched in it. Any thread. */
void graph_hosts_forget_context(struct worker *worker, CUcontext context);
/* What worker_free() frees. */
void graph_hosts_free(struct worker *worker);
