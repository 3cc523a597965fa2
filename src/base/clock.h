/* Time. All of Rosen measures in nanoseconds of CLOCK_MONOTONIC, the same in every process of a
 * host. */
#pragma once

#include <stdint.h>

#define NSEC_PER_USEC 1000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC  1000000000ull

/* Nanoseconds since an arbitrary point, never going back. About 20 ns, no system call. */
uint64_t clock_now_ns(void);
