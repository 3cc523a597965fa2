/*
 * Compiler options on their way to the backend. Values are integers, except where they are
 * addresses of memory the compiler writes: those never come from the client, the worker has its
 * own.
 */
#pragma once

#include <stdint.h>

#include "worker/call.h"
#include "worker/worker.h"

/* The values for the backend, n of them in out. CUDA_ERROR_NOT_SUPPORTED: an option whose value
 * would be an address. */
CUresult jit_values_in(unsigned n, const CUjit_option *options, const uint64_t *values,
    const struct jit_logs *logs, void **out);

/* What the compiler wrote into its value slots, back into the client's. */
void jit_values_out(unsigned n, const CUjit_option *options, void *const *values, uint64_t *out);

/* Keeps the logs of a failed call for the lane's rosenJitLog. */
void jit_keep_logs(struct call *call, const struct jit_logs *logs);
void jit_logs_fini(struct jit_logs *logs);
