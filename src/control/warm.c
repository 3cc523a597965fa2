/*
 * See warm.h. A warm worker's life:
 *
 *	WARMING	  process started, CONTROL_WARM sent
 *	  -> READY	CONTROL_WARMED came
 *	  -> freed	it failed: the backend is noted as absent, which may change what `auto`
 *			means; where it does the pool goes on with the other backend at once
 *	either	  -> freed	taken by a session, which owns the process from then on
 *		  -> freed	it died; another is started
 *
 * A warm worker has none of CUDA's variables in its environment, like most programs; a private
 * rosend's has those of its program. A session with other variables gets a new worker, and the warm
 * one stays for the next session. But a private rosend's was for this very session: it ends, rather
 * than hold device memory beside the program for as long as that runs.
 *
 * A worker is taken also while it is warming: it is ahead of a new one in any case. The pool is
 * filled when rosend starts and a moment after a session has become live or is over: opening a
 * backend takes the driver's locks, and would slow down the start of the program there. After a
 * failure it rests a while, so that a backend that cannot open does not keep a processor busy.
 */
#include "control/warm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "control/event.h"
#include "control/server.h"
#include "wire/limits.h"

#define REST_MS 10000 /* after a failure */
#define SOON_MS 300   /* what a program's first calls may take */

struct warm {
	struct list link; /* of server->warm */
	struct server *server;
	struct process *process;
	struct alarm *alarm; /* while warming: when to give up */
	enum control_backend backend;
	struct environment environment;
	bool ready;
};

/* Without its process, which is ended or somebody else's. */
static void warm_free(struct warm *warm)
{
	list_remove(&warm->link);
	warm->server->n_warm--;
	alarm_free(warm->alarm);
	free(warm);
}

static void on_rested(void *data)
{
	struct server *server = data;

	server->warm_pause = alarm_free(server->warm_pause);
	warm_fill(server);
}

static void rest(struct server *server, uint64_t ms)
{
	if (!server->warm_pause)
		alarm_new(server->loop, ms, on_rested, server, &server->warm_pause);
}

static enum control_backend backend_to_warm(const struct server *server)
{
	return server_backend_named(server->config.backend) ?: server_backend_auto(server);
}

/* Its process is ended already, or NULL. */
static void failed(struct warm *warm, const char *text)
{
	struct server *server = warm->server;
	enum control_backend backend = warm->backend;

	log_info("no warm worker: %s", text);
	warm_free(warm);
	server_backend_failed(server, backend, text);
	if (backend_to_warm(server) == backend) {
		rest(server, REST_MS);
		return;
	}
	server->warm_left++; /* the other backend's turn */
	warm_fill(server);
}

static void on_timeout(void *data)
{
	struct warm *warm = data;

	process_kill(warm->process);
	failed(warm, "the backend did not open in time (setting start_ms)");
}

static void on_message(void *data, const union process_message *message, int fd)
{
	struct warm *warm = data;

	if (message->kind == CONTROL_FAILED ||
	    (message->kind == CONTROL_WARMED && !message->ready.devices)) {
		process_abandon(warm->process);
		failed(warm, message->kind == CONTROL_FAILED
				 ? message->text.text
				 : "the driver works, but there is no device");
		return;
	}
	if (message->kind != CONTROL_WARMED)
		return;
	warm->ready = true;
	warm->alarm = alarm_free(warm->alarm);
	warm->server->backends[warm->backend].present = true;
	log_info("worker %d is warm", process_pid(warm->process));
}

static void on_ended(void *data, const char *how)
{
	struct warm *warm = data;
	struct server *server = warm->server;
	char text[HELLO_TEXT_MAX];

	if (!warm->ready) {
		snprintf(text, sizeof(text), "the worker %s", *how ? how : "ended");
		failed(warm, text);
		return;
	}
	log_warn("warm worker %d %s", process_pid(warm->process), *how ? how : "ended");
	warm_free(warm);
	warm_fill(server);
}

/*
 * The one most clients will use. A private rosend has its program's environment: where that chooses
 * a device by its number, it is that one, and where it chooses in another way, it is not known
 * here.
 */
static int32_t device_to_warm(const struct server *server)
{
	const char *chosen = server->is_private ? getenv("CUDA_VISIBLE_DEVICES") : NULL;
	char *end;

	if (!chosen || *server->config.devices)
		return 0;
	unsigned long number = strtoul(chosen, &end, 10);
	bool good = end != chosen && *chosen != '-' && (!*end || *end == ',') &&
		    number < WIRE_DEVICES_MAX && !getenv("CUDA_DEVICE_ORDER");
	return good ? (int32_t)number : -1;
}

static int start(struct warm *warm, char *error)
{
	struct process_owner owner = {on_message, on_ended, warm};
	struct server *server = warm->server;
	struct control_warm message = {
	    .kind = CONTROL_WARM,
	    .backend = warm->backend,
	    .device = device_to_warm(server),
	    .environment = warm->environment,
	};
	int r = process_new(server, &owner, &warm->process, error);

	if (r < 0)
		return error_trace(r);
	server_backend_library(server, warm->backend, message.library);
	r = process_send(warm->process, &message, sizeof(message), NULL, 0);
	if (r == 0)
		r = alarm_new(
		    server->loop, server->config.start_ms, on_timeout, warm, &warm->alarm);
	if (r < 0)
		process_kill(warm->process);
	return error_trace(r);
}

static int add(struct server *server)
{
	struct warm *warm = calloc(1, sizeof(*warm));
	char error[HELLO_TEXT_MAX] = "out of memory";
	uint64_t malformed;

	if (!warm)
		return error_origin(-ENOMEM);
	*warm = (struct warm){.server = server, .backend = backend_to_warm(server)};
	if (server->is_private)
		environment_read(&warm->environment, &malformed);
	list_append(&server->warm, &warm->link);
	server->n_warm++;
	int r = start(warm, error);
	if (r < 0) {
		log_info("no warm worker: %s", error);
		warm_free(warm);
	}
	return r;
}

void warm_fill(struct server *server)
{
	while (!server->stopping && !server->draining && !server->warm_pause && server->warm_left &&
	       server->n_warm < MIN(server->config.warm_workers, server->config.sessions_max)) {
		server->warm_left--;
		if (add(server) < 0)
			rest(server, REST_MS);
	}
}

void warm_fill_soon(struct server *server)
{
	if (server->warm_left && !server->stopping && !server->draining)
		rest(server, SOON_MS);
}

static bool fits(const struct warm *warm, const struct environment *environment)
{
	return !environment_driver_difference(&warm->environment, environment);
}

struct process *warm_take(struct server *server, enum control_backend backend,
    const struct environment *environment, const struct process_owner *owner, bool *ready)
{
	struct warm *best = NULL;

	list_for_each (&server->warm, link) {
		struct warm *warm = container_of(link, struct warm, link);
		if (warm->backend != backend)
			continue;
		if (fits(warm, environment)) {
			if (!best || (warm->ready && !best->ready))
				best = warm;
		} else if (server->is_private) {
			process_kill(warm->process);
			warm_free(warm);
		}
	}
	if (!best)
		return NULL;
	struct process *process = best->process;
	process_set_owner(process, owner);
	*ready = best->ready;
	warm_free(best);
	return process;
}

unsigned warm_count_ready(const struct server *server)
{
	unsigned n = 0;

	list_for_each (&server->warm, link)
		n += container_of(link, struct warm, link)->ready;
	return n;
}

void warm_fini_all(struct server *server)
{
	server->warm_pause = alarm_free(server->warm_pause);
	list_for_each (&server->warm, link) {
		struct warm *warm = container_of(link, struct warm, link);
		process_kill(warm->process);
		warm_free(warm);
	}
}
