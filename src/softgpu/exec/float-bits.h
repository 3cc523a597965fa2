/* Floats as their bits, and back, for tests: both the vectors' and the interpreter's. */
#pragma once

#include <stdint.h>
#include <string.h>

static inline uint64_t f32_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static inline uint64_t f64_bits(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/* Of the lower half. */
static inline float bits_f32(uint64_t bits)
{
	uint32_t word = (uint32_t)bits;
	float x;

	memcpy(&x, &word, sizeof(x));
	return x;
}

static inline double bits_f64(uint64_t bits)
{
	double x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}
