/* Nodes that signal external semaphores or wait for them: api/graph.api says how they cross. */
#pragma once

#include "worker/call.h"

/* Gives p its arrays: the semaphores behind the ids in tail, and the parameters in it. */
CUresult graph_external_build(
    struct call *call, CUgraphNodeParams *p, const void *tail, size_t bytes);

/* A node's parameters, without pointers, and what goes into its tail (from the call's pool). */
CUresult graph_external_get(struct call *call, CUgraphNode node, CUgraphNodeType type,
    CUgraphNodeParams *p, void **tail, size_t *bytes);
