/*
 * tcgen05.mma (PTX ISA 9.7.16.10): D = A * B (+ D) in tensor memory, done by the thread that issues
 * it, before it goes on: the rules of asynchronous products allow that, and committing to an
 * mbarrier has only to arrive there.
 *
 * A product is cut into parts that are plain matrices: one for each block of a pair, and for each
 * piece of the columns that has lanes of its own in tensor memory (layouts A to G). Floats are
 * summed in order of k as floats, scaled ones as doubles and rounded once, integers exactly.
 */
#include "softgpu/exec/tcgen05.h"

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/matrix-result.h"
#include "softgpu/exec/multiply.h"
#include "softgpu/exec/tcgen05-product.h"

/* Too large for a thread's stack. One at a time: nobody waits in the middle of a product. */
static _Thread_local struct product scratch;

/* ---- what the descriptors say ---- */

#define NONE 0xff

static uint32_t field(const struct product *product, unsigned at, unsigned bits)
{
	return product->in->instruction >> at & ((1u << bits) - 1);
}

static enum sg_matrix_type type_of(const struct product *product, uint32_t code)
{
	static const uint8_t types[][8] = {
	    [SG_KIND_F16] = {SG_MATRIX_F16, SG_MATRIX_BF16, NONE, NONE, NONE, NONE, NONE, NONE},
	    [SG_KIND_TF32] = {NONE, NONE, SG_MATRIX_TF32, NONE, NONE, NONE, NONE, NONE},
	    [SG_KIND_F8F6F4] = {SG_MATRIX_E4M3, SG_MATRIX_E5M2, NONE, SG_MATRIX_E2M3,
		SG_MATRIX_E3M2, SG_MATRIX_E2M1, NONE, NONE},
	    [SG_KIND_I8] = {SG_MATRIX_U8, SG_MATRIX_S8, NONE, NONE, NONE, NONE, NONE, NONE},
	    [SG_KIND_MXF8F6F4] = {SG_MATRIX_E4M3, SG_MATRIX_E5M2, NONE, SG_MATRIX_E2M3,
		SG_MATRIX_E3M2, SG_MATRIX_E2M1, NONE, NONE},
	    [SG_KIND_MXF4] = {NONE, SG_MATRIX_E2M1, NONE, NONE, NONE, NONE, NONE, NONE},
	    [SG_KIND_MXF4NVF4] = {NONE, SG_MATRIX_E2M1, NONE, NONE, NONE, NONE, NONE, NONE},
	};
	uint8_t type = types[product->form.kind][code];

	if (type == NONE)
		tmem_refuse(product->lane);
	return (enum sg_matrix_type)type;
}

static enum sg_matrix_type sum_type_of(const struct product *product, uint32_t code)
{
	unsigned kind = product->form.kind;

	if (kind == SG_KIND_I8 && code == 2)
		return SG_MATRIX_S32;
	if (kind != SG_KIND_I8 && code == 1)
		return SG_MATRIX_F32;
	/* Of bf16 there are only sums in f32. */
	if (!code &&
	    (kind == SG_KIND_F8F6F4 || (kind == SG_KIND_F16 && product->a.type == SG_MATRIX_F16 &&
					   product->b.type == SG_MATRIX_F16)))
		return SG_MATRIX_F16;
	tmem_refuse(product->lane);
}

static void read_plain(struct product *product)
{
	product->d = sum_type_of(product, field(product, 4, 2));
	product->m = field(product, 24, 5) * 16;
	product->saturate = product->form.kind == SG_KIND_I8 && field(product, 3, 1);
	product->selector = field(product, 0, 2);
	if (field(product, 6, 1) || field(product, 23, 1) || field(product, 29, 1))
		tmem_refuse(product->lane);
}

/* Of the longer rows that dense products of only 4 bits can have. */
#define LONG_K	   96u
#define LONG_BYTES (LONG_K / 2)

static void read_scaled(struct product *product)
{
	product->d = SG_MATRIX_F32;
	product->saturate = false;
	product->selector = 0;
	product->m = field(product, 27, 2) * 128;
	product->a.scale_byte = field(product, 29, 2);
	product->b.scale_byte = field(product, 4, 2);
	product->ue4m3 = !field(product, 23, 1);
	product->scales = product->form.blocks;
	if (!field(product, 31, 1))
		return;
	if (product->form.kind < SG_KIND_MXF4 || product->form.sparse)
		tmem_refuse(product->lane);
	product->k = LONG_K;
	product->scales = product->form.blocks * 3 / 2;
}

static void read_descriptors(struct product *product)
{
	bool is_packed =
	    product->form.kind == SG_KIND_MXF4 || product->form.kind == SG_KIND_MXF4NVF4;
	unsigned bits;

	product->a.type = type_of(product, field(product, 7, 3));
	product->b.type = type_of(product, field(product, 10, is_packed ? 2 : 3));
	product->a.negated = field(product, 13, 1);
	product->b.negated = field(product, 14, 1);
	product->a.transposed = field(product, 15, 1);
	product->b.transposed = field(product, 16, 1);
	product->n = field(product, 17, 6) * 8;
	bits = is_packed ? 4 : sg_matrix_bits(product->a.type);
	product->k = PRODUCT_LINE * 8 / bits * (product->form.sparse ? 2 : 1);
	product->b.matrix = tmem_matrix_of(product->lane, product->in->b);
	if (!product->form.a_in_tensor)
		product->a.matrix = tmem_matrix_of(product->lane, product->in->a);
	if (product_has_scales(product))
		read_scaled(product);
	else
		read_plain(product);
	product->arithmetic = product_has_scales(product)	 ? PRODUCT_DOUBLES
			      : product->form.kind == SG_KIND_I8 ? PRODUCT_INTEGERS
								 : PRODUCT_FLOATS;
}

/* ---- what goes together ---- */

static bool is_shape(const struct product *product)
{
	unsigned m = product->m, n = product->n;
	bool is_integer = product->form.kind == SG_KIND_I8, scaled = product_has_scales(product);

	if (!n || n > PRODUCT_COLUMNS || (product->k == LONG_K && m == 128 && product->form.pair))
		return false;
	if (product->form.stationary)
		return !scaled && !product->form.pair && (m == 32 || m == 64 || m == 128) &&
		       (n == 64 || n == 128 || (n == 256 && !product->form.sparse));
	if (product->form.pair)
		return (m == 256 || (m == 128 && !(scaled && product->form.sparse))) &&
		       n % (is_integer ? 32 : 16) == 0;
	return (m == 128 || (m == 64 && !scaled)) && !(is_integer && n > 32 && n % 16);
}

/* Elements of a byte, 2 and 4 can be neighbours along the other dimension, those of 4 only where
 * they are swizzled by 32 bytes, the others only where they are not. */
static bool is_side(const struct product *product, const struct product_side *side)
{
	bool by_32 = side->matrix.atom == 5;

	if (side->matrix.goes_on && (side->transposed || product->k != LONG_K))
		return false;
	if (!side->transposed)
		return true;
	if (product->form.kind >= SG_KIND_MXF4 || side->type == SG_MATRIX_E2M1 ||
	    side->type == SG_MATRIX_E2M3 || side->type == SG_MATRIX_E3M2)
		return false;
	return by_32 == (product->form.kind == SG_KIND_TF32);
}

static bool are_scales(const struct product *product)
{
	unsigned a = product->a.scale_byte, b = product->b.scale_byte;

	switch (product->form.blocks) {
	case 1:
		return !product->ue4m3;
	case 2:
		return !product->ue4m3 && (product->k == LONG_K || (!(a & 1) && !(b & 1)));
	default:
		return product->k == LONG_K ? !(a & 1) && !(b & 1) : !a && !b;
	}
}

static bool is_sparsity(const struct product *product)
{
	bool any = product->form.kind == SG_KIND_F16 || product->form.kind == SG_KIND_TF32;

	return field(product, 2, 1) == product->form.sparse &&
	       (!product->form.sparse || any || !product->selector);
}

/* B is read from a later column on, as far as the instruction says. */
static bool is_column_mask(const struct product *product)
{
	static const uint8_t most[] = {0, 8, 16, 32};
	unsigned shift = product->in->columns >> 56 & 0x3f;

	return shift <= most[field(product, 30, 2)] && shift <= (product->m == 32 ? 16 : 32);
}

/* The bits of an address above its lane are of no use here. */
static unsigned lane_of(uint32_t address)
{
	return tmem_lane(address) & 0x3fff;
}

static bool are_addresses(const struct product *product)
{
	const struct sg_tensor_product *in = product->in;
	unsigned lane = lane_of(in->d);

	if (lane && !(product->halved && lane == 16))
		return false;
	if (product->form.a_in_tensor && lane_of((uint32_t)in->a) != lane)
		return false;
	return !product->form.sparse || lane_of(in->sparsity) == lane;
}

static void check(const struct product *product)
{
	bool shifts = product->form.a_shifted;
	bool negates = product->a.negated || product->b.negated;

	if (!is_side(product, &product->b) || !is_sparsity(product) ||
	    (negates && product->form.kind == SG_KIND_I8) ||
	    !(product->form.a_in_tensor ? !product->a.transposed : is_side(product, &product->a)) ||
	    (product_has_scales(product) && !are_scales(product)) ||
	    (product->form.columns_masked && !is_column_mask(product)) ||
	    (shifts && product->rows != PRODUCT_ROWS) || !are_addresses(product))
		tmem_refuse(product->lane);
}

/* ---- where D lies ---- */

static void lay_out(struct product *product)
{
	bool pair = product->form.pair, stationary = product->form.stationary;

	product->rows = pair ? product->m / 2 : product->m;
	product->parts = 1;
	product->halved = false;
	if (stationary)
		product->parts = SG_TMEM_LANES / MAX(product->m, 32u);
	else if (pair && product->m == 128 && !product->form.sparse)
		product->parts = 2;
	else
		product->halved = product->rows == 64;
	product->columns = product->n / product->parts;
}

/* Of the scales of so many rows or columns: words lie behind each other when one has too few. */
static unsigned scale_columns(const struct product *product, unsigned byte, unsigned lines)
{
	unsigned words = (byte + product->scales + 3) / 4;

	return (words - 1) * product_word_columns(lines) + (lines + 31) / 32;
}

static void check_columns(struct product *product)
{
	const struct sg_tensor_product *in = product->in;
	struct sg_lane *lane = product->lane;
	bool is_wide = product->form.kind == SG_KIND_F16 || product->form.kind == SG_KIND_TF32;

	product->tmem =
	    tmem_check(lane, product->block, tmem_column(in->d), product->columns, true);
	if (product->form.a_in_tensor)
		tmem_check(lane, product->block, tmem_column((uint32_t)in->a),
		    (product->k == LONG_K ? LONG_BYTES : PRODUCT_LINE) / 4, false);
	if (product->form.sparse)
		tmem_check(lane, product->block,
		    tmem_column(in->sparsity) + (is_wide ? product->selector : 0), is_wide ? 1 : 2,
		    false);
	if (!product_has_scales(product))
		return;
	tmem_check(lane, product->block, tmem_column(in->scale_a),
	    scale_columns(product, product->a.scale_byte, product->rows), false);
	tmem_check(lane, product->block, tmem_column(in->scale_b),
	    scale_columns(product, product->b.scale_byte, product->columns), false);
}

/* ---- sums ---- */

/* What was there before, as floats. */
static void floats_before(const struct product *product, const uint32_t *cells, float *out)
{
	uint32_t bits[PRODUCT_COLUMNS];

	for (unsigned i = 0; i < product->columns; i++)
		bits[i] = product->d == SG_MATRIX_F16 ? cells[i] & 0xffff : cells[i];
	floats_from(product->d, bits, product->columns, out);
	for (unsigned i = 0; i < product->columns && product->form.input_scale; i++)
		out[i] = ldexpf(out[i], -(int)product->form.input_scale);
}

/* Sums that lie in tensor memory as they are. */
static bool is_whole_float(const struct product *product)
{
	return product->arithmetic == PRODUCT_FLOATS && product->d == SG_MATRIX_F32 &&
	       !product->form.input_scale && product->columns % 16 == 0;
}

/* Integers are added at the end. */
static void take_d(struct product *product)
{
	float before[PRODUCT_COLUMNS];

	if (!product->in->adds || product->arithmetic == PRODUCT_INTEGERS) {
		memset(&product->sums, 0, sizeof(product->sums));
		return;
	}
	for (unsigned row = 0; row < product->rows; row++) {
		const uint32_t *cells = product->tmem->cells[product_lane(product, row)];
		unsigned first = row * product->columns;

		cells += tmem_column(product->in->d);
		if (is_whole_float(product)) {
			memcpy(
			    &product->sums.floats[first], cells, product->columns * sizeof(*cells));
			continue;
		}
		floats_before(product, cells, before);
		for (unsigned i = 0; i < product->columns; i++) {
			if (product->arithmetic == PRODUCT_FLOATS)
				product->sums.floats[first + i] = before[i];
			else
				product->sums.doubles[first + i] = (double)before[i];
		}
	}
}

static uint32_t result(const struct product *product, unsigned i, uint32_t before)
{
	union sg_matrix form = {.d = product->d, .saturate = product->saturate};

	switch (product->arithmetic) {
	case PRODUCT_FLOATS:
		return matrix_float_result(form, product->sums.floats[i]);
	case PRODUCT_DOUBLES:
		return matrix_float_result(form, (float)product->sums.doubles[i]);
	default:
		return matrix_integer_result(form,
		    (int64_t)(int32_t)(product->in->adds ? before : 0) + product->sums.integers[i]);
	}
}

static void give_d(struct product *product)
{
	const uint32_t *masks = &product->in->lanes[product->number * 4];

	for (unsigned row = 0; row < product->rows; row++) {
		unsigned lane = product_lane(product, row);
		uint32_t *cells = &product->tmem->cells[lane][tmem_column(product->in->d)];

		if (product->form.lanes_masked && masks[lane / 32] >> lane % 32 & 1)
			continue;
		if (is_whole_float(product)) {
			floats_to_f32(
			    &product->sums.floats[row * product->columns], product->columns, cells);
			continue;
		}
		for (unsigned i = 0; i < product->columns; i++)
			cells[i] = result(product, row * product->columns + i, cells[i]);
	}
}

static void multiply(struct product *product)
{
	struct sg_product size = {product->rows, product->columns, product->k};

	if (product_is_plain(product)) {
		product_take_plain_a(product);
		product_take_plain_b(product);
	} else {
		product_take_a(product);
		product_take_b(product);
	}
	take_d(product);
	if (product->arithmetic == PRODUCT_FLOATS)
		multiply_floats(size, product->a_numbers.floats, product->b_numbers.floats,
		    product->sums.floats);
	else if (product->arithmetic == PRODUCT_INTEGERS)
		multiply_integers(size, product->a_numbers.integers, product->b_numbers.integers,
		    product->sums.integers);
	else
		multiply_doubles(size, product->a_numbers.doubles, product->b_numbers.doubles,
		    product->sums.doubles);
	give_d(product);
}

/* Apart: where a thread's own data lies is found once. */
static __attribute__((noinline)) void multiply_all(struct product *product, struct sg_lane *lane,
    uint32_t bits, const struct sg_tensor_product *in)
{
	product->lane = lane;
	product->form.bits = bits;
	product->in = in;
	read_descriptors(product);
	if (!is_shape(product))
		tmem_refuse(lane);
	lay_out(product);
	check(product);
	tmem_blocks(lane, product->form.pair, product->blocks);
	for (product->number = 0; product->number < 2; product->number++) {
		product->block = product->blocks[product->number];
		if (!product->block)
			return;
		check_columns(product);
		for (product->part = 0; product->part < product->parts; product->part++)
			multiply(product);
	}
}

void sg_tensor_multiply(struct sg_lane *lane, uint32_t bits, const struct sg_tensor_product *in)
{
	multiply_all(&scratch, lane, bits, in);
}
