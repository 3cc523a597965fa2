/* Between matrix.c and matrix-double.c. */
#pragma once

#include <stdio.h>

#include "softgpu/jit/matrix-form.h"
#include "softgpu/jit/warp/warp.h"

/* Is it of the kind that is done in line? */
bool matrix_is_double(union sg_matrix matrix);
/* The instruction, all of whose lanes must be here. */
void warp_double_product(struct warp *warp, union sg_matrix matrix);
