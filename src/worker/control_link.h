/*
 * The worker's end of the control socket, and its last words. Last words go to rosend and to the
 * client: why a session ended must be readable where the program ran.
 */
#pragma once

#include "base/util.h"
#include "wire/control.h"

struct chan;
struct worker;

#define CONTROL_FD 3

/* What rosend says to a worker; its size was checked for its kind, its path
 * ends, and its variables have values of their forms. */
union control_order {
	uint32_t kind; /* CONTROL_WARM or CONTROL_START */
	struct control_warm warm;
	struct control_start start;
};

/* Receives one. fds: the region and the side socket of CONTROL_START, -1 where none came. 0 or a
 * negative errno. */
int control_receive(union control_order *order, int fds[2]);

/* One message; a rosend that is gone is noticed elsewhere. */
void control_send(const void *message, size_t size);
void control_fail(const char *format, ...) _printf_(1, 2);

/* As worker_options.ask, once control_watch() runs. Any thread. */
int control_ask(struct control_share *message, int fd, int *got);

/* To rosend, and to the client where chan is not NULL. */
void control_last_words(struct chan *chan, const char *text);

/* From here on a fatal signal says so to rosend before it ends the process, naming the function
 * that this thread serves. */
void control_watch_crashes(void);
/* And to the client at the other end of chan. */
void control_set_client(struct chan *chan);

/* Starts the thread that ends the process when rosend is gone and reports what changes. */
int control_watch(struct worker *worker);
