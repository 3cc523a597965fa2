/*
 * File descriptors: owning variables, passing over unix sockets, shared memory. All functions
 * return 0 or a negative errno unless said otherwise. Every descriptor made here is close-on-exec.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/util.h"

#define FD_MESSAGE_MAX 4 /* descriptors one message can carry */

/* Closes fd unless it is negative, keeps errno, returns -1: fd = fd_close(fd). */
int fd_close(int fd);
void fd_closep(int *fd);
#define _cleanup_fd_ _cleanup_(fd_closep)

/*
 * Standard input, output and error may be closed where a program was started without them. Nothing
 * that Rosen opens may take their numbers: what is meant for people would be written into it.
 */

/* fd, or where it is one of the three a copy above them, fd being closed. -1 stays -1. errno is
 * kept unless copying fails (-1). */
int fd_above_standard(int fd);

/* Opens /dev/null as those of the three that are closed; close_on_exec: what is executed then finds
 * them closed again. For main(). */
void fd_fill_standard(bool close_on_exec);

/* A message and up to FD_MESSAGE_MAX descriptors over a SOCK_SEQPACKET socket, as one unit. */
int fd_send(int socket, const void *data, size_t size, const int *fds, size_t n_fds);

/*
 * Receives one message of at most capacity bytes. *n_fds: room in fds, then how many came; any that
 * do not fit are closed. flags: MSG_DONTWAIT or 0. Returns the size (> 0), -ENODATA when the peer
 * has closed, -EMSGSIZE when the message was longer than capacity, or another negative errno.
 */
ssize_t fd_receive(int socket, void *data, size_t capacity, int *fds, size_t *n_fds, int flags);

/* A memfd of size bytes, sealed against shrinking and growing; its descriptor in *out. */
int fd_memory(const char *name, size_t size, int *out);

/* How many of size bytes at an offset of the file came: fewer only where it ends before. */
ssize_t fd_read_all(int fd, void *bytes, size_t size, off_t at);
/* All of them, at that offset. */
int fd_write_all(int fd, const void *bytes, size_t size, off_t at);

/* Whether so many are open that this one, just made, should not stay beside what must be opened. */
bool fd_is_crowded(int fd);

/* Closes all descriptors from first on, except keep (-1: none). */
int fd_close_from(int first, int keep);
