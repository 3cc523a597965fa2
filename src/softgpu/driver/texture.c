/*
 * From CUDA's descriptions of textures and surfaces to what the machine samples.
 *
 * Memory that a description names must be the program's; it may be freed later, which a kernel then
 * finds out. A row of texels may be said to go on behind its allocation, as NVIDIA's driver lets
 * it: each texel is checked when it is read.
 */
#include "softgpu/driver/texture.h"

#include <string.h>

#include "base/util.h"
#include "softgpu/driver/array.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/memory.h"

#define MOST_ANISOTROPY 16u /* an H200 takes more for that, and 3 for 2 */

/* ---- resources ---- */

static bool memory_is_there(CUdeviceptr address, size_t size)
{
	struct sg_registration registration;

	if (sg_arena_holds(address))
		return sg_arena_covers(address, size);
	return sg_registration_find(address, &registration) && registration.alias &&
	       size <= registration.size - (address - registration.host);
}

static CUresult linear_image(const CUDA_RESOURCE_DESC *resource, struct sg_texels *image)
{
	CUdeviceptr address = resource->res.linear.devPtr;
	size_t bytes = resource->res.linear.sizeInBytes;

	if (!sg_format_read(resource->res.linear.format, resource->res.linear.numChannels, image))
		return CUDA_ERROR_INVALID_VALUE;
	size_t texels = bytes / image->n_channels / image->channel_bytes;
	if (!texels || address % SG_ARRAY_ALIGN ||
	    texels >
		(size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH) ||
	    !memory_is_there(address, sg_arena_holds(address) ? 1 : bytes))
		return CUDA_ERROR_INVALID_VALUE;
	image->levels[0] = address;
	image->width = (uint32_t)texels;
	image->height = 1;
	image->is_linear = true;
	return CUDA_SUCCESS;
}

static bool is_beyond(size_t value, CUdevice_attribute attribute)
{
	return value > (size_t)sg_device_attribute(attribute);
}

static CUresult pitched_image(const CUDA_RESOURCE_DESC *resource, struct sg_texels *image)
{
	CUdeviceptr address = resource->res.pitch2D.devPtr;
	size_t width = resource->res.pitch2D.width, height = resource->res.pitch2D.height;
	size_t pitch = resource->res.pitch2D.pitchInBytes;

	if (!sg_format_read(resource->res.pitch2D.format, resource->res.pitch2D.numChannels, image))
		return CUDA_ERROR_INVALID_VALUE;
	if (!width || !height || address % SG_ARRAY_ALIGN ||
	    is_beyond(width, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LINEAR_WIDTH) ||
	    is_beyond(height, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LINEAR_HEIGHT) ||
	    is_beyond(pitch, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LINEAR_PITCH) ||
	    pitch % (size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT))
		return CUDA_ERROR_INVALID_VALUE;
	size_t row = width * image->n_channels * image->channel_bytes;
	if (pitch < row || !memory_is_there(address, pitch * (height - 1) + row))
		return CUDA_ERROR_INVALID_VALUE;
	image->levels[0] = address;
	image->width = (uint32_t)width;
	image->height = (uint32_t)height;
	image->pitch = pitch;
	return CUDA_SUCCESS;
}

static CUresult resource_image(const CUDA_RESOURCE_DESC *resource, struct sg_texels *image)
{
	const struct sg_mipmap *mipmap;
	const struct sg_array *array;

	if (resource->flags)
		return CUDA_ERROR_INVALID_VALUE;
	*image = (struct sg_texels){.depth = 1, .layers = 1, .n_levels = 1};
	switch (resource->resType) {
	case CU_RESOURCE_TYPE_ARRAY:
		array = sg_handle_get(resource->res.array.hArray, SG_ARRAY);
		if (!array)
			return CUDA_ERROR_INVALID_HANDLE;
		sg_array_image(array, image);
		return array->planes ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
	case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
		mipmap = sg_handle_get(resource->res.mipmap.hMipmappedArray, SG_MIPMAP);
		if (!mipmap)
			return CUDA_ERROR_INVALID_HANDLE;
		sg_mipmap_image(mipmap, image);
		return CUDA_SUCCESS;
	case CU_RESOURCE_TYPE_LINEAR:
		return linear_image(resource, image);
	case CU_RESOURCE_TYPE_PITCH2D:
		return pitched_image(resource, image);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

/* ---- views ---- */

static void keep_levels(struct sg_texels *image, unsigned first, unsigned last)
{
	image->width = MAX(image->width >> first, 1u);
	image->height = MAX(image->height >> first, 1u);
	image->depth = MAX(image->depth >> first, 1u);
	image->n_levels = (uint8_t)(last - first + 1);
	memmove(image->levels, &image->levels[first], image->n_levels * sizeof(image->levels[0]));
}

static void keep_layers(struct sg_texels *image, unsigned first, unsigned last)
{
	for (uint32_t i = 0; i < image->n_levels; i++) {
		struct texture_level level;

		texture_level_get(image, i, &level);
		image->levels[i] += first * level.slice;
	}
	image->layers = last - first + 1;
}

static CUresult reformat(CUresourceViewFormat format, struct sg_texels *image)
{
	unsigned texel = image->n_channels * image->channel_bytes;

	if (format != CU_RES_VIEW_FORMAT_NONE &&
	    (image->blocks || !sg_view_format_read(format, image)))
		return CUDA_ERROR_INVALID_VALUE;
	return (unsigned)(image->n_channels * image->channel_bytes) == texel
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_INVALID_VALUE;
}

/* An array of words is one of blocks, of as many bytes. The view says how many texels they are. */
static CUresult view_blocks(
    const CUDA_RESOURCE_VIEW_DESC *view, enum sg_blocks blocks, struct sg_texels *image)
{
	if (image->blocks || image->channel != SG_CHANNEL_UNSIGNED || image->channel_bytes != 4 ||
	    image->n_channels * 4u != sg_blocks_bytes(blocks) ||
	    view->width != (size_t)image->width * SG_BLOCK_SIDE ||
	    view->height != (size_t)image->height * SG_BLOCK_SIDE)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static void become_blocks(enum sg_blocks blocks, struct sg_texels *image)
{
	sg_blocks_read(blocks, image);
	image->width *= SG_BLOCK_SIDE;
	image->height *= SG_BLOCK_SIDE;
	image->is_view = true;
}

static CUresult view_apply(const CUDA_RESOURCE_VIEW_DESC *view, struct sg_texels *image)
{
	enum sg_blocks blocks = sg_view_blocks(view->format);
	CUresult r = blocks ? view_blocks(view, blocks, image) : reformat(view->format, image);

	if (r != CUDA_SUCCESS || view->firstMipmapLevel > view->lastMipmapLevel ||
	    view->lastMipmapLevel >= image->n_levels || view->firstLayer > view->lastLayer ||
	    view->lastLayer >= image->layers)
		return CUDA_ERROR_INVALID_VALUE;
	keep_levels(image, view->firstMipmapLevel, view->lastMipmapLevel);
	keep_layers(image, view->firstLayer, view->lastLayer);
	if (blocks)
		become_blocks(blocks, image);
	return CUDA_SUCCESS;
}

/* ---- samplers ---- */

static bool sampler_is_valid(const CUDA_TEXTURE_DESC *how)
{
	for (unsigned i = 0; i < 3; i++)
		if ((unsigned)how->addressMode[i] > CU_TR_ADDRESS_MODE_BORDER)
			return false;
	return (unsigned)how->filterMode <= CU_TR_FILTER_MODE_LINEAR &&
	       (unsigned)how->mipmapFilterMode <= CU_TR_FILTER_MODE_LINEAR &&
	       !(how->flags & ~(unsigned)SG_TEXTURE_FLAGS);
}

static struct sg_sampler sampler_of(const CUDA_TEXTURE_DESC *how)
{
	struct sg_sampler sampler = {
	    .is_linear = how->filterMode == CU_TR_FILTER_MODE_LINEAR,
	    .is_mip_linear = how->mipmapFilterMode == CU_TR_FILTER_MODE_LINEAR,
	    .is_normalized = how->flags & CU_TRSF_NORMALIZED_COORDINATES,
	    .is_seamless = how->flags & CU_TRSF_SEAMLESS_CUBEMAP,
	    .anisotropy = (uint8_t)MIN(how->maxAnisotropy & ~1u, MOST_ANISOTROPY),
	    .bias = how->mipmapLevelBias,
	    .lod_min = how->minMipmapLevelClamp,
	    .lod_max = how->maxMipmapLevelClamp,
	};

	_Static_assert((int)SG_ADDRESS_BORDER == CU_TR_ADDRESS_MODE_BORDER &&
			   (int)SG_ADDRESS_MIRROR == CU_TR_ADDRESS_MODE_MIRROR &&
			   (int)SG_ADDRESS_CLAMP == CU_TR_ADDRESS_MODE_CLAMP,
	    "the same numbers");
	for (unsigned i = 0; i < 3; i++)
		sampler.address_mode[i] = (enum sg_address_mode)how->addressMode[i];
	memcpy(sampler.border, how->borderColor, sizeof(sampler.border));
	return sampler;
}

CUresult sg_texture_describe(const CUDA_RESOURCE_DESC *resource, const CUDA_TEXTURE_DESC *how,
    const CUDA_RESOURCE_VIEW_DESC *view, struct sg_texture *texture)
{
	bool is_array = resource->resType == CU_RESOURCE_TYPE_ARRAY ||
			resource->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;

	*texture = (struct sg_texture){
	    .as_integer = how->flags & CU_TRSF_READ_AS_INTEGER,
	    .is_srgb = how->flags & CU_TRSF_SRGB,
	};
	if (!sampler_is_valid(how) || (view && !is_array))
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = resource_image(resource, &texture->image);
	if (r == CUDA_SUCCESS && view)
		r = view_apply(view, &texture->image);
	/* Of a format with sRGB, as an H200 has it. */
	if (r == CUDA_SUCCESS && texture->image.is_srgb && !texture->is_srgb)
		r = CUDA_ERROR_INVALID_VALUE;
	texture->sampler = sampler_of(how);
	return r;
}

CUresult sg_surface_describe(const CUDA_RESOURCE_DESC *resource, struct sg_texture *texture)
{
	*texture = (struct sg_texture){.is_surface = true};
	if (resource->resType != CU_RESOURCE_TYPE_ARRAY)
		return CUDA_ERROR_INVALID_VALUE;
	/* NVIDIA's driver takes arrays that were not made for surfaces, too. */
	CUresult r = resource_image(resource, &texture->image);
	return r == CUDA_SUCCESS && texture->image.blocks ? CUDA_ERROR_INVALID_VALUE : r;
}
