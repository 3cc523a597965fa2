/*
 * The queue between dispatcher and issuer: entries of every size arrive whole and in order, however
 * full it is; each side learns how far the other is.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/test.h"
#include "worker/issue_queue.h"

#define MANY 50000
#define MOST (ISSUE_QUEUE_SIZE / 2 - 64)

/* Of the i-th entry: mostly small ones, now and then the largest. */
static size_t size_of(unsigned i)
{
	return i % 97 == 96 ? MOST - i % 64 : 8 + i * 7 % 500;
}

static void fill(uint8_t *entry, unsigned i)
{
	memset(entry, (int)i, size_of(i));
	memcpy(entry, &i, sizeof(i));
}

static void check(const uint8_t *entry, unsigned i)
{
	unsigned number;

	memcpy(&number, entry, sizeof(number));
	CHECK_EQ(number, i);
	for (size_t at = sizeof(number); at < size_of(i); at++)
		CHECK_EQ(entry[at], (uint8_t)i);
}

static void *write_many(void *argument)
{
	struct issue_queue *queue = argument;
	uint8_t *entry;

	for (unsigned i = 0; i < MANY; i++) {
		while (!(entry = issue_queue_room(queue, size_of(i))))
			sched_yield();
		fill(entry, i);
		issue_queue_put(queue, size_of(i));
	}
	while (!issue_queue_is_empty(queue))
		sched_yield();
	return NULL;
}

TEST(entries_arrive_whole_and_in_order)
{
	static struct issue_queue queue;
	const uint8_t *entry;
	pthread_t writer;

	CHECK_EQ(issue_queue_init(&queue), 0);
	CHECK_EQ(pthread_create(&writer, NULL, write_many, &queue), 0);
	for (unsigned i = 0; i < MANY; i++) {
		while (!(entry = issue_queue_next(&queue)))
			sched_yield();
		check(entry, i);
		issue_queue_take(&queue);
	}
	CHECK_EQ(pthread_join(writer, NULL), 0);
	CHECK(!issue_queue_next(&queue));
	issue_queue_fini(&queue);
}

static void *write_each_when_empty(void *argument)
{
	struct issue_queue *queue = argument;

	for (unsigned i = 0; i < MANY; i++) {
		while (!issue_queue_is_empty(queue))
			sched_yield();
		unsigned *entry = issue_queue_room(queue, ISSUE_QUEUE_SIZE / 3);
		CHECK(entry);
		*entry = i;
		issue_queue_put(queue, ISSUE_QUEUE_SIZE / 3);
	}
	return NULL;
}

/* Every third entry has a filler before it, which the reader finds while it watches. */
TEST(a_reader_that_watches_gets_entries_only)
{
	static struct issue_queue queue;
	const unsigned *entry;
	pthread_t writer;

	CHECK_EQ(issue_queue_init(&queue), 0);
	CHECK_EQ(pthread_create(&writer, NULL, write_each_when_empty, &queue), 0);
	for (unsigned i = 0; i < MANY; i++) {
		for (unsigned looks = 0; !(entry = issue_queue_next(&queue)); looks++)
			if (looks % 1000 == 999)
				sched_yield();
		CHECK_EQ(*entry, i);
		issue_queue_take(&queue);
	}
	CHECK_EQ(pthread_join(writer, NULL), 0);
	issue_queue_fini(&queue);
}

TEST(a_full_queue_has_no_room)
{
	static struct issue_queue queue;
	unsigned n = 0, taken = 0;
	uint8_t *entry;

	CHECK_EQ(issue_queue_init(&queue), 0);
	for (; (entry = issue_queue_room(&queue, size_of(n))); n++) {
		fill(entry, n);
		issue_queue_put(&queue, size_of(n));
	}
	CHECK(n > 0);
	CHECK(!issue_queue_is_empty(&queue));
	CHECK_EQ(issue_queue_taken(&queue), 0);
	/* There is once enough was taken, and what was there before is whole. */
	for (; !issue_queue_room(&queue, size_of(n)); taken++) {
		check(issue_queue_next(&queue), taken);
		issue_queue_take(&queue);
	}
	CHECK(taken > 0 && taken < n);
	CHECK(issue_queue_taken(&queue) > 0);
	for (; taken < n; taken++) {
		check(issue_queue_next(&queue), taken);
		issue_queue_take(&queue);
	}
	CHECK(!issue_queue_next(&queue));
	CHECK(issue_queue_is_empty(&queue));
	issue_queue_fini(&queue);
}
