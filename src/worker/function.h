/* Where a kernel's parameters lie in its parameter buffer. */
#pragma once

#include <stddef.h>

#include "worker/call.h"

/* One parameter's place; function may be a kernel. CUDA_ERROR_INVALID_VALUE: there is no such
 * parameter. */
CUresult function_parameter(
    struct call *call, CUfunction function, size_t index, size_t *offset, size_t *bytes);
