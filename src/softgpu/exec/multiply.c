/*
 * The arithmetic of matrix instructions, on plain arrays of float, double or int32_t.
 *
 * All of it is vectors of eight or sixteen neighbours, compiled for three generations of x86-64;
 * the newest that the processor knows is chosen when the library is loaded. The results do not
 * depend on which. Four rows are done at a time: what is loaded of b serves them all, and their
 * sums do not wait for each other.
 */
#include "softgpu/exec/multiply.h"

#include <math.h>
#include <string.h>

#include "softgpu/exec/runtime-float.h"

#define WIDE	__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define PART_OF static inline __attribute__((always_inline))

#define ROWS 4

#define MULTIPLY(type, n_lanes)                                                                    \
	typedef type type##_##n_lanes                                                              \
	    __attribute__((vector_size(n_lanes * sizeof(type)), aligned(sizeof(type))));           \
	PART_OF void multiply_##type##_##n_lanes(                                                  \
	    struct sg_product size, const type *a, const type *b, type *c)                         \
	{                                                                                          \
		typedef type##_##n_lanes vector;                                                   \
		size_t n = size.n, k = size.k;                                                     \
                                                                                                   \
		for (const type *end = a + size.m * k; a < end; a += ROWS * k, c += ROWS * n)      \
			for (size_t column = 0; column < n; column += n_lanes) {                   \
				const type *x = a, *y = b + column;                                \
				type *to = c + column;                                             \
				vector s0 = *(vector *)to, s1 = *(vector *)(to + n);               \
				vector s2 = *(vector *)(to + 2 * n), s3 = *(vector *)(to + 3 * n); \
                                                                                                   \
				for (size_t i = 0; i < k; i++, x++, y += n) {                      \
					vector z = *(const vector *)y;                             \
                                                                                                   \
					s0 += x[0] * z;                                            \
					s1 += x[k] * z;                                            \
					s2 += x[2 * k] * z;                                        \
					s3 += x[3 * k] * z;                                        \
				}                                                                  \
				*(vector *)to = s0;                                                \
				*(vector *)(to + n) = s1;                                          \
				*(vector *)(to + 2 * n) = s2;                                      \
				*(vector *)(to + 3 * n) = s3;                                      \
			}                                                                          \
	}
MULTIPLY(float, 8)
MULTIPLY(float, 16)
MULTIPLY(int32_t, 8)
MULTIPLY(int32_t, 16)

WIDE void multiply_floats(struct sg_product size, const float *a, const float *b, float *c)
{
	if (size.n % 16)
		multiply_float_8(size, a, b, c);
	else
		multiply_float_16(size, a, b, c);
}

WIDE void multiply_integers(struct sg_product size, const int32_t *a, const int32_t *b, int32_t *c)
{
	if (size.n % 16)
		multiply_int32_t_8(size, a, b, c);
	else
		multiply_int32_t_16(size, a, b, c);
}

WIDE void multiply_doubles(struct sg_product size, const double *a, const double *b, double *c)
{
	size_t n = size.n;

	for (const double *end = a + size.m * size.k; a < end; a += size.k, c += n)
		for (size_t column = 0; column < n; column += 8)
			for (size_t i = 0; i < size.k; i++) {
				const double *restrict y = b + i * n + column;
				double *restrict to = c + column, x = a[i];

				for (unsigned k = 0; k < 8; k++)
					to[k] = fma(x, y[k], to[k]);
			}
}

WIDE void multiply_bits(
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

typedef uint32_t words __attribute__((vector_size(64), aligned(4)));
typedef int32_t integers __attribute__((vector_size(64), aligned(4)));
typedef float floats __attribute__((vector_size(64), aligned(4)));
typedef uint16_t halves __attribute__((vector_size(32), aligned(2)));
typedef uint8_t bytes __attribute__((vector_size(16), aligned(1)));

/* What follows is like functions, but clang refuses to pass vectors of this size between functions
 * for different processors, even where they are inlined. */
#define from_halves(from) __builtin_convertvector(*(const halves *)(from), words)
/* In two steps, each of which is an instruction. */
#define from_bytes(from)                                                                           \
	__builtin_convertvector(__builtin_convertvector(*(const bytes *)(from), halves), words)
#define from_words(from) (*(const words *)(from))

/* A shift puts the exponent in its place and a product makes up for the biases, but for infinities
 * and what is no number: those from the magnitude first on get the largest exponent. */
#define from_small(signs, magnitudes, scale, first)                                                \
	({                                                                                         \
		words sign = (signs), magnitude = (magnitudes);                                    \
		words scaled = (words)((floats)magnitude * (scale));                               \
		words special = (words)(magnitude >= (first));                                     \
                                                                                                   \
		(floats)(sign | (special & (magnitude | 0x7f800000)) | (~special & scaled));       \
	})
#define from_f16(bits)                                                                             \
	from_small(((bits) & 0x8000) << 16, ((bits) & 0x7fff) << 13, 0x1p112f, 0x7c00u << 13)
/* It has a NaN and no infinity. */
#define from_e4m3(bits)                                                                            \
	from_small(((bits) & 0x80) << 24, ((bits) & 0x7f) << 20, 0x1p120f, 0x7fu << 20)

#define EACH(width, size, value)                                                                   \
	for (size_t i = 0; i < n; i += 16) {                                                       \
		words bits = from_##width((const uint8_t *)from + i * size);                       \
                                                                                                   \
		*(floats *)&to[i] = value;                                                         \
	}                                                                                          \
	break

WIDE void floats_unpack(enum sg_matrix_type type, const void *from, unsigned n, float *to)
{
	switch (type) {
	case SG_MATRIX_F16:
		EACH(halves, 2, from_f16(bits));
	case SG_MATRIX_BF16:
		EACH(halves, 2, (floats)(bits << 16));
	case SG_MATRIX_E4M3:
		EACH(bytes, 1, from_e4m3(bits));
	case SG_MATRIX_E5M2:
		EACH(bytes, 1, from_f16(bits << 8));
	case SG_MATRIX_TF32:
		EACH(words, 4, (floats)(bits & ~UINT32_C(0x1fff)));
	default:
		EACH(words, 4, (floats)bits);
	}
}
#undef EACH

static float narrow(enum sg_format format, uint32_t bits)
{
	return (float)runtime_f16((uint16_t)sg_narrow_to_f16x2(format, 0, bits));
}

#define EACH(value)                                                                                \
	for (size_t i = 0; i < n; i += 16) {                                                       \
		words bits = *(const words *)&from[i];                                             \
                                                                                                   \
		*(floats *)&to[i] = value;                                                         \
	}                                                                                          \
	break
#define EACH_NARROW(format)                                                                        \
	for (unsigned i = 0; i < n; i++)                                                           \
		to[i] = narrow(format, from[i]);                                                   \
	break

PART_OF void floats_of_words(enum sg_matrix_type type, const uint32_t *from, unsigned n, float *to)
{
	switch (type) {
	case SG_MATRIX_F16:
		EACH(from_f16(bits));
	case SG_MATRIX_BF16:
		EACH((floats)(bits << 16));
	case SG_MATRIX_TF32:
		EACH((floats)(bits & ~UINT32_C(0x1fff)));
	case SG_MATRIX_E4M3:
		EACH(from_e4m3(bits));
	case SG_MATRIX_E5M2:
		EACH(from_f16(bits << 8));
	case SG_MATRIX_E2M1:
		EACH_NARROW(SG_FORMAT_E2M1);
	case SG_MATRIX_E2M3:
		EACH_NARROW(SG_FORMAT_E2M3);
	case SG_MATRIX_E3M2:
		EACH_NARROW(SG_FORMAT_E3M2);
	default:
		EACH((floats)bits);
	}
}
#undef EACH
#undef EACH_NARROW

#define EACH(value)                                                                                \
	for (size_t i = 0; i < n; i += 16) {                                                       \
		integers bits = *(const integers *)&from[i];                                       \
                                                                                                   \
		*(integers *)&to[i] = value;                                                       \
	}                                                                                          \
	break

PART_OF void integers_of_words(
    enum sg_matrix_type type, const uint32_t *from, unsigned n, int32_t *to)
{
	switch (type) {
	case SG_MATRIX_S8:
		EACH(bits << 24 >> 24);
	case SG_MATRIX_S4:
		EACH(bits << 28 >> 28);
	default:
		EACH(bits);
	}
}
#undef EACH

#define WORDS	16u
#define TAIL(n) ((n) % WORDS)

/* Whole vectors, then what is left in one of its own. */
#define ALL_WORDS(of_words, number)                                                                \
	unsigned whole = n - TAIL(n);                                                              \
	uint32_t last[WORDS] = {0};                                                                \
	number numbers[WORDS];                                                                     \
                                                                                                   \
	of_words(type, from, whole, to);                                                           \
	if (!TAIL(n))                                                                              \
		return;                                                                            \
	memcpy(last, from + whole, TAIL(n) * sizeof(*last));                                       \
	of_words(type, last, WORDS, numbers);                                                      \
	memcpy(to + whole, numbers, TAIL(n) * sizeof(*numbers))

WIDE void floats_from(enum sg_matrix_type type, const uint32_t *from, unsigned n, float *to)
{
	ALL_WORDS(floats_of_words, float);
}

WIDE void integers_from(enum sg_matrix_type type, const uint32_t *from, unsigned n, int32_t *to)
{
	ALL_WORDS(integers_of_words, int32_t);
}

WIDE void integers_unpack(enum sg_matrix_type type, const void *from, unsigned n, int32_t *to)
{
	unsigned above = type == SG_MATRIX_S8 ? 24 : 0; /* bits that repeat the sign */

	for (size_t i = 0; i < n; i += 16)
		*(integers *)&to[i] =
		    (integers)(from_bytes((const uint8_t *)from + i) << above) >> above;
}

/* A sum overflows where its sign is that of neither part. */
WIDE void integers_add(bool saturate, const int32_t *from, unsigned n, int32_t *to)
{
	for (size_t i = 0; i < n; i += 16) {
		words a = *(const words *)&from[i], b = *(const words *)&to[i], sum = a + b;
		words over = (words)((integers)((a ^ sum) & (b ^ sum)) >> 31);
		words limit = (words)((integers)a >> 31) ^ INT32_MAX;

		*(words *)&to[i] = saturate ? (over & limit) | (~over & sum) : sum;
	}
}

#define UNPACK(bits)                                                                               \
	for (unsigned i = 0; i < n_words; i++)                                                     \
		for (unsigned j = 0; j < 32 / (bits); j++)                                         \
			to[i * (32 / (bits)) + j] =                                                \
			    from[i] >> j * (bits) & (UINT32_MAX >> (32 - (bits)));                 \
	break

WIDE void words_unpack(unsigned bits, const uint32_t *from, unsigned n_words, uint32_t *to)
{
	switch (bits) {
	case 4:
		UNPACK(4);
	case 8:
		UNPACK(8);
	case 16:
		UNPACK(16);
	default:
		memcpy(to, from, n_words * sizeof(*to));
	}
}
#undef UNPACK

/* ---- and back ---- */

WIDE void floats_to_f32(const float *from, unsigned n, uint32_t *to)
{
	for (size_t i = 0; i < n; i += 16) {
		floats value = *(const floats *)&from[i];
		words is_nan = (words)(value != value);

		*(words *)&to[i] = (is_nan & SG_NAN_F32) | (~is_nan & (words)value);
	}
}

/* Adding a number so large that its last bit is the result's rounds what has no exponent of its own
 * there; otherwise half of the last bit that stays, less a bit where that is even, does. */
#define to_f16(numbers)                                                                            \
	({                                                                                         \
		words bits = (numbers), magnitude = bits & 0x7fffffff;                             \
		words sign = bits >> 16 & 0x8000, is_nan = (words)(magnitude > 0x7f800000);        \
		words is_small = (words)(magnitude < 0x38800000);                                  \
		words is_large = (words)(magnitude >= 0x47800000) & ~is_nan;                       \
		words small = (words)((floats)magnitude + 0.5f) - 0x3f000000;                      \
		words normal = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;     \
		words finite = (is_small & small) | (~is_small & ~is_large & ~is_nan & normal);    \
                                                                                                   \
		(is_nan & 0x7fff) | (~is_nan & (sign | finite | (is_large & 0x7c00)));             \
	})

WIDE void floats_to_f16(const float *from, unsigned n, uint16_t *to)
{
	for (size_t i = 0; i < n; i += 16)
		*(halves *)&to[i] =
		    __builtin_convertvector(to_f16(*(const words *)&from[i]), halves);
}

/* ---- rows and columns ---- */

/* Which elements of two rows make a third. */
#define EVENS 0, 8, 2, 10, 4, 12, 6, 14
#define ODDS  1, 9, 3, 11, 5, 13, 7, 15
#define LOW2  0, 1, 8, 9, 4, 5, 12, 13
#define HIGH2 2, 3, 10, 11, 6, 7, 14, 15
#define LOW4  0, 1, 2, 3, 8, 9, 10, 11
#define HIGH4 4, 5, 6, 7, 12, 13, 14, 15

/* Elements of 1, then 2, then 4 are exchanged between rows that are as far apart. */
#define TRANSPOSE(name, type)                                                                      \
	typedef type name##_row __attribute__((vector_size(8 * sizeof(type)), aligned(1)));        \
	WIDE void name##_transpose(const void *from, size_t from_step, void *to, size_t to_step)   \
	{                                                                                          \
		typedef name##_row row;                                                            \
		const uint8_t *in = from;                                                          \
		uint8_t *out = to;                                                                 \
		row a[8], b[8];                                                                    \
                                                                                                   \
		_Pragma("GCC unroll 4") for (unsigned i = 0; i < 8; i += 2)                        \
		{                                                                                  \
			row x = *(const row *)(in + i * from_step);                                \
			row y = *(const row *)(in + (i + 1) * from_step);                          \
                                                                                                   \
			a[i] = __builtin_shufflevector(x, y, EVENS);                               \
			a[i + 1] = __builtin_shufflevector(x, y, ODDS);                            \
		}                                                                                  \
		_Pragma("GCC unroll 4") for (unsigned i = 0; i < 4; i++)                           \
		{                                                                                  \
			unsigned at = i / 2 * 4 + i % 2;                                           \
                                                                                                   \
			b[at] = __builtin_shufflevector(a[at], a[at + 2], LOW2);                   \
			b[at + 2] = __builtin_shufflevector(a[at], a[at + 2], HIGH2);              \
		}                                                                                  \
		_Pragma("GCC unroll 4") for (unsigned i = 0; i < 4; i++)                           \
		{                                                                                  \
			*(row *)(out + i * to_step) =                                              \
			    __builtin_shufflevector(b[i], b[i + 4], LOW4);                         \
			*(row *)(out + (i + 4) * to_step) =                                        \
			    __builtin_shufflevector(b[i], b[i + 4], HIGH4);                        \
		}                                                                                  \
	}
TRANSPOSE(bytes, uint8_t)
TRANSPOSE(halves, uint16_t)
TRANSPOSE(words, uint32_t)
