/* Stream capture, as other parts of the shim see it. */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"

/* Whether any stream may be capturing: calls that a capture would refuse then wait for their
 * answer, since CUDA refuses them at once. */
bool capture_may_be_open(void);
bool capture_is_open(CUstream stream);

/* For what a capture refuses in its stream, and which has no message of its own: CUDA_SUCCESS, or
 * the error, with which the capture has ended. */
CUresult capture_refuse(CUstream stream);

/* Returns r, the result of a copy of ordinary memory; says what to do where a capture refused
 * it. */
CUresult capture_explain(CUresult r);
