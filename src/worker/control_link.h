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

/* Receives CONTROL_START. fds: the region and the side socket, -1 where none came. 0 or a negative
 * errno. */
int control_receive_start(struct control_start *start, int fds[2]);

/* One message; a rosend that is gone is noticed elsewhere. */
void control_send(const void *message, size_t size);
void control_fail(const char *format, ...) _printf_(1, 2);

/* To rosend, and to the client where chan is not NULL. */
void control_last_words(struct chan *chan, const char *text);

/* From here on a fatal signal says so before it ends the process, naming the function that this
 * thread serves. */
void control_watch_crashes(struct chan *chan);

/* Starts the thread that ends the process when rosend is gone and reports what changes. */
int control_watch(struct worker *worker);
