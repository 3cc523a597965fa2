/*
 * rosend's door: a SOCK_SEQPACKET unix socket in the file system, so that one message is one unit
 * and the folder's permissions hold. 0 or a negative errno.
 */
#pragma once

#include <stdbool.h>

#define SOCKET_ERROR_MAX 512

/*
 * Binds path and listens. A folder that is missing is made, private; with private_folder one that
 * is there must be private too. A socket file nobody listens on is replaced. for_all: other users
 * may connect (the server looks at SO_PEERCRED). -EADDRINUSE: someone listens there. error
 * (SOCKET_ERROR_MAX bytes) says what is wrong and how to mend it.
 */
int socket_listen(const char *path, bool private_folder, bool for_all, int *out, char *error);

/* Whether a descriptor that was passed in is a listening SOCK_SEQPACKET unix socket; else -EINVAL.
 */
int socket_check_listening(int fd);

/* Connects. -ECONNREFUSED, -ENOENT: nobody listens at path. */
int socket_connect(const char *path, int *out);

/*
 * Whether the process that listens at the other end is this user's or root's. To be asked where the
 * path was guessed and not given: in a folder everyone may write, someone else could have been
 * there first.
 */
bool socket_peer_is_ours(int fd);
