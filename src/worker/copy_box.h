/* Checking the two sides of a copy. */
#pragma once

#include "worker/call.h"

/* CUDA_ERROR_INVALID_VALUE unless each side of the copy is an array or lies in the client's memory:
 * device memory or a segment. Its handles are the backend's already. */
CUresult copy_box_check(struct call *call, const CUDA_MEMCPY3D *copy);
