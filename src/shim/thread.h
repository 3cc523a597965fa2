/*
 * What the shim keeps per client thread: current contexts, capture mode, its lane of the channel.
 *
 * It is initial-exec thread-local storage: an access is one instruction relative to the thread
 * pointer, which is what makes cuCtxGetDevice cost nanoseconds. Since the library may come by
 * dlopen(), the block must stay small (the C library keeps a few KiB spare for such libraries).
 * Everything here belongs to its thread; no other thread touches it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/cuda.h"

#define THREAD_CONTEXTS_INLINE 4

struct shim_thread {
	CUcontext context; /* top of the stack, NULL when there is none */
	CUdevice device;   /* of context */
	uint32_t depth;	   /* contexts on the stack, the top included */
	uint32_t capacity; /* of stack; 0: inline_stack is it */

	uint16_t lane;
	bool has_lane;
	bool told; /* the worker knows the two following */
	uint32_t capture_mode, told_capture_mode;
	CUcontext told_context;

	bool in_callback; /* runs a function of the program on CUDA's behalf */
	bool noting;	  /* notes a failed call (logs.c) */

	uint32_t entry;	    /* row of the function the program is in, while somebody observes */
	uint64_t waited_ns; /* spent waiting for replies, while somebody observes */

	CUcontext *stack;
	CUcontext inline_stack[THREAD_CONTEXTS_INLINE];
};

extern _Thread_local struct shim_thread shim_thread __attribute__((tls_model("initial-exec")));

/* Has what the thread holds given back when it ends. Called once something is there to give. */
void shim_thread_watch(void);

/* Makes the destructor's key. Once, before any thread is watched. 0 or a negative errno. */
int shim_thread_init(void);
