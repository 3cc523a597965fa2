/* What matrix instructions are, and where their operands go. All fail when it is none that is
 * run. */
#pragma once

#include "softgpu/exec/matrix.h"
#include "softgpu/jit/emit.h"

/* False: matrices are not made of it. */
bool matrix_type_of(enum ptx_type type, enum sg_matrix_type *matrix);

/* mma and wmma.mma: operands D, A, B, C, then extras. */
union sg_matrix matrix_form_product(struct emit *emit);

/* A word behind C: from an operand, or where there is none a number. */
struct matrix_extra {
	unsigned word;
	const struct ptx_operand *operand;
	uint32_t number;
};
#define MATRIX_MOST_EXTRAS 10
unsigned matrix_form_extras(
    struct emit *emit, union sg_matrix matrix, struct matrix_extra extras[MATRIX_MOST_EXTRAS]);

/* wmma.load and wmma.store; without a stride lines are dense elements apart. */
struct matrix_move {
	union sg_lines form;
	bool is_store, is_wide; /* wide: registers have 64 bits */
	unsigned words, dense;
	const struct ptx_operand *address, *registers, *stride;
};
struct matrix_move matrix_form_move(struct emit *emit);

/* ldmatrix, stmatrix, movmatrix: how many registers, one for each matrix. */
unsigned matrix_form_rows(struct emit *emit, enum sg_matrix_kind kind, union sg_matrix *matrix);

/* Register i of an operand that must have so many. */
const struct ptx_operand *matrix_register(
    struct emit *emit, const struct ptx_operand *operand, unsigned count, unsigned i);
