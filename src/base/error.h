/*
 * Return codes, three ways, everywhere below the CUDA boundary:
 *
 *   negative  an errno: fatal for the operation. It is traced where it is born (error_origin) and
 *             where it passes (error_trace), and handed up untouched.
 *   0         fine.
 *   positive  a condition of THIS function, named in its header; the direct caller handles it and
 *             never passes it on.
 *
 * CUresult lives only in the shim, the worker's dispatch and the backends; text for people is made
 * only in the CLI and the daemon's admin side. Traces go to the log at level debug.
 */
#pragma once

int error_trace_at(int r, const char *file, int line, const char *function);

/* Marks the place where a negative code is born. Returns r. */
#define error_origin(r) error_trace_at((r), __FILE__, __LINE__, __func__)

/* Passes a callee's negative code on, with a line in the trace. No-op for 0 and positives. */
#define error_trace(r)                                                                             \
	({                                                                                         \
		int error_trace_r = (r);                                                           \
		error_trace_r < 0 ? error_trace_at(error_trace_r, __FILE__, __LINE__, __func__)    \
				  : error_trace_r;                                                 \
	})
