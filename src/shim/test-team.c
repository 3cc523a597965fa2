/* Copies by several threads give the same bytes as memcpy, whoever does which part. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "shim/session.h"
#include "shim/team.h"

#define MOST (5u << 20)

static uint8_t *random_bytes(unsigned seed)
{
	uint8_t *bytes = malloc(MOST);

	CHECK(bytes);
	for (size_t i = 0; i < MOST; i += 8) {
		uint64_t word = (i + seed) * 0x9e3779b97f4a7c15ull;
		memcpy(bytes + i, &word, 8);
	}
	return bytes;
}

static void copy_sizes(unsigned seed)
{
	static const size_t sizes[] = {
	    0, 1, 65536, 262143, 262144, 262145, 1u << 20, (1u << 20) + 7, MOST - 16};
	uint8_t *from = random_bytes(seed), *to = malloc(MOST);

	for (unsigned i = 0; i < 5 * ARRAY_SIZE(sizes); i++) {
		size_t bytes = sizes[i % ARRAY_SIZE(sizes)], at = i % 16;
		memset(to, 0xee, MOST);
		team_copy(to + at, from + 3, MIN(bytes, MOST - 16));
		CHECK(memcmp(to + at, from + 3, bytes) == 0);
		CHECK(to[at + bytes] == 0xee);
		CHECK(!at || to[at - 1] == 0xee);
		if (i % 7 == 0)
			usleep(1000); /* the helpers fall asleep */
	}
	free(from);
	free(to);
}

static void *copy_thread(void *seed)
{
	copy_sizes((unsigned)(uintptr_t)seed);
	return NULL;
}

TEST(team_copies_what_memcpy_would)
{
	team_processors = 8;
	session.config.copy_threads = 4;
	session.config.spin_us = 20;
	copy_sizes(1);
}

TEST(team_helps_one_of_many)
{
	pthread_t threads[4];

	team_processors = 8;
	session.config.copy_threads = 4;
	for (uintptr_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, copy_thread, (void *)i), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST(team_of_one)
{
	session.config.copy_threads = 1;
	copy_sizes(2);
}
