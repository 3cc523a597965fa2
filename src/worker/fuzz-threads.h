/* Threads of a session that meet in unusual orders. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An input begins. Every fourth: its threads are held up, at random, where they take or give a lock
 * or wake each other, and true. Threads of the input before have ended. */
bool fuzz_threads_begin(const uint8_t *data, size_t size);

/* For a program all of whose wake-ups are sent under the lock of those who wait, and whose threads
 * wait until something is so: from the next input on a wake-up that was left out ends it. */
void fuzz_threads_miss_wakeups(void);

/* All of the input has been asked for, and nothing else is going to wake its threads. Lets those that
 * sleep look, in every sixteenth input. */
void fuzz_threads_rest(void);
