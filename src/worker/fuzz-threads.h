/* Threads of a session that meet in unusual orders. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An input begins. Every fourth: its threads are held up, at random, where they take or give a lock
 * or wake each other, and true. Threads of the input before have ended. */
bool fuzz_threads_begin(const uint8_t *data, size_t size);
