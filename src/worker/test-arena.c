/* Device memory: the arena over a fake backend: placement, exhaustion, every backend failure, and a
 * random walk against a plain list. */
#include "worker/arena.h"

#include "base/test.h"
#include "wire/limits.h"
#include "worker/test-fake.h"

#define BASE WIRE_DEVICE_WINDOW_BASE
#define SIZE (1ull << 30)
#define MIB  (1ull << 20)

static struct backend backend;
static struct backend_host host;

static struct arena *make(void)
{
	const char *why;

	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the device window");
	fake_init(&backend, &host);
	struct arena *arena = arena_new(&backend, 0, BASE, SIZE, &why);
	CHECK(arena && !why);
	return arena;
}

TEST(arena_places_allocations)
{
	struct arena *arena = make();
	CUdeviceptr small, other, large, base;
	size_t size;

	CHECK_EQ(arena_take(arena, 1, 1, &small), CUDA_SUCCESS);
	CHECK_EQ(arena_take(arena, 513, 1, &other), CUDA_SUCCESS);
	CHECK_EQ(arena_take(arena, 3 * MIB, 1, &large), CUDA_SUCCESS);
	CHECK(arena_covers(arena, small) && arena_covers(arena, large + 3 * MIB - 1));
	CHECK(!arena_covers(arena, BASE - 1) && !arena_covers(arena, BASE + SIZE));
	CHECK_EQ(other, small + ARENA_ALIGN);
	CHECK_EQ(large % ARENA_PIECE, 0);
	CHECK(fake_is_mapped(small, 1) && fake_is_mapped(large, 3 * MIB));
	CHECK_EQ(arena_bytes(arena), 6 * MIB);
	CHECK_EQ(fake.used, 6 * MIB);
	CHECK(arena_find(arena, large + MIB, &base, &size));
	CHECK_EQ(base, large);
	CHECK_EQ(size, 3 * MIB);
	CHECK(arena_find(arena, other + 512, &base, &size));
	CHECK_EQ(size, 513);
	CHECK(!arena_find(arena, other + 513, &base, &size));
	CHECK(!arena_find(arena, large + 3 * MIB, &base, &size));
	CHECK(!arena_give(arena, large + MIB));
	CHECK(!arena_give(arena, other + 1));
	CHECK(arena_give(arena, large));
	CHECK(!arena_give(arena, large));
	CHECK(!fake_is_mapped(large, 1));
	CHECK(arena_give(arena, small));
	CHECK(arena_give(arena, other));
	CHECK_EQ(arena_bytes(arena), ARENA_PIECE); /* one empty slab is kept */
	arena_free(arena);
	CHECK_EQ(fake.used, 0);
	CHECK_EQ(fake.reserved, 0);
	CHECK_EQ(fake.created, 0);
}

TEST(arena_runs_out_and_recovers)
{
	struct arena *arena = make();
	CUdeviceptr block[400], large;
	unsigned n = 0;

	fake.capacity = 64 * MIB;
	while (n < 400 && arena_take(arena, 900000, 1, &block[n]) == CUDA_SUCCESS)
		n++;
	CHECK_EQ(n, 64); /* two to a slab */
	CHECK_EQ(arena_take(arena, 2 * MIB, 1, &large), CUDA_ERROR_OUT_OF_MEMORY);
	for (unsigned i = 0; i < n; i++)
		CHECK(arena_give(arena, block[i]));
	/* All of the memory, the spare slab too. */
	CHECK_EQ(arena_take(arena, 64 * MIB, 1, &large), CUDA_SUCCESS);
	CHECK_EQ(arena_take(arena, 1, 1, &block[0]), CUDA_ERROR_OUT_OF_MEMORY);
	CHECK(arena_give(arena, large));
	CHECK_EQ(arena_take(arena, UINT64_MAX, 1, &large), CUDA_ERROR_OUT_OF_MEMORY);
	CHECK_EQ(arena_take(arena, SIZE + 1, 1, &large), CUDA_ERROR_OUT_OF_MEMORY);
	arena_free(arena);
	CHECK_EQ(fake.used, 0);
}

TEST(arena_frees_what_an_owner_has)
{
	struct arena *arena = make();
	CUdeviceptr mine[20], kept[20], base;
	size_t size;

	for (unsigned i = 0; i < 20; i++) {
		CHECK_EQ(arena_take(arena, i % 2 ? 5 * MIB : 700, 1, &mine[i]), CUDA_SUCCESS);
		CHECK_EQ(arena_take(arena, i % 2 ? 3 * MIB : 70, 2, &kept[i]), CUDA_SUCCESS);
	}
	arena_give_all(arena, 1);
	for (unsigned i = 0; i < 20; i++) {
		CHECK(!arena_find(arena, mine[i], &base, &size));
		CHECK(arena_find(arena, kept[i], &base, &size));
	}
	arena_give_all(arena, 2);
	arena_free(arena);
	CHECK_EQ(fake.used, 0);
}

TEST(arena_gives_peers_access)
{
	struct arena *arena = make();
	CUdeviceptr before, after;

	CHECK_EQ(arena_take(arena, 5 * MIB, 1, &before), CUDA_SUCCESS);
	CHECK_EQ(fake_access(before), 1 << 0);
	CHECK_EQ(arena_allow(arena, 3, true), CUDA_SUCCESS);
	CHECK_EQ(arena_allow(arena, 3, true), CUDA_SUCCESS);
	CHECK_EQ(arena_allow(arena, 0, true), CUDA_SUCCESS); /* itself */
	CHECK_EQ(arena_allow(arena, 0, false), CUDA_SUCCESS);
	CHECK_EQ(fake_access(before), 1 << 0 | 1 << 3);
	CHECK_EQ(arena_take(arena, 5 * MIB, 1, &after), CUDA_SUCCESS);
	CHECK_EQ(fake_access(after), 1 << 0 | 1 << 3);
	CHECK_EQ(arena_allow(arena, 3, false), CUDA_SUCCESS);
	CHECK(arena_give(arena, after));
	CHECK_EQ(arena_take(arena, 5 * MIB, 1, &after), CUDA_SUCCESS);
	CHECK_EQ(fake_access(after), 1 << 0);
	fake.fail_in = 0;
	CHECK_EQ(arena_allow(arena, 4, true), CUDA_ERROR_UNKNOWN);
	CHECK(arena_give(arena, before));
	CHECK(arena_give(arena, after));
	arena_free(arena);
}

TEST(arena_needs_the_right_backend)
{
	const char *why;

	fake_init(&backend, &host);
	fake.no_vmm = true;
	CHECK(!arena_new(&backend, 0, BASE, SIZE, &why));
	CHECK(strstr(why, "virtual memory"));
	fake_init(&backend, &host);
	fake.moves_ranges = true;
	CHECK(!arena_new(&backend, 0, BASE, SIZE, &why));
	CHECK(strstr(why, "other addresses"));
	CHECK_EQ(fake.reserved, 0);
	for (int i = 0; i < 2; i++) { /* granularity, reservation */
		fake_init(&backend, &host);
		fake.fail_in = i;
		CHECK(!arena_new(&backend, 0, BASE, SIZE, &why));
		CHECK(why);
		CHECK_EQ(fake.reserved, 0);
	}
	CHECK(!arena_free(NULL));
}

/* Wherever the backend fails, nothing stays taken and the next attempt works. */
TEST(arena_survives_every_failure)
{
	static const uint64_t sizes[] = {100, 5 * MIB};

	for (unsigned s = 0; s < 2; s++)
		for (int at = 0; at < 3; at++) { /* create, map, access */
			struct arena *arena = make();
			CUdeviceptr address;
			fake.fail_in = at;
			CHECK_EQ(arena_take(arena, sizes[s], 1, &address), CUDA_ERROR_UNKNOWN);
			CHECK_EQ(fake.used, 0);
			CHECK_EQ(arena_bytes(arena), 0);
			fake.fail_in = -1;
			CHECK_EQ(arena_take(arena, sizes[s], 1, &address), CUDA_SUCCESS);
			CHECK_EQ(address, BASE);
			CHECK(arena_give(arena, address));
			arena_free(arena);
			CHECK_EQ(fake.created, 0);
		}
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

TEST(arena_random_walk)
{
	enum { N = 300 };
	struct arena *arena = make();
	static struct {
		CUdeviceptr address;
		uint64_t size;
	} model[N];
	uint64_t seed = 7;

	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = next_random(&seed) % N;
		CUdeviceptr base;
		size_t size;
		if (model[i].size) {
			uint64_t inside = next_random(&seed) % model[i].size;
			CHECK(arena_find(arena, model[i].address + inside, &base, &size));
			CHECK_EQ(base, model[i].address);
			CHECK_EQ(size, model[i].size);
			CHECK(arena_give(arena, model[i].address));
			model[i].size = 0;
			continue;
		}
		size = next_random(&seed) % (step % 8 ? 60000 : 9 * MIB) + 1;
		if (arena_take(arena, size, i, &base) != CUDA_SUCCESS)
			continue;
		CHECK(fake_is_mapped(base, size));
		for (unsigned j = 0; j < N; j++)
			CHECK(!model[j].size || base + size <= model[j].address ||
			      model[j].address + model[j].size <= base);
		model[i].address = base;
		model[i].size = size;
	}
	for (unsigned i = 0; i < N; i++)
		if (model[i].size)
			CHECK(arena_give(arena, model[i].address));
	CHECK(arena_bytes(arena) <= ARENA_PIECE);
	arena_free(arena);
	CHECK_EQ(fake.used, 0);
}
