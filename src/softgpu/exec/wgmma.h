/*
 * Products of a warpgroup (PTX ISA 9.7.15, wgmma): what compiled code passes to the machine. Each
 * of the four warps has 16 rows of A and D; they share B, which is in shared memory, as A may be.
 */
#pragma once

#include <stdint.h>

#include "softgpu/exec/exec.h"
#include "softgpu/exec/matrix.h"

#define SG_WGMMA_COLUMNS 256u /* of D, at most */
#define SG_WGMMA_ROW	 32u  /* bytes of a row of A: all types have these */
#define SG_WGMMA_COLUMN	 64u  /* bytes of a column of B, at most: A is sparse then, else a row's */

union sg_wgmma {
	uint32_t bits;
	struct {
		uint32_t n : 6;				     /* columns of D, in eights */
		uint32_t a : 4, b : 4, d : 4;		     /* enum sg_matrix_type */
		uint32_t a_registers : 1;		     /* A is not in shared memory */
		uint32_t a_transposed : 1, b_transposed : 1; /* major is not k */
		uint32_t a_negated : 1, b_negated : 1;
		uint32_t saturate : 1;
		uint32_t sparse : 1, selector : 1; /* half of A is there; whose indices count */
	};
};

/* A lane's side of it. */
struct sg_wgmma_lane {
	uint32_t d[SG_WGMMA_COLUMNS / 2]; /* 16 rows by n columns, over 32 lanes */
	uint32_t a[4];
	uint32_t adds;		   /* 0: D was not there before */
	uint32_t indices;	   /* of a sparse A */
	uint64_t a_place, b_place; /* matrix descriptors */
};

/* The same of a warp in step, register by register. */
struct sg_wgmma_warp {
	alignas(64) uint32_t d[SG_WGMMA_COLUMNS / 2][SG_WARP_SIZE];
	uint32_t a[4][SG_WARP_SIZE], indices[SG_WARP_SIZE];
	uint64_t a_place, b_place;
	uint32_t adds;
};

/* One lane's: waits for those of its warp. The product is done when it returns. */
void sg_wgmma(struct sg_lane *lane, uint32_t bits, struct sg_wgmma_lane *mine);

void sg_warp_wgmma(struct sg_lane *lane, uint32_t bits, struct sg_wgmma_warp *all);

/* Of a whole warp; lanes that are not there are NULL. self: whose memory it is. */
void wgmma_compute_lanes(
    struct sg_lane *self, union sg_wgmma form, struct sg_wgmma_lane *const lanes[SG_WARP_SIZE]);

/* wait_group: nobody of the warpgroup goes on before all its warps have done their products; of one
 * lane, or of n of a warp in step. */
void sg_warpgroup_meet(struct sg_lane *lane);
void sg_warp_warpgroup_meet(struct sg_lane *lane, uint32_t n);
