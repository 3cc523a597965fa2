/*
 * A line on the terminal while something takes longer than people like to wait without knowing why.
 * Nothing is written unless standard error is a terminal, the setting `progress` is on, and a
 * second has passed. For one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *what; /* "sending program code" */
	size_t total;	  /* bytes */
	uint64_t started_ns, written_ns;
	bool wanted, written;
};

struct progress progress_begin(const char *what, size_t total);
void progress_step(struct progress *progress, size_t done);
/* Takes the line away again. */
void progress_end(struct progress *progress);

/* The line at now_ns, in text of size bytes; false: it is not time for a new one. */
bool progress_line(
    struct progress *progress, size_t done, uint64_t now_ns, char *text, size_t size);
