/* The table of objects: every rule of handles.h, a random walk against a plain model, and lookups
 * beside changes. */
#include "worker/handles.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/test.h"

#define BUDGET (64u << 20)

static uint64_t client_id(enum handle_kind kind, uint32_t generation, uint32_t index)
{
	return handle_id(false, kind, generation, index);
}

TEST(handles_adopted_id_is_found_until_forgotten)
{
	struct handles *handles = handles_new(BUDGET);
	uint64_t id = client_id(HANDLE_STREAM, 1, 7);

	CHECK_EQ(handles_find(handles, HANDLE_STREAM, id), 0);
	CHECK_EQ(handles_id_of(handles, HANDLE_STREAM, 0x1234), 0);
	CHECK_EQ(handles_adopt(handles, HANDLE_STREAM, id, 0x1234), 0);
	CHECK_EQ(handles_find(handles, HANDLE_STREAM, id), 0x1234);
	CHECK_EQ(handles_id_of(handles, HANDLE_STREAM, 0x1234), (long long)id);
	CHECK_EQ(handles_count(handles), 1);
	CHECK_EQ(handles_adopt(handles, HANDLE_STREAM, id, 0x5678), HANDLES_TAKEN);
	CHECK_EQ(handles_find(handles, HANDLE_EVENT, id), 0);
	CHECK_EQ(handles_find(handles, HANDLE_STREAM, client_id(HANDLE_STREAM, 2, 7)), 0);
	CHECK_EQ(handles_find(handles, HANDLE_STREAM, client_id(HANDLE_STREAM, 1, 8)), 0);
	CHECK_EQ(handles_find(handles, HANDLE_STREAM, client_id(HANDLE_STREAM, 1, 70000)), 0);
	handles_forget(handles, HANDLE_EVENT, id);
	handles_forget(handles, HANDLE_STREAM, client_id(HANDLE_STREAM, 2, 7));
	CHECK_EQ(handles_count(handles), 1);
	handles_forget(handles, HANDLE_STREAM, id);
	handles_forget(handles, HANDLE_STREAM, id);
	CHECK_EQ(handles_count(handles), 0);
	CHECK_EQ(handles_find(handles, HANDLE_STREAM, id), 0);
	CHECK_EQ(handles_id_of(handles, HANDLE_STREAM, 0x1234), 0);
	CHECK_EQ(handles_adopt(handles, HANDLE_STREAM, client_id(HANDLE_STREAM, 2, 7), 9), 0);
	CHECK_EQ(handles_find(handles, HANDLE_STREAM, id), 0);
	handles_free(handles);
	CHECK(!handles_free(NULL));
}

TEST(handles_ids_a_client_may_not_mint)
{
	struct handles *handles = handles_new(BUDGET);
	static const uint64_t bad[] = {
	    0,
	    1,
	    2,
	    UINT64_MAX,
	    0x7fffffff0000,
	    (uint64_t)HANDLE_N_KINDS << 40 | 1 << 24,
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		enum handle_kind kind = handle_kind_of(bad[i]);
		CHECK_EQ(handles_adopt(handles, kind, bad[i], 5), HANDLES_TAKEN);
		CHECK_EQ(handles_find(handles, kind, bad[i]), 0);
		handles_forget(handles, kind, bad[i]);
	}
	uint64_t id = handle_id(true, HANDLE_EVENT, 1, 0);
	CHECK_EQ(handles_adopt(handles, HANDLE_EVENT, id, 5), HANDLES_TAKEN);
	id = client_id(HANDLE_EVENT, 0, 3); /* generation 0 */
	CHECK_EQ(handles_adopt(handles, HANDLE_EVENT, id, 5), HANDLES_TAKEN);
	id = client_id(HANDLE_EVENT, 1, 3);
	CHECK_EQ(handles_adopt(handles, HANDLE_EVENT, id, 0), HANDLES_TAKEN);
	CHECK_EQ(handles_adopt(handles, HANDLE_STREAM, id, 5), HANDLES_TAKEN);
	CHECK_EQ(handles_count(handles), 0);
	handles_free(handles);
}

TEST(handles_functions_and_kernels_stand_for_each_other)
{
	struct handles *handles = handles_new(BUDGET);
	uint64_t kernel = client_id(HANDLE_KERNEL, 1, 1), function;

	CHECK_EQ(handles_adopt(handles, HANDLE_KERNEL, kernel, 0x10), 0);
	CHECK_EQ(handles_find(handles, HANDLE_FUNCTION, kernel), 0x10);
	CHECK_EQ(handles_id_of(handles, HANDLE_FUNCTION, 0x10), (long long)kernel);
	CHECK_EQ(handles_mint(handles, HANDLE_FUNCTION, 0x10, &function), 0);
	CHECK_EQ(function, kernel);
	CHECK_EQ(handles_mint(handles, HANDLE_FUNCTION, 0x20, &function), 0);
	CHECK_EQ(handles_find(handles, HANDLE_KERNEL, function), 0x20);
	handles_forget(handles, HANDLE_FUNCTION, kernel);
	CHECK_EQ(handles_count(handles), 1);
	handles_free(handles);
}

TEST(handles_mint_finds_or_makes_and_never_repeats_an_id)
{
	struct handles *handles = handles_new(BUDGET);
	uint64_t first, again, second;

	CHECK_EQ(handles_mint(handles, HANDLE_GRAPHNODE, 0x100, &first), 0);
	CHECK(handle_by_worker(first));
	CHECK_EQ(handles_mint(handles, HANDLE_GRAPHNODE, 0x100, &again), 0);
	CHECK_EQ(again, first);
	/* The same number of another kind is another object. */
	CHECK_EQ(handles_mint(handles, HANDLE_GRAPH, 0x100, &second), 0);
	CHECK(second != first);
	handles_forget(handles, HANDLE_GRAPHNODE, first);
	CHECK_EQ(handles_mint(handles, HANDLE_GRAPHNODE, 0x100, &again), 0);
	CHECK_EQ(handle_index(again), handle_index(first));
	CHECK(handle_generation(again) != handle_generation(first));
	CHECK_EQ(handles_find(handles, HANDLE_GRAPHNODE, first), 0);
	for (uint32_t i = 0; i < 70000; i++) { /* the generation wraps and skips 0 */
		handles_forget(handles, HANDLE_GRAPHNODE, again);
		CHECK_EQ(handles_mint(handles, HANDLE_GRAPHNODE, 0x100, &again), 0);
		CHECK(handle_generation(again) != 0);
	}
	handles_free(handles);
}

TEST(handles_newest_id_of_a_handle_wins)
{
	struct handles *handles = handles_new(BUDGET);
	uint64_t old = client_id(HANDLE_FUNCTION, 1, 1), new = client_id(HANDLE_FUNCTION, 1, 2);

	CHECK_EQ(handles_adopt(handles, HANDLE_FUNCTION, old, 0x10), 0);
	CHECK_EQ(handles_adopt(handles, HANDLE_FUNCTION, new, 0x10), 0);
	CHECK_EQ(handles_id_of(handles, HANDLE_FUNCTION, 0x10), (long long)new);
	handles_forget(handles, HANDLE_FUNCTION, old);
	CHECK_EQ(handles_id_of(handles, HANDLE_FUNCTION, 0x10), (long long)new);
	CHECK_EQ(handles_find(handles, HANDLE_FUNCTION, new), 0x10);
	handles_free(handles);
}

/* Whatever the budget, a call either works or says full, and what was alive before still is. */
TEST(handles_stay_within_their_budget)
{
	for (size_t budget = 0; budget < (2u << 20); budget += 40009) {
		struct handles *handles = handles_new(budget);
		uint64_t minted[2000], adopted[2000];
		unsigned n_minted = 0, n_adopted = 0;
		int r = 0;

		for (; n_adopted < ARRAY_SIZE(adopted) && !r; n_adopted += !r) {
			adopted[n_adopted] = client_id(HANDLE_EVENT, 1, n_adopted * 300);
			r = handles_adopt(handles, HANDLE_EVENT, adopted[n_adopted], n_adopted + 1);
		}
		CHECK(!r || r == HANDLES_FULL);
		for (r = 0; n_minted < ARRAY_SIZE(minted) && !r; n_minted += !r)
			r = handles_mint(
			    handles, HANDLE_GRAPHNODE, n_minted + 1, &minted[n_minted]);
		CHECK(!r || r == HANDLES_FULL);
		for (unsigned i = 0; i < n_adopted; i++)
			CHECK_EQ(handles_find(handles, HANDLE_EVENT, adopted[i]), i + 1);
		for (unsigned i = 0; i < n_minted; i++) {
			CHECK_EQ(handles_find(handles, HANDLE_GRAPHNODE, minted[i]), i + 1);
			handles_forget(handles, HANDLE_GRAPHNODE, minted[i]);
		}
		CHECK_EQ(handles_count(handles), n_adopted);
		handles_free(handles);
	}
}

TEST_LIMIT(handles_worker_runs_out_of_indices, 120)
{
	struct handles *handles = handles_new((size_t)2 << 30);
	uint64_t id = 0;
	int r = 0;

	for (uint64_t real = 1; real <= HANDLE_INDEX_MAX + 1ull && !r; real++)
		r = handles_mint(handles, HANDLE_GRAPHNODE, real, &id);
	CHECK_EQ(r, 0);
	CHECK_EQ(handle_index(id), HANDLE_INDEX_MAX);
	CHECK_EQ(handles_mint(handles, HANDLE_GRAPHNODE, 1ull << 40, &id), HANDLES_FULL);
	handles_free(handles);
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

TEST(handles_random_walk_against_a_model)
{
	enum { N = 700 };
	struct handles *handles = handles_new(BUDGET);
	static struct {
		uint64_t id, real;
	} model[N];
	uint64_t seed = 1;
	uint32_t generation = 1;

	for (unsigned step = 0; step < 200000; step++) {
		unsigned i = next_random(&seed) % N;
		if (model[i].id) {
			CHECK_EQ(handles_find(handles, HANDLE_EVENT, model[i].id), model[i].real);
			CHECK_EQ(handles_id_of(handles, HANDLE_EVENT, model[i].real), model[i].id);
			handles_forget(handles, HANDLE_EVENT, model[i].id);
			CHECK_EQ(handles_find(handles, HANDLE_EVENT, model[i].id), 0);
			CHECK_EQ(handles_id_of(handles, HANDLE_EVENT, model[i].real), 0);
			model[i].id = 0;
			continue;
		}
		generation = generation % 0xffff + 1;
		model[i].real = (i + 1) * 64;
		model[i].id = client_id(HANDLE_EVENT, generation, i);
		if (step & 1)
			CHECK_EQ(
			    handles_mint(handles, HANDLE_EVENT, model[i].real, &model[i].id), 0);
		else
			CHECK_EQ(
			    handles_adopt(handles, HANDLE_EVENT, model[i].id, model[i].real), 0);
	}
	handles_free(handles);
}

TEST(handles_get_other_objects)
{
	struct handles *handles = handles_new(BUDGET);
	uint64_t mine = client_id(HANDLE_GRAPHNODE, 1, 3), theirs, reals[4];

	CHECK_EQ(handles_adopt(handles, HANDLE_GRAPHNODE, mine, 70), 0);
	CHECK_EQ(handles_mint(handles, HANDLE_GRAPHNODE, 80, &theirs), 0);
	CHECK_EQ(handles_adopt(handles, HANDLE_EVENT, client_id(HANDLE_EVENT, 1, 3), 70), 0);
	CHECK_EQ(handles_replace(handles, HANDLE_GRAPHNODE, mine, 71), 0);
	CHECK_EQ(handles_replace(handles, HANDLE_GRAPHNODE, theirs, 81), 0);
	CHECK_EQ(handles_find(handles, HANDLE_GRAPHNODE, mine), 71);
	CHECK_EQ(handles_find(handles, HANDLE_GRAPHNODE, theirs), 81);
	CHECK_EQ(handles_id_of(handles, HANDLE_GRAPHNODE, 70), 0);
	CHECK_EQ(handles_id_of(handles, HANDLE_GRAPHNODE, 81), theirs);
	CHECK_EQ(handles_count_of(handles, HANDLE_GRAPHNODE), 2);
	CHECK_EQ(handles_list(handles, HANDLE_GRAPHNODE, reals, 1), 2);
	CHECK_EQ(handles_list(handles, HANDLE_GRAPHNODE, reals, 4), 2);
	CHECK(reals[0] + reals[1] == 71 + 81);
	CHECK_EQ(handles_replace(handles, HANDLE_EVENT, mine, 72), HANDLES_TAKEN);
	handles_forget(handles, HANDLE_GRAPHNODE, mine);
	CHECK_EQ(handles_replace(handles, HANDLE_GRAPHNODE, mine, 72), HANDLES_TAKEN);
	handles_free(handles);
}

static struct handles *shared;
static atomic_bool stop;

/* An object's handle tells its generation, so that a reader can see a mixed answer. */
static void *lookups(void *unused)
{
	while (!atomic_load(&stop))
		for (uint32_t generation = 1; generation < 100; generation++) {
			uint64_t id = client_id(HANDLE_STREAM, generation, 3);
			uint64_t real = handles_find(shared, HANDLE_STREAM, id);
			CHECK(!real || real == generation);
		}
	return unused;
}

TEST(handles_lookup_beside_changes_never_mixes_objects)
{
	pthread_t reader;

	shared = handles_new(BUDGET);
	CHECK_EQ(pthread_create(&reader, NULL, lookups, NULL), 0);
	for (uint32_t round = 0; round < 300; round++)
		for (uint32_t generation = 1; generation < 100; generation++) {
			uint64_t id = client_id(HANDLE_STREAM, generation, 3);
			CHECK_EQ(handles_adopt(shared, HANDLE_STREAM, id, generation), 0);
			handles_forget(shared, HANDLE_STREAM, id);
		}
	atomic_store(&stop, true);
	pthread_join(reader, NULL);
	handles_free(shared);
}
