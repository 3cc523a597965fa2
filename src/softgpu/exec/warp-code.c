/*
 * What code that runs a warp's threads in step calls, beside exchanges and barriers. lane is the
 * warp's first thread's; a lane's thread is its number plus the lane.
 */
#include <string.h>

#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"

struct sg_lane *sg_lane_of(struct sg_lane *lane, uint32_t number)
{
	struct sg_lane *one = &lane->fiber->one;

	*one = *lane;
	lane_set_thread(one, lane->number + number);
	return one;
}

/* Some lane's access was out of range or misaligned: the first one's is reported. */
_Noreturn void sg_warp_fault(struct sg_lane *lane, const uint64_t *addresses, uint32_t lanes,
    uint32_t size, bool is_write, bool is_shared)
{
	lane->current = (uint32_t)__builtin_ctz(lanes);
	sg_fault_access(lane, addresses[lane->current], size, is_write, is_shared);
}

static bool is_inside(const struct sg_lane *lane, uint64_t address, uint32_t size, bool is_shared)
{
	uint64_t offset = is_shared ? address : address - SG_ARENA_BASE;

	return offset < (is_shared ? lane->shared_size : SG_ARENA_SIZE) && offset % size == 0;
}

void sg_warp_move(struct sg_lane *lane, uint64_t base, uint64_t stride, uint64_t wrap,
    uint32_t wrapped, uint32_t lanes, uint32_t size, uint32_t flags, uint8_t *data)
{
	bool is_write = flags & SG_MOVE_WRITE, is_shared = flags & SG_MOVE_SHARED;

	for (uint32_t left = lanes; left; left &= left - 1) {
		uint32_t number = (uint32_t)__builtin_ctz(left);
		uint64_t address = base + number * stride - (wrapped >> number & 1 ? wrap : 0);
		uint8_t *memory;

		if (flags & SG_MOVE_NARROW)
			address = (uint32_t)address;
		lane->current = number;
		if (!is_inside(lane, address, size, is_shared))
			sg_fault_access(lane, address, size, is_write, is_shared);
		memory = is_shared ? lane->shared + address : (uint8_t *)address;
		if (is_write)
			memcpy(memory, data + (size_t)number * size, size);
		else
			memcpy(data + (size_t)number * size, memory, size);
	}
}

/* Groups of lanes may name themselves as members of different exchanges. */
void sg_warp_exchange(uint32_t kind, uint32_t lanes, struct sg_exchange_table *table)
{
	struct sg_arrival arrivals[SG_WARP_SIZE];
	struct sg_meeting meeting = {0};

	for (uint32_t left = lanes; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(left);

		arrivals[i] = (struct sg_arrival){(enum sg_exchange)kind,
		    table->members[i] | (left & -left), table->value[i], table->b[i], table->c[i]};
		meeting.arrivals[i] = &arrivals[i];
		meeting.results[i] = &table->result[i];
	}
	for (uint32_t left = lanes; left;) {
		uint32_t mask = arrivals[__builtin_ctz(left)].mask, members = 0;

		for (uint32_t others = left; others; others &= others - 1)
			if (arrivals[__builtin_ctz(others)].mask == mask)
				members |= others & -others;
		meeting_compute(&meeting, members);
		left &= ~members;
	}
	table->common = (uint32_t)table->result[__builtin_ctz(lanes)];
}

/* These lanes are done, and nobody waits for them any more. */
void sg_warp_leave(struct sg_lane *lane, uint32_t lanes)
{
	uint32_t n = (uint32_t)__builtin_popcount(lanes);

	lane->fiber->left -= n;
	barrier_threads_exit(lane->block, n);
}
