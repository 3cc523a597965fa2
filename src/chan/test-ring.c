/* The command ring: wrap, back-pressure, order, padding, and content that lies. */
#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include "base/clock.h"
#include "base/test.h"
#include "chan/internal.h"
#include "chan/test-chan.h"

static const struct chan_geometry small = {
    .ring_size = REGION_RING_MIN, .staging_size = 1 << 20, .lanes = 8};

static alignas(16) uint8_t buffer[WIRE_RECORD_MAX];

static const struct wire_record *next(struct chan *worker)
{
	CHECK_EQ(chan_next(worker, buffer), 0);
	return (const struct wire_record *)buffer;
}

/* Sizes that leave every possible rest at the ring's end, the 8 bytes of half a header too. */
TEST(records_wrap_with_every_rest)
{
	struct pair pair = pair_new(OVER_LOOP, &small);
	uint64_t number = 0;

	for (size_t payload = 8; payload <= WIRE_RECORD_MAX - 16;
	    payload += payload < 4096 ? 8 : 1016) {
		for (int i = 0; i < 5; i++) {
			CHECK_EQ(post_count(pair.client, 3, number, payload), 0);
			const struct wire_record *record = next(pair.worker);
			CHECK_EQ(record->size, payload + 16);
			CHECK_EQ(record->lane, 3);
			CHECK_EQ(record->seq, number + 1);
			CHECK_EQ(*(const uint64_t *)(record + 1), number);
			for (size_t b = 8; b < payload; b++)
				CHECK_EQ(((const uint8_t *)(record + 1))[b], (uint8_t)number);
			number++;
		}
	}
	CHECK(pair.client->producer.published > 10 * REGION_RING_MIN);
	pair_free(&pair);
}

TEST(a_record_of_the_greatest_size_and_one_without_payload)
{
	struct pair pair = pair_new(OVER_MEMFD, &small);
	struct wire_writer w;
	uint32_t seq;

	CHECK_EQ(chan_begin(pair.client, 0, 99, WIRE_F_PTDS, 0, &w, &seq), 0);
	CHECK_EQ(chan_commit(pair.client, 0, &w), 0);
	const struct wire_record *record = next(pair.worker);
	CHECK_EQ(record->size, 16);
	CHECK_EQ(record->id, 99);
	CHECK_EQ(record->flags, WIRE_F_PTDS);
	CHECK_EQ(post_count(pair.client, 0, 1, WIRE_RECORD_MAX - 16), 0);
	CHECK_EQ(next(pair.worker)->size, WIRE_RECORD_MAX);
	pair_free(&pair);
}

TEST(begin_refuses_what_the_ring_cannot_hold)
{
	struct pair pair = pair_new(OVER_LOOP, &small);
	struct wire_writer w;
	uint32_t seq;

	CHECK_EQ(chan_begin(pair.client, 0, 99, 0, 12, &w, &seq), -EINVAL);
	CHECK_EQ(chan_begin(pair.client, 0, 99, 0, WIRE_RECORD_MAX - 8, &w, &seq), -EINVAL);
	CHECK_EQ(chan_begin(pair.client, 0, 99, 0, SIZE_MAX & ~7ull, &w, &seq), -EINVAL);
	CHECK_EQ(chan_begin(pair.client, 8, 99, 0, 8, &w, &seq), -EINVAL);
	CHECK_EQ(chan_begin(pair.client, 0, WIRE_ID_PAD, 0, 8, &w, &seq), -EINVAL);
	/* And no place was taken. */
	CHECK_EQ(post_count(pair.client, 0, 7, 8), 0);
	CHECK_EQ(next(pair.worker)->id, ECHO_COUNT);
	pair_free(&pair);
}

TEST(a_record_badly_written_becomes_padding)
{
	struct pair pair = pair_new(OVER_LOOP, &small);
	struct wire_writer w;
	uint32_t seq;

	CHECK_EQ(chan_begin(pair.client, 0, 99, 0, 16, &w, &seq), 0);
	wire_put_u64(&w, 1);
	CHECK_EQ(chan_commit(pair.client, 0, &w), -EINVAL); /* half of it missing */
	CHECK_EQ(chan_begin(pair.client, 0, 99, 0, 8, &w, &seq), 0);
	wire_put_bytes(&w, "too long", 8);
	CHECK_EQ(chan_commit(pair.client, 0, &w), -EINVAL);
	CHECK_EQ(post_count(pair.client, 0, 5, 8), 0);
	const struct wire_record *record = next(pair.worker);
	CHECK_EQ(record->id, ECHO_COUNT);
	CHECK_EQ(*(const uint64_t *)(record + 1), 5);
	pair_free(&pair);
}

static void *slow_worker(void *chan)
{
	struct timespec nap = {0, 20000000};

	nanosleep(&nap, NULL);
	return echo_worker(chan);
}

static void flood(enum medium medium)
{
	struct pair pair = pair_start(medium, &small, slow_worker);

	for (uint64_t i = 0; i < 50000; i++)
		CHECK_EQ(post_count(pair.client, 1, i, 8 + i % 600 / 8 * 8), 0);
	call_echo(pair.client, 1, 1, NULL, 0);
	CHECK_EQ(atomic_load(&pair.client->control->tail), pair.client->producer.published);
	pair_stop(&pair);
}

TEST(a_full_ring_holds_the_client_back)
{
	flood(OVER_MEMFD);
}

TEST(a_full_ring_holds_the_client_back_in_a_loop)
{
	flood(OVER_LOOP);
}

#define PRODUCERS 6
#define POSTS	  4000

struct producer_arguments {
	struct chan *client;
	uint16_t lane;
};

static void *produce(void *context)
{
	struct producer_arguments *a = context;

	for (uint64_t i = 0; i < POSTS; i++) {
		CHECK_EQ(post_count(a->client, a->lane, i, 8 + i * a->lane % 100 * 8), 0);
		if (i % 16 == 0)
			call_echo(a->client, a->lane, i, "some bytes", 10);
		if (i % 64 == 0)
			post_release(a->client, a->lane, 1000 * a->lane, (uint8_t)i);
	}
	return NULL;
}

/* The worker checks that each lane's numbers come in order. */
static void many_producers(enum medium medium)
{
	struct pair pair = pair_start(medium, &small, echo_worker);
	struct producer_arguments arguments[PRODUCERS];
	pthread_t threads[PRODUCERS];

	for (int i = 0; i < PRODUCERS; i++) {
		arguments[i].client = pair.client;
		CHECK_EQ(chan_lane_take(pair.client, &arguments[i].lane), 0);
		CHECK_EQ(pthread_create(&threads[i], NULL, produce, &arguments[i]), 0);
	}
	for (int i = 0; i < PRODUCERS; i++) {
		pthread_join(threads[i], NULL);
		chan_lane_give(pair.client, arguments[i].lane);
	}
	pair_stop(&pair);
}

TEST_LIMIT(many_producers_keep_their_order, 120)
{
	many_producers(OVER_MEMFD);
}

TEST_LIMIT(many_producers_keep_their_order_in_a_loop, 120)
{
	many_producers(OVER_LOOP);
}

static void *post_for_ever(void *client)
{
	uint64_t i = 0;

	while (post_count(client, 0, i++, 4096) == 0)
		;
	return NULL;
}

static void *post_once(void *client)
{
	CHECK_EQ(post_count(client, 1, 77, 64), 0);
	return NULL;
}

/* A program may cancel a thread while it waits for room; the others must go on. */
TEST(a_cancelled_thread_does_not_keep_the_ring)
{
	struct pair pair = pair_new(OVER_MEMFD, &small);
	struct timespec nap = {0, 150000000}; /* more than a slice of sleep */
	pthread_t thread, other;

	CHECK_EQ(pthread_create(&thread, NULL, post_for_ever, pair.client), 0);
	nanosleep(&nap, NULL);
	pthread_cancel(thread);
	nanosleep(&nap, NULL);
	for (int i = 0; i < 50; i++)
		CHECK_EQ(next(pair.worker)->id, ECHO_COUNT);
	CHECK_EQ(pthread_create(&other, NULL, post_once, pair.client), 0);
	while (next(pair.worker)->lane != 1)
		;
	pthread_join(other, NULL);
	chan_free(pair.worker); /* ends the thread, which met no point to be cancelled at */
	pthread_join(thread, NULL);
	chan_free(pair.client);
}

/* --- a client that lies --- */

/* Puts bytes at the ring's start, sets head; what chan_next() says. */
static int next_of(const void *bytes, size_t size, uint64_t head)
{
	struct pair pair = pair_new(OVER_LOOP, &small);

	memcpy(pair.client->memory + pair.client->layout.ring, bytes, size);
	atomic_store(&pair.client->control->head, head);
	/* No more comes than what head promises: an acceptable lie ends the wait here. */
	pair.client = chan_free(pair.client);
	int r = chan_next(pair.worker, buffer);
	if (r == -EBADMSG)
		CHECK_EQ(chan_next(pair.worker, buffer), -EBADMSG); /* for good */
	pair_free(&pair);
	return r;
}

TEST(record_headers_are_checked)
{
	struct wire_record good = {.size = 24, .id = 99, .lane = 7};
	struct {
		struct wire_record header;
		uint64_t head;
		int r;
	} cases[] = {
	    {good, 24, 0}, {{.size = 16, .id = 99}, 16, 0},
	    {{.size = 32, .id = 99}, 24, -EBADMSG}, /* longer than what is published */
	    {{.size = 20, .id = 99}, 24, -EBADMSG}, /* not aligned */
	    {{.size = 0, .id = 99}, 24, -EBADMSG},  /* would not advance */
	    {{.size = 8, .id = 99}, 24, -EBADMSG},  /* half a header */
	    {{.size = WIRE_RECORD_MAX + 8, .id = 99}, 65536, -EBADMSG},
	    {{.size = 0xfffffff8, .id = 99}, 65536, -EBADMSG},
	    {{.size = 24, .id = 99, .lane = 8}, 24, -EBADMSG}, /* no such lane */
	    {{.size = 24, .id = 99, .lane = 65535}, 24, -EBADMSG},
	    {{.size = 24, .id = 99}, 20, -EBADMSG},		/* head not aligned */
	    {{.size = 24, .id = 99}, 65536 + 8, -EBADMSG},	/* head too far ahead */
	    {{.size = 24, .id = 99}, UINT64_MAX - 7, -EBADMSG}, /* head behind us */
	    {{.size = 0, .id = WIRE_ID_PAD}, 24, -EBADMSG},
	    {{.size = 4, .id = WIRE_ID_PAD}, 24, -EBADMSG},
	    {{.size = 24, .id = WIRE_ID_PAD}, 24, -ENOTCONN}, /* padding alone: nothing came */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_EQ(next_of(&cases[i].header, 16, cases[i].head), cases[i].r);
}

TEST(a_record_may_not_cross_the_end)
{
	struct pair pair = pair_new(OVER_LOOP, &small);
	struct wire_record crossing = {.size = 64, .id = 99};

	CHECK_EQ(post_count(pair.client, 0, 0, WIRE_RECORD_MAX - 16), 0);
	CHECK_EQ(post_count(pair.client, 0, 1, WIRE_RECORD_MAX - 16 - 32), 0);
	next(pair.worker);
	next(pair.worker);
	memcpy(
	    pair.client->memory + pair.client->layout.ring + REGION_RING_MIN - 32, &crossing, 16);
	atomic_store(&pair.client->control->head, REGION_RING_MIN + 32);
	CHECK_EQ(chan_next(pair.worker, buffer), -EBADMSG);
	pair_free(&pair);
}

TEST(head_may_not_go_back)
{
	struct pair pair = pair_new(OVER_LOOP, &small);

	CHECK_EQ(post_count(pair.client, 0, 0, 64), 0);
	next(pair.worker);
	atomic_store(&pair.client->control->head, 8);
	CHECK_EQ(chan_next(pair.worker, buffer), -EBADMSG);
	pair_free(&pair);
}

/* --- a worker that lies --- */

static void fill_with_tail(uint64_t tail, int wanted)
{
	struct pair pair = pair_new(OVER_LOOP, &small);

	atomic_store(&pair.client->control->tail, tail);
	CHECK_EQ(post_count(pair.client, 0, 0, WIRE_RECORD_MAX - 16), 0);
	CHECK_EQ(post_count(pair.client, 0, 1, WIRE_RECORD_MAX - 16), 0);
	CHECK_EQ(post_count(pair.client, 0, 2, 64), wanted);
	CHECK_EQ(post_count(pair.client, 0, 3, 64), wanted);
	pair_free(&pair);
}

TEST(tail_is_checked)
{
	fill_with_tail(1024, 0);
	fill_with_tail(REGION_RING_MIN + 8, -EBADMSG);
	fill_with_tail(UINT64_MAX, -EBADMSG);
}

TEST(tail_may_not_go_back)
{
	struct pair pair = pair_new(OVER_LOOP, &small);

	for (int i = 0; i < 3; i++) {
		CHECK_EQ(post_count(pair.client, 0, (uint64_t)i, WIRE_RECORD_MAX - 16), 0);
		next(pair.worker);
	}
	CHECK(pair.client->producer.tail > 64);
	atomic_store(&pair.client->control->tail, 64);
	CHECK_EQ(post_count(pair.client, 0, 3, WIRE_RECORD_MAX - 16), 0); /* need not look */
	CHECK_EQ(post_count(pair.client, 0, 4, 64), -EBADMSG);
	pair_free(&pair);
}

/* --- rest --- */

static void *stop_later(void *chan)
{
	struct timespec nap = {0, 30000000};

	nanosleep(&nap, NULL);
	chan_stop(chan);
	return NULL;
}

TEST(stop_ends_a_parked_worker)
{
	struct pair pair = pair_new(OVER_MEMFD, &small);
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, stop_later, pair.worker), 0);
	uint64_t start = clock_now_ns();
	CHECK_EQ(chan_next(pair.worker, buffer), -ENOTCONN);
	CHECK(clock_now_ns() - start < NSEC_PER_SEC);
	pthread_join(thread, NULL);
	CHECK_EQ(chan_next(pair.worker, buffer), -ENOTCONN);
	pair_free(&pair);
}

TEST(what_a_client_posted_before_it_went_is_served)
{
	struct pair pair = pair_new(OVER_MEMFD, &small);

	for (uint64_t i = 0; i < 10; i++)
		CHECK_EQ(post_count(pair.client, 0, i, 8), 0);
	pair.client = chan_free(pair.client);
	for (int i = 0; i < 10; i++)
		next(pair.worker);
	CHECK_EQ(chan_next(pair.worker, buffer), -ENOTCONN);
	pair_free(&pair);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

TEST(an_idle_worker_costs_nothing)
{
	struct pair pair = pair_start(OVER_MEMFD, &small, echo_worker);
	struct timespec nap = {0, 500000000};

	call_echo(pair.client, 0, 1, NULL, 0);
	uint64_t before = cpu_ns();
	nanosleep(&nap, NULL);
	CHECK(cpu_ns() - before < 2 * NSEC_PER_MSEC);
	pair_stop(&pair);
}

TEST(a_courtesy_does_not_wait)
{
	struct pair pair = pair_new(OVER_LOOP, &small);
	size_t posted = 0;
	int r;

	CHECK_EQ(chan_try_post(pair.client, 2, 55), 0);
	const struct wire_record *record = next(pair.worker);
	CHECK_EQ(record->id, 55);
	CHECK_EQ(record->lane, 2);
	CHECK_EQ(record->size, 16);
	while ((r = chan_try_post(pair.client, 2, 55)) == 0)
		posted++;
	CHECK_EQ(r, CHAN_BUSY);
	CHECK_EQ(posted, REGION_RING_MIN / 16);
	for (size_t i = 0; i < posted / 8; i++)
		CHECK_EQ(next(pair.worker)->id, 55);
	CHECK_EQ(chan_try_post(pair.client, 2, 55), 0); /* there is room again */
	atomic_store(&pair.client->producer.in_line, 1);
	CHECK_EQ(chan_try_post(pair.client, 2, 55), CHAN_BUSY); /* for those who wait for it */
	atomic_store(&pair.client->producer.in_line, 0);
	CHECK_EQ(chan_try_post(pair.client, 2, 55), 0);
	pair_free(&pair);
}

/* --- several records open at once --- */

/* Whether the worker finds something, which must then be the record of that number. */
static bool finds(struct pair *pair, uint64_t number)
{
	if (!chan_has_next(pair->worker))
		return false;
	CHECK_EQ(*(const uint64_t *)(next(pair->worker) + 1), number);
	return true;
}

static struct wire_writer open_count(struct pair *pair, uint16_t lane, uint64_t number)
{
	struct wire_writer w;
	uint32_t seq;

	CHECK_EQ(chan_begin(pair->client, lane, ECHO_COUNT, 0, 8, &w, &seq), 0);
	wire_put_u64(&w, number);
	return w;
}

TEST(a_record_waits_for_those_begun_before_it)
{
	struct pair pair = pair_new(OVER_LOOP, &small);
	struct wire_writer w[3];

	/* So often that places and their marks are used again, with pads at the ring's end. */
	for (uint64_t i = 0; i < REGION_RING_MIN / 8; i += 3) {
		for (uint16_t lane = 0; lane < 3; lane++)
			w[lane] = open_count(&pair, lane, i + lane);
		CHECK_EQ(chan_commit(pair.client, 2, &w[2]), 0);
		CHECK(!chan_has_next(pair.worker));
		CHECK_EQ(chan_commit(pair.client, 0, &w[0]), 0);
		CHECK(finds(&pair, i));
		CHECK(!chan_has_next(pair.worker));
		CHECK_EQ(chan_commit(pair.client, 1, &w[1]), 0);
		CHECK(finds(&pair, i + 1));
		CHECK(finds(&pair, i + 2));
		CHECK(!chan_has_next(pair.worker));
	}
	for (size_t i = 0; i < REGION_RING_MIN / 16; i++)
		CHECK_EQ(atomic_load(&pair.client->producer.marks[i]), 0);
	pair_free(&pair);
}

TEST(a_long_row_of_marks_is_published_at_once)
{
	struct chan_geometry wide = small;

	wide.lanes = 100;
	struct pair pair = pair_new(OVER_LOOP, &wide);
	struct wire_writer w[100];

	for (uint16_t lane = 0; lane < 100; lane++)
		w[lane] = open_count(&pair, lane, lane);
	for (uint16_t lane = 99; lane > 0; lane--)
		CHECK_EQ(chan_commit(pair.client, lane, &w[lane]), 0);
	CHECK(!chan_has_next(pair.worker));
	CHECK_EQ(chan_commit(pair.client, 0, &w[0]), 0);
	for (uint64_t i = 0; i < 100; i++)
		CHECK(finds(&pair, i));
	CHECK(!chan_has_next(pair.worker));
	pair_free(&pair);
}

/* As somebody finds it who was kept from running since he published. */
TEST(a_mark_of_another_round_is_not_taken)
{
	struct pair pair = pair_new(OVER_LOOP, &small);
	_Atomic uint64_t *mark = &pair.client->producer.marks[24 / 16];
	struct wire_writer w[2] = {open_count(&pair, 0, 0), open_count(&pair, 1, 1)};

	atomic_store(mark, REGION_RING_MIN + 48);
	CHECK_EQ(chan_commit(pair.client, 0, &w[0]), 0);
	CHECK_EQ(atomic_load(&pair.client->control->head), 24);
	CHECK_EQ(atomic_load(mark), REGION_RING_MIN + 48);
	atomic_store(mark, 0);
	CHECK_EQ(chan_commit(pair.client, 1, &w[1]), 0);
	CHECK_EQ(atomic_load(&pair.client->control->head), 48);
	CHECK(finds(&pair, 0));
	CHECK(finds(&pair, 1));
	pair_free(&pair);
}

TEST(what_has_a_place_is_sent)
{
	struct pair pair = pair_new(OVER_LOOP, &small);

	CHECK_EQ(post_count(pair.client, 0, 1, 8), 0);
	next(pair.worker);
	chan_publish_idle(pair.worker);
	CHECK(chan_is_idle(pair.client));
	struct wire_writer w = open_count(&pair, 0, 2);
	CHECK(!chan_is_idle(pair.client));
	CHECK_EQ(chan_commit(pair.client, 0, &w), 0);
	CHECK(!chan_is_idle(pair.client));
	pair_free(&pair);
}

/*
 * A call that returned in one thread comes before what another begins afterwards: each thread reads
 * a number that others have posted before, and posts one that is not less.
 */
struct causal {
	struct chan *client;
	_Atomic uint64_t posted;
};

static void *post_after_others(void *context)
{
	struct causal *causal = context;
	uint16_t lane;

	CHECK_EQ(chan_lane_take(causal->client, &lane), 0);
	for (uint64_t number = 0; number < 100000;) {
		number = atomic_load(&causal->posted) + 1;
		/* The number is posted by whoever is the first to make it known. */
		CHECK_EQ(post_count(causal->client, lane, number, 8), 0);
		uint64_t before = number - 1;
		atomic_compare_exchange_strong(&causal->posted, &before, number);
	}
	chan_lane_give(causal->client, lane);
	return NULL;
}

/* A number that comes was posted after number - 1 had been, so never before its first. */
static void *check_causes(void *worker)
{
	alignas(16) uint8_t record[WIRE_RECORD_MAX];
	uint64_t greatest = 0, number;
	int r;

	while ((r = chan_next(worker, record)) == 0) {
		memcpy(&number, record + sizeof(struct wire_record), sizeof(number));
		CHECK(number <= greatest + 1);
		greatest = MAX(greatest, number);
	}
	return (void *)(intptr_t)r;
}

TEST_LIMIT(threads_see_each_others_order, 120)
{
	struct pair pair = pair_start(OVER_LOOP, &small, check_causes);
	struct causal causal = {.client = pair.client};
	pthread_t threads[7];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, post_after_others, &causal), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	pair_stop(&pair);
}

/*
 * Short records from more threads than there are processors, so that the ring goes round many times
 * while one of them is kept from running in the middle of anything.
 */
static void *post_many(void *context)
{
	struct causal *flood = context;
	uint16_t lane;

	CHECK_EQ(chan_lane_take(flood->client, &lane), 0);
	for (uint64_t i = 0; i < 200000; i++)
		CHECK_EQ(post_count(flood->client, lane, i, 8), 0);
	call_echo(flood->client, lane, 1, NULL, 0);
	return NULL; /* it keeps the lane, whose numbers go on */
}

TEST_LIMIT(a_flood_of_many_threads_keeps_its_order, 120)
{
	struct pair pair = pair_start(OVER_MEMFD, &small, echo_worker);
	struct causal flood = {.client = pair.client};
	pthread_t threads[8];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, post_many, &flood), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	pair_stop(&pair);
}
