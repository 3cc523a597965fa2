/*
 * Compiling apart, in a process of its own: LLVM cannot be stopped, its time may grow with the
 * square of the code, and by a mistake of its own it may never end. softgpu-compile, beside
 * softgpu-llvm.so, has so much processor time and no more; what it cannot survive is its end only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum apart_result {
	APART_DIED = 0, /* before it could say anything */
	APART_DONE,
	APART_REFUSED, /* by LLVM: message says why */
	APART_TOO_LONG,
	APART_NOT_STARTED, /* there is no such program here, or no process to be had */
};

/* What the two processes share is one file in memory: this, the IR with a null character behind
 * it, the object. */
struct apart_file {
	uint64_t ir_size;
	uint32_t is_quick, seconds; /* of processor time */
	uint64_t object_size;
	uint32_t result; /* an enum apart_result, written last */
	char message[492];
};

/* The number of the file's descriptor in the compiling process. */
#define APART_FD 3

/*
 * module: the path of softgpu-llvm.so. DONE: *object is a struct sg_llvm_object to be given to
 * free(). All other results leave a line in message. Any thread.
 */
enum apart_result apart_compile(const char *module, const char *ir, size_t ir_size, bool is_quick,
    uint32_t seconds, void **object, size_t *object_size, char *message, size_t message_size);
