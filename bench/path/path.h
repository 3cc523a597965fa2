/*
 * The parts of rosen-bench-client. It obeys lines on standard input, one at a time, and answers
 * each with one line of JSON; rosen bench (src/cli/bench-client.c) is the other end:
 *
 *	first			   cuInit, and the first context; must come first
 *	null MS			   calls that wait, one after the other
 *	post MS			   posted calls, in bursts
 *	stream MS		   posted calls without end
 *	threads N MS		   both, from N threads at once
 *	copy BYTES h2d|d2h pageable|pinned MS
 *
 * Times are in the unit of the key's end; from_ns and to_ns are of CLOCK_MONOTONIC, so that what
 * several clients did can be put together. An answer with the key "error" is the last one.
 */
#pragma once

#include <cuda.h>
#include <stdint.h>

#include "base/util.h"
#include "shim/measure.h"

extern const struct measure_table *path; /* since `first` */

/* Answers with the error and ends the program. */
_Noreturn void give_up(const char *format, ...) _printf_(1, 2);
/* What it was doing: in words. */
void must(CUresult r, const char *what);

void calls_null(uint64_t ms);
void calls_post(uint64_t ms);
void calls_stream(uint64_t ms);
void calls_threads(unsigned n, uint64_t ms);
void copies_measure(size_t bytes, bool to_device, bool pinned, uint64_t ms);
