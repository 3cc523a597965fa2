/*
 * What the channel itself costs, between two processes over memfd: bench-chan [ROUNDS]. Prints the
 * median of several repetitions, in nanoseconds per call:
 *
 *	round trip    an empty call and its empty reply
 *	post          an empty posted record, the ring never full
 *	post, full    the same for so long that the ring is full and the worker sets the pace
 *	launch-like   posted records of 128 bytes, ring never full
 *	parked        a round trip that finds the worker asleep
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "chan/chan.h"

#define REPEAT	9
#define SPIN_NS 20000

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static _Noreturn void serve(int region, int side, const struct chan_geometry *geometry)
{
	static _Alignas(16) uint8_t buffer[WIRE_RECORD_MAX];
	const struct wire_record *record = (const struct wire_record *)buffer;
	struct chan *chan;

	if (chan_worker_attach(region, side, geometry, SPIN_NS, &chan) < 0)
		die("chan_worker_attach");
	while (chan_next(chan, buffer) == 0) {
		if (!(record->flags & WIRE_F_REPLY))
			continue;
		struct wire_writer w = chan_reply_begin(chan, record->lane);
		chan_reply_commit(chan, record->lane, record->seq, 0, &w);
	}
	_exit(EXIT_SUCCESS);
}

static uint32_t post(struct chan *chan, uint16_t flags, size_t payload)
{
	struct wire_writer w;
	uint32_t seq;

	if (chan_begin(chan, 0, 16, flags, payload, &w, &seq) < 0)
		die("chan_begin");
	for (size_t i = 0; i < payload; i += 8)
		wire_put_u64(&w, i);
	if (chan_commit(chan, 0, &w) < 0)
		die("chan_commit");
	return seq;
}

static void call(struct chan *chan)
{
	struct wire_reader r;
	uint32_t status;

	if (chan_wait(chan, 0, post(chan, WIRE_F_REPLY, 0), 0, &status, &r) != 0)
		die("chan_wait");
}

static double round_trip(struct chan *chan, unsigned rounds)
{
	uint64_t start = clock_now_ns();

	for (unsigned i = 0; i < rounds; i++)
		call(chan);
	return (double)(clock_now_ns() - start) / rounds;
}

/* Bursts of 1000, with a round trip outside the measurement between them. */
static double posted(struct chan *chan, unsigned rounds, size_t payload)
{
	uint64_t total = 0;

	for (unsigned burst = 0; burst < rounds / 1000; burst++) {
		call(chan);
		uint64_t start = clock_now_ns();
		for (unsigned i = 0; i < 1000; i++)
			post(chan, 0, payload);
		total += clock_now_ns() - start;
	}
	return (double)total / (rounds / 1000 * 1000);
}

static double post_empty(struct chan *chan, unsigned rounds)
{
	return posted(chan, rounds, 0);
}

static double post_launch(struct chan *chan, unsigned rounds)
{
	return posted(chan, rounds, 112);
}

static double post_full(struct chan *chan, unsigned rounds)
{
	uint64_t start = clock_now_ns();

	for (unsigned i = 0; i < 10 * rounds; i++)
		post(chan, 0, 0);
	return (double)(clock_now_ns() - start) / (10 * rounds);
}

static double parked(struct chan *chan, unsigned rounds)
{
	struct timespec nap = {0, 1000000};
	uint64_t total = 0;

	for (int i = 0; i < 50; i++) {
		nanosleep(&nap, NULL);
		uint64_t start = clock_now_ns();
		call(chan);
		total += clock_now_ns() - start;
	}
	return (double)total / 50;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const char *name, double (*run)(struct chan *chan, unsigned rounds),
    struct chan *chan, unsigned rounds)
{
	double results[REPEAT];

	for (int i = 0; i < REPEAT; i++)
		results[i] = run(chan, rounds);
	qsort(results, REPEAT, sizeof(*results), compare);
	printf("%-12s %9.0f ns   (best %.0f, worst %.0f)\n", name, results[REPEAT / 2], results[0],
	    results[REPEAT - 1]);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 20000;
	struct chan_geometry geometry = {0};
	int region, sides[2];
	struct chan *chan;
	uint64_t size;

	if (chan_region_create(&geometry, &region, &size) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sides) < 0)
		die("region");
	pid_t worker = fork();
	if (worker == 0) {
		close(sides[0]);
		serve(region, sides[1], &geometry);
	}
	close(sides[1]);
	if (chan_client_attach(region, sides[0], SPIN_NS, &chan) < 0)
		die("chan_client_attach");
	round_trip(chan, rounds);
	measure("round trip", round_trip, chan, rounds);
	measure("post", post_empty, chan, rounds);
	measure("post, full", post_full, chan, rounds);
	measure("launch-like", post_launch, chan, rounds);
	measure("parked", parked, chan, rounds);
	chan_free(chan);
	waitpid(worker, NULL, 0);
	return EXIT_SUCCESS;
}
