/*
 * The pool of warm workers, with workers that only pretend (fake-worker.c): that it is filled and
 * filled again, that what fails in it does no harm, and that nothing of it is left.
 */
#include <json-c/json.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/test.h"
#include "control/test-peer.h"

/* The member of the answer to a request without arguments. The caller drops it. */
static struct json_object *ask(const struct test_tree *tree, const char *method)
{
	char request[64];

	snprintf(request, sizeof(request), "{\"method\":\"%s\"}", method);
	struct json_object *answer = peer_ask(tree, request);
	struct json_object *result = json_object_get(json_object_object_get(answer, "result"));
	CHECK(result);
	json_object_put(answer);
	return result;
}

static int64_t count_warm(const struct test_tree *tree)
{
	struct json_object *version = ask(tree, "version");
	int64_t n = json_object_get_int64(json_object_object_get(version, "warm"));

	json_object_put(version);
	return n;
}

static void wait_for_warm(const struct test_tree *tree, int64_t n)
{
	uint64_t limit = clock_now_ns() + 5 * NSEC_PER_SEC;

	while (count_warm(tree) != n) {
		CHECK(clock_now_ns() < limit);
		nanosleep(&(struct timespec){.tv_nsec = 5 * NSEC_PER_MSEC}, NULL);
	}
}

/* The worker of the only session. */
static pid_t worker_of_session(const struct test_tree *tree, const char *backend)
{
	struct json_object *sessions = ask(tree, "ps");
	struct json_object *first = json_object_array_get_idx(sessions, 0);
	pid_t worker = json_object_get_int(json_object_object_get(first, "worker"));

	CHECK_STR(json_object_get_string(json_object_object_get(first, "backend")), backend);
	json_object_put(sessions);
	return worker;
}

/* Nor a worker that had one. */
static void wait_for_no_session(const struct test_tree *tree)
{
	uint64_t limit = clock_now_ns() + 5 * NSEC_PER_SEC;
	size_t n;

	do {
		struct json_object *sessions = ask(tree, "ps");
		n = json_object_array_length(sessions);
		json_object_put(sessions);
		CHECK(clock_now_ns() < limit);
		nanosleep(&(struct timespec){.tv_nsec = NSEC_PER_MSEC}, NULL);
	} while (n);
}

/* The one process of the tree that is not rosend, once it is there, and one that was killed is
 * gone. */
static pid_t only_worker(const struct test_tree *tree)
{
	uint64_t limit = clock_now_ns() + 5 * NSEC_PER_SEC;
	pid_t workers[4];

	while (test_tree_children(tree, workers, 4) != 1) {
		CHECK(clock_now_ns() < limit);
		nanosleep(&(struct timespec){.tv_nsec = NSEC_PER_MSEC}, NULL);
	}
	return workers[0];
}

/* Of a tree that keeps one warm, before any client. */
static pid_t warm_worker(const struct test_tree *tree)
{
	wait_for_warm(tree, 1);
	return only_worker(tree);
}

/* A client that gets its session. */
static struct peer welcomed(const struct test_tree *tree, const char *backend)
{
	struct peer peer = peer_hello(tree, backend, "");

	CHECK_EQ(peer.reply.status, HELLO_OK);
	return peer;
}

static struct test_tree start(const char *behaviour, const char *workers)
{
	setenv("ROSEN_WARM_WORKERS", workers, 1);
	return test_tree_start(behaviour);
}

TEST(pool_is_filled_and_filled_again)
{
	struct test_tree tree = start("ok", "3");

	wait_for_warm(&tree, 3);
	CHECK_EQ(test_tree_processes(&tree), 1 + 3);
	struct peer first = welcomed(&tree, "auto"), second = welcomed(&tree, "auto");
	wait_for_warm(&tree, 3);
	CHECK_EQ(test_tree_processes(&tree), 1 + 3 + 2);
	peer_bye(&first);
	peer_bye(&second);
	test_tree_stop(&tree);
}

TEST(session_gets_the_warm_worker)
{
	struct test_tree tree = start("ok", "1");

	pid_t warm = warm_worker(&tree);
	struct peer peer = welcomed(&tree, "cuda");
	CHECK_EQ(worker_of_session(&tree, "cuda"), warm);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

/* A client that leaves before it has its session has used up the worker all the same. */
TEST(pool_is_filled_again_after_a_client_in_a_hurry)
{
	struct test_tree tree = start("ok", "1");
	uint64_t limit = clock_now_ns() + 5 * NSEC_PER_SEC;
	struct hello_request hello;
	int fd;

	pid_t warm = warm_worker(&tree);
	hello_request_init(&hello);
	CHECK_EQ(socket_connect(tree.socket, &fd), 0);
	CHECK_EQ(fd_send(fd, &hello, sizeof(hello), NULL, 0), 0);
	fd_close(fd);
	while (kill(warm, 0) == 0) {
		CHECK(clock_now_ns() < limit);
		nanosleep(&(struct timespec){.tv_nsec = NSEC_PER_MSEC}, NULL);
	}
	wait_for_warm(&tree, 1);
	CHECK_EQ(test_tree_processes(&tree), 1 + 1);
	test_tree_stop(&tree);
}

TEST(other_backend_gets_a_new_worker)
{
	struct test_tree tree = start("ok", "1");

	pid_t warm = warm_worker(&tree);
	struct peer peer = welcomed(&tree, "softgpu");
	CHECK(worker_of_session(&tree, "softgpu") != warm);
	CHECK_EQ(count_warm(&tree), 1);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

/* The driver of a warm worker has read its variables. */
TEST(other_variables_get_a_new_worker)
{
	struct test_tree tree = start("ok", "1");
	struct environment environment = {0};

	strcpy(environment.value[ENVIRONMENT_CUDA_DEVICE_MAX_CONNECTIONS], "1");
	pid_t warm = warm_worker(&tree);
	for (int i = 0; i < 3; i++) {
		struct peer peer = peer_hello_with(&tree, "cuda", &environment);
		CHECK_EQ(peer.reply.status, HELLO_OK);
		CHECK(worker_of_session(&tree, "cuda") != warm);
		peer_bye(&peer);
		wait_for_no_session(&tree);
	}
	CHECK_EQ(count_warm(&tree), 1);
	CHECK_EQ(only_worker(&tree), warm);
	test_tree_stop(&tree);
}

TEST(variables_that_mean_nothing_to_the_driver_get_the_warm_worker)
{
	struct test_tree tree = start("ok", "1");
	struct environment environment = {0};

	strcpy(environment.value[ENVIRONMENT_CUDA_LAUNCH_BLOCKING], "1");
	strcpy(environment.value[ENVIRONMENT_CUDA_MODULE_LOADING], "LAZY");
	pid_t warm = warm_worker(&tree);
	struct peer peer = peer_hello_with(&tree, "cuda", &environment);
	CHECK_EQ(peer.reply.status, HELLO_OK);
	CHECK_EQ(worker_of_session(&tree, "cuda"), warm);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

TEST(dead_warm_worker_is_replaced)
{
	struct test_tree tree = start("ok", "1");

	pid_t warm = warm_worker(&tree);
	kill(warm, SIGKILL);
	/* Whether rosend knows of the death yet or not, a client is served. */
	struct peer peer = welcomed(&tree, "cuda");
	CHECK(worker_of_session(&tree, "cuda") != warm);
	wait_for_warm(&tree, 1);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

TEST(warm_worker_that_fails_at_its_start_is_replaced)
{
	struct test_tree tree = start("cuda=then-fail", "1");

	pid_t warm = warm_worker(&tree);
	struct peer peer = welcomed(&tree, "cuda");
	CHECK(worker_of_session(&tree, "cuda") != warm);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

static void check_other_backend_is_warmed(const char *behaviour)
{
	struct test_tree tree = start(behaviour, "1");

	pid_t warm = warm_worker(&tree);
	struct peer peer = welcomed(&tree, "auto");
	CHECK_EQ(worker_of_session(&tree, "softgpu"), warm);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

TEST(auto_warms_softgpu_when_cuda_fails)
{
	check_other_backend_is_warmed("cuda=fail");
}

TEST(auto_warms_softgpu_without_device)
{
	check_other_backend_is_warmed("cuda=none");
}

TEST(auto_warms_softgpu_when_the_worker_ends)
{
	check_other_backend_is_warmed("cuda=exit");
}

TEST(auto_warms_softgpu_when_the_worker_hangs)
{
	setenv("ROSEN_START_MS", "200", 1);
	check_other_backend_is_warmed("cuda=hang");
}

TEST(backend_that_cannot_open_is_left_in_peace)
{
	struct test_tree tree = start("cuda=fail,softgpu=fail", "2");

	nanosleep(&(struct timespec){.tv_nsec = 500 * NSEC_PER_MSEC}, NULL);
	CHECK_EQ(count_warm(&tree), 0);
	CHECK_EQ(test_tree_processes(&tree), 1);
	struct peer peer = peer_hello(&tree, "auto", "");
	CHECK_EQ(peer.reply.status, HELLO_NO_BACKEND);
	CHECK(strstr(peer.reply.text, "no driver here"));
	peer_bye(&peer);
	test_tree_stop(&tree);
}

TEST(warming_worker_serves_too)
{
	struct test_tree tree = start("cuda=warm-slow", "1");
	pid_t warm = only_worker(&tree);
	struct peer peer = peer_hello(&tree, "cuda", "");

	CHECK_EQ(peer.reply.status, HELLO_OK);
	CHECK_EQ(worker_of_session(&tree, "cuda"), warm);
	peer_bye(&peer);
	test_tree_stop(&tree);
}

TEST(killed_rosend_takes_the_pool_along)
{
	struct test_tree tree = start("ok", "2");
	uint64_t limit = clock_now_ns() + NSEC_PER_SEC;

	wait_for_warm(&tree, 2);
	kill(tree.pid, SIGKILL);
	CHECK_EQ(waitpid(tree.pid, NULL, 0), tree.pid);
	while (test_tree_processes(&tree)) {
		CHECK(clock_now_ns() < limit);
		nanosleep(&(struct timespec){.tv_nsec = 5 * NSEC_PER_MSEC}, NULL);
	}
	setenv("ROSEN_WARM_WORKERS", "0", 1);
	test_tree_restart(&tree);
	CHECK_EQ(count_warm(&tree), 0);
	test_tree_stop(&tree);
}
