/*
 * The clients of rosen bench: started as `rosen run` starts its program, but with one socket as
 * standard input and output, over which they take orders and answer. They end when it hangs up.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/bench.h"
#include "cli/cli.h"

#define PATIENCE_MS 120000 /* for an answer: the first waits for a GPU's driver */

bool bench_client_start(struct run_plan *plan, struct bench_client *client)
{
	int pair[2];
	sigset_t mask;

	*client = (struct bench_client){.socket = -1};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		cli_error("cannot start a client: %s", strerror(errno));
		return false;
	}
	plan->input = plan->output = pair[1];
	/* It blocks signals for one who supervises; here Ctrl-C must work. */
	sigprocmask(SIG_SETMASK, NULL, &mask);
	bool good = run_start_program(plan, &client->pid) == 0;
	sigprocmask(SIG_SETMASK, &mask, NULL);
	fd_close(pair[1]);
	if (!good) {
		fd_close(pair[0]);
		client->pid = 0;
		return false;
	}
	client->socket = pair[0];
	return true;
}

bool bench_client_order(struct bench_client *client, const char *order)
{
	size_t size = strlen(order);

	if (send(client->socket, order, size, MSG_NOSIGNAL) == (ssize_t)size)
		return true;
	cli_error("Rosen's own CUDA program is gone: %s", strerror(errno));
	return false;
}

/* Until the answer's line is there; false after a message. */
static bool read_line(struct bench_client *client)
{
	client->filled = 0;
	for (;;) {
		struct pollfd poller = {.fd = client->socket, .events = POLLIN};
		size_t room = sizeof(client->answer) - 1 - client->filled;
		if (!room || poll(&poller, 1, PATIENCE_MS) == 0) {
			cli_error(
			    "Rosen's own CUDA program does not answer: `rosen ps` and rosend's log "
			    "may say why");
			return false;
		}
		ssize_t size = read(client->socket, client->answer + client->filled, room);
		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0) {
			cli_error("Rosen's own CUDA program ended: its message is above, or in "
				  "rosend's log");
			return false;
		}
		client->filled += (size_t)size;
		client->answer[client->filled] = '\0';
		if (client->answer[client->filled - 1] == '\n')
			return true;
	}
}

struct json_object *bench_client_answer(struct bench_client *client)
{
	if (!read_line(client))
		return NULL;
	struct json_object *answer = json_tokener_parse(client->answer);
	struct json_object *error = json_object_object_get(answer, "error");
	if (answer && !error)
		return answer;
	cli_error("Rosen's own CUDA program failed: %s",
	    error ? json_object_get_string(error) : "its answer is no JSON");
	json_object_put(answer);
	return NULL;
}

void bench_client_stop(struct bench_client *client)
{
	client->socket = fd_close(client->socket);
	if (client->pid)
		waitpid(client->pid, NULL, 0);
	client->pid = 0;
}
