/*
 * Texture and surface objects: what programs described, kept for their queries, beside what kernels
 * see of it (softgpu/exec/texture.h). An object ends with its context at the latest.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"
#include "softgpu/exec/texture.h"

/* Checks the descriptions, view may be NULL, and makes of them what kernels need. */
CUresult sg_texture_describe(const CUDA_RESOURCE_DESC *resource, const CUDA_TEXTURE_DESC *how,
    const CUDA_RESOURCE_VIEW_DESC *view, struct sg_texture *texture);
/* The same for a surface: level 0 of an array made for it. */
CUresult sg_surface_describe(const CUDA_RESOURCE_DESC *resource, struct sg_texture *texture);

/* Ends the objects of a context that is ending. */
void sg_texture_drop(uint64_t context_id);
