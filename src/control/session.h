/*
 * A session: one client process, its region and its worker. rosend makes the region, starts the
 * worker, hands both their descriptors and then stands aside: no call passes through it.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "chan/chan.h"
#include "control/run.h"
#include "wire/control.h"
#include "wire/hello.h"

struct client;
struct process;
struct server;

enum session_state {
	SESSION_STARTING, /* a worker opens its backend */
	SESSION_LIVE,	  /* the client has its descriptors */
	SESSION_ENDING,	  /* waiting for the worker's end; the client may be gone */
};

struct session {
	struct list link; /* of server->sessions */
	struct server *server;
	struct client *client;	 /* NULL once it hung up */
	struct process *process; /* NULL between two tries and after its end */
	struct run *run;	 /* NULL: of none */
	struct alarm *alarm;	 /* while starting: when to give up */
	struct watch *peer;	 /* the client's process descriptor, where it could be had */
	enum session_state state;
	uint64_t id, started_ns;
	uid_t uid;
	pid_t pid;
	struct hello_request hello;
	struct hello_reply reply; /* as negotiated, completed when the worker is ready */
	enum control_backend backend, next_backend; /* next: 0 when there is nothing more to try */
	struct chan_geometry geometry;
	uint64_t region_size;
	bool warm;		       /* process had opened its backend before this session */
	int region, side;	       /* for the client, until it has them; -1 */
	const struct chan_stat *stats; /* geometry.functions rows, mapped; or NULL */
	struct control_status status;  /* the worker's last report */
	char last_words[HELLO_TEXT_MAX];
};

/*
 * Opens a session for a client whose hello was accepted. The client is answered now or later, with
 * its descriptors or with the reason why not; from now on it belongs to the session, which frees
 * it at its end. hello and reply, what the two agreed on, are copied.
 */
void session_open(struct server *server, struct client *client, const struct hello_request *hello,
    const struct hello_reply *reply);

/* The client's socket hung up: it is freed by its caller. That ends a session that is not live
 * yet. */
void session_client_gone(struct session *session);

/* Its counters, as they are now. */
struct run_area session_statistics(const struct session *session);

const char *session_state_name(enum session_state state);

/* All sessions of server begin to end. */
void session_end_all(struct server *server);
