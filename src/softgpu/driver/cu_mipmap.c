/* Mipmapped arrays' entries of the driver API. All levels lie in one allocation. */
#include "softgpu/driver/driver.h"

#include <stdlib.h>

#include "base/util.h"
#include "softgpu/driver/array.h"
#include "softgpu/driver/stream.h"

static size_t halved(size_t size, unsigned times)
{
	return size ? MAX(size >> times, (size_t)1) : 0;
}

static unsigned most_levels(const struct sg_array *base)
{
	size_t longest = MAX(base->width, base->height);

	if (!sg_array_is_layered(base))
		longest = MAX(longest, base->depth);
	return 64 - (unsigned)__builtin_clzll(longest);
}

/* The levels' sizes and, from 0 on, places; returns the size of all. */
static size_t mipmap_lay_out(struct sg_mipmap *mipmap, const struct sg_array *base)
{
	size_t size = 0;

	for (unsigned i = 0; i < mipmap->n_levels; i++) {
		struct sg_array *level = &mipmap->levels[i];

		*level = *base;
		level->width = halved(base->width, i);
		level->height = halved(base->height, i);
		level->depth = sg_array_is_layered(base) ? base->depth : halved(base->depth, i);
		level->mipmap = mipmap;
		level->address = size;
		sg_array_measure(level);
		size = align_up(size + level->size, SG_ARRAY_ALIGN);
	}
	return size;
}

static void mipmap_free(struct sg_mipmap *mipmap)
{
	for (unsigned i = 0; i < mipmap->n_levels; i++)
		sg_handle_free(mipmap->levels[i].handle);
	sg_handle_free(mipmap->handle);
	if (mipmap->address)
		sg_arena_free(mipmap->address);
	free(mipmap);
}

static CUresult mipmap_fill(
    struct sg_mipmap *mipmap, const struct sg_context *context, const struct sg_array *base)
{
	CUresult r = sg_array_memory(context, mipmap_lay_out(mipmap, base), &mipmap->address);

	if (r != CUDA_SUCCESS)
		return r;
	mipmap->handle = sg_handle_new(SG_MIPMAP, mipmap);
	for (unsigned i = 0; i < mipmap->n_levels; i++) {
		struct sg_array *level = &mipmap->levels[i];

		level->address += mipmap->address;
		level->handle = sg_handle_new(SG_ARRAY, level);
		if (!level->handle)
			return CUDA_ERROR_OUT_OF_MEMORY;
	}
	return mipmap->handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMipmappedArrayCreate(
    CUmipmappedArray *handle, const CUDA_ARRAY3D_DESCRIPTOR *descriptor, unsigned n_levels)
{
	struct sg_context *context;
	struct sg_array base;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && (!handle || !descriptor || !n_levels))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	base = sg_array_of(descriptor);
	r = sg_array_check(&base);
	if (r == CUDA_SUCCESS && sg_array_is_planar(&base))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_mipmap *mipmap = calloc(1, sizeof(*mipmap));
	if (!mipmap)
		return CUDA_ERROR_OUT_OF_MEMORY;
	mipmap->n_levels = MIN(n_levels, most_levels(&base));
	r = mipmap_fill(mipmap, context, &base);
	if (r != CUDA_SUCCESS)
		mipmap_free(mipmap);
	else
		*handle = mipmap->handle;
	return r;
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray handle)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	struct sg_mipmap *mipmap = sg_handle_get(handle, SG_MIPMAP);
	if (!mipmap)
		return CUDA_ERROR_INVALID_HANDLE;
	sg_engine_wait();
	mipmap_free(mipmap);
	return atomic_load_explicit(&context->error, memory_order_relaxed);
}

static CUresult mipmap_enter(
    CUmipmappedArray handle, const void *output, const struct sg_mipmap **mipmap)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	*mipmap = sg_handle_get(handle, SG_MIPMAP);
	if (!*mipmap)
		return CUDA_ERROR_INVALID_HANDLE;
	return output ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMipmappedArrayGetLevel(CUarray *array, CUmipmappedArray handle, unsigned level)
{
	const struct sg_mipmap *mipmap;
	CUresult r = mipmap_enter(handle, array, &mipmap);

	if (r == CUDA_SUCCESS && level >= mipmap->n_levels)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*array = mipmap->levels[level].handle;
	return r;
}

CUresult cuMipmappedArrayGetSparseProperties(
    CUDA_ARRAY_SPARSE_PROPERTIES *properties, CUmipmappedArray handle)
{
	const struct sg_mipmap *mipmap;
	CUresult r = sg_enter_given(handle) ?: mipmap_enter(handle, properties, &mipmap);

	return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : r;
}

CUresult cuMipmappedArrayGetMemoryRequirements(
    CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements, CUmipmappedArray handle, CUdevice device)
{
	const struct sg_mipmap *mipmap;
	CUresult r =
	    sg_enter_given(handle && !device) ?: mipmap_enter(handle, requirements, &mipmap);

	return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : r;
}
