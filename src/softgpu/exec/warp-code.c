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

static uint32_t first_lane(const struct sg_lanes *lanes)
{
	uint32_t word = 0;

	while (!lanes->words[word])
		word++;
	return word * 32 + (uint32_t)__builtin_ctz(lanes->words[word]);
}

/* Some lane's access was out of range or misaligned: the first one's is reported. */
_Noreturn void sg_warp_fault(struct sg_lane *lane, const uint64_t *addresses,
    const struct sg_lanes *lanes, uint32_t size, bool is_write, bool is_shared)
{
	lane->current = first_lane(lanes);
	sg_fault_access(lane, addresses[lane->current], size, is_write, is_shared);
}

_Noreturn void sg_warp_cluster_fault(struct sg_lane *lane, const uint64_t *addresses,
    const struct sg_lanes *lanes, uint32_t size, bool is_write)
{
	lane->current = first_lane(lanes);
	sg_cluster_pointer(lane, addresses[lane->current], size, is_write); /* says what is wrong */
	machine_fault(lane, SG_FAULT_ILLEGAL_ADDRESS, addresses[lane->current], is_write);
}

static bool is_inside(const struct sg_lane *lane, uint64_t address, uint32_t size, bool is_shared)
{
	uint64_t offset = is_shared ? address : address - SG_ARENA_BASE;

	return offset < (is_shared ? lane->shared_size : SG_ARENA_SIZE) && offset % size == 0;
}

static bool has_lane(const struct sg_lanes *lanes, uint32_t number)
{
	return lanes->words[number / 32] >> (number % 32) & 1;
}

/* All lanes of a row that starts there: 8, 16 or a multiple of 32. */
static bool has_row(const struct sg_lanes *lanes, uint32_t first, uint32_t row)
{
	uint32_t whole = row < 32 ? (1u << row) - 1 : UINT32_MAX;

	for (uint32_t i = 0; i < row; i += 32)
		if ((lanes->words[(first + i) / 32] >> (first % 32) & whole) != whole)
			return false;
	return true;
}

static void move_lane(
    struct sg_lane *lane, const struct sg_move *move, uint64_t address, uint8_t *data)
{
	bool is_write = move->flags & SG_MOVE_WRITE, is_shared = move->flags & SG_MOVE_SHARED;
	uint8_t *memory;

	if (move->flags & SG_MOVE_NARROW)
		address = (uint32_t)address;
	if (!is_inside(lane, address, move->size, is_shared))
		sg_fault_access(lane, address, move->size, is_write, is_shared);
	memory = is_shared ? lane->shared + address : (uint8_t *)address;
	if (is_write)
		memcpy(memory, data, move->size);
	else
		memcpy(data, memory, move->size);
}

/* A row of neighbours in one go; false: it must be done lane by lane. */
static bool move_row(
    const struct sg_lane *lane, const struct sg_move *move, uint64_t address, uint8_t *data)
{
	bool is_shared = move->flags & SG_MOVE_SHARED;
	uint64_t last = address + (move->row - 1) * (uint64_t)move->size;
	uint8_t *memory = is_shared ? lane->shared + address : (uint8_t *)address;

	if (move->stride != move->size || !is_inside(lane, address, move->size, is_shared) ||
	    !is_inside(lane, last, move->size, is_shared))
		return false;
	if (move->flags & SG_MOVE_WRITE)
		memcpy(memory, data, move->row * (size_t)move->size);
	else
		memcpy(data, memory, move->row * (size_t)move->size);
	return true;
}

void sg_warp_move(struct sg_lane *lane, const struct sg_move *move, uint8_t *data)
{
	for (uint32_t first = 0; first < SG_MOST_LANES; first += move->row) {
		uint64_t base = move->bases[first / move->row];

		if (!move->wrap && has_row(&move->lanes, first, move->row) &&
		    move_row(lane, move, base, data + (size_t)first * move->size))
			continue;
		for (uint32_t i = 0; i < move->row; i++) {
			uint32_t number = first + i;

			if (!has_lane(&move->lanes, number))
				continue;
			lane->current = number;
			move_lane(lane, move,
			    base + i * move->stride -
				(has_lane(&move->wrapped, number) ? move->wrap : 0),
			    data + (size_t)number * move->size);
		}
	}
}

static inline __attribute__((always_inline)) void copy_each(
    const struct sg_lanes *lanes, const uint64_t *places, uint32_t n, size_t size)
{
	for (uint32_t first = 0; first < n; first += 32)
		for (uint32_t left = lanes->words[first / 32]; left; left &= left - 1) {
			uint32_t i = first + (uint32_t)__builtin_ctz(left);

			memcpy((void *)places[i], (const void *)places[n + i], size);
		}
}

/* Masks that hold everywhere are the rule. */
static bool reads_all(
    const struct sg_lanes *lanes, const uint64_t *places, uint32_t n, uint32_t size)
{
	const uint32_t *lengths = (const uint32_t *)(places + 2 * (size_t)n);
	uint32_t less = 0;

	for (uint32_t i = 0; i < n; i++)
		less |= lengths[i] < size;
	return !less && has_row(lanes, 0, n);
}

static void copy_parts(
    const struct sg_lanes *lanes, const uint64_t *places, uint32_t n, uint32_t size)
{
	const uint32_t *lengths = (const uint32_t *)(places + 2 * (size_t)n);

	for (uint32_t i = 0; i < n; i++)
		if (has_lane(lanes, i))
			sg_copy_async(
			    (void *)places[i], (const void *)places[n + i], size, lengths[i]);
}

void sg_warp_copy_async(
    const struct sg_lanes *lanes, const uint64_t *places, uint32_t n, uint32_t size, uint32_t flags)
{
	if (flags & SG_COPIES_PARTLY && !reads_all(lanes, places, n, size))
		copy_parts(lanes, places, n, size);
	else if (flags & SG_COPIES_DENSE && has_row(lanes, 0, n))
		memcpy((void *)places[0], (const void *)places[n], (size_t)n * size);
	else if (size == 16)
		copy_each(lanes, places, n, 16);
	else if (size == 8)
		copy_each(lanes, places, n, 8);
	else
		copy_each(lanes, places, n, 4);
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
void sg_warp_leave(struct sg_lane *lane, uint32_t n)
{
	lane->fiber->left -= n;
	barrier_threads_exit(lane->block, n);
	cluster_threads_exit(lane->fiber, n);
}
