/* What a product of a warpgroup is. */
#pragma once

#include "softgpu/exec/wgmma.h"
#include "softgpu/jit/emit.h"

/* Of the instruction, with how many registers D has; fails when it is none that is run. */
union sg_wgmma wgmma_form(struct emit *emit, unsigned *count);
