/* Folders of the user's own, for sockets and temporary files. Return codes as base/error.h. */
#pragma once

#include <stddef.h>

/*
 * Makes path (its parent exists) a folder only the caller can enter, or accepts one that is:
 * -EPERM when it belongs to someone else, is open to others, or is a link.
 */
int dir_make_private(const char *path);

/* Where temporary files go: $TMPDIR where that is an absolute path, else /tmp. */
const char *dir_temporary(void);

/* A new private folder under $TMPDIR, or under /tmp when that is not set or its path would not fit,
 * named prefix-XXXXXX; its path in buffer. */
int dir_make_temporary(const char *prefix, char *buffer, size_t size);

/* Removes path and all it holds; a path that does not exist is fine. Follows no links. */
int dir_remove(const char *path);
