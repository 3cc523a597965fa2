/*
 * Modules of the software GPU: PTX text in, kernels and variables out.
 *
 * A module is the link of one or several PTX texts. Loading parses them whole, lays out .global and
 * .const variables in device memory and fills them in; native code is made per kernel, at its first
 * launch or by sg_kernel_prepare(). All functions here may be called from any thread. A kernel
 * lives as long as its module, and a module must not be unloaded while one of its kernels runs.
 *
 * Return codes: 0, negative errno (-ENOMEM), or a positive enum sg_module_error; the reason is then
 * in the error log, as lines "ptx:LINE: text" (with several inputs, "NAME:LINE: text").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sg_module_error {
	SG_MODULE_INVALID = 1, /* not PTX we can read: CUDA_ERROR_INVALID_PTX (218) */
	SG_MODULE_UNRESOLVED,  /* .extern without a definition:
				  CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND (302) */
	SG_MODULE_UNSUPPORTED, /* valid, but beyond this machine: CUDA_ERROR_NOT_SUPPORTED (801) */
	SG_MODULE_NO_COMPILER, /* LLVM is missing: CUDA_ERROR_JIT_COMPILER_NOT_FOUND (221) */
	SG_MODULE_INTERNAL, /* our translation was refused by LLVM: CUDA_ERROR_INVALID_PTX (218) */
};

/*
 * Text for people, as the JIT log buffers of cuModuleLoadDataEx want it: always NUL-terminated when
 * capacity > 0, cut when full. used: bytes without the NUL. text belongs to the caller.
 */
struct sg_log {
	char *text;
	size_t capacity;
	size_t used;
};

/*
 * Device memory for variables. alloc: size bytes, zeroed, aligned to align (a power of two), inside
 * the arena and readable and writable by this process; 0 or negative errno. alloc_managed: the same
 * for variables that the program reaches too; NULL: as others.
 */
struct sg_memory_ops {
	int (*alloc)(void *context, size_t size, size_t align, uint64_t *address);
	void (*free)(void *context, uint64_t address, size_t size);
	void *context;
	int (*alloc_managed)(void *context, size_t size, size_t align, uint64_t *address);
};

/* A NUL inside text ends it early; no terminating NUL is needed. name is for messages, may be NULL.
 */
struct sg_ptx_input {
	const char *name;
	const char *text;
	size_t size;
};

struct sg_module;
struct sg_kernel;

/* memory's functions must stay callable until the unload. The logs may be NULL. */
int sg_module_load(const struct sg_ptx_input *inputs, size_t n_inputs,
    const struct sg_memory_ops *memory, struct sg_log *info_log, struct sg_log *error_log,
    struct sg_module **out);
void sg_module_unload(struct sg_module *module);

/* As long as a kernel is held it stays, also when its module was unloaded; then nothing runs it any
 * more. A graph may outlive what it was made of. */
void sg_kernel_hold(struct sg_kernel *kernel);
void sg_kernel_release(struct sg_kernel *kernel);

/* Variables of .global and .const space, visible or not. False when there is none of that name. */
bool sg_module_global(
    const struct sg_module *module, const char *name, uint64_t *address, size_t *size);

/* Textures and surfaces by name: a variable's address, where the number of what is bound to it is
 * to be written. False when there is none of that name. */
bool sg_module_reference(
    const struct sg_module *module, const char *name, bool is_surface, uint64_t *address);

/* NULL when there is none of that name. Kernels are numbered from 0 in the order of the text. */
struct sg_kernel *sg_module_kernel(const struct sg_module *module, const char *name);
size_t sg_module_kernel_count(const struct sg_module *module);
struct sg_kernel *sg_module_kernel_at(const struct sg_module *module, size_t index);

struct sg_kernel_param {
	uint32_t offset;
	uint32_t size;
	uint32_t align;
};

/* What cuFuncGetAttribute and the launch checks want to know. Sizes in bytes. */
struct sg_kernel_info {
	const char *name;
	const struct sg_kernel_param *params;
	uint32_t n_params;
	uint32_t param_bytes;		/* of the packed parameter buffer */
	uint32_t shared_bytes;		/* static; dynamic shared memory comes behind it */
	uint32_t local_bytes;		/* per thread */
	uint32_t const_bytes;		/* of user .const variables of the module */
	uint32_t registers;		/* an estimate, never 0 */
	uint32_t max_threads_per_block; /* .maxntid, else 1024, as a GPU has it */
	uint32_t max_ntid[3];		/* .maxntid, 0 0 0 when absent */
	uint32_t required_ntid[3];	/* .reqntid, 0 0 0 when absent */
	uint32_t required_cluster[3];	/* .reqnctapercluster, 0 0 0 when absent */
	bool must_have_cluster;	  /* .explicitcluster: a launch names one, or the kernel does */
	bool blocks_are_clusters; /* the launch's grid counts clusters, not blocks */
	uint32_t ptx_version;	  /* 90 for 9.0 */
	uint32_t target;	  /* 80 for sm_80 */
	bool uses_printf;
	bool uses_collectives; /* barriers or warp-level operations */
};

/* Valid as long as the module, or while the kernel is held. */
const struct sg_kernel_info *sg_kernel_info(const struct sg_kernel *kernel);

/* Makes native code now, for the likeliest blocks or those of a shape, once; later calls return the
 * first one's result. log may be NULL. */
int sg_kernel_prepare(struct sg_kernel *kernel, struct sg_log *error_log);
int sg_kernel_prepare_for(
    struct sg_kernel *kernel, const uint32_t block[3], struct sg_log *error_log);
