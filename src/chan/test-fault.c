/* Accidents: lost and late wake-ups, a peer that dies, and a region whose every byte changes. */
#include <errno.h>
#include <sched.h>
#include <stdalign.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/test.h"
#include "chan/internal.h"
#include "chan/test-chan.h"

static const struct chan_geometry geometry = {
    .ring_size = REGION_RING_MIN, .staging_size = 4 * WIRE_CHUNK_SIZE, .lanes = 4};

/* A channel in a loop, each side behind its own accidents. No spinning: every wait parks. */
static struct pair faulty_pair(
    const struct fault_plan *client_plan, const struct fault_plan *worker_plan, uint64_t spin_ns)
{
	struct chan_end *client, *worker;
	struct pair pair = {0};

	CHECK_EQ(loop_ends_new(&geometry, &client, &worker), 0);
	CHECK_EQ(fault_end_new(client, client_plan, &client), 0);
	CHECK_EQ(fault_end_new(worker, worker_plan, &worker), 0);
	CHECK_EQ(chan_open(client, CHAN_CLIENT, NULL, spin_ns, &pair.client), 0);
	CHECK_EQ(chan_open(worker, CHAN_WORKER, &geometry, spin_ns, &pair.worker), 0);
	return pair;
}

static void exchange(struct pair *pair, int rounds)
{
	CHECK_EQ(pthread_create(&pair->thread, NULL, echo_worker, pair->worker), 0);
	for (int i = 0; i < rounds; i++) {
		call_echo(pair->client, 0, (uint64_t)i, "bytes", 5);
		CHECK_EQ(post_count(pair->client, 1, (uint64_t)i, 4096), 0);
		post_release(pair->client, 2, WIRE_CHUNK_SIZE, (uint8_t)i);
	}
	pair_stop(pair);
}

TEST(lost_wake_ups_only_delay)
{
	struct fault_plan plan = {.seed = 7, .drop_wakes = 200};
	struct pair pair = faulty_pair(&plan, &plan, 0);

	exchange(&pair, 40);
}

TEST(late_wake_ups_only_delay)
{
	struct fault_plan plan = {.seed = 8, .delay_wakes = 300, .delay_ns = NSEC_PER_MSEC};
	struct pair pair = faulty_pair(&plan, &plan, 0);

	exchange(&pair, 500);
}

/* A worker on another processor than the caller's, or they would take turns and never race. */
static void run_apart(pthread_t *thread, struct chan *worker)
{
	cpu_set_t all, one;
	int cpu = 0;

	CHECK_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
	if (CPU_COUNT(&all) < 2) {
		pthread_create(thread, NULL, echo_worker, worker);
		return;
	}
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CPU_CLR(cpu, &all);
	CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
	CHECK_EQ(pthread_create(thread, NULL, echo_worker, worker), 0);
	CHECK_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
}

/*
 * A park that lasts its whole slice and leaves the doorbell PARKED although there is news: that is
 * a lost wake-up, however busy the machine is.
 */
static struct chan_provider spied;
static void (*spied_park)(
    struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell, uint64_t timeout_ns);
static _Atomic unsigned n_lost;

static void spy_park(
    struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell, uint64_t timeout_ns)
{
	struct region_control *control = end->memory;
	uint64_t start = clock_now_ns();

	spied_park(end, site, doorbell, timeout_ns);
	if (clock_now_ns() - start >= timeout_ns && atomic_load(doorbell) == DOORBELL_PARKED &&
	    atomic_load(&control->head) != atomic_load(&control->tail))
		n_lost++;
}

static void spy_on(struct chan_end *end)
{
	spied = *end->provider;
	spied_park = spied.park;
	spied.park = spy_park;
	end->provider = &spied;
}

/*
 * A client that watches for its reply and calls again a moment later, each time another one, so
 * that some of its records come just while the worker, which parks at once, is on its way to sleep.
 */
TEST_LIMIT(no_wake_up_is_lost, 60)
{
	struct pair pair = pair_new(OVER_LOOP, &geometry);

	spy_on(pair.worker->end);
	pair.client->spin_ns = pair.client->spin_budget[WAIT_REPLY] = NSEC_PER_MSEC;
	pair.worker->spin_ns = pair.worker->spin_budget[WAIT_WORK] = 0;
	run_apart(&pair.thread, pair.worker);
	uint64_t end = clock_now_ns() + 5 * NSEC_PER_SEC;
	for (unsigned i = 0; i < 60000 && clock_now_ns() < end; i++) {
		for (volatile unsigned spin = i * 7919 % 401; spin; spin--)
			;
		call_echo(pair.client, 0, i, NULL, 0);
	}
	CHECK_EQ(n_lost, 0);
	pair_stop(&pair);
}

TEST(a_peer_that_dies_at_any_operation_is_noticed)
{
	for (uint64_t n = 1; n < 60; n++) {
		struct fault_plan dies = {.die_at = n}, lives = {0};
		struct pair pair = faulty_pair(&dies, &lives, 0);
		uint16_t lane = 0;
		int r = 0;

		CHECK_EQ(pthread_create(&pair.thread, NULL, echo_worker, pair.worker), 0);
		for (uint64_t i = 0; r == 0; i++) {
			struct wire_writer w;
			struct wire_reader reader;
			uint32_t seq, status;
			r = chan_begin(pair.client, lane, ECHO, WIRE_F_REPLY, 8, &w, &seq);
			if (r)
				break;
			wire_put_u64(&w, i);
			CHECK_EQ(chan_commit(pair.client, lane, &w), 0);
			r = chan_wait(pair.client, lane, seq, 0, &status, &reader);
			CHECK(r || status == (uint32_t)i);
		}
		CHECK_EQ(r, -ENOTCONN);
		pair_stop(&pair);
	}
}

TEST(a_killed_worker_is_noticed_at_any_operation)
{
	static const struct chan_geometry g = {.ring_size = REGION_RING_MIN, .lanes = 4};

	for (uint64_t n = 1; n < 10; n++) {
		struct fork_pair pair = fork_start(&g, echo_worker);
		struct fault_plan plan = {.die_at = n, .kill = pair.worker};
		struct wire_writer w;
		struct wire_reader reader;
		uint32_t seq, status;
		int r;

		CHECK_EQ(fault_end_new(pair.client->end, &plan, &pair.client->end), 0);
		pair.client->spin_ns = pair.client->spin_budget[WAIT_REPLY] = 0;
		do {
			r = chan_begin(pair.client, 0, ECHO, WIRE_F_REPLY, 8, &w, &seq);
			if (r)
				break;
			wire_put_u64(&w, 1);
			CHECK_EQ(chan_commit(pair.client, 0, &w), 0);
			r = chan_wait(pair.client, 0, seq, 0, &status, &reader);
		} while (r == 0);
		CHECK_EQ(r, -ENOTCONN);
		waitpid(pair.worker, NULL, 0);
		chan_free(pair.client);
	}
}

/* --- a region that changes under both sides --- */

static bool allowed(int r)
{
	return r == 0 || r == CHAN_TIMED_OUT || r == -EBADMSG || r == -ENOTCONN;
}

/*
 * Work of both sides in one thread; wherever one would have to wait, its peer counts as dead. The
 * region is disturbed at `step` of it by disturb(). Nothing may crash, hang or leave the region.
 * Returns how many rounds went well.
 */
static int disturbed_exchange(
    int step, void (*disturb)(struct pair *pair, void *context), void *context)
{
	alignas(16) static uint8_t buffer[WIRE_RECORD_MAX];
	struct fault_plan dead = {.die_at = 1};
	struct pair pair = faulty_pair(&dead, &dead, 0);
	struct wire_bulk run = {0};
	struct wire_reader reader;
	uint32_t status, seq = 1;
	void *memory;
	int well = 0;

	for (int i = 0; i < 12; i++) {
		if (i == step)
			disturb(&pair, context);
		CHECK(allowed(post_count(pair.client, 1, seq++, 56)));
		if (chan_staging_take(pair.client, 70000, &run, &memory) == 0) {
			memset(memory, 1, 70000);
			chan_staging_hand_over(pair.client, &run);
		}
		struct wire_record *record = (struct wire_record *)buffer;
		int r = chan_next(pair.worker, buffer);
		CHECK(allowed(r));
		if (r == 0) {
			CHECK(record->size >= 16 && record->size <= WIRE_RECORD_MAX);
			CHECK(record->lane < geometry.lanes);
			struct wire_writer w = chan_reply_begin(pair.worker, record->lane);
			wire_put_u64(&w, 1);
			chan_reply_commit(pair.worker, record->lane, record->seq, 0, &w);
		}
		chan_staging_release(pair.worker, &run);
		if (i == step)
			disturb(&pair, context);
		r = chan_wait(pair.client, 1, seq - 1, 1, &status, &reader);
		CHECK(allowed(r));
		well += r == 0;
		chan_take_error(pair.client);
	}
	pair_free(&pair);
	return well;
}

struct change {
	uint64_t offset;
	uint8_t with;
};

static void change_byte(struct pair *pair, void *context)
{
	struct change *change = context;

	pair->client->memory[change->offset] ^= change->with;
}

static void change_each(uint64_t begin, uint64_t end)
{
	static const uint8_t with[] = {0x01, 0x08, 0x80, 0xff};

	for (uint64_t offset = begin; offset < end; offset++)
		for (size_t i = 0; i < sizeof(with); i++)
			disturbed_exchange(
			    (int)(offset % 3) + 1, change_byte, &(struct change){offset, with[i]});
}

static struct region_layout layout(void)
{
	struct region_layout l;

	CHECK_EQ(region_layout(&geometry, &l), 0);
	return l;
}

TEST_LIMIT(any_byte_of_the_control_page_may_change, 120)
{
	change_each(0, sizeof(struct region_control));
}

TEST_LIMIT(any_byte_of_a_lane_may_change, 120)
{
	uint64_t lane = layout().lanes + WIRE_LANE_SIZE;

	change_each(lane, lane + 2 * CACHE_LINE + 16);
}

TEST_LIMIT(any_byte_of_the_ring_may_change, 120)
{
	change_each(layout().ring, layout().ring + 5 * 72);
}

TEST_LIMIT(any_release_counter_may_change, 120)
{
	change_each(layout().releases, layout().releases + 16);
}

static void nothing(struct pair *pair, void *unused)
{
}

/* The exchange itself goes well, or the tests above would show nothing. */
TEST(the_undisturbed_exchange_is_fine)
{
	CHECK_EQ(disturbed_exchange(0, nothing, NULL), 12);
}

TEST_LIMIT(random_changes_at_random_moments, 120)
{
	struct region_layout l = layout();
	alignas(16) static uint8_t buffer[WIRE_RECORD_MAX];

	for (uint64_t seed = 0; seed < 3000; seed++) {
		struct fault_plan plan = {.seed = seed,
		    .die_at = 1,
		    .corrupt = 300,
		    .corrupt_begin = seed % 2 ? l.lanes : 0,
		    .corrupt_end = seed % 2 ? l.ring + 512 : sizeof(struct region_control)};
		struct pair pair = faulty_pair(&plan, &plan, 0);
		struct wire_reader reader;
		uint32_t status;

		for (uint32_t i = 1; i < 20; i++) {
			CHECK(allowed(post_count(pair.client, 0, i, 24)));
			CHECK(allowed(chan_next(pair.worker, buffer)));
			CHECK(allowed(chan_wait(pair.client, 0, i, 1, &status, &reader)));
		}
		pair_free(&pair);
	}
}
