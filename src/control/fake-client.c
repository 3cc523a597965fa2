/*
 * A client for tests of rosend and `rosen run`: it opens a session as the shim does and gives the
 * fake worker orders, one per argument. Two words are for itself: "trace" leaves a trace file with
 * one call and one wait; "sleep" waits for a signal. Prints "open" once it has its session.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"
#include "base/trace.h"
#include "wire/hello.h"

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "fake-client: %s\n", what);
	exit(EXIT_FAILURE);
}

static int open_session(void)
{
	const char *server = getenv("ROSEN_SERVER"), *run = getenv("ROSEN_RUN");
	struct hello_request hello;
	struct hello_reply reply;
	uint8_t message[HELLO_MESSAGE_MAX];
	int socket, fds[2];
	size_t n_fds = 2;

	hello_request_init(&hello);
	hello.n_functions = 8;
	strcpy(hello.program, "fake-client");
	snprintf(hello.run, sizeof(hello.run), "%.31s", run ?: "");
	if (!server || socket_connect(server, &socket) < 0)
		die("cannot connect");
	if (fd_send(socket, &hello, sizeof(hello), NULL, 0) < 0)
		die("cannot say hello");
	ssize_t size = fd_receive(socket, message, sizeof(message), fds, &n_fds, 0);
	if (size < 0 || hello_reply_parse(message, (size_t)size, &reply) < 0)
		die("no reply");
	if (reply.status != HELLO_OK)
		die(reply.text);
	return fds[1];
}

static void leave_trace(void)
{
	struct {
		struct trace_header header;
		struct trace_record record;
	} file = {
	    .header = {TRACE_MAGIC, sizeof(struct trace_header), sizeof(struct trace_record),
		.capacity = 1, .used = 4, .pid = (uint32_t)getpid(), .program = "fake \"client\""},
	    .record = {.start_ns = 5000001, .duration_ns = 3000, .waited_ns = 2000, .thread = 7},
	};
	char path[4096];

	snprintf(path, sizeof(path), "%s/%d.trace", getenv("ROSEN_OBSERVE_DIR") ?: "", getpid());
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, &file, sizeof(file)) != sizeof(file))
		die("cannot write a trace");
}

static void give_order(int side, const char *text)
{
	char message[sizeof(struct side_message)] = "";

	snprintf(message, sizeof(message), "%s", text);
	if (fd_send(side, message, sizeof(message), NULL, 0) < 0 ||
	    fd_receive(side, message, sizeof(message), NULL, NULL, 0) < 0)
		die("the worker is gone");
}

int main(int argc, char **argv)
{
	int side = open_session();

	puts("open");
	fflush(stdout);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "trace"))
			leave_trace();
		else if (!strcmp(argv[i], "sleep"))
			pause();
		else
			give_order(side, argv[i]);
	}
	return EXIT_SUCCESS;
}
