/*
 * Waits that the GPU answers: where only what is waited for is unfinished, and nowhere else; with
 * errors, long waits and the next call as without.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "worker/test-client.h"

static const struct worker_options patient = {.arena = true,
    .quiet_waits = true,
    .known_idle = true,
    .gpu_answers = true,
    .await_ns = 60 * NSEC_PER_SEC};

struct program {
	struct test_client client;
	CUfunction function;
	CUstream streams[2];
};

static uint32_t pass(struct program *p)
{
	struct args_cuCtxSynchronize a = {0};

	return CALL(&p->client, cuCtxSynchronize, &a);
}

/* Nothing is unfinished, and the worker knows. */
static struct program begin(const struct worker_options *options)
{
	struct program p = {.client = client_start(options)};

	p.function = client_function(&p.client);
	for (uint32_t i = 0; i < 2; i++)
		p.streams[i] = client_stream(&p.client, i + 1);
	CHECK_EQ(pass(&p), CUDA_SUCCESS);
	return p;
}

static uint32_t query(struct program *p, CUstream stream)
{
	struct args_cuStreamQuery a = {.stream = stream};

	return CALL(&p->client, cuStreamQuery, &a);
}

static void *synchronise(void *argument)
{
	struct program *p = argument;
	struct args_cuStreamSynchronize a = {.stream = p->streams[0]};

	return (void *)(uintptr_t)CALL(&p->client, cuStreamSynchronize, &a);
}

/* A launch into the first stream, and a wait for it on a thread of its own. */
struct waiting {
	struct program program;
	pthread_t thread;
};

static void start(struct waiting *waiting, struct program *p)
{
	waiting->program = *p;
	waiting->program.client = client_lane(&p->client);
	client_launch(&waiting->program.client, p->function, p->streams[0]);
	CHECK_EQ(pthread_create(&waiting->thread, NULL, synchronise, &waiting->program), 0);
}

static uint32_t result_of(struct waiting *waiting)
{
	void *result;

	CHECK_EQ(pthread_join(waiting->thread, &result), 0);
	return (uint32_t)(uintptr_t)result;
}

static void until_more(_Atomic unsigned *counter, unsigned than)
{
	uint64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;

	while (atomic_load(counter) <= than) {
		CHECK(clock_now_ns() < end);
		usleep(100);
	}
}

TEST(the_gpu_answers_for_the_only_busy_stream)
{
	struct program p = begin(&patient);
	struct waiting waiting;

	for (unsigned i = 0; i < 3; i++) {
		fake_hold();
		start(&waiting, &p);
		until_more(&fake.words, i);
		fake_release();
		CHECK_EQ(result_of(&waiting), CUDA_SUCCESS);
		/* To the driver something may be in the stream yet. */
		fake_hold();
		CHECK_EQ(query(&p, p.streams[0]), CUDA_SUCCESS);
		fake_release();
	}
	CHECK(chan_is_idle(p.client.pair.client));
	client_stop(&p.client, NULL);
}

TEST(the_gpu_does_not_answer_where_more_is_unfinished)
{
	struct program p = begin(&patient);
	struct waiting waiting;

	fake_hold();
	client_launch(&p.client, p.function, p.streams[1]);
	start(&waiting, &p);
	until_more(&fake.queries, atomic_load(&fake.queries));
	fake_release();
	CHECK_EQ(result_of(&waiting), CUDA_SUCCESS);
	CHECK_EQ(fake.words, 0);
	client_stop(&p.client, NULL);
}

/* What came into the stream behind the word is not done with it. */
TEST(later_work_is_unfinished_yet)
{
	struct program p = begin(&patient);
	struct waiting waiting;

	fake_hold();
	start(&waiting, &p);
	until_more(&fake.words, 0);
	client_launch(&p.client, p.function, p.streams[0]);
	CHECK_EQ(query(&p, p.streams[0]), CUDA_ERROR_NOT_READY);
	fake_release();
	CHECK_EQ(result_of(&waiting), CUDA_SUCCESS);
	fake_hold();
	CHECK_EQ(query(&p, p.streams[0]), CUDA_ERROR_NOT_READY);
	fake_release();
	CHECK_EQ(query(&p, p.streams[0]), CUDA_SUCCESS);
	client_stop(&p.client, NULL);
}

TEST(errors_come_all_the_same)
{
	struct program p = begin(&patient);
	struct waiting waiting;

	fake_hold();
	start(&waiting, &p);
	until_more(&fake.words, 0);
	fake.fail_with = CUDA_ERROR_LAUNCH_FAILED;
	atomic_store(&fake.fail_in, 0);
	CHECK_EQ(result_of(&waiting), CUDA_ERROR_LAUNCH_FAILED);
	fake_release();
	client_stop(&p.client, NULL);
}

TEST(a_backend_that_cannot_is_not_asked_twice)
{
	struct program p = begin(&patient);
	struct waiting waiting;

	fake.no_words = true;
	for (unsigned i = 0; i < 3; i++) {
		start(&waiting, &p);
		CHECK_EQ(result_of(&waiting), CUDA_SUCCESS);
	}
	CHECK_EQ(fake.words, 1);
	client_stop(&p.client, NULL);
}

TEST(long_waits_go_to_waiters)
{
	struct worker_options options = patient;

	options.await_ns = NSEC_PER_MSEC;
	struct program p = begin(&options);
	struct waiting waiting;

	fake_hold();
	start(&waiting, &p);
	while (!fake_waiting())
		usleep(100);
	fake_release();
	CHECK_EQ(result_of(&waiting), CUDA_SUCCESS);
	/* The lane's next answers are its own. */
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(query(&waiting.program, p.streams[0]), CUDA_SUCCESS);
	client_stop(&p.client, NULL);
}

TEST(the_setting_turns_it_off)
{
	struct worker_options options = patient;

	options.gpu_answers = false;
	struct program p = begin(&options);
	struct waiting waiting;

	start(&waiting, &p);
	CHECK_EQ(result_of(&waiting), CUDA_SUCCESS);
	CHECK_EQ(fake.words, 0);
	client_stop(&p.client, NULL);
}
