/* The staging area: runs, fragments, hand-over, attachments. */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/test.h"
#include "chan/internal.h"
#include "chan/test-chan.h"

#define CHUNKS 16
static const struct chan_geometry geometry = {
    .ring_size = REGION_RING_MIN, .staging_size = CHUNKS * WIRE_CHUNK_SIZE, .lanes = 8};

static struct wire_bulk take(struct chan *client, size_t chunks)
{
	struct wire_bulk run;
	void *memory;

	CHECK_EQ(chan_staging_take(client, chunks * WIRE_CHUNK_SIZE, &run, &memory), 0);
	CHECK_EQ(run.offset % WIRE_CHUNK_SIZE, 0);
	CHECK_EQ(run.size, chunks * WIRE_CHUNK_SIZE);
	CHECK(run.offset + run.size <= geometry.staging_size);
	return run;
}

TEST(sizes_are_bounded)
{
	struct pair pair = pair_new(OVER_LOOP, &geometry);
	struct wire_bulk run;
	void *memory;

	CHECK_EQ(chan_staging_largest(pair.client), geometry.staging_size / 2);
	CHECK_EQ(
	    chan_staging_take(pair.client, geometry.staging_size / 2 + 1, &run, &memory), -E2BIG);
	CHECK_EQ(chan_staging_take(pair.client, SIZE_MAX, &run, &memory), -E2BIG);
	CHECK_EQ(chan_staging_take(pair.client, geometry.staging_size / 2, &run, &memory), 0);
	chan_staging_give(pair.client, &run);
	CHECK_EQ(chan_staging_take(pair.client, 0, &run, &memory), 0);
	chan_staging_give(pair.client, &run);
	pair_free(&pair);
}

/* Random takes and gives against a map of who has what. */
TEST(runs_never_overlap)
{
	struct pair pair = pair_new(OVER_LOOP, &geometry);
	struct wire_bulk held[CHUNKS];
	uint8_t owned[CHUNKS] = {0};
	unsigned n_held = 0, n_owned = 0;

	srand(1);
	for (int i = 0; i < 20000; i++) {
		unsigned chunks = 1 + (unsigned)rand() % 4;
		/* Only what must fit even in the worst fragmentation, or the test would wait. */
		if (n_owned == 0 || (rand() % 2 && n_owned + chunks <= 6 && n_held < 2)) {
			struct wire_bulk run = take(pair.client, chunks);
			for (unsigned c = 0; c < chunks; c++) {
				CHECK_EQ(owned[run.offset / WIRE_CHUNK_SIZE + c], 0);
				owned[run.offset / WIRE_CHUNK_SIZE + c] = 1;
			}
			held[n_held++] = run;
			n_owned += chunks;
			continue;
		}
		unsigned which = (unsigned)rand() % n_held;
		memset(owned + held[which].offset / WIRE_CHUNK_SIZE, 0,
		    held[which].size / WIRE_CHUNK_SIZE);
		n_owned -= (unsigned)(held[which].size / WIRE_CHUNK_SIZE);
		chan_staging_give(pair.client, &held[which]);
		held[which] = held[--n_held];
	}
	pair_free(&pair);
}

TEST(fragments_join_again)
{
	struct pair pair = pair_new(OVER_LOOP, &geometry);
	struct wire_bulk runs[CHUNKS];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < CHUNKS; i++)
			runs[i] = take(pair.client, 1);
		for (int i = 0; i < CHUNKS; i += 2)
			chan_staging_give(pair.client, &runs[i]);
		for (int i = 1; i < CHUNKS; i += 2)
			chan_staging_give(pair.client, &runs[i]);
		struct wire_bulk half = take(pair.client, CHUNKS / 2);
		struct wire_bulk rest = take(pair.client, CHUNKS / 2);
		CHECK(half.offset != rest.offset);
		chan_staging_give(pair.client, &half);
		chan_staging_give(pair.client, &rest);
	}
	pair_free(&pair);
}

TEST(handed_over_runs_come_back_in_any_order)
{
	struct pair pair = pair_new(OVER_LOOP, &geometry);
	static const int orders[3][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}};

	for (int round = 0; round < 30; round++) {
		struct wire_bulk runs[4];
		for (int i = 0; i < 4; i++)
			runs[i] = take(pair.client, CHUNKS / 4);
		/* Before or after the client noted it: no difference. */
		if (round % 2)
			chan_staging_release(pair.worker, &runs[orders[round % 3][0]]);
		for (int i = 0; i < 4; i++)
			chan_staging_hand_over(pair.client, &runs[i]);
		for (int i = round % 2; i < 4; i++)
			chan_staging_release(pair.worker, &runs[orders[round % 3][i]]);
	}
	pair_free(&pair);
}

struct later {
	struct chan *chan;
	struct wire_bulk run;
	void (*free)(struct chan *chan, const struct wire_bulk *run);
};

static void *free_later(void *context)
{
	struct later *later = context;
	struct timespec nap = {0, 30000000};

	nanosleep(&nap, NULL);
	later->free(later->chan, &later->run);
	return NULL;
}

/* How long a take of half the area lasts while later->run is freed in 30 ms. */
static uint64_t take_takes(struct pair *pair, struct later *later)
{
	pthread_t thread;
	uint64_t start = clock_now_ns();

	CHECK_EQ(pthread_create(&thread, NULL, free_later, later), 0);
	struct wire_bulk run = take(pair->client, CHUNKS / 2);
	uint64_t took = clock_now_ns() - start;
	CHECK(took >= 25 * NSEC_PER_MSEC);
	CHECK_EQ(run.offset, later->run.offset);
	pthread_join(thread, NULL);
	return took;
}

/* Woken, not found by chance after a slice of sleep; one in three tries, on a busy machine. */
static void expect_wake(struct pair *pair, struct later *later, bool hand_over)
{
	int tries = 0;

	do {
		CHECK(tries++ < 3);
		if (hand_over)
			chan_staging_hand_over(pair->client, &later->run);
	} while (take_takes(pair, later) >= CHAN_PARK_SLICE_NS * 9 / 10);
}

TEST(a_take_waits_for_another_thread)
{
	struct pair pair = pair_new(OVER_MEMFD, &geometry);
	struct wire_bulk first = take(pair.client, CHUNKS / 2);

	take(pair.client, CHUNKS / 2);
	struct later later = {pair.client, first, chan_staging_give};
	expect_wake(&pair, &later, false);
	pair_free(&pair);
}

TEST(a_take_waits_for_the_worker)
{
	struct pair pair = pair_new(OVER_MEMFD, &geometry);
	struct wire_bulk first = take(pair.client, CHUNKS / 2);

	take(pair.client, CHUNKS / 2);
	struct later later = {pair.worker, first, chan_staging_release};
	expect_wake(&pair, &later, true);
	pair_free(&pair);
}

static void *churn(void *context)
{
	struct chan *client = context;
	uint16_t lane;

	CHECK_EQ(chan_lane_take(client, &lane), 0);
	for (size_t i = 0; i < 300; i++) {
		size_t size = (i * 37 % 8) * WIRE_CHUNK_SIZE + i;
		post_release(client, lane, MIN(size, chan_staging_largest(client)), (uint8_t)i);
	}
	call_echo(client, lane, 1, NULL, 0);
	chan_lane_give(client, lane);
	return NULL;
}

static void many_threads(enum medium medium)
{
	struct pair pair = pair_start(medium, &geometry, echo_worker);
	pthread_t threads[5];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, churn, pair.client), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	/* All of it came back. */
	take(pair.client, CHUNKS / 2);
	take(pair.client, CHUNKS / 2);
	pair_stop(&pair);
}

TEST_LIMIT(many_threads_share_the_area, 120)
{
	many_threads(OVER_MEMFD);
}

TEST_LIMIT(many_threads_share_the_area_in_a_loop, 120)
{
	many_threads(OVER_LOOP);
}

static uint64_t call_attached(struct chan *client, uint16_t lane)
{
	struct wire_writer w;
	struct wire_reader r;
	uint32_t seq, status;

	CHECK_EQ(
	    chan_begin(client, lane, ECHO_ATTACHED, WIRE_F_REPLY | WIRE_F_ATTACHED, 0, &w, &seq),
	    0);
	CHECK_EQ(chan_commit(client, lane, &w), 0);
	CHECK_EQ(chan_wait(client, lane, seq, 0, &status, &r), 0);
	return wire_get_u64(&r);
}

TEST(attachments_arrive_whole)
{
	struct pair pair = pair_start(OVER_MEMFD, &geometry, echo_worker);
	size_t size = 5 * geometry.staging_size + 12345;
	uint8_t *bytes = malloc(size);
	uint64_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += bytes[i] = (uint8_t)(i * i);
	CHECK_EQ(chan_attach(pair.client, 5, bytes, size), 0);
	CHECK_EQ(call_attached(pair.client, 5), sum);
	CHECK_EQ(chan_attach(pair.client, 5, bytes, 0), 0);
	CHECK_EQ(call_attached(pair.client, 5), 0);
	free(bytes);
	pair_stop(&pair);
}

TEST(bulk_replies_come_back)
{
	struct pair pair = pair_start(OVER_MEMFD, &geometry, echo_worker);
	struct wire_writer w;
	struct wire_reader r;
	struct wire_bulk run;
	uint32_t seq, status;
	uint8_t *memory;

	CHECK_EQ(chan_staging_take(pair.client, 100000, &run, (void **)&memory), 0);
	CHECK_EQ(chan_begin(pair.client, 0, ECHO_FILL, WIRE_F_REPLY, 16, &w, &seq), 0);
	wire_put_u64(&w, run.offset);
	wire_put_u64(&w, run.size);
	CHECK_EQ(chan_commit(pair.client, 0, &w), 0);
	CHECK_EQ(chan_wait(pair.client, 0, seq, 0, &status, &r), 0);
	for (size_t i = 0; i < 100000; i++)
		CHECK_EQ(memory[i], 0x5a);
	chan_staging_give(pair.client, &run);
	pair_stop(&pair);
}

TEST(the_worker_refuses_runs_outside_the_area)
{
	struct pair pair = pair_new(OVER_LOOP, &geometry);
	uint64_t area = geometry.staging_size;
	static const struct wire_bulk inside[] = {
	    {0, 0}, {0, CHUNKS * WIRE_CHUNK_SIZE}, {15 * WIRE_CHUNK_SIZE, WIRE_CHUNK_SIZE}};
	const struct wire_bulk outside[] = {
	    {1, 1},
	    {WIRE_CHUNK_SIZE, area},
	    {area, 0},
	    {area - WIRE_CHUNK_SIZE, WIRE_CHUNK_SIZE + 1},
	    {0, area + 1},
	    {0, UINT64_MAX},
	    {WIRE_CHUNK_SIZE, UINT64_MAX},
	    {UINT64_MAX & ~(WIRE_CHUNK_SIZE - 1ull), WIRE_CHUNK_SIZE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
		CHECK(chan_staging_memory(pair.worker, &inside[i]));
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
		CHECK(!chan_staging_memory(pair.worker, &outside[i]));
		chan_staging_release(pair.worker, &outside[i]); /* nothing happens */
	}
	pair_free(&pair);
}
