/*
 * The trace file that a client process writes while its calls are observed and that `rosen run
 * --trace` turns into Chrome's JSON: FOLDER/PID.trace, one header, then records of a fixed size.
 *
 * The file is mapped and of its full size from the start (a sparse file: only what is written takes
 * space), so that nothing is lost when the process is killed. A writer takes a place by adding one
 * to `used` and fills it; `start_ns` is written last and is never zero in a complete record. When
 * `used` passes `capacity`, which a full disk makes less, the records beyond it were dropped. A
 * reader trusts neither number: it takes the least of used, capacity and what the file's length
 * holds. All numbers are of the host.
 */
#pragma once

#include <stdint.h>

#define TRACE_MAGIC    0x3143525452534f52ull /* "ROSRTRC1", little-endian */
#define TRACE_CAPACITY (1u << 20)	     /* records; 64 MiB when all are written */

struct trace_header {
	uint64_t magic;
	uint32_t header_size, record_size; /* bytes; a reader skips what it does not know */
	uint64_t capacity;		   /* records there is room for */
	_Atomic uint64_t used;		   /* records begun */
	uint64_t session;
	uint64_t monotonic_ns, realtime_ns; /* the same moment on both clocks */
	uint32_t pid;
	uint32_t functions; /* rows of the function table of the writer */
	char program[64];   /* ends with a zero */
};

struct trace_record {
	_Atomic uint64_t start_ns; /* CLOCK_MONOTONIC; 0: not complete */
	uint64_t duration_ns;
	uint64_t waited_ns; /* of it, waiting for replies */
	uint32_t function;  /* row of the function table: enum api_fn */
	uint32_t thread;    /* kernel's thread id */
	int32_t result;	    /* CUresult */
	uint32_t reserved;
	/* When the worker took the call, CLOCK_MONOTONIC; 0: not known, nor are the next two. */
	uint64_t taken_ns;
	uint64_t worker_ns; /* of waited_ns, in the worker */
	uint64_t driver_ns; /* of worker_ns, in the backend */
};
_Static_assert(sizeof(struct trace_record) == 64, "trace records have a fixed size");
