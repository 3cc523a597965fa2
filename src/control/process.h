/*
 * One rosen-worker process, as rosend sees it: a control socket and a process descriptor. Whoever
 * starts one (a session, a probe) owns it until `ended` was called or process_abandon().
 */
#pragma once

#include <stddef.h>

#include "base/list.h"
#include "wire/control.h"

/* A worker that was told to end is killed after this long: every session is cleaned up within 1 s.
 */
#define PROCESS_GRACE_MS 500

struct server;
struct process;

/* What a worker sends; size was checked for its kind, and its texts are terminated. */
union process_message {
	uint32_t kind;
	struct control_ready ready;
	struct control_device device;
	struct control_status status;
	struct control_text text;
};

struct process_owner {
	void (*message)(void *data, const union process_message *message);
	/* Once, when the process is gone and all its messages were delivered; the process is freed
	 * when this returns. how: for people, such as "ended by signal 9 (Killed)"; empty
	 * when it ended in order. */
	void (*ended)(void *data, const char *how);
	void *data;
};

/* Starts a worker. Fails with a text for people in error (HELLO_TEXT_MAX bytes). */
int process_new(
    struct server *server, const struct process_owner *owner, struct process **out, char *error);

/* Sends CONTROL_START. The descriptors stay the caller's. */
int process_send_start(
    struct process *process, const struct control_start *start, const int *fds, size_t n_fds);

/* Hangs up; a worker that does not end by itself is killed. `ended` will be called. */
void process_end(struct process *process);
/* The same, but the owner hears nothing any more. */
void process_abandon(struct process *process);

int process_pid(const struct process *process);

/* All processes of server: for its end. */
void process_end_all(struct server *server);
