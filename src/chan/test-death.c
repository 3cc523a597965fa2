/*
 * The end of either side, at every place where the other can be waiting, and at random moments. In
 * these tests the two sides are processes, and who dies is killed with SIGKILL.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/test.h"
#include "chan/internal.h"
#include "chan/test-chan.h"

/* The promise is 200 ms; the rest is for a busy machine. */
#define NOTICED_WITHIN (NSEC_PER_SEC)
#define KILL_AFTER_NS  (30 * NSEC_PER_MSEC)

static const struct chan_geometry geometry = {
    .ring_size = REGION_RING_MIN, .staging_size = 1 << 20, .lanes = 4};

static void nap_ns(uint64_t ns)
{
	struct timespec nap = {(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};

	nanosleep(&nap, NULL);
}

/* A worker that takes nothing. */
static void *deaf_worker(void *chan)
{
	nap_ns(60 * NSEC_PER_SEC);
	return NULL;
}

/* A worker that takes records and neither answers nor releases anything. */
static void *mute_worker(void *chan)
{
	alignas(16) static uint8_t buffer[WIRE_RECORD_MAX];
	int r;

	while ((r = chan_next(chan, buffer)) == 0)
		;
	return (void *)(intptr_t)r;
}

struct killer {
	pthread_t thread;
	pid_t pid;
	_Atomic uint64_t at; /* when */
};

static void *kill_later(void *context)
{
	struct killer *killer = context;

	nap_ns(KILL_AFTER_NS);
	atomic_store(&killer->at, clock_now_ns());
	CHECK_EQ(kill(killer->pid, SIGKILL), 0);
	return NULL;
}

/* Calls wait(), which waits for the worker, kills it meanwhile; wait() must end soon with r. */
static void die_while(void *(*serve)(void *chan), int (*wait)(struct chan *client))
{
	struct fork_pair pair = fork_start(&geometry, serve);
	struct killer killer = {.pid = pair.worker};
	int status;

	CHECK_EQ(pthread_create(&killer.thread, NULL, kill_later, &killer), 0);
	CHECK_EQ(wait(pair.client), -ENOTCONN);
	uint64_t now = clock_now_ns();
	pthread_join(killer.thread, NULL);
	CHECK(now >= killer.at && now - killer.at < NOTICED_WITHIN);
	/* From now on everything says so at once. */
	uint64_t start = clock_now_ns();
	CHECK_EQ(wait(pair.client), -ENOTCONN);
	CHECK(clock_now_ns() - start < 10 * NSEC_PER_MSEC);
	CHECK(!chan_peer_alive(pair.client));
	CHECK_EQ(waitpid(pair.worker, &status, 0), pair.worker);
	chan_free(pair.client);
}

static int wait_for_reply(struct chan *client)
{
	struct wire_writer w;
	struct wire_reader r;
	uint32_t seq, status;
	uint16_t lane;

	int error = chan_lane_take(client, &lane);
	if (error == 0)
		error = chan_begin(client, lane, ECHO, WIRE_F_REPLY, 0, &w, &seq);
	if (error == 0)
		error = chan_commit(client, lane, &w);
	return error ?: chan_wait(client, lane, seq, 0, &status, &r);
}

static int wait_for_room(struct chan *client)
{
	int r;

	for (uint64_t i = 0; (r = post_count(client, 0, i, 4096)) == 0; i++)
		;
	return r;
}

static int wait_for_staging(struct chan *client)
{
	struct wire_bulk run;
	void *memory;
	int r;

	while ((r = chan_staging_take(client, 100000, &run, &memory)) == 0)
		chan_staging_hand_over(client, &run);
	return r;
}

static int wait_for_attachment(struct chan *client)
{
	static uint8_t bytes[4 << 20];

	return chan_attach(client, 0, bytes, sizeof(bytes));
}

static int wait_for_lane(struct chan *client)
{
	uint16_t lane;
	int r;

	while ((r = chan_lane_take(client, &lane)) == 0)
		;
	return r;
}

TEST(worker_dies_while_a_reply_is_awaited)
{
	die_while(mute_worker, wait_for_reply);
}

TEST(worker_dies_while_the_ring_is_full)
{
	die_while(deaf_worker, wait_for_room);
}

TEST(worker_dies_while_staging_is_full)
{
	die_while(mute_worker, wait_for_staging);
}

TEST(worker_dies_while_an_attachment_is_sent)
{
	die_while(mute_worker, wait_for_attachment);
}

TEST(worker_dies_while_all_lanes_are_taken)
{
	die_while(mute_worker, wait_for_lane);
}

/* All waiting threads hear of it, not only the one that notices first. */
static void *reply_thread(void *client)
{
	return (void *)(intptr_t)wait_for_reply(client);
}

TEST(worker_dies_while_many_threads_wait)
{
	struct fork_pair pair = fork_start(&geometry, mute_worker);
	struct killer killer = {.pid = pair.worker};
	pthread_t threads[3];
	void *result;

	CHECK_EQ(pthread_create(&killer.thread, NULL, kill_later, &killer), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, reply_thread, pair.client), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &result);
		CHECK_EQ((intptr_t)result, -ENOTCONN);
	}
	CHECK(clock_now_ns() - killer.at < NOTICED_WITHIN);
	pthread_join(killer.thread, NULL);
	waitpid(pair.worker, NULL, 0);
	chan_free(pair.client);
}

/* Answers that the worker gave before it died still count. */
TEST(what_a_worker_answered_before_it_died_is_taken)
{
	struct fork_pair pair = fork_start(&geometry, echo_worker);
	struct wire_writer w;
	struct wire_reader r;
	uint32_t seq, status;

	CHECK_EQ(chan_begin(pair.client, 0, ECHO, WIRE_F_REPLY, 8, &w, &seq), 0);
	wire_put_u64(&w, 55);
	CHECK_EQ(chan_commit(pair.client, 0, &w), 0);
	while (atomic_load(&chan_lane(pair.client, 0)->seq) != seq)
		nap_ns(NSEC_PER_MSEC);
	kill(pair.worker, SIGKILL);
	waitpid(pair.worker, NULL, 0);
	CHECK_EQ(chan_wait(pair.client, 0, seq, 0, &status, &r), 0);
	CHECK_EQ(status, 55);
	CHECK(!chan_peer_alive(pair.client));
	chan_free(pair.client);
}

/* The other way round: the client is the child. */
TEST(client_dies_while_the_worker_is_parked)
{
	struct chan_geometry g = geometry;
	int region, sides[2];
	uint64_t size;

	CHECK_EQ(chan_region_create(&g, &region, &size), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sides), 0);
	struct killer killer = {.pid = fork()};
	if (killer.pid == 0) {
		struct chan *client;
		close(sides[1]);
		CHECK_EQ(chan_client_attach(region, sides[0], SPIN_NS, &client), 0);
		wait_for_reply(client);
		_exit(1);
	}
	close(sides[0]);
	struct chan *worker;
	CHECK_EQ(chan_worker_attach(region, sides[1], &g, SPIN_NS, &worker), 0);
	CHECK_EQ(pthread_create(&killer.thread, NULL, kill_later, &killer), 0);
	CHECK_EQ((intptr_t)mute_worker(worker), -ENOTCONN);
	uint64_t now = clock_now_ns();
	pthread_join(killer.thread, NULL);
	/* The watcher notices at once, not after a slice of sleep. */
	CHECK(now - killer.at < NOTICED_WITHIN);
	CHECK(!chan_peer_alive(worker));
	waitpid(killer.pid, NULL, 0);
	chan_free(worker);
}

/* A client of many kinds of traffic, until the channel breaks. */
static int mixed_traffic(struct chan *client, uint64_t seed)
{
	uint8_t bytes[200000];
	struct wire_bulk run;
	void *memory;
	int r = 0;

	for (uint64_t i = seed, n = 0; r == 0; i = i * 6364136223846793005ull + 1) {
		switch (i >> 60) {
		case 0:
			r = chan_attach(client, 1, bytes, (i >> 40) % sizeof(bytes));
			break;
		case 1:
			r = chan_staging_take(client, (i >> 40) % 300000, &run, &memory);
			if (r == 0)
				chan_staging_give(client, &run);
			break;
		case 2:
		case 3:
			r = wait_for_reply(client);
			break;
		default:
			r = post_count(client, 2, n++, 8 + (i >> 40) % 2048 / 8 * 8);
		}
	}
	return r;
}

/* Like echo_worker(), but takes empty ECHO records. */
static void *mixed_worker(void *chan)
{
	alignas(16) static uint8_t buffer[WIRE_RECORD_MAX];
	struct wire_record *record = (struct wire_record *)buffer;
	int r;

	while ((r = chan_next(chan, buffer)) == 0) {
		struct wire_bulk *run = (struct wire_bulk *)(record + 1);
		if (record->id == WIRE_ID_ATTACH)
			chan_staging_release(chan, run);
		if (!(record->flags & WIRE_F_REPLY))
			continue;
		struct wire_writer w = chan_reply_begin(chan, record->lane);
		chan_reply_commit(chan, record->lane, record->seq, 0, &w);
	}
	return (void *)(intptr_t)r;
}

static pid_t send_assassin(pid_t victim, uint64_t life_ns)
{
	pid_t assassin = fork();

	if (assassin == 0) {
		nap_ns(life_ns);
		kill(victim, SIGKILL);
		_exit(0);
	}
	return assassin;
}

TEST_LIMIT(worker_dies_at_random_moments, 120)
{
	srand((unsigned)getpid());
	for (int i = 0; i < 40; i++) {
		struct fork_pair pair = fork_start(&geometry, mixed_worker);
		pid_t assassin = send_assassin(pair.worker, (uint64_t)rand() % (5 * NSEC_PER_MSEC));
		CHECK_EQ(mixed_traffic(pair.client, (uint64_t)i), -ENOTCONN);
		waitpid(assassin, NULL, 0);
		waitpid(pair.worker, NULL, 0);
		pair.client = chan_free(pair.client);
	}
}

static _Noreturn void run_doomed_client(uint64_t seed, uint64_t life_ns)
{
	struct fork_pair pair = fork_start(&geometry, mixed_worker);
	pid_t self = getpid();

	if (fork() == 0) {
		chan_abandon(pair.client);
		nap_ns(life_ns);
		kill(self, SIGKILL);
		_exit(0);
	}
	mixed_traffic(pair.client, seed);
	_exit(1);
}

TEST_LIMIT(client_dies_at_random_moments, 120)
{
	srand((unsigned)getpid());
	for (int i = 0; i < 40; i++) {
		int alive[2], status;
		CHECK_EQ(pipe(alive), 0);
		uint64_t life_ns = (uint64_t)rand() % (5 * NSEC_PER_MSEC);
		pid_t client = fork();
		if (client == 0)
			run_doomed_client((uint64_t)i, life_ns);
		close(alive[1]);
		CHECK_EQ(waitpid(client, &status, 0), client);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		/* The orphaned worker holds the pipe as long as it lives. */
		struct pollfd hang_up = {.fd = alive[0]};
		CHECK_EQ(poll(&hang_up, 1, NOTICED_WITHIN / NSEC_PER_MSEC), 1);
		close(alive[0]);
	}
}

/* After fork() in a client: the child lets go, and parent and worker notice nothing. */
TEST(a_forked_child_abandons_the_channel)
{
	struct fork_pair pair = fork_start(&geometry, echo_worker);
	int status;

	call_echo(pair.client, 0, 1, NULL, 0);
	pid_t child = fork();
	if (child == 0) {
		chan_abandon(pair.client);
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	call_echo(pair.client, 0, 2, NULL, 0);
	fork_stop(&pair);
}

TEST(two_processes_exchange_all_kinds)
{
	struct fork_pair pair = fork_start(&geometry, echo_worker);
	uint8_t bytes[3000] = {7};

	for (uint64_t i = 0; i < 20000; i++) {
		CHECK_EQ(post_count(pair.client, 0, i, 8 + i % 64 * 8), 0);
		if (i % 10 == 0)
			call_echo(pair.client, 1, i, bytes, i % sizeof(bytes));
		if (i % 100 == 0)
			post_release(pair.client, 2, 70000, (uint8_t)i);
	}
	call_echo(pair.client, 0, 1, NULL, 0);
	fork_stop(&pair);
}

/* --- what travels beside the ring --- */

TEST(segments_and_last_words_pass_the_side_socket)
{
	struct pair pair = pair_new(OVER_MEMFD, &geometry);
	struct side_message sent = {.kind = SIDE_SEGMENT, .segment = 3, .size = 4096}, got;
	int fd, segment;

	CHECK_EQ(chan_side_receive(pair.worker, false, &got, &fd), -EAGAIN);
	CHECK_EQ(fd_memory("segment", 4096, &segment), 0);
	CHECK_EQ(chan_side_send(pair.client, &sent, segment), 0);
	CHECK_EQ(chan_side_receive(pair.worker, true, &got, &fd), 0);
	CHECK_BYTES(&got, &sent, sizeof(sent));
	CHECK(fd >= 0);
	close(fd);
	close(segment);

	sent = (struct side_message){.kind = SIDE_LAST_WORDS};
	memset(sent.text, 'x', sizeof(sent.text));
	CHECK_EQ(chan_side_send(pair.worker, &sent, -1), 0);
	pair.worker = chan_free(pair.worker);
	CHECK(!chan_peer_alive(pair.client));
	CHECK_EQ(chan_side_receive(pair.client, true, &got, &fd), 0);
	CHECK_EQ(got.kind, SIDE_LAST_WORDS);
	CHECK_EQ(strlen(got.text), sizeof(got.text) - 1);
	CHECK_EQ(fd, -1);
	CHECK_EQ(chan_side_receive(pair.client, true, &got, &fd), -ENODATA);
	pair_free(&pair);
}

TEST(a_malformed_side_message_is_refused)
{
	struct pair pair = pair_new(OVER_MEMFD, &geometry);
	struct side_message got;
	int fd, segment;

	CHECK_EQ(fd_memory("segment", 4096, &segment), 0);
	CHECK_EQ(fd_send(chan_side_socket(pair.client), "short", 5, &segment, 1), 0);
	CHECK_EQ(chan_side_receive(pair.worker, true, &got, &fd), -EBADMSG);
	CHECK_EQ(fd, -1);
	close(segment);
	pair_free(&pair);
}
