/*
 * Products of the small matrices of matrix.c: c (m by n) += a (m by k) * b (k by n), each row by
 * row; m and n are multiples of 8. Sums run over k in order. Any thread, nothing kept.
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

/* The whole of mma's product of floats on the registers as they are: whether there is a way for its
 * form on this processor, and then the same results as by what is above. */
bool multiply_registers_can(union sg_matrix matrix);
void multiply_registers(union sg_matrix matrix, struct sg_fragments *all);

/* The same of n times 8 columns and a k of 32 bytes: A's registers as mma's, B's two for each 8
 * columns; those of D, 4 or as f16 2 for each 8, which are added to or were not there before. */
struct sg_columns {
	unsigned n;
	bool adds, is_narrow; /* narrow: D is f16, else f32 */
	const uint32_t (*a)[SG_WARP_SIZE], (*b)[SG_WARP_SIZE];
	uint32_t (*d)[SG_WARP_SIZE]; /* all three aligned to 64 bytes */
};
bool multiply_columns_can(enum sg_matrix_type a, enum sg_matrix_type b);
void multiply_columns(
    enum sg_matrix_type a, enum sg_matrix_type b, const struct sg_columns *columns);

/* ---- n numbers ---- */

/* Of any float type, a word each. From and to may be the same. */
void floats_from(enum sg_matrix_type type, const uint32_t *from, unsigned n, float *to);

/* Likewise sign-extended, of the integer types. */
void integers_from(enum sg_matrix_type type, const uint32_t *from, unsigned n, int32_t *to);

/* ---- multiples of 16 ---- */

/* Of f16, bf16, tf32, f32 and the floats of 8 bits, side by side as they are in memory. */
void floats_unpack(enum sg_matrix_type type, const void *from, unsigned n, float *to);

/* Of the integer types of 8 bits, side by side. */
void integers_unpack(enum sg_matrix_type type, const void *from, unsigned n, int32_t *to);

/* to += from, modulo 2^32 or not beyond the largest and smallest number. */
void integers_add(bool saturate, const int32_t *from, unsigned n, int32_t *to);

/* n_words words as numbers of bits (32 or fewer, a power of two) each, the lowest first. */
void words_unpack(unsigned bits, const uint32_t *from, unsigned n_words, uint32_t *to);

/* Sums as f32, each NaN the canonical one. */
void floats_to_f32(const float *from, unsigned n, uint32_t *to);

/* Sums as f16, rounded to nearest even, side by side. */
void floats_to_f16(const float *from, unsigned n, uint16_t *to);

/* 8 rows of 8 elements of 8, 16 or 32 bits become 8 columns; rows are a step of bytes apart. What
 * to points at is not read. */
void bytes_transpose(const void *from, size_t from_step, void *to, size_t to_step);
void halves_transpose(const void *from, size_t from_step, void *to, size_t to_step);
void words_transpose(const void *from, size_t from_step, void *to, size_t to_step);
