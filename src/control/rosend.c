/*
 * rosend: the daemon that gives client processes their workers. One process, one thread, one event
 * loop; it forks a rosen-worker per session and never loads a driver itself, so whatever a tenant
 * or a driver does happens in a process that can be thrown away.
 *
 *	client --- socket (hello, JSON) --- rosend --- control socket --- worker
 *	   \_______ region and side socket, given to both ______________/
 *
 * It is started in one of three ways: by a person or a service manager as a server of its own
 * (`rosen serve`); by a service manager that passes the listening socket; or by `rosen run`
 * privately, with a listening socket and a leash: a pipe whose other end `rosen run` holds, so that
 * rosend ends when it does, however it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/config.h"
#include "base/dir.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/install.h"
#include "base/log.h"
#include "base/options.h"
#include "base/socket.h"
#include "control/listen.h"
#include "control/server.h"
#include "control/warm.h"
#include "wire/environment.h"

enum { EXIT_USAGE = 2 };

struct arguments {
	const char *socket, *config, *backend, *log, *remove;
	long listen_fd, leash_fd;
	bool warm, version;
};

#define ARGUMENT_ROWS(a)                                                                           \
	{                                                                                          \
	    OPTION_ROW_TEXT("socket", "PATH", &(a)->socket,                                        \
		"Listen here instead of $XDG_RUNTIME_DIR/rosen/rosend.sock."),                     \
	    OPTION_ROW_TEXT("config", "FILE", &(a)->config,                                        \
		"Read settings from FILE instead of the standard places."),                        \
	    OPTION_ROW_TEXT(                                                                       \
		"backend", "NAME", &(a)->backend, "What runs the calls: auto, cuda or softgpu."),  \
	    OPTION_ROW_TEXT("log", "LEVEL", &(a)->log,                                             \
		"How much is logged on stderr: error, warn, info or debug."),                      \
	    OPTION_ROW_NUMBER("listen-fd", "FD", &(a)->listen_fd,                                  \
		"Serve this listening SOCK_SEQPACKET socket, opened by the caller."),              \
	    OPTION_ROW_NUMBER(                                                                     \
		"leash", "FD", &(a)->leash_fd, "End when the other end of this pipe is closed."),  \
	    OPTION_ROW_TEXT("remove", "DIR", &(a)->remove,                                         \
		"Remove this folder and what is in it at the end."),                               \
	    OPTION_ROW_SWITCH(                                                                     \
		"warm", &(a)->warm, "With --leash: open the backend for one client at once."),     \
	    OPTION_ROW_SWITCH("version", &(a)->version, "Print the version and exit."),            \
	}

static void print_help(const struct option_row *rows, size_t n_rows)
{
	printf("Usage: rosend [OPTIONS]\n\n"
	       "Serves GPUs to programs on this host until SIGTERM, SIGINT or SIGHUP; after "
	       "SIGUSR1\nuntil the last session is over. See rosend(8).\n\nOptions:\n");
	options_print(stdout, rows, n_rows);
	printf("\nExit status: 0 after an orderly end, 1 when it could not serve (stderr says "
	       "why),\n2 for a wrong command line.\n");
}

/* The exit status of an answer on stdout: what a full disk swallowed was not told. */
static int say_written(void)
{
	if (fflush(stdout) == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "rosend: cannot write the output: %m\n");
	return EXIT_FAILURE;
}

/* 0: go on. Otherwise the exit status plus one. */
static int read_arguments(int argc, char **argv, struct arguments *a)
{
	*a = (struct arguments){.listen_fd = -1, .leash_fd = -1};
	const struct option_row rows[] = ARGUMENT_ROWS(a);
	int rest = 0, r = options_parse("rosend", rows, ARRAY_SIZE(rows), argc, argv, &rest);

	if (r == OPTIONS_HELP) {
		print_help(rows, ARRAY_SIZE(rows));
		return say_written() + 1;
	}
	if (r == OPTIONS_WRONG)
		return EXIT_USAGE + 1;
	if (rest < argc) {
		fprintf(
		    stderr, "rosend: there is no argument \"%s\": see rosend --help\n", argv[rest]);
		return EXIT_USAGE + 1;
	}
	if (a->version) {
		printf("rosend %s\n", ROSEN_VERSION);
		return say_written() + 1;
	}
	return 0;
}

/* An exit status: EXIT_USAGE for the value of a flag. */
static int load_config(struct config *config, const struct arguments *a)
{
	const char *const flags[][2] = {
	    {"server", a->socket}, {"backend", a->backend}, {"log", a->log}};
	char error[CONFIG_ERROR_MAX];

	if (config_load(config, a->config, error, sizeof(error)) < 0) {
		log_error("%s", error);
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (flags[i][1] &&
		    config_set(config, flags[i][0], flags[i][1], error, sizeof(error)) < 0) {
			fprintf(stderr, "rosend: --%s\n", error);
			return EXIT_USAGE;
		}
	}
	log_set_level_named(config->log);
	/* A private one has a folder that no other user may enter; whom the host's settings let in,
	 * and whether this host knows them, is not its matter. */
	if (a->leash_fd >= 0)
		*config->allow_users = *config->allow_groups = '\0';
	return EXIT_SUCCESS;
}

/* *own_path: no service manager listens there when rosend is gone. */
static int open_listener(
    const struct config *config, const struct arguments *a, int *out, bool *own_path, char *error)
{
	char path[INSTALL_PATH_MAX];
	int inherited = a->listen_fd >= 0 ? -1 : listen_inherited();
	int passed = a->listen_fd >= 0 ? (int)a->listen_fd : inherited;
	bool for_others = *config->allow_users || *config->allow_groups;
	int r;

	*own_path = inherited < 0;
	if (passed >= 0) {
		*out = passed;
		r = socket_check_listening(passed);
		if (r < 0)
			snprintf(error, SOCKET_ERROR_MAX,
			    "descriptor %d is not a listening SOCK_SEQPACKET unix socket", passed);
		else if (fcntl(passed, F_SETFD, FD_CLOEXEC) < 0)
			r = error_origin(-errno);
		return r;
	}
	snprintf(path, sizeof(path), "%s", config->server);
	if (!*path) {
		r = install_socket_path(path, sizeof(path));
		if (r < 0)
			return error_trace(r);
	}
	r = socket_listen(path, !*config->server, for_others, out, error);
	if (r == 0)
		log_info("listening at %s", path);
	return error_trace(r);
}

static void on_signal(void *data, unsigned events)
{
	struct server *server = data;
	struct signalfd_siginfo info;

	if (read(watch_fd(server->signals), &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1)
		server_drain(server);
	else
		server_stop(server);
}

static int watch_signals(struct server *server)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_origin(-errno);
	return error_trace(
	    watch_new(server->loop, fd, WATCH_READ, on_signal, server, &server->signals));
}

static void on_leash(void *data, unsigned events)
{
	struct server *server = data;

	server->leash = watch_free(server->leash);
	server_stop(server);
}

static int watch_leash(struct server *server, long fd, char *error)
{
	if (fd < 0)
		return 0;
	int r = fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 ? error_origin(-errno) : 0;
	if (r == 0)
		r = watch_new(server->loop, (int)fd, WATCH_READ, on_leash, server, &server->leash);
	if (r < 0)
		snprintf(error, SOCKET_ERROR_MAX, "--leash %ld: %s: give the end of a pipe", fd,
		    strerror(-r));
	return error_trace(r);
}

/* Each session holds five descriptors; the standard limit of 1024 is for programs with select(). */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* A server's own variables are no program's (wire/environment.h); who set them may think so. */
static void say_variables(void)
{
	struct environment own;
	uint64_t malformed;

	environment_read(&own, &malformed);
	uint64_t slots = environment_slots(&own) | malformed;
	for (size_t i = 0; slots && i < environment_n_rows; i++) {
		const struct environment_row *row = &environment_rows[i];
		if (row->slot >= 0 && slots & 1ull << row->slot)
			log_info("%s of rosend's own environment reaches no program: each brings "
				 "its own",
			    row->name);
	}
}

/* What a private rosend is for is known: at most one client's worker is opened ahead. */
static void begin_warming(struct server *server, const struct arguments *a)
{
	server->is_private = a->leash_fd >= 0;
	server->warm_left = server->is_private ? a->warm : UINT_MAX;
	warm_fill(server);
}

/* error (SOCKET_ERROR_MAX bytes): why it cannot, where more is known than the errno says. */
static int serve(const struct config *config, const struct arguments *a, char *error)
{
	struct server server;
	bool own_path = false;
	int listener = -1;

	raise_file_limit();
	int r = server_init(&server, config, error);
	if (r < 0)
		return error_trace(r);
	r = watch_signals(&server);
	if (r == 0)
		r = watch_leash(&server, a->leash_fd, error);
	/* The last thing that can fail: who sees the socket is served. */
	if (r == 0)
		r = open_listener(config, a, &listener, &own_path, error);
	if (r == 0)
		r = server_listen(&server, listener, own_path);
	if (r == 0) {
		begin_warming(&server, a);
		if (!server.is_private)
			say_variables();
		listen_notify("READY=1");
		event_loop_run(server.loop);
	} else {
		unlink(server.socket_path);
	}
	server_fini(&server);
	if (a->remove)
		dir_remove(a->remove);
	return error_trace(r);
}

int main(int argc, char **argv)
{
	char error[SOCKET_ERROR_MAX] = "";
	struct arguments arguments;
	struct config config;

	log_init("rosend");
	fd_fill_standard(false); /* for the workers too, whose backends write there */
	int done = read_arguments(argc, argv, &arguments);
	if (done)
		return done - 1;
	done = load_config(&config, &arguments);
	if (done)
		return done;
	int r = serve(&config, &arguments, error);
	if (r < 0)
		log_error("cannot serve: %s", *error ? error : strerror(-r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
