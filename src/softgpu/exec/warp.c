/*
 * What the lanes of a warp do together. A lane leaves what it brings in its fiber and waits; the
 * last one of the members computes the results of all and wakes them.
 *
 * Members are the lanes of the instruction's mask that have not exited; all must come with the
 * same mask and the same kind of exchange, as PTX demands. Asking for the active mask is the
 * exception: its members are whoever is at the same place when no other lane of the warp can run,
 * so that the answer is the same as that of a GPU that reconverges as soon as it can.
 */
#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"
#include "softgpu/exec/matrix.h"

static int32_t source_lane(const struct sg_arrival *arrival, int32_t lane, bool *valid)
{
	int32_t b = (int32_t)(arrival->b & 31), clamp = (int32_t)(arrival->c & 31);
	int32_t segment = (int32_t)(arrival->c >> 8 & 31);
	int32_t low = lane & segment, high = low | (clamp & ~segment), from;

	switch (arrival->kind) {
	case SG_EXCHANGE_SHFL_UP:
		from = lane - b;
		*valid = from >= high;
		break;
	case SG_EXCHANGE_SHFL_DOWN:
		from = lane + b;
		*valid = from <= high;
		break;
	case SG_EXCHANGE_SHFL_BFLY:
		from = lane ^ b;
		*valid = from <= high;
		break;
	default:
		from = low | (b & ~segment);
		*valid = from <= high;
	}
	return *valid ? from : lane;
}

/* Reading a lane that does not take part is undefined; here it reads its own value. */
static void shuffle(struct sg_warp *warp, uint32_t members)
{
	for (uint32_t left = members; left; left &= left - 1) {
		int32_t lane = __builtin_ctz(left);
		struct sg_fiber *fiber = warp->fibers[lane];
		bool valid;
		int32_t from = source_lane(&fiber->arrival, lane, &valid);

		if (from < 0 || from > 31 || !(members >> from & 1))
			from = lane;
		fiber->result = (uint32_t)warp->fibers[from]->arrival.value | (uint64_t)valid << 32;
	}
}

static void match(struct sg_warp *warp, uint32_t members, bool all)
{
	for (uint32_t left = members; left; left &= left - 1) {
		struct sg_fiber *fiber = warp->fibers[__builtin_ctz(left)];
		uint32_t same = 0;

		for (uint32_t others = members; others; others &= others - 1)
			if (warp->fibers[__builtin_ctz(others)]->arrival.value ==
			    fiber->arrival.value)
				same |= others & -others;
		fiber->result = same;
		if (all)
			fiber->result = same == members ? same | UINT64_C(1) << 32 : 0;
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

/* The result all members share. */
static uint64_t common_result(struct sg_warp *warp, uint32_t members, enum sg_exchange kind)
{
	uint32_t first = (uint32_t)__builtin_ctz(members), ballot = 0;
	uint32_t reduced = (uint32_t)warp->fibers[first]->arrival.value;

	for (uint32_t left = members; left; left &= left - 1) {
		uint32_t value = (uint32_t)warp->fibers[__builtin_ctz(left)]->arrival.value;

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
	matrix_compute(matrix, lanes);
}

/* Results to all members; those that wait are woken, all but self. */
static void complete(struct sg_warp *warp, uint32_t members, const struct sg_fiber *self)
{
	enum sg_exchange kind = warp->fibers[__builtin_ctz(members)]->arrival.kind;
	bool shared = false;
	uint64_t result = 0;

	if (kind >= SG_EXCHANGE_SHFL_UP && kind <= SG_EXCHANGE_SHFL_IDX) {
		shuffle(warp, members);
	} else if (kind == SG_EXCHANGE_MATCH_ANY || kind == SG_EXCHANGE_MATCH_ALL) {
		match(warp, members, kind == SG_EXCHANGE_MATCH_ALL);
	} else if (kind == SG_EXCHANGE_MATRIX) {
		multiply(warp, members);
	} else {
		result = common_result(warp, members, kind);
		shared = true;
	}
	warp->waiting &= ~members;
	for (uint32_t left = members; left; left &= left - 1) {
		int32_t lane = __builtin_ctz(left);
		struct sg_fiber *fiber = warp->fibers[lane];

		if (shared)
			fiber->result = result;
		if (kind == SG_EXCHANGE_ELECT)
			fiber->result |= (uint64_t)((uint32_t)lane == result) << 32;
		if (fiber != self)
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
	if (members)
		complete(warp, members, fiber);
	else
		machine_wait(fiber);
	return fiber->result;
}

void sg_matrix(struct sg_lane *lane, uint32_t bits, uint32_t *words)
{
	sg_exchange(lane, SG_EXCHANGE_MATRIX, UINT32_MAX, (uintptr_t)words, bits, 0);
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
