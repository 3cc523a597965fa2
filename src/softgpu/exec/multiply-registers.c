/*
 * mma's product of 16 by 8 numbers, and wgmma's of 16 by any, on the registers of a warp as they
 * are, for processors with AVX-512. The general way (matrix.c) brings the registers into rows
 * first, which takes longer than to multiply.
 *
 * A register of all lanes is two vectors, of lanes 0 to 15 and 16 to 31. Lane 4 g + t holds words
 * of row g of A, and of row g + 8 in another register; of column g of B; of C and D columns 2 t and
 * 2 t + 1, a register each (of f16 in one), for row g and again for row g + 8. So for each k the
 * factors from A are what one lane of four has, for all four: a shuffle inside quarters of vectors;
 * and those from B are every second of 8 lanes', the same in all quarters. The words of k are in
 * the order of t, and k rises inside words.
 *
 * Results are those of the general way, to the bit: sums run over k in order, and each addition is
 * rounded once. Products of bf16 and tf32 may be beyond a float's range, and become infinite or
 * less exact there before they are added; all others are exact, so that they are not rounded by
 * themselves.
 */
#include "softgpu/exec/multiply.h"

#include <immintrin.h>

#define TARGET	__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define PART_OF static inline __attribute__((always_inline)) TARGET

#define HALVES 2 /* vectors of 16 lanes that are a register of all */
#define ROWS   2 /* registers of rows g and g + 8 */
#define PARTS  4 /* most numbers in a word */

static bool is_small_float(enum sg_matrix_type type)
{
	return type == SG_MATRIX_F16 || type == SG_MATRIX_BF16 || type == SG_MATRIX_TF32 ||
	       type == SG_MATRIX_E4M3 || type == SG_MATRIX_E5M2;
}

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

bool multiply_columns_can(enum sg_matrix_type a, enum sg_matrix_type b)
{
	return is_small_float(a) && is_small_float(b) && has_avx512() &&
	       (a == b || (sg_matrix_bits(a) == 8 && sg_matrix_bits(b) == 8));
}

bool multiply_registers_can(union sg_matrix matrix)
{
	return matrix.kind == SG_MATRIX_MMA && matrix.m == 1 && matrix.n == 0 && !matrix.saturate &&
	       multiply_columns_can((enum sg_matrix_type)matrix.a, (enum sg_matrix_type)matrix.b);
}

PART_OF __m512i lanes_of(const uint32_t *words, unsigned half)
{
	return _mm512_load_si512(words + half * 16);
}

PART_OF __m512 from_f16(__m512i words)
{
	return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words));
}

/* As multiply.c's: a shift and a product, but for the largest magnitude, which is a NaN. */
PART_OF __m512 from_e4m3(__m512i words)
{
	__m512i sign = _mm512_slli_epi32(_mm512_and_si512(words, _mm512_set1_epi32(0x80)), 24);
	__m512i magnitude = _mm512_slli_epi32(_mm512_and_si512(words, _mm512_set1_epi32(0x7f)), 20);
	__mmask16 is_nan = _mm512_cmpeq_epi32_mask(magnitude, _mm512_set1_epi32(0x7f << 20));
	__m512 scaled = _mm512_mul_ps(_mm512_castsi512_ps(magnitude), _mm512_set1_ps(0x1p120f));

	scaled =
	    _mm512_mask_mov_ps(scaled, is_nan, _mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000)));
	return _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(scaled), sign));
}

/* The part-th number of each word. */
PART_OF __m512 number(enum sg_matrix_type type, __m512i words, unsigned part)
{
	switch (type) {
	case SG_MATRIX_F16:
		return from_f16(_mm512_srli_epi32(words, 16 * part));
	case SG_MATRIX_BF16:
		return _mm512_castsi512_ps(
		    part ? _mm512_and_si512(words, _mm512_set1_epi32((int)0xffff0000))
			 : _mm512_slli_epi32(words, 16));
	case SG_MATRIX_E4M3:
		return from_e4m3(_mm512_srli_epi32(words, 8 * part));
	case SG_MATRIX_E5M2: /* the upper half of an f16 */
		words =
		    part ? _mm512_srli_epi32(words, 8 * (part - 1)) : _mm512_slli_epi32(words, 8);
		return from_f16(_mm512_and_si512(words, _mm512_set1_epi32(0xff00)));
	default:
		return _mm512_castsi512_ps(
		    _mm512_and_si512(words, _mm512_set1_epi32((int)0xffffe000)));
	}
}

PART_OF __m512 add_product(enum sg_matrix_type type, __m512 x, __m512 y, __m512 sum)
{
	if (type == SG_MATRIX_BF16 || type == SG_MATRIX_TF32)
		return _mm512_add_ps(_mm512_mul_ps(x, y), sum);
	return _mm512_fmadd_ps(x, y, sum);
}

/* Lane t of each four, for all four. */
#define OF_LANE(vector, t) _mm512_permute_ps(vector, (t) * 0x55)

/* Every second column, from the first or the second on: where in two vectors lane t of it is. */
#define COLUMNS(from)                                                                              \
	_mm512_broadcast_i32x4(_mm_setr_epi32(from, (from) + 8, (from) + 16, (from) + 24))

#define STEP(t)                                                                                    \
	for (unsigned part = 0; part < parts; part++) {                                            \
		__m512 evens = _mm512_permutex2var_ps(b[part][0], COLUMNS(t), b[part][1]);         \
		__m512 odds = _mm512_permutex2var_ps(b[part][0], COLUMNS(t + 4), b[part][1]);      \
                                                                                                   \
		for (unsigned row = 0; row < ROWS; row++)                                          \
			for (unsigned half = 0; half < HALVES; half++) {                           \
				__m512 x = OF_LANE(a[part][row][half], t);                         \
                                                                                                   \
				c[row][0][half] = add_product(type, x, evens, c[row][0][half]);    \
				c[row][1][half] = add_product(type, x, odds, c[row][1][half]);     \
			}                                                                          \
	}

typedef __m512 factors[PARTS][ROWS][HALVES];

/* The numbers in a register of each row of A. */
PART_OF void take_factors(
    enum sg_matrix_type type, unsigned parts, const uint32_t (*words)[SG_WARP_SIZE], factors a)
{
	for (unsigned part = 0; part < parts; part++)
		for (unsigned row = 0; row < ROWS; row++)
			for (unsigned half = 0; half < HALVES; half++)
				a[part][row][half] = number(type, lanes_of(words[row], half), part);
}

/* What they and a register of B add. */
PART_OF void add_products(enum sg_matrix_type type, unsigned parts, factors a,
    const uint32_t *b_words, __m512 c[ROWS][2][HALVES])
{
	__m512 b[PARTS][HALVES];

	for (unsigned part = 0; part < parts; part++)
		for (unsigned half = 0; half < HALVES; half++)
			b[part][half] = number(type, lanes_of(b_words, half), part);
	STEP(0)
	STEP(1)
	STEP(2)
	STEP(3)
}

PART_OF void take_sums(
    bool is_narrow, const uint32_t (*words)[SG_WARP_SIZE], __m512 c[ROWS][2][HALVES])
{
	for (unsigned row = 0; row < ROWS; row++)
		for (unsigned side = 0; side < 2; side++)
			for (unsigned half = 0; half < HALVES; half++)
				c[row][side][half] =
				    is_narrow ? from_f16(_mm512_srli_epi32(
						    lanes_of(words[row], half), 16 * side))
					      : _mm512_castsi512_ps(
						    lanes_of(words[row * 2 + side], half));
}

/* Each NaN is the canonical one. */
PART_OF __m512i to_f32(__m512 sum)
{
	return _mm512_mask_mov_epi32(_mm512_castps_si512(sum),
	    _mm512_cmp_ps_mask(sum, sum, _CMP_UNORD_Q), _mm512_set1_epi32(0x7fffffff));
}

PART_OF __m512i to_f16(__m512 sum)
{
	__m512i rounded = _mm512_cvtepu16_epi32(
	    _mm512_cvtps_ph(sum, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));

	return _mm512_mask_mov_epi32(
	    rounded, _mm512_cmp_ps_mask(sum, sum, _CMP_UNORD_Q), _mm512_set1_epi32(0x7fff));
}

PART_OF void give_sums(bool is_narrow, __m512 c[ROWS][2][HALVES], uint32_t (*words)[SG_WARP_SIZE])
{
	for (unsigned row = 0; row < ROWS; row++)
		for (unsigned half = 0; half < HALVES; half++) {
			__m512 even = c[row][0][half], odd = c[row][1][half];

			if (is_narrow) {
				_mm512_store_si512(words[row] + half * 16,
				    _mm512_or_si512(
					to_f16(even), _mm512_slli_epi32(to_f16(odd), 16)));
				continue;
			}
			_mm512_store_si512(words[row * 2] + half * 16, to_f32(even));
			_mm512_store_si512(words[row * 2 + 1] + half * 16, to_f32(odd));
		}
}

PART_OF void multiply(enum sg_matrix_type a_type, enum sg_matrix_type b_type, unsigned parts,
    union sg_matrix matrix, struct sg_fragments *all)
{
	const uint32_t(*words)[SG_WARP_SIZE] = all->words;
	const uint32_t(*b)[SG_WARP_SIZE] = words + sg_matrix_offset(matrix, SG_MATRIX_B);
	unsigned n = sg_matrix_words(matrix, SG_MATRIX_B);
	__m512 c[ROWS][2][HALVES];
	factors a;

	take_sums(matrix.c == SG_MATRIX_F16, words + sg_matrix_offset(matrix, SG_MATRIX_C), c);
	for (unsigned i = 0; i < n; i++) {
		take_factors(a_type, parts, words + 2 * i, a);
		add_products(b_type, parts, a, b[i], c);
	}
	give_sums(matrix.d == SG_MATRIX_F16, c, all->words);
}

PART_OF void multiply_some(enum sg_matrix_type a_type, enum sg_matrix_type b_type, unsigned parts,
    const struct sg_columns *columns)
{
	unsigned words = columns->is_narrow ? 2 : 4;
	factors a[2];

	for (unsigned i = 0; i < 2; i++)
		take_factors(a_type, parts, columns->a + 2 * i, a[i]);
	for (unsigned n = 0; n < columns->n; n++) {
		uint32_t(*d)[SG_WARP_SIZE] = columns->d + n * words;
		__m512 c[ROWS][2][HALVES] = {0};

		if (columns->adds)
			take_sums(columns->is_narrow, d, c);
		for (unsigned i = 0; i < 2; i++)
			add_products(b_type, parts, a[i], columns->b[n * 2 + i], c);
		give_sums(columns->is_narrow, c, d);
	}
}

/* Calls a function for each pair of types, with the constants that it is made of. */
#define FOR_TYPES(a, b, function, ...)                                                             \
	if ((a) == SG_MATRIX_E4M3 && (b) == SG_MATRIX_E5M2)                                        \
		function(SG_MATRIX_E4M3, SG_MATRIX_E5M2, 4, __VA_ARGS__);                          \
	else if ((a) == SG_MATRIX_E5M2 && (b) == SG_MATRIX_E4M3)                                   \
		function(SG_MATRIX_E5M2, SG_MATRIX_E4M3, 4, __VA_ARGS__);                          \
	else if ((a) == SG_MATRIX_E4M3)                                                            \
		function(SG_MATRIX_E4M3, SG_MATRIX_E4M3, 4, __VA_ARGS__);                          \
	else if ((a) == SG_MATRIX_E5M2)                                                            \
		function(SG_MATRIX_E5M2, SG_MATRIX_E5M2, 4, __VA_ARGS__);                          \
	else if ((a) == SG_MATRIX_TF32)                                                            \
		function(SG_MATRIX_TF32, SG_MATRIX_TF32, 1, __VA_ARGS__);                          \
	else if ((a) == SG_MATRIX_BF16 && (b) == SG_MATRIX_BF16)                                   \
		function(SG_MATRIX_BF16, SG_MATRIX_BF16, 2, __VA_ARGS__);                          \
	else                                                                                       \
		function(SG_MATRIX_F16, SG_MATRIX_F16, 2, __VA_ARGS__)

TARGET void multiply_registers(union sg_matrix matrix, struct sg_fragments *all)
{
	FOR_TYPES(matrix.a, matrix.b, multiply, matrix, all);
}

TARGET void multiply_columns(
    enum sg_matrix_type a, enum sg_matrix_type b, const struct sg_columns *columns)
{
	FOR_TYPES(a, b, multiply_some, columns);
}
