/*
 * The table of what sessions share with each other: memory, events, pools. A worker offers a
 * descriptor or a few bytes and gets a random token for it; the worker of another session of the
 * same user and backend, given that token by its program, takes a copy. Calls on what is shared
 * never pass here.
 *
 * What a program holds by a handle of 64 bytes lasts until its worker withdraws it or its session
 * ends. What a program holds as a descriptor lasts as long as that descriptor has copies in any
 * process, so it is one end of a socket made for it, a ticket: the token lies in it to be looked
 * at (MSG_PEEK), and rosend has the other end, which hangs up when the last copy is closed. The
 * backend's own descriptor, which would be a door to the GPU's driver, never leaves the workers.
 */
#pragma once

#include <stdint.h>

#include "wire/control.h"

#define SHARE_USER_MAX 4096 /* of one user at a time; each holds up to two descriptors */

struct server;
struct session;

/* A worker's CONTROL_OFFER, CONTROL_TAKE or CONTROL_WITHDRAW. fd stays the caller's. */
void share_message(struct session *session, const struct control_share *message, int fd);

/* Ends what a session shared by name; tickets live on. */
void share_forget_session(struct server *server, uint64_t session);

void share_fini_all(struct server *server);
