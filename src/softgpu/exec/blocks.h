/*
 * Textures compressed in blocks of 4 x 4 texels: BC1 to BC7, as the Khronos data format
 * specification has them (chapters S3TC, RGTC, BPTC).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum sg_blocks {
	SG_BLOCKS_NONE,
	SG_BLOCKS_BC1,
	SG_BLOCKS_BC2,
	SG_BLOCKS_BC3,
	SG_BLOCKS_BC4,
	SG_BLOCKS_BC4_SIGNED,
	SG_BLOCKS_BC5,
	SG_BLOCKS_BC5_SIGNED,
	SG_BLOCKS_BC6,
	SG_BLOCKS_BC6_SIGNED,
	SG_BLOCKS_BC7,
};

#define SG_BLOCK_SIDE 4u /* texels */

/* Bytes of a block: 8 or 16. */
static inline unsigned sg_blocks_bytes(enum sg_blocks kind)
{
	return kind == SG_BLOCKS_BC1 || kind == SG_BLOCKS_BC4 || kind == SG_BLOCKS_BC4_SIGNED ? 8
											      : 16;
}

static inline unsigned sg_blocks_channels(enum sg_blocks kind)
{
	return kind == SG_BLOCKS_BC4 || kind == SG_BLOCKS_BC4_SIGNED   ? 1
	       : kind == SG_BLOCKS_BC5 || kind == SG_BLOCKS_BC5_SIGNED ? 2
	       : kind == SG_BLOCKS_BC6 || kind == SG_BLOCKS_BC6_SIGNED ? 3
								       : 4;
}

/* Texel number of the block, row by row; channels that the format lacks are 0, the fourth 1. */
void blocks_texel(enum sg_blocks kind, const uint8_t *block, unsigned number, float out[4]);

/* blocks-bptc.c: BC6H and BC7. */
void bptc_half_texel(const uint8_t *block, unsigned number, bool is_signed, float out[4]);
void bptc_texel(const uint8_t *block, unsigned number, float out[4]);
