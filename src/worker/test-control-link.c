/* The end of the control socket that watches rosend, in a process of its own, which it ends. */
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/test.h"
#include "worker/control_link.h"
#include "worker/test-client.h"

/* rosend's end of the socket of a worker that only watches. */
static int start_worker(pid_t *worker)
{
	int sockets[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	*worker = fork();
	CHECK(*worker >= 0);
	if (*worker > 0) {
		close(sockets[1]);
		return sockets[0];
	}
	close(sockets[0]);
	client_start(NULL);
	if (dup2(sockets[1], CONTROL_FD) < 0 || control_watch(client_worker()) < 0)
		_exit(2);
	for (;;)
		pause();
}

static int end_of(pid_t worker)
{
	int status = -1;

	CHECK_EQ(waitpid(worker, &status, 0), worker);
	return status;
}

/* What it says last; statuses may come first. */
static void check_words(int socket, const char *words)
{
	struct control_text text;

	do
		CHECK(fd_receive(socket, &text, sizeof(text), NULL, NULL, 0) > 0);
	while (text.kind != CONTROL_LAST_WORDS);
	CHECK(strstr(text.text, words));
}

TEST(a_worker_ends_in_order_when_rosend_is_gone)
{
	pid_t worker;
	int socket = start_worker(&worker);

	close(socket);
	CHECK_EQ(end_of(worker), 0);
}

TEST(a_worker_says_that_it_cannot_read_what_rosend_sends)
{
	struct control_share other = {.kind = CONTROL_START};
	char large[sizeof(other) + 1] = {0};
	pid_t worker;
	int socket = start_worker(&worker);

	CHECK_EQ(fd_send(socket, &other, sizeof(other), NULL, 0), 0);
	CHECK_EQ(WEXITSTATUS(end_of(worker)), EXIT_FAILURE);
	check_words(socket, "is it of another build?");
	close(socket);
	socket = start_worker(&worker);
	CHECK_EQ(fd_send(socket, large, sizeof(large), NULL, 0), 0);
	CHECK_EQ(WEXITSTATUS(end_of(worker)), EXIT_FAILURE);
	check_words(socket, "Message too long");
	close(socket);
}
