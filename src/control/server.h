/*
 * rosend as one object: what all parts of it share. One thread, one event loop; nothing here needs
 * a lock. Owned by rosend.c (or a test), which makes it, runs the loop and ends it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "base/config.h"
#include "base/install.h"
#include "base/list.h"
#include "control/admit.h"
#include "control/event.h"
#include "wire/control.h"

#define SERVER_N_BACKENDS (CONTROL_BACKEND_SOFTGPU + 1)

struct probe;

/* What is known of a backend; index enum control_backend. */
struct server_backend {
	bool present;		  /* a worker had a device of it */
	uint64_t absent_until_ns; /* of clock_now_ns(): `auto` does not try it before */
	char why[HELLO_TEXT_MAX]; /* why the last try failed */
	struct probe *probe;	  /* the last or running one, NULL before the first */
};

struct server {
	struct event_loop *loop;
	struct config config;
	struct admit admit;
	struct install install;
	struct list clients;   /* struct client */
	struct list sessions;  /* struct session */
	struct list processes; /* struct process */
	struct list runs;      /* struct run */
	struct list shares;    /* struct share */
	struct list images;    /* struct image, the one used longest ago first */
	struct list warm;      /* struct warm: workers without a session yet */
	struct alarm *warm_pause;
	unsigned n_warm, warm_left; /* of them; that may still be started */
	unsigned n_door;	    /* clients that are no sessions */
	unsigned n_sessions;
	uint64_t next_session;
	uint64_t started_ns;
	struct server_backend backends[SERVER_N_BACKENDS];
	struct watch *listener, *signals, *leash;
	struct alarm *accept_pause;
	bool draining; /* no new sessions; ends with the last one */
	bool stopping;
	bool is_private; /* of one `rosen run`, whose environment it has */
	bool warned_no_gpu;
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* to remove; empty: none */
};

/* config is copied. -EINVAL: it names users nobody knows, and error (ADMIT_ERROR_MAX bytes) says
 * which. */
int server_init(struct server *server, const struct config *config, char *error);
/* listener: a listening SOCK_SEQPACKET socket, taken over also on failure. own_path: its path in
 * the file system is ours to remove. */
int server_listen(struct server *server, int listener, bool own_path);
void server_fini(struct server *server);

/*
 * Ends everything: no new clients, all sessions end, and when the last worker process is gone (at
 * most PROCESS_GRACE_MS later) the loop stops. May be called again.
 */
void server_stop(struct server *server);

/* Makes room for a successor: gives up socket and warm workers, and stops when the last session is
 * over. May be called again. */
void server_drain(struct server *server);

/* A try of backend failed, as text says: `auto` does without it for a while. */
void server_backend_failed(struct server *server, enum control_backend backend, const char *text);
/* What `auto` means at the moment. */
enum control_backend server_backend_auto(const struct server *server);

/* Called by whoever removed a session: lets a draining server stop. */
void server_check_drained(struct server *server);
/* Called by whoever removed a process: lets a stopping server stop. */
void server_check_stopped(struct server *server);

/* The library a worker loads for backend; empty: as the dynamic linker finds it. */
void server_backend_library(
    const struct server *server, enum control_backend backend, char library[CONTROL_PATH_MAX]);

const char *server_backend_name(enum control_backend backend);
/* 0: no backend has this name. */
enum control_backend server_backend_named(const char *name);
