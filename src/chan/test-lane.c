/* Reply lanes: replies, their bounds, exhaustion, time-outs, errors of posted calls. */
#include <errno.h>
#include <stdalign.h>
#include <time.h>

#include "base/clock.h"
#include "base/test.h"
#include "chan/internal.h"
#include "chan/test-chan.h"

static const struct chan_geometry geometry = {.staging_size = 1 << 20, .lanes = 3, .functions = 4};

static alignas(16) uint8_t buffer[WIRE_RECORD_MAX];

/* Posts a waiting record, and lets the worker take it. */
static uint32_t ask(struct pair *pair, uint16_t lane)
{
	struct wire_writer w;
	uint32_t seq;

	CHECK_EQ(chan_begin(pair->client, lane, 77, WIRE_F_REPLY, 0, &w, &seq), 0);
	CHECK_EQ(chan_commit(pair->client, lane, &w), 0);
	CHECK_EQ(chan_next(pair->worker, buffer), 0);
	CHECK_EQ(((struct wire_record *)buffer)->seq, seq);
	return seq;
}

TEST(replies_carry_status_and_bytes)
{
	struct pair pair = pair_start(OVER_MEMFD, &geometry, echo_worker);
	uint8_t bytes[3000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	for (size_t size = 0; size < sizeof(bytes); size += 111)
		call_echo(pair.client, 2, size, bytes, size);
	pair_stop(&pair);
}

TEST(a_reply_fills_the_lane_and_not_more)
{
	struct pair pair = pair_new(OVER_LOOP, &geometry);
	uint8_t bytes[WIRE_LANE_SIZE] = {1};
	struct wire_reader r;
	uint32_t status;

	uint32_t seq = ask(&pair, 1);
	size_t room = chan_reply_room(pair.worker);
	struct wire_writer w = chan_reply_begin(pair.worker, 1);
	wire_put_raw(&w, bytes, room);
	CHECK(!w.failed);
	chan_reply_commit(pair.worker, 1, seq, 3, &w);
	CHECK_EQ(chan_wait(pair.client, 1, seq, 0, &status, &r), 0);
	CHECK_EQ(status, 3);
	CHECK_BYTES(wire_get_raw(&r, room), bytes, room);

	seq = ask(&pair, 1);
	w = chan_reply_begin(pair.worker, 1);
	wire_put_raw(&w, bytes, room + 1);
	CHECK(w.failed);
	chan_reply_commit(pair.worker, 1, seq, 4, &w);
	CHECK_EQ(chan_wait(pair.client, 1, seq, 0, &status, &r), 0);
	CHECK_EQ(status, 4);
	CHECK(r.at == r.end);
	pair_free(&pair);
}

TEST(a_reply_longer_than_its_lane_ends_the_channel)
{
	struct pair pair = pair_new(OVER_LOOP, &geometry);
	struct wire_reader r;
	uint32_t status;

	uint32_t seq = ask(&pair, 0);
	struct wire_writer w = chan_reply_begin(pair.worker, 0);
	chan_reply_commit(pair.worker, 0, seq, 0, &w);
	chan_lane(pair.worker, 0)->size = (uint32_t)chan_reply_room(pair.worker) + 1;
	CHECK_EQ(chan_wait(pair.client, 0, seq, 0, &status, &r), -EBADMSG);
	CHECK_EQ(chan_wait(pair.client, 0, seq, 0, &status, &r), -EBADMSG);
	CHECK(!chan_peer_alive(pair.client));
	pair_free(&pair);
}

/* The reader gives what was checked, whatever the worker does to the lane afterwards. */
TEST(a_reply_is_a_copy)
{
	struct pair pair = pair_new(OVER_LOOP, &geometry);
	struct wire_reader r;
	uint32_t status;

	uint32_t seq = ask(&pair, 0);
	struct wire_writer w = chan_reply_begin(pair.worker, 0);
	wire_put_u64(&w, 42);
	chan_reply_commit(pair.worker, 0, seq, 0, &w);
	CHECK_EQ(chan_wait(pair.client, 0, seq, 0, &status, &r), 0);
	memset(chan_lane(pair.worker, 0)->payload, 0xff, 8);
	CHECK_EQ(wire_get_u64(&r), 42);
	pair_free(&pair);
}

TEST(a_wait_can_time_out_and_be_repeated)
{
	struct pair pair = pair_new(OVER_MEMFD, &geometry);
	struct wire_reader r;
	uint32_t status;

	uint32_t seq = ask(&pair, 0);
	uint64_t start = clock_now_ns();
	CHECK_EQ(chan_wait(pair.client, 0, seq, 20 * NSEC_PER_MSEC, &status, &r), CHAN_TIMED_OUT);
	uint64_t took = clock_now_ns() - start;
	CHECK(took >= 20 * NSEC_PER_MSEC && took < 2 * NSEC_PER_SEC);
	struct wire_writer w = chan_reply_begin(pair.worker, 0);
	chan_reply_commit(pair.worker, 0, seq, 9, &w);
	CHECK_EQ(chan_wait(pair.client, 0, seq, 20 * NSEC_PER_MSEC, &status, &r), 0);
	CHECK_EQ(status, 9);
	pair_free(&pair);
}

/* A late answer to a call that was given up is not taken for the next one's. */
TEST(an_answer_to_another_call_is_not_taken)
{
	struct pair pair = pair_new(OVER_LOOP, &geometry);
	struct wire_reader r;
	uint32_t status;

	uint32_t first = ask(&pair, 0);
	CHECK_EQ(chan_wait(pair.client, 0, first, NSEC_PER_MSEC, &status, &r), CHAN_TIMED_OUT);
	uint32_t second = ask(&pair, 0);
	struct wire_writer w = chan_reply_begin(pair.worker, 0);
	chan_reply_commit(pair.worker, 0, first, 1, &w);
	CHECK_EQ(chan_wait(pair.client, 0, second, NSEC_PER_MSEC, &status, &r), CHAN_TIMED_OUT);
	w = chan_reply_begin(pair.worker, 0);
	chan_reply_commit(pair.worker, 0, second, 2, &w);
	CHECK_EQ(chan_wait(pair.client, 0, second, 0, &status, &r), 0);
	CHECK_EQ(status, 2);
	pair_free(&pair);
}

static void *give_later(void *context)
{
	struct timespec nap = {0, 30000000};

	nanosleep(&nap, NULL);
	chan_lane_give(context, 1);
	return NULL;
}

TEST(a_thread_waits_while_all_lanes_are_taken)
{
	struct pair pair = pair_new(OVER_MEMFD, &geometry);
	uint16_t lanes[4];
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		CHECK_EQ(chan_lane_take(pair.client, &lanes[i]), 0);
	CHECK(lanes[0] != lanes[1] && lanes[1] != lanes[2] && lanes[0] != lanes[2]);
	uint64_t start = clock_now_ns();
	CHECK_EQ(pthread_create(&thread, NULL, give_later, pair.client), 0);
	CHECK_EQ(chan_lane_take(pair.client, &lanes[3]), 0);
	CHECK(clock_now_ns() - start >= 25 * NSEC_PER_MSEC);
	CHECK_EQ(lanes[3], 1);
	pthread_join(thread, NULL);
	pair_free(&pair);
}

struct patient {
	struct chan *client;
	uint16_t lane;
	uint32_t seq;
	pthread_t thread;
};

static void *wait_patiently(void *argument)
{
	struct patient *patient = argument;
	struct wire_reader r;
	uint32_t status;

	CHECK_EQ(chan_wait(patient->client, patient->lane, patient->seq, 0, &status, &r), 0);
	CHECK_EQ(status, patient->lane);
	return NULL;
}

static unsigned parked(struct chan *chan)
{
	unsigned n = 0;

	for (uint16_t lane = 0; lane < 3; lane++)
		n += atomic_load(&chan_lane(chan, lane)->doorbell.state) == DOORBELL_PARKED;
	return n;
}

/* Three threads wait; at least `parks` of them park before they are answered. */
static void wait_together(struct pair *pair, unsigned parks)
{
	struct patient patients[3];
	struct wire_writer w = {0};

	for (uint16_t lane = 0; lane < 3; lane++) {
		patients[lane] = (struct patient){pair->client, lane, ask(pair, lane)};
		CHECK_EQ(
		    pthread_create(&patients[lane].thread, NULL, wait_patiently, &patients[lane]),
		    0);
	}
	while (parked(pair->worker) < parks)
		CHECK(atomic_load(&pair->client->seated) <= pair->client->seats);
	for (uint16_t lane = 0; lane < 3; lane++) {
		w = chan_reply_begin(pair->worker, lane);
		chan_reply_commit(pair->worker, lane, patients[lane].seq, lane, &w);
	}
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(pthread_join(patients[i].thread, NULL), 0);
	CHECK_EQ(atomic_load(&pair->client->seated), 0);
}

TEST(threads_that_wait_long_watch_while_there_are_seats)
{
	struct pair pair = pair_new(OVER_MEMFD, &geometry);

	pair.client->crowded = false;
	pair.client->n_cpus = UINT32_MAX;
	for (pair.client->seats = 3; pair.client->seats-- > 0;) {
		atomic_store(&pair.client->spin_budget[WAIT_REPLY], UINT32_MAX / 2);
		wait_together(&pair, 3 - pair.client->seats);
	}
	pair_free(&pair);
}

TEST(the_first_posted_error_stays_until_taken)
{
	struct pair pair = pair_new(OVER_MEMFD, &geometry);

	CHECK_EQ(chan_take_error(pair.client), 0);
	chan_post_error(pair.worker, 700);
	chan_post_error(pair.worker, 1);
	CHECK_EQ(chan_take_error(pair.client), 700);
	CHECK_EQ(chan_take_error(pair.client), 0);
	chan_post_error(pair.worker, 2);
	CHECK_EQ(chan_take_error(pair.client), 2);
	pair_free(&pair);
}

TEST(statistics_are_shared)
{
	struct pair pair = pair_new(OVER_MEMFD, &geometry);

	CHECK(!chan_stat(pair.client, 4));
	for (uint32_t row = 0; row < 4; row++) {
		atomic_fetch_add(&chan_stat(pair.client, row)->calls, row);
		atomic_fetch_add(&chan_stat(pair.worker, row)->messages, row + 1);
	}
	for (uint32_t row = 0; row < 4; row++) {
		CHECK_EQ(chan_stat(pair.worker, row)->calls, row);
		CHECK_EQ(chan_stat(pair.client, row)->messages, row + 1);
	}
	pair_free(&pair);
}
