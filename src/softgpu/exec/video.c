/*
 * Scalar video instructions (PTX ISA 9.7.17): bytes, halves or words of a and b, an operation in
 * more bits than any result has, saturation, and what becomes of it and c.
 */
#include "softgpu/exec/entries.h"
#include "softgpu/ptx/ptx.h"

struct piece {
	unsigned shift, bits;
};

static struct piece piece_of(uint32_t part)
{
	if (part >= PTX_PART_H0)
		return (struct piece){16 * (part - PTX_PART_H0), 16};
	return part ? (struct piece){8 * (part - PTX_PART_B0), 8} : (struct piece){0, 32};
}

static int64_t select_part(uint32_t value, uint32_t part, bool is_signed)
{
	struct piece piece = piece_of(part);
	uint32_t top = value << (32 - piece.bits - piece.shift);

	return is_signed ? (int64_t)((int32_t)top >> (32 - piece.bits))
			 : (int64_t)(top >> (32 - piece.bits));
}

static int64_t multiply(union sg_part part, int64_t a, int64_t b, uint32_t c)
{
	__int128 product = (__int128)a * b, result;
	bool adds_one = part.plus_one || part.c_negated;

	if (part.c_negated)
		c = ~c;
	if (part.product_negated)
		product = -product;
	result = (product + (part.d_signed ? (int32_t)c : (int64_t)c) + adds_one) >> part.scale;
	if (part.saturate && result > INT64_MAX)
		return INT64_MAX;
	return (int64_t)result;
}

static int64_t compute(union sg_part part, int64_t a, int64_t b, uint32_t c)
{
	unsigned count = (unsigned)(part.wrap ? b & 31 : b > 32 ? 32 : b);

	switch (part.operation) {
	case SG_PART_ADD:
		return a + b;
	case SG_PART_SUB:
		return a - b;
	case SG_PART_ABSDIFF:
		return a < b ? b - a : a - b;
	case SG_PART_MIN:
		return a < b ? a : b;
	case SG_PART_MAX:
		return a > b ? a : b;
	case SG_PART_SHL:
		return (int64_t)((uint64_t)a << count);
	case SG_PART_SHR:
		return a >> count;
	case SG_PART_MAD:
		return multiply(part, a, b, c);
	case SG_PART_SET:
		return a == b;
	case SG_PART_SET + 1:
		return a != b;
	case SG_PART_SET + 2:
		return a < b;
	case SG_PART_SET + 3:
		return a <= b;
	case SG_PART_SET + 4:
		return a > b;
	default:
		return a >= b;
	}
}

/* To the range of the part that is the result, by the sign of its type. */
static int64_t saturate(union sg_part part, int64_t value)
{
	unsigned bits = piece_of(part.d_part).bits;
	int64_t high = ((int64_t)1 << (part.d_signed ? bits - 1 : bits)) - 1;
	int64_t low = part.d_signed ? -high - 1 : 0;

	return value > high ? high : value < low ? low : value;
}

static uint32_t combine(union sg_part part, uint32_t value, uint32_t c)
{
	struct piece piece = piece_of(part.d_part);
	uint32_t mask = (UINT32_MAX >> (32 - piece.bits)) << piece.shift;
	bool less = part.d_signed ? (int32_t)value < (int32_t)c : value < c;

	switch (part.second) {
	case SG_SECOND_ADD:
		return value + c;
	case SG_SECOND_MIN:
		return less ? value : c;
	case SG_SECOND_MAX:
		return less ? c : value;
	case SG_SECOND_MERGE:
		return (value << piece.shift & mask) | (c & ~mask);
	default:
		return value;
	}
}

uint32_t sg_video_part(uint32_t bits, uint32_t a, uint32_t b, uint32_t c)
{
	union sg_part part = {.bits = bits};
	int64_t value = compute(part, select_part(a, part.a_part, part.a_signed),
	    select_part(b, part.b_part, part.b_signed), c);

	if (part.saturate)
		value = saturate(part, value);
	return combine(part, (uint32_t)value, c);
}
