/*
 * The seam between the core and softgpu-llvm.so, the only part that links LLVM. The module exports
 * one function, sg_llvm_open(), which the core finds by dlsym; everything else goes through the
 * table it returns. Both are built and installed together: version only guards against a stale
 * copy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SG_LLVM_VERSION 4

struct sg_llvm_object {
	uint64_t stack_bytes; /* of one call of each function in it */
	uint8_t file[];	      /* for object_load() */
};

/* One thread at a time. What fails leaves a line in message. */
struct sg_llvm {
	/* All that the code made of an IR depends on, beside the IR: LLVM's version, the CPU,
	 * passes, options. */
	const char *identity;
	const char *library; /* the file that LLVM is in, or NULL */
	/* A struct sg_llvm_object of size bytes, to be given to free(); NULL when LLVM refuses.
	 * is_quick: as little work as makes code, in time that grows with the IR and no more. */
	void *(*compile)(const char *ir, size_t ir_size, bool is_quick, size_t *size, char *message,
	    size_t message_size);
};

/* NULL with a line in message on failure. */
const struct sg_llvm *sg_llvm_open(uint32_t version, char *message, size_t message_size);
typedef const struct sg_llvm *sg_llvm_open_function(
    uint32_t version, char *message, size_t message_size);
