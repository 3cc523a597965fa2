/*
 * Matrices in shared memory, as wgmma and tcgen05 read them (PTX ISA 9.7.15.5.1, 9.7.16.4.1):
 * pieces of 8 rows of 16, 32, 64 or 128 bytes, the wider ones swizzled. A descriptor has the first
 * piece's address, two strides and the width. Major is the dimension whose elements are neighbours.
 *
 * Whatever the layout, 16 bytes along the major dimension that begin at a multiple of 16 lie
 * together.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SG_PIECE_BYTES 16u

/* A descriptor, taken apart. */
struct shared_matrix {
	uint64_t start, leading, stride, base; /* bytes; base: of the swizzle's pattern, in 128s */
	unsigned width;			       /* bytes of a piece's row */
	unsigned swizzle;		       /* bits of an address that change */
	unsigned atom;			       /* the lowest of them */
	unsigned rows;			       /* of a piece whose major dimension is not k */
	/* Rows that leave their 128 bytes go on at those of another matrix: leading is its
	 * start. */
	bool goes_on;
};

/* What all descriptors share; the mode of swizzling is none. */
static inline struct shared_matrix shared_matrix_of(uint64_t descriptor)
{
	return (struct shared_matrix){
	    .start = (descriptor & 0x3fff) << 4,
	    .leading = (descriptor >> 16 & 0x3fff) << 4,
	    .stride = (descriptor >> 32 & 0x3fff) << 4,
	    .base = descriptor >> 49 & 7,
	    .width = SG_PIECE_BYTES,
	    .atom = 4,
	    .rows = 8,
	};
}

/* Swizzled rows of 32, 64 or 128 bytes. */
static inline void shared_matrix_swizzle(struct shared_matrix *matrix, unsigned width)
{
	matrix->width = width;
	matrix->swizzle = width / SG_PIECE_BYTES - 1;
}

/* Where byte `along` of line `line` is, as an offset in shared memory: along the major dimension,
 * across the other. Transposed: major is not k. */
static inline uint64_t shared_matrix_offset(
    const struct shared_matrix *matrix, bool transposed, uint64_t line, uint64_t along)
{
	unsigned rows = transposed ? matrix->rows : 8;
	uint64_t offset = matrix->start;

	if (!matrix->swizzle) {
		/* Pieces along k are leading apart, along the other dimension stride. */
		uint64_t k = transposed ? line / 8 : along / SG_PIECE_BYTES;
		uint64_t other = transposed ? along / SG_PIECE_BYTES : line / 8;

		return offset + k * matrix->leading + other * matrix->stride +
		       line % 8 * SG_PIECE_BYTES + along % SG_PIECE_BYTES;
	}
	if (matrix->goes_on && offset % matrix->width + along >= matrix->width) {
		along -= matrix->width - offset % matrix->width;
		offset = matrix->leading;
	}
	offset += line / rows * matrix->stride + line % rows * matrix->width;
	offset += along / matrix->width * matrix->leading + along % matrix->width;
	return offset ^ (((offset >> 7) - matrix->base) & matrix->swizzle) << matrix->atom;
}
