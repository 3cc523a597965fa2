/*
 * The operands of tcgen05.mma: elements of A and B as numbers, with signs, scales and zeroes put in
 * (PTX ISA 9.7.16.10). Called by tcgen05.c for each part of a product.
 *
 * Of each row 32 bytes are stored, 64 of B where A is sparse, 48 where k is 96. Elements of 4 and 6
 * bits have a byte each in tensor memory; in shared memory 16 of them are packed and padded to 16
 * bytes, but for the kinds of only 4 bits, which are packed everywhere.
 */
#include <string.h>

#include "softgpu/exec/matrix-result.h"
#include "softgpu/exec/multiply.h"
#include "softgpu/exec/tcgen05-product.h"

/* How elements lie in 16 bytes. */
enum packing {
	PACK_32,
	PACK_16,
	PACK_8,
	PACK_4,
	PACK_6_PADDED,
	PACK_4_PADDED,
	PACK_6_OF_8,
	PACK_4_OF_8
};

static unsigned per_piece(enum packing packing)
{
	static const uint8_t counts[] = {4, 8, 16, 32, 16, 16, 16, 16};

	return counts[packing];
}

static enum packing packing_of(
    const struct product *product, enum sg_matrix_type type, bool in_tensor)
{
	if (sg_matrix_bits(type) == 32)
		return PACK_32;
	if (sg_matrix_bits(type) == 16)
		return PACK_16;
	if (product->form.kind == SG_KIND_MXF4 || product->form.kind == SG_KIND_MXF4NVF4)
		return PACK_4;
	if (type == SG_MATRIX_E2M1)
		return in_tensor ? PACK_4_OF_8 : PACK_4_PADDED;
	if (type == SG_MATRIX_E2M3 || type == SG_MATRIX_E3M2)
		return in_tensor ? PACK_6_OF_8 : PACK_6_PADDED;
	return PACK_8;
}

static uint32_t element(enum packing packing, const uint8_t *piece, unsigned i)
{
	uint32_t value = 0;

	switch (packing) {
	case PACK_32:
		memcpy(&value, piece + 4 * i, 4);
		return value;
	case PACK_16:
		memcpy(&value, piece + 2 * i, 2);
		return value;
	case PACK_8:
		return piece[i];
	case PACK_4:
	case PACK_4_PADDED:
		return piece[i / 2] >> i % 2 * 4 & 0xf;
	case PACK_6_PADDED:
		memcpy(&value, piece + i / 4 * 3, 3);
		return value >> i % 4 * 6 & 0x3f;
	case PACK_6_OF_8:
		return piece[i] & 0x3f;
	default:
		return piece[i] >> 2 & 0xf;
	}
}

static void unpack(enum packing packing, const uint8_t *piece, uint32_t *to)
{
	for (unsigned i = 0; i < per_piece(packing); i++)
		to[i] = element(packing, piece, i);
}

/* ---- elements of a row of A or a column of B, as bits ---- */

static void fetch(const struct product *product, const struct product_side *side,
    const struct sg_block *block, unsigned line, unsigned n, uint32_t *out)
{
	enum packing packing = packing_of(product, side->type, false);
	unsigned per = per_piece(packing), size = SG_PIECE_BYTES / per;

	if (!side->transposed) {
		for (unsigned i = 0; i < n; i += per)
			unpack(packing,
			    tmem_shared(product->lane, block,
				shared_matrix_offset(
				    &side->matrix, false, line, i / per * SG_PIECE_BYTES),
				SG_PIECE_BYTES),
			    &out[i]);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		uint64_t offset =
		    shared_matrix_offset(&side->matrix, true, i, (uint64_t)line * size);

		out[i] = 0;
		memcpy(&out[i], tmem_shared(product->lane, block, offset, size), size);
	}
}

static void fetch_from_tensor(
    const struct product *product, unsigned lane, unsigned n, uint32_t *out)
{
	enum packing packing = packing_of(product, product->a.type, true);
	const uint8_t *bytes;

	if (product->form.a_shifted && lane + 1 < SG_TMEM_LANES)
		lane++;
	bytes = (const uint8_t *)&product->tmem->cells[lane][tmem_column((uint32_t)product->in->a)];
	for (unsigned i = 0; i < n; i += per_piece(packing), bytes += SG_PIECE_BYTES)
		unpack(packing, bytes, &out[i]);
}

/* The same as numbers. */
static void convert(const struct product_side *side, const uint32_t *bits, unsigned n, double *out)
{
	union {
		float floats[PRODUCT_K];
		int32_t integers[PRODUCT_K];
	} numbers;
	bool is_integer = side->type == SG_MATRIX_S8 || side->type == SG_MATRIX_U8;

	if (is_integer)
		integers_from(side->type, bits, n, numbers.integers);
	else
		floats_from(side->type, bits, n, numbers.floats);
	for (unsigned i = 0; i < n; i++) {
		double value = is_integer ? numbers.integers[i] : (double)numbers.floats[i];

		out[i] = side->negated ? -value : value;
	}
}

/* ---- sparse ---- */

/* 4 bits of a chunk of elements: 2 indices of 2 bits. Rows of 16 lanes share the words of kinds
 * whose elements are wider than a byte: rows 8 on have the upper halves, lanes 8 on the upper half
 * of k. */
static uint32_t chunk(const struct product *product, unsigned lane, unsigned first)
{
	unsigned column = tmem_column(product->in->sparsity), bit = first;
	unsigned half = product->k / 2;

	switch (product->form.kind) {
	case SG_KIND_TF32:
	case SG_KIND_F16:
		bit = (first % half) * (16 / half) + lane / 8 % 2 * 16;
		lane = lane / 16 * 16 + lane % 8 + first / half * 8;
		column += product->selector;
		break;
	case SG_KIND_MXF4:
	case SG_KIND_MXF4NVF4:
		bit = first / 2;
		break;
	default:
		break;
	}
	return product->tmem->cells[lane][column + bit / 32] >> bit % 32 & 0xf;
}

/* Puts the stored half where it belongs. */
static void spread(const struct product *product, unsigned lane, double *row)
{
	bool is_wide = product->form.kind == SG_KIND_TF32;
	bool is_narrow = product->form.kind >= SG_KIND_MXF4;
	unsigned size = is_wide ? 2 : is_narrow ? 8 : 4; /* of a chunk */
	double stored[PRODUCT_K / 2];

	memcpy(stored, row, product->k / 2 * sizeof(*row));
	memset(row, 0, product->k * sizeof(*row));
	for (unsigned first = 0; first < product->k; first += size) {
		uint32_t indices = chunk(product, lane, first);

		for (unsigned i = 0; i < size / 2; i++) {
			unsigned at = is_wide	  ? indices >> 1 & 1
				      : is_narrow ? (indices >> i / 2 * 2 & 3) * 2 + i % 2
						  : indices >> i * 2 & 3;

			row[first + at] = stored[first / 2 + i];
		}
	}
}

/* ---- scales ---- */

/* Of all rows of A or columns of B. Every quarter of the lanes has all of them: of lines 32 i + l
 * lane l, in column i. */
struct scales {
	uint32_t address;
	unsigned byte, lines;
};

static void apply_scales(const struct product *product, const struct scales *scales,
    unsigned quarter, unsigned line, double *elements)
{
	unsigned column = tmem_column(scales->address) + line / 32, size;

	if (!product_has_scales(product))
		return;
	size = product->k / product->scales;
	for (unsigned i = 0; i < product->scales; i++) {
		unsigned byte = scales->byte + i;
		unsigned more = byte / 4 * product_word_columns(scales->lines);
		uint32_t word = product->tmem->cells[quarter * 32 + line % 32][column + more];
		double scale = matrix_scale(word >> byte % 4 * 8, product->ue4m3);

		for (unsigned j = i * size; j < (i + 1) * size; j++)
			elements[j] *= scale;
	}
}

/* ---- columns of B that count as 0 ---- */

/*
 * Of each part of the columns, spans of use and of skipping take turns; the first may be cut. The
 * column of B that is multiplied, or -1 for none.
 */
static int source_column(const struct product *product, unsigned column)
{
	uint64_t mask = product->in->columns;
	unsigned skipped = (mask >> 40 & 0xff) + 1, used = (mask >> 48 & 0xff) + 1;
	bool begins_skipping = mask >> (32 + product->part) & 1;
	unsigned start = mask >> 8 * product->part & 0xff, at;

	if (!product->form.columns_masked)
		return (int)column;
	start = MIN(start, (begins_skipping ? skipped : used) - 1);
	at = (column % product->columns + start) % (skipped + used);
	if (mask >> 39 & 1 && (begins_skipping ? at < skipped : at >= used))
		return -1;
	return (int)(column + (mask >> 56 & 0x3f));
}

/* ---- both operands ---- */

static void put_row(struct product *product, unsigned row, const double *elements)
{
	unsigned first = row * product->k;

	for (unsigned i = 0; i < product->k; i++) {
		if (product->arithmetic == PRODUCT_FLOATS)
			product->a_numbers.floats[first + i] = (float)elements[i];
		else if (product->arithmetic == PRODUCT_INTEGERS)
			product->a_numbers.integers[first + i] = (int32_t)elements[i];
		else
			product->a_numbers.doubles[first + i] = elements[i];
	}
}

static void put_column(struct product *product, unsigned column, const double *elements)
{
	for (unsigned i = 0; i < product->k; i++) {
		unsigned at = i * product->columns + column;

		if (product->arithmetic == PRODUCT_FLOATS)
			product->b_numbers.floats[at] = (float)elements[i];
		else if (product->arithmetic == PRODUCT_INTEGERS)
			product->b_numbers.integers[at] = (int32_t)elements[i];
		else
			product->b_numbers.doubles[at] = elements[i];
	}
}

void product_take_a(struct product *product)
{
	const struct scales scales = {product->in->scale_a, product->a.scale_byte, product->rows};
	unsigned stored = product->form.sparse ? product->k / 2 : product->k;
	uint32_t bits[PRODUCT_K];
	double elements[PRODUCT_K];

	for (unsigned row = 0; row < product->rows; row++) {
		unsigned lane = product_lane(product, row);

		if (product->form.a_in_tensor)
			fetch_from_tensor(product, lane, stored, bits);
		else
			fetch(product, &product->a, product->block, row, stored, bits);
		convert(&product->a, bits, stored, elements);
		if (product->form.sparse)
			spread(product, lane, elements);
		apply_scales(product, &scales, lane / 32, row, elements);
		put_row(product, row, elements);
	}
}

/* Each block of a pair has half of the columns. */
void product_take_b(struct product *product)
{
	const struct scales scales = {
	    product->in->scale_b, product->b.scale_byte, product->columns};
	unsigned each = product->form.pair ? product->n / 2 : product->n;
	unsigned quarter = product->part * (SG_TMEM_LANES / product->parts) / 32;
	uint32_t bits[PRODUCT_K];

	for (unsigned i = 0; i < product->columns; i++) {
		int column = source_column(product, product->part * product->columns + i);
		double elements[PRODUCT_K] = {0};

		if (column >= 0) {
			unsigned number = product->form.pair ? (unsigned)column / each : 0;

			fetch(product, &product->b, product->blocks[number],
			    (unsigned)column - number * each, product->k, bits);
			convert(&product->b, bits, product->k, elements);
		}
		apply_scales(product, &scales, quarter, i, elements);
		put_column(product, i, elements);
	}
}
