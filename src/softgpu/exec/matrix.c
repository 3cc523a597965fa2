/*
 * Matrix instructions of a warp: fragments in, fragments out.
 *
 * The registers of all lanes are gathered into plain matrices of float, double or int32_t,
 * multiplied by three loops and scattered again. Where PTX fixes which lane holds which element
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
#include "softgpu/exec/runtime-float.h"

#define MOST_ELEMENTS 1024u /* of an operand; single bits count by the word */

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
	unsigned bits = sg_matrix_bits(sg_matrix_type(matrix, operand));
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
	unsigned bits = sg_matrix_bits(sg_matrix_type(matrix, operand));
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

static float from_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static uint32_t to_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return isnan(value) ? 0x7fffffff : bits;
}

/* A shift puts the exponent in its place and a product makes up for the biases. */
static float float_from_f16(uint32_t bits)
{
	uint32_t sign = (bits & 0x8000) << 16, magnitude = (bits & 0x7fff) << 13;

	if (magnitude >= 0x7c00 << 13)
		return from_bits(sign | 0x7f800000 | magnitude);
	return from_bits(sign | to_bits(from_bits(magnitude) * 0x1p112f));
}

static float float_from(enum sg_matrix_type type, uint32_t bits)
{
	switch (type) {
	case SG_MATRIX_F16:
		return float_from_f16(bits);
	case SG_MATRIX_BF16:
		return from_bits(bits << 16);
	case SG_MATRIX_TF32:
		return from_bits(bits & ~UINT32_C(0x1fff));
	case SG_MATRIX_E4M3:
		return float_from_f16(sg_e4m3x2_to_f16x2(0, (uint16_t)bits) & 0xffff);
	case SG_MATRIX_E5M2:
		return float_from_f16(bits << 8);
	default:
		return from_bits(bits);
	}
}

static int32_t integer_from(enum sg_matrix_type type, uint32_t bits)
{
	switch (type) {
	case SG_MATRIX_S8:
		return (int8_t)bits;
	case SG_MATRIX_S4:
		return (int32_t)(bits << 28) >> 28;
	default:
		return (int32_t)bits;
	}
}

/* ---- the three arithmetics ---- */

/* Calls visit(lane's array, element, place) for each element of an operand. Of m8n8k4 only the lanes
 * of one product: quad is its first lane. */
#define EACH_ELEMENT(matrix, operand, lanes, offset, quad, visit)                                  \
	do {                                                                                       \
		unsigned bits = sg_matrix_bits(sg_matrix_type(matrix, operand));                   \
		unsigned count = sg_matrix_words(matrix, operand) * 32 / bits;                     \
                                                                                                   \
		for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++) {                             \
			if (!lanes[lane] || (is_quad(matrix) && lane % 16 / 4 != (quad)))          \
				continue;                                                          \
			for (unsigned e = 0; e < count; e++) {                                     \
				struct place at = locate(matrix, operand, lane, e);                \
				unsigned to =                                                      \
				    at.row * sg_matrix_columns(matrix, operand) + at.column;       \
				uint32_t *words = lanes[lane] + (offset);                          \
                                                                                                   \
				visit;                                                             \
			}                                                                          \
		}                                                                                  \
	} while (0)

static void clear_results(union sg_matrix matrix, uint32_t *const lanes[], unsigned quad)
{
	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
		if (lanes[lane] && (!is_quad(matrix) || lane % 16 / 4 == quad))
			memset(lanes[lane], 0, sg_matrix_words(matrix, SG_MATRIX_D) * 4);
}

/* c += a * b, eight columns at a time: the compiler keeps them in vector registers. */
#define MULTIPLY(type, a, b, c, m, n, k, add)                                                      \
	for (unsigned row = 0; row < (m); row++)                                                   \
		for (unsigned column = 0; column < (n); column += 8) {                             \
			type sum[8];                                                               \
                                                                                                   \
			memcpy(sum, &(c)[row * (n) + column], sizeof(sum));                        \
			for (unsigned i = 0; i < (k); i++) {                                       \
				type x = (a)[row * (k) + i];                                       \
				const type *y = &(b)[i * (n) + column];                            \
                                                                                                   \
				for (unsigned j = 0; j < 8; j++)                                   \
					sum[j] = add(sum[j], x, y[j]);                             \
			}                                                                          \
			memcpy(&(c)[row * (n) + column], sum, sizeof(sum));                        \
		}

#define ADD_FLOAT(sum, x, y)  ((sum) + (x) * (y))
#define ADD_DOUBLE(sum, x, y) fma(x, y, sum)
#define ADD_INT(sum, x, y)    ((sum) + (int64_t)(x) * (y))
#define ADD_XOR(sum, x, y)    ((sum) + __builtin_popcount((uint32_t)(x) ^ (uint32_t)(y)))
#define ADD_AND(sum, x, y)    ((sum) + __builtin_popcount((uint32_t)(x) & (uint32_t)(y)))

struct offsets {
	unsigned b, c; /* of the operands in a lane's array */
};

static struct offsets find_offsets(union sg_matrix matrix)
{
	unsigned b = sg_matrix_words(matrix, SG_MATRIX_A);

	return (struct offsets){b, b + sg_matrix_words(matrix, SG_MATRIX_B)};
}

static uint64_t float_result(union sg_matrix matrix, float value)
{
	if (matrix.d == SG_MATRIX_F16)
		return sg_to_f16(matrix.saturate ? 8 : 0, value);
	return to_bits(value);
}

static void multiply_float(union sg_matrix matrix, uint32_t *const lanes[], unsigned quad)
{
	float a[MOST_ELEMENTS] = {0}, b[MOST_ELEMENTS] = {0}, c[MOST_ELEMENTS] = {0};
	struct offsets offsets = find_offsets(matrix);
	unsigned m = 8u << matrix.m, n = 8u << matrix.n, k = 4u << matrix.k;

#define TAKE_FLOAT(type, matrix_of)                                                                \
	matrix_of[to] =                                                                            \
	    float_from((enum sg_matrix_type)(type), (uint32_t)element_get(words, bits, e))
	EACH_ELEMENT(matrix, SG_MATRIX_A, lanes, 0, quad, TAKE_FLOAT(matrix.a, a));
	EACH_ELEMENT(matrix, SG_MATRIX_B, lanes, offsets.b, quad, TAKE_FLOAT(matrix.b, b));
	EACH_ELEMENT(matrix, SG_MATRIX_C, lanes, offsets.c, quad, TAKE_FLOAT(matrix.c, c));
	MULTIPLY(float, a, b, c, m, n, k, ADD_FLOAT)
	clear_results(matrix, lanes, quad);
	EACH_ELEMENT(matrix, SG_MATRIX_D, lanes, 0, quad,
	    element_set(words, bits, e, float_result(matrix, c[to])));
}

static void multiply_double(union sg_matrix matrix, uint32_t *const lanes[])
{
	double a[MOST_ELEMENTS / 4] = {0}, b[MOST_ELEMENTS / 4] = {0}, c[MOST_ELEMENTS / 4] = {0};
	struct offsets offsets = find_offsets(matrix);
	unsigned m = 8u << matrix.m, n = 8u << matrix.n, k = 4u << matrix.k;

	EACH_ELEMENT(matrix, SG_MATRIX_A, lanes, 0, 0, memcpy(&a[to], words + 2 * e, bits / 8));
	EACH_ELEMENT(
	    matrix, SG_MATRIX_B, lanes, offsets.b, 0, memcpy(&b[to], words + 2 * e, bits / 8));
	EACH_ELEMENT(
	    matrix, SG_MATRIX_C, lanes, offsets.c, 0, memcpy(&c[to], words + 2 * e, bits / 8));
	MULTIPLY(double, a, b, c, m, n, k, ADD_DOUBLE)
	EACH_ELEMENT(matrix, SG_MATRIX_D, lanes, 0, 0, memcpy(words + 2 * e, &c[to], bits / 8));
}

static uint32_t integer_result(union sg_matrix matrix, int64_t value)
{
	if (matrix.saturate)
		value = MAX((int64_t)INT32_MIN, MIN(value, (int64_t)INT32_MAX));
	return (uint32_t)value;
}

/* Single bits are matrices of 32-bit words, which the same loops multiply by counting. */
static void multiply_integer(union sg_matrix whole, uint32_t *const lanes[])
{
	int64_t a[MOST_ELEMENTS] = {0}, b[MOST_ELEMENTS] = {0}, c[MOST_ELEMENTS / 4] = {0};
	struct offsets offsets = find_offsets(whole);
	union sg_matrix matrix = whole;
	unsigned m = 8u << matrix.m, n = 8u << matrix.n, k;

	if (whole.a == SG_MATRIX_B1) {
		matrix.k -= 5;
		matrix.a = matrix.b = SG_MATRIX_S32;
	}
	k = 4u << matrix.k;
#define TAKE_INTEGER(type, matrix_of)                                                              \
	matrix_of[to] =                                                                            \
	    integer_from((enum sg_matrix_type)(type), (uint32_t)element_get(words, bits, e))
	EACH_ELEMENT(matrix, SG_MATRIX_A, lanes, 0, 0, TAKE_INTEGER(matrix.a, a));
	EACH_ELEMENT(matrix, SG_MATRIX_B, lanes, offsets.b, 0, TAKE_INTEGER(matrix.b, b));
	EACH_ELEMENT(matrix, SG_MATRIX_C, lanes, offsets.c, 0, TAKE_INTEGER(matrix.c, c));
	if (whole.a != SG_MATRIX_B1) {
		MULTIPLY(int64_t, a, b, c, m, n, k, ADD_INT)
	} else if (whole.conjunction) {
		MULTIPLY(int64_t, a, b, c, m, n, k, ADD_AND)
	} else {
		MULTIPLY(int64_t, a, b, c, m, n, k, ADD_XOR)
	}
	clear_results(matrix, lanes, 0);
	EACH_ELEMENT(matrix, SG_MATRIX_D, lanes, 0, 0,
	    element_set(words, bits, e, integer_result(matrix, c[to])));
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
	else if (matrix.a == SG_MATRIX_F64)
		multiply_double(matrix, lanes);
	else if (matrix.a >= SG_MATRIX_S8)
		multiply_integer(matrix, lanes);
	else
		for (unsigned quad = 0; quad < (is_quad(matrix) ? 4u : 1u); quad++)
			multiply_float(matrix, lanes, quad);
}

/* ---- wmma.load and wmma.store ---- */

struct walk {
	unsigned bits, count, columns;
	uint64_t end; /* in bits */
};

static struct walk plan_walk(
    union sg_matrix matrix, enum sg_matrix_operand operand, uint32_t stride, bool by_column)
{
	unsigned rows = sg_matrix_rows(matrix, operand);
	unsigned columns = sg_matrix_columns(matrix, operand);
	unsigned bits = sg_matrix_bits(sg_matrix_type(matrix, operand));
	uint64_t lines = by_column ? columns : rows, length = by_column ? rows : columns;

	return (struct walk){bits, sg_matrix_words(matrix, operand) * 32 / bits, columns,
	    ((lines - 1) * stride + length) * bits};
}

static uint64_t position(struct place at, uint32_t stride, bool by_column)
{
	return by_column ? (uint64_t)at.column * stride + at.row
			 : (uint64_t)at.row * stride + at.column;
}

void sg_wmma_load(struct sg_lane *lane, uint32_t bits, uint32_t operand, uint64_t base,
    uint32_t stride, uint32_t by_column, uint32_t is_shared, uint32_t *words)
{
	union sg_matrix matrix = {.bits = bits};
	enum sg_matrix_operand which = (enum sg_matrix_operand)operand;
	struct walk walk = plan_walk(matrix, which, stride, by_column);
	const uint8_t *memory = fault_check_range(lane, base, (walk.end + 7) / 8, is_shared, false);

	memset(words, 0, sg_matrix_words(matrix, which) * 4);
	for (unsigned e = 0; e < walk.count; e++) {
		struct place at = locate(matrix, which, lane->lane_id, e);
		uint64_t from = position(at, stride, by_column) * walk.bits, value = 0;

		memcpy(&value, memory + from / 8, MAX(walk.bits / 8, 1u));
		if (walk.bits < 8)
			value = value >> from % 8 & ((1u << walk.bits) - 1);
		element_set(words, walk.bits, e, value);
	}
}

void sg_wmma_store(struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride,
    uint32_t by_column, uint32_t is_shared, const uint32_t *words)
{
	union sg_matrix matrix = {.bits = bits};
	struct walk walk = plan_walk(matrix, SG_MATRIX_D, stride, by_column);
	uint8_t *memory = fault_check_range(lane, base, (walk.end + 7) / 8, is_shared, true);

	for (unsigned e = 0; e < walk.count; e++) {
		struct place at = locate(matrix, SG_MATRIX_D, lane->lane_id, e);
		uint64_t value = element_get(words, walk.bits, e);

		memcpy(memory + position(at, stride, by_column) * walk.bits / 8, &value,
		    walk.bits / 8);
	}
}
