/* The range map: what an address belongs to, what replaces what, and many ranges in any order. */
#include "base/test.h"
#include "shim/range.h"

static void add(uint64_t start, uint64_t size, CUcontext context, uint64_t owner)
{
	struct range range = {.start = start, .size = size, .context = context, .owner = owner};

	CHECK(range_add(&range));
}

TEST(interior_addresses_belong_to_their_range)
{
	struct range r;

	add(0x1000, 0x100, NULL, 0);
	add(0x2000, 0x100, NULL, 0);
	CHECK(range_find(0x1000, &r) && r.start == 0x1000);
	CHECK(range_find(0x10ff, &r) && r.start == 0x1000);
	CHECK(!range_find(0x1100, &r));
	CHECK(!range_find(0xfff, &r));
	CHECK(range_find(0x2001, &r) && r.size == 0x100);
}

TEST(only_a_start_removes)
{
	struct range r;

	add(0x1000, 0x100, NULL, 0);
	CHECK(!range_remove(0x1001, NULL));
	CHECK(range_remove(0x1000, &r));
	CHECK_EQ(r.size, 0x100);
	CHECK(!range_remove(0x1000, NULL));
	CHECK(!range_find(0x1000, &r));
}

TEST(what_is_of_another_kind_stays)
{
	const struct range range = {.start = 0x1000, .size = 0x100, .kind = RANGE_POOL};
	struct range r;

	CHECK(range_add(&range));
	CHECK(!range_remove_kind(0x1000, RANGE_DEVICE, &r));
	CHECK(!range_remove_kind(0x1001, RANGE_POOL, &r));
	CHECK(range_find(0x1000, &r));
	CHECK(range_remove_kind(0x1000, RANGE_POOL, &r));
	CHECK_EQ(r.size, 0x100);
	CHECK(!range_find(0x1000, &r));
}

TEST(a_new_range_takes_the_place_of_what_it_overlaps)
{
	struct range r;
	uint64_t first;

	add(0x1000, 0x100, NULL, 0);
	CHECK(range_find(0x1000, &r));
	first = r.buffer_id;
	add(0x2000, 0x100, NULL, 0);
	add(0x10ff, 0xf02, NULL, 0);
	CHECK(!range_find(0x1000, &r));
	CHECK(range_find(0x2000, &r) && r.start == 0x10ff);
	CHECK(r.buffer_id != first);
}

TEST(a_context_and_an_owner_take_their_ranges_along)
{
	struct range r;
	CUcontext one = (CUcontext)1, two = (CUcontext)2;

	for (uint64_t i = 0; i < 1000; i++)
		add(0x1000 * (i + 1), 0x800, i % 2 ? one : two, i % 3);
	range_drop_context(one);
	range_drop_owner(2);
	for (uint64_t i = 0; i < 1000; i++)
		CHECK_EQ(range_find(0x1000 * (i + 1), &r), i % 2 == 0 && i % 3 != 2);
}

TEST(many_ranges_in_any_order)
{
	static bool there[1 << 12];
	struct range r;
	uint64_t x = 1;

	for (unsigned i = 0; i < 50000; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		uint64_t slot = x >> 52, start = (slot + 1) << 8;
		CHECK_EQ(range_find(start + 0xff, &r), there[slot]);
		if (there[slot])
			CHECK(range_remove(start, NULL));
		else
			add(start, 0x100, NULL, 0);
		there[slot] = !there[slot];
	}
	for (uint64_t slot = 0; slot < 1 << 12; slot++)
		CHECK_EQ(range_find((slot + 1) << 8, &r), there[slot]);
}

/* An answer of a worker's may say anything; what it says must not end in an endless search. */
TEST(ranges_end_within_the_address_space)
{
	uint64_t owner = 5;
	struct range last = {.start = UINT64_MAX, .size = 1, .owner = owner},
		     long_one = {.start = 4096, .size = UINT64_MAX - 4095, .owner = owner},
		     longest = {.start = 4096, .size = UINT64_MAX - 4096, .owner = owner}, found;

	CHECK(!range_add(&last));
	CHECK(!range_add(&long_one));
	CHECK(range_add(&longest));
	CHECK(range_find(UINT64_MAX - 1, &found));
	range_drop_owner(owner);
	CHECK(!range_find(UINT64_MAX - 1, &found));
}
