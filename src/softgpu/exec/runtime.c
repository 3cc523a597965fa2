/* Small functions behind PTX instructions, and the table by which the JIT finds all of them. */
#include "softgpu/exec/runtime.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "softgpu/exec/bulk.h"
#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"
#include "softgpu/exec/matrix.h"
#include "softgpu/exec/runtime-float.h"
#include "softgpu/exec/sample.h"
#include "softgpu/exec/tally.h"
#include "softgpu/exec/tcgen05.h"
#include "softgpu/exec/tensor.h"
#include "softgpu/exec/wgmma.h"

#define LONGEST_SLEEP_NS 20000u /* other blocks of the grid may need this host thread */

_Noreturn void sg_stopped(struct sg_lane *lane)
{
	machine_fault(lane, SG_FAULT_STOPPED, 0, false);
}

_Noreturn void sg_trap(struct sg_lane *lane)
{
	machine_fault(lane, SG_FAULT_TRAP, 0, false);
}

_Noreturn void sg_bad_call(struct sg_lane *lane)
{
	machine_fault(lane, SG_FAULT_ILLEGAL_CALL, 0, false);
}

_Noreturn void sg_exit(struct sg_lane *lane)
{
	machine_exit(lane->fiber);
}

/* Lets the block's other threads run; alone, the host's other threads. */
void sg_give_way(struct sg_lane *lane)
{
	struct sg_machine *machine = lane->block->machine;

	/* Another block's fault ends the grid: what this one polls for may never come. */
	if (atomic_load_explicit(&machine->grid->failed, memory_order_relaxed))
		machine_leave(machine);
	if (machine_has_ready(machine))
		machine_yield(lane->fiber);
	else
		machine_idle(machine);
}

void sg_let_pass(struct sg_lane *lane)
{
	if (machine_has_ready(lane->block->machine))
		machine_pass(lane->fiber);
}

void sg_poll(struct sg_lane *lane)
{
	if (lane->spins--)
		return;
	lane->spins =
	    machine_has_ready(lane->block->machine) ? SG_POLL_PERIOD_SHARED : SG_POLL_PERIOD;
	sg_give_way(lane);
}

void sg_nanosleep(struct sg_lane *lane, uint32_t ns)
{
	struct timespec time = {.tv_nsec = MIN(ns, LONGEST_SLEEP_NS)};

	if (!machine_has_ready(lane->block->machine))
		nanosleep(&time, NULL);
	sg_give_way(lane);
}

uint64_t sg_globaltimer(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static bool in_range(uint64_t address, uint64_t low, uint64_t size)
{
	return address - low < size;
}

bool sg_is_space(struct sg_lane *lane, uint32_t space, uint64_t address)
{
	const struct sg_kernel_info *info = &lane->block->machine->grid->kernel->info;

	switch (space) {
	case PTX_SPACE_SHARED:
		return in_range(address, (uint64_t)lane->shared, lane->shared_size);
	case PTX_SPACE_CLUSTER:
		return cluster_holds(lane, address);
	case PTX_SPACE_LOCAL:
		return in_range(address, lane->stack_low, lane->stack_high - lane->stack_low);
	case PTX_SPACE_PARAM:
		return in_range(address, (uint64_t)lane->params, info->param_bytes);
	case PTX_SPACE_CONST:
		return false; /* constants are ordinary device memory here */
	default:
		return in_range(address, SG_ARENA_BASE, SG_ARENA_SIZE - SG_EXEC_WINDOW_SIZE);
	}
}

void *sg_check_stack(struct sg_lane *lane, uint64_t address)
{
	if (!in_range(address, lane->stack_low, lane->stack_high - lane->stack_low))
		machine_fault(lane, SG_FAULT_ILLEGAL_ADDRESS, address, true);
	return (void *)address;
}

void sg_copy_async(void *to, const void *from, uint32_t size, uint32_t from_size)
{
	from_size = MIN(from_size, size);
	memcpy(to, from, from_size);
	memset((uint8_t *)to + from_size, 0, size - from_size);
}

/* The offset-th set bit from base upwards, or downwards when negative (PTX ISA, fns). */
uint32_t sg_fns(uint32_t mask, uint32_t base, int32_t offset)
{
	int64_t step = offset < 0 ? -1 : 1, count = offset < 0 ? -(int64_t)offset : offset;

	if (base > 31)
		return UINT32_MAX;
	if (!offset)
		return mask >> base & 1 ? base : UINT32_MAX;
	for (int64_t bit = base; bit >= 0 && bit < 32; bit += step)
		if ((mask >> bit & 1) && !--count)
			return (uint32_t)bit;
	return UINT32_MAX;
}

/* Byte numbers of the result, lowest first, by mode and selector (PTX ISA, prmt). */
uint32_t sg_prmt(uint32_t mode, uint64_t bytes, uint32_t selector)
{
	static const uint8_t order[6][4][4] = {
	    {{0, 1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4, 5}, {3, 4, 5, 6}}, /* f4e */
	    {{0, 7, 6, 5}, {1, 0, 7, 6}, {2, 1, 0, 7}, {3, 2, 1, 0}}, /* b4e */
	    {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 2, 2, 2}, {3, 3, 3, 3}}, /* rc8 */
	    {{0, 1, 2, 3}, {1, 1, 2, 3}, {2, 2, 2, 3}, {3, 3, 3, 3}}, /* ecl */
	    {{0, 0, 0, 0}, {0, 1, 1, 1}, {0, 1, 2, 2}, {0, 1, 2, 3}}, /* ecr */
	    {{0, 1, 0, 1}, {2, 3, 2, 3}, {0, 1, 0, 1}, {2, 3, 2, 3}}, /* rc16 */
	};
	uint32_t result = 0;

	for (unsigned i = 0; i < 4; i++)
		result |= (uint32_t)(bytes >> 8 * order[mode][selector & 3][i] & 0xff) << 8 * i;
	return result;
}

static int32_t video_element(uint32_t word, unsigned bits, unsigned index, bool is_signed)
{
	uint32_t top = word << (32 - bits * (index + 1));

	return is_signed ? (int32_t)top >> (32 - bits) : (int32_t)(top >> (32 - bits));
}

static int32_t video_one(uint32_t operation, int32_t a, int32_t b)
{
	switch (operation) {
	case 0:
		return a + b;
	case 1:
		return a - b;
	case 2: /* rounded away from zero */
		return (a + b + (a + b >= 0)) >> 1;
	case 3:
		return a < b ? b - a : a - b;
	case 4:
		return MIN(a, b);
	case 5:
		return MAX(a, b);
	case SG_VIDEO_SET:
		return a == b;
	case SG_VIDEO_SET + 1:
		return a != b;
	case SG_VIDEO_SET + 2:
		return a < b;
	case SG_VIDEO_SET + 3:
		return a <= b;
	case SG_VIDEO_SET + 4:
		return a > b;
	default:
		return a >= b;
	}
}

uint32_t sg_video(uint32_t operation, uint32_t flags, uint32_t a, uint32_t b, uint32_t c)
{
	unsigned bits = flags & SG_VIDEO_PAIR ? 16 : 8;
	bool is_signed = flags & SG_VIDEO_D_SIGNED;
	int32_t low = is_signed ? -(1 << (bits - 1)) : 0,
		high = (1 << (is_signed ? bits - 1 : bits)) - 1;
	uint32_t packed = 0, sum = c;

	for (unsigned i = 0; i < 32 / bits; i++) {
		uint32_t here = ((1u << bits) - 1) << bits * i;
		int32_t value =
		    video_one(operation, video_element(a, bits, i, flags & SG_VIDEO_A_SIGNED),
			video_element(b, bits, i, flags & SG_VIDEO_B_SIGNED));

		if (flags & SG_VIDEO_SATURATE)
			value = MAX(low, MIN(high, value));
		if (flags >> (SG_VIDEO_LEFT_OUT + i) & 1) {
			packed |= c & here;
			continue;
		}
		packed |= (uint32_t)value << bits * i & here;
		sum += (uint32_t)value;
	}
	return flags & SG_VIDEO_ADD ? sum : packed;
}

float sg_sin(float x)
{
	return sinf(x);
}

float sg_cos(float x)
{
	return cosf(x);
}

float sg_lg2(float x)
{
	return log2f(x);
}

float sg_tanh(float x)
{
	return tanhf(x);
}

/* LLVM calls these on CPUs without F16C; they are the compiler's run-time library's. */
_Float16 __truncsfhf2(float x);
_Float16 __truncdfhf2(double x);
float __extendhfsf2(_Float16 x);

#define ENTRY(name) {#name, (const void *)(name)}
#define ROUNDED(suffix)                                                                            \
	ENTRY(sg_add_##suffix), ENTRY(sg_sub_##suffix), ENTRY(sg_mul_##suffix),                    \
	    ENTRY(sg_div_##suffix), ENTRY(sg_fma_##suffix), ENTRY(sg_sqrt_##suffix),               \
	    ENTRY(sg_itof_##suffix), ENTRY(sg_utof_##suffix)
#define HALF_ATOMIC(operation, type)                                                               \
	ENTRY(sg_atomic_##operation##_##type), ENTRY(sg_atomic_##operation##_##type##x2),

#define BUILTIN(name, n_returns, n_params) ENTRY(sg_builtin_##name),

static const struct jit_symbol symbols[] = {
    ENTRY(sg_exchange),
    ENTRY(sg_barrier),
    ENTRY(sg_barrier_arrive),
    ENTRY(sg_barrier_red),
    ENTRY(sg_cluster_arrive),
    ENTRY(sg_cluster_wait),
    ENTRY(sg_cluster_pointer),
    ENTRY(sg_warp_cluster_arrive),
    ENTRY(sg_cluster_even),
    ENTRY(sg_cluster_cancel),
    ENTRY(sg_matrix),
    ENTRY(sg_wgmma),
    ENTRY(sg_tmem_load),
    ENTRY(sg_tmem_store),
    ENTRY(sg_tmem_alloc),
    ENTRY(sg_tmem_free),
    ENTRY(sg_tmem_relinquish),
    ENTRY(sg_tmem_copy),
    ENTRY(sg_tmem_shift),
    ENTRY(sg_tmem_commit),
    ENTRY(sg_tensor_multiply),
    ENTRY(sg_warpgroup_meet),
    ENTRY(sg_wmma_load),
    ENTRY(sg_wmma_store),
    ENTRY(sg_warp_barrier),
    ENTRY(sg_warp_barrier_arrive),
    ENTRY(sg_warp_exchange),
    ENTRY(sg_warp_fault),
    ENTRY(sg_warp_leave),
    ENTRY(sg_warp_matrix),
    ENTRY(sg_warp_warpgroup_meet),
    ENTRY(sg_warp_wgmma),
    ENTRY(sg_warp_mbarrier_arrive),
    ENTRY(sg_warp_move),
    ENTRY(sg_warp_tmem_load),
    ENTRY(sg_warp_tmem_store),
    ENTRY(sg_warp_tmem_alloc),
    ENTRY(sg_warp_tmem_free),
    ENTRY(sg_warp_tmem_relinquish),
    ENTRY(sg_warp_copy_async),
    ENTRY(sg_warp_cluster_fault),
    ENTRY(sg_warp_wmma_load),
    ENTRY(sg_warp_wmma_store),
    ENTRY(sg_lane_of),
    ENTRY(sg_tally_learn),
    ENTRY(sg_tally_close),
    ENTRY(sg_tally_empty),
    ENTRY(sg_mbarrier),
    ENTRY(sg_mbarrier_pending),
    ENTRY(sg_fault_access),
    ENTRY(sg_stopped),
    ENTRY(sg_trap),
    ENTRY(sg_exit),
    ENTRY(sg_bad_call),
    ENTRY(sg_poll),
    ENTRY(sg_let_pass),
    ENTRY(sg_nanosleep),
    ENTRY(sg_globaltimer),
    ENTRY(sg_is_space),
    ENTRY(sg_check_access),
    ENTRY(sg_check_accesses),
    ENTRY(sg_check_order),
    ENTRY(sg_check_poison),
    ENTRY(sg_check_rows),
    ENTRY(sg_check_stack),
    ENTRY(sg_check_uniform),
    ENTRY(sg_check_warp_order),
    ENTRY(sg_copy_async),
    ENTRY(sg_bulk_copy),
    ENTRY(sg_bulk_reduce),
    ENTRY(sg_bulk_clear),
    ENTRY(sg_tensor_copy),
    ENTRY(sg_tensor_replace),
    ENTRY(sg_bulk_multicast),
    ENTRY(sg_bulk_copy_masked),
    ENTRY(sg_fns),
    ENTRY(sg_prmt),
    ENTRY(sg_video),
    ENTRY(sg_video_part),
    ENTRY(sg_tex),
    ENTRY(sg_texture_query),
    ENTRY(sg_surface_at),
    ENTRY(sg_surface_store),
    ENTRY(sg_surface_is_signed),
    ENTRY(sg_sin),
    ENTRY(sg_cos),
    ENTRY(sg_lg2),
    ENTRY(sg_tanh),
    SG_HALF_ATOMICS(HALF_ATOMIC) SG_BUILTINS(BUILTIN) ROUNDED(f32),
    ROUNDED(f64),
    ENTRY(sg_to_f32),
    ENTRY(sg_to_f16),
    ENTRY(sg_to_bf16),
    ENTRY(sg_fma_f16),
    ENTRY(sg_fma_bf16),
    ENTRY(sg_to_tf32),
    ENTRY(sg_to_e4m3x2),
    ENTRY(sg_to_e5m2x2),
    ENTRY(sg_f16x2_to_e4m3x2),
    ENTRY(sg_f16x2_to_e5m2x2),
    ENTRY(sg_e4m3x2_to_f16x2),
    ENTRY(sg_e5m2x2_to_f16x2),
    ENTRY(sg_to_narrow),
    ENTRY(sg_narrow_to_f16x2),
    ENTRY(sg_to_f16_randomly),
    ENTRY(sg_to_bf16_randomly),
    ENTRY(sg_to_four_randomly),
    ENTRY(sg_to_scales),
    ENTRY(sg_scales_to_bf16x2),
    /* what LLVM calls for instructions this CPU lacks */
    ENTRY(fma),
    ENTRY(fmaf),
    ENTRY(trunc),
    ENTRY(truncf),
    ENTRY(floor),
    ENTRY(floorf),
    ENTRY(ceil),
    ENTRY(ceilf),
    ENTRY(roundeven),
    ENTRY(roundevenf),
    ENTRY(memcpy),
    ENTRY(memmove),
    ENTRY(memset),
    ENTRY(__truncsfhf2),
    ENTRY(__truncdfhf2),
    ENTRY(__extendhfsf2),
};
const struct jit_machine runtime_machine = {symbols, ARRAY_SIZE(symbols)};
