/* What both programs here stand on: device memory without a driver, and a clock. */
#pragma once

#include <stddef.h>

#include "softgpu/exec/module.h"

/* For sg_module_load(): addresses are never used twice. */
extern const struct sg_memory_ops bench_memory;

/* Zeroed memory in the software GPU's range, until the process ends; exits where there is none. */
void *bench_take(size_t size);

/*
 * The clock of all ways: milliseconds of processor time of the whole process, in which one thread
 * works at a time (PoCL's is another than the one that waits for it). What other programs take of
 * the machine's processors does not count.
 */
double bench_now_ms(void);
