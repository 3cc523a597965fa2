/*
 * Copies of rectangles and boxes: splitting one into parts whose ordinary-memory side fits a run of
 * the staging area. Pure, so that it can be tested.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

/* One side of a copy. Host memory of this process has shared false: its bytes are moved. */
struct box_side {
	CUmemorytype
	    type; /* HOST (a pinned segment, or with !shared ordinary memory), DEVICE, ARRAY */
	bool shared;
	CUdeviceptr address; /* HOST, DEVICE: the worker's, where shared */
	uint64_t here;	     /* the same place for this process; 0: it cannot reach it */
	CUarray array;
	CUcontext context; /* of peer copies */
	size_t x, y, z, level, pitch, rows;
};

struct box {
	struct box_side source, destination;
	size_t width, height, depth; /* bytes, rows, slices */
};

/*
 * The part of box that begins at position (of *x bytes, *y rows, *z slices; zero at first) and
 * whose packed size is at most room, a whole number of rows or slices where that fits. Moves the
 * position behind it; false when nothing is left.
 */
struct box_position {
	size_t x, y, z;
};
bool box_part(const struct box *box, size_t room, struct box_position *position, struct box *part);

/* Address of a box's first byte in linear memory. */
uint64_t box_start(const struct box_side *side);

/* A copy as a box; shared sides have the worker's address. CUDA_ERROR_INVALID_VALUE: a side's type
 * or address cannot be. */
CUresult box_of(const CUDA_MEMCPY3D *copy, struct box *box);

/* Packs the source's rows, unpacks them at the destination, or moves them from one to the other;
 * the sides concerned are in this process. */
void box_gather(const struct box *box, char *packed);
void box_scatter(const struct box *box, const char *packed);
void box_move(const struct box *box);
