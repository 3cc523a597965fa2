/* SOFTGPU_CHECK=1: what new memory holds, and where freed memory goes. */
#include <stdlib.h>

#include "base/test.h"
#include "softgpu/mem/arena.h"
#include "softgpu/mem/check.h"
#include "softgpu/mem/test-readable.h"

#define MIB (1u << 20)

static uint64_t alloc(size_t size, enum sg_range_kind kind)
{
	struct sg_range range = {.size = size, .kind = kind, .context_id = 1};

	CHECK_EQ(sg_arena_alloc(&range, 256), 0);
	return range.address;
}

static void begin(const char *setting)
{
	CHECK_EQ(setenv("SOFTGPU_CHECK", setting, 1), 0);
	CHECK_EQ(sg_arena_init(64 * MIB), 0);
}

TEST(new_device_memory_is_poisoned)
{
	begin("1");
	CHECK(sg_checks());
	const uint32_t *words = (uint32_t *)alloc(10000, SG_RANGE_DEVICE);
	for (int i = 0; i < 2500; i++)
		CHECK_EQ(words[i], SG_POISON);
	CHECK_EQ(*(uint32_t *)alloc(4, SG_RANGE_POOL), SG_POISON);
	CHECK_EQ(*(uint32_t *)alloc(4, SG_RANGE_MANAGED), SG_POISON);
	/* Its module fills it in. */
	CHECK_EQ(*(uint32_t *)alloc(4, SG_RANGE_MODULE), 0);
}

TEST(an_odd_size_is_poisoned_to_its_end)
{
	uint8_t bytes[8] = {0};

	sg_poison(bytes + 1, 6);
	CHECK_EQ(bytes[0], 0);
	CHECK_EQ(bytes[1], SG_POISON & 0xff);
	CHECK_EQ(bytes[6], SG_POISON >> 8 & 0xff);
	CHECK_EQ(bytes[7], 0);
}

TEST(freed_memory_stays_away)
{
	begin("1");
	uint64_t first = alloc(MIB, SG_RANGE_DEVICE);
	CHECK_EQ(sg_arena_free(first), 0);
	for (int i = 0; i < 1000; i++) {
		uint64_t other = alloc(MIB, SG_RANGE_DEVICE);
		CHECK(other != first);
		CHECK(!is_readable(first));
		CHECK_EQ(sg_arena_free(other), 0);
	}
}

/* More spans than the quarantine takes: the oldest are used again, and none is lost. */
TEST(the_quarantine_has_an_end)
{
	begin("1");
	uint64_t first = alloc(1, SG_RANGE_MODULE), lowest = first, highest = first;

	CHECK_EQ(sg_arena_free(first), 0);
	for (int i = 0; i < 40000; i++) {
		uint64_t address = alloc(1, SG_RANGE_MODULE);
		lowest = MIN(lowest, address);
		highest = MAX(highest, address);
		CHECK_EQ(sg_arena_free(address), 0);
	}
	CHECK_EQ(lowest, first);
	CHECK(highest - lowest < (uint64_t)32768 * 2 * SG_ARENA_PAGE);
}

TEST(without_the_setting_memory_is_zero_and_comes_back)
{
	begin("0");
	CHECK(!sg_checks());
	uint64_t address = alloc(MIB, SG_RANGE_DEVICE);
	CHECK_EQ(*(uint32_t *)address, 0);
	CHECK_EQ(sg_arena_free(address), 0);
	CHECK_EQ(alloc(MIB, SG_RANGE_DEVICE), address);
}
