/* See test-peer.h. */
#include "control/test-peer.h"

#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/test.h"

#define ANSWER_MS 5000

int peer_connect(const struct test_tree *tree)
{
	int fd = -1;

	CHECK_EQ(socket_connect(tree->socket, &fd), 0);
	return fd;
}

bool peer_readable(int fd, int ms)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	return poll(&poller, 1, ms) == 1;
}

void peer_read_reply(struct peer *peer)
{
	uint8_t message[HELLO_MESSAGE_MAX];
	int fds[2] = {-1, -1};
	size_t n_fds = 2;

	CHECK(peer_readable(peer->socket, ANSWER_MS));
	ssize_t size = fd_receive(peer->socket, message, sizeof(message), fds, &n_fds, 0);
	CHECK(size > 0);
	CHECK_EQ(hello_reply_parse(message, (size_t)size, &peer->reply), 0);
	CHECK_EQ(n_fds, peer->reply.status == HELLO_OK ? 2 : 0);
	peer->region = fds[0];
	peer->side = fds[1];
}

static struct hello_request hello_of(const char *backend, const char *run)
{
	struct hello_request hello;

	hello_request_init(&hello);
	hello.n_functions = 8;
	strcpy(hello.program, "tester");
	snprintf(hello.backend, sizeof(hello.backend), "%s", backend);
	snprintf(hello.run, sizeof(hello.run), "%s", run);
	return hello;
}

static struct peer say(int socket, const struct hello_request *hello)
{
	struct peer peer = {.socket = socket};

	CHECK_EQ(fd_send(peer.socket, hello, sizeof(*hello), NULL, 0), 0);
	peer_read_reply(&peer);
	return peer;
}

struct peer peer_hello_at(int socket, const char *backend, const char *run)
{
	struct hello_request hello = hello_of(backend, run);

	return say(socket, &hello);
}

struct peer peer_hello_with(
    const struct test_tree *tree, const char *backend, const struct environment *environment)
{
	struct hello_request hello = hello_of(backend, "");

	hello.environment = *environment;
	return say(peer_connect(tree), &hello);
}

struct peer peer_hello(const struct test_tree *tree, const char *backend, const char *run)
{
	return peer_hello_at(peer_connect(tree), backend, run);
}

void peer_bye(struct peer *peer)
{
	fd_close(peer->socket);
	fd_close(peer->region);
	fd_close(peer->side);
}

struct json_object *peer_ask(const struct test_tree *tree, const char *request)
{
	static char text[1 << 16];
	_cleanup_fd_ int fd = peer_connect(tree);
	size_t length = 0;

	CHECK_EQ(fd_send(fd, request, strlen(request), NULL, 0), 0);
	for (;;) {
		CHECK(peer_readable(fd, ANSWER_MS));
		ssize_t size =
		    fd_receive(fd, text + length, sizeof(text) - 1 - length, NULL, NULL, 0);
		if (size < 0)
			break;
		length += (size_t)size;
	}
	text[length] = '\0';
	struct json_object *answer = json_tokener_parse(text);
	CHECK(answer);
	return answer;
}

void peer_order(struct peer *peer, const char *text)
{
	struct side_message message = {0};

	snprintf((char *)&message, sizeof(message), "%s", text);
	CHECK_EQ(fd_send(peer->side, &message, sizeof(message), NULL, 0), 0);
}

size_t peer_count_sessions(const struct test_tree *tree)
{
	struct json_object *answer = peer_ask(tree, "{\"method\":\"ps\"}");
	size_t n = json_object_array_length(json_object_object_get(answer, "result"));

	json_object_put(answer);
	return n;
}

void peer_wait_for_sessions(const struct test_tree *tree, size_t n)
{
	uint64_t limit = clock_now_ns() + NSEC_PER_SEC;

	while (peer_count_sessions(tree) != n) {
		CHECK(clock_now_ns() < limit);
		nanosleep(&(struct timespec){.tv_nsec = 5 * NSEC_PER_MSEC}, NULL);
	}
}
