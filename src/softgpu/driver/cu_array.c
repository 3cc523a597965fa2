/* Arrays' entries of the driver API. */
#include "softgpu/driver/driver.h"

#include <stdlib.h>

#include "softgpu/driver/array.h"
#include "softgpu/driver/stream.h"

static bool make_planes(struct sg_array *array)
{
	bool is_made = true;

	if (!sg_array_is_planar(array))
		return true;
	array->planes = calloc(SG_PLANES, sizeof(*array->planes));
	if (!array->planes)
		return false;
	sg_array_split(array, array->planes);
	for (unsigned i = 0; i < SG_PLANES; i++) {
		if (!array->planes[i].size)
			continue;
		array->planes[i].whole = array;
		array->planes[i].handle = sg_handle_new(SG_ARRAY, &array->planes[i]);
		is_made &= array->planes[i].handle != NULL;
	}
	return is_made;
}

static void array_free(struct sg_array *array)
{
	for (unsigned i = 0; array->planes && i < SG_PLANES; i++)
		sg_handle_free(array->planes[i].handle);
	sg_handle_free(array->handle);
	sg_arena_free(array->address);
	free(array->planes);
	free(array);
}

static CUresult array_create(CUarray *handle, struct sg_array shape)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && !handle)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = sg_array_check(&shape);
	if (r != CUDA_SUCCESS)
		return r;
	sg_array_measure(&shape);
	r = sg_array_memory(context, shape.size, &shape.address);
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_array *array = malloc(sizeof(*array));
	if (!array) {
		sg_arena_free(shape.address);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*array = shape;
	array->handle = sg_handle_new(SG_ARRAY, array);
	if (!array->handle || !make_planes(array)) {
		array_free(array);
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
	if (!descriptor)
		return CUDA_ERROR_INVALID_VALUE;
	return array_create(handle, sg_array_of(descriptor));
}

CUresult cuArrayDestroy(CUarray handle)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	struct sg_array *array = sg_handle_get(handle, SG_ARRAY);
	if (!array || array->mipmap)
		return CUDA_ERROR_INVALID_HANDLE;
	if (array->whole) /* a plane goes with its picture; NVIDIA's driver says nothing either */
		return CUDA_SUCCESS;
	sg_engine_wait();
	array_free(array);
	return atomic_load_explicit(&context->error, memory_order_relaxed);
}

static CUresult array_enter(CUarray handle, const void *output, const struct sg_array **array)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	*array = sg_handle_get(handle, SG_ARRAY);
	if (!*array)
		return CUDA_ERROR_INVALID_HANDLE;
	return output ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
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

CUresult cuArrayGetPlane(CUarray *plane, CUarray handle, unsigned index)
{
	const struct sg_array *array;
	CUresult r = array_enter(handle, plane, &array);

	if (r == CUDA_SUCCESS &&
	    (!array->planes || index >= SG_PLANES || !array->planes[index].handle))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*plane = array->planes[index].handle;
	return r;
}

/* These ask about kinds of arrays that cannot be made here: sparse, mapped later. */

CUresult cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *properties, CUarray handle)
{
	const struct sg_array *array;
	CUresult r = sg_enter_given(handle) ?: array_enter(handle, properties, &array);

	return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : r;
}

CUresult cuArrayGetMemoryRequirements(
    CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements, CUarray handle, CUdevice device)
{
	const struct sg_array *array;
	CUresult r = sg_enter_given(handle && !device) ?: array_enter(handle, requirements, &array);

	return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : r;
}
