/* Atomic sums and extremes of f16 and bf16 values, alone and in pairs: compare-and-swap loops. */
#include <math.h>

#include "softgpu/exec/entries.h"
#include "softgpu/exec/runtime-float.h"

static double add(double a, double b)
{
	return a + b;
}

static double min(double a, double b)
{
	return isnan(a) ? b : isnan(b) ? a : a < b || (a == b && signbit(a)) ? a : b;
}

static double max(double a, double b)
{
	return isnan(a) ? b : isnan(b) ? a : a > b || (a == b && signbit(b)) ? a : b;
}

/* Relaxed: PTX orders atomics by fences and by the order in the instruction, which LLVM sees not
 * here; on x86 a locked instruction orders everything anyway. */
#define LOOP(word, at, expression)                                                                 \
	({                                                                                         \
		word loop_old = __atomic_load_n(at, __ATOMIC_RELAXED);                             \
		while (!__atomic_compare_exchange_n(                                               \
		    at, &loop_old, (word)(expression), true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))  \
			;                                                                          \
		loop_old;                                                                          \
	})

#define COMBINE(operation, type, a, b)                                                             \
	sg_to_##type(0, operation(runtime_##type((uint16_t)(a)), runtime_##type((uint16_t)(b))))

#define HALF_ATOMIC(operation, type)                                                               \
	uint16_t sg_atomic_##operation##_##type(uint16_t *at, uint16_t value)                      \
	{                                                                                          \
		return LOOP(uint16_t, at, COMBINE(operation, type, loop_old, value));              \
	}                                                                                          \
	uint32_t sg_atomic_##operation##_##type##x2(uint32_t *at, uint32_t value)                  \
	{                                                                                          \
		return LOOP(uint32_t, at,                                                          \
		    COMBINE(operation, type, loop_old, value) |                                    \
			(uint32_t)COMBINE(operation, type, loop_old >> 16, value >> 16) << 16);    \
	}
SG_HALF_ATOMICS(HALF_ATOMIC)
