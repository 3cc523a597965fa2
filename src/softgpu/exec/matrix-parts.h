/*
 * Between matrix.c and what it is made of: matrix-move.c, which moves without computing, and
 * matrix-special.c.
 */
#pragma once

#include "softgpu/exec/matrix.h"

/* ldmatrix, stmatrix, movmatrix. */
void matrix_load_rows(union sg_matrix matrix, struct sg_fragments *all);
void matrix_store_rows(union sg_matrix matrix, const struct sg_fragments *all);
void matrix_transpose(struct sg_fragments *all);

/* The kinds SPARSE, SCALED and both, and operands of e2m1, e2m3 and e3m2. */
void matrix_multiply_special(union sg_matrix matrix, struct sg_fragments *all);

/* An operand's elements as bits, row by row (columns, of a transposed B); and D's back. Not of
 * m8n8k4 of f16. */
void matrix_take(union sg_matrix matrix, enum sg_matrix_operand operand,
    const struct sg_fragments *all, uint32_t bits[SG_MATRIX_ELEMENTS]);
void matrix_give(union sg_matrix matrix, const uint32_t *results, struct sg_fragments *all);
