/*
 * Texture and surface references: variables of a module, where kernels find the number of what the
 * program has bound to them (softgpu/exec/texture.h). A reference exists from the first question
 * for it to the end of its module, under one handle. Setting waits until no kernel runs: what was
 * launched before sees what was set before.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"
#include "softgpu/driver/handle.h"

struct sg_module_object;

struct sg_reference {
	void *handle; /* CUtexref or CUsurfref */
	bool is_surface, is_bound;
	uint64_t variable; /* where its number goes; 0: in no module */
	uint64_t number;   /* 0: none yet */
	CUDA_RESOURCE_DESC resource;
	CUDA_TEXTURE_DESC how;
	CUarray_format format; /* of plain memory; else the array's */
	unsigned channels;
	struct sg_reference *next; /* in its module */
};

/* NULL: out of memory. */
struct sg_reference *sg_reference_new(bool is_surface, uint64_t variable);
void sg_reference_free(struct sg_reference *reference);

/* The one of that name in the module; CUDA_ERROR_NOT_FOUND. */
CUresult sg_reference_find(struct sg_module_object *module, const char *name, bool is_surface,
    struct sg_reference **reference);
/* Of a module that ends. */
void sg_references_free(struct sg_module_object *module);

/* Makes kernels see what the reference says now. When it cannot be, nothing is bound. */
CUresult sg_reference_apply(struct sg_reference *reference);
