/*
 * See server.h. A private rosend gets its listening socket from here, already bound: clients can
 * connect before it has started, the kernel lets them wait, and nobody polls for readiness. It gets
 * the read end of a pipe, its leash: when this process ends, by exit, by a signal or by kill -9,
 * the kernel closes the write end, and rosend ends its workers, removes the folder and goes. It has
 * a session (setsid) of its own, so that Ctrl-C in the terminal reaches the program only.
 */
#include "cli/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"
#include "cli/cli.h"

#define MESSAGE_MAX (64 * 1024)
#define ANSWER_MAX  (16 * 1024 * 1024)
#define STOP_MS	    3000 /* a private rosend that has not ended then is killed */

int server_find(const struct config *config, struct server_use *use)
{
	int fd, r;

	*use = (struct server_use){.leash = -1};
	snprintf(use->socket, sizeof(use->socket), "%s", config->server);
	if (!*config->server && install_socket_path(use->socket, sizeof(use->socket)) < 0)
		return 1;
	r = socket_connect(use->socket, &fd);
	if (r == 0) {
		bool ours = *config->server || socket_peer_is_ours(fd);
		fd_close(fd);
		if (ours)
			return 0;
		cli_error("%s is served by another user, which is not trusted: name a server with "
			  "--server",
		    use->socket);
		return error_origin(-EPERM);
	}
	if (!*config->server)
		return 1;
	if (r == -ENAMETOOLONG)
		cli_error("%s is too long for a socket's path, which has at most %zu bytes: make "
			  "rosend listen at a shorter one",
		    use->socket, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	else if (r == -EACCES || r == -EPERM)
		cli_error("%s: %s: whoever runs that rosend must let you in (allow_users, "
			  "allow_groups in its rosen.conf, and a folder that you may enter)",
		    use->socket, strerror(-r));
	else
		cli_error("no rosend can be reached at %s: %s. Start one with `rosen serve "
			  "--socket %s`, or leave the setting server (--server, ROSEN_SERVER) "
			  "away",
		    use->socket, strerror(-r), use->socket);
	return r;
}

/* In the child: only the listener, the leash and the standard streams stay open. */
static _Noreturn void become_rosend(const struct config *config, const struct install *install,
    const char *folder, int listener, int leash, bool warm)
{
	char listener_text[16], leash_text[16];
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || fcntl(listener, F_SETFD, 0) < 0 ||
	    fcntl(leash, F_SETFD, 0) < 0)
		_exit(EXIT_FAILURE);
	snprintf(listener_text, sizeof(listener_text), "%d", listener);
	snprintf(leash_text, sizeof(leash_text), "%d", leash);
	execl(install->rosend, "rosend", "--listen-fd", listener_text, "--leash", leash_text,
	    "--remove", folder, "--backend", config->backend, warm ? "--warm" : (char *)NULL,
	    (char *)NULL);
	cli_error("cannot start %s: %s: the installation is incomplete (`rosen doctor`)",
	    install->rosend, strerror(errno));
	_exit(EXIT_FAILURE);
}

static int start_rosend(const struct config *config, bool warm, struct server_use *use, char *error)
{
	struct install install;
	_cleanup_fd_ int listener = -1;
	int leash[2];
	int r = install_find(&install);

	if (r == 0 && access(install.rosend, X_OK) < 0) {
		r = error_origin(-errno);
		snprintf(error, SOCKET_ERROR_MAX,
		    "%.400s: %s: the installation is incomplete (`rosen doctor`)", install.rosend,
		    strerror(errno));
	}
	if (r == 0)
		r = socket_listen(use->socket, true, false, &listener, error);
	if (r < 0)
		return error_trace(r);
	if (pipe2(leash, O_CLOEXEC) < 0)
		return error_origin(-errno);
	use->pid = fork();
	if (use->pid == 0)
		become_rosend(config, &install, use->folder, listener, leash[0], warm);
	if (use->pid < 0) {
		r = error_origin(-errno);
		use->pid = 0;
		fd_close(leash[1]);
	} else {
		use->leash = leash[1];
	}
	fd_close(leash[0]);
	return r;
}

int server_start_private(const struct config *config, bool warm, struct server_use *use)
{
	char error[SOCKET_ERROR_MAX] = "";

	*use = (struct server_use){.leash = -1};
	int r = dir_make_temporary("rosen", use->folder, sizeof(use->folder));
	if (r < 0) {
		cli_error("cannot make a folder in %s: %s: set TMPDIR to a folder that is writable",
		    dir_temporary(), strerror(-r));
		return r;
	}
	snprintf(use->socket, sizeof(use->socket), "%s/rosend.sock", use->folder);
	r = start_rosend(config, warm, use, error);
	if (r < 0) {
		cli_error("cannot start a private rosend: %s", *error ? error : strerror(-r));
		dir_remove(use->folder);
	}
	return r;
}

int server_take(const struct config *config, bool warm, struct server_use *use)
{
	int r = server_find(config, use);

	return r == 1 ? server_start_private(config, warm, use) : r;
}

void server_give(struct server_use *use)
{
	const struct timespec moment = {.tv_nsec = NSEC_PER_MSEC};
	uint64_t limit = clock_now_ns() + STOP_MS * NSEC_PER_MSEC;

	use->leash = fd_close(use->leash);
	while (use->pid && waitpid(use->pid, NULL, WNOHANG) == 0) {
		if (clock_now_ns() > limit)
			kill(use->pid, SIGKILL);
		nanosleep(&moment, NULL);
	}
	use->pid = 0;
	if (*use->folder)
		dir_remove(use->folder);
}

#define PATIENCE_MS 1000 /* before a person at a terminal is told what takes so long */

/* Waits until fd is readable; 0, or a negative errno. At a terminal it shows that it waits. */
static int wait_for_answer(int fd, int timeout_ms)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	bool shown = false, terminal = isatty(STDERR_FILENO);
	int waited_ms = 0, n = 0;

	while (n == 0 && waited_ms < timeout_ms) {
		n = poll(&poller, 1, MIN(PATIENCE_MS, timeout_ms - waited_ms));
		if (n < 0 && errno == EINTR)
			n = 0;
		waited_ms += n ? 0 : PATIENCE_MS;
		if (n == 0 && terminal) {
			fprintf(stderr, "\rrosen: waiting for rosend, %d s ...",
			    waited_ms / PATIENCE_MS);
			shown = true;
		}
	}
	if (shown)
		fprintf(stderr, "\r\033[K");
	return n > 0 ? 0 : error_origin(n ? -errno : -ETIMEDOUT);
}

/* Reads messages until they make one JSON value. -ETIMEDOUT, -EBADMSG, or a socket's error. */
static int read_answer(
    int fd, int timeout_ms, struct json_tokener *tokener, struct json_object **answer)
{
	static char piece[MESSAGE_MAX];
	size_t total = 0;

	*answer = NULL;
	while (!*answer) {
		int r = wait_for_answer(fd, timeout_ms);
		if (r < 0)
			return error_trace(r);
		ssize_t size = fd_receive(fd, piece, sizeof(piece), NULL, NULL, 0);
		if (size < 0)
			return error_trace((int)size);
		total += (size_t)size;
		*answer = json_tokener_parse_ex(tokener, piece, (int)size);
		if (total > ANSWER_MAX ||
		    (!*answer && json_tokener_get_error(tokener) != json_tokener_continue))
			return error_origin(-EBADMSG);
	}
	return 0;
}

static int ask(const struct server_use *use, struct json_object *request, int timeout_ms,
    struct json_object **answer)
{
	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	_cleanup_fd_ int fd = -1;
	int r = socket_connect(use->socket, &fd);

	if (r == 0)
		r = fd_send(fd, text, strlen(text), NULL, 0);
	if (r < 0)
		return error_trace(r);
	struct json_tokener *tokener = json_tokener_new();
	if (!tokener)
		return error_origin(-ENOMEM);
	r = read_answer(fd, timeout_ms, tokener, answer);
	json_tokener_free(tokener);
	return error_trace(r);
}

struct json_object *server_ask(const struct server_use *use, const char *method,
    struct json_object *request, enum json_type type, int timeout_ms)
{
	struct json_object *answer = NULL, *result = NULL;

	if (!request)
		request = json_object_new_object();
	json_object_object_add(request, "method", json_object_new_string(method));
	int r = ask(use, request, timeout_ms, &answer);
	json_object_put(request);
	if (r < 0 && r != -EBADMSG) {
		cli_error("rosend at %s does not answer \"%s\": %s: its log may say why",
		    use->socket, method, r == -ENODATA ? "it hung up" : strerror(-r));
		return NULL;
	}
	struct json_object *error = json_object_object_get(answer, "error");
	if (error)
		cli_error("rosend at %s refuses \"%s\": %s", use->socket, method,
		    cli_text(error, "text"));
	else if (json_object_is_type(json_object_object_get(answer, "result"), type))
		result = json_object_get(json_object_object_get(answer, "result"));
	else
		cli_error("what listens at %s answers \"%s\" in another way than a rosend of this "
			  "release: name another socket (--server, ROSEN_SERVER)",
		    use->socket, method);
	json_object_put(answer);
	return result;
}
