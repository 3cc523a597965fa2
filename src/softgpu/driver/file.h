/* Files with code images. */
#pragma once

#include <stddef.h>

#include "abi/cuda.h"

/* The whole file with a NUL behind it, to be freed. CUDA_ERROR_FILE_NOT_FOUND. size: without the
 * NUL; may be NULL. */
CUresult sg_file_read(const char *path, char **text, size_t *size);
