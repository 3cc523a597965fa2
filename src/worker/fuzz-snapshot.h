/*
 * For a fuzz target whose inputs each want a process that has seen no other: a process prepares
 * once, before libFuzzer has memory of its own that would have to be copied, and every input is
 * served by a copy of it. Coverage, and whatever is put into snapshot_share(), comes back through
 * shared memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SNAPSHOT_INPUT_MAX (1u << 20)

/* Zeroed memory that all processes see. Before snapshot_start(). */
void *snapshot_share(size_t size);
/*
 * Starts the process that is copied. prepare: runs there, once, and may start no thread. serve:
 * runs in each copy; it ends when it returns.
 */
void snapshot_start(void (*prepare)(void), void (*serve)(const uint8_t *data, size_t size));
/*
 * Has a copy serve an input. 0, or -1 as libFuzzer knows it for an input not to be kept: it took
 * too long. A copy that crashed, whose threads all sleep for ever, or that took too much memory
 * ends the caller with abort().
 */
int snapshot_run(const uint8_t *data, size_t size);
