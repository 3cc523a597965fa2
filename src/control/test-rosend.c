/*
 * rosend as a whole, with workers that only pretend (fake-worker.c). Each test builds a tree of its
 * own in a temporary folder, starts rosend in it and talks to its socket as a client would. What
 * must hold in every one: at the end no process and no file is left.
 */
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/test.h"
#include "control/test-peer.h"
#include "wire/control.h"
#include "wire/hello.h"

#define SECOND_MS  1000
#define FLOOD_SIZE (100 * 1024) /* more than rosend reads */

/* The worker's answer, until the next call. */
static const char *ask_worker(struct peer *peer, const char *text)
{
	static char answer[sizeof(struct side_message)];

	peer_order(peer, text);
	CHECK(peer_readable(peer->side, 5 * SECOND_MS));
	CHECK(fd_receive(peer->side, answer, sizeof(answer), NULL, NULL, 0) > 0);
	return answer;
}

/* Gives the worker an order; waits for its echo when it sends one. */
static void order(struct peer *peer, const char *text, bool echo)
{
	if (echo)
		ask_worker(peer, text);
	else
		peer_order(peer, text);
}

TEST(session_opens_and_ends)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer peer = peer_hello(&tree, "softgpu", "");

	CHECK_EQ(peer.reply.status, HELLO_OK);
	CHECK_EQ(peer.reply.session, 1);
	struct stat status;
	CHECK_EQ(fstat(peer.region, &status), 0);
	CHECK_EQ(status.st_size, peer.reply.region_size);
	order(&peer, "hello", true);
	CHECK_EQ(peer_count_sessions(&tree), 1);
	peer_bye(&peer);
	peer_wait_for_sessions(&tree, 0);
	test_tree_stop(&tree);
}

/* A program's variables reach its worker, and nothing else does in their place. */
TEST(variables_of_the_program_reach_its_worker)
{
	struct environment environment = {0};

	setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 1); /* rosend's own */
	setenv("CUDA_LAUNCH_BLOCKING", "1", 1);
	setenv("CUDA_CACHE_PATH", "/var/cache/of-rosend", 1);
	struct test_tree tree = test_tree_start("ok");
	strcpy(environment.value[ENVIRONMENT_CUDA_LAUNCH_BLOCKING], "2");
	strcpy(environment.value[ENVIRONMENT_CUDA_MODULE_LOADING], "../../etc");
	strcpy(environment.value[ENVIRONMENT_SLOTS - 1], "1");
	struct peer peer = peer_hello_with(&tree, "softgpu", &environment);
	CHECK_EQ(peer.reply.status, HELLO_OK);
	CHECK_EQ(peer.reply.environment, 1 << ENVIRONMENT_CUDA_LAUNCH_BLOCKING);
	CHECK_EQ(peer.reply.is_private, 0);
	CHECK_STR(ask_worker(&peer, "told 0"), "2");
	CHECK_STR(ask_worker(&peer, "told 13"), "");
	CHECK_STR(ask_worker(&peer, "told 31"), "");
	CHECK_STR(ask_worker(&peer, "getenv CUDA_DEVICE_MAX_CONNECTIONS"), "");
	CHECK_STR(ask_worker(&peer, "getenv CUDA_LAUNCH_BLOCKING"), "");
	CHECK_STR(ask_worker(&peer, "getenv CUDA_CACHE_PATH"), "/var/cache/of-rosend");
	peer_bye(&peer);
	test_tree_stop(&tree);
}

TEST(older_client_gets_a_session)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer peer = {.socket = peer_connect(&tree)};
	struct hello_request hello;

	hello_request_init(&hello);
	hello.size = HELLO_REQUEST_LEAST;
	CHECK_EQ(fd_send(peer.socket, &hello, HELLO_REQUEST_LEAST, NULL, 0), 0);
	peer_read_reply(&peer);
	CHECK_EQ(peer.reply.status, HELLO_OK);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

TEST(foreign_version_is_refused)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer peer = {.socket = peer_connect(&tree)};
	struct hello_request hello;

	hello_request_init(&hello);
	hello.version_min = hello.version_max = WIRE_VERSION + 7;
	CHECK_EQ(fd_send(peer.socket, &hello, sizeof(hello), NULL, 0), 0);
	peer_read_reply(&peer);
	CHECK_EQ(peer.reply.status, HELLO_BAD_VERSION);
	CHECK(strstr(peer.reply.text, "upgrade"));
	peer_bye(&peer);
	test_tree_stop(&tree);
}

TEST(auto_prefers_cuda)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer peer = peer_hello(&tree, "auto", "");
	struct json_object *answer = peer_ask(&tree, "{\"method\":\"ps\"}");
	struct json_object *first =
	    json_object_array_get_idx(json_object_object_get(answer, "result"), 0);

	CHECK_STR(json_object_get_string(json_object_object_get(first, "backend")), "cuda");
	json_object_put(answer);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

static void check_fallback(const char *behaviour)
{
	struct test_tree tree = test_tree_start(behaviour);
	struct peer peer = peer_hello(&tree, "auto", "");
	struct json_object *answer = peer_ask(&tree, "{\"method\":\"ps\"}");
	struct json_object *first =
	    json_object_array_get_idx(json_object_object_get(answer, "result"), 0);

	CHECK_EQ(peer.reply.status, HELLO_OK);
	CHECK_STR(json_object_get_string(json_object_object_get(first, "backend")), "softgpu");
	json_object_put(answer);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

TEST(auto_falls_back_when_cuda_fails)
{
	check_fallback("cuda=fail");
}

TEST(auto_falls_back_without_device)
{
	check_fallback("cuda=none");
}

TEST(auto_falls_back_when_the_worker_ends)
{
	check_fallback("cuda=exit");
}

TEST(auto_falls_back_when_the_worker_hangs)
{
	setenv("ROSEN_START_MS", "200", 1);
	check_fallback("cuda=hang");
}

TEST(failing_backend_is_told)
{
	struct test_tree tree = test_tree_start("cuda=fail,softgpu=exit");
	struct peer cuda = peer_hello(&tree, "cuda", "");
	struct peer soft = peer_hello(&tree, "softgpu", "");
	struct peer unknown = peer_hello(&tree, "abacus", "");

	CHECK_EQ(cuda.reply.status, HELLO_NO_BACKEND);
	CHECK_STR(cuda.reply.text, "cuda: no driver here");
	CHECK_EQ(soft.reply.status, HELLO_NO_BACKEND);
	CHECK_STR(soft.reply.text, "softgpu: the worker ended with status 5");
	CHECK_EQ(unknown.reply.status, HELLO_NO_BACKEND);
	peer_bye(&cuda);
	peer_bye(&soft);
	peer_bye(&unknown);
	CHECK_EQ(peer_count_sessions(&tree), 0);
	test_tree_stop(&tree);
}

/* The fault is rosend's, so no other backend is tried and none is held against. */
TEST(want_of_its_own_is_told)
{
	struct test_tree tree = test_tree_start("ok");
	struct rlimit plenty, none;

	int at_the_door = peer_connect(&tree);

	CHECK_EQ(peer_count_sessions(&tree), 0); /* so it was let in */
	CHECK_EQ(prlimit(tree.pid, RLIMIT_NOFILE, NULL, &plenty), 0);
	none = (struct rlimit){0, plenty.rlim_max};
	CHECK_EQ(prlimit(tree.pid, RLIMIT_NOFILE, &none, NULL), 0);
	struct peer peer = peer_hello_at(at_the_door, "auto", "");
	CHECK_EQ(peer.reply.status, HELLO_FAILED);
	CHECK(strstr(peer.reply.text, "rosend cannot make a channel"));
	peer_bye(&peer);
	CHECK_EQ(prlimit(tree.pid, RLIMIT_NOFILE, &plenty, NULL), 0);
	peer = peer_hello(&tree, "auto", "");
	CHECK_EQ(peer.reply.status, HELLO_OK);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

static void check_death(const char *how, const char *words)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer peer = peer_hello(&tree, "softgpu", ""),
		    other = peer_hello(&tree, "softgpu", "");
	struct side_message message;

	order(&peer, how, false);
	CHECK(peer_readable(peer.socket, SECOND_MS));
	CHECK_EQ(
	    fd_receive(peer.socket, &message, sizeof(message), NULL, NULL, 0), sizeof(message));
	CHECK_EQ(message.kind, SIDE_LAST_WORDS);
	CHECK_STR(message.text, words);
	CHECK_EQ(fd_receive(peer.socket, &message, sizeof(message), NULL, NULL, 0), -ENODATA);
	order(&other, "still there?", true);
	CHECK_EQ(peer_count_sessions(&tree), 1);
	peer_bye(&peer);
	peer_bye(&other);
	test_tree_stop(&tree);
}

TEST(killed_worker_is_told)
{
	check_death("kill", "the worker of session 1 ended by signal 9 (Killed)");
}

TEST(last_words_are_told)
{
	check_death("die", "the worker of session 1 ended with status 6: told to die");
}

TEST(stubborn_worker_is_gone_within_a_second)
{
	struct test_tree tree = test_tree_start("ok");
	int ready[2];
	char byte;

	CHECK_EQ(pipe(ready), 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		struct peer peer = peer_hello(&tree, "softgpu", "");
		order(&peer, "deaf", true);
		(void)!write(ready[1], "", 1);
		pause();
	}
	close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, NULL, 0), child);
	peer_wait_for_sessions(&tree, 0);
	CHECK_EQ(test_tree_processes(&tree), 1);
	test_tree_stop(&tree);
}

TEST(session_outlives_its_first_socket)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer peer = peer_hello(&tree, "softgpu", "");

	peer.socket = fd_close(peer.socket);
	order(&peer, "still there?", true);
	CHECK_EQ(peer_count_sessions(&tree), 1);
	peer_bye(&peer);
	peer_wait_for_sessions(&tree, 0);
	test_tree_stop(&tree);
}

TEST(killed_client_is_noticed_though_its_socket_lives)
{
	struct test_tree tree = test_tree_start("ok");
	pid_t grandchild = 0;
	int ready[2];

	CHECK_EQ(pipe(ready), 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		peer_hello(&tree, "softgpu", "");
		/* The grandchild inherits the socket and outlives its parent. */
		grandchild = fork();
		if (grandchild)
			(void)!write(ready[1], &grandchild, sizeof(grandchild));
		pause();
	}
	close(ready[1]);
	CHECK_EQ(read(ready[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
	close(ready[0]);
	CHECK_EQ(peer_count_sessions(&tree), 1);
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, NULL, 0), child);
	peer_wait_for_sessions(&tree, 0);
	CHECK_EQ(kill(grandchild, SIGKILL), 0);
	test_tree_stop(&tree);
}

TEST(too_many_sessions_are_refused)
{
	setenv("ROSEN_SESSIONS_MAX", "2", 1);
	struct test_tree tree = test_tree_start("ok");
	struct peer a = peer_hello(&tree, "softgpu", ""), b = peer_hello(&tree, "softgpu", ""),
		    c = peer_hello(&tree, "softgpu", "");

	CHECK_EQ(b.reply.status, HELLO_OK);
	CHECK_EQ(c.reply.status, HELLO_REFUSED);
	CHECK(strstr(c.reply.text, "sessions_max"));
	peer_bye(&a);
	peer_wait_for_sessions(&tree, 1);
	peer_bye(&c);
	c = peer_hello(&tree, "softgpu", "");
	CHECK_EQ(c.reply.status, HELLO_OK);
	peer_bye(&b);
	peer_bye(&c);
	test_tree_stop(&tree);
}

TEST(hostile_bytes_end_only_their_connection)
{
	static const char *const messages[] = {"x", "{", "{}", "[1]", "{\"method\":7}",
	    "{\"method\":\"ps\"", "{\"method\":\"run-begin\",\"run\":[]}",
	    "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}", "osen",
	    "osen\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
	struct test_tree tree = test_tree_start("ok");
	struct peer peer = peer_hello(&tree, "softgpu", "");

	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		static char answer[1 << 16];
		_cleanup_fd_ int fd = peer_connect(&tree);
		CHECK_EQ(fd_send(fd, messages[i], strlen(messages[i]), NULL, 0), 0);
		CHECK(peer_readable(fd, SECOND_MS));
		CHECK(fd_receive(fd, answer, sizeof(answer), NULL, NULL, 0) > 0);
		CHECK(peer_readable(fd, SECOND_MS));
		CHECK_EQ(fd_receive(fd, answer, sizeof(answer), NULL, NULL, 0), -ENODATA);
	}
	static char flood[FLOOD_SIZE];
	_cleanup_fd_ int fd = peer_connect(&tree);
	CHECK_EQ(fd_send(fd, flood, sizeof(flood), NULL, 0), 0);
	CHECK(peer_readable(fd, SECOND_MS));
	order(&peer, "still there?", true);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

TEST(silent_connections_are_dropped)
{
	setenv("ROSEN_DOOR_MS", "100", 1);
	setenv("ROSEN_DOOR_MAX", "4", 1);
	struct test_tree tree = test_tree_start("ok");
	int silent[6];
	char byte;

	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		silent[i] = peer_connect(&tree);
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		CHECK(peer_readable(silent[i], SECOND_MS));
		CHECK_EQ(fd_receive(silent[i], &byte, 1, NULL, NULL, 0), -ENODATA);
		fd_close(silent[i]);
	}
	CHECK_EQ(peer_count_sessions(&tree), 0);
	test_tree_stop(&tree);
}

TEST(run_statistics_outlive_their_sessions)
{
	struct test_tree tree = test_tree_start("ok");

	json_object_put(
	    peer_ask(&tree, "{\"method\":\"run-begin\",\"run\":\"r1\",\"measure_gpu\":true}"));
	struct peer a = peer_hello(&tree, "softgpu", "r1"), b = peer_hello(&tree, "softgpu", "r1");
	order(&a, "count", true);
	order(&b, "count", true);
	peer_bye(&a);
	peer_wait_for_sessions(&tree, 1);
	struct json_object *answer =
	    peer_ask(&tree, "{\"method\":\"run-stats\",\"run\":\"r1\",\"wait_ms\":50}");
	struct json_object *result = json_object_object_get(answer, "result");
	struct json_object *row =
	    json_object_array_get_idx(json_object_object_get(result, "functions"), 0);
	CHECK_EQ(json_object_get_int64(json_object_object_get(result, "sessions")), 2);
	CHECK_EQ(json_object_get_int64(json_object_object_get(result, "live")), 1);
	CHECK_EQ(json_object_get_int64(json_object_object_get(row, "row")), 3);
	CHECK_EQ(json_object_get_int64(json_object_object_get(row, "calls")), 2);
	CHECK_EQ(json_object_get_int64(json_object_object_get(row, "messages")), 4);
	json_object_put(answer);
	peer_bye(&b);
	answer = peer_ask(&tree, "{\"method\":\"run-stats\",\"run\":\"r1\",\"wait_ms\":5000}");
	result = json_object_object_get(answer, "result");
	CHECK_EQ(json_object_get_int64(json_object_object_get(result, "live")), 0);
	json_object_put(answer);
	test_tree_stop(&tree);
}

TEST(devices_of_both_backends)
{
	struct test_tree tree = test_tree_start("cuda=fail");
	struct json_object *answer = peer_ask(&tree, "{\"method\":\"devices\"}");
	struct json_object *result = json_object_object_get(answer, "result");
	struct json_object *cuda = json_object_array_get_idx(result, 0),
			   *soft = json_object_array_get_idx(result, 1);

	CHECK_STR(json_object_get_string(json_object_object_get(cuda, "why")), "no driver here");
	CHECK_EQ(json_object_array_length(json_object_object_get(soft, "devices")), 1);
	json_object_put(answer);
	test_tree_stop(&tree);
}

TEST(killed_rosend_takes_its_workers_along)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer peer = peer_hello(&tree, "softgpu", "");
	char byte;

	order(&peer, "deaf", true);
	kill(tree.pid, SIGKILL);
	/* The side socket's other end closes with the worker. */
	CHECK(peer_readable(peer.side, SECOND_MS));
	CHECK_EQ(fd_receive(peer.side, &byte, 1, NULL, NULL, 0), -ENODATA);
	peer_bye(&peer);
	CHECK_EQ(waitpid(tree.pid, NULL, 0), tree.pid);
	/* The socket file that it left is replaced by the next one. */
	test_tree_restart(&tree);
	peer = peer_hello(&tree, "softgpu", "");
	CHECK_EQ(peer.reply.status, HELLO_OK);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

TEST(second_rosend_is_refused)
{
	struct test_tree tree = test_tree_start("ok");
	int other, status;
	char error[SOCKET_ERROR_MAX];

	CHECK_EQ(socket_listen(tree.socket, false, false, &other, error), -EADDRINUSE);
	CHECK(strstr(error, "another rosend"));
	CHECK(strstr(error, tree.socket));
	pid_t second = test_tree_spawn(&tree);
	CHECK_EQ(waitpid(second, &status, 0), second);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	CHECK_EQ(peer_count_sessions(&tree), 0);
	test_tree_stop(&tree);
}

TEST(draining_rosend_keeps_its_sessions_and_makes_room)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer old = peer_hello(&tree, "softgpu", "");
	int status;

	kill(tree.pid, SIGUSR1);
	while (access(tree.socket, F_OK) == 0)
		nanosleep(&(struct timespec){.tv_nsec = NSEC_PER_MSEC}, NULL);
	pid_t draining = tree.pid;
	test_tree_restart(&tree);
	struct peer new = peer_hello(&tree, "softgpu", "");
	CHECK_EQ(new.reply.status, HELLO_OK);
	order(&old, "hello", true);
	CHECK_EQ(waitpid(draining, &status, WNOHANG), 0);
	peer_bye(&old);
	CHECK_EQ(waitpid(draining, &status, 0), draining);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	order(&new, "hello", true);
	peer_bye(&new);
	test_tree_stop(&tree);
}

TEST(idle_rosend_has_nothing_to_drain)
{
	struct test_tree tree = test_tree_start("ok");
	int status;

	kill(tree.pid, SIGUSR1);
	CHECK_EQ(waitpid(tree.pid, &status, 0), tree.pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(access(tree.socket, F_OK) < 0);
	CHECK_EQ(dir_remove(tree.folder), 0);
}

TEST(stop_ends_sessions_at_once)
{
	struct test_tree tree = test_tree_start("ok");
	struct peer peer = peer_hello(&tree, "softgpu", "");
	char byte;

	order(&peer, "deaf", true);
	uint64_t start = clock_now_ns();
	test_tree_stop(&tree);
	CHECK(clock_now_ns() - start < NSEC_PER_SEC);
	CHECK_EQ(fd_receive(peer.side, &byte, 1, NULL, NULL, 0), -ENODATA);
	peer_bye(&peer);
}

/* The name of the softgpu's device, as the fake worker says it. */
static void check_device_name(const struct test_tree *tree, const char *name)
{
	struct json_object *answer = peer_ask(tree, "{\"method\":\"devices\"}");
	struct json_object *backend =
	    json_object_array_get_idx(json_object_object_get(answer, "result"), 0);
	struct json_object *device =
	    json_object_array_get_idx(json_object_object_get(backend, "devices"), 0);

	CHECK_STR(json_object_get_string(json_object_object_get(device, "name")), name);
	json_object_put(answer);
}

TEST(operator_chooses_devices_in_the_environment)
{
	setenv("CUDA_VISIBLE_DEVICES", "2", 1);
	struct test_tree tree = test_tree_start("ok");

	check_device_name(&tree, "Imaginary GPU 2");
	test_tree_stop(&tree);
}

TEST(operator_chooses_devices_by_setting)
{
	setenv("CUDA_VISIBLE_DEVICES", "2", 1);
	setenv("ROSEN_DEVICES", "0,3", 1);
	struct test_tree tree = test_tree_start("ok");

	check_device_name(&tree, "Imaginary GPU 0,3");
	test_tree_stop(&tree);
}
