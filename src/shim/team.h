/* Copying with the help of other threads: one processor copies slower than the bus to a GPU
 * runs. */
#pragma once

#include <stddef.h>

/* memcpy(); large runs are shared with helper threads, up to the setting copy_threads in all. Any
 * thread, once the session is open. */
void team_copy(void *to, const void *from, size_t bytes);

/* How many processors there are; 0: as the system says. For tests. */
extern unsigned team_processors;

/* In the child, which has no helpers. */
void team_after_fork(void);
