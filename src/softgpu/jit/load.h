/*
 * Object files into memory: what LLVM makes of a kernel (x86-64 ELF, position-independent code of
 * the small model) is laid out, linked with the machine's functions and made executable.
 */
#pragma once

#include <stddef.h>

#include "softgpu/jit/jit.h"

struct loaded {
	void *base; /* one mapping */
	size_t size;
	void *entry;
};

/*
 * entry: the name of the function to start with. Names that are not the machine's are looked for in
 * the process. The object may be any bytes. False with a line in message when it cannot be loaded;
 * *out has nothing then.
 */
bool object_load(const void *object, size_t size, const char *entry,
    const struct jit_machine *machine, char *message, size_t message_size, struct loaded *out);
void object_unload(struct loaded *loaded);
