/*
 * The last messages about failed calls, as cuLogsDumpToMemory gives them: lines in a ring of the
 * size that CUDA documents, 25600 bytes. A message has a number that counts up from 0; the number
 * of the next one is what CUDA calls an iterator. No locks: the caller's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

#define ERROR_LOG_LINES 100u
#define ERROR_LOG_LINE	256u /* bytes of one, the newline's zero included */

struct error_log {
	uint32_t next; /* the number of the next message */
	char line[ERROR_LOG_LINES][ERROR_LOG_LINE];
};

/* Keeps a line, without its newline; what is too long is cut. */
void error_log_add(struct error_log *log, const char *line);

/*
 * Writes the messages from number `from` on, each with a newline, and a zero behind the last.
 * *bytes: room going in, bytes without the zero coming out. Where messages have been overwritten or
 * do not all fit, a line in front says so and the newest are there; nothing where none fits, as
 * with NVIDIA's driver.
 */
CUresult error_log_dump(const struct error_log *log, uint32_t from, char *buffer, size_t *bytes);
