/*
 * A client of a rosend in a test tree, as far as the door sees it: it says hello and gets two
 * descriptors, or asks the admin side. What does not come within five seconds ends the test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "control/test-tree.h"
#include "wire/hello.h"

struct json_object;

struct peer {
	int socket, region, side; /* region, side: -1 without a session */
	struct hello_reply reply;
};

/* A connection to the tree's socket. */
int peer_connect(const struct test_tree *tree);
bool peer_readable(int fd, int ms);

/* Says hello over a connection, which is the peer's then. backend, run: may be "". */
struct peer peer_hello_at(int socket, const char *backend, const char *run);
/* The same over a connection of its own. */
struct peer peer_hello(const struct test_tree *tree, const char *backend, const char *run);
/* The same as a program with CUDA variables would. */
struct peer peer_hello_with(
    const struct test_tree *tree, const char *backend, const struct environment *environment);
/* Reads what peer->socket answers to a hello. */
void peer_read_reply(struct peer *peer);
void peer_bye(struct peer *peer);

/* The whole answer to a request in JSON, to be put. */
struct json_object *peer_ask(const struct test_tree *tree, const char *request);

/* Gives the session's worker an order (fake-worker.c); its answer, if any, is to be read. */
void peer_order(struct peer *peer, const char *text);

size_t peer_count_sessions(const struct test_tree *tree);
void peer_wait_for_sessions(const struct test_tree *tree, size_t n); /* a second at most */
