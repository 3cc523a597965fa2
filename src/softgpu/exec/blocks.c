/*
 * BC1 to BC5: a block holds two ends of a line and, for each texel, which of a few points on it is
 * meant. Points are computed in float; the hardware may differ in the last of eight bits.
 */
#include "softgpu/exec/blocks.h"

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
	unsigned index = little_endian(block + 2, 6) >> 3 * number & 7;
	float a = end_of(block[0], is_signed), b = end_of(block[1], is_signed);
	bool is_greater = is_signed ? (int8_t)block[0] > (int8_t)block[1] : block[0] > block[1];
	unsigned parts = is_greater ? 7 : 5;

	if (index < 2)
		return index ? b : a;
	if (index > parts)
		return index == 7 ? 1 : is_signed ? -1 : 0;
	return ((float)(parts + 1 - index) * a + (float)(index - 1) * b) / (float)parts;
}

/* ---- lines of colours: BC1, BC2, BC3 ---- */

/* Of 5, 6 and 5 bits, red highest. */
static void colour_of(unsigned bits, float out[3])
{
	out[0] = (float)(bits >> 11) / 31;
	out[1] = (float)(bits >> 5 & 63) / 63;
	out[2] = (float)(bits & 31) / 31;
}

/* is_plain: never has a point that is transparent. */
static void colour_texel(const uint8_t *block, unsigned number, bool is_plain, float out[4])
{
	unsigned first = (unsigned)little_endian(block, 2);
	unsigned second = (unsigned)little_endian(block + 2, 2);
	unsigned index = little_endian(block + 4, 4) >> 2 * number & 3;
	float a[3], b[3];
	/* Of the second end, in sixths. */
	unsigned share = index < 2 ? 6 * index : 2 * (index - 1);

	colour_of(first, a);
	colour_of(second, b);
	out[3] = 1;
	if (!is_plain && first <= second && index >= 2) {
		share = 3;
		if (index == 3) {
			memset(out, 0, 4 * sizeof(*out));
			return;
		}
	}
	for (unsigned i = 0; i < 3; i++)
		out[i] = ((float)(6 - share) * a[i] + (float)share * b[i]) / 6;
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
		out[3] = line_texel(block, number, false);
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
