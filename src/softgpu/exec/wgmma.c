/*
 * wgmma: a warp's part of the product at the place where it is issued, which the rules of
 * asynchronous copies and products allow. Waiting for the products is where the four warps meet,
 * for afterwards one thread may say on behalf of all that shared memory is free.
 */
#include "softgpu/exec/wgmma.h"

#include <string.h>

#include "base/util.h"
#include "softgpu/exec/machine.h"
#include "softgpu/exec/matrix-result.h"
#include "softgpu/exec/multiply.h"
#include "softgpu/exec/shared-matrix.h"
#include "softgpu/exec/sparse.h"

#define ROWS	     16u /* of a warp */
#define ROW_ELEMENTS SG_WGMMA_COLUMN

static struct shared_matrix place_of(uint64_t descriptor)
{
	/* Of the modes none, 128, 64 and 32 bytes. */
	static const uint8_t widths[] = {SG_PIECE_BYTES, 128, 64, 32};
	struct shared_matrix matrix = shared_matrix_of(descriptor);

	shared_matrix_swizzle(&matrix, widths[descriptor >> 62]);
	return matrix;
}

/* Elements of a row of A (a column of B) of so many bytes along k, as bits. */
static void fetch(struct sg_lane *lane, const struct shared_matrix *place, bool transposed,
    unsigned size, unsigned bytes, uint64_t row, uint32_t out[ROW_ELEMENTS])
{
	unsigned step = transposed ? size : SG_PIECE_BYTES; /* what lies together */

	for (unsigned at = 0; at < bytes; at += step) {
		uint64_t offset = transposed
				      ? shared_matrix_offset(place, true, at / size, row * size)
				      : shared_matrix_offset(place, false, row, at);
		const uint8_t *from = fault_check_range(lane, offset, step, true, false);
		uint32_t words[SG_PIECE_BYTES / 4] = {0};

		memcpy(words, from, step);
		if (transposed)
			out[at / size] = *words;
		else
			words_unpack(size * 8, words, ARRAY_SIZE(words), &out[at / size]);
	}
}

/* ---- a warp's operands ---- */

struct product {
	union sg_wgmma form;
	struct sg_wgmma_warp *all;
	unsigned columns, k, size; /* size: bytes of an element */
	unsigned stored;	   /* of a row of A; k, or half of it */
	uint32_t a[ROWS * ROW_ELEMENTS], b[ROW_ELEMENTS * SG_WGMMA_COLUMNS];
	uint32_t c[ROWS * SG_WGMMA_COLUMNS];
	/* the same as numbers */
	union {
		float floats[ROWS * ROW_ELEMENTS];
		int32_t integers[ROWS * ROW_ELEMENTS];
	} number_a;
	union {
		float floats[ROW_ELEMENTS * SG_WGMMA_COLUMNS];
		int32_t integers[ROW_ELEMENTS * SG_WGMMA_COLUMNS];
	} number_b;
	union {
		float floats[ROWS * SG_WGMMA_COLUMNS];
		int32_t integers[ROWS * SG_WGMMA_COLUMNS];
	} sums;
};

/* Too large for a thread's stack. One at a time: nobody waits in the middle of a product. */
static _Thread_local struct product scratch;

static void take_a(struct product *product, struct sg_lane *self, uint64_t descriptor)
{
	struct shared_matrix place = place_of(descriptor);
	uint64_t first = self->warp_id % 4 * ROWS;

	for (unsigned row = 0; row < ROWS; row++)
		fetch(self, &place, product->form.a_transposed, product->size, SG_WGMMA_ROW,
		    first + row, &product->a[row * product->stored]);
}

/* Registers hold neighbours along k: rows g and g + 8, then the same with the upper half of k. */
static void take_a_registers(struct product *product)
{
	unsigned per = 4 / product->size;

	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
		for (unsigned i = 0; i < 4; i++) {
			unsigned row = lane / 4 + i % 2 * 8;
			unsigned first = lane % 4 * per + i / 2 * 4 * per;

			words_unpack(product->size * 8, &product->all->a[i][lane], 1,
			    &product->a[row * product->stored + first]);
		}
}

/* The row's elements go where their indices say; zeroes are between. */
static void spread_row(struct product *product, unsigned row)
{
	uint32_t *a = &product->a[row * product->k], stored[ROW_ELEMENTS];
	unsigned bits = product->size * 8;

	memcpy(stored, &product->a[row * product->stored], product->stored * sizeof(*stored));
	memset(a, 0, product->k * sizeof(*a));
	for (unsigned i = 0; i < product->stored; i++) {
		struct sparse_place place = sparse_place(
		    bits, product->k, product->form.selector, row, sparse_chunk(bits, i));
		uint32_t word = product->all->indices[row % 8 * 4 + place.thread];

		a[sparse_column(bits, i, word >> place.shift)] = stored[i];
	}
}

/* From the last row on: each moves up. */
static void spread(struct product *product)
{
	for (unsigned row = ROWS; row--;)
		spread_row(product, row);
}

static void take_b(struct product *product, struct sg_lane *self, uint64_t descriptor)
{
	struct shared_matrix place = place_of(descriptor);
	uint32_t column[ROW_ELEMENTS];

	for (unsigned n = 0; n < product->columns; n++) {
		fetch(self, &place, product->form.b_transposed, product->size,
		    product->k * product->size, n, column);
		for (unsigned i = 0; i < product->k; i++)
			product->b[i * product->columns + n] = column[i];
	}
}

/* Element e of a lane: pairs of neighbours, rows g and g + 8 in turn, eight columns on. */
static uint32_t *element_of(struct product *product, unsigned lane, unsigned e)
{
	unsigned row = lane / 4 + e / 2 % 2 * 8, column = e / 4 * 8 + lane % 4 * 2 + e % 2;

	return &product->c[row * product->columns + column];
}

static bool is_half_sum(union sg_wgmma form)
{
	return form.d == SG_MATRIX_F16;
}

static void take_d(struct product *product)
{
	bool is_half = is_half_sum(product->form);

	for (unsigned e = 0; e < product->columns / 2; e++) {
		const uint32_t *mine = product->all->d[is_half ? e / 2 : e];

		for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
			*element_of(product, lane, e) =
			    is_half ? mine[lane] >> e % 2 * 16 & 0xffff : mine[lane];
	}
}

static void give_d(struct product *product)
{
	bool is_half = is_half_sum(product->form);

	for (unsigned e = 0; e < product->columns / 2; e++) {
		uint32_t *mine = product->all->d[is_half ? e / 2 : e];

		for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++) {
			uint32_t value = *element_of(product, lane, e);

			mine[lane] = is_half && e % 2 ? mine[lane] | value << 16 : value;
		}
	}
}

/* ---- the arithmetics ---- */

static struct sg_product size_of(const struct product *product)
{
	return (struct sg_product){ROWS, product->columns, product->k};
}

static void negate(float *values, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		values[i] = -values[i];
}

static void multiply_as_floats(struct product *product)
{
	union sg_wgmma form = product->form;
	unsigned n_a = ROWS * product->k, n_b = product->k * product->columns;
	unsigned n_c = ROWS * product->columns;
	float *a = product->number_a.floats, *b = product->number_b.floats;
	float *c = product->sums.floats;
	union sg_matrix result = {.d = form.d};

	floats_from((enum sg_matrix_type)form.a, product->a, n_a, a);
	floats_from((enum sg_matrix_type)form.b, product->b, n_b, b);
	floats_from((enum sg_matrix_type)form.d, product->c, n_c, c);
	if (form.a_negated != form.b_negated)
		negate(a, n_a);
	multiply_floats(size_of(product), a, b, c);
	for (unsigned i = 0; i < n_c; i++)
		product->c[i] = matrix_float_result(result, c[i]);
}

static void multiply_as_integers(struct product *product)
{
	union sg_wgmma form = product->form;
	int32_t *a = product->number_a.integers, *b = product->number_b.integers;
	int32_t *sums = product->sums.integers;
	union sg_matrix result = {.d = form.d, .saturate = form.saturate};

	integers_from((enum sg_matrix_type)form.a, product->a, ROWS * product->k, a);
	integers_from((enum sg_matrix_type)form.b, product->b, product->k * product->columns, b);
	memset(sums, 0, ROWS * product->columns * sizeof(*sums));
	if (form.a == SG_MATRIX_B1)
		multiply_bits(size_of(product), true, a, b, sums);
	else
		multiply_integers(size_of(product), a, b, sums);
	for (unsigned i = 0; i < ROWS * product->columns; i++)
		product->c[i] =
		    matrix_integer_result(result, (int64_t)(int32_t)product->c[i] + sums[i]);
}

/* Single bits are multiplied by words. */
static unsigned element_size(union sg_wgmma form)
{
	return form.a == SG_MATRIX_B1 ? 4 : sg_matrix_bits((enum sg_matrix_type)form.a) / 8;
}

/* ---- on registers as they are ---- */

#define SIDE 8u /* rows, or columns, of a register of all lanes, 16 bytes each */

/* 8 rows of A or columns of B, of which a piece of 16 bytes along k. */
static void take_register(struct sg_lane *lane, const struct shared_matrix *place, bool transposed,
    uint64_t row, unsigned piece, uint32_t to[SG_WARP_SIZE])
{
	uint8_t rows[SIDE][SG_PIECE_BYTES];

	for (unsigned i = 0; i < SIDE; i++) {
		uint64_t offset = transposed ? shared_matrix_offset(place, true, piece * SIDE + i,
						   row * sizeof(uint16_t))
					     : shared_matrix_offset(
						   place, false, row + i, piece * SG_PIECE_BYTES);

		memcpy(rows[i], fault_check_range(lane, offset, SG_PIECE_BYTES, true, false),
		    SG_PIECE_BYTES);
	}
	if (transposed) /* only elements of 16 bits are */
		halves_transpose(rows, SG_PIECE_BYTES, to, SG_PIECE_BYTES);
	else
		memcpy(to, rows, sizeof(rows));
}

static bool is_of_registers(union sg_wgmma form)
{
	bool is_turned = form.a_transposed || form.b_transposed;

	return !form.sparse && form.a_negated == form.b_negated &&
	       multiply_columns_can((enum sg_matrix_type)form.a, (enum sg_matrix_type)form.b) &&
	       (!is_turned || sg_matrix_bits((enum sg_matrix_type)form.a) == 16);
}

static void multiply_registers_of(
    struct sg_lane *lane, union sg_wgmma form, struct sg_wgmma_warp *all)
{
	alignas(64) uint32_t b[SG_WGMMA_COLUMNS / SIDE * 2][SG_WARP_SIZE];
	struct shared_matrix b_place = place_of(all->b_place), a_place;
	struct sg_columns columns = {form.n, all->adds, is_half_sum(form), all->a,
	    (const uint32_t(*)[SG_WARP_SIZE])b, all->d};

	if (!form.a_registers) {
		a_place = place_of(all->a_place);
		for (unsigned i = 0; i < 4; i++)
			take_register(lane, &a_place, form.a_transposed,
			    lane->warp_id % 4 * ROWS + i % 2 * SIDE, i / 2, all->a[i]);
	}
	for (unsigned i = 0; i < form.n * 2u; i++)
		take_register(lane, &b_place, form.b_transposed, i / 2 * SIDE, i % 2, b[i]);
	multiply_columns((enum sg_matrix_type)form.a, (enum sg_matrix_type)form.b, &columns);
}

void sg_warp_wgmma(struct sg_lane *lane, uint32_t bits, struct sg_wgmma_warp *all)
{
	struct product *product = &scratch;
	union sg_wgmma form = {.bits = bits};

	if (is_of_registers(form)) {
		multiply_registers_of(lane, form, all);
		return;
	}
	product->form = form;
	product->all = all;
	product->columns = form.n * 8u;
	product->size = element_size(form);
	product->stored = SG_WGMMA_ROW / product->size;
	product->k = product->stored << form.sparse;
	if (form.a_registers)
		take_a_registers(product);
	else
		take_a(product, lane, all->a_place);
	if (form.sparse)
		spread(product);
	take_b(product, lane, all->b_place);
	if (all->adds)
		take_d(product);
	else
		memset(product->c, 0, ROWS * product->columns * sizeof(*product->c));
	if (form.d == SG_MATRIX_S32)
		multiply_as_integers(product);
	else
		multiply_as_floats(product);
	give_d(product);
}

void wgmma_compute_lanes(
    struct sg_lane *self, union sg_wgmma form, struct sg_wgmma_lane *const lanes[SG_WARP_SIZE])
{
	static _Thread_local struct sg_wgmma_warp all; /* too large for a thread's stack */
	unsigned count = form.n * (is_half_sum(form) ? 2u : 4u);

	memset(all.d, 0, sizeof(all.d));
	memset(all.a, 0, sizeof(all.a));
	memset(all.indices, 0, sizeof(all.indices));
	for (unsigned lane = SG_WARP_SIZE; lane--;) {
		const struct sg_wgmma_lane *mine = lanes[lane];

		for (unsigned i = 0; mine && i < count; i++)
			all.d[i][lane] = mine->d[i];
		for (unsigned i = 0; mine && i < 4; i++)
			all.a[i][lane] = mine->a[i];
		if (!mine)
			continue;
		all.a_place = mine->a_place;
		all.b_place = mine->b_place;
		all.indices[lane] = mine->indices;
		all.adds = mine->adds;
	}
	sg_warp_wgmma(self, form.bits, &all);
	for (unsigned lane = 0; lane < SG_WARP_SIZE; lane++)
		for (unsigned i = 0; lanes[lane] && i < count; i++)
			lanes[lane]->d[i] = all.d[i][lane];
}
