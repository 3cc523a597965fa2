/*
 * Float operations that compiled code calls. mode: 0 to nearest even, 1 towards zero, 2 down, 3
 * up, 4 to nearest with ties away. f16, bf16 and fp8 values are their bits.
 */
#pragma once

#include <stdint.h>

#define RUNTIME_ROUNDED(type, suffix)                                                              \
	type sg_add_##suffix(uint32_t mode, type x, type y);                                       \
	type sg_sub_##suffix(uint32_t mode, type x, type y);                                       \
	type sg_mul_##suffix(uint32_t mode, type x, type y);                                       \
	type sg_div_##suffix(uint32_t mode, type x, type y);                                       \
	type sg_fma_##suffix(uint32_t mode, type x, type y, type z);                               \
	type sg_sqrt_##suffix(uint32_t mode, type x);                                              \
	type sg_itof_##suffix(uint32_t mode, int64_t x);                                           \
	type sg_utof_##suffix(uint32_t mode, uint64_t x);
RUNTIME_ROUNDED(float, f32)
RUNTIME_ROUNDED(double, f64)

float sg_to_f32(uint32_t mode, double x);

/* flags: a mode, 8 for .satfinite. */
uint16_t sg_to_f16(uint32_t flags, double x);
uint16_t sg_to_bf16(uint32_t flags, double x);
double runtime_f16(uint16_t bits);
double runtime_bf16(uint16_t bits);

/* One rounding. flags: 1 .relu, 2 .sat */
uint16_t sg_fma_f16(uint32_t flags, uint16_t a, uint16_t b, uint16_t c);
uint16_t sg_fma_bf16(uint32_t flags, uint16_t a, uint16_t b, uint16_t c);

/* flags: a mode, 8 .satfinite, 16 .relu */
uint32_t sg_to_tf32(uint32_t flags, float x);

/* Pairs of fp8: the first operand is the upper byte. Always saturating. */
uint16_t sg_to_e4m3x2(uint32_t relu, float high, float low);
uint16_t sg_to_e5m2x2(uint32_t relu, float high, float low);
uint16_t sg_f16x2_to_e4m3x2(uint32_t relu, uint32_t x);
uint16_t sg_f16x2_to_e5m2x2(uint32_t relu, uint32_t x);
uint32_t sg_e4m3x2_to_f16x2(uint32_t relu, uint16_t x);
uint32_t sg_e5m2x2_to_f16x2(uint32_t relu, uint16_t x);

/* Pairs of 4 or 6 bits, each in half of the result's 8 or 16; saturating, a NaN is the largest. */
uint32_t sg_to_narrow(uint32_t format, uint32_t relu, float high, float low);
uint32_t sg_narrow_to_f16x2(uint32_t format, uint32_t relu, uint32_t pair);

/* Stochastic rounding: 13 and 16 of the random bits count. flags: 8 .satfinite */
uint16_t sg_to_f16_randomly(uint32_t flags, float x, uint32_t random);
uint16_t sg_to_bf16_randomly(uint32_t flags, float x, uint32_t random);

/* The same of four numbers, to any format: a is the uppermost. As the pairs, but for that. */
uint32_t sg_to_four_randomly(
    uint32_t format, uint32_t relu, float a, float b, float e, float f, uint32_t random);

/* Pairs of powers of two (ue8m0): 2^(byte - 127), 255 is NaN. The sign is not looked at. */
uint16_t sg_to_scales(uint32_t flags, float high, float low);
uint32_t sg_scales_to_bf16x2(uint16_t pair);
