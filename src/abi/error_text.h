/*
 * Names and short descriptions of CUresult codes, the strings that cuGetErrorName and
 * cuGetErrorString return. Constant data: valid for the life of the process, any thread.
 */
#pragma once

#include "abi/cuda.h"

/* "CUDA_ERROR_OUT_OF_MEMORY", or NULL for a code that CUDA does not define. */
const char *abi_error_name(CUresult code);

/* "out of memory", or NULL for a code that CUDA does not define. */
const char *abi_error_text(CUresult code);
