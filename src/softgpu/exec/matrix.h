/*
 * Matrix instructions (PTX ISA 9.7.14): what compiled code passes to the machine, and how a warp's
 * registers hold a matrix.
 *
 * Each lane brings an array of 32-bit words, its registers in the order of the operands (A, B, C of
 * a multiplication; an f64 takes two words), and finds its part of the result at the array's start.
 * Code that runs a warp in step brings the same register by register (struct sg_fragments).
 *
 * Which lane holds which element PTX says for mma, ldmatrix and their kin; for wmma it does not.
 * There the registers of all lanes are the matrix as it would lie in memory, row by row, but for a
 * B of less than a byte, which lies column by column.
 */
#pragma once

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "softgpu/exec/exec.h"
#include "softgpu/exec/lane.h"

#define SG_MATRIX_WORDS	   48u	 /* of a lane's array: the most any instruction needs */
#define SG_MATRIX_ELEMENTS 1024u /* of an operand, at most; single bits count by the word */
#define SG_MATRIX_ROW	   4u	 /* behind the registers of ldmatrix and stmatrix */

enum sg_matrix_type {
	SG_MATRIX_F16,
	SG_MATRIX_BF16,
	SG_MATRIX_TF32,
	SG_MATRIX_E4M3,
	SG_MATRIX_E5M2,
	SG_MATRIX_F32,
	SG_MATRIX_F64,
	SG_MATRIX_S8,
	SG_MATRIX_U8,
	SG_MATRIX_S4,
	SG_MATRIX_U4,
	SG_MATRIX_B1,
	SG_MATRIX_S32,
	SG_MATRIX_E2M1,
	SG_MATRIX_E2M3,
	SG_MATRIX_E3M2,
};

enum sg_matrix_kind {
	SG_MATRIX_MMA,
	SG_MATRIX_WMMA,
	SG_MATRIX_LOAD,	 /* ldmatrix: the words at SG_MATRIX_ROW are a row's host address, or 0 */
	SG_MATRIX_STORE, /* stmatrix: likewise. a: F16, 16 bits; U8, bytes; E2M1 and E2M3, bytes
			    that lie in memory as 16 of 4 or 6 bits a row */
	SG_MATRIX_MOVE,	 /* movmatrix */
	/* mma with half of A left out, with scales, with both: what they need beside the operands
	 * follows C */
	SG_MATRIX_SPARSE,
	SG_MATRIX_SCALED,
	SG_MATRIX_SPARSE_SCALED,
};

/* One instruction; bits is what the compiled code passes. */
union sg_matrix {
	uint32_t bits;
	struct {
		uint32_t kind : 3;
		uint32_t a : 4, b : 4, c : 4, d : 4; /* enum sg_matrix_type */
		uint32_t m : 2, n : 2;		     /* 8, 16, 32 are 0, 1, 2 */
		uint32_t k : 3;			     /* 4, 8, ... 256 are 0 to 6 */
		uint32_t saturate : 1;
		uint32_t conjunction : 1; /* B1: and instead of xor; E2M1: two in a byte, not one */
		uint32_t a_column : 1;	  /* m8n8k4 of f16: column-major */
		uint32_t b_row : 1, trans : 1; /* row-major; of LOAD and STORE: transposed */
	};
};
_Static_assert(sizeof(union sg_matrix) == sizeof(uint32_t), "one argument");

enum sg_matrix_operand { SG_MATRIX_A, SG_MATRIX_B, SG_MATRIX_C, SG_MATRIX_D };

static inline unsigned sg_matrix_bits(enum sg_matrix_type type)
{
	static const uint8_t bits[] = {16, 16, 32, 8, 8, 32, 64, 8, 8, 4, 4, 1, 32, 8, 8, 8};

	return bits[type];
}

static inline unsigned sg_matrix_rows(union sg_matrix matrix, enum sg_matrix_operand operand)
{
	return operand == SG_MATRIX_B ? 4u << matrix.k : 8u << matrix.m;
}

static inline bool sg_matrix_is_sparse(union sg_matrix matrix)
{
	return matrix.kind == SG_MATRIX_SPARSE || matrix.kind == SG_MATRIX_SPARSE_SCALED;
}

/* As the lanes hold it: of a sparse A, half. */
static inline unsigned sg_matrix_columns(union sg_matrix matrix, enum sg_matrix_operand operand)
{
	unsigned k = 4u << matrix.k;

	return operand != SG_MATRIX_A ? 8u << matrix.n : sg_matrix_is_sparse(matrix) ? k / 2 : k;
}

static inline enum sg_matrix_type sg_matrix_type(
    union sg_matrix matrix, enum sg_matrix_operand operand)
{
	const uint32_t types[] = {matrix.a, matrix.b, matrix.c, matrix.d};

	return (enum sg_matrix_type)types[operand];
}

/* Bits an element has in a lane's words. */
static inline unsigned sg_matrix_element_bits(
    union sg_matrix matrix, enum sg_matrix_operand operand)
{
	enum sg_matrix_type type = sg_matrix_type(matrix, operand);

	return type == SG_MATRIX_E2M1 && matrix.conjunction ? 4 : sg_matrix_bits(type);
}

/* What follows C in a lane's array, by word: of sparse, then of scaled instructions. */
enum sg_matrix_metadata { SG_SPARSE_INDICES, SG_SPARSE_SELECTOR, SG_SPARSE_WORDS };
enum sg_matrix_scales {
	SG_SCALE_A,
	SG_SCALE_A_BYTE,
	SG_SCALE_A_THREAD,
	SG_SCALE_B,
	SG_SCALE_B_BYTE,
	SG_SCALE_B_THREAD,
	SG_SCALE_BLOCKS, /* scales along k: 1, 2, 4 */
	SG_SCALE_UE4M3,	 /* 1: of this type, 0: ue8m0 */
	SG_SCALE_WORDS
};

/* Words a lane has of an operand. wmma keeps A and B of f16 several times over in 8 registers; the
 * four products of m8n8k4 (one per 8 lanes) have operands of their own. */
static inline unsigned sg_matrix_words(union sg_matrix matrix, enum sg_matrix_operand operand)
{
	enum sg_matrix_type type = sg_matrix_type(matrix, operand);
	unsigned elements = sg_matrix_rows(matrix, operand) * sg_matrix_columns(matrix, operand);

	if (matrix.kind == SG_MATRIX_WMMA && type == SG_MATRIX_F16 && operand < SG_MATRIX_C)
		return 8;
	if (matrix.kind == SG_MATRIX_MMA && matrix.a == SG_MATRIX_F16 && !matrix.k)
		elements *= 4;
	return elements * sg_matrix_element_bits(matrix, operand) / (SG_WARP_SIZE * 32);
}

/* Where an operand begins in a lane's array; D's is behind C. */
static inline unsigned sg_matrix_offset(union sg_matrix matrix, enum sg_matrix_operand operand)
{
	unsigned offset = 0;

	for (int before = SG_MATRIX_A; before < (int)operand; before++)
		offset += sg_matrix_words(matrix, (enum sg_matrix_operand)before);
	return offset;
}

/* Word by word, those of all lanes; registers of 64 bits take two rows each. */
struct sg_fragments {
	alignas(64) uint32_t words[SG_MATRIX_WORDS][SG_WARP_SIZE];
};

/* The instruction of a whole warp. */
void matrix_compute(union sg_matrix matrix, struct sg_fragments *all);

/* The same of lanes' own arrays; NULL for a lane that has none, whose registers count as 0. */
void matrix_compute_lanes(union sg_matrix matrix, uint32_t *const lanes[SG_WARP_SIZE]);

/* The same for one lane: waits for the others. On a fiber. */
void sg_matrix(struct sg_lane *lane, uint32_t bits, uint32_t *words);

/* The same for a warp in step, of which the lanes of the mask run. Any thread. */
void sg_warp_matrix(uint32_t bits, uint32_t mask, struct sg_fragments *all);

/*
 * How an operand of wmma.load and wmma.store lies in registers, as lines behind each other, and in
 * memory: there the elements of a line are neighbours, or (turned) those of all lines are. Elements
 * of less than a byte are never turned. registers: of 32 lanes and 32 bits; they may hold the
 * matrix several times. bits is what the compiled code passes.
 */
union sg_lines {
	uint32_t bits;
	struct {
		uint32_t lines : 6;
		uint32_t line : 8;    /* bytes */
		uint32_t element : 7; /* bits */
		uint32_t registers : 5;
		uint32_t turned : 1, is_shared : 1;
	};
};
_Static_assert(sizeof(union sg_lines) == sizeof(uint32_t), "one argument");

/*
 * wmma.load and wmma.store of one lane, which needs no other, and of a warp in step: lines (or
 * elements, when turned) in memory are stride elements apart. Ends the grid when the matrix is not
 * all inside the shared memory (is_shared: base is an offset there) or the arena.
 */
void sg_wmma_load(
    struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride, uint32_t *words);
void sg_wmma_store(
    struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride, const uint32_t *words);
void sg_warp_wmma_load(
    struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride, struct sg_fragments *all);
void sg_warp_wmma_store(struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride,
    const struct sg_fragments *all);
