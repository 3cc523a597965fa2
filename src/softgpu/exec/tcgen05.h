/*
 * Tensor memory and its products (PTX ISA 9.7.16, tcgen05): what compiled code passes to the
 * machine.
 *
 * A block has 128 lanes of 512 columns of 32 bits; an address is lane << 16 | column. All is done
 * at once, so that nothing is left to wait for or to order. What an instruction cannot do with its
 * operands, and columns that are not allocated, end the grid.
 */
#pragma once

#include <stdint.h>

#include "softgpu/exec/lane.h"

#define SG_TMEM_LANES	128u
#define SG_TMEM_COLUMNS 512u

/* ---- tmem.c ---- */

/* Lanes of tensor memory and bits per column of them that an instruction moves, in the order of
 * the ISA; the last one moves two pieces. */
enum sg_tmem_shape {
	SG_TMEM_32X32,
	SG_TMEM_16X64,
	SG_TMEM_16X128,
	SG_TMEM_16X256,
	SG_TMEM_16X32X2,
};

/* What a load makes of the words it loads, beside loading them. */
enum sg_tmem_reduction { SG_TMEM_NOT_REDUCED, SG_TMEM_U32, SG_TMEM_S32, SG_TMEM_F32 };

union sg_tmem_move {
	uint32_t bits;
	struct {
		uint32_t shape : 3;	/* enum sg_tmem_shape */
		uint32_t repeat : 8;	/* .x1 to .x128 */
		uint32_t packed : 1;	/* a word has the lower halves of two columns */
		uint32_t reduction : 2; /* enum sg_tmem_reduction */
		uint32_t flags : 3;	/* enum sg_redux_flags */
	};
};

#define SG_TMEM_WORDS 128u /* of a thread, at most; a reduction's result follows */

/* Words a thread has of it. */
static inline uint32_t sg_tmem_words(union sg_tmem_move move)
{
	static const uint8_t words[] = {1, 1, 2, 4, 1};

	return words[move.shape] * move.repeat;
}

/* Of a whole warp, all lanes of which come before anyone goes on; one lane's words. Second: how
 * many columns on the second piece begins. */
void sg_tmem_load(
    struct sg_lane *lane, uint32_t bits, uint32_t address, uint32_t second, uint32_t *words);
void sg_tmem_store(
    struct sg_lane *lane, uint32_t bits, uint32_t address, uint32_t second, const uint32_t *words);

/* Of a whole warp. pair: of two blocks, both of which must do so; the first waits for the other.
 * Waits until there is room. */
void sg_tmem_alloc(struct sg_lane *lane, uint32_t *to, uint32_t columns, uint32_t pair);
void sg_tmem_free(struct sg_lane *lane, uint32_t address, uint32_t columns);
void sg_tmem_relinquish(struct sg_lane *lane);

/* The same of a warp in step: words[i][lane]; stored are those of the mask's lanes. */
void sg_warp_tmem_load(
    struct sg_lane *lane, uint32_t bits, uint32_t address, uint32_t second, uint32_t words[][32]);
void sg_warp_tmem_store(struct sg_lane *lane, uint32_t bits, uint32_t address, uint32_t second,
    const uint32_t words[][32], uint32_t mask);
void sg_warp_tmem_alloc(struct sg_lane *lane, uint32_t *to, uint32_t columns, uint32_t pair);
void sg_warp_tmem_free(struct sg_lane *lane, uint32_t address, uint32_t columns);
void sg_warp_tmem_relinquish(struct sg_lane *lane);

enum sg_tmem_copy_shape {
	SG_TMEM_COPY_128X256,
	SG_TMEM_COPY_4X256,
	SG_TMEM_COPY_128X128,
	SG_TMEM_COPY_64X128_02_13, /* each row goes to two lanes: of warps 0 and 2, 1 and 3 */
	SG_TMEM_COPY_64X128_01_23,
	SG_TMEM_COPY_32X128, /* each row goes to a lane of each warp */
};

union sg_tmem_copy {
	uint32_t bits;
	struct {
		uint32_t shape : 3; /* enum sg_tmem_copy_shape */
		/* 4 or 6: numbers of so many bits get a byte each; 0: they stay as they are. */
		uint32_t narrow : 3;
		uint32_t pair : 1; /* in both blocks, each from its own shared memory */
	};
};

/* Of one thread. */
void sg_tmem_copy(struct sg_lane *lane, uint32_t bits, uint32_t address, uint64_t descriptor);
void sg_tmem_shift(struct sg_lane *lane, uint32_t address, uint32_t pair);
/* Tells an mbarrier, at an address in the window shared::cluster, that all is done; or those at
 * that place in the blocks of a mask. */
#define SG_TMEM_COMMIT_ONE 0x10000u /* no mask */
void sg_tmem_commit(struct sg_lane *lane, uint64_t mbarrier, uint32_t mask);

/* ---- tcgen05.c ---- */

enum sg_product_kind {
	SG_KIND_F16,
	SG_KIND_TF32,
	SG_KIND_F8F6F4,
	SG_KIND_I8,
	SG_KIND_MXF8F6F4,
	SG_KIND_MXF4,
	SG_KIND_MXF4NVF4,
};

union sg_tensor_form {
	uint32_t bits;
	struct {
		uint32_t kind : 3;	   /* enum sg_product_kind */
		uint32_t pair : 1;	   /* in two blocks */
		uint32_t stationary : 1;   /* .ws: B is kept, A changes */
		uint32_t sparse : 1;	   /* half of A is there, and where it belongs */
		uint32_t a_in_tensor : 1;  /* not in shared memory */
		uint32_t a_shifted : 1;	   /* by a row */
		uint32_t blocks : 3;	   /* of k that have a scale each; 0: no scales */
		uint32_t input_scale : 4;  /* D is first divided by 2 to the power of this */
		uint32_t lanes_masked : 1; /* some lanes are not written */
		uint32_t columns_masked : 1;
	};
};

struct sg_tensor_product {
	uint64_t a, b;	  /* descriptors; a: or an address */
	uint64_t columns; /* those of B that count as 0 */
	uint32_t d, instruction, sparsity, scale_a, scale_b;
	uint32_t adds;	   /* 0: D was not there before */
	uint32_t lanes[8]; /* bits of those that are not written; from 4 on of the odd block */
};

/* Of one thread. */
void sg_tensor_multiply(
    struct sg_lane *lane, uint32_t bits, const struct sg_tensor_product *product);
