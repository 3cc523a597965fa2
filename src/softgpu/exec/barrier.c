/*
 * Barriers of a block (PTX ISA 9.7.13, bar). Without a count all threads that have not exited must
 * come; with one, that many. Where nobody can run any more and threads that exited early would
 * make up a count, they are counted in: hardware counts warps, of which the exited lanes are a
 * part.
 */
#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"
#include "softgpu/exec/wgmma.h"

/* One thread of many goes on in its turn, as in warp.c; a warp, which nobody can tell, at once. */
static bool takes_turn(const struct sg_fiber *fiber)
{
	return fiber->lane.block->machine->grid->variant->width == 1;
}

static void release(struct sg_block *block, struct sg_barrier *barrier, struct sg_fiber *self)
{
	uint64_t result = barrier->operation == SG_BARRIER_POPC	 ? barrier->popc
			  : barrier->operation == SG_BARRIER_AND ? barrier->all
								 : barrier->any;
	struct sg_fiber *waiting = NULL, *next;

	if (block->machine->check)
		check_block_order(block);
	block->n_waited_at -= barrier->waiting != NULL;
	/* The list is last come, first; threads go on in the order they came. */
	while ((next = barrier->waiting)) {
		barrier->waiting = next->next;
		next->next = waiting;
		waiting = next;
	}
	*barrier = (struct sg_barrier){0};
	for (; waiting; waiting = next) {
		next = waiting->next;
		waiting->result = result;
		if (waiting != self)
			machine_wake(waiting);
		else if (takes_turn(self))
			machine_line_up(self);
	}
}

static bool is_complete(const struct sg_block *block, const struct sg_barrier *barrier)
{
	return barrier->arrived >= (barrier->expected ?: block->alive);
}

/* Threads come together: n of them, of which n_true bring a predicate that holds. */
static struct sg_barrier *arrive_at(
    struct sg_barrier *barrier, uint32_t count, uint32_t n, uint32_t n_true)
{
	if (!barrier->arrived)
		*barrier = (struct sg_barrier){.all = true};
	barrier->expected = count;
	barrier->arrived += n;
	barrier->popc += n_true;
	barrier->all &= n_true == n;
	barrier->any |= n_true != 0;
	return barrier;
}

/* At one of the program's. */
static struct sg_barrier *arrive(
    struct sg_lane *lane, uint32_t number, uint32_t count, uint32_t n, uint32_t n_true)
{
	if (number >= SG_BARRIERS)
		machine_fault(lane, SG_FAULT_TRAP, 0, false);
	return arrive_at(&lane->block->barriers[number], count, n, n_true);
}

static uint64_t meet(struct sg_lane *lane, struct sg_barrier *barrier)
{
	struct sg_fiber *fiber = lane->fiber;

	lane->block->n_waited_at += barrier->waiting == NULL;
	fiber->next = barrier->waiting;
	barrier->waiting = fiber;
	if (is_complete(lane->block, barrier)) {
		release(lane->block, barrier, fiber);
		if (takes_turn(fiber))
			machine_take_turn(fiber);
	} else {
		machine_wait(fiber);
	}
	return fiber->result;
}

void sg_barrier(struct sg_lane *lane, uint32_t number, uint32_t count)
{
	meet(lane, arrive(lane, number, count, 1, 0));
}

void sg_barrier_arrive(struct sg_lane *lane, uint32_t number, uint32_t count)
{
	struct sg_barrier *barrier = arrive(lane, number, count, 1, 0);

	if (is_complete(lane->block, barrier))
		release(lane->block, barrier, NULL);
}

uint32_t sg_barrier_red(
    struct sg_lane *lane, uint32_t number, uint32_t count, uint32_t operation, uint32_t predicate)
{
	struct sg_barrier *barrier = arrive(lane, number, count, 1, predicate);

	barrier->operation = (enum sg_barrier_reduction)operation;
	return (uint32_t)meet(lane, barrier);
}

uint32_t sg_warp_barrier(struct sg_lane *lane, uint32_t n, uint32_t number, uint32_t count,
    uint32_t operation, uint32_t n_true)
{
	struct sg_barrier *barrier = arrive(lane, number, count, n, n_true);

	barrier->operation = (enum sg_barrier_reduction)operation;
	return (uint32_t)meet(lane, barrier);
}

void sg_warp_barrier_arrive(struct sg_lane *lane, uint32_t n, uint32_t number, uint32_t count)
{
	struct sg_barrier *barrier = arrive(lane, number, count, n, 0);

	if (is_complete(lane->block, barrier))
		release(lane->block, barrier, NULL);
}

void sg_warp_warpgroup_meet(struct sg_lane *lane, uint32_t n)
{
	uint32_t group = lane->number / SG_WARPGROUP_THREADS;
	uint32_t count =
	    MIN(SG_WARPGROUP_THREADS, lane->block->n_threads - group * SG_WARPGROUP_THREADS);

	meet(lane, arrive_at(&lane->block->barriers[SG_BARRIERS + group], count, n, 0));
}

void sg_warpgroup_meet(struct sg_lane *lane)
{
	sg_warp_warpgroup_meet(lane, 1);
}

void barrier_threads_exit(struct sg_block *block, uint32_t n)
{
	block->alive -= n;
	if (!block->n_waited_at)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(block->barriers); i++) {
		struct sg_barrier *barrier = &block->barriers[i];

		if (barrier->waiting && !barrier->expected && is_complete(block, barrier))
			release(block, barrier, NULL);
	}
}

bool barrier_settle(struct sg_block *block)
{
	uint32_t exited = block->n_threads - block->alive;

	for (unsigned i = 0; i < ARRAY_SIZE(block->barriers); i++) {
		struct sg_barrier *barrier = &block->barriers[i];

		if (barrier->waiting && barrier->expected &&
		    barrier->arrived + exited >= barrier->expected) {
			release(block, barrier, NULL);
			return true;
		}
	}
	return false;
}
