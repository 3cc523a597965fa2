/*
 * From a node's parameters to what it does, for graphs and for executable graphs.
 */
#pragma once

#include "softgpu/driver/graph.h"
#include "softgpu/driver/launch.h"

/* Work of the type that params names, which copies what they point to. traits: of kernels. */
CUresult sg_node_work(
    const CUgraphNodeParams *params, const struct sg_launch_traits *traits, struct sg_work **work);

/* Whether the type's parameters are all in its work. */
bool sg_node_is_work(CUgraphNodeType type);
