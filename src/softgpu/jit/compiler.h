/*
 * softgpu-llvm.so, seen from the core. It is loaded when something must be compiled, never
 * unloaded, and not at all by a process that finds all its kernels on disk. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"

/* What code depends on beside its IR: LLVM, its passes, the CPU. False with a line in message when
 * there is no compiler. */
bool compiler_identity(struct digest *identity, char *message, size_t message_size);

/* False: there is none. *object is NULL when LLVM refuses, otherwise to be given to free(). */
bool compiler_compile(const char *ir, size_t ir_size, void **object, size_t *object_size,
    char *message, size_t message_size);
