/*
 * Ids: minted, dropped, used again as others, made up by a program, and from several threads at
 * once.
 */
#include <pthread.h>

#include "base/test.h"
#include "shim/call.h"
#include "shim/object.h"

TEST(ids_name_their_kind_and_die)
{
	uint64_t stream = shim_handle_new(HANDLE_STREAM), event = shim_handle_new(HANDLE_EVENT);

	CHECK_EQ(handle_kind_of(stream), HANDLE_STREAM);
	CHECK(!handle_by_worker(stream));
	CHECK(shim_handle_alive(stream, HANDLE_STREAM));
	CHECK(!shim_handle_alive(stream, HANDLE_EVENT));
	CHECK(shim_handle_alive(event, HANDLE_EVENT));
	shim_handle_drop(stream);
	CHECK(!shim_handle_alive(stream, HANDLE_STREAM));
	shim_handle_drop(stream);
	CHECK(shim_handle_alive(event, HANDLE_EVENT));
}

TEST(made_up_ids_are_dead)
{
	CHECK(!shim_handle_alive(0, HANDLE_STREAM));
	CHECK(!shim_handle_alive(~0ull, HANDLE_STREAM));
	CHECK(!shim_handle_alive(handle_id(false, HANDLE_STREAM, 1, 12345), HANDLE_STREAM));
	CHECK(!shim_handle_alive(
	    handle_id(false, HANDLE_STREAM, 1, HANDLE_INDEX_MAX), HANDLE_STREAM));
	CHECK(!shim_handle_alive(1ull << 50, HANDLE_STREAM));
	shim_handle_drop(~0ull);
	shim_handle_drop(0);
}

TEST(an_index_used_again_is_another_id)
{
	uint64_t first = shim_handle_new(HANDLE_EVENT), id = 0;

	shim_handle_drop(first);
	for (int i = 0; i < 100000; i++) {
		id = shim_handle_new(HANDLE_EVENT);
		CHECK(id && id != first);
		CHECK(!shim_handle_alive(first, HANDLE_EVENT));
		shim_handle_drop(id);
	}
	/* Few indices serve any number of short lives. */
	CHECK(handle_index(id) < 256);
}

TEST(many_ids_at_once)
{
	enum { N = 5000 };
	static uint64_t ids[N];

	for (int i = 0; i < N; i++)
		ids[i] = shim_handle_new(HANDLE_EVENT);
	for (int i = 0; i < N; i++) {
		CHECK(shim_handle_alive(ids[i], HANDLE_EVENT));
		for (int k = i + 1; k < i + 4 && k < N; k++)
			CHECK(ids[i] != ids[k]);
	}
	for (int i = 0; i < N; i += 2)
		shim_handle_drop(ids[i]);
	for (int i = 0; i < N; i++)
		CHECK_EQ(shim_handle_alive(ids[i], HANDLE_EVENT), i % 2);
}

static void *object(int value)
{
	int *memory = malloc(sizeof(*memory));

	CHECK(memory);
	*memory = value;
	return memory;
}

TEST(the_first_object_stays)
{
	uint64_t id = shim_handle_new(HANDLE_MODULE);
	void *one = object(1), *two = object(2);

	CHECK(!shim_object(id, HANDLE_MODULE));
	CHECK(shim_object_attach(id, HANDLE_MODULE, one) == one);
	CHECK(shim_object_attach(id, HANDLE_MODULE, two) == one);
	CHECK(shim_object(id, HANDLE_MODULE) == one);
	shim_handle_drop(id);
	CHECK(!shim_object(id, HANDLE_MODULE));
	CHECK(!shim_object_attach(id, HANDLE_MODULE, two));
	free(two);
}

TEST(objects_go_with_their_ids_but_not_at_once)
{
	for (int i = 0; i < 2000; i++) {
		uint64_t id = shim_handle_new(HANDLE_MODULE);
		int *mine = object(i);
		CHECK(shim_object_attach(id, HANDLE_MODULE, mine) == mine);
		shim_handle_drop(id);
		CHECK_EQ(*mine, i);
	}
}

TEST(objects_of_the_workers_ids_end_with_their_generation)
{
	uint64_t old = handle_id(true, HANDLE_KERNEL, 3, 70),
		 new = handle_id(true, HANDLE_KERNEL, 4, 70);
	void *one = object(1), *two = object(2);

	CHECK(shim_handle_alive(old, HANDLE_KERNEL));
	CHECK(!shim_object(old, HANDLE_KERNEL));
	CHECK(shim_object_attach(old, HANDLE_KERNEL, one) == one);
	CHECK(shim_object(old, HANDLE_KERNEL) == one);
	CHECK(!shim_object(new, HANDLE_KERNEL));
	CHECK(shim_object_attach(new, HANDLE_KERNEL, two) == two);
	CHECK(!shim_object(old, HANDLE_KERNEL));
	CHECK(shim_object(new, HANDLE_KERNEL) == two);
}

TEST(primary_contexts_are_there_from_the_start)
{
	shim_object_init();
	CHECK(shim_handle_alive(handle_primary_context(0), HANDLE_CONTEXT));
	CHECK(shim_handle_alive(handle_primary_context(WIRE_DEVICES_MAX - 1), HANDLE_CONTEXT));
	CHECK_EQ(handle_index(shim_handle_new(HANDLE_CONTEXT)), WIRE_DEVICES_MAX);
}

static void *mint_and_drop(void *unused)
{
	uint64_t ids[64];

	for (int round = 0; round < 500; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
			ids[i] = shim_handle_new(HANDLE_STREAM);
			if (!shim_handle_alive(ids[i], HANDLE_STREAM))
				return "an id was born dead";
		}
		for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
			shim_handle_drop(ids[i]);
			if (shim_handle_alive(ids[i], HANDLE_STREAM))
				return "an id outlived its drop";
		}
	}
	return NULL;
}

TEST(threads_mint_and_drop_at_once)
{
	pthread_t threads[8];
	void *problem;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, mint_and_drop, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		CHECK_EQ(pthread_join(threads[i], &problem), 0);
		if (problem)
			test_fail(__FILE__, __LINE__, "%s", (const char *)problem);
	}
}
