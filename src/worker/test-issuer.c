/*
 * Launches beside the dispatcher: several streams at the same time, each in its order, and whatever
 * else the client asks for after them; errors, waits, captures and the end of the session as
 * without.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "worker/test-client.h"

#define STREAMS 6
#define MANY	400 /* launches: enough for the dispatcher to see that streams alternate */

static const struct worker_options three = {.arena = true, .known_idle = true, .issuers = 3};

/* What on_launch() has seen. */
static struct {
	pthread_mutex_t lock;
	CUstream stream[STREAMS];
	unsigned last[STREAMS], n, out_of_order, threads;
	pthread_t thread[8];
	unsigned usec, meet, inside, most_inside;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock. */
static void note_thread(void)
{
	for (unsigned i = 0; i < seen.threads; i++)
		if (pthread_equal(seen.thread[i], pthread_self()))
			return;
	CHECK(seen.threads < 8);
	seen.thread[seen.threads++] = pthread_self();
}

/* Under the lock. */
static void note_order(CUstream stream, unsigned grid_x)
{
	unsigned i = 0;

	while (i < STREAMS && seen.stream[i] && seen.stream[i] != stream)
		i++;
	CHECK(i < STREAMS);
	seen.stream[i] = stream;
	seen.out_of_order += grid_x != seen.last[i] + 1;
	seen.last[i] = grid_x;
	seen.n++;
}

static unsigned inside_now(void)
{
	pthread_mutex_lock(&seen.lock);
	unsigned inside = seen.inside;
	pthread_mutex_unlock(&seen.lock);
	return inside;
}

static CUresult on_launch(CUstream stream, unsigned grid_x)
{
	uint64_t end = clock_now_ns() + NSEC_PER_SEC;

	pthread_mutex_lock(&seen.lock);
	note_thread();
	seen.inside++;
	seen.most_inside = MAX(seen.most_inside, seen.inside);
	unsigned usec = seen.usec, meet = seen.meet;
	pthread_mutex_unlock(&seen.lock);
	if (usec)
		usleep(usec);
	while (inside_now() < meet && clock_now_ns() < end)
		usleep(10);
	pthread_mutex_lock(&seen.lock);
	if (!meet)
		seen.inside--;
	note_order(stream, grid_x);
	pthread_mutex_unlock(&seen.lock);
	return CUDA_SUCCESS;
}

static CUresult fail(CUstream stream, unsigned grid_x)
{
	return CUDA_ERROR_LAUNCH_FAILED;
}

static unsigned launches_seen(void)
{
	pthread_mutex_lock(&seen.lock);
	unsigned n = seen.n;
	pthread_mutex_unlock(&seen.lock);
	return n;
}

static uint64_t mint(enum handle_kind kind, uint32_t index)
{
	return handle_id(false, kind, 1, index);
}

static CUstream new_stream(struct test_client *t, uint32_t index)
{
	uint64_t stream = mint(HANDLE_STREAM, index);
	struct args_cuStreamCreate create = {.stream = (CUstream *)&stream};

	POST(t, cuStreamCreate, &create);
	return (CUstream)mint(HANDLE_STREAM, index);
}

struct program {
	struct test_client client;
	CUfunction function;
	CUstream streams[STREAMS];
	unsigned launches[STREAMS];
};

static struct program begin(const struct worker_options *options)
{
	struct program p = {.client = client_start(options)};

	p.function = client_function(&p.client);
	for (uint32_t i = 0; i < STREAMS; i++)
		p.streams[i] = new_stream(&p.client, i + 1);
	fake.on_launch = on_launch;
	return p;
}

static void launch_into(struct program *p, unsigned stream)
{
	struct args_cuLaunchKernel launch = {.function = p->function,
	    .stream = p->streams[stream],
	    .block_x = 1,
	    .grid_x = ++p->launches[stream]};

	POST(&p->client, cuLaunchKernel, &launch);
}

/* n launches, in all streams in turn, numbered in each. */
static void launch(struct program *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		launch_into(p, i % STREAMS);
}

/* A call that the dispatcher serves itself, after what came before. */
static void pass(struct program *p)
{
	struct args_cuCtxSynchronize a = {0};

	CHECK_EQ(CALL(&p->client, cuCtxSynchronize, &a), CUDA_SUCCESS);
}

static uint32_t synchronise(struct program *p, unsigned stream)
{
	struct args_cuStreamSynchronize a = {.stream = p->streams[stream]};

	return CALL(&p->client, cuStreamSynchronize, &a);
}

TEST(issuers_work_side_by_side)
{
	struct program p = begin(&three);

	launch(&p, MANY);
	pass(&p);
	seen.meet = 3; /* each launch now waits for two others */
	launch(&p, 3);
	pass(&p);
	CHECK(seen.most_inside >= 3);
	CHECK_EQ(seen.out_of_order, 0);
	client_stop(&p.client, NULL);
}

TEST(issuers_keep_each_stream_in_order)
{
	struct program p = begin(&three);

	launch(&p, 20 * MANY);
	pass(&p);
	CHECK_EQ(launches_seen(), 20 * MANY);
	CHECK_EQ(seen.out_of_order, 0);
	CHECK(seen.threads > 1);
	client_stop(&p.client, NULL);
}

/* The first and the fourth of six streams are the same issuer's at first. */
TEST(issuers_share_what_streams_are_busy)
{
	struct program p = begin(&three);

	launch(&p, MANY);
	pass(&p);
	for (unsigned i = 0; i < 2 * MANY; i++) {
		launch_into(&p, i % 2 ? 3 : 0);
		if (i % 3 == 0)
			CHECK_EQ(synchronise(&p, i % 2 ? 3 : 0), CUDA_SUCCESS);
	}
	pass(&p);
	seen.threads = 0;
	launch_into(&p, 0);
	launch_into(&p, 3);
	pass(&p);
	CHECK_EQ(seen.threads, 2);
	CHECK_EQ(seen.out_of_order, 0);
	client_stop(&p.client, NULL);
}

TEST(issuers_are_done_before_any_other_call)
{
	struct program p = begin(&three);

	launch(&p, MANY);
	pass(&p);
	seen.usec = 300;
	for (unsigned i = 1; i <= 20; i++) {
		launch(&p, 2 * STREAMS);
		pass(&p);
		CHECK_EQ(launches_seen(), MANY + i * 2 * STREAMS);
	}
	client_stop(&p.client, NULL);
}

TEST(issuers_have_waits_come_after_launches)
{
	struct program p = begin(&three);

	launch(&p, MANY);
	pass(&p);
	seen.usec = 300;
	for (unsigned i = 0; i < 4 * STREAMS; i++) {
		launch(&p, 2 * STREAMS);
		CHECK_EQ(synchronise(&p, i % STREAMS), CUDA_SUCCESS);
		pthread_mutex_lock(&seen.lock);
		unsigned last = seen.last[i % STREAMS]; /* they were first seen in this order */
		pthread_mutex_unlock(&seen.lock);
		CHECK_EQ(last, p.launches[i % STREAMS]);
	}
	pass(&p);
	CHECK_EQ(seen.out_of_order, 0);
	client_stop(&p.client, NULL);
}

struct thread {
	struct program program;
	unsigned stream;
	pthread_t thread;
};

static void *launch_and_wait(void *argument)
{
	struct thread *thread = argument;
	struct program *p = &thread->program;

	for (unsigned i = 0; i < MANY; i++) {
		launch_into(p, thread->stream);
		CHECK_EQ(synchronise(p, thread->stream), CUDA_SUCCESS);
	}
	return NULL;
}

TEST(issuers_serve_threads_that_wait)
{
	struct program p = begin(&three);
	struct thread threads[STREAMS];

	for (unsigned i = 0; i < STREAMS; i++) {
		threads[i] = (struct thread){.program = p, .stream = i};
		threads[i].program.client = client_lane(&p.client);
		CHECK_EQ(pthread_create(&threads[i].thread, NULL, launch_and_wait, &threads[i]), 0);
	}
	for (unsigned i = 0; i < STREAMS; i++)
		CHECK_EQ(pthread_join(threads[i].thread, NULL), 0);
	pass(&p);
	CHECK_EQ(launches_seen(), STREAMS * MANY);
	CHECK_EQ(seen.out_of_order, 0);
	client_stop(&p.client, NULL);
}

static void *wait_for_a_stream(void *argument)
{
	struct thread *thread = argument;

	return (void *)(uintptr_t)synchronise(&thread->program, thread->stream);
}

/* The GPU is held until the wait has come to a waiter, or to the end of a capture's patience. */
static void wait_long(struct program *p, bool capture)
{
	struct thread thread = {.program = *p, .stream = 0};
	struct args_cuStreamBeginCapture_v2 begin_capture = {
	    .stream = p->streams[1], .mode = CU_STREAM_CAPTURE_MODE_RELAXED};
	uint64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;
	void *result;

	launch(p, MANY);
	thread.program.client = client_lane(&p->client);
	fake_hold();
	CHECK_EQ(pthread_create(&thread.thread, NULL, wait_for_a_stream, &thread), 0);
	while (capture && atomic_load(&fake.queries) < 10)
		CHECK(clock_now_ns() < end);
	if (capture)
		CALL(&p->client, cuStreamBeginCapture_v2, &begin_capture);
	while (!fake_waiting())
		CHECK(clock_now_ns() < end);
	launch(p, STREAMS); /* nobody waits for the waiter */
	fake_release();
	CHECK_EQ(pthread_join(thread.thread, &result), 0);
	CHECK_EQ((uintptr_t)result, CUDA_SUCCESS);
	pass(p);
	CHECK_EQ(seen.out_of_order, 0);
}

TEST(issuers_hand_long_waits_to_waiters)
{
	struct worker_options options = three;

	options.await_ns = NSEC_PER_MSEC;
	struct program p = begin(&options);
	wait_long(&p, false);
	client_stop(&p.client, NULL);
}

TEST(issuers_ask_nothing_during_captures)
{
	struct worker_options options = three;

	options.await_ns = 60 * NSEC_PER_SEC;
	struct program p = begin(&options);
	wait_long(&p, true);
	client_stop(&p.client, NULL);
}

TEST(issuers_tell_errors)
{
	struct program p = begin(&three);

	launch(&p, MANY);
	pass(&p);
	fake.on_launch = fail;
	launch(&p, STREAMS);
	pass(&p);
	CHECK_EQ(chan_take_error(p.client.pair.client), CUDA_ERROR_LAUNCH_FAILED);
	client_stop(&p.client, NULL);
}

TEST(issuers_stay_out_where_one_stream_is_busy)
{
	struct program p = begin(&three);

	for (unsigned i = 1; i < STREAMS; i++)
		p.streams[i] = p.streams[0];
	for (unsigned i = 0; i < MANY; i++)
		launch_into(&p, 0);
	pass(&p);
	CHECK_EQ(seen.threads, 1);
	CHECK_EQ(seen.out_of_order, 0);
	client_stop(&p.client, NULL);
}

static unsigned threads_of(struct program *p, unsigned n)
{
	seen.threads = 0;
	for (unsigned i = 0; i < n; i++) {
		launch_into(p, 0);
		CHECK_EQ(synchronise(p, 0), CUDA_SUCCESS);
	}
	pass(p);
	return seen.threads;
}

TEST(issuers_leave_a_thread_alone_that_waits)
{
	struct program p = begin(&three);

	launch(&p, MANY);
	pass(&p);
	CHECK_EQ(threads_of(&p, 40), 2); /* an issuer first, and then */
	pthread_t last = seen.thread[1];
	CHECK_EQ(threads_of(&p, 40), 1); /* the dispatcher */
	CHECK(pthread_equal(last, seen.thread[0]));
	launch(&p, MANY);
	pass(&p);
	CHECK(seen.threads > 1);
	CHECK_EQ(seen.out_of_order, 0);
	client_stop(&p.client, NULL);
}

TEST(issuers_can_be_none)
{
	struct worker_options options = three;

	options.issuers = 0;
	struct program p = begin(&options);
	launch(&p, MANY);
	pass(&p);
	CHECK_EQ(seen.threads, 1);
	CHECK_EQ(launches_seen(), MANY);
	client_stop(&p.client, NULL);
}

TEST(issuers_end_with_the_session)
{
	struct program p = begin(&three);

	seen.usec = 100;
	launch(&p, MANY);
	client_stop(&p.client, NULL);
}
