/* What a product of a warpgroup is. */
#pragma once

#include "softgpu/exec/wgmma.h"
#include "softgpu/jit/emit.h"

/* Places among the operands: d, a, place of b {, indices, selector}, adds... */
#define WGMMA_INDICES 3u

static inline unsigned wgmma_adds(union sg_wgmma form)
{
	return form.sparse ? 5 : 3;
}

/* Of the instruction, with how many registers D has; fails when it is none that is run. */
union sg_wgmma wgmma_form(struct emit *emit, unsigned *count);
