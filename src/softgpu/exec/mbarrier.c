/*
 * Barriers that live in shared memory (PTX ISA 9.7.13, mbarrier). Their 64 bits are ours to lay
 * out. A cluster's threads share one host thread, so plain reads and writes will do; whoever tests
 * in vain lets the others run.
 */
#include <string.h>

#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"

struct state {
	uint64_t pending : 20;	/* arrivals this phase still waits for */
	uint64_t expected : 20; /* of a whole phase */
	int64_t bytes : 23;	/* announced and not yet copied */
	uint64_t phase : 1;
};
_Static_assert(sizeof(struct state) == sizeof(uint64_t), "an mbarrier is a .b64");

static struct state unpack(uint64_t bits)
{
	struct state state;

	memcpy(&state, &bits, sizeof(state));
	return state;
}

static void store(uint64_t *at, struct state state)
{
	if (!state.pending && !state.bytes) {
		state.phase ^= 1;
		state.pending = state.expected;
	}
	memcpy(at, &state, sizeof(state));
}

static uint64_t arrive(uint64_t *at, uint64_t count, bool drop)
{
	uint64_t before = *at;
	struct state state = unpack(before);

	state.pending -= MIN(count, (uint64_t)state.pending);
	if (drop)
		state.expected -= MIN(count, (uint64_t)state.expected);
	store(at, state);
	return before;
}

static void add_bytes(uint64_t *at, int64_t bytes)
{
	struct state state = unpack(*at);

	state.bytes += bytes;
	if (bytes > 0)
		memcpy(at, &state, sizeof(state)); /* announcing ends no phase */
	else
		store(at, state);
}

static bool test(struct sg_lane *lane, const uint64_t *at, unsigned phase)
{
	if (unpack(*at).phase != phase)
		return true;
	sg_give_way(lane);
	return unpack(*at).phase != phase;
}

uint64_t sg_mbarrier(struct sg_lane *lane, uint32_t operation, uint64_t *at, uint64_t value)
{
	struct state fresh = {.pending = value, .expected = value};

	switch (operation) {
	case SG_MBARRIER_INIT:
		memcpy(at, &fresh, sizeof(fresh));
		return 0;
	case SG_MBARRIER_EXPECT:
		add_bytes(at, (int64_t)value);
		return 0;
	case SG_MBARRIER_COMPLETE:
		add_bytes(at, -(int64_t)value);
		return 0;
	case SG_MBARRIER_ARRIVE:
		return arrive(at, value, false);
	case SG_MBARRIER_DROP:
		return arrive(at, value, true);
	case SG_MBARRIER_TEST:
		return test(lane, at, unpack(value).phase);
	default:
		return test(lane, at, value & 1);
	}
}

uint64_t sg_warp_mbarrier_arrive(struct sg_lane *lane, uint32_t n, uint32_t operation, uint64_t *at,
    uint64_t count, uint64_t bytes)
{
	uint64_t before = *at;

	for (uint32_t i = 0; i < n; i++) {
		if (bytes)
			add_bytes(at, (int64_t)bytes);
		arrive(at, count, operation == SG_MBARRIER_DROP);
	}
	return before;
}

void mbarrier_complete(struct sg_lane *lane, uint64_t address, uint64_t bytes)
{
	uint64_t *at = (uint64_t *)sg_cluster_pointer(lane, address, sizeof(*at), true);

	add_bytes(at, -(int64_t)bytes);
}

uint32_t sg_mbarrier_pending(uint64_t state)
{
	return (uint32_t)unpack(state).pending;
}
