/* Inside modules and kernels: what link.c, module.c and kernel.c share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/digest.h"
#include "base/pool.h"
#include "softgpu/exec/lane.h"
#include "softgpu/exec/module.h"
#include "softgpu/jit/jit.h"
#include "softgpu/ptx/ptx.h"

/* One way to run a kernel: native code that runs a thread, or a warp's threads in step. */
struct sg_variant {
	uint32_t width; /* threads it runs at once: 1, or as in struct jit_warp */
	uint32_t row;	/* likewise */
	bool needs_fibers;
	bool prepared; /* this and the rest: under module->lock */
	int prepare_result;
	struct jit_code *code;
	void *entry;	      /* sg_kernel_code, or sg_warp_code */
	uint64_t stack_bytes; /* that its code takes, 0 if not known */
};

#define MOST_VARIANTS 22

struct sg_kernel {
	struct sg_kernel_info info;
	struct sg_module *module;
	struct ptx_function *function;
	struct ptx_function **closure; /* what it may call, itself first; all have bodies */
	size_t n_closure;
	bool has_indirect_call;
	bool needs_fibers;
	bool uses_cluster; /* its threads know of other blocks' */
	bool uses_reserved_shared;
	atomic_bool blocks_wait; /* for each other, though not launched as a cooperative grid */
	uint32_t dynamic_offset; /* of dynamic shared memory */
	struct sg_variant variants[MOST_VARIANTS]; /* variant.c's table */
	bool is_too_large; /* for LLVM to compile for threads in step, however quickly */
	char prepare_message[512];
};

/* Variables in one allocation. */
struct module_data {
	uint64_t address; /* 0: not made */
	size_t size;
};

struct sg_module {
	atomic_uint holds;    /* who loaded it, and whoever may launch its kernels yet */
	atomic_bool unloaded; /* its variables are gone */
	pthread_mutex_t lock; /* compiles: shared variables get offsets per kernel */
	struct pool pool;     /* kernels and what they point to */
	struct sg_memory_ops memory;
	struct ptx_unit **units;
	size_t n_units;
	struct digest texts;		 /* that they were parsed from, and their names */
	struct ptx_function **functions; /* with bodies */
	size_t n_functions;
	struct ptx_function **handles;
	size_t n_handles;
	struct sg_kernel *kernels;
	size_t n_kernels;
	struct module_data data;    /* all global and const variables but the managed */
	struct module_data managed; /* those */
	uint32_t const_bytes;
	uint64_t pinned_bytes; /* of shared variables at the start of every kernel's */
	uint32_t placements;   /* how often shared memory was laid out */
};

void log_format(struct sg_log *log, const char *format, ...) _printf_(2, 3);

/* link.c: settles definitions, addresses, serials and handles; fills the variables. */
int module_link(struct sg_module *module, struct sg_log *error_log);

/* kernel.c: one kernel's closure, layout and facts. */
int kernel_init(struct sg_kernel *kernel, struct sg_module *module, struct ptx_function *function);
void kernel_fini(struct sg_kernel *kernel);
/* variant.c */
void kernel_init_variants(struct sg_kernel *kernel);
/*
 * The way to run blocks of a shape, with at most so many lanes (0: as set), compiled if it was not.
 * NULL when that fails: *result is then what sg_kernel_prepare_for() would return, and
 * kernel->prepare_message says why.
 */
const struct sg_variant *kernel_variant(
    struct sg_kernel *kernel, const uint32_t block[3], uint32_t lanes, int *result);
/* Offsets of the shared variables the kernel uses; returns the size of the static ones. */
uint32_t kernel_place_shared(struct sg_kernel *kernel);
