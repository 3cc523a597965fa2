/*
 * Arguments of the functions that make many copies with one call: whether they are as CUDA
 * documents, and each box in the form of a single copy. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"

/* The arguments of cuMemcpyBatchAsync. The default stream cannot be used: by CUDA's own rule. */
bool batch_is_valid(const CUdeviceptr *destinations, const CUdeviceptr *sources,
    const size_t *sizes, size_t n, const CUmemcpyAttributes *attributes,
    const size_t *attribute_indices, size_t n_attributes, CUstream stream);

/* The attributes of copy i. */
const CUmemcpyAttributes *batch_attributes_of(size_t i, const CUmemcpyAttributes *attributes,
    const size_t *attribute_indices, size_t n_attributes);

/* The arguments of cuMemcpy3DBatchAsync, but for the operations. */
bool batch_boxes_are_valid(
    const CUDA_MEMCPY3D_BATCH_OP *operations, size_t n, unsigned long long flags, CUstream stream);

/* Bytes of an array's element; 0: of no fixed size. */
size_t batch_element_size(CUarray_format format, unsigned channels);

/*
 * One operation as a copy of its own, between pointers of unified type and arrays. element: bytes
 * of an element of the array that takes part, 1 if none does: lengths count in elements then.
 * False: not a valid operation.
 */
bool batch_box(const CUDA_MEMCPY3D_BATCH_OP *operation, size_t element, CUDA_MEMCPY3D *out);
