/*
 * The pool of warm workers: processes that have opened the backend and made a context before any
 * client asked, so that a client's first call need not wait for that (a quarter of a second on a
 * large GPU). Nothing of a tenant is in them; each serves one session and ends with it.
 */
#pragma once

#include <stdbool.h>

#include "control/process.h"
#include "wire/environment.h"

struct server;

/* Starts as many as setting warm_workers and server->warm_left allow. */
void warm_fill(struct server *server);
/* The same in a moment: a client that has just got its session is starting, too. */
void warm_fill_soon(struct server *server);

/*
 * Hands one over to owner, which sends it CONTROL_START. environment: the session's; the driver has
 * read its variables when it was opened. *ready: its backend is open; otherwise it is still at that
 * and may yet fail, as a new worker may. NULL: there is none of this backend and environment.
 */
struct process *warm_take(struct server *server, enum control_backend backend,
    const struct environment *environment, const struct process_owner *owner, bool *ready);

/* How many are ready. */
unsigned warm_count_ready(const struct server *server);

/* Ends all: for the server's end. */
void warm_fini_all(struct server *server);
