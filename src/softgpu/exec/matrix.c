/*
 * Matrix instructions of a warp: fragments in, fragments out.
 *
 * The registers of all lanes are gathered into plain matrices of float, double or int32_t,
 * multiplied (multiply.c) and scattered again. Where PTX fixes which lane holds which element
 * (mma, ldmatrix) locate() follows its figures; where it does not (wmma) element e of lane l is
 * number l * n + e of the matrix, row by row.
 *
 * Sums run over k in order, products of narrow floats are exact in float and each addition is
 * rounded once: inside what PTX allows, though a tensor core's own order differs.
 */
#include "softgpu/exec/matrix.h"

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"
#include "softgpu/exec/matrix-special.h"
#include "softgpu/exec/multiply.h"
#include "softgpu/exec/runtime-float.h"

struct place {
	unsigned row, column;
};

/* ---- which element a lane holds ---- */

/* m8n8k4 of f16: lanes q to q + 3 and q + 16 to q + 19 make a product of their own. */
static struct place locate_quad(
    union sg_matrix matrix, enum sg_matrix_operand operand, unsigned lane, unsigned e)
{
	unsigned half = lane < 16 ? 0 : 4, q = lane % 4;

	switch (operand) {
	case SG_MATRIX_A:
		return matrix.a_column ? (struct place){e % 4 + half, q}
				       : (struct place){q + half, e};
	case SG_MATRIX_B:
		return matrix.b_row ? (struct place){q, e + half} : (struct place){e, q + half};
	default:
		if (sg_matrix_type(matrix, operand) == SG_MATRIX_F16)
			return (struct place){q + half, e};
		return (struct place){(lane & 1) + (e & 2) + half, (e & 4) + (lane & 2) + (e & 1)};
	}
}

/* Of a 32-bit register (64 for f64) n elements lie side by side along k; four lanes make a row. */
static struct place locate_mma(
    union sg_matrix matrix, enum sg_matrix_operand operand, unsigned lane, unsigned e)
{
	unsigned bits = sg_matrix_element_bits(matrix, operand);
	unsigned n = bits < 32 ? 32 / bits : 1, reg = e / n, at = e % n;
	unsigned group = lane / 4, along = lane % 4;

	switch (operand) {
	case SG_MATRIX_A:
		if (!matrix.m)
			return (struct place){group, reg * 4 * n + along * n + at};
		return (struct place){group + 8 * (reg & 1), (reg >> 1) * 4 * n + along * n + at};
	case SG_MATRIX_B:
		return (struct place){reg * 4 * n + along * n + at, group};
	default:
		return (struct place){group + 8 * (e >> 1), along * 2 + (e & 1)};
	}
}

static struct place locate_wmma(
    union sg_matrix matrix, enum sg_matrix_operand operand, unsigned lane, unsigned e)
{
	unsigned bits = sg_matrix_element_bits(matrix, operand);
	unsigned columns = sg_matrix_columns(matrix, operand);
	unsigned number = lane * (sg_matrix_words(matrix, operand) * 32 / bits) + e;

	number %= sg_matrix_rows(matrix, operand) * columns;
	return (struct place){number / columns, number % columns};
}

static bool is_quad(union sg_matrix matrix)
{
	return matrix.kind == SG_MATRIX_MMA && matrix.a == SG_MATRIX_F16 && !matrix.k;
}

static struct place locate(
    union sg_matrix matrix, enum sg_matrix_operand operand, unsigned lane, unsigned e)
{
	if (matrix.kind == SG_MATRIX_WMMA)
		return locate_wmma(matrix, operand, lane, e);
	return is_quad(matrix) ? locate_quad(matrix, operand, lane, e)
			       : locate_mma(matrix, operand, lane, e);
}

/* ---- elements as bits ---- */

static uint64_t element_get(const uint32_t *words, unsigned bits, unsigned e)
{
	uint64_t wide;

	if (bits == 64) {
		memcpy(&wide, words + 2 * e, sizeof(wide));
		return wide;
	}
	return words[e * bits / 32] >> (e * bits % 32) & (UINT32_MAX >> (32 - bits));
}

/* The bits must be 0 before. */
static void element_set(uint32_t *words, unsigned bits, unsigned e, uint64_t value)
{
	if (bits == 64)
		memcpy(words + 2 * e, &value, sizeof(value));
	else
		words[e * bits / 32] |= (uint32_t)value << (e * bits % 32);
}

/* ---- where all of a warp's elements lie ---- */

/*
 * to[operand][i]: the place in the plain matrix, row by row, of element i of the warp: a lane's
 * elements are neighbours. Products of m8n8k4 follow each other. A host thread keeps those of the
 * instructions it met last.
 */
struct layout {
	uint32_t bits;
	bool is_known;
	uint16_t to[SG_MATRIX_D + 1][SG_MATRIX_ELEMENTS];
};

static unsigned elements_of(union sg_matrix matrix, enum sg_matrix_operand operand)
{
	return sg_matrix_rows(matrix, operand) * sg_matrix_columns(matrix, operand);
}

/* Of one lane, those it has several times over included. */
static unsigned elements_per_lane(union sg_matrix matrix, enum sg_matrix_operand operand)
{
	return sg_matrix_words(matrix, operand) * 32 / sg_matrix_element_bits(matrix, operand);
}

static void layout_fill(
    union sg_matrix matrix, enum sg_matrix_operand operand, uint16_t to[SG_MATRIX_ELEMENTS])
{
	unsigned n = elements_per_lane(matrix, operand);
	unsigned columns = sg_matrix_columns(matrix, operand);

	for (unsigned i = 0; i < n * SG_WARP_SIZE; i++) {
		struct place at = locate(matrix, operand, i / n, i % n);
		unsigned product = is_quad(matrix) ? i / n % 16 / 4 : 0;

		to[i] = (uint16_t)(product * elements_of(matrix, operand) + at.row * columns +
				   at.column);
	}
}

static const struct layout *layout_of(union sg_matrix matrix)
{
	static _Thread_local struct layout kept[8];
	struct layout *layout = &kept[(matrix.bits * UINT32_C(2654435761)) >> 29];

	if (!layout->is_known || layout->bits != matrix.bits) {
		for (int operand = SG_MATRIX_A; operand <= SG_MATRIX_D; operand++)
			layout_fill(matrix, (enum sg_matrix_operand)operand, layout->to[operand]);
		layout->bits = matrix.bits;
		layout->is_known = true;
	}
	return layout;
}

/* ---- the three arithmetics ---- */

/* The plain matrices of one instruction; numbers are brought here as they are and converted. */
struct operands {
	union {
		uint32_t bits[SG_MATRIX_ELEMENTS];
		float floats[SG_MATRIX_ELEMENTS];
		int32_t integers[SG_MATRIX_ELEMENTS];
		double doubles[SG_MATRIX_ELEMENTS / 2];
	} a, b, c;
};

static const uint32_t nothing[SG_MATRIX_WORDS]; /* the registers of lanes that are not there */

/* An operand whose registers begin at word offset of each lane's array. */
static void take(union sg_matrix matrix, enum sg_matrix_operand operand,
    const struct layout *layout, uint32_t *const lanes[], unsigned offset, uint32_t *matrix_bits)
{
	unsigned n = elements_per_lane(matrix, operand), words = sg_matrix_words(matrix, operand);
	unsigned bits = sg_matrix_element_bits(matrix, operand);
	bool in_order = matrix.kind == SG_MATRIX_WMMA;
	unsigned n_lanes = in_order ? elements_of(matrix, operand) / n : SG_WARP_SIZE;
	const uint16_t *to = layout->to[operand];
	uint32_t elements[SG_MATRIX_ELEMENTS], *row = in_order ? matrix_bits : elements;

	/* Lanes behind those of wmma have the same elements again. */
	for (unsigned lane = 0; lane < n_lanes; lane++)
		words_unpack(
		    bits, lanes[lane] ? lanes[lane] + offset : nothing, words, &row[lane * n]);
	for (unsigned i = 0; i < n * SG_WARP_SIZE && !in_order; i++)
		matrix_bits[to[i]] = elements[i];
}

static void give(union sg_matrix matrix, const struct layout *layout, uint32_t *const lanes[],
    const uint32_t *results)
{
	unsigned n = elements_per_lane(matrix, SG_MATRIX_D);
	unsigned bits = sg_matrix_bits((enum sg_matrix_type)matrix.d);
	const uint16_t *from = layout->to[SG_MATRIX_D];

	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++, from += n) {
		if (!lanes[lane])
			continue;
		if (bits == 32) {
			for (unsigned e = 0; e < n; e++)
				lanes[lane][e] = results[from[e]];
			continue;
		}
		memset(lanes[lane], 0, sg_matrix_words(matrix, SG_MATRIX_D) * 4);
		for (unsigned e = 0; e < n; e++)
			element_set(lanes[lane], bits, e, results[from[e]]);
	}
}

static struct sg_product product_of(union sg_matrix matrix)
{
	return (struct sg_product){8u << matrix.m, 8u << matrix.n, 4u << matrix.k};
}

static void take_all(union sg_matrix matrix, const struct layout *layout, uint32_t *const lanes[],
    struct operands *operands)
{
	unsigned b = sg_matrix_words(matrix, SG_MATRIX_A);

	take(matrix, SG_MATRIX_A, layout, lanes, 0, operands->a.bits);
	take(matrix, SG_MATRIX_B, layout, lanes, b, operands->b.bits);
	take(matrix, SG_MATRIX_C, layout, lanes, b + sg_matrix_words(matrix, SG_MATRIX_B),
	    operands->c.bits);
}

static void multiply_float(union sg_matrix matrix, uint32_t *const lanes[])
{
	const struct layout *layout = layout_of(matrix);
	unsigned products = is_quad(matrix) ? 4 : 1;
	unsigned a = elements_of(matrix, SG_MATRIX_A), b = elements_of(matrix, SG_MATRIX_B);
	unsigned c = elements_of(matrix, SG_MATRIX_C);
	struct operands all;

	take_all(matrix, layout, lanes, &all);
	floats_from((enum sg_matrix_type)matrix.a, all.a.bits, products * a, all.a.floats);
	floats_from((enum sg_matrix_type)matrix.b, all.b.bits, products * b, all.b.floats);
	floats_from((enum sg_matrix_type)matrix.c, all.c.bits, products * c, all.c.floats);
	for (unsigned i = 0; i < products; i++)
		multiply_floats(product_of(matrix), all.a.floats + i * a, all.b.floats + i * b,
		    all.c.floats + i * c);
	for (unsigned i = 0; i < products * c; i++)
		all.c.bits[i] = matrix_float_result(matrix, all.c.floats[i]);
	give(matrix, layout, lanes, all.c.bits);
}

static void take_doubles(union sg_matrix matrix, enum sg_matrix_operand operand,
    const struct layout *layout, uint32_t *const lanes[], unsigned offset, double *to)
{
	unsigned n = elements_per_lane(matrix, operand);
	const uint16_t *place = layout->to[operand];

	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++) {
		const uint32_t *words = lanes[lane] ? lanes[lane] + offset : nothing;

		for (unsigned e = 0; e < n; e++)
			memcpy(&to[*place++], words + 2 * e, sizeof(*to));
	}
}

static void multiply_double(union sg_matrix matrix, uint32_t *const lanes[])
{
	const struct layout *layout = layout_of(matrix);
	unsigned n = elements_per_lane(matrix, SG_MATRIX_D);
	unsigned b = sg_matrix_words(matrix, SG_MATRIX_A);
	struct operands all;

	take_doubles(matrix, SG_MATRIX_A, layout, lanes, 0, all.a.doubles);
	take_doubles(matrix, SG_MATRIX_B, layout, lanes, b, all.b.doubles);
	take_doubles(matrix, SG_MATRIX_C, layout, lanes, b + sg_matrix_words(matrix, SG_MATRIX_B),
	    all.c.doubles);
	multiply_doubles(product_of(matrix), all.a.doubles, all.b.doubles, all.c.doubles);
	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
		for (unsigned e = 0; lanes[lane] && e < n; e++)
			memcpy(lanes[lane] + 2 * e,
			    &all.c.doubles[layout->to[SG_MATRIX_D][lane * n + e]], sizeof(double));
}

/* Single bits are matrices of 32-bit words. */
static void multiply_integer(union sg_matrix whole, uint32_t *const lanes[])
{
	int32_t sums[SG_MATRIX_ELEMENTS];
	union sg_matrix matrix = whole;
	const struct layout *layout;
	struct operands all;

	if (whole.a == SG_MATRIX_B1) {
		matrix.k -= 5;
		matrix.a = matrix.b = SG_MATRIX_S32;
	}
	layout = layout_of(matrix);
	take_all(matrix, layout, lanes, &all);
	integers_from((enum sg_matrix_type)matrix.a, all.a.bits, elements_of(matrix, SG_MATRIX_A),
	    all.a.integers);
	integers_from((enum sg_matrix_type)matrix.b, all.b.bits, elements_of(matrix, SG_MATRIX_B),
	    all.b.integers);
	memset(sums, 0, elements_of(matrix, SG_MATRIX_D) * sizeof(*sums));
	if (whole.a == SG_MATRIX_B1)
		multiply_bits(
		    product_of(matrix), whole.conjunction, all.a.integers, all.b.integers, sums);
	else
		multiply_integers(product_of(matrix), all.a.integers, all.b.integers, sums);
	for (unsigned i = 0, n = elements_of(matrix, SG_MATRIX_D); i < n; i++)
		all.c.bits[i] = matrix.saturate ? matrix_integer_result(
						      matrix, (int64_t)all.c.integers[i] + sums[i])
						: all.c.bits[i] + (uint32_t)sums[i];
	give(matrix, layout, lanes, all.c.bits);
}

void matrix_take(union sg_matrix matrix, enum sg_matrix_operand operand,
    uint32_t *const lanes[SG_WARP_SIZE], uint32_t bits[SG_MATRIX_ELEMENTS])
{
	unsigned offset = sg_matrix_offset(matrix, operand);

	take(matrix, operand, layout_of(matrix), lanes, offset, bits);
}

void matrix_give(
    union sg_matrix matrix, uint32_t *const lanes[SG_WARP_SIZE], const uint32_t *results)
{
	give(matrix, layout_of(matrix), lanes, results);
}

/* ---- 8 by 8 matrices of 16 bits ---- */

static uint16_t row_get(const uint32_t *words, unsigned column)
{
	uint64_t row = element_get(words, 64, 0);
	uint16_t value = 0;

	if (row)
		memcpy(&value, (const uint8_t *)row + 2 * column, sizeof(value));
	return value;
}

/* Register i of a lane holds two neighbours of a row of matrix i, whose rows lanes 8 i to 8 i + 7
 * point at. Lanes that are not there point nowhere. */
static void load_rows(union sg_matrix matrix, uint32_t *const lanes[])
{
	static uint32_t nowhere[2];
	uint32_t results[SG_WARP_SIZE][4] = {0};

	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
		for (unsigned e = 0; e < 8; e++) {
			unsigned row = lane / 4, column = lane % 4 * 2 + e % 2, from = e / 2 * 8;
			const uint32_t *source;

			from += matrix.trans ? column : row;
			source = lanes[from] ? lanes[from] : nowhere;
			results[lane][e / 2] |=
			    (uint32_t)row_get(source, matrix.trans ? row : column) << 16 * (e % 2);
		}
	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
		if (lanes[lane])
			memcpy(lanes[lane], results[lane], sizeof(results[lane]));
}

static void store_rows(union sg_matrix matrix, uint32_t *const lanes[])
{
	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
		for (unsigned e = 0; lanes[lane] && e < 8; e++) {
			unsigned row = lane / 4, column = lane % 4 * 2 + e % 2;
			unsigned to = e / 2 * 8 + (matrix.trans ? column : row);
			uint64_t address = lanes[to] ? element_get(lanes[to], 64, 0) : 0;
			uint16_t value = (uint16_t)element_get(lanes[lane] + 2, 16, e);

			if (address)
				memcpy((uint8_t *)address + 2 * (matrix.trans ? row : column),
				    &value, sizeof(value));
		}
}

static void move_transposed(uint32_t *const lanes[])
{
	uint32_t results[SG_WARP_SIZE] = {0};

	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
		for (unsigned e = 0; e < 2; e++) {
			unsigned row = lane % 4 * 2 + e, column = lane / 4;
			const uint32_t *source = lanes[row * 4 + column / 2];

			if (source)
				results[lane] |= (uint32_t)element_get(source, 16, column % 2)
						 << 16 * e;
		}
	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
		if (lanes[lane])
			*lanes[lane] = results[lane];
}

void matrix_compute(union sg_matrix matrix, uint32_t *const lanes[SG_WARP_SIZE])
{
	if (matrix.kind == SG_MATRIX_LOAD)
		load_rows(matrix, lanes);
	else if (matrix.kind == SG_MATRIX_STORE)
		store_rows(matrix, lanes);
	else if (matrix.kind == SG_MATRIX_MOVE)
		move_transposed(lanes);
	else if (matrix.kind >= SG_MATRIX_SPARSE || matrix.a >= SG_MATRIX_E2M1 ||
		 matrix.b >= SG_MATRIX_E2M1)
		matrix_multiply_special(matrix, lanes);
	else if (matrix.a == SG_MATRIX_F64)
		multiply_double(matrix, lanes);
	else if (matrix.a >= SG_MATRIX_S8)
		multiply_integer(matrix, lanes);
	else
		multiply_float(matrix, lanes);
}

/* ---- wmma.load and wmma.store ---- */

/* How one lane's part of an operand lies in memory; all sizes are powers of two. */
struct walk {
	unsigned bits, count, columns, elements;
	uint64_t row_step, column_step; /* in elements */
	uint64_t end;			/* in bits */
};

static struct walk plan_walk(
    union sg_matrix matrix, enum sg_matrix_operand operand, uint32_t stride, bool by_column)
{
	unsigned rows = sg_matrix_rows(matrix, operand);
	unsigned columns = sg_matrix_columns(matrix, operand);
	unsigned bits = sg_matrix_element_bits(matrix, operand);
	uint64_t lines = by_column ? columns : rows, length = by_column ? rows : columns;

	return (struct walk){
	    .bits = bits,
	    .count = elements_per_lane(matrix, operand),
	    .columns = columns,
	    .elements = rows * columns,
	    .row_step = by_column ? 1 : stride,
	    .column_step = by_column ? stride : 1,
	    .end = ((lines - 1) * stride + length) * bits,
	};
}

static uint64_t position(const struct walk *walk, unsigned lane, unsigned e)
{
	unsigned number = (lane * walk->count + e) & (walk->elements - 1);

	return number / walk->columns * walk->row_step +
	       (number & (walk->columns - 1)) * walk->column_step;
}

/* Numbers of less than a byte. */
static void load_small(
    const struct walk *walk, unsigned lane, const uint8_t *memory, uint32_t *words)
{
	memset(words, 0, walk->count * walk->bits / 8);
	for (unsigned e = 0; e < walk->count; e++) {
		uint64_t from = position(walk, lane, e) * walk->bits;
		uint32_t value = memory[from / 8] >> from % 8;

		element_set(words, walk->bits, e, value & ((1u << walk->bits) - 1));
	}
}

/* A lane's elements are neighbours of a row, which may go on in the next. */
#define EACH_RUN(walk, lane, body)                                                                 \
	for (unsigned e = 0, n; e < (walk).count; e += n) {                                        \
		uint64_t at = position(&(walk), lane, e) * (walk).bits / 8;                        \
		uint64_t step = (walk).column_step * (walk).bits / 8;                              \
		unsigned place = e * (walk).bits / 8;                                              \
                                                                                                   \
		n = MIN((walk).columns, (walk).count);                                             \
		body;                                                                              \
	}

/* n numbers of bits each, a step of bytes apart. */
static void copy_apart(uint8_t *to, uint64_t to_step, const uint8_t *from, uint64_t from_step,
    unsigned bits, unsigned n)
{
#define COPY(type)                                                                                 \
	for (unsigned i = 0; i < n; i++)                                                           \
		memcpy(to + i * to_step, from + i * from_step, sizeof(type));                      \
	break

	switch (bits) {
	case 8:
		COPY(uint8_t);
	case 16:
		COPY(uint16_t);
	case 32:
		COPY(uint32_t);
	default:
		COPY(uint64_t);
	}
#undef COPY
}

void sg_wmma_load(struct sg_lane *lane, uint32_t bits, uint32_t operand, uint64_t base,
    uint32_t stride, uint32_t by_column, uint32_t is_shared, uint32_t *words)
{
	struct walk walk = plan_walk(
	    (union sg_matrix){.bits = bits}, (enum sg_matrix_operand)operand, stride, by_column);
	const uint8_t *memory = fault_check_range(lane, base, (walk.end + 7) / 8, is_shared, false);

	if (walk.bits < 8)
		load_small(&walk, lane->lane_id, memory, words);
	else
		EACH_RUN(walk, lane->lane_id,
		    copy_apart(
			(uint8_t *)words + place, walk.bits / 8, memory + at, step, walk.bits, n));
}

void sg_wmma_store(struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride,
    uint32_t by_column, uint32_t is_shared, const uint32_t *words)
{
	struct walk walk =
	    plan_walk((union sg_matrix){.bits = bits}, SG_MATRIX_D, stride, by_column);
	uint8_t *memory = fault_check_range(lane, base, (walk.end + 7) / 8, is_shared, true);

	EACH_RUN(walk, lane->lane_id,
	    copy_apart(
		memory + at, step, (const uint8_t *)words + place, walk.bits / 8, walk.bits, n));
}
