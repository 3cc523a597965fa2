/*
 * From a node's parameters to what it does, for graphs and for executable graphs.
 */
#pragma once

#include "softgpu/driver/graph.h"

/* Work of the type that params names, which copies what they point to. is_cooperative: of kernels. */
CUresult sg_node_work(const CUgraphNodeParams *params, bool is_cooperative, struct sg_work **work);

/* Whether the type's parameters are all in its work. */
bool sg_node_is_work(CUgraphNodeType type);
