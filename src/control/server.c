/*
 * See server.h. Owns the listening socket and the tables; what happens to a connection is decided
 * in client.c, to a session in session.c.
 */
#include "control/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "control/client.h"
#include "control/images.h"
#include "control/listen.h"
#include "control/probe.h"
#include "control/process.h"
#include "control/run.h"
#include "control/session.h"
#include "control/share.h"
#include "control/warm.h"

#define ACCEPT_PAUSE_MS 100
#define ABSENT_NS	(10 * NSEC_PER_SEC) /* how long `auto` believes that there is no GPU */

static const char *const backend_names[SERVER_N_BACKENDS] = {
    [CONTROL_BACKEND_CUDA] = "cuda",
    [CONTROL_BACKEND_SOFTGPU] = "softgpu",
};

const char *server_backend_name(enum control_backend backend)
{
	return backend < SERVER_N_BACKENDS && backend_names[backend] ? backend_names[backend] : "?";
}

enum control_backend server_backend_named(const char *name)
{
	for (int i = CONTROL_BACKEND_CUDA; i < SERVER_N_BACKENDS; i++)
		if (!strcmp(backend_names[i], name))
			return (enum control_backend)i;
	return (enum control_backend)0;
}

void server_backend_library(
    const struct server *server, enum control_backend backend, char library[CONTROL_PATH_MAX])
{
	const char *path = backend == CONTROL_BACKEND_CUDA   ? server->config.cuda_library
			   : *server->config.softgpu_library ? server->config.softgpu_library
							     : server->install.softgpu;

	if ((size_t)snprintf(library, CONTROL_PATH_MAX, "%s", path) >= CONTROL_PATH_MAX)
		log_error("the path of backend %s is longer than %d bytes and is cut: %s",
		    server_backend_name(backend), CONTROL_PATH_MAX - 1, path);
}

void server_backend_failed(struct server *server, enum control_backend backend, const char *text)
{
	struct server_backend *known = &server->backends[backend];

	snprintf(known->why, sizeof(known->why), "%s: %.240s", server_backend_name(backend), text);
	known->absent_until_ns = clock_now_ns() + ABSENT_NS;
}

enum control_backend server_backend_auto(const struct server *server)
{
	const struct server_backend *cuda = &server->backends[CONTROL_BACKEND_CUDA];

	/* A GPU that was seen once is not silently replaced because it fails now. */
	return cuda->present || clock_now_ns() >= cuda->absent_until_ns ? CONTROL_BACKEND_CUDA
									: CONTROL_BACKEND_SOFTGPU;
}

static void on_pause_over(void *data)
{
	struct server *server = data;

	server->accept_pause = alarm_free(server->accept_pause);
	if (server->listener)
		watch_set_events(server->listener, WATCH_READ);
}

/* Out of descriptors or memory: the connection stays in the backlog, and the loop must not spin. */
static void pause_accepting(struct server *server, int why)
{
	log_error("cannot accept a connection: %s: raise the limit on open files (ulimit -n)",
	    strerror(why));
	if (server->accept_pause || alarm_new(server->loop, ACCEPT_PAUSE_MS, on_pause_over, server,
					&server->accept_pause) < 0)
		return;
	watch_set_events(server->listener, 0);
}

static void on_connection(void *data, unsigned events)
{
	struct server *server = data;
	int fd = accept4(watch_fd(server->listener), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		client_new(server, fd);
		return;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
		pause_accepting(server, errno);
}

int server_init(struct server *server, const struct config *config, char *error)
{
	*server = (struct server){.config = *config, .started_ns = clock_now_ns()};
	list_init(&server->clients);
	list_init(&server->sessions);
	list_init(&server->processes);
	list_init(&server->runs);
	list_init(&server->warm);
	list_init(&server->shares);
	list_init(&server->images);
	int r = admit_init(&server->admit, config->allow_users, config->allow_groups, error);
	if (r == 0)
		r = install_find(&server->install);
	if (r == 0)
		r = event_loop_new(&server->loop);
	return error_trace(r);
}

int server_listen(struct server *server, int listener, bool own_path)
{
	struct sockaddr_un address = {0};
	socklen_t size = sizeof(address);

	if (own_path && getsockname(listener, (struct sockaddr *)&address, &size) == 0)
		memcpy(server->socket_path, address.sun_path, sizeof(server->socket_path) - 1);
	return error_trace(watch_new(
	    server->loop, listener, WATCH_READ, on_connection, server, &server->listener));
}

static void free_clients(struct server *server)
{
	list_for_each (&server->clients, link) {
		struct client *client = container_of(link, struct client, link);
		if (!client->session)
			client_free(client);
	}
}

/* The path may be a successor's from then on. */
static void give_up_socket(struct server *server)
{
	if (server->listener)
		unlink(server->socket_path);
	server->listener = watch_free(server->listener);
	free_clients(server);
}

void server_drain(struct server *server)
{
	if (server->draining || server->stopping)
		return;
	log_info("draining: %u sessions", server->n_sessions);
	server->draining = true;
	give_up_socket(server);
	warm_fini_all(server);
	server_check_drained(server);
}

void server_check_drained(struct server *server)
{
	if (server->draining && !server->stopping && !server->n_sessions)
		server_stop(server);
}

void server_stop(struct server *server)
{
	if (!server->stopping) {
		listen_notify("STOPPING=1");
		log_info("stopping: %u sessions", server->n_sessions);
	}
	server->stopping = true;
	give_up_socket(server);
	session_end_all(server);
	warm_fini_all(server);
	probe_fini_all(server);
	process_end_all(server);
	server_check_stopped(server);
}

void server_check_stopped(struct server *server)
{
	if (server->stopping && list_is_empty(&server->processes))
		event_loop_stop(server->loop);
}

void server_fini(struct server *server)
{
	free_clients(server);
	list_for_each (&server->runs, link)
		run_free(container_of(link, struct run, link));
	warm_fini_all(server);
	share_fini_all(server);
	images_fini_all(server);
	probe_fini_all(server);
	server->listener = watch_free(server->listener);
	server->signals = watch_free(server->signals);
	server->leash = watch_free(server->leash);
	server->accept_pause = alarm_free(server->accept_pause);
	server->loop = event_loop_free(server->loop);
}
