/*
 * softgpu-llvm.so, seen from the core. It is loaded when something must be compiled, never
 * unloaded, and not at all by a process that finds all its kernels on disk. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

/* What code depends on beside its IR: LLVM, its passes, the CPU. False with a line in message when
 * there is no compiler. */
bool compiler_identity(struct digest *identity, char *message, size_t message_size);

enum compiler_result {
	COMPILER_DONE,
	COMPILER_NONE,	   /* there is none here */
	COMPILER_REFUSED,  /* by LLVM */
	COMPILER_TOO_LONG, /* for the limit, or it died of the code */
};

/*
 * DONE: *object is a struct sg_llvm_object of *object_size bytes, to be given to free(). All other
 * results leave a line in message. ir ends in a null character behind its size. is_quick: in time
 * that grows with the IR and no more, for slower code.
 */
enum compiler_result compiler_compile(const char *ir, size_t ir_size, bool is_quick, void **object,
    size_t *object_size, char *message, size_t message_size);

/* Seconds of processor time that LLVM may take for one kernel: $SOFTGPU_COMPILE_LIMIT. 0: any. */
uint32_t compiler_limit(void);
