/*
 * The device runtime's functions for cooperative groups, which Numba and other compilers call by
 * name; what nvcc compiles has its own. A grid's handle is the address that %envreg1 and 2 have.
 *
 * A grid meets in turns: the first thread of each block counts its block in and, but for the last
 * one's, waits for the turn to end, between two barriers of the block. They run on the calling
 * thread's fiber, on several host threads at once.
 */
#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"

enum { SCOPE_GRID = 1 };      /* cudaCGScope */
enum { ERROR_UNKNOWN = 999 }; /* cudaError_t */

static uint64_t handle_of(const struct sg_grid *grid)
{
	return (uint64_t)grid->envreg[1] << 32 | grid->envreg[2];
}

static bool names_grid(struct sg_lane *lane, uint64_t handle)
{
	return handle && handle == handle_of(lane->block->machine->grid);
}

void sg_builtin_cudaCGGetIntrinsicHandle(
    struct sg_lane *lane, uint64_t *handle, const uint32_t *scope)
{
	*handle = *scope == SCOPE_GRID ? handle_of(lane->block->machine->grid) : 0;
}

/* Of a thread whose block waits at a barrier. */
static void take_turn(struct sg_lane *lane)
{
	struct sg_grid *grid = lane->block->machine->grid;
	/* Nobody begins another turn before this block has come. */
	uint32_t turn = atomic_load_explicit(&grid->turn, memory_order_relaxed);

	/* Release and acquire: the last block has seen what all others wrote, and hands it on with
	 * the turn's end. */
	if (atomic_fetch_add_explicit(&grid->came, 1, memory_order_acq_rel) + 1 == grid->n_blocks) {
		atomic_store_explicit(&grid->came, 0, memory_order_relaxed);
		atomic_store_explicit(&grid->turn, turn + 1, memory_order_release);
		return;
	}
	while (atomic_load_explicit(&grid->turn, memory_order_acquire) == turn) {
		if (*(const volatile uint32_t *)lane->stop)
			sg_stopped(lane);
		sg_give_way(lane);
	}
}

static uint32_t meet(struct sg_lane *lane, uint64_t handle)
{
	if (!names_grid(lane, handle))
		return ERROR_UNKNOWN;
	sg_barrier(lane, 0, 0);
	if (!lane->tid[0] && !lane->tid[1] && !lane->tid[2])
		take_turn(lane);
	sg_barrier(lane, 0, 0);
	return 0;
}

void sg_builtin_cudaCGSynchronize(
    struct sg_lane *lane, uint32_t *result, const uint64_t *handle, const uint32_t *flags)
{
	*result = meet(lane, *handle);
}

void sg_builtin_cudaCGSynchronizeGrid(
    struct sg_lane *lane, uint32_t *result, const uint64_t *handle, const uint32_t *flags)
{
	*result = meet(lane, *handle);
}

/* Either address may be 0. */
static void leave(struct sg_lane *lane, uint64_t address, uint32_t value)
{
	if (address)
		*(uint32_t *)fault_check_range(lane, address, sizeof(value), false, true) = value;
}

void sg_builtin_cudaCGGetSize(struct sg_lane *lane, uint32_t *result, const uint64_t *threads,
    const uint64_t *grids, const uint64_t *handle)
{
	const struct sg_grid *grid = lane->block->machine->grid;
	bool is_known = names_grid(lane, *handle);

	leave(lane, *threads, is_known ? (uint32_t)(grid->n_blocks * grid->n_threads) : 0);
	leave(lane, *grids, is_known);
	*result = is_known ? 0 : ERROR_UNKNOWN;
}

void sg_builtin_cudaCGGetRank(struct sg_lane *lane, uint32_t *result, const uint64_t *thread,
    const uint64_t *grid_rank, const uint64_t *handle)
{
	const struct sg_grid *grid = lane->block->machine->grid;
	bool is_known = names_grid(lane, *handle);
	const uint32_t *at = lane->ctaid, *of = grid->launch->grid;
	uint64_t block = ((uint64_t)at[2] * of[1] + at[1]) * of[0] + at[0];

	leave(lane, *thread, is_known ? (uint32_t)(block * grid->n_threads + lane->number) : 0);
	leave(lane, *grid_rank, 0);
	*result = is_known ? 0 : ERROR_UNKNOWN;
}
