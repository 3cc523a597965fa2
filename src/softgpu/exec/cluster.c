/*
 * Clusters of blocks (PTX ISA 5.1, 9.7.13): a barrier, and looking into other blocks' shared
 * memory.
 *
 * A cluster's blocks are resident in one machine, their shared memory side by side, and run on its
 * one host thread: plain reads and writes will do, and whoever waits lets the others run.
 */
#include <string.h>

#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"

/* ---- the barrier ---- */

void cluster_init(struct sg_cluster *cluster, uint32_t n_threads)
{
	*cluster = (struct sg_cluster){.alive = n_threads, .pending = n_threads, .phase = 1};
}

static void end_phase(struct sg_cluster *cluster)
{
	struct sg_fiber *waiting = cluster->waiting, *next;

	cluster->phase++;
	cluster->pending = cluster->alive;
	cluster->waiting = NULL;
	for (; waiting; waiting = next) {
		next = waiting->next;
		machine_wake(waiting);
	}
}

static void no_longer_pending(struct sg_cluster *cluster, uint32_t n)
{
	cluster->pending -= MIN(n, cluster->pending);
	if (!cluster->pending)
		end_phase(cluster);
}

void sg_warp_cluster_arrive(struct sg_lane *lane, uint32_t n)
{
	struct sg_cluster *cluster = lane->block->cluster;

	if (lane->block->machine->check)
		check_block_order(lane->block);
	lane->fiber->cluster_phase = cluster->phase;
	no_longer_pending(cluster, n);
}

void sg_cluster_arrive(struct sg_lane *lane)
{
	sg_warp_cluster_arrive(lane, 1);
}

void sg_cluster_wait(struct sg_lane *lane)
{
	struct sg_cluster *cluster = lane->block->cluster;
	struct sg_fiber *fiber = lane->fiber;

	if (fiber->cluster_phase != cluster->phase)
		return;
	fiber->next = cluster->waiting;
	cluster->waiting = fiber;
	machine_wait(fiber);
}

void cluster_threads_exit(struct sg_fiber *fiber, uint32_t n)
{
	struct sg_cluster *cluster = fiber->lane.block->cluster;

	cluster->alive -= n;
	if (fiber->cluster_phase != cluster->phase)
		no_longer_pending(cluster, n);
}

/* ---- memory ---- */

/* Splits an address in the window shared::cluster. */
static uint32_t split(const struct sg_lane *lane, uint64_t address, uint64_t *offset)
{
	uint32_t number = (uint32_t)address >> SG_CLUSTER_RANK_BIT;

	*offset = address & ((1u << SG_CLUSTER_RANK_BIT) - 1);
	return number ? number - 1 : lane->cluster_rank;
}

uint8_t *cluster_range(struct sg_lane *lane, uint64_t address, uint64_t size, bool is_write)
{
	uint64_t offset;
	uint32_t rank = split(lane, address, &offset);

	if (address > UINT32_MAX || rank >= lane->cluster_blocks || offset > lane->shared_size ||
	    size > lane->shared_size - offset)
		machine_fault(lane, SG_FAULT_ILLEGAL_ADDRESS, address, is_write);
	return (uint8_t *)lane->cluster_base + rank * SG_SHARED_STRIDE + offset;
}

uint8_t *sg_cluster_pointer(struct sg_lane *lane, uint64_t address, uint32_t size, bool is_write)
{
	if (address % size)
		machine_fault(lane, SG_FAULT_MISALIGNED, address, is_write);
	return cluster_range(lane, address, size, is_write);
}

uint64_t sg_cluster_map(struct sg_lane *lane, uint64_t address, uint32_t rank)
{
	uint64_t offset;

	split(lane, address, &offset);
	return SG_CLUSTER_ADDRESS(rank & 0x3f, offset);
}

uint32_t sg_cluster_rank(struct sg_lane *lane, uint64_t address)
{
	uint64_t offset;

	return split(lane, address, &offset);
}

uint32_t sg_cluster_even(struct sg_lane *lane, uint32_t address)
{
	uint64_t offset;
	uint32_t rank = split(lane, address, &offset);

	if (rank >= lane->cluster_blocks || offset >= lane->shared_size)
		return address & ~(1u << SG_CLUSTER_RANK_BIT);
	return rank % 2 ? (uint32_t)SG_CLUSTER_ADDRESS(rank - 1, offset) : address;
}

bool cluster_holds(const struct sg_lane *lane, uint64_t address)
{
	uint64_t inside = address - lane->cluster_base;

	return inside / SG_SHARED_STRIDE < lane->cluster_blocks &&
	       inside % SG_SHARED_STRIDE < lane->shared_size;
}

/* ---- blocks that have not begun ---- */

/* 16 bytes, which only our own instructions look into. */
struct answer {
	uint32_t is_taken;
	uint32_t block[3]; /* the first of the cluster */
};

void sg_cluster_cancel(struct sg_lane *lane, uint64_t answer, uint64_t mbarrier, bool to_all)
{
	struct sg_machine *machine = lane->block->machine;
	struct sg_grid *grid = machine->grid;
	struct sg_lane taken = {0};
	struct answer result = {0};
	uint64_t number;

	if (!grid->is_cooperative && grid_next_block(machine, grid, &number)) {
		lane_set_number(&taken, grid, number);
		result.is_taken = 1;
		memcpy(result.block, taken.ctaid, sizeof(result.block));
	}
	for (uint32_t rank = 0; rank < lane->cluster_blocks; rank++) {
		if (!to_all && rank != lane->cluster_rank)
			continue;
		memcpy(
		    cluster_range(lane, sg_cluster_map(lane, answer, rank), sizeof(result), true),
		    &result, sizeof(result));
		mbarrier_complete(lane, sg_cluster_map(lane, mbarrier, rank), sizeof(result));
	}
}
