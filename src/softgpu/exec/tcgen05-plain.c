/*
 * The operands of tcgen05.mma where nothing is put into them: floats of 8 bits or more without
 * scales, signs, zeroes or steps of their own. They are read by pieces of 16 bytes, and made
 * numbers many at a time; tcgen05-operands.c reads all others element by element.
 */
#include <string.h>

#include "softgpu/exec/multiply.h"
#include "softgpu/exec/tcgen05-product.h"

#define PIECES (PRODUCT_LINE / SG_PIECE_BYTES)
#define SIDE   8u

static bool is_plain_side(const struct product_side *side, bool in_tensor)
{
	unsigned bits = sg_matrix_bits(side->type);

	/* Turned, 8 elements are a piece. */
	return side->type != SG_MATRIX_E2M1 && side->type != SG_MATRIX_E2M3 &&
	       side->type != SG_MATRIX_E3M2 && (in_tensor || !side->transposed || bits == 16);
}

bool product_is_plain(const struct product *product)
{
	return product->arithmetic == PRODUCT_FLOATS && !product->form.sparse &&
	       !product->form.a_shifted && !product->form.columns_masked && !product->a.negated &&
	       !product->b.negated && product->columns % 16 == 0 &&
	       is_plain_side(&product->a, product->form.a_in_tensor) &&
	       is_plain_side(&product->b, false);
}

static const uint8_t *piece_at(const struct product *product, const struct product_side *side,
    const struct sg_block *block, unsigned line, unsigned along)
{
	return tmem_shared(product->lane, block,
	    shared_matrix_offset(&side->matrix, side->transposed, line, along), SG_PIECE_BYTES);
}

/* 8 lines from one on, each of which goes behind the other; transposed are those of k. */
static void take_lines(const struct product *product, const struct product_side *side,
    const struct sg_block *block, unsigned first, uint8_t *to)
{
	uint8_t square[SIDE][SG_PIECE_BYTES];

	for (unsigned piece = 0; piece < PIECES; piece++) {
		for (unsigned i = 0; i < SIDE; i++)
			memcpy(side->transposed ? square[i]
						: to + i * PRODUCT_LINE + piece * SG_PIECE_BYTES,
			    side->transposed
				? piece_at(product, side, block, piece * SIDE + i,
				      first * sizeof(uint16_t))
				: piece_at(product, side, block, first + i, piece * SG_PIECE_BYTES),
			    SG_PIECE_BYTES);
		if (side->transposed)
			halves_transpose(
			    square, SG_PIECE_BYTES, to + piece * SG_PIECE_BYTES, PRODUCT_LINE);
	}
}

void product_take_plain_a(struct product *product)
{
	uint8_t(*lines)[PRODUCT_LINE] = product->lines;

	for (unsigned row = 0; row < product->rows; row++) {
		const uint32_t *cells = product->tmem->cells[product_lane(product, row)];

		if (product->form.a_in_tensor)
			memcpy(lines[row], cells + tmem_column((uint32_t)product->in->a),
			    PRODUCT_LINE);
		else if (row % SIDE == 0)
			take_lines(product, &product->a, product->block, row, lines[row]);
	}
	floats_unpack(
	    product->a.type, lines, product->rows * product->k, product->a_numbers.floats);
}

/* Each block of a pair has half of the columns. */
void product_take_plain_b(struct product *product)
{
	unsigned each = product->form.pair ? product->n / 2 : product->n, k = product->k;
	unsigned first = product->part * product->columns, n = product->columns;
	uint8_t(*lines)[PRODUCT_LINE] = product->lines;
	float *numbers = product->sums.floats; /* where nothing is yet */

	for (unsigned i = 0; i < n; i += SIDE)
		take_lines(product, &product->b, product->blocks[(first + i) / each],
		    (first + i) % each, lines[i]);
	floats_unpack(product->b.type, lines, n * k, numbers);
	for (unsigned i = 0; i < n; i += SIDE)
		for (unsigned at = 0; at < k; at += SIDE)
			words_transpose(&numbers[i * k + at], k * sizeof(float),
			    &product->b_numbers.floats[at * n + i], n * sizeof(float));
}
