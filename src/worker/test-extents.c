/* Ranges of addresses: the rules one by one, then a random walk against a plain array. */
#include "worker/extents.h"

#include <errno.h>

#include "base/test.h"

#define BASE 0x200000000000ull
#define KIB  1024ull

TEST(extents_first_fit_is_the_lowest)
{
	struct extents extents;
	struct extent freed;
	uint64_t a, b, c, d;

	extents_init(&extents, 512, 0, 100);
	CHECK_EQ(extents_take(&extents, 1, 0, &a), EXTENTS_NONE);
	CHECK_EQ(extents_add(&extents, BASE, 4 * KIB), 0);
	CHECK_EQ(extents_take(&extents, 1, 0, &a), 0);
	CHECK_EQ(extents_take(&extents, 513, 0, &b), 0);
	CHECK_EQ(extents_take(&extents, 512, 0, &c), 0);
	CHECK_EQ(a, BASE);
	CHECK_EQ(b, BASE + 512);
	CHECK_EQ(c, BASE + 512 + 1024);
	CHECK_EQ(extents_give(&extents, b, &freed), 0);
	CHECK_EQ(freed.size, 1024);
	CHECK_EQ(extents_take(&extents, 1025, 0, &d), 0);
	CHECK_EQ(d, c + 512);
	CHECK_EQ(extents_take(&extents, 1000, 0, &d), 0);
	CHECK_EQ(d, b);
	CHECK_EQ(extents_take(&extents, 1000, 0, &d), EXTENTS_NONE);
	CHECK_EQ(extents_take(&extents, 0, 0, &d), EXTENTS_NONE);
	CHECK_EQ(extents_take(&extents, UINT64_MAX, 0, &d), EXTENTS_NONE);
	extents_fini(&extents);
}

TEST(extents_only_starts_of_used_ranges_are_given_back)
{
	struct extents extents;
	struct extent freed;
	uint64_t a;

	extents_init(&extents, 512, 0, 100);
	CHECK_EQ(extents_give(&extents, BASE, &freed), EXTENTS_NONE);
	CHECK_EQ(extents_add(&extents, BASE, 4 * KIB), 0);
	CHECK_EQ(extents_take(&extents, 1024, 0, &a), 0);
	CHECK_EQ(extents_give(&extents, a + 512, &freed), EXTENTS_NONE);
	CHECK_EQ(extents_give(&extents, a - 1, &freed), EXTENTS_NONE);
	CHECK_EQ(extents_give(&extents, a + 1024, &freed), EXTENTS_NONE);
	CHECK_EQ(extents_remove(&extents, a), EXTENTS_NONE);
	CHECK_EQ(extents_remove(&extents, a + 1), EXTENTS_NONE);
	CHECK_EQ(extents_give(&extents, a, &freed), 0);
	CHECK_EQ(freed.start, BASE);
	CHECK_EQ(freed.size, 4 * KIB);
	CHECK_EQ(extents_give(&extents, a, &freed), EXTENTS_NONE);
	CHECK_EQ(extents_remove(&extents, BASE), 0);
	CHECK_EQ(extents.count, 0);
	extents_fini(&extents);
}

TEST(extents_find_counts_what_was_asked_for)
{
	struct extents extents;
	uint64_t a;

	extents_init(&extents, 512, 0, 100);
	CHECK(!extents_find(&extents, 0));
	CHECK_EQ(extents_add(&extents, 0, 4 * KIB), 0);
	CHECK_EQ(extents_take(&extents, 100, 7, &a), 0);
	CHECK_EQ(a, 0);
	CHECK_EQ(extents_find(&extents, 99)->owner, 7);
	CHECK(!extents_find(&extents, 100));
	CHECK(!extents_find(&extents, 600));
	CHECK(!extents_find(&extents, UINT64_MAX));
	extents_fini(&extents);
}

TEST(extents_do_not_grow_across_a_boundary)
{
	struct extents extents;
	struct extent freed;
	uint64_t a, b;

	extents_init(&extents, 512, 2 * KIB, 100);
	CHECK_EQ(extents_add(&extents, BASE, 2 * KIB), 0);
	CHECK_EQ(extents_add(&extents, BASE + 2 * KIB, 2 * KIB), 0);
	CHECK_EQ(extents_take(&extents, 2 * KIB, 0, &a), 0);
	CHECK_EQ(extents_take(&extents, 2 * KIB, 0, &b), 0);
	CHECK_EQ(extents_give(&extents, a, &freed), 0);
	CHECK_EQ(extents_give(&extents, b, &freed), 0);
	CHECK_EQ(freed.start, b);
	CHECK_EQ(freed.size, 2 * KIB);
	CHECK_EQ(extents_take(&extents, 2 * KIB + 1, 0, &a), EXTENTS_NONE);
	extents_fini(&extents);
}

TEST(extents_stop_at_their_limit)
{
	struct extents extents;
	struct extent freed;
	uint64_t a, b;

	extents_init(&extents, 512, 0, 2);
	CHECK_EQ(extents_add(&extents, BASE, 1536), 0);
	CHECK_EQ(extents_take(&extents, 512, 0, &a), 0);
	CHECK_EQ(extents_take(&extents, 512, 0, &b), -ENOMEM);
	CHECK_EQ(extents_add(&extents, 0, 512), -ENOMEM);
	CHECK_EQ(extents_take(&extents, 1024, 0, &b), 0); /* needs no further range */
	CHECK_EQ(extents_give(&extents, a, &freed), 0);
	CHECK_EQ(extents_give(&extents, b, &freed), 0);
	CHECK_EQ(extents.count, 1);
	extents_fini(&extents);
}

TEST(extents_of_one_owner)
{
	struct extents extents;
	uint64_t start[9], at = 0;
	unsigned n = 0;

	extents_init(&extents, 512, 0, 100);
	CHECK_EQ(extents_add(&extents, BASE, 16 * KIB), 0);
	for (unsigned i = 0; i < 9; i++)
		CHECK_EQ(extents_take(&extents, 512, i % 3, &start[i]), 0);
	for (const struct extent *e; (e = extents_next_of(&extents, 2, at)); at = e->start + 1)
		CHECK_EQ(e->start, start[2 + 3 * n++]);
	CHECK_EQ(n, 3);
	n = 0;
	at = 0;
	for (const struct extent *e; (e = extents_next(&extents, at)); at = e->start + 1)
		CHECK_EQ(e->start, start[n++]);
	CHECK_EQ(n, 9);
	CHECK(!extents_next_of(&extents, 5, 0));
	extents_fini(&extents);
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* The model: one byte per granule, the number of the range using it or 0. */
enum { GRANULES = 2048, RANGES = 200 };
static uint8_t model[GRANULES];

static int model_take(unsigned n, uint8_t mark)
{
	for (unsigned at = 0, run = 0; at < GRANULES; at++) {
		run = model[at] ? 0 : run + 1;
		if (run == n) {
			memset(model + at + 1 - n, mark, n);
			return (int)(at + 1 - n);
		}
	}
	return -1;
}

TEST(extents_random_walk_against_a_model)
{
	struct extents extents;
	static struct {
		uint64_t start, size;
	} used[RANGES];
	uint64_t seed = 42;

	extents_init(&extents, 512, 0, 1000000);
	CHECK_EQ(extents_add(&extents, BASE, GRANULES * 512ull), 0);
	for (unsigned step = 0; step < 30000; step++) {
		unsigned i = next_random(&seed) % RANGES;
		struct extent freed;
		uint64_t probe = next_random(&seed) % (GRANULES * 512ull);
		const struct extent *hit = extents_find(&extents, BASE + probe);
		unsigned mark = model[probe / 512];
		CHECK(!hit || mark);
		if (mark)
			CHECK_EQ(
			    hit != NULL, BASE + probe - used[mark - 1].start < used[mark - 1].size);
		if (used[i].size) {
			CHECK_EQ(extents_give(&extents, used[i].start, &freed), 0);
			for (unsigned at = 0; at < GRANULES; at++)
				model[at] = model[at] == i + 1 ? 0 : model[at];
			CHECK(!model[(freed.start - BASE) / 512]);
			used[i].size = 0;
			continue;
		}
		uint64_t size = next_random(&seed) % (step & 1 ? 2000 : 40000) + 1, start = 0;
		int r = extents_take(&extents, size, i, &start);
		int wanted = model_take((unsigned)((size + 511) / 512), (uint8_t)(i + 1));
		CHECK_EQ(r, wanted < 0 ? EXTENTS_NONE : 0);
		if (wanted < 0)
			continue;
		CHECK_EQ(start, BASE + wanted * 512ull);
		used[i].start = start;
		used[i].size = size;
	}
	for (unsigned i = 0; i < RANGES; i++) {
		struct extent freed;
		if (used[i].size)
			CHECK_EQ(extents_give(&extents, used[i].start, &freed), 0);
	}
	CHECK_EQ(extents.count, 1);
	CHECK_EQ(extents.root->size, GRANULES * 512ull);
	extents_fini(&extents);
}
