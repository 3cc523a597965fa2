/*
 * Compiler options on their way to the worker and back: what cuModuleLoadDataEx, cuLibraryLoadData
 * and the linker share. module.api says how they cross.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

#define JIT_OPTIONS_MAX 64
#define JIT_LOG_MAX	(16u << 20)

struct jit {
	unsigned n;
	CUjit_option options[JIT_OPTIONS_MAX];
	uint64_t values[JIT_OPTIONS_MAX];
	char *info, *errors; /* the program's buffers, NULL when it gave none */
	size_t info_bytes, error_bytes;
};

/* CUDA_ERROR_INVALID_VALUE; CUDA_ERROR_NOT_SUPPORTED for options that are tables of the
 * program's. */
CUresult jit_read(struct jit *jit, unsigned n, const CUjit_option *options, void *const *values);

/* Puts what the compiler wrote into values (sizes of logs, its time) into the program's. */
void jit_write_back(const struct jit *jit, void **values);

/* After a call that failed: it brought no outputs, and the compiler's messages are wanted all the
 * more. Into the program's buffers, their used sizes into its values. */
void jit_fetch_logs(struct jit *jit);
