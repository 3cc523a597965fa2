/*
 * The arithmetic of matrix instructions, on plain arrays of float, double or int32_t.
 *
 * All of it is loops over eight neighbours, compiled for three generations of x86-64; the newest
 * that the processor knows is chosen when the library is loaded. The results do not depend on
 * which.
 */
#include "softgpu/exec/multiply.h"

#include <math.h>
#include <string.h>

#include "softgpu/exec/runtime-float.h"

#define WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

typedef float floats __attribute__((vector_size(32), aligned(4)));
typedef int32_t integers __attribute__((vector_size(32), aligned(4)));

/* Eight columns of a row at a time, which stay in a register. */
#define MULTIPLY(type, vector, add)                                                                \
	for (unsigned row = 0; row < size.m; row++)                                                \
		for (unsigned column = 0; column < size.n; column += 8) {                          \
			vector *to = (vector *)&c[row * size.n + column], sum = *to;               \
                                                                                                   \
			for (unsigned i = 0; i < size.k; i++) {                                    \
				type x = a[row * size.k + i];                                      \
				vector y = *(const vector *)&b[i * size.n + column];               \
                                                                                                   \
				add;                                                               \
			}                                                                          \
			*to = sum;                                                                 \
		}

WIDE void multiply_floats(struct sg_product size, const float *a, const float *b, float *c){
    MULTIPLY(float, floats, sum += x * y)}

WIDE void multiply_integers(struct sg_product size, const int32_t *a, const int32_t *b, int32_t *c){
    MULTIPLY(int32_t, integers, sum += x * y)}

WIDE void multiply_doubles(struct sg_product size, const double *a, const double *b, double *c)
{
	for (unsigned row = 0; row < size.m; row++)
		for (unsigned i = 0; i < size.k; i++)
			for (unsigned column = 0; column < size.n; column++)
				c[row * size.n + column] = fma(a[row * size.k + i],
				    b[i * size.n + column], c[row * size.n + column]);
}

void multiply_bits(
    struct sg_product size, bool conjunction, const int32_t *a, const int32_t *b, int32_t *c)
{
	for (unsigned row = 0; row < size.m; row++)
		for (unsigned column = 0; column < size.n; column++)
			for (unsigned i = 0; i < size.k; i++) {
				uint32_t x = (uint32_t)a[row * size.k + i];
				uint32_t y = (uint32_t)b[i * size.n + column];

				c[row * size.n + column] +=
				    __builtin_popcount(conjunction ? x & y : x ^ y);
			}
}

/* ---- numbers from registers ---- */

static float from_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* A shift puts the exponent in its place and a product makes up for the biases, but for infinities
 * and what is no number. */
static inline float float_from_f16(uint32_t bits)
{
	uint32_t sign = (bits & 0x8000) << 16, magnitude = (bits & 0x7fff) << 13, scaled;
	float value = from_bits(magnitude) * 0x1p112f;

	memcpy(&scaled, &value, sizeof(scaled));
	return from_bits(sign | (magnitude >= 0x7c00 << 13 ? magnitude | 0x7f800000 : scaled));
}

WIDE void floats_from(enum sg_matrix_type type, const uint32_t *from, unsigned n, float *to)
{
#define EACH(value)                                                                                \
	for (unsigned i = 0; i < n; i++) {                                                         \
		uint32_t bits = from[i];                                                           \
                                                                                                   \
		to[i] = value;                                                                     \
	}                                                                                          \
	break

	switch (type) {
	case SG_MATRIX_F16:
		EACH(float_from_f16(bits));
	case SG_MATRIX_BF16:
		EACH(from_bits(bits << 16));
	case SG_MATRIX_TF32:
		EACH(from_bits(bits & ~UINT32_C(0x1fff)));
	case SG_MATRIX_E4M3:
		EACH(float_from_f16(sg_e4m3x2_to_f16x2(0, (uint16_t)bits) & 0xffff));
	case SG_MATRIX_E2M1:
		EACH(float_from_f16(sg_narrow_to_f16x2(SG_FORMAT_E2M1, 0, bits) & 0xffff));
	case SG_MATRIX_E2M3:
		EACH(float_from_f16(sg_narrow_to_f16x2(SG_FORMAT_E2M3, 0, bits) & 0xffff));
	case SG_MATRIX_E3M2:
		EACH(float_from_f16(sg_narrow_to_f16x2(SG_FORMAT_E3M2, 0, bits) & 0xffff));
	case SG_MATRIX_E5M2:
		EACH(float_from_f16(bits << 8));
	default:
		EACH(from_bits(bits));
	}
}

WIDE void integers_from(enum sg_matrix_type type, const uint32_t *from, unsigned n, int32_t *to)
{
	switch (type) {
	case SG_MATRIX_S8:
		EACH((int8_t)bits);
	case SG_MATRIX_S4:
		EACH((int32_t)(bits << 28) >> 28);
	default:
		EACH((int32_t)bits);
	}
#undef EACH
}

WIDE void words_unpack(unsigned bits, const uint32_t *words, unsigned n_words, uint32_t *to)
{
#define UNPACK(bits)                                                                               \
	for (unsigned i = 0; i < n_words; i++)                                                     \
		for (unsigned j = 0; j < 32 / (bits); j++)                                         \
			to[i * (32 / (bits)) + j] =                                                \
			    words[i] >> j * (bits) & (UINT32_MAX >> (32 - (bits)));                \
	break

	switch (bits) {
	case 4:
		UNPACK(4);
	case 8:
		UNPACK(8);
	case 16:
		UNPACK(16);
	default:
		memcpy(to, words, n_words * sizeof(*to));
	}
#undef UNPACK
}
