/*
 * Bulk copies and reductions (PTX ISA 9.7.9.25). Each element of a reduction is one relaxed atomic
 * operation on device memory: other blocks may reduce into the same place at the same time.
 */
#include "softgpu/exec/bulk.h"

#include <string.h>

#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"

#define BULK_ALIGN 16u

static uint8_t *range(
    struct sg_lane *lane, uint64_t address, uint64_t size, bool is_shared, bool is_write)
{
	if (address % BULK_ALIGN || size % BULK_ALIGN)
		machine_fault(lane, SG_FAULT_MISALIGNED, address, is_write);
	return fault_check_range(lane, address, size, is_shared, is_write);
}

static uint8_t *target_of(struct sg_lane *lane, uint64_t to, uint64_t size, uint32_t spaces)
{
	if (!(spaces & SG_BULK_TO_CLUSTER))
		return range(lane, to, size, spaces & SG_BULK_TO_SHARED, true);
	if (to % BULK_ALIGN || size % BULK_ALIGN)
		machine_fault(lane, SG_FAULT_MISALIGNED, to, true);
	return cluster_range(lane, to, size, true);
}

void sg_bulk_copy(struct sg_lane *lane, uint64_t to, uint64_t from, uint32_t size, uint32_t spaces)
{
	const uint8_t *source = range(lane, from, size, spaces & SG_BULK_FROM_SHARED, false);

	memmove(target_of(lane, to, size, spaces), source, size);
}

void sg_bulk_multicast(struct sg_lane *lane, uint64_t to, uint64_t from, uint32_t size,
    uint64_t mbarrier, uint32_t mask)
{
	for (uint32_t left = mask & 0xffff; left; left &= left - 1) {
		uint32_t rank = (uint32_t)__builtin_ctz(left);

		sg_bulk_copy(lane, sg_cluster_map(lane, to, rank), from, size, SG_BULK_TO_CLUSTER);
		mbarrier_complete(lane, sg_cluster_map(lane, mbarrier, rank), size);
	}
}

void sg_bulk_copy_masked(
    struct sg_lane *lane, uint64_t to, uint64_t from, uint32_t size, uint32_t mask)
{
	const uint8_t *source = range(lane, from, size, true, false);
	uint8_t *target = range(lane, to, size, false, true);

	for (uint32_t i = 0; i < size; i++)
		if (mask >> i % BULK_ALIGN & 1)
			target[i] = source[i];
}

void sg_bulk_clear(struct sg_lane *lane, uint64_t to, uint64_t size, uint32_t is_shared)
{
	memset(fault_check_range(lane, to, size, is_shared, true), 0, size);
}

/* What every integer type has. */
#define INTEGER(type, a, b)                                                                        \
	switch (reduction) {                                                                       \
	case SG_BULK_ADD:                                                                          \
		return (type)((a) + (b));                                                          \
	case SG_BULK_MIN:                                                                          \
		return MIN(a, b);                                                                  \
	case SG_BULK_MAX:                                                                          \
		return MAX(a, b);                                                                  \
	case SG_BULK_INC:                                                                          \
		return (type)((a) >= (b) ? 0 : (a) + 1);                                           \
	case SG_BULK_DEC:                                                                          \
		return (type)((a) == 0 || (a) > (b) ? (b) : (a) - 1);                              \
	case SG_BULK_AND:                                                                          \
		return (a) & (b);                                                                  \
	case SG_BULK_OR:                                                                           \
		return (a) | (b);                                                                  \
	default:                                                                                   \
		return (a) ^ (b);                                                                  \
	}

static uint32_t reduce32(
    enum sg_bulk_reduction reduction, enum sg_bulk_element element, uint32_t a, uint32_t b)
{
	float x, y;

	if (element == SG_BULK_U32)
		INTEGER(uint32_t, a, b)
	if (element == SG_BULK_S32 && reduction == SG_BULK_MIN)
		return (int32_t)a < (int32_t)b ? a : b;
	if (element == SG_BULK_S32 && reduction == SG_BULK_MAX)
		return (int32_t)a > (int32_t)b ? a : b;
	if (element == SG_BULK_S32)
		INTEGER(uint32_t, a, b)
	memcpy(&x, &a, sizeof(x));
	memcpy(&y, &b, sizeof(y));
	x += y;
	memcpy(&a, &x, sizeof(a));
	return a;
}

static uint64_t reduce64(
    enum sg_bulk_reduction reduction, enum sg_bulk_element element, uint64_t a, uint64_t b)
{
	double x, y;

	if (element == SG_BULK_S64 && reduction == SG_BULK_MIN)
		return (int64_t)a < (int64_t)b ? a : b;
	if (element == SG_BULK_S64 && reduction == SG_BULK_MAX)
		return (int64_t)a > (int64_t)b ? a : b;
	if (element != SG_BULK_F64)
		INTEGER(uint64_t, a, b)
	memcpy(&x, &a, sizeof(x));
	memcpy(&y, &b, sizeof(y));
	x += y;
	memcpy(&a, &x, sizeof(a));
	return a;
}

static void reduce16(
    enum sg_bulk_reduction reduction, enum sg_bulk_element element, uint16_t *at, uint16_t value)
{
	bool is_f16 = element == SG_BULK_F16;

	if (reduction == SG_BULK_ADD)
		(is_f16 ? sg_atomic_add_f16 : sg_atomic_add_bf16)(at, value);
	else if (reduction == SG_BULK_MIN)
		(is_f16 ? sg_atomic_min_f16 : sg_atomic_min_bf16)(at, value);
	else
		(is_f16 ? sg_atomic_max_f16 : sg_atomic_max_bf16)(at, value);
}

/* Relaxed, as PTX has it: nothing else is published by a reduction. */
#define APPLY(type, at, function, value)                                                           \
	do {                                                                                       \
		type old = __atomic_load_n(at, __ATOMIC_RELAXED);                                  \
		while (!__atomic_compare_exchange_n(at, &old, function(kind, type_of, old, value), \
		    true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))                                     \
			;                                                                          \
	} while (0)

void bulk_reduce(enum sg_bulk_reduction kind, enum sg_bulk_element type_of, uint8_t *target,
    const uint8_t *source, uint32_t size)
{
	bool is_half = type_of == SG_BULK_F16 || type_of == SG_BULK_BF16;
	bool is_wide = type_of == SG_BULK_U64 || type_of == SG_BULK_S64 || type_of == SG_BULK_F64;
	unsigned step = is_half ? 2 : is_wide ? 8 : 4;

	for (uint32_t i = 0; i < size; i += step) {
		if (is_half)
			reduce16(kind, type_of, (uint16_t *)(target + i),
			    *(const uint16_t *)(source + i));
		else if (is_wide)
			APPLY(uint64_t, (uint64_t *)(target + i), reduce64,
			    *(const uint64_t *)(source + i));
		else
			APPLY(uint32_t, (uint32_t *)(target + i), reduce32,
			    *(const uint32_t *)(source + i));
	}
}

void sg_bulk_reduce(struct sg_lane *lane, uint64_t to, uint64_t from, uint32_t size,
    uint32_t spaces, uint32_t reduction, uint32_t element)
{
	const uint8_t *source = range(lane, from, size, spaces & SG_BULK_FROM_SHARED, false);

	bulk_reduce((enum sg_bulk_reduction)reduction, (enum sg_bulk_element)element,
	    target_of(lane, to, size, spaces), source, size);
}
