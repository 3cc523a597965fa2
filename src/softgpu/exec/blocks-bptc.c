/*
 * BC6H and BC7: a block is cut into up to three parts, each with two ends of a line in colour
 * space, by one of a few modes; integers throughout, and exact.
 */
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/blocks.h"
#include "softgpu/exec/runtime-float.h"

#define TEXELS 16u

/* ---- what both have ---- */

/* By partition, two bits for each texel: its part. */
static const uint32_t halves[64] = {0x50505050, 0x40404040, 0x54545454, 0x54505040, 0x50404000,
    0x55545450, 0x55545040, 0x54504000, 0x50400000, 0x55555450, 0x55544000, 0x54400000, 0x55555440,
    0x55550000, 0x55555500, 0x55000000, 0x55150100, 0x00004054, 0x15010000, 0x00405054, 0x00004050,
    0x15050100, 0x05010000, 0x40505054, 0x00404050, 0x05010100, 0x14141414, 0x05141450, 0x01155440,
    0x00555500, 0x15014054, 0x05414150, 0x44444444, 0x55005500, 0x11441144, 0x05055050, 0x05500550,
    0x11114444, 0x41144114, 0x44111144, 0x15055054, 0x01055040, 0x05041050, 0x05455150, 0x14414114,
    0x50050550, 0x41411414, 0x00141400, 0x00041504, 0x00105410, 0x10541000, 0x04150400, 0x50410514,
    0x41051450, 0x05415014, 0x14054150, 0x41050514, 0x41505014, 0x40011554, 0x54150140, 0x50505500,
    0x00555050, 0x15151010, 0x54540404};
static const uint32_t thirds[64] = {0xaa685050, 0x6a5a5040, 0x5a5a4200, 0x5450a0a8, 0xa5a50000,
    0xa0a05050, 0x5555a0a0, 0x5a5a5050, 0xaa550000, 0xaa555500, 0xaaaa5500, 0x90909090, 0x94949494,
    0xa4a4a4a4, 0xa9a59450, 0x2a0a4250, 0xa5945040, 0x0a425054, 0xa5a5a500, 0x55a0a0a0, 0xa8a85454,
    0x6a6a4040, 0xa4a45000, 0x1a1a0500, 0x0050a4a4, 0xaaa59090, 0x14696914, 0x69691400, 0xa08585a0,
    0xaa821414, 0x50a4a450, 0x6a5a0200, 0xa9a58000, 0x5090a0a8, 0xa8a09050, 0x24242424, 0x00aa5500,
    0x24924924, 0x24499224, 0x50a50a50, 0x500aa550, 0xaaaa4444, 0x66660000, 0xa5a0a5a0, 0x50a050a0,
    0x69286928, 0x44aaaa44, 0x66666600, 0xaa444444, 0x54a854a8, 0x95809580, 0x96969600, 0xa85454a8,
    0x80959580, 0xaa141414, 0x96960000, 0xaaaa1414, 0xa05050a0, 0xa0a5a5a0, 0x96000000, 0x40804080,
    0xa9a8a9a8, 0xaaaaaa44, 0x2a4a5254};

/* The texel of the second half, and of the second and third third, whose highest bit is 0 and left
 * out; of the first part it is the first. */
static const uint8_t half_anchors[64] = {15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 2, 8, 2, 2, 8, 8, 15, 2, 8, 2, 2, 8, 8, 2, 2, 15, 15, 6, 8, 2, 8, 15, 15, 2, 8, 2, 2, 2,
    15, 15, 6, 6, 2, 6, 8, 15, 15, 2, 2, 15, 15, 15, 15, 15, 2, 2, 15};
static const uint8_t third_anchors[2][64] = {
    {3, 3, 15, 15, 8, 3, 15, 15, 8, 8, 6, 6, 6, 5, 3, 3, 3, 3, 8, 15, 3, 3, 6, 10, 5, 8, 8, 6, 8, 5,
	15, 15, 8, 15, 3, 5, 6, 10, 8, 15, 15, 3, 15, 5, 15, 15, 15, 15, 3, 15, 5, 5, 5, 8, 5, 10,
	5, 10, 8, 13, 15, 12, 3, 3},
    {15, 8, 8, 3, 15, 15, 3, 8, 15, 15, 15, 15, 15, 15, 15, 8, 15, 8, 15, 3, 15, 8, 15, 8, 3, 15, 6,
	10, 15, 15, 10, 8, 15, 3, 15, 10, 10, 8, 9, 10, 6, 15, 8, 15, 3, 6, 6, 8, 15, 3, 15, 15, 15,
	15, 15, 15, 15, 15, 15, 15, 3, 15, 15, 8}};

static unsigned part_of(unsigned n_parts, unsigned partition, unsigned number)
{
	const uint32_t *table = n_parts == 3 ? thirds : halves;

	return n_parts == 1 ? 0 : table[partition] >> 2 * number & 3;
}

static bool is_anchor(unsigned n_parts, unsigned partition, unsigned number)
{
	unsigned part = part_of(n_parts, partition, number);

	if (!part)
		return !number;
	return number ==
	       (n_parts == 2 ? half_anchors[partition] : third_anchors[part - 1][partition]);
}

struct bits {
	uint64_t low, high;
	unsigned at;
};

static struct bits bits_of(const uint8_t *block)
{
	struct bits bits = {0};

	memcpy(&bits.low, block, 8);
	memcpy(&bits.high, block + 8, 8);
	return bits;
}

static unsigned take(struct bits *bits, unsigned n)
{
	unsigned at = bits->at, value;

	bits->at += n;
	if (at >= 64)
		value = (unsigned)(bits->high >> (at - 64));
	else
		value = (unsigned)(bits->low >> at | (at ? bits->high << (64 - at) : 0));
	return value & ((1u << n) - 1);
}

/* The number of a texel in a list that begins at bits->at, where anchors have a bit less; the list
 * is passed. */
static unsigned take_index(
    struct bits *bits, unsigned n, unsigned n_parts, unsigned partition, unsigned number)
{
	unsigned found = 0;

	for (unsigned i = 0; i < TEXELS; i++) {
		unsigned index = take(bits, n - is_anchor(n_parts, partition, i));

		found = i == number ? index : found;
	}
	return found;
}

/* Of 64, by index of 2, 3 or 4 bits. */
static unsigned weight(unsigned n_bits, unsigned index)
{
	static const uint8_t weights[3][16] = {{0, 21, 43, 64}, {0, 9, 18, 27, 37, 46, 55, 64},
	    {0, 4, 9, 13, 17, 21, 26, 30, 34, 38, 43, 47, 51, 55, 60, 64}};

	return weights[n_bits - 2][index];
}

static int mix(int a, int b, unsigned of_b)
{
	return (a * (64 - (int)of_b) + b * (int)of_b + 32) >> 6;
}

/* ---- BC7 ---- */

static const struct mode {
	uint8_t n_parts, partition, rotation, selection, colour, alpha, own, shared, index, second;
} modes[] = {
    {3, 4, 0, 0, 4, 0, 1, 0, 3, 0},
    {2, 6, 0, 0, 6, 0, 0, 1, 3, 0},
    {3, 6, 0, 0, 5, 0, 0, 0, 2, 0},
    {2, 6, 0, 0, 7, 0, 1, 0, 2, 0},
    {1, 0, 2, 1, 5, 6, 0, 0, 2, 3},
    {1, 0, 2, 0, 7, 8, 0, 0, 2, 2},
    {1, 0, 0, 0, 7, 7, 1, 0, 4, 0},
    {2, 6, 0, 0, 5, 5, 1, 0, 2, 0},
};

/* ends[2 * part + end][channel], of 8 bits */
typedef uint8_t bptc_ends[6][4];

static uint8_t to_byte(unsigned value, unsigned n_bits)
{
	value <<= 8 - n_bits;
	return (uint8_t)(value | value >> n_bits);
}

static void take_ends(struct bits *bits, const struct mode *mode, bptc_ends ends)
{
	unsigned n = 2u * mode->n_parts, lows[6] = {0}, has_low = mode->own || mode->shared;

	for (unsigned channel = 0; channel < 4; channel++)
		for (unsigned i = 0; i < n; i++)
			ends[i][channel] =
			    (uint8_t)take(bits, channel < 3 ? mode->colour : mode->alpha);
	for (unsigned i = 0; i < n; i++)
		lows[i] = mode->own		     ? take(bits, 1)
			  : mode->shared && !(i % 2) ? take(bits, 1)
			  : mode->shared	     ? lows[i - 1]
						     : 0;
	for (unsigned i = 0; i < n; i++)
		for (unsigned channel = 0; channel < 4; channel++) {
			unsigned n_bits = channel < 3 ? mode->colour : mode->alpha;

			ends[i][channel] =
			    !n_bits   ? 255
			    : has_low ? to_byte(2u * ends[i][channel] | lows[i], n_bits + 1)
				      : to_byte(ends[i][channel], n_bits);
		}
}

void bptc_texel(const uint8_t *block, unsigned number, float out[4])
{
	struct bits bits = bits_of(block);
	unsigned n = block[0] ? (unsigned)__builtin_ctz(block[0]) : 8;
	unsigned partition, rotation, selection, part, colour, alpha;
	const struct mode *mode = &modes[MIN(n, 7u)];
	bptc_ends ends;

	memset(out, 0, 4 * sizeof(*out));
	if (n == 8) /* no mode: black, and transparent */
		return;
	bits.at = n + 1;
	partition = take(&bits, mode->partition);
	rotation = take(&bits, mode->rotation);
	selection = take(&bits, mode->selection);
	take_ends(&bits, mode, ends);
	colour =
	    weight(mode->index, take_index(&bits, mode->index, mode->n_parts, partition, number));
	alpha = colour;
	if (mode->second)
		alpha = weight(mode->second, take_index(&bits, mode->second, 1, 0, number));
	if (selection) {
		unsigned other = colour;

		colour = alpha;
		alpha = other;
	}
	part = part_of(mode->n_parts, partition, number);
	for (unsigned i = 0; i < 4; i++)
		out[i] =
		    (float)mix(ends[2 * part][i], ends[2 * part + 1][i], i < 3 ? colour : alpha) /
		    255;
	if (rotation) {
		float other = out[3];

		out[3] = out[rotation - 1];
		out[rotation - 1] = other;
	}
}

/* ---- BC6H ---- */

/* Where a mode's bits lie: channel and end (R0 is the first part's first end's red), its lowest bit
 * and how many; a negative number runs from the highest bit given downwards. */
enum { R0, R1, R2, R3, G0, G1, G2, G3, B0, B1, B2, B3 };

struct piece {
	uint8_t end, low;
	int8_t n;
};

/* The ends behind the first are distances from it, where is_delta says so. */
static const struct half_mode {
	uint8_t number, number_bits, n_parts, is_delta, bits[4]; /* of the first end, red, green,
								    blue of the others */
	struct piece pieces[28];
} half_modes[] = {
    {0, 2, 2, 1, {10, 5, 5, 5},
	{{G2, 4, 1}, {B2, 4, 1}, {B3, 4, 1}, {R0, 0, 10}, {G0, 0, 10}, {B0, 0, 10}, {R1, 0, 5},
	    {G3, 4, 1}, {G2, 0, 4}, {G1, 0, 5}, {B3, 0, 1}, {G3, 0, 4}, {B1, 0, 5}, {B3, 1, 1},
	    {B2, 0, 4}, {R2, 0, 5}, {B3, 2, 1}, {R3, 0, 5}, {B3, 3, 1}}},
    {1, 2, 2, 1, {7, 6, 6, 6},
	{{G2, 5, 1}, {G3, 4, 1}, {G3, 5, 1}, {R0, 0, 7}, {B3, 0, 1}, {B3, 1, 1}, {B2, 4, 1},
	    {G0, 0, 7}, {B2, 5, 1}, {B3, 2, 1}, {G2, 4, 1}, {B0, 0, 7}, {B3, 3, 1}, {B3, 5, 1},
	    {B3, 4, 1}, {R1, 0, 6}, {G2, 0, 4}, {G1, 0, 6}, {G3, 0, 4}, {B1, 0, 6}, {B2, 0, 4},
	    {R2, 0, 6}, {R3, 0, 6}}},
    {2, 5, 2, 1, {11, 5, 4, 4},
	{{R0, 0, 10}, {G0, 0, 10}, {B0, 0, 10}, {R1, 0, 5}, {R0, 10, 1}, {G2, 0, 4}, {G1, 0, 4},
	    {G0, 10, 1}, {B3, 0, 1}, {G3, 0, 4}, {B1, 0, 4}, {B0, 10, 1}, {B3, 1, 1}, {B2, 0, 4},
	    {R2, 0, 5}, {B3, 2, 1}, {R3, 0, 5}, {B3, 3, 1}}},
    {6, 5, 2, 1, {11, 4, 5, 4},
	{{R0, 0, 10}, {G0, 0, 10}, {B0, 0, 10}, {R1, 0, 4}, {R0, 10, 1}, {G3, 4, 1}, {G2, 0, 4},
	    {G1, 0, 5}, {G0, 10, 1}, {G3, 0, 4}, {B1, 0, 4}, {B0, 10, 1}, {B3, 1, 1}, {B2, 0, 4},
	    {R2, 0, 4}, {B3, 0, 1}, {B3, 2, 1}, {R3, 0, 4}, {G2, 4, 1}, {B3, 3, 1}}},
    {10, 5, 2, 1, {11, 4, 4, 5},
	{{R0, 0, 10}, {G0, 0, 10}, {B0, 0, 10}, {R1, 0, 4}, {R0, 10, 1}, {B2, 4, 1}, {G2, 0, 4},
	    {G1, 0, 4}, {G0, 10, 1}, {B3, 0, 1}, {G3, 0, 4}, {B1, 0, 5}, {B0, 10, 1}, {B2, 0, 4},
	    {R2, 0, 4}, {B3, 1, 1}, {B3, 2, 1}, {R3, 0, 4}, {B3, 4, 1}, {B3, 3, 1}}},
    {14, 5, 2, 1, {9, 5, 5, 5},
	{{R0, 0, 9}, {B2, 4, 1}, {G0, 0, 9}, {G2, 4, 1}, {B0, 0, 9}, {B3, 4, 1}, {R1, 0, 5},
	    {G3, 4, 1}, {G2, 0, 4}, {G1, 0, 5}, {B3, 0, 1}, {G3, 0, 4}, {B1, 0, 5}, {B3, 1, 1},
	    {B2, 0, 4}, {R2, 0, 5}, {B3, 2, 1}, {R3, 0, 5}, {B3, 3, 1}}},
    {18, 5, 2, 1, {8, 6, 5, 5},
	{{R0, 0, 8}, {G3, 4, 1}, {B2, 4, 1}, {G0, 0, 8}, {B3, 2, 1}, {G2, 4, 1}, {B0, 0, 8},
	    {B3, 3, 1}, {B3, 4, 1}, {R1, 0, 6}, {G2, 0, 4}, {G1, 0, 5}, {B3, 0, 1}, {G3, 0, 4},
	    {B1, 0, 5}, {B3, 1, 1}, {B2, 0, 4}, {R2, 0, 6}, {R3, 0, 6}}},
    {22, 5, 2, 1, {8, 5, 6, 5},
	{{R0, 0, 8}, {B3, 0, 1}, {B2, 4, 1}, {G0, 0, 8}, {G2, 5, 1}, {G2, 4, 1}, {B0, 0, 8},
	    {G3, 5, 1}, {B3, 4, 1}, {R1, 0, 5}, {G3, 4, 1}, {G2, 0, 4}, {G1, 0, 6}, {G3, 0, 4},
	    {B1, 0, 5}, {B3, 1, 1}, {B2, 0, 4}, {R2, 0, 5}, {B3, 2, 1}, {R3, 0, 5}, {B3, 3, 1}}},
    {26, 5, 2, 1, {8, 5, 5, 6},
	{{R0, 0, 8}, {B3, 1, 1}, {B2, 4, 1}, {G0, 0, 8}, {B2, 5, 1}, {G2, 4, 1}, {B0, 0, 8},
	    {B3, 5, 1}, {B3, 4, 1}, {R1, 0, 5}, {G3, 4, 1}, {G2, 0, 4}, {G1, 0, 5}, {B3, 0, 1},
	    {G3, 0, 4}, {B1, 0, 6}, {B2, 0, 4}, {R2, 0, 5}, {B3, 2, 1}, {R3, 0, 5}, {B3, 3, 1}}},
    {30, 5, 2, 0, {6, 6, 6, 6},
	{{R0, 0, 6}, {G3, 4, 1}, {B3, 0, 1}, {B3, 1, 1}, {B2, 4, 1}, {G0, 0, 6}, {G2, 5, 1},
	    {B2, 5, 1}, {B3, 2, 1}, {G2, 4, 1}, {B0, 0, 6}, {G3, 5, 1}, {B3, 3, 1}, {B3, 5, 1},
	    {B3, 4, 1}, {R1, 0, 6}, {G2, 0, 4}, {G1, 0, 6}, {G3, 0, 4}, {B1, 0, 6}, {B2, 0, 4},
	    {R2, 0, 6}, {R3, 0, 6}}},
    {3, 5, 1, 0, {10, 10, 10, 10},
	{{R0, 0, 10}, {G0, 0, 10}, {B0, 0, 10}, {R1, 0, 10}, {G1, 0, 10}, {B1, 0, 10}}},
    {7, 5, 1, 1, {11, 9, 9, 9},
	{{R0, 0, 10}, {G0, 0, 10}, {B0, 0, 10}, {R1, 0, 9}, {R0, 10, 1}, {G1, 0, 9}, {G0, 10, 1},
	    {B1, 0, 9}, {B0, 10, 1}}},
    {11, 5, 1, 1, {12, 8, 8, 8},
	{{R0, 0, 10}, {G0, 0, 10}, {B0, 0, 10}, {R1, 0, 8}, {R0, 11, -2}, {G1, 0, 8}, {G0, 11, -2},
	    {B1, 0, 8}, {B0, 11, -2}}},
    {15, 5, 1, 1, {16, 4, 4, 4},
	{{R0, 0, 10}, {G0, 0, 10}, {B0, 0, 10}, {R1, 0, 4}, {R0, 15, -6}, {G1, 0, 4}, {G0, 15, -6},
	    {B1, 0, 4}, {B0, 15, -6}}},
};

/* NULL: none of them. */
static const struct half_mode *half_mode_of(const uint8_t *block)
{
	for (unsigned i = 0; i < ARRAY_SIZE(half_modes); i++)
		if ((block[0] & ((1u << half_modes[i].number_bits) - 1)) == half_modes[i].number)
			return &half_modes[i];
	return NULL;
}

static void take_pieces(struct bits *bits, const struct half_mode *mode, int ends[12])
{
	memset(ends, 0, 12 * sizeof(*ends));
	for (const struct piece *piece = mode->pieces; piece->n; piece++) {
		if (piece->n > 0)
			ends[piece->end] |= (int)take(bits, (unsigned)piece->n) << piece->low;
		for (int i = 0; i < -piece->n; i++)
			ends[piece->end] |= (int)take(bits, 1) << (piece->low - i);
	}
}

static int sign_extended(int value, unsigned n_bits)
{
	return (int)((unsigned)value << (32 - n_bits)) >> (32 - n_bits);
}

/* Ends as numbers of the first one's bits. */
static void add_deltas(const struct half_mode *mode, bool is_signed, int ends[12])
{
	unsigned n_bits = mode->bits[0];

	for (unsigned channel = 0; channel < 3; channel++) {
		int *of = &ends[4 * channel];

		if (is_signed)
			of[0] = sign_extended(of[0], n_bits);
		for (unsigned i = 1; i < 2u * mode->n_parts; i++) {
			if (is_signed || mode->is_delta)
				of[i] = sign_extended(of[i], mode->bits[channel + 1]);
			if (!mode->is_delta)
				continue;
			of[i] = (of[i] + of[0]) & ((1 << n_bits) - 1);
			if (is_signed)
				of[i] = sign_extended(of[i], n_bits);
		}
	}
}

/* To 16 bits, or 15 and a sign. */
static int unquantized(int value, unsigned n_bits, bool is_signed)
{
	int top = 1 << n_bits, magnitude = value < 0 ? -value : value;

	if (!is_signed)
		return n_bits >= 15 || !value ? value
		       : value == top - 1     ? 0xffff
					      : ((value << 16) + 0x8000) >> n_bits;
	if (n_bits < 16 && magnitude)
		magnitude = magnitude >= top / 2 - 1 ? 0x7fff
						     : ((magnitude << 15) + 0x4000) >> (n_bits - 1);
	return value < 0 ? -magnitude : magnitude;
}

/* To the bits of a half, so that the greatest is the greatest finite one. */
static uint16_t half_bits(int value, bool is_signed)
{
	if (!is_signed)
		return (uint16_t)(value * 31 >> 6);
	return value < 0 ? (uint16_t)(0x8000 | -value * 31 >> 5) : (uint16_t)(value * 31 >> 5);
}

void bptc_half_texel(const uint8_t *block, unsigned number, bool is_signed, float out[4])
{
	const struct half_mode *mode = half_mode_of(block);
	struct bits bits = bits_of(block);
	unsigned partition = 0, index_bits, part, share;
	int ends[12];

	if (!mode)
		return;
	bits.at = mode->number_bits;
	take_pieces(&bits, mode, ends);
	add_deltas(mode, is_signed, ends);
	if (mode->n_parts > 1)
		partition = take(&bits, 5);
	index_bits = mode->n_parts > 1 ? 3 : 4;
	share = weight(index_bits, take_index(&bits, index_bits, mode->n_parts, partition, number));
	part = part_of(mode->n_parts, partition, number);
	for (unsigned i = 0; i < 3; i++) {
		int a = unquantized(ends[4 * i + 2 * part], mode->bits[0], is_signed);
		int b = unquantized(ends[4 * i + 2 * part + 1], mode->bits[0], is_signed);

		out[i] = (float)runtime_f16(half_bits(mix(a, b, share), is_signed));
	}
}
