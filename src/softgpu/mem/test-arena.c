/* Device memory: zeroed, guarded, bounded, found by address, and gone with its context. */
#include <errno.h>
#include <sys/mman.h>

#include "base/test.h"
#include "softgpu/mem/arena.h"
#include "softgpu/mem/test-readable.h"

#define MIB (1u << 20)

static uint64_t alloc(size_t size)
{
	struct sg_range range = {.size = size, .kind = SG_RANGE_DEVICE, .context_id = 1};

	CHECK_EQ(sg_arena_alloc(&range, 256), 0);
	return range.address;
}

TEST(memory_is_zero_writable_and_guarded)
{
	CHECK_EQ(sg_arena_init(16 * MIB), 0);
	uint64_t a = alloc(5000), b = alloc(4096);
	for (int i = 0; i < 5000; i++)
		CHECK_EQ(((char *)a)[i], 0);
	memset((void *)a, 1, 8192);
	CHECK(is_readable(a) && is_readable(b));
	CHECK(!is_readable(a + 8192) && !is_readable(b + 4096));
	CHECK_EQ(sg_arena_free(a), 0);
	CHECK(!is_readable(a));
	CHECK(is_readable(b));
	CHECK_EQ(sg_arena_free(a), -ENOENT);
	CHECK_EQ(sg_arena_free(b + 1), -ENOENT);
	/* The same place comes back empty. */
	CHECK_EQ(alloc(5000), a);
	CHECK_EQ(*(char *)a, 0);
}

TEST(capacity_is_enforced)
{
	struct sg_range range = {.size = MIB + 1};
	size_t used, capacity;

	CHECK_EQ(sg_arena_init(MIB), 0);
	CHECK_EQ(sg_arena_alloc(&range, 1), -ENOMEM);
	range.size = SIZE_MAX;
	CHECK_EQ(sg_arena_alloc(&range, 1), -ENOMEM);
	uint64_t a = alloc(MIB);
	range.size = 1;
	CHECK_EQ(sg_arena_alloc(&range, 1), -ENOMEM);
	sg_arena_usage(&used, &capacity);
	CHECK_EQ(used, MIB);
	CHECK_EQ(capacity, MIB);
	CHECK_EQ(sg_arena_free(a), 0);
	sg_arena_usage(&used, &capacity);
	CHECK_EQ(used, 0);
	CHECK_EQ(sg_arena_alloc(&range, 1), 0);
}

TEST(lookups)
{
	struct sg_range range = {.size = 10000, .kind = SG_RANGE_POOL, .owner = &range};

	CHECK_EQ(sg_arena_init(MIB), 0);
	CHECK_EQ(sg_arena_alloc(&range, 1 << 16), 0);
	uint64_t address = range.address, id = range.id;
	CHECK_EQ(address % (1 << 16), 0);
	CHECK(sg_arena_find(address + 9999, &range));
	CHECK(range.address == address && range.size == 10000 && range.id == id);
	CHECK(range.kind == SG_RANGE_POOL && range.owner == &range);
	CHECK(!sg_arena_find(address + 10000, &range));
	CHECK(!sg_arena_find(address - 1, &range));
	CHECK(!sg_arena_find(0, &range));
	CHECK(sg_arena_covers(address + 1, 9999));
	CHECK(!sg_arena_covers(address + 1, 10000));
	CHECK(!sg_arena_covers(address, SIZE_MAX));
}

static int n_freed;

static void count_freed(const struct sg_range *range)
{
	CHECK_EQ(range->context_id, 1);
	n_freed++;
}

TEST(a_context_takes_its_memory_along)
{
	struct sg_range other = {.size = 1, .context_id = 2};

	CHECK_EQ(sg_arena_init(MIB), 0);
	uint64_t a = alloc(1), b = alloc(70000);
	CHECK_EQ(sg_arena_alloc(&other, 1), 0);
	n_freed = 0;
	sg_arena_free_context(1, count_freed);
	CHECK_EQ(n_freed, 2);
	CHECK(!sg_arena_covers(a, 1) && !sg_arena_covers(b, 1));
	CHECK(sg_arena_covers(other.address, 1));
}

TEST(shared_memory_is_seen_twice)
{
	struct sg_range range = {.size = 8192};
	char *shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *private =
	    mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	CHECK_EQ(sg_arena_init(MIB), 0);
	range.host = (uint64_t)shared;
	CHECK_EQ(sg_arena_alias(&range), 0);
	shared[4097] = 42;
	CHECK_EQ(((char *)range.address)[4097], 42);
	((char *)range.address)[1] = 43;
	CHECK_EQ(shared[1], 43);
	CHECK_EQ(sg_arena_free(range.address), 0);
	CHECK_EQ(shared[1], 43);
	range.host = (uint64_t)private;
	CHECK_EQ(sg_arena_alias(&range), -EINVAL);
}

TEST(more_allocations_than_the_kernel_has_mappings)
{
	enum { COUNT = 40000 }; /* at two mappings each more than 65530 */
	static uint64_t addresses[COUNT];

	if (SG_ALLOC_SIZE < UINT64_C(1) << 40)
		SKIP("the thread sanitizer takes minutes to map that often");
	CHECK_EQ(sg_arena_init((size_t)1 << 30), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		addresses[i] = alloc(256);
		*(unsigned *)addresses[i] = i;
	}
	/* Every second one first: that makes the most holes. */
	for (unsigned i = COUNT; i > 0; i -= 2)
		CHECK_EQ(sg_arena_free(addresses[i - 2]), 0);
	for (unsigned i = COUNT - 1; i < COUNT; i -= 2) {
		CHECK_EQ(*(unsigned *)addresses[i], i);
		CHECK_EQ(sg_arena_free(addresses[i]), 0);
	}
	uint64_t again = alloc(1 << 20);
	for (unsigned i = 0; i < 1 << 18; i++)
		CHECK_EQ(((uint32_t *)again)[i], 0);
}

/* Random allocations against a naive table; ends with all address space merged again. */
TEST(churn)
{
	uint64_t addresses[64] = {0};
	size_t sizes[64] = {0}, used, capacity;
	unsigned seed = 1;

	CHECK_EQ(sg_arena_init(1u << 30), 0);
	for (int i = 0; i < 20000; i++) {
		unsigned slot = (unsigned)rand_r(&seed) % 64;
		if (addresses[slot]) {
			CHECK_EQ(*(uint32_t *)addresses[slot], slot);
			CHECK_EQ(sg_arena_free(addresses[slot]), 0);
			addresses[slot] = 0;
			continue;
		}
		sizes[slot] = 4 + (size_t)rand_r(&seed) % 40000;
		addresses[slot] = alloc(sizes[slot]);
		*(uint32_t *)addresses[slot] = slot;
		for (int j = 0; j < 64; j++)
			CHECK(j == (int)slot || !addresses[j] ||
			      addresses[j] + sizes[j] <= addresses[slot] ||
			      addresses[slot] + sizes[slot] <= addresses[j]);
	}
	for (int i = 0; i < 64; i++)
		if (addresses[i])
			CHECK_EQ(sg_arena_free(addresses[i]), 0);
	sg_arena_usage(&used, &capacity);
	CHECK_EQ(used, 0);
	CHECK_EQ(alloc(1 << 29), SG_ARENA_BASE);
}
