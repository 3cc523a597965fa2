/*
 * What the lanes of a warp do together. A lane leaves what it brings in its fiber and waits; the
 * last one of the members computes the results of all and wakes them.
 *
 * Members are the lanes of the instruction's mask that have not exited; all must come with the
 * same mask and the same kind of exchange, as PTX demands. Asking for the active mask is the
 * exception: its members are whoever is at the same place when no other lane of the warp can run,
 * so that the answer is the same as that of a GPU that reconverges as soon as it can.
 */
#include <math.h>
#include <string.h>

#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"
#include "softgpu/exec/matrix.h"
#include "softgpu/exec/wgmma.h"

/* Reading a lane that does not take part is undefined; here it reads its own value. */
static void shuffle(const struct sg_meeting *meeting, uint32_t members)
{
	for (uint32_t left = members; left; left &= left - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(left);
		const struct sg_arrival *arrival = meeting->arrivals[lane];
		bool valid;
		uint32_t from =
		    sg_shuffle_source(arrival->kind, lane, arrival->b, arrival->c, &valid);

		if (!(members >> from & 1))
			from = lane;
		*meeting->results[lane] = (uint32_t)meeting->arrivals[from]->value | (uint64_t)valid
											 << 32;
	}
}

static void match(const struct sg_meeting *meeting, uint32_t members, bool all)
{
	for (uint32_t left = members; left; left &= left - 1) {
		int lane = __builtin_ctz(left);
		uint64_t result = 0;

		for (uint32_t others = members; others; others &= others - 1)
			if (meeting->arrivals[__builtin_ctz(others)]->value ==
			    meeting->arrivals[lane]->value)
				result |= others & -others;
		if (all)
			result = result == members ? result | UINT64_C(1) << 32 : 0;
		*meeting->results[lane] = result;
	}
}

static uint32_t reduce_two(enum sg_exchange kind, uint32_t a, uint32_t b)
{
	switch (kind) {
	case SG_EXCHANGE_REDUX_ADD:
		return a + b;
	case SG_EXCHANGE_REDUX_MIN_S:
		return (int32_t)a < (int32_t)b ? a : b;
	case SG_EXCHANGE_REDUX_MAX_S:
		return (int32_t)a > (int32_t)b ? a : b;
	case SG_EXCHANGE_REDUX_MIN_U:
		return a < b ? a : b;
	case SG_EXCHANGE_REDUX_MAX_U:
		return a > b ? a : b;
	case SG_EXCHANGE_REDUX_AND:
		return a & b;
	case SG_EXCHANGE_REDUX_OR:
		return a | b;
	default:
		return a ^ b;
	}
}

/* redux of f32: NaNs count only where the flags say so, or where there is nothing else. */
static uint32_t reduce_floats(const struct sg_meeting *meeting, uint32_t members)
{
	uint32_t flags = meeting->arrivals[__builtin_ctz(members)]->b, bits;
	float best = NAN;

	for (uint32_t left = members; left; left &= left - 1) {
		uint32_t word = (uint32_t)meeting->arrivals[__builtin_ctz(left)]->value;
		float value;

		memcpy(&value, &word, sizeof(value));
		if (flags & SG_REDUX_ABS)
			value = fabsf(value);
		if (isnan(value) && flags & SG_REDUX_NAN)
			return SG_NAN_F32;
		if (isnan(best) || (flags & SG_REDUX_MAX ? value > best : value < best) ||
		    (value == best && !signbit(value) == !!(flags & SG_REDUX_MAX)))
			best = value;
	}
	memcpy(&bits, &best, sizeof(bits));
	return isnan(best) ? SG_NAN_F32 : bits;
}

/* The result all members share. */
static uint64_t common_result(
    const struct sg_meeting *meeting, uint32_t members, enum sg_exchange kind)
{
	uint32_t first = (uint32_t)__builtin_ctz(members), ballot = 0;
	uint32_t reduced = (uint32_t)meeting->arrivals[first]->value;

	for (uint32_t left = members; left; left &= left - 1) {
		uint32_t value = (uint32_t)meeting->arrivals[__builtin_ctz(left)]->value;

		ballot |= value & 1 ? left & -left : 0;
		if (left != members)
			reduced = reduce_two(kind, reduced, value);
	}
	switch (kind) {
	case SG_EXCHANGE_SYNC:
		return 0;
	case SG_EXCHANGE_VOTE_ALL:
		return ballot == members;
	case SG_EXCHANGE_VOTE_ANY:
		return ballot != 0;
	case SG_EXCHANGE_VOTE_UNI:
		return ballot == members || !ballot;
	case SG_EXCHANGE_BALLOT:
		return ballot;
	case SG_EXCHANGE_ELECT:
		return first;
	case SG_EXCHANGE_ACTIVE:
		return members;
	case SG_EXCHANGE_REDUX_FLOAT:
		return reduce_floats(meeting, members);
	default:
		return reduced;
	}
}

static void multiply(struct sg_warp *warp, uint32_t members)
{
	uint32_t *lanes[SG_WARP_SIZE] = {NULL};
	union sg_matrix matrix = {.bits = warp->fibers[__builtin_ctz(members)]->arrival.b};

	for (uint32_t left = members; left; left &= left - 1) {
		int32_t lane = __builtin_ctz(left);

		lanes[lane] = (uint32_t *)(uintptr_t)warp->fibers[lane]->arrival.value;
	}
	matrix_compute_lanes(matrix, lanes);
}

/* On the fiber of the lane that came last: a place outside memory ends the grid there. */
static void multiply_for_warpgroup(
    struct sg_warp *warp, uint32_t members, const struct sg_fiber *self)
{
	struct sg_wgmma_lane *lanes[SG_WARP_SIZE] = {NULL};
	struct sg_fiber *first = warp->fibers[__builtin_ctz(members)];
	union sg_wgmma form = {.bits = first->arrival.b};

	if (!self) /* lanes exited where the others meet: there is no result */
		return;
	for (uint32_t left = members; left; left &= left - 1) {
		int32_t lane = __builtin_ctz(left);

		lanes[lane] = (struct sg_wgmma_lane *)(uintptr_t)warp->fibers[lane]->arrival.value;
	}
	wgmma_compute_lanes(&first->lane, form, lanes);
}

void meeting_compute(const struct sg_meeting *meeting, uint32_t members)
{
	enum sg_exchange kind = meeting->arrivals[__builtin_ctz(members)]->kind;
	uint64_t result;

	if (kind >= SG_EXCHANGE_SHFL_UP && kind <= SG_EXCHANGE_SHFL_IDX) {
		shuffle(meeting, members);
		return;
	}
	if (kind == SG_EXCHANGE_MATCH_ANY || kind == SG_EXCHANGE_MATCH_ALL) {
		match(meeting, members, kind == SG_EXCHANGE_MATCH_ALL);
		return;
	}
	result = common_result(meeting, members, kind);
	for (uint32_t left = members; left; left &= left - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(left);
		bool leads = kind == SG_EXCHANGE_ELECT && lane == result;

		*meeting->results[lane] = result | (uint64_t)leads << 32;
	}
}

/* Results to all members; those that wait are woken, all but self. */
/*
 * Lanes go on in order, self among them: a GPU's go on together, and code that does not say that it
 * counts on it has the last lane write, more often than not, what the others have just read.
 */
static void complete(struct sg_warp *warp, uint32_t members, struct sg_fiber *self)
{
	const struct sg_fiber *first = warp->fibers[__builtin_ctz(members)];
	struct sg_meeting meeting = {0};

	for (uint32_t left = members; left; left &= left - 1) {
		struct sg_fiber *fiber = warp->fibers[__builtin_ctz(left)];

		meeting.arrivals[__builtin_ctz(left)] = &fiber->arrival;
		meeting.results[__builtin_ctz(left)] = &fiber->result;
	}
	if (first->arrival.kind == SG_EXCHANGE_MATRIX)
		multiply(warp, members);
	else if (first->arrival.kind == SG_EXCHANGE_WGMMA)
		multiply_for_warpgroup(warp, members, self);
	else
		meeting_compute(&meeting, members);
	if (first->lane.block->machine->check && first->arrival.kind == SG_EXCHANGE_SYNC)
		check_warp_order(first->lane.block, first->lane.warp_id);
	warp->waiting &= ~members;
	for (uint32_t left = members; left; left &= left - 1) {
		struct sg_fiber *fiber = warp->fibers[__builtin_ctz(left)];

		if (fiber == self)
			machine_line_up(self);
		else
			machine_wake(fiber);
	}
}

/* The members of a lane's exchange when all have come, else 0. */
static uint32_t complete_members(const struct sg_warp *warp, const struct sg_fiber *fiber)
{
	const struct sg_arrival *mine = &fiber->arrival;
	uint32_t members = mine->mask & warp->alive;

	if (mine->kind == SG_EXCHANGE_ACTIVE || (warp->waiting & members) != members)
		return 0;
	for (uint32_t left = members; left; left &= left - 1) {
		const struct sg_arrival *other = &warp->fibers[__builtin_ctz(left)]->arrival;

		if (other->kind != mine->kind || other->mask != mine->mask)
			return 0;
	}
	return members;
}

uint64_t sg_exchange(
    struct sg_lane *lane, uint32_t kind, uint32_t mask, uint64_t value, uint32_t b, uint32_t c)
{
	struct sg_fiber *fiber = lane->fiber;
	struct sg_warp *warp = &lane->block->warps[lane->warp_id];
	uint32_t self = 1u << lane->lane_id, members;

	fiber->arrival = (struct sg_arrival){(enum sg_exchange)kind, mask | self, value, b, c};
	warp->waiting |= self;
	members = complete_members(warp, fiber);
	if (members) {
		complete(warp, members, fiber);
		machine_take_turn(fiber);
	} else {
		machine_wait(fiber);
	}
	return fiber->result;
}

void sg_matrix(struct sg_lane *lane, uint32_t bits, uint32_t *words)
{
	sg_exchange(lane, SG_EXCHANGE_MATRIX, UINT32_MAX, (uintptr_t)words, bits, 0);
}

void sg_wgmma(struct sg_lane *lane, uint32_t bits, struct sg_wgmma_lane *mine)
{
	sg_exchange(lane, SG_EXCHANGE_WGMMA, UINT32_MAX, (uintptr_t)mine, bits, 0);
}

/* The others may have waited for this lane only. */
void warp_lane_exits(struct sg_block *block, struct sg_lane *lane)
{
	struct sg_warp *warp = &block->warps[lane->warp_id];

	warp->alive &= ~(1u << lane->lane_id);
	warp->runnable--;
	for (uint32_t left = warp->waiting; left;) {
		uint32_t members = complete_members(warp, warp->fibers[__builtin_ctz(left)]);

		if (members)
			complete(warp, members, NULL);
		left &= members ? ~members : left - 1;
	}
}

/* Of several places, the first in the code: what comes later is where the others will join. */
static uint32_t members_of_first_site(const struct sg_warp *warp)
{
	uint64_t site = UINT64_MAX;
	uint32_t members = 0;

	for (uint32_t left = warp->waiting; left; left &= left - 1) {
		const struct sg_arrival *arrival = &warp->fibers[__builtin_ctz(left)]->arrival;
		uint64_t place = (uint64_t)arrival->c << 32 | arrival->b;

		if (arrival->kind != SG_EXCHANGE_ACTIVE || place > site)
			continue;
		members = (place == site ? members : 0) | (left & -left);
		site = place;
	}
	return members;
}

bool warp_settle(struct sg_warp *warp, bool force)
{
	uint32_t members;

	if (warp->runnable && !force)
		return false;
	members = members_of_first_site(warp);
	if (members)
		complete(warp, members, NULL);
	return members != 0;
}
