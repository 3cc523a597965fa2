/*
 * Arrays: plain rows of elements in the arena, without padding. Textures and surfaces are not
 * supported yet, so arrays are only filled and read by copies.
 */
#include "softgpu/driver/driver.h"

#include <stdlib.h>

#include "base/util.h"
#include "softgpu/driver/memory.h"
#include "softgpu/driver/stream.h"

#define ARRAY_ALIGN 512

/* Bytes of one channel; 0: a format we do not have. */
static size_t format_size(CUarray_format format)
{
	switch (format) {
	case CU_AD_FORMAT_UNSIGNED_INT8:
	case CU_AD_FORMAT_SIGNED_INT8:
		return 1;
	case CU_AD_FORMAT_UNSIGNED_INT16:
	case CU_AD_FORMAT_SIGNED_INT16:
	case CU_AD_FORMAT_HALF:
		return 2;
	case CU_AD_FORMAT_UNSIGNED_INT32:
	case CU_AD_FORMAT_SIGNED_INT32:
	case CU_AD_FORMAT_FLOAT:
		return 4;
	default:
		return 0;
	}
}

static CUresult array_measure(struct sg_array *array)
{
	size_t channel = format_size(array->format);

	if (!channel || (array->channels != 1 && array->channels != 2 && array->channels != 4))
		return CUDA_ERROR_INVALID_VALUE;
	if (!array->width ||
	    (array->depth && !array->height && !(array->flags & CUDA_ARRAY3D_LAYERED)))
		return CUDA_ERROR_INVALID_VALUE;
	array->element_size = channel * array->channels;
	if (__builtin_mul_overflow(array->width, array->element_size, &array->pitch) ||
	    __builtin_mul_overflow(array->pitch, MAX(array->height, (size_t)1), &array->slice) ||
	    __builtin_mul_overflow(array->slice, MAX(array->depth, (size_t)1), &array->size))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult array_create(CUarray *handle, struct sg_array shape)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && !handle)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = array_measure(&shape);
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_array *array = malloc(sizeof(*array));
	struct sg_range range = {
	    .size = shape.size, .kind = SG_RANGE_ARRAY, .context_id = context->id};
	if (!array || sg_arena_alloc(&range, ARRAY_ALIGN) < 0) {
		free(array);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*array = shape;
	array->address = range.address;
	array->handle = sg_handle_new(SG_ARRAY, array);
	if (!array->handle) {
		sg_arena_free(array->address);
		free(array);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*handle = array->handle;
	return CUDA_SUCCESS;
}

CUresult cuArrayCreate_v2(CUarray *handle, const CUDA_ARRAY_DESCRIPTOR *descriptor)
{
	if (!descriptor)
		return CUDA_ERROR_INVALID_VALUE;
	return array_create(handle, (struct sg_array){
					.width = descriptor->Width,
					.height = descriptor->Height,
					.format = descriptor->Format,
					.channels = descriptor->NumChannels,
				    });
}

CUresult cuArray3DCreate_v2(CUarray *handle, const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
	const unsigned known = CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST |
			       CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_TEXTURE_GATHER;

	if (!descriptor)
		return CUDA_ERROR_INVALID_VALUE;
	if (descriptor->Flags & ~known)
		return CUDA_ERROR_NOT_SUPPORTED;
	return array_create(handle, (struct sg_array){
					.width = descriptor->Width,
					.height = descriptor->Height,
					.depth = descriptor->Depth,
					.format = descriptor->Format,
					.channels = descriptor->NumChannels,
					.flags = descriptor->Flags,
				    });
}

CUresult cuArrayDestroy(CUarray handle)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	struct sg_array *array = sg_handle_get(handle, SG_ARRAY);
	if (!array)
		return CUDA_ERROR_INVALID_HANDLE;
	sg_engine_wait();
	sg_handle_free(handle);
	sg_arena_free(array->address);
	free(array);
	return atomic_load_explicit(&context->error, memory_order_relaxed);
}

static CUresult array_enter(CUarray handle, const void *output, const struct sg_array **array)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	if (!output)
		return CUDA_ERROR_INVALID_VALUE;
	*array = sg_handle_get(handle, SG_ARRAY);
	return *array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR *descriptor, CUarray handle)
{
	const struct sg_array *array;
	CUresult r = array_enter(handle, descriptor, &array);

	if (r == CUDA_SUCCESS)
		*descriptor = (CUDA_ARRAY_DESCRIPTOR){
		    .Width = array->width,
		    .Height = array->height,
		    .Format = array->format,
		    .NumChannels = array->channels,
		};
	return r;
}

CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *descriptor, CUarray handle)
{
	const struct sg_array *array;
	CUresult r = array_enter(handle, descriptor, &array);

	if (r == CUDA_SUCCESS)
		*descriptor = (CUDA_ARRAY3D_DESCRIPTOR){
		    .Width = array->width,
		    .Height = array->height,
		    .Depth = array->depth,
		    .Format = array->format,
		    .NumChannels = array->channels,
		    .Flags = array->flags,
		};
	return r;
}
