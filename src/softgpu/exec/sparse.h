/*
 * Where the elements of a sparse A belong (PTX ISA 9.7.14.6, 9.7.15.6): of mma.sp and of
 * wgmma.mma_async.sp, whose warps have 16 rows each. Half of a row is there; a lane or more of each
 * four bring 4 bits, two indices, for the stored half of each chunk. A chunk is 4 elements, 2 of 32
 * bits, or 4 pairs of 4 bits.
 */
#pragma once

#include <stdint.h>

/* The 4 bits of a row's chunk: in which of four lanes' words (those of row % 8), and where. */
struct sparse_place {
	unsigned thread, shift;
};

/* bits: of an element. k: as long as a row would be. selector: the instruction's. */
static inline struct sparse_place sparse_place(
    unsigned bits, unsigned k, uint32_t selector, unsigned row, unsigned chunk)
{
	unsigned chunks = k / (bits == 32 ? 2 : bits == 4 ? 8 : 4);
	unsigned threads = chunks / 4; /* of each four that bring indices */
	unsigned first = selector * threads, upper = row / 8;

	if (bits >= 16) /* a word has 4 chunks of both rows */
		return (struct sparse_place){(first + chunk / 4) % 4, 16 * upper + chunk % 4 * 4};
	return (struct sparse_place){(first + chunk / 8 * 2 + upper) % 4, chunk % 8 * 4};
}

static inline unsigned sparse_chunk(unsigned bits, unsigned stored)
{
	return bits == 32 ? stored : bits == 4 ? stored / 4 : stored / 2;
}

/* The column where a stored element belongs, by its chunk's indices. */
static inline unsigned sparse_column(unsigned bits, unsigned stored, uint32_t indices)
{
	if (bits == 32)
		return stored * 2 + (indices >> 1 & 1);
	if (bits == 4)
		return stored / 4 * 8 + (indices >> stored / 2 % 2 * 2 & 3) * 2 + stored % 2;
	return stored / 2 * 4 + (indices >> stored % 2 * 2 & 3);
}
