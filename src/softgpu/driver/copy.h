/*
 * Copies and fills of boxes of bytes: every copy and memset of the driver API becomes one of these.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"
#include "softgpu/driver/context.h"

/* One side of a copy. */
enum sg_side_kind {
	SG_SIDE_HOST,	 /* the program's memory, pinned or not */
	SG_SIDE_DEVICE,	 /* what kernels reach, or registered host memory */
	SG_SIDE_UNIFIED, /* whichever of the two it is */
};

struct sg_side {
	enum sg_side_kind kind;
	uint64_t address;     /* of the first byte */
	size_t pitch, height; /* bytes from row to row, rows from layer to layer */
};

struct sg_box {
	size_t width, rows, layers; /* width in bytes */
};

/* Copies in the order of the stream's work; returns when it is done, or, when is_async, as early as
 * CUDA allows: at once unless the program's side is pageable memory. */
CUresult sg_copy(CUstream stream, const struct sg_side *destination, const struct sg_side *source,
    struct sg_box box, bool is_async);

/* Fills rows of elements of 1, 2 or 4 bytes. */
CUresult sg_fill(CUstream stream, CUdeviceptr destination, size_t pitch, uint32_t value,
    size_t element_size, size_t width, size_t rows, bool is_async);

/* Whether many copies may be put into a stream at once, which a capture does not take. */
CUresult sg_batch_enter(CUstream handle);
