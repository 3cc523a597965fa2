/*
 * BC1 to BC5: a block holds two ends of a line and, for each texel, which of a few points on it is
 * meant. The specification leaves open how exactly points are computed; here they are where an H200
 * has them, which differs from even parts by up to 3 % of the line. Colours, and BC3's alpha, have
 * eight bits in the end.
 */
#include "softgpu/exec/blocks.h"

#include <math.h>
#include <string.h>

#include "base/util.h"

/* ---- lines of one channel: BC4, BC5, BC3's alpha ---- */

static uint64_t little_endian(const uint8_t *at, unsigned bytes)
{
	uint64_t bits = 0;

	memcpy(&bits, at, bytes);
	return bits;
}

static float end_of(uint8_t bits, bool is_signed)
{
	/* The least value has no counterpart and is -1 too. */
	return is_signed ? (float)MAX((int8_t)bits, -127) / 127 : (float)bits / 255;
}

/* Two ends of 8 bits, 16 numbers of 3. Where the first end is not the greater, the least and the
 * greatest value are among the points. */
static float line_texel(const uint8_t *block, unsigned number, bool is_signed)
{
	/* The second end's share, of so many. */
	static const uint8_t shares[2][2][8] = {
	    {{0, 0, 48, 96, 161, 209}, {0, 0, 36, 72, 113, 144, 185, 221}},
	    {{0, 0, 8, 16, 27, 35}, {0, 0, 6, 12, 19, 24, 31, 37}}};
	static const float wholes[2] = {257, 43};
	unsigned index = little_endian(block + 2, 6) >> 3 * number & 7;
	float a = end_of(block[0], is_signed), b = end_of(block[1], is_signed);
	bool is_greater = is_signed ? (int8_t)block[0] > (int8_t)block[1] : block[0] > block[1];

	if (index < 2)
		return index ? b : a;
	if (!is_greater && index > 5)
		return index == 7 ? 1 : is_signed ? -1 : 0;
	return a + (b - a) * shares[is_signed][is_greater][index] / wholes[is_signed];
}

/* ---- lines of colours: BC1, BC2, BC3 ---- */

/* Of 5, 6 and 5 bits, red highest; as numbers of 8. */
static void colour_of(unsigned bits, unsigned out[3])
{
	unsigned red = bits >> 11, green = bits >> 5 & 63, blue = bits & 31;

	out[0] = red << 3 | red >> 2;
	out[1] = green << 2 | green >> 4;
	out[2] = blue << 3 | blue >> 2;
}

/* The second end's share of a point, in 48ths; green has its own. */
static unsigned colour_share(unsigned index, bool is_halved, bool is_green)
{
	static const uint8_t shares[2][4] = {{0, 48, 16, 32}, {0, 48, 15, 33}};

	return is_halved && index == 2 ? 24 : shares[is_green][index];
}

/* is_plain: never has a point that is transparent. */
static void colour_texel(const uint8_t *block, unsigned number, bool is_plain, float out[4])
{
	unsigned first = (unsigned)little_endian(block, 2);
	unsigned second = (unsigned)little_endian(block + 2, 2);
	unsigned index = little_endian(block + 4, 4) >> 2 * number & 3;
	bool is_halved = !is_plain && first <= second;
	unsigned a[3], b[3];

	out[3] = 1;
	if (is_halved && index == 3) {
		memset(out, 0, 4 * sizeof(*out));
		return;
	}
	colour_of(first, a);
	colour_of(second, b);
	for (unsigned i = 0; i < 3; i++) {
		unsigned share = colour_share(index, is_halved, i == 1);

		out[i] = (float)(((48 - share) * a[i] + share * b[i] + 23) / 48) / 255;
	}
}

void blocks_texel(enum sg_blocks kind, const uint8_t *block, unsigned number, float out[4])
{
	bool is_signed = kind == SG_BLOCKS_BC4_SIGNED || kind == SG_BLOCKS_BC5_SIGNED ||
			 kind == SG_BLOCKS_BC6_SIGNED;

	out[0] = out[1] = out[2] = 0;
	out[3] = 1;
	switch (kind) {
	case SG_BLOCKS_BC1:
		colour_texel(block, number, false, out);
		return;
	case SG_BLOCKS_BC2:
		colour_texel(block + 8, number, true, out);
		out[3] = (float)(little_endian(block, 8) >> 4 * number & 15) / 15;
		return;
	case SG_BLOCKS_BC3:
		colour_texel(block + 8, number, true, out);
		out[3] = ceilf(line_texel(block, number, false) * 255 - 0.5f) / 255;
		return;
	case SG_BLOCKS_BC5:
	case SG_BLOCKS_BC5_SIGNED:
		out[1] = line_texel(block + 8, number, is_signed);
		/* fallthrough */
	case SG_BLOCKS_BC4:
	case SG_BLOCKS_BC4_SIGNED:
		out[0] = line_texel(block, number, is_signed);
		return;
	case SG_BLOCKS_BC6:
	case SG_BLOCKS_BC6_SIGNED:
		bptc_half_texel(block, number, is_signed, out);
		return;
	case SG_BLOCKS_BC7:
		bptc_texel(block, number, out);
		return;
	case SG_BLOCKS_NONE:
		return;
	}
}
