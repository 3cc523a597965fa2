/*
 * Float operations the host has no instruction for: directed roundings, f16, bf16 and fp8.
 *
 * Directed roundings set the processor's mode around one operation. Narrow formats are rounded from
 * double in one step by encode(); an fma in double is first rounded to odd, which makes the second
 * rounding come out as if there had been one only (Boldo and Melquiond).
 */
#include "softgpu/exec/runtime-float.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <xmmintrin.h>

#include "base/util.h"
#include "softgpu/exec/lane.h"

#define MXCSR_ROUNDING 0x6000u

enum mode { NEAREST, ZERO, DOWN, UP, AWAY };

static unsigned set_rounding(unsigned mode)
{
	static const unsigned bits[] = {0x0000, 0x6000, 0x2000, 0x4000};
	unsigned old = _mm_getcsr();

	_mm_setcsr((old & ~MXCSR_ROUNDING) | bits[mode & 3]);
	return old;
}

/* The operands and the result pass through volatile: nothing moves across the mode's change. */
#define ROUNDED(type, expression)                                                                  \
	({                                                                                         \
		unsigned rounded_old = set_rounding(mode);                                         \
		volatile type rounded_result = (expression);                                       \
		_mm_setcsr(rounded_old);                                                           \
		rounded_result;                                                                    \
	})

#define BINARY(name, type, suffix, operator)                                                       \
	type sg_##name##_##suffix(uint32_t mode, type x, type y)                                   \
	{                                                                                          \
		volatile type a = x, b = y;                                                        \
		return ROUNDED(type, a operator b);                                                \
	}
#define ALL(type, suffix, fma_function, sqrt_function)                                             \
	BINARY(add, type, suffix, +)                                                               \
	BINARY(sub, type, suffix, -)                                                               \
	BINARY(mul, type, suffix, *)                                                               \
	BINARY(div, type, suffix, /)                                                               \
	type sg_fma_##suffix(uint32_t mode, type x, type y, type z)                                \
	{                                                                                          \
		volatile type a = x, b = y, c = z;                                                 \
		return ROUNDED(type, fma_function(a, b, c));                                       \
	}                                                                                          \
	type sg_sqrt_##suffix(uint32_t mode, type x)                                               \
	{                                                                                          \
		volatile type a = x;                                                               \
		return ROUNDED(type, sqrt_function(a));                                            \
	}                                                                                          \
	type sg_itof_##suffix(uint32_t mode, int64_t x)                                            \
	{                                                                                          \
		volatile int64_t a = x;                                                            \
		return ROUNDED(type, (type)a);                                                     \
	}                                                                                          \
	/* From 2^63 on: half of it, what falls off kept as a sticky bit, converts as signed. */   \
	type sg_utof_##suffix(uint32_t mode, uint64_t x)                                           \
	{                                                                                          \
		if (x <= INT64_MAX)                                                                \
			return sg_itof_##suffix(mode, (int64_t)x);                                 \
		return 2 * sg_itof_##suffix(mode, (int64_t)(x >> 1 | (x & 1)));                    \
	}

ALL(float, f32, fmaf, sqrtf)
ALL(double, f64, fma, sqrt)

float sg_to_f32(uint32_t mode, double x)
{
	volatile double a = x;

	return ROUNDED(float, (float)a);
}

/* A binary format of at most 16 bits. */
struct format {
	int mantissa_bits, bias;
	uint32_t max_finite, infinity, nan;
};

static const struct format f16 = {10, 15, 0x7bff, 0x7c00, 0x7fff};
static const struct format bf16 = {7, 127, 0x7f7f, 0x7f80, 0x7fff};
static const struct format e4m3 = {3, 7, 0x7e, 0x7f, 0x7f}; /* no infinity; 0x7f is NaN */
static const struct format e5m2 = {2, 15, 0x7b, 0x7c, 0x7f};

static bool rounds_up(uint64_t kept, uint64_t rest, uint64_t half, bool negative, enum mode mode)
{
	switch (mode) {
	case NEAREST:
		return rest > half || (rest == half && (kept & 1));
	case AWAY:
		return rest >= half;
	case DOWN:
		return negative && rest;
	case UP:
		return !negative && rest;
	default:
		return false;
	}
}

static uint32_t overflow(const struct format *format, bool negative, enum mode mode, bool saturate)
{
	bool to_finite = mode == ZERO || (mode == DOWN && !negative) || (mode == UP && negative);

	return saturate || to_finite ? format->max_finite : format->infinity;
}

/* The magnitude's bits; the caller adds the sign. */
static uint32_t encode(const struct format *format, double x, enum mode mode, bool saturate)
{
	bool negative = signbit(x);
	uint64_t bits, significand, kept, unit;
	int exponent, drop;

	if (isnan(x))
		return format->nan;
	if (isinf(x))
		return saturate ? format->max_finite : format->infinity;
	memcpy(&bits, &x, sizeof(bits));
	bits &= INT64_MAX;
	exponent = (int)(bits >> 52) - 1023 + format->bias;
	significand = (bits & ((UINT64_C(1) << 52) - 1)) | (bits >> 52 ? UINT64_C(1) << 52 : 0);
	drop = 52 - format->mantissa_bits + (exponent < 1 ? 1 - exponent : 0);
	if (drop > 63) {
		significand = significand != 0;
		drop = 63;
	}
	unit = UINT64_C(1) << drop;
	kept = significand >> drop;
	kept += rounds_up(kept, significand & (unit - 1), unit / 2, negative, mode);
	if (exponent > 1)
		kept += (uint64_t)(exponent - 1) << format->mantissa_bits;
	if (kept > format->max_finite)
		return overflow(format, negative, mode, saturate);
	return (uint32_t)kept;
}

/*
 * Stochastic rounding: up in magnitude where what falls off and a random number of n bits below 1
 * make 1 together. What comes of it is a number of the format, or too large for it.
 */
static double round_randomly(const struct format *format, double x, uint32_t random, unsigned n)
{
	double unit, units, whole;
	int exponent;

	if (!isfinite(x))
		return x;
	frexp(x, &exponent);
	unit = ldexp(1, MAX(exponent, 2 - format->bias) - 1 - format->mantissa_bits);
	units = fabs(x) / unit;
	whole = floor(units);
	whole += units - whole + ldexp(random, -(int)n) >= 1;
	return copysign(whole * unit, x);
}

static uint16_t encode16(const struct format *format, double x, uint32_t flags)
{
	bool saturate = flags & 8;

	if (isnan(x))
		return (uint16_t)format->nan;
	return (uint16_t)(encode(format, x, (enum mode)(flags & 7), saturate) |
			  (signbit(x) ? 0x8000 : 0));
}

uint16_t sg_to_f16(uint32_t flags, double x)
{
	return encode16(&f16, x, flags);
}

uint16_t sg_to_bf16(uint32_t flags, double x)
{
	return encode16(&bf16, x, flags);
}

uint16_t sg_to_f16_randomly(uint32_t flags, float x, uint32_t random)
{
	return encode16(&f16, round_randomly(&f16, x, random & 0x1fff, 13), flags);
}

uint16_t sg_to_bf16_randomly(uint32_t flags, float x, uint32_t random)
{
	return encode16(&bf16, round_randomly(&bf16, x, random & 0xffff, 16), flags);
}

static double decode(
    const struct format *format, uint32_t magnitude, bool negative, bool has_infinity)
{
	int exponent = (int)(magnitude >> format->mantissa_bits);
	uint32_t mantissa = magnitude & ((1u << format->mantissa_bits) - 1);
	double x;

	if (has_infinity && magnitude >= format->infinity)
		x = magnitude == format->infinity ? INFINITY : NAN;
	else if (!has_infinity && magnitude == format->nan)
		x = NAN;
	else if (exponent)
		x = ldexp((double)(mantissa | 1u << format->mantissa_bits),
		    exponent - format->bias - format->mantissa_bits);
	else
		x = ldexp((double)mantissa, 1 - format->bias - format->mantissa_bits);
	return negative ? -x : x;
}

double runtime_f16(uint16_t bits)
{
	return decode(&f16, bits & 0x7fff, bits >> 15, true);
}

double runtime_bf16(uint16_t bits)
{
	return decode(&bf16, bits & 0x7fff, bits >> 15, true);
}

/* a * b is exact in double for 8 or 11 bits of significand; the sum is rounded to odd. */
static double fma_to_odd(double a, double b, double c)
{
	volatile double product = a * b, sum = product + c;
	double from_c = sum - product;
	double error = (product - (sum - from_c)) + (c - from_c);
	uint64_t bits;
	double result = sum;

	memcpy(&bits, &result, sizeof(bits));
	if (!isfinite(result) || error == 0 || (bits & 1))
		return result;
	bits += (error > 0) == (result > 0) ? 1 : (uint64_t)-1;
	memcpy(&result, &bits, sizeof(result));
	return result;
}

static double clamp(double x, uint32_t flags)
{
	if (flags & 2)
		return x > 0 ? (x < 1 ? x : 1) : 0;
	return (flags & 1) && x < 0 ? 0 : x;
}

/* flags: 1 .relu, 2 .sat */
uint16_t sg_fma_f16(uint32_t flags, uint16_t a, uint16_t b, uint16_t c)
{
	return encode16(&f16,
	    clamp(fma_to_odd(runtime_f16(a), runtime_f16(b), runtime_f16(c)), flags), NEAREST);
}

uint16_t sg_fma_bf16(uint32_t flags, uint16_t a, uint16_t b, uint16_t c)
{
	return encode16(&bf16,
	    clamp(fma_to_odd(runtime_bf16(a), runtime_bf16(b), runtime_bf16(c)), flags), NEAREST);
}

/* flags: mode, 4 = to nearest, ties away; 8 .satfinite; 16 .relu. 13 bits of the significand go. */
uint32_t sg_to_tf32(uint32_t flags, float x)
{
	uint32_t bits, magnitude, kept;
	enum mode mode = (enum mode)(flags & 7);

	memcpy(&bits, &x, sizeof(bits));
	magnitude = bits & 0x7fffffff;
	if (magnitude > 0x7f800000)
		return 0x7fffffff;
	if ((flags & 16) && x < 0)
		return 0;
	if (magnitude == 0x7f800000)
		return flags & 8 ? (bits & 0x80000000) | 0x7f7fe000 : bits;
	kept = magnitude >> 13;
	kept += rounds_up(kept, magnitude & 0x1fff, 0x1000, bits >> 31, mode);
	if (kept >= 0x7f800000 >> 13 && (flags & 8))
		kept = 0x7f7fe000 >> 13;
	return (bits & 0x80000000) | kept << 13;
}

static uint8_t to_fp8(const struct format *format, double x, bool relu)
{
	if (isnan(x))
		return (uint8_t)format->nan;
	if (relu && x < 0)
		return 0;
	return (uint8_t)(encode(format, x, NEAREST, true) | (signbit(x) ? 0x80 : 0));
}

static uint16_t pair_to_fp8(const struct format *format, uint32_t relu, double high, double low)
{
	return (uint16_t)(to_fp8(format, high, relu) << 8 | to_fp8(format, low, relu));
}

uint16_t sg_to_e4m3x2(uint32_t relu, float high, float low)
{
	return pair_to_fp8(&e4m3, relu, high, low);
}

uint16_t sg_to_e5m2x2(uint32_t relu, float high, float low)
{
	return pair_to_fp8(&e5m2, relu, high, low);
}

uint16_t sg_f16x2_to_e4m3x2(uint32_t relu, uint32_t x)
{
	return pair_to_fp8(&e4m3, relu, runtime_f16((uint16_t)(x >> 16)), runtime_f16((uint16_t)x));
}

uint16_t sg_f16x2_to_e5m2x2(uint32_t relu, uint32_t x)
{
	return pair_to_fp8(&e5m2, relu, runtime_f16((uint16_t)(x >> 16)), runtime_f16((uint16_t)x));
}

static uint32_t fp8_to_pair(
    const struct format *format, bool has_infinity, uint32_t relu, uint16_t x)
{
	uint32_t pair = 0;

	for (unsigned i = 0; i < 2; i++) {
		uint32_t byte = x >> 8 * i & 0xff;
		double value = decode(format, byte & 0x7f, byte >> 7, has_infinity);

		if (relu && value < 0)
			value = 0;
		pair |= (uint32_t)encode16(&f16, value, NEAREST) << 16 * i;
	}
	return pair;
}

uint32_t sg_e4m3x2_to_f16x2(uint32_t relu, uint16_t x)
{
	return fp8_to_pair(&e4m3, false, relu, x);
}

uint32_t sg_e5m2x2_to_f16x2(uint32_t relu, uint16_t x)
{
	return fp8_to_pair(&e5m2, true, relu, x);
}

static const struct {
	struct format format;
	unsigned bits, step; /* of a value, with its sign; between the two */
} narrow[] = {
    [SG_FORMAT_E2M1] = {{1, 1, 0x7, 0x8, 0x8}, 4, 4},
    [SG_FORMAT_E2M3] = {{3, 1, 0x1f, 0x20, 0x20}, 6, 8},
    [SG_FORMAT_E3M2] = {{2, 3, 0x1f, 0x20, 0x20}, 6, 8},
};

static uint32_t to_narrow(uint32_t format, bool relu, double x)
{
	uint32_t sign = signbit(x) ? 1u << (narrow[format].bits - 1) : 0;

	if (isnan(x))
		return narrow[format].format.max_finite;
	if (relu && sign)
		return 0;
	return encode(&narrow[format].format, x, NEAREST, true) | sign;
}

uint32_t sg_to_narrow(uint32_t format, uint32_t relu, float high, float low)
{
	return to_narrow(format, relu, high) << narrow[format].step | to_narrow(format, relu, low);
}

/*
 * The random bits of one of four values, of which the first operand's is number 3. Two share 16
 * bits, a half of the word, or of 4-bit values a byte of each half; the upper of the two, by its
 * place in the result, has them in reverse.
 */
static uint32_t random_part(uint32_t format, uint32_t random, unsigned number)
{
	unsigned pair = number / 2;
	uint32_t part = random >> 16 * pair & 0xffff, reversed = 0;

	if (format == SG_FORMAT_E2M1)
		part = (random >> (16 + 8 * pair) & 0xff) << 8 | (random >> 8 * pair & 0xff);
	if (number % 2 == 0)
		return part;
	for (unsigned i = 0; i < 16; i++)
		reversed |= (part >> i & 1) << (15 - i);
	return reversed;
}

uint32_t sg_to_four_randomly(
    uint32_t format, uint32_t relu, float a, float b, float e, float f, uint32_t random)
{
	bool is_fp8 = format >= SG_FORMAT_E4M3;
	const struct format *to = !is_fp8		     ? &narrow[format].format
				  : format == SG_FORMAT_E4M3 ? &e4m3
							     : &e5m2;
	const float values[] = {f, e, b, a};
	uint32_t four = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		double x = round_randomly(to, values[i], random_part(format, random, i), 16);

		four |= is_fp8 ? (uint32_t)to_fp8(to, x, relu) << 8 * i
			       : to_narrow(format, relu, x) << narrow[format].step * i;
	}
	return four;
}

uint32_t sg_narrow_to_f16x2(uint32_t format, uint32_t relu, uint32_t pair)
{
	uint32_t sign = 1u << (narrow[format].bits - 1), result = 0;

	for (unsigned i = 0; i < 2; i++) {
		uint32_t bits = pair >> narrow[format].step * i & (2 * sign - 1);
		double x = decode(&narrow[format].format, bits & (sign - 1), bits & sign, false);

		if (relu && x < 0)
			x = 0;
		result |= (uint32_t)encode16(&f16, x, NEAREST) << 16 * i;
	}
	return result;
}

static uint32_t to_scale(uint32_t flags, float x)
{
	uint32_t bits, exponent;

	memcpy(&bits, &x, sizeof(bits));
	bits &= 0x7fffffff;
	if (bits > 0x7f800000)
		return 0xff;
	exponent = bits >> 23;
	/* From 2^-127 on; below that there is only 2^-127 itself. */
	if ((flags & SG_SCALE_UP) && (bits & 0x7fffff) && bits > 0x00400000)
		exponent++;
	return (flags & SG_SCALE_FINITE) && exponent == 0xff ? 0xfe : exponent;
}

uint16_t sg_to_scales(uint32_t flags, float high, float low)
{
	return (uint16_t)(to_scale(flags, high) << 8 | to_scale(flags, low));
}

uint32_t sg_scales_to_bf16x2(uint16_t pair)
{
	uint32_t result = 0;

	for (unsigned i = 0; i < 2; i++) {
		uint32_t exponent = pair >> 8 * i & 0xff;

		result |= (exponent == 0xff ? 0x7fffu : exponent ? exponent << 7 : 0x40u) << 16 * i;
	}
	return result;
}
