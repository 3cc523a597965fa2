/*
 * Modules, libraries and their functions. A module belongs to the context it was loaded in and ends
 * with it; a library belongs to the process. Both wrap one struct sg_module of the machine below.
 *
 * A kernel of a library has two handles, a CUkernel and a CUfunction, which name the same object;
 * programs may use one for the other, and so does the CUDA runtime in every launch.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"
#include "abi/old_launch.h"
#include "softgpu/driver/context.h"
#include "softgpu/driver/jit_options.h"
#include "softgpu/exec/module.h"
#include "softgpu/image/image.h"

struct sg_function {
	CUfunction function;
	CUkernel kernel_handle; /* NULL in a plain module */
	struct sg_kernel *kernel;
	const struct sg_kernel_info *info;
	struct sg_module_object *module;
	/* What programs may set. */
	int max_dynamic_shared, carveout, cluster_policy;
	bool non_portable_cluster;
	CUfunc_cache cache_config;
	struct old_launch old; /* its buffer ends with the module */
};

struct sg_module_object {
	CUmodule handle;
	CUlibrary library;	    /* NULL in a plain module */
	struct sg_context *context; /* NULL in a library */
	struct sg_module *module;
	struct sg_function *functions; /* as many as the module has kernels, in its order */
	size_t n_functions;
	struct sg_reference *references; /* that were asked for; lock: the references' */
	struct sg_module_object *next;	 /* in its context, or of all libraries */
};

/* CUfunction or CUkernel; NULL: neither. */
struct sg_function *sg_function_get(CUfunction handle);

/* Loads an image for the device, with the options of cuModuleLoadDataEx. context NULL: a library.
 */
CUresult sg_module_open(const void *image, unsigned n_options, CUjit_option *options, void **values,
    struct sg_context *context, struct sg_module_object **module);
/* The texts become one module; the reasons of a failure are in jit's logs. */
CUresult sg_module_link(const struct sg_text *texts, size_t n_texts, uint64_t context_id,
    struct sg_jit_options *jit, struct sg_module **module);

/* CUDA's result for what sg_image_init() returned. */
CUresult sg_module_image_result(int r);

void sg_module_close(struct sg_module_object *module);

void sg_module_unload_all(struct sg_context *context);

/* A variable's address and size; either pointer may be NULL, not both. */
CUresult sg_module_variable(
    const struct sg_module_object *module, const char *name, CUdeviceptr *address, size_t *size);

/* For the private tables; see abi/export_table.h. */
CUresult sg_module_list(CUmodule handle, CUfunction *functions, size_t capacity, size_t *n);
