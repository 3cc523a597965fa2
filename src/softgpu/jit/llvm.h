/*
 * The seam between the core and softgpu-llvm.so, the only part that links LLVM. The module exports
 * one function, sg_llvm_open(), which the core finds by dlsym; everything else goes through the
 * table it returns. Both are built and installed together: version only guards against a stale
 * copy.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "softgpu/jit/jit.h"

#define SG_LLVM_VERSION 2

/* One thread at a time. What fails leaves a line in message. */
struct sg_llvm {
	/* All that the code made of an IR depends on, beside the IR: LLVM's version, the CPU,
	 * passes. */
	const char *identity;
	/* An object file whose kernel is called name, in memory to be given to free(); NULL when
	 * LLVM refuses. */
	void *(*compile)(const char *ir, size_t ir_size, const char *name, size_t *size,
	    char *message, size_t message_size);
	/* Makes such an object runnable. name must not be loaded already. */
	void *(*load)(const void *object, size_t size, const char *name, void **entry,
	    char *message, size_t message_size);
	void (*release)(void *code);
};

/* symbols: what compiled code may call. NULL with a line in message on failure. */
const struct sg_llvm *sg_llvm_open(uint32_t version, const struct jit_symbol *symbols,
    size_t n_symbols, char *message, size_t message_size);
typedef const struct sg_llvm *sg_llvm_open_function(uint32_t version,
    const struct jit_symbol *symbols, size_t n_symbols, char *message, size_t message_size);
