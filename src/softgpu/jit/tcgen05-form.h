/* What an instruction of tensor memory says, for both machines: emit-tcgen05.c. */
#pragma once

#include "softgpu/exec/tcgen05.h"
#include "softgpu/jit/emit.h"

/* Of loads and stores of registers. */
union sg_tmem_move tcgen05_move(struct emit *emit);

/* Operand index, which must be there; the n registers of one that is a vector. */
const struct ptx_operand *tcgen05_operand(struct emit *emit, unsigned index);
const struct ptx_operand *tcgen05_vector(struct emit *emit, unsigned index, uint32_t n);

bool tcgen05_is_pair(struct emit *emit); /* of blocks */
