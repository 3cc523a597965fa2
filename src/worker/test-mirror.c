/* The exchange between the two sides of a managed variable, alone and with both sides writing. */
#include "worker/mirror.h"

#include <pthread.h>
#include <string.h>

#include "base/test.h"

enum { N = 1024 }; /* words */

struct sides {
	_Atomic uint64_t program[N], device[N];
	uint64_t agreed[N];
};

static void exchange(struct sides *s, bool pull)
{
	mirror_exchange(s->program, s->device, s->agreed, N, pull);
}

static void expect(const struct sides *s, size_t i, uint64_t program, uint64_t device)
{
	CHECK_EQ(s->program[i], program);
	CHECK_EQ(s->device[i], device);
}

TEST(what_one_side_wrote_reaches_the_other)
{
	static struct sides s;

	s.program[3] = 7;
	s.device[900] = 8;
	exchange(&s, false);
	expect(&s, 3, 7, 7);
	expect(&s, 900, 0, 8); /* only the program's writes were asked for */
	exchange(&s, true);
	expect(&s, 900, 8, 8);
	s.device[3] = 9;
	exchange(&s, true);
	expect(&s, 3, 9, 9);
}

TEST(bytes_of_one_word_are_of_whoever_wrote_them)
{
	static struct sides s;

	s.program[0] = 0x00000000000000ffu;
	s.device[0] = 0xee00000000000000u;
	exchange(&s, true);
	expect(&s, 0, 0xee000000000000ffu, 0xee000000000000ffu);
	/* Both wrote: the program prevails. */
	s.program[0] = 0x11000000000000ffu;
	s.device[0] = 0x22000000000033ffu;
	exchange(&s, true);
	expect(&s, 0, 0x11000000000033ffu, 0x11000000000033ffu);
	/* A word that the program wrote brings the device's other bytes too. */
	s.program[0] ^= 1;
	s.device[0] ^= 0xff00;
	exchange(&s, false);
	expect(&s, 0, 0x110000000000ccfeu, 0x110000000000ccfeu);
}

TEST(writing_back_the_old_value_is_a_write)
{
	static struct sides s;

	s.program[5] = 1;
	exchange(&s, true);
	s.program[5] = 0;
	exchange(&s, true);
	expect(&s, 5, 0, 0);
}

/* Each side counts in its own half of every word while they are exchanged all the time. */
enum { ROUNDS = 20000 };

struct writer {
	_Atomic uint64_t *side;
	unsigned half;
};

static void *count(void *argument)
{
	struct writer *writer = argument;

	for (uint32_t round = 1; round <= ROUNDS; round++)
		for (size_t i = 0; i < 8; i++)
			__atomic_store_n(
			    (uint32_t *)&writer->side[i] + writer->half, round, __ATOMIC_RELAXED);
	return NULL;
}

TEST(nothing_is_lost_while_both_write)
{
	static struct sides s;
	struct writer writers[2] = {{s.program, 0}, {s.device, 1}};
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, count, &writers[i]);
	for (int i = 0; i < 20000; i++)
		mirror_exchange(s.program, s.device, s.agreed, 8, i & 1);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	exchange(&s, true);
	for (size_t i = 0; i < 8; i++)
		expect(&s, i, (uint64_t)ROUNDS << 32 | ROUNDS, (uint64_t)ROUNDS << 32 | ROUNDS);
}
