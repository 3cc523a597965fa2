/*
 * One rosen-worker process, as rosend sees it: a control socket and a process descriptor. Whoever
 * starts one (a session, a probe, the pool of warm ones) owns it until `ended` was called or
 * process_abandon().
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
	struct control_share share;
	struct control_text text;
};

/* Size of a message of this kind, 0 when workers send none such. */
size_t process_message_size(uint32_t kind);

struct process_owner {
	/* fd: a descriptor that came along, -1: none. Closed when this returns. */
	void (*message)(void *data, const union process_message *message, int fd);
	/* Once, when the process is gone and all its messages were delivered; the process is freed
	 * when this returns. how: for people, such as "ended by signal 9 (Killed)"; empty
	 * when it ended in order. */
	void (*ended)(void *data, const char *how);
	void *data;
};

/* Starts a worker. Fails with a text for people in error (HELLO_TEXT_MAX bytes). */
int process_new(
    struct server *server, const struct process_owner *owner, struct process **out, char *error);

/* From now on owner hears of it. Between two events of the loop: none is lost. */
void process_set_owner(struct process *process, const struct process_owner *owner);

/* Sends a message. The descriptors stay the caller's. -EAGAIN: the worker reads none. */
int process_send(
    struct process *process, const void *message, size_t size, const int *fds, size_t n_fds);

/* Hangs up; a worker that does not end by itself is killed. `ended` will be called. */
void process_end(struct process *process);
/* The same, but the owner hears nothing any more. */
void process_abandon(struct process *process);

/* The same without grace, for a worker that never had a session: nothing of it is wanted. */
void process_kill(struct process *process);

int process_pid(const struct process *process);

/* All processes of server: for its end. */
void process_end_all(struct server *server);
