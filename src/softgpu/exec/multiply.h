/*
 * Products of the small matrices of matrix.c: c (m by n) += a (m by k) * b (k by n), each row by
 * row; n is a multiple of 8. Sums run over k in order. Any thread, nothing kept.
 */
#pragma once

#include <stdint.h>

#include "softgpu/exec/matrix.h"

struct sg_product {
	unsigned m, n, k;
};

/* Products of what f16, bf16, tf32 or narrower floats hold are exact; each addition is rounded. */
void multiply_floats(struct sg_product size, const float *a, const float *b, float *c);

/* Each step is rounded once. */
void multiply_doubles(struct sg_product size, const double *a, const double *b, double *c);

/* Modulo 2^32. */
void multiply_integers(struct sg_product size, const int32_t *a, const int32_t *b, int32_t *c);

/* Counts the bits set in both (conjunction), or in one of the two. */
void multiply_bits(
    struct sg_product size, bool conjunction, const int32_t *a, const int32_t *b, int32_t *c);

/* n numbers of a type narrower than, or of, 32 bits, as floats; to and from may be the same. */
void floats_from(enum sg_matrix_type type, const uint32_t *from, unsigned n, float *to);

/* Likewise sign-extended, of the integer types. */
void integers_from(enum sg_matrix_type type, const uint32_t *from, unsigned n, int32_t *to);

/* n_words words as numbers of bits (32 or fewer, a power of two) each, the lowest first. */
void words_unpack(unsigned bits, const uint32_t *words, unsigned n_words, uint32_t *to);
