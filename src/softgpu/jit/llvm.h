/*
 * The seam between the core and softgpu-llvm.so, the only part that links LLVM. The module exports
 * one function, sg_llvm_open(), which the core finds by dlsym; everything else goes through the
 * table it returns. Both are built and installed together: version only guards against a stale
 * copy.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SG_LLVM_VERSION 3

/* One thread at a time. What fails leaves a line in message. */
struct sg_llvm {
	/* All that the code made of an IR depends on, beside the IR: LLVM's version, the CPU,
	 * passes, options. */
	const char *identity;
	const char *library; /* the file that LLVM is in, or NULL */
	/* An object file for object_load(), in memory to be given to free(); NULL when LLVM
	 * refuses. */
	void *(*compile)(
	    const char *ir, size_t ir_size, size_t *size, char *message, size_t message_size);
};

/* NULL with a line in message on failure. */
const struct sg_llvm *sg_llvm_open(uint32_t version, char *message, size_t message_size);
typedef const struct sg_llvm *sg_llvm_open_function(
    uint32_t version, char *message, size_t message_size);
