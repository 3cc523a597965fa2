/*
 * What sessions share through rosend (control/share.h), with workers that only pretend
 * (fake-worker.c): who gets what by a name or a ticket, for how long, and how many there may be.
 */
#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/test.h"
#include "control/test-peer.h"
#include "wire/control.h"

#define SECOND_MS      1000
#define SHARE_ORDER_AT 8 /* as in fake-worker.c */

/* Has the peer's worker ask rosend. Returns what came along, -1: nothing. */
static int share(struct peer *peer, struct control_share *message)
{
	struct side_message order = {0};
	size_t n_fds = 1;
	int fd = -1;

	memcpy(&order, "share", 5);
	memcpy((char *)&order + SHARE_ORDER_AT, message, sizeof(*message));
	CHECK_EQ(fd_send(peer->side, &order, sizeof(order), NULL, 0), 0);
	CHECK(peer_readable(peer->side, 5 * SECOND_MS));
	CHECK_EQ(fd_receive(peer->side, &order, sizeof(order), &fd, &n_fds, 0), sizeof(order));
	memcpy(message, (char *)&order + SHARE_ORDER_AT, sizeof(*message));
	return n_fds ? fd : -1;
}

static struct control_share offer(struct peer *peer, enum share_type type, int *ticket)
{
	struct control_share message = {
	    .kind = CONTROL_OFFER, .type = type, .session = 999, .size = 77, .data = "bytes"};
	int fd = share(peer, &message);

	CHECK_EQ(message.status, 0);
	CHECK_EQ(message.kind, CONTROL_SHARED);
	CHECK_EQ(message.session, peer->reply.session);
	CHECK_EQ(fd >= 0, share_has_ticket(type));
	if (ticket)
		*ticket = fd;
	return message;
}

/* The status. A memory must be the one that was offered. */
static uint32_t take(struct peer *peer, const struct share_token *token)
{
	struct control_share message = {.kind = CONTROL_TAKE, .token = *token};
	_cleanup_fd_ int fd = share(peer, &message);
	char text[7] = "";

	if (message.status)
		return message.status;
	CHECK_EQ(message.size, 77);
	CHECK_BYTES(message.data, "bytes", 5);
	CHECK_EQ(fd >= 0, !share_is_data(message.type));
	if (fd >= 0)
		CHECK_EQ(pread(fd, text, 6, 0), 6);
	if (fd >= 0)
		CHECK_STR(text, "shared");
	return 0;
}

static void wait_until_gone(struct peer *peer, const struct share_token *token)
{
	uint64_t limit = clock_now_ns() + NSEC_PER_SEC;

	while (take(peer, token) != ENOENT) {
		CHECK(clock_now_ns() < limit);
		nanosleep(&(struct timespec){.tv_nsec = NSEC_PER_MSEC}, NULL);
	}
}

TEST(shared_memory_lives_with_its_session)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer owner = peer_hello(&tree, "softgpu", ""),
		    other = peer_hello(&tree, "softgpu", "");
	struct peer elsewhere = peer_hello(&tree, "cuda", "");
	struct control_share memory = offer(&owner, SHARE_MEMORY, NULL);
	struct control_share event = offer(&owner, SHARE_EVENT, NULL);
	struct control_share range = offer(&owner, SHARE_RANGE, NULL);

	CHECK(memcmp(&memory.token, &event.token, sizeof(memory.token)));
	CHECK_EQ(take(&other, &memory.token), 0);
	CHECK_EQ(take(&other, &memory.token), 0);
	CHECK_EQ(take(&other, &event.token), 0);
	CHECK_EQ(take(&owner, &memory.token), 0);
	/* Handles of one backend mean nothing to the other. */
	CHECK_EQ(take(&elsewhere, &memory.token), ENOENT);
	struct share_token wrong = memory.token;
	wrong.bytes[31] ^= 1;
	CHECK_EQ(take(&other, &wrong), ENOENT);
	/* Only its owner may withdraw it. */
	struct control_share message = {.kind = CONTROL_WITHDRAW, .token = range.token};
	CHECK_EQ(share(&other, &message), -1);
	CHECK_EQ(take(&owner, &range.token), 0);
	CHECK_EQ(share(&owner, &message), -1);
	CHECK_EQ(take(&owner, &range.token), ENOENT);
	peer_order(&owner, "kill");
	wait_until_gone(&other, &memory.token);
	CHECK_EQ(take(&other, &event.token), ENOENT);
	peer_bye(&owner);
	peer_bye(&other);
	peer_bye(&elsewhere);
	test_tree_stop(&tree);
}

TEST(ticket_keeps_what_it_stands_for)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer owner = peer_hello(&tree, "softgpu", ""),
		    other = peer_hello(&tree, "softgpu", "");
	struct share_token token;
	struct share_name name;
	int ticket, written;

	struct control_share allocation = offer(&owner, SHARE_ALLOCATION, &ticket);
	struct control_share pool = offer(&owner, SHARE_POOL, &written);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(recv(ticket, &name, sizeof(name), MSG_PEEK | MSG_DONTWAIT), sizeof(name));
		CHECK(share_name_parse(&name, &token));
		CHECK_BYTES(&token, &allocation.token, sizeof(token));
	}
	CHECK_EQ(take(&other, &token), 0);
	/* Its exporter may withdraw and end: the descriptor is what counts. */
	struct control_share message = {.kind = CONTROL_WITHDRAW, .token = token};
	share(&owner, &message);
	peer_bye(&owner);
	peer_wait_for_sessions(&tree, 1);
	CHECK_EQ(take(&other, &token), 0);
	int copy = dup(ticket);
	fd_close(ticket);
	CHECK_EQ(take(&other, &token), 0);
	fd_close(copy);
	wait_until_gone(&other, &token);
	CHECK_EQ(take(&other, &pool.token), 0);
	CHECK_EQ(send(written, "x", 1, 0), 1);
	wait_until_gone(&other, &pool.token);
	fd_close(written);
	peer_bye(&other);
	test_tree_stop(&tree);
}

TEST(share_that_makes_no_sense_is_refused)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer peer = peer_hello(&tree, "softgpu", "");

	for (int i = 0; i < 3; i++) {
		struct control_share message = {
		    .kind = CONTROL_OFFER, .type = (uint32_t[]){0, SHARE_HANDLE + 1, 1u << 31}[i]};
		CHECK_EQ(share(&peer, &message), -1);
		CHECK_EQ(message.status, EINVAL);
	}
	/* As many as a user may, and not one more. */
	unsigned n = 0;
	struct control_share message;
	do {
		message = (struct control_share){.kind = CONTROL_OFFER, .type = SHARE_EVENT};
		share(&peer, &message);
	} while (!message.status && n++ < 5000);
	CHECK_EQ(message.status, ENOSPC);
	CHECK_EQ(n, 4096);
	peer_bye(&peer);
	peer_wait_for_sessions(&tree, 0);
	peer = peer_hello(&tree, "softgpu", "");
	offer(&peer, SHARE_EVENT, NULL);
	peer_bye(&peer);
	test_tree_stop(&tree);
}
