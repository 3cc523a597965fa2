/* A sum as an element of D, and a scale as a number: of all products of matrices. */
#pragma once

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/matrix.h"
#include "softgpu/exec/runtime-float.h"

/* f16 or f32 */
static inline uint32_t matrix_float_result(union sg_matrix matrix, float value)
{
	uint32_t bits;

	if (matrix.d == SG_MATRIX_F16)
		return sg_to_f16(matrix.saturate ? 8 : 0, value);
	memcpy(&bits, &value, sizeof(bits));
	return isnan(value) ? SG_NAN_F32 : bits;
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
	if (is_ue4m3)
		return runtime_f16((uint16_t)sg_e4m3x2_to_f16x2(0, bits & 0x7f));
	return (bits & 0xff) == 0xff ? NAN : ldexp(1, (int)(bits & 0xff) - 127);
}
