/* See test-chan.h. */
#include "chan/test-chan.h"

#include <errno.h>
#include <stdalign.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

static void attach_memfd(const struct chan_geometry *geometry, struct pair *pair)
{
	int region, sides[2];
	uint64_t size;

	CHECK_EQ(chan_region_create(geometry, &region, &size), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sides), 0);
	CHECK_EQ(chan_client_attach(dup(region), sides[0], SPIN_NS, &pair->client), 0);
	CHECK_EQ(chan_worker_attach(region, sides[1], geometry, SPIN_NS, &pair->worker), 0);
}

struct pair pair_new(enum medium medium, const struct chan_geometry *geometry)
{
	struct chan_end *client, *worker;
	struct pair pair = {0};

	if (medium == OVER_MEMFD) {
		attach_memfd(geometry, &pair);
		return pair;
	}
	CHECK_EQ(loop_ends_new(geometry, &client, &worker), 0);
	CHECK_EQ(chan_open(client, CHAN_CLIENT, NULL, SPIN_NS, &pair.client), 0);
	CHECK_EQ(chan_open(worker, CHAN_WORKER, geometry, SPIN_NS, &pair.worker), 0);
	return pair;
}

void pair_free(struct pair *pair)
{
	pair->client = chan_free(pair->client);
	pair->worker = chan_free(pair->worker);
}

struct pair pair_start(
    enum medium medium, const struct chan_geometry *geometry, void *(*serve)(void *chan))
{
	struct pair pair = pair_new(medium, geometry);

	CHECK_EQ(pthread_create(&pair.thread, NULL, serve, pair.worker), 0);
	return pair;
}

void pair_stop(struct pair *pair)
{
	void *result;

	pair->client = chan_free(pair->client);
	CHECK_EQ(pthread_join(pair->thread, &result), 0);
	CHECK_EQ((intptr_t)result, -ENOTCONN);
	pair->worker = chan_free(pair->worker);
}

static _Noreturn void run_worker(
    int region, int side, const struct chan_geometry *geometry, void *(*serve)(void *chan))
{
	struct chan *chan;

	CHECK_EQ(chan_worker_attach(region, side, geometry, SPIN_NS, &chan), 0);
	CHECK_EQ((intptr_t)serve(chan), -ENOTCONN);
	chan_free(chan);
	fflush(stdout);
	_exit(EXIT_SUCCESS);
}

struct fork_pair fork_start(const struct chan_geometry *geometry, void *(*serve)(void *chan))
{
	struct fork_pair pair;
	int region, sides[2];
	uint64_t size;

	CHECK_EQ(chan_region_create(geometry, &region, &size), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sides), 0);
	pair.worker = fork();
	CHECK(pair.worker >= 0);
	if (pair.worker == 0) {
		close(sides[0]);
		alarm(TEST_TIMEOUT_S);
		run_worker(region, sides[1], geometry, serve);
	}
	close(sides[1]);
	CHECK_EQ(chan_client_attach(region, sides[0], SPIN_NS, &pair.client), 0);
	return pair;
}

void fork_stop(struct fork_pair *pair)
{
	int status;

	pair->client = chan_free(pair->client);
	CHECK_EQ(waitpid(pair->worker, &status, 0), pair->worker);
	CHECK_EQ(status, 0);
}

/* --- the worker --- */

#define LANES 64

struct echo {
	struct chan *chan;
	uint64_t counted[LANES]; /* per lane: the next number of ECHO_COUNT */
	uint64_t sum[LANES];	 /* per lane: of the attached bytes */
};

static struct wire_bulk get_bulk(struct wire_reader *r)
{
	uint64_t offset = wire_get_u64(r);

	return (struct wire_bulk){offset, wire_get_u64(r)};
}

static void attach(struct echo *echo, const struct wire_record *record, struct wire_reader *r)
{
	struct wire_bulk run = get_bulk(r);
	const uint8_t *memory = chan_staging_memory(echo->chan, &run);

	CHECK(memory);
	for (size_t i = 0; i < run.size; i++)
		echo->sum[record->lane] += memory[i];
	chan_staging_release(echo->chan, &run);
}

static void release(struct echo *echo, struct wire_reader *r)
{
	struct wire_bulk run = get_bulk(r);
	const uint8_t *memory = chan_staging_memory(echo->chan, &run);

	CHECK(memory);
	for (size_t i = 1; i < run.size; i++)
		CHECK_EQ(memory[i], memory[0]);
	chan_staging_release(echo->chan, &run);
}

static uint32_t answer(struct echo *echo, const struct wire_record *record, struct wire_reader *r,
    struct wire_writer *w)
{
	struct wire_bulk run;

	switch (record->id) {
	case ECHO:
		wire_put_raw(w, r->at, (size_t)(r->end - r->at));
		return (uint32_t)wire_get_u64(r);
	case ECHO_ATTACHED:
		CHECK(record->flags & WIRE_F_ATTACHED);
		wire_put_u64(w, echo->sum[record->lane]);
		echo->sum[record->lane] = 0;
		return 0;
	case ECHO_FILL:
		run = get_bulk(r);
		CHECK(chan_staging_memory(echo->chan, &run));
		memset(chan_staging_memory(echo->chan, &run), 0x5a, run.size);
		return 0;
	}
	test_fail(__FILE__, __LINE__, "record of function %u", record->id);
}

static void serve(struct echo *echo, const struct wire_record *record)
{
	struct wire_reader r = wire_reader(record + 1, record->size - sizeof(*record));

	switch (record->id) {
	case WIRE_ID_ATTACH:
		attach(echo, record, &r);
		return;
	case ECHO_COUNT:
		CHECK_EQ(wire_get_u64(&r), echo->counted[record->lane]++);
		return;
	case ECHO_RELEASE:
		release(echo, &r);
		return;
	}
	struct wire_writer w = chan_reply_begin(echo->chan, record->lane);
	uint32_t status = answer(echo, record, &r, &w);
	CHECK(!r.failed && !w.failed);
	chan_reply_commit(echo->chan, record->lane, record->seq, status, &w);
}

void *echo_worker(void *chan)
{
	struct echo echo = {.chan = chan};
	alignas(16) uint8_t buffer[WIRE_RECORD_MAX];
	int r;

	while ((r = chan_next(chan, buffer)) == 0)
		serve(&echo, (const struct wire_record *)buffer);
	return (void *)(intptr_t)r;
}

/* --- the client --- */

void call_echo(struct chan *client, uint16_t lane, uint64_t number, const void *bytes, size_t size)
{
	struct wire_writer w;
	struct wire_reader r;
	uint32_t seq, status;

	CHECK_EQ(
	    chan_begin(client, lane, ECHO, WIRE_F_REPLY, 8 + wire_bytes_size(size), &w, &seq), 0);
	wire_put_u64(&w, number);
	wire_put_bytes(&w, bytes, size);
	CHECK_EQ(chan_commit(client, lane, &w), 0);
	CHECK_EQ(chan_wait(client, lane, seq, 0, &status, &r), 0);
	CHECK_EQ(status, (uint32_t)number);
	CHECK_EQ(wire_get_u64(&r), number);
	size_t got;
	const void *back = wire_get_bytes(&r, &got);
	CHECK(back);
	CHECK_EQ(got, size);
	CHECK(size == 0 || !memcmp(back, bytes, size));
	CHECK(r.at == r.end && !r.failed);
}

int post_count(struct chan *client, uint16_t lane, uint64_t number, size_t payload)
{
	struct wire_writer w;
	uint32_t seq;

	int r = chan_begin(client, lane, ECHO_COUNT, 0, payload, &w, &seq);
	if (r < 0)
		return r;
	wire_put_u64(&w, number);
	memset(w.at, (int)number, (size_t)(w.end - w.at));
	w.at = w.end;
	return chan_commit(client, lane, &w);
}

void post_release(struct chan *client, uint16_t lane, size_t size, uint8_t value)
{
	struct wire_writer w;
	struct wire_bulk run;
	uint32_t seq;
	void *memory;

	CHECK_EQ(chan_staging_take(client, size, &run, &memory), 0);
	memset(memory, value, size);
	CHECK_EQ(chan_begin(client, lane, ECHO_RELEASE, 0, sizeof(run), &w, &seq), 0);
	wire_put_u64(&w, run.offset);
	wire_put_u64(&w, run.size);
	CHECK_EQ(chan_commit(client, lane, &w), 0);
	chan_staging_hand_over(client, &run);
}
