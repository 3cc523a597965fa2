/* Between matrix.c, which knows where a warp's elements lie, and matrix-special.c. */
#pragma once

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/matrix.h"
#include "softgpu/exec/multiply.h"
#include "softgpu/exec/runtime-float.h"

/* The kinds SPARSE, SCALED and both, and operands of e2m1, e2m3 and e3m2. */
void matrix_multiply_special(union sg_matrix matrix, uint32_t *const lanes[SG_WARP_SIZE]);

/* An operand's elements as bits, row by row; and D's back to the lanes. */
void matrix_take(union sg_matrix matrix, enum sg_matrix_operand operand,
    uint32_t *const lanes[SG_WARP_SIZE], uint32_t bits[SG_MATRIX_ELEMENTS]);
void matrix_give(
    union sg_matrix matrix, uint32_t *const lanes[SG_WARP_SIZE], const uint32_t *results);

/* A sum as an element of D, f16 or f32. */
static inline uint32_t matrix_float_result(union sg_matrix matrix, float value)
{
	uint32_t bits;

	if (matrix.d == SG_MATRIX_F16)
		return sg_to_f16(matrix.saturate ? 8 : 0, value);
	memcpy(&bits, &value, sizeof(bits));
	return isnan(value) ? 0x7fffffff : bits;
}

static inline uint32_t matrix_integer_result(union sg_matrix matrix, int64_t value)
{
	if (matrix.saturate)
		value = MAX((int64_t)INT32_MIN, MIN(value, (int64_t)INT32_MAX));
	return (uint32_t)value;
}

/* A scale of a block, as a number. */
static inline double matrix_scale(uint32_t bits, bool is_ue4m3)
{
	float value;

	if (is_ue4m3) {
		bits &= 0x7f;
		floats_from(SG_MATRIX_E4M3, &bits, 1, &value);
		return (double)value;
	}
	return (bits & 0xff) == 0xff ? NAN : ldexp(1, (int)(bits & 0xff) - 127);
}
