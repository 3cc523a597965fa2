/*
 * Program images that sessions of one user need not send twice: a worker that was sent one gives it
 * to rosend as sealed memory, and the workers of the user's other sessions, also of later ones, get
 * it by its digest. rosend looks at no image: who gets one checks it (worker/image_store.c).
 * Another user's images are not found, whatever is asked for, so nothing can be learned about them.
 *
 * Each user has the setting image_cache in bytes; what was used longest ago makes room.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "wire/control.h"

#define IMAGES_USER_MAX 1024 /* of one user at a time; each holds a descriptor */

struct server;
struct session;

/* A worker's CONTROL_IMAGE_KEEP or CONTROL_IMAGE_FETCH. fd stays the caller's. */
void images_message(struct session *session, const struct control_share *message, int fd);

/* Keeps a copy of fd. 0, or a negative errno: -EEXIST, -ENOSPC, -EINVAL (no sealed memory of
 * that size). */
int images_keep(struct server *server, uid_t uid, const struct control_share *message, int fd);
/* The table's descriptor, -1 where there is none. */
int images_find(struct server *server, uid_t uid, const struct control_share *message);

void images_fini_all(struct server *server);
