/*
 * Calls that only cross. A call that waits is timed by itself: the clock is read once between two,
 * so its 20 ns are in the figure. A posted call is too short for that: bursts of BURST are timed,
 * each into a ring the worker has emptied before; what an endless stream of them comes to, where
 * the ring is full and the worker sets the pace, is a figure of its own.
 */
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "path.h"
#include "samples.h"

#define SAMPLES_ROOM (1u << 20)
#define BURST	     64u
#define THREADS_MAX  64u

static void call(void)
{
	must(path->null_call(), "a call failed");
}

static void post(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		must(path->null_post(), "a posted call failed");
}

static void null_calls(struct samples *samples, uint64_t ms)
{
	uint64_t before = clock_now_ns(), end = before + ms * NSEC_PER_MSEC;

	while (before < end) {
		call();
		uint64_t now = clock_now_ns();
		samples_add(samples, (float)(now - before));
		before = now;
	}
}

static void bursts(struct samples *samples, uint64_t ms)
{
	uint64_t end = clock_now_ns() + ms * NSEC_PER_MSEC;

	for (;;) {
		uint64_t before = clock_now_ns();
		if (before >= end)
			return;
		post(BURST);
		samples_add(samples, (float)(clock_now_ns() - before) / BURST);
		call();
	}
}

/* How many were posted and done. */
static uint64_t stream(uint64_t ms)
{
	uint64_t end = clock_now_ns() + ms * NSEC_PER_MSEC, n = 0;

	for (; clock_now_ns() < end; n += BURST)
		post(BURST);
	call();
	return n;
}

static void answer_summary(const struct samples *samples, size_t n_sets)
{
	struct summary s = samples_summarise(samples, n_sets);

	printf("\"p50\":%.4f,\"p99\":%.4f,\"mean\":%.4f,\"max\":%.4f", s.p50_us, s.p99_us,
	    s.mean_us, s.max_us);
}

static void answer_count(uint64_t n, uint64_t start_ns, uint64_t end_ns)
{
	printf("\"calls\":%llu,\"from_ns\":%llu,\"to_ns\":%llu", (unsigned long long)n,
	    (unsigned long long)start_ns, (unsigned long long)end_ns);
}

void calls_null(uint64_t ms)
{
	struct samples samples;

	samples_init(&samples, SAMPLES_ROOM);
	uint64_t start = clock_now_ns();
	null_calls(&samples, ms);
	uint64_t end = clock_now_ns();
	printf("{");
	answer_summary(&samples, 1);
	printf(",");
	answer_count(samples.n, start, end);
	printf("}\n");
	samples_fini(&samples);
}

void calls_post(uint64_t ms)
{
	struct samples samples;

	samples_init(&samples, SAMPLES_ROOM);
	bursts(&samples, ms);
	printf("{");
	answer_summary(&samples, 1);
	printf("}\n");
	samples_fini(&samples);
}

void calls_stream(uint64_t ms)
{
	uint64_t start = clock_now_ns(), n = stream(ms);

	printf("{");
	answer_count(n, start, clock_now_ns());
	printf("}\n");
}

/* --- several threads --- */

struct team {
	pthread_barrier_t barrier;
	uint64_t ms;
};

struct member {
	struct team *team;
	pthread_t thread;
	struct samples samples;
	uint64_t n_posted;
};

static void *take_part(void *argument)
{
	struct member *member = argument;
	struct team *team = member->team;

	call(); /* the thread's lane is made */
	pthread_barrier_wait(&team->barrier);
	null_calls(&member->samples, team->ms / 2);
	pthread_barrier_wait(&team->barrier);
	pthread_barrier_wait(&team->barrier);
	member->n_posted = stream(team->ms - team->ms / 2);
	pthread_barrier_wait(&team->barrier);
	return NULL;
}

/* The starter is one more at each barrier, and takes the time between them. */
static double between_barriers(struct team *team)
{
	pthread_barrier_wait(&team->barrier);
	uint64_t start = clock_now_ns();
	pthread_barrier_wait(&team->barrier);
	return (double)(clock_now_ns() - start) / 1e9;
}

void calls_threads(unsigned n, uint64_t ms)
{
	struct team team = {.ms = ms};
	struct member members[THREADS_MAX] = {0};
	struct samples samples[THREADS_MAX];
	uint64_t calls = 0, posts = 0;

	if (n < 1 || n > THREADS_MAX)
		give_up("%u threads are too few or too many", n);
	pthread_barrier_init(&team.barrier, NULL, n + 1);
	for (unsigned i = 0; i < n; i++) {
		members[i].team = &team;
		samples_init(&members[i].samples, SAMPLES_ROOM / n);
		if (pthread_create(&members[i].thread, NULL, take_part, &members[i]))
			give_up("thread %u of %u cannot be started", i, n);
	}
	double call_s = between_barriers(&team);
	double post_s = between_barriers(&team);
	for (unsigned i = 0; i < n; i++) {
		pthread_join(members[i].thread, NULL);
		samples[i] = members[i].samples;
		calls += samples[i].n;
		posts += members[i].n_posted;
	}
	printf("{");
	answer_summary(samples, n);
	printf(",\"calls_per_s\":%.0f,\"posts_per_s\":%.0f}\n", (double)calls / call_s,
	    (double)posts / post_s);
	for (unsigned i = 0; i < n; i++)
		samples_fini(&samples[i]);
	pthread_barrier_destroy(&team.barrier);
}
