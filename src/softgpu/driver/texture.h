/*
 * Texture and surface objects: what programs described, kept for their queries, beside what kernels
 * see of it (softgpu/exec/texture.h). An object ends with its context at the latest.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"
#include "softgpu/exec/texture.h"

#define SG_TEXTURE_FLAGS                                                                           \
	(CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_SRGB |                 \
	    CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION | CU_TRSF_SEAMLESS_CUBEMAP)

/* Checks the descriptions, view may be NULL, and makes of them what kernels need. */
CUresult sg_texture_describe(const CUDA_RESOURCE_DESC *resource, const CUDA_TEXTURE_DESC *how,
    const CUDA_RESOURCE_VIEW_DESC *view, struct sg_texture *texture);
/* The same for a surface: level 0 of an array made for it. */
CUresult sg_surface_describe(const CUDA_RESOURCE_DESC *resource, struct sg_texture *texture);

/* Ends the objects of a context that is ending. */
void sg_texture_drop(uint64_t context_id);
