/*
 * From PTX trees to machine code, in two steps that know nothing of each other: jit_translate()
 * prints a kernel as LLVM IR, jit_compile() (softgpu-llvm.so behind it) makes it native.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "softgpu/jit/text.h"
#include "softgpu/ptx/ptx.h"

/*
 * A kernel and the functions it may reach. Addresses of global and const variables, offsets of
 * shared ones, serials and handles of functions must be settled. handles[i] is the function whose
 * address is SG_FUNCTION_BASE + 16 i; those not in the closure cannot be called.
 */
struct jit_program {
	struct ptx_function *entry;
	struct ptx_function **functions; /* with bodies, entry among them */
	size_t n_functions;
	struct ptx_function **handles;
	size_t n_handles;
	bool has_indirect_call;
	bool needs_fibers; /* of any of the functions: jit_needs_fibers() */
	bool uses_cluster; /* likewise: jit_uses_cluster() */
	bool is_checked;   /* check.h */
	bool is_alone;	   /* by the user's word: SOFTGPU_LANES=1 */
	bool may_tally;	   /* warp/tally.c */
};

struct jit_error {
	const struct ptx_unit *unit; /* where line is, or NULL */
	uint32_t line;
	bool unsupported; /* PTX we know of but cannot run, as against our failure */
	char text[400];
};

/* The name of the kernel's function in the IR. */
#define JIT_ENTRY_NAME "kernel"

/* Returns false with *error filled in. *ir must be freed by text_fini() in any case. */
bool jit_translate(const struct jit_program *program, struct text *ir, struct jit_error *error);

/* How a kernel is made for warps. */
struct jit_warp {
	unsigned width; /* lanes: 8, 16, 32, 64, 128 or 256 */
	/* Lanes that have one tid.y and tid.z, and consecutive tid.x from a multiple of row on:
	 * width; or less where that is the block's own width, and the rows' tid.y are consecutive;
	 * or 0, when nothing is known of how threads lie. */
	unsigned row;
	bool is_asked_for; /* more lanes than 32 even where that is hardly faster */
};

/*
 * The same for a kernel that runs W threads in step (jit/warp): its function takes the lanes that
 * exist as a second argument. False with error->text set, and nothing wrong, when the kernel has
 * something that only the scalar machine runs. *needs_fibers: its warps meet or poll.
 */
bool jit_translate_warp(const struct jit_program *program, const struct jit_warp *shape,
    struct text *ir, bool *needs_fibers, struct jit_error *error);

/* Threads of this function meet or poll: they need stacks of their own. */
bool jit_needs_fibers(const struct ptx_function *function);

/* It waits for other blocks of its cluster, or looks into their memory. Only threads can. */
bool jit_uses_cluster(const struct ptx_function *function);

/* True for functions of the system's (vprintf, malloc, the device runtime's): a program's own
 * definition does not count, and none is needed. */
bool jit_is_system_function(const char *name);

struct jit_symbol {
	const char *name;
	const void *address;
};

/* The functions that code may call. */
struct jit_machine {
	const struct jit_symbol *symbols;
	size_t n_symbols;
};

struct jit_ir {
	const char *text; /* with a null character behind it */
	size_t size;
	struct digest digest; /* of the text */
};

struct jit_code; /* a compiled kernel */

/* The code of an IR with that digest, if it was compiled before, or NULL. Any thread. */
struct jit_code *jit_find(const struct digest *ir, const struct jit_machine *machine);

enum jit_compile_result {
	JIT_NO_COMPILER = 1, /* softgpu-llvm.so or LLVM itself could not be loaded */
	JIT_REJECTED,	     /* LLVM did not accept the IR */
	JIT_TOO_LONG,	     /* LLVM did not finish, not even quick code */
};

/*
 * The code of an IR, compiled if need be by softgpu-llvm.so: $SOFTGPU_LLVM, or in the folder of the
 * library this code is linked into. Any thread, one at a time inside. message gets one line when
 * the result is not 0.
 */
int jit_compile(const struct jit_ir *ir, const struct jit_machine *machine, char *message,
    size_t message_size, struct jit_code **out);
void *jit_code_entry(const struct jit_code *code);
/* It was made in a hurry, for LLVM would have taken too long for better. */
bool jit_code_is_quick(const struct jit_code *code);
/* Stack that one call of each of its functions takes, one inside the other; 0: not known. */
uint64_t jit_code_stack_bytes(const struct jit_code *code);
void jit_code_free(struct jit_code *code);
