/*
 * What the shim remembers of a function or kernel: its parameter layout and what a launch checks.
 * Fetched once per function (rosenFunctionInfo), attached to its id, read without a lock. Kernels
 * and functions stand for each other, as in CUDA.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "abi/old_launch.h"

struct function_parameter {
	uint32_t offset, size;
};

#define FUNCTION_ANY_BLOCK  UINT64_MAX
#define FUNCTION_ATTRIBUTES 32
#define FUNCTION_OCCUPANCY  8

struct function {
	int max_threads, static_shared;
	/* The shape of blocks it was seen to take, a launch_block_word(); 0: it was not launched yet;
	 * FUNCTION_ANY_BLOCK: two were, so it has no .reqntid, of which no attribute tells. */
	_Atomic uint64_t block_taken;
	/* Dynamic shared memory a launch may ask for: what the program set, -1 until it did. */
	_Atomic int dynamic_limit;

	/* Remembered attributes, of one device: a bit per attribute that is known. */
	_Atomic CUdevice device;
	_Atomic uint32_t known;
	_Atomic int attribute[FUNCTION_ATTRIBUTES];
	/* What the program set last: libraries set the same before every launch. */
	_Atomic uint32_t was_set;
	_Atomic int set[FUNCTION_ATTRIBUTES];

	/* Remembered occupancy: key and answer in one word, 0 unused. */
	_Atomic uint64_t occupancy[FUNCTION_OCCUPANCY];
	_Atomic uint32_t occupancy_next;

	/* Of a kernel: its function in the context of that number (context_id()). */
	_Atomic(CUfunction) function;
	_Atomic uint64_t function_context;
	_Atomic(const char *) name; /* lives as long as the process */

	struct old_launch old; /* its buffer is in this block */

	uint32_t n_parameters, bytes; /* bytes: length of the parameter buffer */
	struct function_parameter parameter[];
};

/* The record of a function or kernel, fetched if need be. Writes NULL unless it succeeds. */
CUresult function_find(CUfunction handle, struct function **out);
