/*
 * mma with a sparse A, with scales, and of the narrowest floats (PTX ISA 9.7.14.6: mma.sp,
 * .block_scale, .kind).
 *
 * All sums are made in double, which holds the products and any scale exactly, and rounded once.
 */
#include "softgpu/exec/matrix-parts.h"
#include "softgpu/exec/matrix-result.h"
#include "softgpu/exec/multiply.h"
#include "softgpu/exec/sparse.h"

#define ROWS	    16u
#define COLUMNS	    8u
#define MOST_K	    128u
#define QUAD	    4u
#define MOST_BLOCKS 4u

struct product {
	union sg_matrix matrix;
	const struct sg_fragments *all;
	unsigned k;
	double a[ROWS * MOST_K], b[MOST_K * COLUMNS], c[ROWS * COLUMNS];
	double scale_a[ROWS][MOST_BLOCKS], scale_b[COLUMNS][MOST_BLOCKS];
	unsigned blocks; /* that have scales of their own, along k */
};

/* A word behind the operands of lane thread of four. */
static uint32_t extra(const struct product *product, unsigned row, unsigned thread, unsigned word)
{
	unsigned first = sg_matrix_offset(product->matrix, SG_MATRIX_D);

	return product->all->words[first + word][row % 8 * QUAD + thread % QUAD];
}

/* ---- the operands ---- */

static bool has_integers(union sg_matrix matrix)
{
	return matrix.c == SG_MATRIX_S32;
}

/* e2m1 alone in its byte is in the middle of it. */
static void straighten(union sg_matrix matrix, enum sg_matrix_type type, uint32_t *bits)
{
	for (unsigned i = 0; i < SG_MATRIX_ELEMENTS; i++) {
		if (type == SG_MATRIX_E2M1)
			bits[i] = (matrix.conjunction ? bits[i] : bits[i] >> 2) & 0xf;
		else if (type == SG_MATRIX_E2M3 || type == SG_MATRIX_E3M2)
			bits[i] &= 0x3f;
	}
}

/* Row by row. */
static void take_bits(const struct product *product, enum sg_matrix_operand operand, uint32_t *bits)
{
	uint32_t columns[SG_MATRIX_ELEMENTS];

	if (operand != SG_MATRIX_B) {
		matrix_take(product->matrix, operand, product->all, bits);
		return;
	}
	matrix_take(product->matrix, operand, product->all, columns);
	for (unsigned i = 0; i < product->k; i++)
		for (unsigned column = 0; column < COLUMNS; column++)
			bits[i * COLUMNS + column] = columns[column * product->k + i];
}

static void take(struct product *product, enum sg_matrix_operand operand, double *out)
{
	union sg_matrix matrix = product->matrix;
	enum sg_matrix_type type = sg_matrix_type(matrix, operand);
	unsigned n = sg_matrix_rows(matrix, operand) * sg_matrix_columns(matrix, operand);
	union {
		uint32_t bits[SG_MATRIX_ELEMENTS];
		int32_t integers[SG_MATRIX_ELEMENTS];
		float floats[SG_MATRIX_ELEMENTS];
	} all = {0};

	take_bits(product, operand, all.bits);
	straighten(matrix, type, all.bits);
	if (has_integers(matrix))
		integers_from(type, all.bits, n, all.integers);
	else
		floats_from(type, all.bits, n, all.floats);
	for (unsigned i = 0; i < n; i++)
		out[i] = has_integers(matrix) ? all.integers[i] : (double)all.floats[i];
}

/* ---- sparse ---- */

/* The column where a stored element belongs. */
static unsigned true_column(const struct product *product, unsigned row, unsigned stored)
{
	unsigned bits = sg_matrix_element_bits(product->matrix, SG_MATRIX_A);
	struct sparse_place place = sparse_place(bits, product->k,
	    extra(product, row, 0, SG_SPARSE_SELECTOR), row, sparse_chunk(bits, stored));

	return sparse_column(
	    bits, stored, extra(product, row, place.thread, SG_SPARSE_INDICES) >> place.shift);
}

static void spread(struct product *product)
{
	double stored[ROWS * MOST_K / 2];
	unsigned half = product->k / 2;

	memcpy(stored, product->a, ROWS * half * sizeof(*stored));
	memset(product->a, 0, sizeof(product->a));
	for (unsigned row = 0; row < ROWS; row++)
		for (unsigned i = 0; i < half; i++)
			product->a[row * product->k + true_column(product, row, i)] =
			    stored[row * half + i];
}

/* ---- scales ---- */

/* Of A a pair of each four lanes has the scales of rows g and g + 8, of B one has column g's. */
static void take_scales(struct product *product)
{
	unsigned at = product->matrix.kind == SG_MATRIX_SPARSE_SCALED ? SG_SPARSE_WORDS : 0;
	bool is_ue4m3 = extra(product, 0, 0, at + SG_SCALE_UE4M3);

	product->blocks = MAX(1u, MIN(extra(product, 0, 0, at + SG_SCALE_BLOCKS), MOST_BLOCKS));
	for (unsigned row = 0; row < ROWS; row++) {
		unsigned thread = extra(product, row, 0, at + SG_SCALE_A_THREAD) * 2 + row / 8;
		uint32_t word = extra(product, row, thread, at + SG_SCALE_A);
		uint32_t byte = extra(product, row, 0, at + SG_SCALE_A_BYTE);

		for (unsigned i = 0; i < product->blocks; i++)
			product->scale_a[row][i] =
			    matrix_scale(word >> (byte + i) % 4 * 8, is_ue4m3);
	}
	for (unsigned column = 0; column < COLUMNS; column++) {
		unsigned thread = extra(product, column, 0, at + SG_SCALE_B_THREAD);
		uint32_t word = extra(product, column, thread, at + SG_SCALE_B);
		uint32_t byte = extra(product, column, 0, at + SG_SCALE_B_BYTE);

		for (unsigned i = 0; i < product->blocks; i++)
			product->scale_b[column][i] =
			    matrix_scale(word >> (byte + i) % 4 * 8, is_ue4m3);
	}
}

static void no_scales(struct product *product)
{
	product->blocks = 1;
	for (unsigned row = 0; row < ROWS; row++)
		product->scale_a[row][0] = product->scale_b[row % COLUMNS][0] = 1;
}

/* ---- the product ---- */

static double element(const struct product *product, unsigned row, unsigned column)
{
	unsigned size = product->k / product->blocks;
	double sum = product->c[row * COLUMNS + column];

	for (unsigned block = 0; block < product->blocks; block++) {
		double part = 0;

		for (unsigned i = block * size; i < (block + 1) * size; i++)
			part += product->a[row * product->k + i] * product->b[i * COLUMNS + column];
		sum += part * product->scale_a[row][block] * product->scale_b[column][block];
	}
	return sum;
}

static uint32_t result(union sg_matrix matrix, double value)
{
	return has_integers(matrix) ? matrix_integer_result(matrix, (int64_t)value)
				    : matrix_float_result(matrix, (float)value);
}

void matrix_multiply_special(union sg_matrix matrix, struct sg_fragments *all)
{
	struct product product = {.matrix = matrix, .all = all, .k = 4u << matrix.k};
	uint32_t d[ROWS * COLUMNS];

	take(&product, SG_MATRIX_A, product.a);
	take(&product, SG_MATRIX_B, product.b);
	take(&product, SG_MATRIX_C, product.c);
	if (sg_matrix_is_sparse(matrix))
		spread(&product);
	if (matrix.kind == SG_MATRIX_SCALED || matrix.kind == SG_MATRIX_SPARSE_SCALED)
		take_scales(&product);
	else
		no_scales(&product);
	for (unsigned row = 0; row < ROWS; row++)
		for (unsigned column = 0; column < COLUMNS; column++)
			d[row * COLUMNS + column] = result(matrix, element(&product, row, column));
	matrix_give(matrix, d, all);
}
