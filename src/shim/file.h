/* Files of the program that CUDA functions name by path: read here, in the program's file
 * system. */
#pragma once

#include <stddef.h>

#include "abi/cuda.h"

/*
 * The whole file in memory from malloc, one zero byte behind it (PTX text ends with one).
 * CUDA_ERROR_FILE_NOT_FOUND, CUDA_ERROR_OUT_OF_MEMORY.
 */
CUresult file_read(const char *path, void **bytes, size_t *size);
