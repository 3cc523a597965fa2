/* Inside the machine: tensor memory of blocks, for tmem.c and the products of tcgen05.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "softgpu/exec/machine.h"
#include "softgpu/exec/shared-matrix.h"
#include "softgpu/exec/tcgen05.h"

#define TMEM_UNIT  32u /* columns: what is allocated */
#define TMEM_UNITS (SG_TMEM_COLUMNS / TMEM_UNIT)

/* A resident block's; its machine's, from the first use on. */
struct sg_tmem {
	uint16_t used;		     /* units, as bits */
	uint8_t lengths[TMEM_UNITS]; /* of allocations, by their first unit */
	bool relinquished;	     /* nothing is allocated any more */
	uint32_t pairs;		     /* allocations with the other block of a pair */
	struct sg_fiber *waiting;    /* for room, or for the other block */
	uint32_t cells[SG_TMEM_LANES][SG_TMEM_COLUMNS];
};

static inline uint32_t tmem_lane(uint32_t address)
{
	return address >> 16;
}

static inline uint32_t tmem_column(uint32_t address)
{
	return address & 0xffff;
}

/* A block's, of which count columns from one on are allocated. Ends the grid where they are not. */
struct sg_tmem *tmem_check(
    struct sg_lane *lane, struct sg_block *block, uint32_t column, uint32_t count, bool is_write);

/* The even and the odd block of the lane's pair, or its own and NULL. Ends the grid when there are
 * not two. */
void tmem_blocks(struct sg_lane *lane, bool pair, struct sg_block *blocks[2]);

/* What an instruction's descriptor of a matrix in shared memory says. */
struct shared_matrix tmem_matrix_of(struct sg_lane *lane, uint64_t descriptor);

/* The host address of size bytes at an offset in a block's shared memory. */
const uint8_t *tmem_shared(
    struct sg_lane *lane, const struct sg_block *block, uint64_t offset, uint64_t size);

/* The operands of an instruction do not go together: ends the grid. */
_Noreturn void tmem_refuse(struct sg_lane *lane);
