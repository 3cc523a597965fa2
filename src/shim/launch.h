/*
 * What a launch checks and packs before it leaves: pure functions, so that they can be tested.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"
#include "shim/function.h"

/* What the device allows. */
struct launch_limits {
	int max_threads, max_block[3], max_grid[3];
	int shared_per_block;
};

/* Whether the backend surely takes a launch of that shape, so that nobody need wait for its answer.
 * Where it may not it is asked: a refusal has one of several codes, and ends a capture or does not. */
bool launch_fits(const struct launch_limits *limits, const struct function *f,
    const unsigned grid[3], const unsigned block[3], unsigned shared);

/* A block that passed the device's limits, in one word. */
uint64_t launch_block_word(const unsigned block[3]);

/* Copies every parameter to its offset in buffer (f->bytes bytes, zeroed between parameters).
 * CUDA_ERROR_INVALID_VALUE: a parameter is missing. */
CUresult launch_pack(const struct function *f, void *const *values, void *buffer);

/* The buffer an `extra` list names. CUDA_ERROR_INVALID_VALUE: none, or too large. */
CUresult launch_extra(void **extra, const void **buffer, size_t *bytes);

/* A kernel's parameter buffer: on the caller's stack, in the program's memory, or in heap, which is
 * to be freed. */
struct launch_buffer {
	const void *bytes;
	size_t size;
	void *heap;
};

/* Parameter buffers up to this size live on the stack: programs have small ones. */
#define LAUNCH_ON_STACK 1024

/* The buffer for what the program passes as values or as extra, not both. stack: LAUNCH_ON_STACK
 * bytes that live as long as the buffer. heap is set even on failure. */
CUresult launch_buffer(
    const struct function *f, void **values, void **extra, void *stack, struct launch_buffer *out);
