/*
 * The options of cuModuleLoadDataEx, cuLibraryLoadData and cuLinkCreate: buffers for logs, and
 * slots that are answered in place.
 */
#pragma once

#include <stdint.h>

#include "abi/cuda.h"
#include "softgpu/exec/module.h"

#define SG_JIT_LOG_SIZE 8192

/* Points into itself: not to be copied. */
struct sg_jit_options {
	struct sg_log info, error;		     /* error always has room */
	void **info_size, **error_size, **wall_time; /* slots to answer in; NULL: not asked for */
	uint64_t started_ns;
	char own_error[SG_JIT_LOG_SIZE]; /* for our log when the caller wants none */
};

/* Integers travel in the pointer-sized slots themselves. Options about code generation for real
 * GPUs have no meaning here and are accepted. CUDA_ERROR_INVALID_VALUE: not options. */
CUresult sg_jit_options_read(
    struct sg_jit_options *jit, unsigned n, const CUjit_option *options, void **values);

/* Writes the sizes of the logs, and the time since the options were read. */
void sg_jit_options_answer(struct sg_jit_options *jit);
