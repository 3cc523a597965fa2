/*
 * Arrays and mipmapped arrays: plain rows of texels in the arena, without padding, level by level.
 * The levels of a mipmap are arrays of their own right but for their end, which is the mipmap's.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"
#include "softgpu/driver/context.h"
#include "softgpu/exec/texture.h"
#include "softgpu/mem/arena.h"

struct sg_array {
	CUarray handle;
	uint64_t address;
	size_t width, height, depth; /* as asked for: height 0 for 1D, depth 0 for 1D and 2D */
	CUarray_format format;
	unsigned channels, flags;
	/* Bytes of an element, texel or block; of a row of them; of one layer of depth; of all. */
	size_t element_size, pitch, slice, size;
	size_t rows;		  /* of a layer */
	struct sg_mipmap *mipmap; /* it is a level of; NULL: of none */
	struct sg_array *whole;	  /* it is a plane of; NULL: of none */
	struct sg_array *planes;  /* SG_PLANES, of which a picture is made; NULL: it is none. Those
				     without a size are not there */
};

struct sg_mipmap {
	CUmipmappedArray handle;
	uint64_t address;
	unsigned n_levels;
	struct sg_array levels[SG_IMAGE_LEVELS];
};

#define SG_PLANES 3 /* at most */

#define SG_ARRAY_ALIGN 512 /* CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT */

/* An array's description without its memory. */
struct sg_array sg_array_of(const CUDA_ARRAY3D_DESCRIPTOR *descriptor);
/* Whether the description is one of an array we can make. */
CUresult sg_array_check(const struct sg_array *array);
/* Fills in the sizes that follow from the description, which has been checked. */
void sg_array_measure(struct sg_array *array);
/* Layers, or faces: its depth does not halve. */
static inline bool sg_array_is_layered(const struct sg_array *array)
{
	return array->flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
}
/* Memory in the arena, which ends with the context. */
CUresult sg_array_memory(const struct sg_context *context, size_t size, uint64_t *address);

/* What kind of texels a format means: channel, channel_bytes and n_channels of image. channels:
 * what the descriptor says beside it. False: no such format, or no such number of channels of
 * it. */
bool sg_format_read(CUarray_format format, unsigned channels, struct sg_texels *image);
/* The same of a view's format that is not compressed. */
bool sg_view_format_read(CUresourceViewFormat format, struct sg_texels *image);
/* The compressed format of a view; SG_BLOCKS_NONE: it is not compressed. */
enum sg_blocks sg_view_blocks(CUresourceViewFormat format);
/* The same members for texels in blocks. */
void sg_blocks_read(enum sg_blocks blocks, struct sg_texels *image);
/* A picture in planes, of luminance and of colours, which may be of half the size. */
bool sg_array_is_planar(const struct sg_array *array);
/* The planes of such an array: their places in its memory, and sizes. */
void sg_array_split(const struct sg_array *array, struct sg_array planes[SG_PLANES]);

/* The texels as kernels see them. */
void sg_array_image(const struct sg_array *array, struct sg_texels *image);
void sg_mipmap_image(const struct sg_mipmap *mipmap, struct sg_texels *image);
