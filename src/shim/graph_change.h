/*
 * Changes of executable graphs that need not be waited for. Natively cuGraphExecKernelNodeSetParams
 * says at once whether it failed; so here it is posted only where it cannot fail: the same node of
 * the same executable graph has taken the same function, configuration and context before, and
 * nothing has happened since that could alter that. Then only the arguments are new, and those are
 * whatever the program says. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"

/* A kernel node's parameters, but for its arguments. */
struct graph_change {
	CUgraphExec exec;
	CUgraphNode node;
	CUDA_KERNEL_NODE_PARAMS_v3 kernel; /* without kernelParams and extra */
	CUcontext context;		   /* the thread's */
	unsigned epoch;
};

/* The change that is about to be asked for. */
struct graph_change graph_change_of(
    CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v3 *kernel);

/* Whether the change is sure to succeed. */
bool graph_change_is_sure(const struct graph_change *change);
/* The change has succeeded. */
void graph_change_note(const struct graph_change *change);

/* Nodes, functions or executable graphs are about to end or be replaced: nothing is sure any more. */
void graph_changes_forget(void);

/* Child of a fork(). */
void graph_changes_after_fork(void);
