/* Inside the machine: one tcgen05.mma, between tcgen05.c, which reads its descriptors and
 * multiplies, and tcgen05-operands.c, which fetches. */
#pragma once

#include "softgpu/exec/matrix.h"
#include "softgpu/exec/tmem.h"

#define PRODUCT_ROWS	128u /* of D, of one block */
#define PRODUCT_COLUMNS 256u
#define PRODUCT_K	128u
#define PRODUCT_LINE	32u /* bytes of a row of A, or of a column of B if A is not sparse */

/* How an operand's numbers are read and summed. Doubles hold any scale times any element. */
enum product_arithmetic { PRODUCT_FLOATS, PRODUCT_INTEGERS, PRODUCT_DOUBLES };

struct product_side {
	enum sg_matrix_type type;
	bool transposed; /* major is not k */
	bool negated;
	unsigned scale_byte;	     /* of a word, where the scales begin */
	struct shared_matrix matrix; /* of A only where it is not in tensor memory */
};

struct product {
	struct sg_lane *lane;
	union sg_tensor_form form;
	const struct sg_tensor_product *in;
	enum product_arithmetic arithmetic;
	struct product_side a, b;
	enum sg_matrix_type d;
	bool saturate, ue4m3;
	unsigned selector;	 /* which column has the sparsity */
	unsigned scales;	 /* of a row */
	unsigned m, n, k;	 /* k: of B, and of A as if it were not sparse */
	unsigned rows;		 /* of A and D, of one block */
	unsigned parts, columns; /* parts of D's columns lie above each other in the lanes */
	bool halved;		 /* of 32 lanes 16 are used */

	/* what is multiplied: a part of one block */
	struct sg_block *blocks[2], *block;
	struct sg_tmem *tmem;
	unsigned number, part;			      /* of the block in the pair; of D's columns */
	uint8_t lines[PRODUCT_COLUMNS][PRODUCT_LINE]; /* tcgen05-plain.c's */
	union {
		float floats[PRODUCT_ROWS * PRODUCT_K];
		int32_t integers[PRODUCT_ROWS * PRODUCT_K];
		double doubles[PRODUCT_ROWS * PRODUCT_K];
	} a_numbers;
	union {
		float floats[PRODUCT_K * PRODUCT_COLUMNS];
		int32_t integers[PRODUCT_K * PRODUCT_COLUMNS];
		double doubles[PRODUCT_K * PRODUCT_COLUMNS];
	} b_numbers;
	union {
		float floats[PRODUCT_ROWS * PRODUCT_COLUMNS];
		int32_t integers[PRODUCT_ROWS * PRODUCT_COLUMNS];
		double doubles[PRODUCT_ROWS * PRODUCT_COLUMNS];
	} sums;
};

/* The lane of tensor memory that has a row of the part; of A in tensor memory, of D and of the
 * sparsity. */
static inline unsigned product_lane(const struct product *product, unsigned row)
{
	if (product->halved)
		return tmem_lane(product->in->d) % 32 + row / 16 * 32 + row % 16;
	return row + product->part * (SG_TMEM_LANES / product->parts);
}

static inline bool product_has_scales(const struct product *product)
{
	return product->form.kind >= SG_KIND_MXF8F6F4;
}

/* Scales that do not fit a word of each 32 rows or columns go on in as many columns as whole
 * 128 have. */
static inline unsigned product_word_columns(unsigned lines)
{
	return (lines + 127) / 128 * 4;
}

/* A and B of the part, as numbers: A row by row along k, B for each k its columns. */
void product_take_a(struct product *product);
void product_take_b(struct product *product);

/* tcgen05-plain.c: the same, faster, where it can be. */
bool product_is_plain(const struct product *product);
void product_take_plain_a(struct product *product);
void product_take_plain_b(struct product *product);
