/* Nodes that signal external semaphores or wait for them. */
#pragma once

#include "abi/cuda.h"
#include "shim/launch.h"

/* Moves what the parameters of such a node point to into tail (from malloc, in tail->heap). */
CUresult graph_external_pack(CUgraphNodeParams *p, struct launch_buffer *tail);
