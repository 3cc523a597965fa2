/*
 * Matrix instructions of a warp: fragments in, fragments out.
 *
 * The registers of all lanes, side by side, are nearly the matrix already. Of mma each register is
 * a block of 8 rows of 16 bytes (32 of f64), row by row: of A, of B with its columns for rows, of C
 * and D when they are f16; a pair of C's and D's other registers are the even and the odd columns
 * of a block. Of wmma, where PTX leaves open who holds what, they are the matrix (matrix.h). So
 * operands are moved by the row, made numbers, multiplied (multiply.c) and moved back. Only m8n8k4
 * of f16, four products at once, is done element by element.
 *
 * Sums run over k in order, products of narrow floats are exact in float and each addition is
 * rounded once: inside what PTX allows, though a tensor core's own order differs.
 */
#include "softgpu/exec/matrix.h"

#include <string.h>

#include "softgpu/exec/matrix-parts.h"
#include "softgpu/exec/matrix-result.h"
#include "softgpu/exec/multiply.h"

#define BLOCK 8u /* rows, or columns, of all blocks */

/* A matrix as numbers; b is k by n. */
union numbers {
	alignas(64) uint32_t bits[SG_MATRIX_ELEMENTS];
	float floats[SG_MATRIX_ELEMENTS];
	int32_t integers[SG_MATRIX_ELEMENTS];
	double doubles[SG_MATRIX_ELEMENTS / 2];
};

static unsigned elements_of(union sg_matrix matrix, enum sg_matrix_operand operand)
{
	return sg_matrix_rows(matrix, operand) * sg_matrix_columns(matrix, operand);
}

static struct sg_product product_of(union sg_matrix matrix)
{
	return (struct sg_product){8u << matrix.m, 8u << matrix.n, 4u << matrix.k};
}

static const uint32_t *registers_of(
    union sg_matrix matrix, enum sg_matrix_operand operand, const struct sg_fragments *all)
{
	return all->words[sg_matrix_offset(matrix, operand)];
}

/* ---- mma: blocks ---- */

struct blocks {
	unsigned down, across; /* how many; of B, down is along n */
	bool down_first;       /* neighbouring registers are above each other */
};

/* The even and odd columns of C and D are apart. */
static bool has_pairs(union sg_matrix matrix, enum sg_matrix_operand operand)
{
	return operand >= SG_MATRIX_C && sg_matrix_type(matrix, operand) != SG_MATRIX_F16;
}

static struct blocks blocks_of(union sg_matrix matrix, enum sg_matrix_operand operand)
{
	unsigned n = sg_matrix_words(matrix, operand);

	if (sg_matrix_element_bits(matrix, operand) == 64)
		n /= 2;
	if (operand == SG_MATRIX_A)
		return (struct blocks){1u << matrix.m, n >> matrix.m, true};
	if (operand == SG_MATRIX_B)
		return (struct blocks){1, n, false};
	return has_pairs(matrix, operand) ? (struct blocks){n / 2, 2, false}
					  : (struct blocks){n, 1, false};
}

/* evens_first: row 1 becomes row 4, row 2 row 1... */
static inline __attribute__((always_inline)) void move_blocks(struct blocks blocks, size_t piece,
    bool to_rows, bool evens_first, uint8_t *rows, uint8_t *registers)
{
	for (unsigned down = 0; down < blocks.down; down++)
		for (unsigned across = 0; across < blocks.across; across++) {
			unsigned number = blocks.down_first ? across * blocks.down + down
							    : down * blocks.across + across;
			uint8_t *block = registers + number * BLOCK * piece;

			for (unsigned i = 0; i < BLOCK; i++, block += piece) {
				unsigned at = evens_first ? i / 2 + i % 2 * 4 : i;
				unsigned row = down * BLOCK + at;
				uint8_t *part = rows + (row * blocks.across + across) * piece;

				memcpy(to_rows ? part : block, to_rows ? block : part, piece);
			}
		}
}

static void take_rows(union sg_matrix matrix, enum sg_matrix_operand operand, bool evens_first,
    const struct sg_fragments *all, void *to)
{
	struct blocks blocks = blocks_of(matrix, operand);
	uint8_t *registers = (uint8_t *)(uintptr_t)registers_of(matrix, operand, all);

	if (sg_matrix_element_bits(matrix, operand) == 64)
		move_blocks(blocks, 32, true, evens_first, to, registers);
	else
		move_blocks(blocks, 16, true, evens_first, to, registers);
}

static void give_rows(union sg_matrix matrix, const void *from, struct sg_fragments *all)
{
	struct blocks blocks = blocks_of(matrix, SG_MATRIX_D);
	uint8_t *rows = (uint8_t *)(uintptr_t)from, *registers = (uint8_t *)all->words;

	if (matrix.d == SG_MATRIX_F64)
		move_blocks(blocks, 32, false, false, rows, registers);
	else
		move_blocks(blocks, 16, false, false, rows, registers);
}

/* Of a product: B's columns come in the order that C's have. */
static void take_factor(union sg_matrix matrix, enum sg_matrix_operand operand,
    const struct sg_fragments *all, void *to)
{
	take_rows(
	    matrix, operand, operand == SG_MATRIX_B && has_pairs(matrix, SG_MATRIX_C), all, to);
}

/* 8 columns, row by row as they lie behind each other, become the columns of k rows. */
static void turn_words(const uint32_t *from, unsigned k, uint32_t *to)
{
	unsigned done = k / BLOCK * BLOCK;

	for (unsigned i = 0; i < done; i += BLOCK)
		words_transpose(from + i, k * sizeof(*from), to + i * BLOCK, BLOCK * sizeof(*to));
	for (unsigned column = 0; column < BLOCK; column++)
		for (unsigned i = done; i < k; i++)
			to[i * BLOCK + column] = from[column * k + i];
}

/* ---- floats ---- */

/* A or B. */
static void take_floats(union sg_matrix matrix, enum sg_matrix_operand operand,
    const struct sg_fragments *all, float *to)
{
	enum sg_matrix_type type = sg_matrix_type(matrix, operand);
	unsigned n = elements_of(matrix, operand);
	union numbers rows, turned;

	if (matrix.kind == SG_MATRIX_WMMA) {
		floats_unpack(type, registers_of(matrix, operand, all), n, to);
		return;
	}
	take_factor(matrix, operand, all, rows.bits);
	if (operand == SG_MATRIX_A) {
		floats_unpack(type, rows.bits, n, to);
		return;
	}
	floats_unpack(type, rows.bits, n, turned.floats);
	turn_words(turned.bits, product_of(matrix).k, (uint32_t *)to);
}

static void saturated_to_f16(union sg_matrix matrix, const float *from, unsigned n, uint16_t *to)
{
	for (unsigned i = 0; i < n; i++)
		to[i] = (uint16_t)matrix_float_result(matrix, from[i]);
}

/* Behind each other as D has them. */
static void pack_floats(union sg_matrix matrix, const float *from, unsigned n, void *to)
{
	if (matrix.d != SG_MATRIX_F16)
		floats_to_f32(from, n, to);
	else if (matrix.saturate)
		saturated_to_f16(matrix, from, n, to);
	else
		floats_to_f16(from, n, to);
}

/* Columns of C that come in pairs stay so; then B's and D's are in the same order. When only one of
 * C and D has pairs, the columns are sorted between. */
static void sort_pairs(uint32_t *rows, unsigned n, bool back)
{
	for (unsigned i = 0; i < n; i += BLOCK) {
		uint32_t row[BLOCK];

		memcpy(row, rows + i, sizeof(row));
		for (unsigned k = 0; k < BLOCK; k++)
			rows[i + (back ? k / 2 + k % 2 * 4 : k)] =
			    row[back ? k : k / 2 + k % 2 * 4];
	}
}

/* C's and D's registers are the matrix. */
static void multiply_float_in_order(union sg_matrix matrix, struct sg_fragments *all)
{
	unsigned n = elements_of(matrix, SG_MATRIX_C);
	const uint32_t *registers = registers_of(matrix, SG_MATRIX_C, all);
	union numbers a, b, c;
	float *sums = c.floats;

	take_floats(matrix, SG_MATRIX_A, all, a.floats);
	take_floats(matrix, SG_MATRIX_B, all, b.floats);
	if (matrix.c == SG_MATRIX_F32)
		sums = (float *)(uintptr_t)registers;
	else
		floats_unpack(SG_MATRIX_F16, registers, n, sums);
	multiply_floats(product_of(matrix), a.floats, b.floats, sums);
	pack_floats(matrix, sums, n, all->words);
}

static void multiply_float(union sg_matrix matrix, struct sg_fragments *all)
{
	bool has_pairs_in = has_pairs(matrix, SG_MATRIX_C);
	bool has_pairs_out = has_pairs(matrix, SG_MATRIX_D);
	unsigned n = elements_of(matrix, SG_MATRIX_C);
	union numbers a, b, c, rows;
	float *sums = c.floats;

	take_floats(matrix, SG_MATRIX_A, all, a.floats);
	take_floats(matrix, SG_MATRIX_B, all, b.floats);
	take_rows(matrix, SG_MATRIX_C, false, all, rows.bits);
	if (matrix.c == SG_MATRIX_F32)
		sums = rows.floats;
	else
		floats_unpack(SG_MATRIX_F16, rows.bits, n, sums);
	multiply_floats(product_of(matrix), a.floats, b.floats, sums);
	if (has_pairs_in != has_pairs_out)
		sort_pairs((uint32_t *)sums, n, has_pairs_out);
	pack_floats(matrix, sums, n, a.bits);
	give_rows(matrix, a.bits, all);
}

/* ---- doubles ---- */

static void multiply_double(union sg_matrix matrix, struct sg_fragments *all)
{
	struct sg_product size = product_of(matrix);
	union numbers a, b, c, columns;

	if (matrix.kind == SG_MATRIX_WMMA) {
		double *sums = (double *)(uintptr_t)registers_of(matrix, SG_MATRIX_C, all);

		multiply_doubles(size, (const double *)registers_of(matrix, SG_MATRIX_A, all),
		    (const double *)registers_of(matrix, SG_MATRIX_B, all), sums);
		memmove(all->words, sums, elements_of(matrix, SG_MATRIX_D) * sizeof(*sums));
		return;
	}
	take_factor(matrix, SG_MATRIX_A, all, a.doubles);
	take_factor(matrix, SG_MATRIX_B, all, columns.doubles);
	take_rows(matrix, SG_MATRIX_C, false, all, c.doubles);
	for (unsigned i = 0; i < size.k; i++)
		for (unsigned column = 0; column < BLOCK; column++)
			b.doubles[i * BLOCK + column] = columns.doubles[column * size.k + i];
	multiply_doubles(size, a.doubles, b.doubles, c.doubles);
	give_rows(matrix, c.doubles, all);
}

/* ---- integers ---- */

/* A or B, a word each; single bits by 32. */
static void take_integers(union sg_matrix matrix, enum sg_matrix_operand operand,
    const struct sg_fragments *all, int32_t *to)
{
	enum sg_matrix_type type = sg_matrix_type(matrix, operand);
	unsigned bits = sg_matrix_element_bits(matrix, operand), n = elements_of(matrix, operand);
	unsigned n_words = n * bits / 32, k = product_of(matrix).k;
	bool by_column = operand == SG_MATRIX_B && (matrix.kind != SG_MATRIX_WMMA || bits < 8);
	const uint32_t *words = registers_of(matrix, operand, all);
	union numbers rows, columns;
	int32_t *out = by_column ? columns.integers : to;

	if (matrix.kind != SG_MATRIX_WMMA) {
		take_factor(matrix, operand, all, rows.bits);
		words = rows.bits;
	}
	if (bits == 8) {
		integers_unpack(type, words, n, out);
	} else if (bits == 4) {
		words_unpack(bits, words, n_words, (uint32_t *)out);
		integers_from(type, (const uint32_t *)out, n, out);
	} else {
		memcpy(out, words, n_words * sizeof(*words));
		k /= 32;
	}
	if (by_column)
		turn_words(columns.bits, k, (uint32_t *)to);
}

static void multiply_integer(union sg_matrix matrix, struct sg_fragments *all)
{
	unsigned n = elements_of(matrix, SG_MATRIX_D);
	struct sg_product size = product_of(matrix);
	union numbers a, b, c, sums;

	take_integers(matrix, SG_MATRIX_A, all, a.integers);
	take_integers(matrix, SG_MATRIX_B, all, b.integers);
	memset(sums.integers, 0, n * sizeof(*sums.integers));
	if (matrix.a == SG_MATRIX_B1) {
		size.k /= 32;
		multiply_bits(size, matrix.conjunction, a.integers, b.integers, sums.integers);
	} else {
		multiply_integers(size, a.integers, b.integers, sums.integers);
	}
	if (matrix.kind == SG_MATRIX_WMMA) {
		integers_add(matrix.saturate,
		    (const int32_t *)registers_of(matrix, SG_MATRIX_C, all), n, sums.integers);
		memcpy(all->words, sums.integers, n * sizeof(*sums.integers));
		return;
	}
	take_rows(matrix, SG_MATRIX_C, false, all, c.bits);
	integers_add(matrix.saturate, c.integers, n, sums.integers);
	give_rows(matrix, sums.bits, all);
}

/* ---- m8n8k4 of f16: four products ---- */

/* Lanes q to q + 3 and q + 16 to q + 19 make a product of their own. */
static bool is_quad(union sg_matrix matrix)
{
	return matrix.kind == SG_MATRIX_MMA && matrix.a == SG_MATRIX_F16 && !matrix.k;
}

/* Where element e of a lane is in the matrix, row by row. */
static unsigned quad_place(
    union sg_matrix matrix, enum sg_matrix_operand operand, unsigned lane, unsigned e)
{
	unsigned half = lane < 16 ? 0 : 4, q = lane % 4;

	switch (operand) {
	case SG_MATRIX_A:
		return matrix.a_column ? (e % 4 + half) * 4 + q : (q + half) * 4 + e;
	case SG_MATRIX_B:
		return matrix.b_row ? q * 8 + e + half : e * 8 + q + half;
	default:
		if (sg_matrix_type(matrix, operand) == SG_MATRIX_F16)
			return (q + half) * 8 + e;
		return ((lane & 1) + (e & 2) + half) * 8 + (e & 4) + (lane & 2) + (e & 1);
	}
}

/* One product's lanes, one after the other. */
static unsigned quad_lane(unsigned product, unsigned i)
{
	return product * 4 + i % 4 + i / 4 * 16;
}

static void quad_take(union sg_matrix matrix, enum sg_matrix_operand operand,
    const struct sg_fragments *all, unsigned product, float *to)
{
	enum sg_matrix_type type = sg_matrix_type(matrix, operand);
	const uint32_t *words = registers_of(matrix, operand, all);
	unsigned n = elements_of(matrix, operand);
	uint32_t bits[8 * 8];

	for (unsigned i = 0; i < n; i++) {
		unsigned lane = quad_lane(product, i / (n / 8)), e = i % (n / 8);

		bits[quad_place(matrix, operand, lane, e)] =
		    type == SG_MATRIX_F16
			? words[e / 2 * SG_WARP_SIZE + lane] >> e % 2 * 16 & 0xffff
			: words[e * SG_WARP_SIZE + lane];
	}
	floats_from(type, bits, n, to);
}

static void quad_give(
    union sg_matrix matrix, const float *sums, unsigned product, struct sg_fragments *all)
{
	for (unsigned i = 0; i < 8 * 8; i++) {
		unsigned lane = quad_lane(product, i / 8), e = i % 8;
		uint32_t value =
		    matrix_float_result(matrix, sums[quad_place(matrix, SG_MATRIX_D, lane, e)]);

		if (matrix.d == SG_MATRIX_F32)
			all->words[e][lane] = value;
		else if (e % 2)
			all->words[e / 2][lane] |= value << 16;
		else
			all->words[e / 2][lane] = value;
	}
}

static void multiply_quads(union sg_matrix matrix, struct sg_fragments *all)
{
	float a[8 * 4], b[4 * 8], c[4][8 * 8];

	for (unsigned product = 0; product < 4; product++) {
		quad_take(matrix, SG_MATRIX_A, all, product, a);
		quad_take(matrix, SG_MATRIX_B, all, product, b);
		quad_take(matrix, SG_MATRIX_C, all, product, c[product]);
		multiply_floats(product_of(matrix), a, b, c[product]);
	}
	for (unsigned product = 0; product < 4; product++)
		quad_give(matrix, c[product], product, all);
}

/* ---- for matrix-special.c ---- */

void matrix_take(union sg_matrix matrix, enum sg_matrix_operand operand,
    const struct sg_fragments *all, uint32_t bits[SG_MATRIX_ELEMENTS])
{
	unsigned size = sg_matrix_element_bits(matrix, operand), n = elements_of(matrix, operand);
	union numbers rows;

	take_rows(matrix, operand, false, all, rows.bits);
	words_unpack(size, rows.bits, n * size / 32, bits);
	if (has_pairs(matrix, operand))
		sort_pairs(bits, n, false);
}

void matrix_give(union sg_matrix matrix, const uint32_t *results, struct sg_fragments *all)
{
	unsigned n = elements_of(matrix, SG_MATRIX_D);
	union numbers rows;

	if (matrix.d == SG_MATRIX_F16) {
		uint16_t *narrow = (uint16_t *)rows.bits;

		for (unsigned i = 0; i < n; i++)
			narrow[i] = (uint16_t)results[i];
	} else {
		memcpy(rows.bits, results, n * sizeof(*results));
		sort_pairs(rows.bits, n, true);
	}
	give_rows(matrix, rows.bits, all);
}

/* ---- a warp ---- */

void matrix_compute(union sg_matrix matrix, struct sg_fragments *all)
{
	if (matrix.kind == SG_MATRIX_LOAD)
		matrix_load_rows(matrix, all);
	else if (matrix.kind == SG_MATRIX_STORE)
		matrix_store_rows(matrix, all);
	else if (matrix.kind == SG_MATRIX_MOVE)
		matrix_transpose(all);
	else if (matrix.kind >= SG_MATRIX_SPARSE || matrix.a >= SG_MATRIX_E2M1 ||
		 matrix.b >= SG_MATRIX_E2M1)
		matrix_multiply_special(matrix, all);
	else if (matrix.a == SG_MATRIX_F64)
		multiply_double(matrix, all);
	else if (matrix.a >= SG_MATRIX_S8)
		multiply_integer(matrix, all);
	else if (is_quad(matrix))
		multiply_quads(matrix, all);
	else if (multiply_registers_can(matrix))
		multiply_registers(matrix, all);
	else if (matrix.kind == SG_MATRIX_WMMA)
		multiply_float_in_order(matrix, all);
	else
		multiply_float(matrix, all);
}

/* What lanes that do not run have counts as 0. */
void sg_warp_matrix(uint32_t bits, uint32_t mask, struct sg_fragments *all)
{
	for (uint32_t missing = ~mask; missing; missing &= missing - 1)
		for (unsigned i = 0; i < SG_MATRIX_WORDS; i++)
			all->words[i][__builtin_ctz(missing)] = 0;
	matrix_compute((union sg_matrix){.bits = bits}, all);
}

/* ---- lanes' own arrays ---- */

/* Registers of 64 bits: all, or from a word on. */
static unsigned wide_from(union sg_matrix matrix)
{
	if (matrix.kind == SG_MATRIX_LOAD || matrix.kind == SG_MATRIX_STORE)
		return SG_MATRIX_ROW;
	return matrix.kind <= SG_MATRIX_WMMA && matrix.a == SG_MATRIX_F64 ? 0 : SG_MATRIX_WORDS;
}

static void exchange_words(
    unsigned wide, uint32_t *mine, unsigned lane, bool to_lane, struct sg_fragments *all)
{
	for (unsigned i = 0; i < SG_MATRIX_WORDS;) {
		bool is_wide = i >= wide;
		uint32_t *there = all->words[i] + lane * (1 + is_wide);

		memcpy(to_lane ? &mine[i] : there, to_lane ? there : &mine[i], is_wide ? 8 : 4);
		i += 1 + is_wide;
	}
}

void matrix_compute_lanes(union sg_matrix matrix, uint32_t *const lanes[SG_WARP_SIZE])
{
	unsigned wide = wide_from(matrix);
	struct sg_fragments all = {0};

	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
		if (lanes[lane])
			exchange_words(wide, lanes[lane], lane, false, &all);
	matrix_compute(matrix, &all);
	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
		if (lanes[lane])
			exchange_words(wide, lanes[lane], lane, true, &all);
}
