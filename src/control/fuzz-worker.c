/*
 * Fuzz target: what a worker says to rosend, should its tenant have taken it over: offers, takes,
 * images, states, texts, each with the descriptor of its choice. The session, its process and the
 * socket between them are real; the worker is this executable again, which only sends the fuzzer a
 * copy of its socket to speak through, says that it is ready and waits for its end.
 *
 * An input is a row of messages: u8 kind, u8 how (HOW_*), u8 length, and as many bytes, which stand
 * behind the kind in a message of that kind's size.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "control/client.h"
#include "control/process.h"
#include "control/server.h"
#include "control/session.h"

#define CONTROL_FD	   3
#define DOOR_VARIABLE	   "ROSEN_FUZZ_DOOR"
#define INPUTS_PER_SESSION 256
#define PATIENCE	   50000 /* rounds of a tenth of a millisecond */

/* A message's ways */
#define HOW_TOKEN  1 /* with the token that rosend gave out last */
#define HOW_SEALED 2 /* with a descriptor of sealed memory of the size it says */
#define HOW_NULL   4 /* with a descriptor of something else */
#define HOW_SHORT  8 /* of the input's length, not the kind's */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct server server;
static struct share_token token;
static int client_end = -1, worker_end = -1;

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* Where workers bring their sockets: a name that no file stands for, after the fuzzer's number. */
static struct sockaddr_un door_of(const char *number)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(
	    address.sun_path + 1, sizeof(address.sun_path) - 1, "rosen-fuzz-worker-%s", number);
	return address;
}

static int door = -1;

static void open_door(void)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", (int)getpid());
	struct sockaddr_un address = door_of(number);
	door = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	require(door >= 0 && bind(door, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		listen(door, 8) == 0 && setenv(DOOR_VARIABLE, number, 1) == 0);
}

static void bring_socket(void)
{
	struct sockaddr_un address = door_of(getenv(DOOR_VARIABLE) ?: "");
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	require(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		fd_send(fd, "", 1, (int[]){CONTROL_FD}, 1) == 0);
}

static int take_socket(void)
{
	_cleanup_fd_ int fd = accept4(door, NULL, NULL, SOCK_CLOEXEC);
	int taken = -1;
	size_t n = 1;
	char byte;

	require(fd >= 0 && fd_receive(fd, &byte, 1, &taken, &n, 0) == 1 && n == 1);
	return taken;
}

static _Noreturn void be_worker(void)
{
	struct control_ready ready = {.kind = CONTROL_READY, .driver_version = 13000, .devices = 1};
	struct pollfd poller = {.fd = CONTROL_FD, .events = POLLRDHUP};

	bring_socket();
	fd_send(CONTROL_FD, &ready, sizeof(ready), NULL, 0);
	while (poll(&poller, 1, -1) < 1)
		;
	_exit(EXIT_SUCCESS);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char error[ADMIT_ERROR_MAX];
	struct config config;

	if (!strcmp((*argv)[0], "rosen-worker"))
		be_worker();
	log_set_level(LOG_ERROR);
	open_door();
	config_init(&config);
	config.ring_size = config.staging_size = 1 << 20;
	config.lanes = 1;
	config.warm_workers = 0;
	strcpy(config.backend, "softgpu");
	strcpy(config.log, "error");
	require(server_init(&server, &config, error) == 0);
	strcpy(server.install.worker, "/proc/self/exe");
	return 0;
}

static struct session *session_now(void)
{
	return server.n_sessions ? container_of(server.sessions.previous, struct session, link)
				 : NULL;
}

/* Until no session and no process is left. */
static void end_session(void)
{
	session_end_all(&server);
	client_end = fd_close(client_end);
	worker_end = fd_close(worker_end);
	for (int i = 0; server.n_sessions || server.processes.next != &server.processes; i++) {
		require(i < PATIENCE);
		event_loop_poll(server.loop);
		usleep(100);
	}
	require(!server.n_door);
}

static void begin_session(void)
{
	struct hello_request hello;
	int pair[2];

	hello_request_init(&hello);
	hello.n_functions = 8;
	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	client_end = pair[1];
	require(client_new(&server, pair[0]) == 0);
	client_first_message(container_of(server.clients.previous, struct client, link),
	    (const uint8_t *)&hello, sizeof(hello));
	for (int i = 0; session_now() && session_now()->state != SESSION_LIVE; i++) {
		require(i < PATIENCE);
		event_loop_poll(server.loop);
		usleep(100);
	}
	require(session_now());
	worker_end = take_socket();
}

static int descriptor_of(uint8_t how, uint64_t size)
{
	if (how & HOW_NULL)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	if (!(how & HOW_SEALED))
		return -1;
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	require(fd >= 0 && ftruncate(fd, (off_t)(size % (1 << 20))) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	return fd;
}

static void say(uint8_t kind, uint8_t how, const uint8_t *bytes, size_t length)
{
	union process_message message = {.kind = kind};
	_cleanup_fd_ int fd = -1;

	memcpy((uint8_t *)&message + sizeof(message.kind), bytes, length);
	if (how & HOW_TOKEN)
		message.share.token = token;
	fd = descriptor_of(how, message.share.size);
	fd_send(worker_end, &message,
	    how & HOW_SHORT ? sizeof(message.kind) + length
			    : (process_message_size(kind) ?: sizeof(message)),
	    &fd, fd >= 0);
	event_loop_poll(server.loop);
}

/* Rosend's answers: a token to use again, and descriptors to drop. */
static void hear(void)
{
	struct control_share answer;
	int fd = -1;
	size_t n_fds = 1;

	while (fd_receive(worker_end, &answer, sizeof(answer), &fd, &n_fds, MSG_DONTWAIT) > 0) {
		if (answer.kind == CONTROL_SHARED && !answer.status)
			token = answer.token;
		if (n_fds)
			fd_close(fd);
		n_fds = 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned n_inputs;

	if (n_inputs++ % INPUTS_PER_SESSION == 0 && worker_end >= 0)
		end_session();
	if (worker_end < 0)
		begin_session();
	while (size >= 3 && worker_end >= 0) {
		size_t length = data[2];
		length = MIN(length, size - 3);
		say(data[0] % 16, data[1], data + 3, length);
		hear();
		data += 3 + length;
		size -= 3 + length;
		if (!session_now() || session_now()->state != SESSION_LIVE)
			end_session();
	}
	return 0;
}
