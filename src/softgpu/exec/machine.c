/*
 * How a machine runs blocks. Each host thread that runs kernels borrows a machine; where its memory
 * lies is in machine-memory.c.
 *
 * A kernel's code runs one thread, or the threads of a warp in step (struct sg_variant). Where they
 * never meet others, or all of a block's are in step, a block runs on one stack, one after the
 * other. Otherwise each thread or warp is a fiber: a lane, a stack, a place in one run queue.
 * Whoever is last at a barrier or exchange computes its result and wakes the others; nobody spins.
 * When no fiber is ready the block is settled: lanes that asked for the active mask get it, exited
 * threads are counted in, and if that wakes nobody the threads wait for each other and the grid
 * ends as a deadlock.
 *
 * A fault abandons the fibers where they stand: they own nothing but their stacks.
 */
#include "softgpu/exec/machine.h"

#include <sched.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "softgpu/exec/context.h"
#include "softgpu/exec/tally.h"

#define POLLS_BEFORE_SETTLING 8192u /* of all threads together, with nothing else happening */

/* When blocks that have not begun are wanted: what these wait for takes longer than a processor is
 * kept from a thread. */
#define LONELY_NS   (20 * NSEC_PER_MSEC)
#define IDLE_GAP_NS (10 * NSEC_PER_MSEC) /* between two looks: not all of it was polling */

bool machine_has_ready(const struct sg_machine *machine)
{
	return machine->ready != NULL;
}

static void enqueue(struct sg_machine *machine, struct sg_fiber *fiber)
{
	fiber->next = NULL;
	if (machine->ready)
		machine->ready_tail->next = fiber;
	else
		machine->ready = fiber;
	machine->ready_tail = fiber;
}

static bool grid_failed(const struct sg_grid *grid)
{
	/* Relaxed: only a hint to stop early; the fault itself is read after the machines are
	 * joined. */
	return atomic_load_explicit(&grid->failed, memory_order_relaxed);
}

/* Goes on with the next fiber that can run, without the detour over the scheduler; with the
 * scheduler when there is none or the grid has failed. Returns when somebody switches back to
 * fiber. */
static void suspend(struct sg_machine *machine, struct sg_fiber *fiber)
{
	struct sg_fiber *next = machine->ready;

	if (!next || grid_failed(machine->grid)) {
		sg_context_switch(&fiber->context, machine->scheduler);
		return;
	}
	machine->ready = next->next;
	if (next == fiber)
		return;
	machine->current = next;
	sg_context_switch(&fiber->context, next->context);
}

/* Where fibers only poll, the scheduler has a look now and then. */
void machine_yield(struct sg_fiber *fiber)
{
	struct sg_machine *machine = fiber->lane.block->machine;

	enqueue(machine, fiber);
	machine->polls += machine->grid->variant->width;
	if (machine->polls < POLLS_BEFORE_SETTLING)
		suspend(machine, fiber);
	else
		sg_context_switch(&fiber->context, machine->scheduler);
}

void machine_line_up(struct sg_fiber *fiber)
{
	enqueue(fiber->lane.block->machine, fiber);
}

void machine_take_turn(struct sg_fiber *fiber)
{
	suspend(fiber->lane.block->machine, fiber);
}

void machine_pass(struct sg_fiber *fiber)
{
	machine_line_up(fiber);
	machine_take_turn(fiber);
}

void machine_wait(struct sg_fiber *fiber)
{
	struct sg_block *block = fiber->lane.block;

	fiber->state = FIBER_WAITING;
	block->warps[fiber->lane.warp_id].runnable--;
	block->machine->polls = 0;
	suspend(block->machine, fiber);
}

void machine_wake(struct sg_fiber *fiber)
{
	struct sg_block *block = fiber->lane.block;

	fiber->state = FIBER_READY;
	block->warps[fiber->lane.warp_id].runnable++;
	enqueue(block->machine, fiber);
}

_Noreturn void machine_leave(struct sg_machine *machine)
{
	sg_context_jump(machine->scheduler);
}

_Noreturn void machine_exit(struct sg_fiber *fiber)
{
	struct sg_machine *machine = fiber->lane.block->machine;

	tally_empty(machine->tally);
	fiber->state = FIBER_DONE;
	machine_leave(machine);
}

void machine_record_fault(struct sg_machine *machine, const struct sg_lane *lane,
    enum sg_fault_kind kind, uint64_t address, bool is_write)
{
	struct sg_grid *grid = machine->grid;
	struct sg_fault *fault = &grid->fault;

	/* One winner writes; the launching thread reads once all machines have been joined. */
	if (atomic_exchange_explicit(&grid->failed, true, memory_order_acq_rel))
		return;
	*fault = (struct sg_fault){
	    .kind = kind,
	    .is_write = is_write,
	    .address = address,
	    .kernel = grid->kernel->info.name,
	};
	memcpy(fault->block, lane->ctaid, sizeof(fault->block));
	if (lane->ntid[0]) {
		struct sg_lane one = *lane;

		lane_set_thread(&one, lane->number + lane->current);
		memcpy(fault->thread, one.tid, sizeof(fault->thread));
	}
}

_Noreturn void machine_fault(
    struct sg_lane *lane, enum sg_fault_kind kind, uint64_t address, bool is_write)
{
	struct sg_machine *machine = lane->block->machine;

	machine_record_fault(machine, lane, kind, address, is_write);
	machine_leave(machine);
}

/* The program's, and what the system keeps behind them. */
static uint64_t shared_bytes(const struct sg_grid *grid)
{
	return grid->shared_size + (grid->kernel->uses_reserved_shared ? SG_RESERVED_SHARED : 0);
}

/* Blocks of a cluster follow each other. */
static void lane_set_number_in_cluster(
    struct sg_lane *lane, const struct sg_grid *grid, uint64_t number)
{
	uint64_t place = number / grid->cluster_size;
	uint32_t rank = (uint32_t)(number % grid->cluster_size);

	for (unsigned i = 0; i < 3; i++) {
		uint32_t clusters = grid->launch->grid[i] / grid->cluster[i];

		lane->ctaid[i] =
		    (uint32_t)(place % clusters) * grid->cluster[i] + rank % grid->cluster[i];
		place /= clusters;
		rank /= grid->cluster[i];
	}
}

void lane_set_number(struct sg_lane *lane, const struct sg_grid *grid, uint64_t number)
{
	const uint32_t *size = grid->launch->grid;

	if (grid->cluster_size > 1) {
		lane_set_number_in_cluster(lane, grid, number);
		return;
	}
	if (number < size[0]) { /* most grids are a row, and dividing takes time */
		lane->ctaid[0] = (uint32_t)number;
		lane->ctaid[1] = lane->ctaid[2] = 0;
		return;
	}
	lane->ctaid[0] = (uint32_t)(number % size[0]);
	lane->ctaid[1] = (uint32_t)(number / size[0] % size[1]);
	lane->ctaid[2] = (uint32_t)(number / size[0] / size[1]);
}

static void lane_set_block(
    struct sg_lane *lane, const struct sg_grid *grid, struct sg_block *block, uint64_t number)
{
	const struct sg_launch *launch = grid->launch;

	*lane = (struct sg_lane){
	    .n_warps = (grid->n_threads + SG_WARP_SIZE - 1) / SG_WARP_SIZE,
	    .sm_id = block->machine->index,
	    .n_sms = sg_exec_threads(),
	    .grid_id = grid->id,
	    .params = grid->params,
	    .shared = block->shared,
	    .shared_size = shared_bytes(grid),
	    .reserved_shared = grid->shared_size,
	    .dynamic_shared_size = launch->dynamic_shared_bytes,
	    .stop = grid->stop,
	    .envreg = grid->envreg,
	    .cluster = grid->cluster,
	    .cluster_base = (uint64_t)block->shared - block->rank * SG_SHARED_STRIDE,
	    .cluster_rank = block->rank,
	    .cluster_blocks = grid->together,
	    .n_threads = grid->n_threads,
	    .block = block,
	    .tally = block->machine->tally,
	};
	memcpy(lane->ntid, launch->block, sizeof(lane->ntid));
	memcpy(lane->nctaid, launch->grid, sizeof(lane->nctaid));
	lane_set_number(lane, grid, number);
}

void lane_set_thread(struct sg_lane *lane, uint32_t number)
{
	lane->current = 0;
	lane->number = number;
	lane->tid[0] = number % lane->ntid[0];
	lane->tid[1] = number / lane->ntid[0] % lane->ntid[1];
	lane->tid[2] = number / lane->ntid[0] / lane->ntid[1];
	lane->lane_id = number % SG_WARP_SIZE;
	lane->warp_id = number / SG_WARP_SIZE;
	lane->spins = SG_POLL_PERIOD;
}

static void block_clear_shared(struct sg_block *block, const struct sg_grid *grid)
{
	memset(block->shared, 0, shared_bytes(grid));
	if (block->machine->check)
		check_block_begin(block);
}

/* No thread has met another yet. */
static void block_renew(struct sg_block *block, const struct sg_grid *grid)
{
	if (!block->rank)
		cluster_init(block->cluster, grid->n_threads * grid->together);
	block->alive = block->n_threads;
	memset(block->barriers, 0, sizeof(block->barriers));
	block->n_waited_at = 0;
}

static void block_init(struct sg_block *block, struct sg_machine *machine, uint32_t resident)
{
	const struct sg_grid *grid = machine->grid;
	uint32_t last = grid->n_threads % SG_WARP_SIZE;
	uint32_t n_warps = (grid->n_threads + SG_WARP_SIZE - 1) / SG_WARP_SIZE;

	block->machine = machine;
	block->rank = resident % grid->together;
	block->cluster = &machine->clusters[resident / grid->together];
	block->n_threads = grid->n_threads;
	block->shared = machine_shared(machine, resident);
	block_clear_shared(block, grid);
	block_renew(block, grid);
	tmem_block_begin(block);
	for (uint32_t i = 0; i < n_warps; i++) {
		struct sg_warp *warp = &block->warps[i];

		warp->alive = i + 1 == n_warps && last ? (1u << last) - 1 : UINT32_MAX;
		warp->waiting = 0;
		warp->runnable = (uint32_t)__builtin_popcount(warp->alive);
	}
}

/* The threads from number on that one call runs. */
static uint32_t unit_threads(const struct sg_grid *grid, uint32_t number)
{
	return MIN(grid->variant->width, grid->n_threads - number);
}

static uint32_t n_units(const struct sg_grid *grid)
{
	return (grid->n_threads + grid->variant->width - 1) / grid->variant->width;
}

static void fiber_set_threads(struct sg_fiber *fiber, const struct sg_grid *grid, uint32_t number)
{
	struct sg_lane *lane = &fiber->lane, one;

	lane_set_thread(lane, number);
	fiber->left = unit_threads(grid, number);
	if (grid->variant->width == 1 || grid->variant->row)
		return;
	one = *lane;
	for (uint32_t i = 0; i < grid->variant->width; i++) {
		lane_set_thread(&one, number + i);
		for (unsigned k = 0; k < 3; k++)
			fiber->tids[k * SG_WARP_SIZE + i] = one.tid[k];
	}
	lane->tids = fiber->tids;
}

static void run_unit(struct sg_fiber *fiber, const struct sg_grid *grid)
{
	if (grid->variant->width == 1)
		((sg_kernel_code)grid->variant->entry)(&fiber->lane);
	else
		((sg_warp_code)grid->variant->entry)(&fiber->lane, fiber->left);
}

/* One thread or warp, from first to last instruction. */
static void fiber_main(void *argument)
{
	struct sg_fiber *fiber = argument;

	run_unit(fiber, fiber->lane.block->machine->grid);
	machine_exit(fiber);
}

/* To the threads of the next unit: the same as fiber_set_threads(), without its divisions. */
static void fiber_next_threads(struct sg_fiber *fiber, const struct sg_grid *grid)
{
	struct sg_lane *lane = &fiber->lane;
	uint32_t width = grid->variant->width;

	if (grid->variant->row != width && width > 1) {
		fiber_set_threads(fiber, grid, lane->number + width);
		return;
	}
	lane->current = 0;
	lane->number += width;
	lane->lane_id = lane->number % SG_WARP_SIZE;
	lane->warp_id = lane->number / SG_WARP_SIZE;
	fiber->left = unit_threads(grid, lane->number);
	lane->tid[0] += width;
	if (lane->tid[0] < lane->ntid[0])
		return;
	lane->tid[0] -= lane->ntid[0]; /* a row holds a multiple of width, or is the only one */
	if (++lane->tid[1] == lane->ntid[1]) {
		lane->tid[1] = 0;
		lane->tid[2]++;
	}
}

static void run_serial_block(struct sg_fiber *fiber, const struct sg_grid *grid)
{
	fiber_set_threads(fiber, grid, 0);
	for (;;) {
		run_unit(fiber, grid);
		if (fiber->lane.number + grid->variant->width >= grid->n_threads)
			return;
		fiber_next_threads(fiber, grid);
	}
}

/* All threads of a block, one or one warp after the other; then those of the grid's next block. */
static void serial_main(void *argument)
{
	struct sg_fiber *fiber = argument;
	struct sg_block *block = fiber->lane.block;
	struct sg_machine *machine = block->machine;
	struct sg_grid *grid = machine->grid;
	uint64_t number;
	bool clears = shared_bytes(grid) || machine->check;

	run_serial_block(fiber, grid);
	while (machine->goes_on && grid_next_block(machine, grid, &number)) {
		if (clears)
			block_clear_shared(block, grid);
		lane_set_number(&fiber->lane, grid, number);
		if (grid->variant->needs_fibers)
			block_renew(block, grid);
		run_serial_block(fiber, grid);
	}
	machine_exit(fiber);
}

/* Stacks start at different offsets, or all their tops would fall into the same cache sets. */
static void fiber_start(struct sg_machine *machine, struct sg_fiber *fiber, uint32_t index)
{
	bool is_own = machine->grid->has_fibers;
	struct machine_stack stack = machine_stack(machine, index);

	fiber->lane.fiber = fiber;
	fiber->lane.stack_low = stack.low;
	fiber->lane.stack_high = stack.high;
	fiber->stack_guard = stack.guard;
	fiber->state = FIBER_READY;
	fiber->cluster_phase = 0;
	fiber->context = sg_context_new(
	    (void *)(stack.high - index % 16 * 192), is_own ? fiber_main : serial_main, fiber);
	enqueue(machine, fiber);
}

static void start_block(struct sg_machine *machine, uint32_t resident)
{
	struct sg_grid *grid = machine->grid;
	struct sg_block *block = &machine->blocks[resident];
	uint32_t n = grid->has_fibers ? n_units(grid) : 1, width = grid->variant->width;

	block_init(block, machine, resident);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t index = resident * n + i;
		struct sg_fiber *fiber = &machine->fibers[index];

		if (i)
			fiber->lane = machine->fibers[resident * n].lane;
		else
			lane_set_block(&fiber->lane, grid, block, machine->first_block + resident);
		fiber_set_threads(fiber, grid, i * width);
		if (width == 1)
			block->warps[i / SG_WARP_SIZE].fibers[i % SG_WARP_SIZE] = fiber;
		fiber_start(machine, fiber, index);
	}
}

/* No fiber is ready, or all that are poll: true when that could be helped. */
static bool settle(struct sg_machine *machine, uint32_t count, bool force)
{
	bool woke = false;

	for (uint32_t i = 0; i < count; i++) {
		struct sg_block *block = &machine->blocks[i];
		uint32_t n_warps = (block->n_threads + SG_WARP_SIZE - 1) / SG_WARP_SIZE;

		for (uint32_t w = 0; w < n_warps; w++)
			woke |= warp_settle(&block->warps[w], force);
	}
	for (uint32_t i = 0; i < count && !woke; i++)
		woke |= barrier_settle(&machine->blocks[i]);
	return woke;
}

static const struct sg_lane *any_waiting(const struct sg_machine *machine, uint32_t n_fibers)
{
	for (uint32_t i = 0; i < n_fibers; i++)
		if (machine->fibers[i].state == FIBER_WAITING)
			return &machine->fibers[i].lane;
	return &machine->fibers[0].lane;
}

/* All that run poll: gives the processor to other threads. After a while that may not be enough;
 * time spent on anything but polling starts over. */
void machine_idle(struct sg_machine *machine)
{
	uint64_t now = clock_now_ns();

	if (!machine->polls_since_ns || now - machine->polled_ns > IDLE_GAP_NS)
		machine->polls_since_ns = now;
	if (now - machine->polls_since_ns > LONELY_NS) {
		machine->polls_since_ns = now;
		grid_call_company(machine->grid);
	}
	sched_yield();
	machine->polled_ns = clock_now_ns();
}

static void switch_to(struct sg_machine *machine, struct sg_fiber *fiber)
{
	machine->current = fiber;
	fault_set_running(machine);
	sg_context_switch(&machine->scheduler, fiber->context);
	fault_set_running(NULL);
}

static void schedule(struct sg_machine *machine, uint32_t count)
{
	struct sg_grid *grid = machine->grid;
	bool threads_meet = grid->has_fibers;
	uint32_t left = count * (threads_meet ? n_units(grid) : 1), all = left;

	while (left && !grid_failed(grid)) {
		struct sg_fiber *fiber = machine->ready;

		if (!fiber) {
			if (settle(machine, count, false))
				continue;
			machine_record_fault(
			    machine, any_waiting(machine, all), SG_FAULT_DEADLOCK, 0, false);
			return;
		}
		machine->ready = fiber->next;
		switch_to(machine, fiber);
		fiber = machine->current; /* others may have run in between */
		if (fiber->state == FIBER_DONE) {
			left--;
			machine->polls = 0;
			if (threads_meet) {
				if (grid->variant->width == 1)
					warp_lane_exits(fiber->lane.block, &fiber->lane);
				barrier_threads_exit(fiber->lane.block, fiber->left);
				cluster_threads_exit(fiber, fiber->left);
			}
		} else if (fiber->state == FIBER_READY) {
			/* Threads that poll may wait for one that wants to know the active mask. */
			settle(machine, count, true);
			machine->polls = 0;
			machine_idle(machine);
		}
	}
}

void machine_run_rest(struct sg_machine *machine, struct sg_grid *grid)
{
	uint64_t number;

	machine->goes_on = !grid->has_fibers;
	while (grid_next_block(machine, grid, &number))
		machine_run(machine, grid, number, grid->together);
	machine->goes_on = false;
}

void machine_run(struct sg_machine *machine, struct sg_grid *grid, uint64_t first, uint32_t count)
{
	uint32_t n_fibers = count * (grid->has_fibers ? n_units(grid) : 1);
	static const struct sg_lane nobody;

	machine->grid = grid;
	machine->first_block = first;
	machine->ready = NULL;
	machine->polls = 0;
	machine->polls_since_ns = 0;
	tally_begin(machine->tally);
	if (!machine_make_room(machine, grid, count, n_fibers)) {
		machine_record_fault(machine, &nobody, SG_FAULT_NOT_STARTED, 0, false);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		start_block(machine, i);
	schedule(machine, count);
}
