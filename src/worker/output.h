/*
 * What kernels print (printf, a failed assertion). A driver writes it to its process's standard
 * output or error while it waits for the device; the program has to have it on its own before its
 * waiting call returns.
 *
 * output_redirect() puts a file in memory under both descriptors. Whether something was written is
 * one look at the byte where the next text will begin, so every answer can ask. An answer that
 * finds something says so (WIRE_STATUS_OUTPUT) and the client fetches it (rosenOutput).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Takes over descriptors 1 and 2 of this process; the log goes on where it went. Once, before the
 * backend is loaded. Without memory for it everything stays as it was: 0 or a negative errno.
 */
int output_redirect(void);

/* Copies what nobody fetched to the log's descriptor: async-signal-safe, for the process's end. */
void output_rescue(void);

#define OUTPUT_STREAMS 2

/* Where the next text of each stream will begin; NULL: not redirected. */
extern _Atomic(const volatile uint8_t *) output_next[OUTPUT_STREAMS];

/* Whether there is text. Any thread. */
static inline bool output_pending(void)
{
	for (unsigned i = 0; i < OUTPUT_STREAMS; i++) {
		/* Relaxed: a thread that waited for its kernel sees what the driver wrote then. */
		const volatile uint8_t *next =
		    atomic_load_explicit(&output_next[i], memory_order_relaxed);
		if (next && *next)
			return true;
	}
	return false;
}
