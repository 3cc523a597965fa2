/* Texture and surface references' entries of the driver API. */
#include "softgpu/driver/driver.h"

#include <string.h>

#include "softgpu/driver/array.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/module.h"
#include "softgpu/driver/reference.h"
#include "softgpu/driver/texture.h"

/* The highest unit of cuParamSetTexRef has never been used: references know their kernels. */
#define DEFAULT_UNIT (-1)

static CUresult texture_enter(CUtexref handle, struct sg_reference **reference)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	*reference = sg_handle_get(handle, SG_TEXTURE_REFERENCE);
	return *reference ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult texture_query(CUtexref handle, const void *output, struct sg_reference **reference)
{
	CUresult r = texture_enter(handle, reference);

	return r == CUDA_SUCCESS && !output ? CUDA_ERROR_INVALID_VALUE : r;
}

static CUresult surface_enter(CUsurfref handle, struct sg_reference **reference)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	*reference = sg_handle_get(handle, SG_SURFACE_REFERENCE);
	return *reference ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* ---- finding, making ---- */

static CUresult reference_get(
    CUmodule handle, const char *name, bool is_surface, void *out, struct sg_reference **reference)
{
	struct sg_module_object *module;
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	module = sg_handle_get(handle, SG_MODULE);
	if (!module)
		return CUDA_ERROR_INVALID_HANDLE;
	return out && name ? sg_reference_find(module, name, is_surface, reference)
			   : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuModuleGetTexRef(CUtexref *texture, CUmodule module, const char *name)
{
	struct sg_reference *reference;
	CUresult r = reference_get(module, name, false, texture, &reference);

	if (r == CUDA_SUCCESS)
		*texture = reference->handle;
	return r;
}

CUresult cuModuleGetSurfRef(CUsurfref *surface, CUmodule module, const char *name)
{
	struct sg_reference *reference;
	CUresult r = reference_get(module, name, true, surface, &reference);

	if (r == CUDA_SUCCESS)
		*surface = reference->handle;
	return r;
}

CUresult cuTexRefCreate(CUtexref *texture)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && !texture)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_reference *reference = sg_reference_new(false, 0);
	if (!reference)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*texture = reference->handle;
	return CUDA_SUCCESS;
}

/* A module's references end with it. */
CUresult cuTexRefDestroy(CUtexref texture)
{
	struct sg_reference *reference;
	CUresult r = texture_enter(texture, &reference);

	if (r == CUDA_SUCCESS && reference->variable)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		sg_reference_free(reference);
	return r;
}

CUresult cuParamSetTexRef(CUfunction function, int unit, CUtexref texture)
{
	struct sg_reference *reference;
	CUresult r = texture_enter(texture, &reference);

	if (r == CUDA_SUCCESS && !sg_function_get(function))
		r = CUDA_ERROR_INVALID_HANDLE;
	return r == CUDA_SUCCESS && unit != DEFAULT_UNIT ? CUDA_ERROR_INVALID_VALUE : r;
}

/* ---- binding ---- */

static CUresult bind(struct sg_reference *reference, const CUDA_RESOURCE_DESC *resource)
{
	reference->resource = *resource;
	reference->is_bound = true;
	return sg_reference_apply(reference);
}

static void take_format(struct sg_reference *reference, const struct sg_array *array)
{
	reference->format = array->format;
	reference->channels = array->channels;
}

CUresult cuTexRefSetArray(CUtexref texture, CUarray handle, unsigned flags)
{
	CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY};
	struct sg_reference *reference;
	CUresult r = texture_enter(texture, &reference);

	if (r != CUDA_SUCCESS)
		return r;
	const struct sg_array *array = sg_handle_get(handle, SG_ARRAY);
	if (!array)
		return CUDA_ERROR_INVALID_HANDLE;
	if (flags != CU_TRSA_OVERRIDE_FORMAT)
		return CUDA_ERROR_INVALID_VALUE;
	take_format(reference, array);
	resource.res.array.hArray = handle;
	return bind(reference, &resource);
}

CUresult cuTexRefSetMipmappedArray(CUtexref texture, CUmipmappedArray handle, unsigned flags)
{
	CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY};
	struct sg_reference *reference;
	CUresult r = texture_enter(texture, &reference);

	if (r != CUDA_SUCCESS)
		return r;
	const struct sg_mipmap *mipmap = sg_handle_get(handle, SG_MIPMAP);
	if (!mipmap)
		return CUDA_ERROR_INVALID_HANDLE;
	if (flags != CU_TRSA_OVERRIDE_FORMAT)
		return CUDA_ERROR_INVALID_VALUE;
	take_format(reference, &mipmap->levels[0]);
	resource.res.mipmap.hMipmappedArray = handle;
	return bind(reference, &resource);
}

/* Memory that does not begin at a texture's alignment is bound from the multiple before it; the
 * program adds the difference to its coordinates. */
CUresult cuTexRefSetAddress_v2(
    size_t *byte_offset, CUtexref texture, CUdeviceptr address, size_t bytes)
{
	CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_LINEAR};
	struct sg_reference *reference;
	size_t offset = address % SG_ARRAY_ALIGN;
	CUresult r = texture_enter(texture, &reference);

	if (r == CUDA_SUCCESS && offset && !byte_offset)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	resource.res.linear.devPtr = address - offset;
	resource.res.linear.format = reference->format;
	resource.res.linear.numChannels = reference->channels;
	if (__builtin_add_overflow(bytes, offset, &resource.res.linear.sizeInBytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (byte_offset)
		*byte_offset = offset;
	if (address)
		return bind(reference, &resource);
	reference->is_bound = false;
	return sg_reference_apply(reference);
}

static CUresult bind_pitched(CUtexref texture, const CUDA_ARRAY_DESCRIPTOR *descriptor,
    CUdeviceptr address, size_t pitch, CUdevice_attribute pitch_alignment)
{
	CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_PITCH2D};
	struct sg_reference *reference;
	CUresult r = texture_enter(texture, &reference);

	if (r == CUDA_SUCCESS &&
	    (!descriptor || pitch % (size_t)sg_device_attribute(pitch_alignment)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	reference->format = descriptor->Format;
	reference->channels = descriptor->NumChannels;
	resource.res.pitch2D.devPtr = address;
	resource.res.pitch2D.format = descriptor->Format;
	resource.res.pitch2D.numChannels = descriptor->NumChannels;
	resource.res.pitch2D.width = descriptor->Width;
	resource.res.pitch2D.height = descriptor->Height;
	resource.res.pitch2D.pitchInBytes = pitch;
	return bind(reference, &resource);
}

CUresult cuTexRefSetAddress2D_v2(
    CUtexref texture, const CUDA_ARRAY_DESCRIPTOR *descriptor, CUdeviceptr address, size_t pitch)
{
	return bind_pitched(
	    texture, descriptor, address, pitch, CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT);
}

CUresult cuTexRefSetAddress2D_v3(
    CUtexref texture, const CUDA_ARRAY_DESCRIPTOR *descriptor, CUdeviceptr address, size_t pitch)
{
	return bind_pitched(
	    texture, descriptor, address, pitch, CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT);
}

CUresult cuSurfRefSetArray(CUsurfref surface, CUarray array, unsigned flags)
{
	CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY};
	struct sg_reference *reference;
	CUresult r = surface_enter(surface, &reference);

	if (r == CUDA_SUCCESS && flags)
		r = CUDA_ERROR_INVALID_VALUE;
	resource.res.array.hArray = array;
	return r == CUDA_SUCCESS ? bind(reference, &resource) : r;
}

/* ---- how it is read ---- */

CUresult cuTexRefSetFormat(CUtexref texture, CUarray_format format, int channels)
{
	struct sg_reference *reference;
	struct sg_texels texels;
	CUresult r = texture_enter(texture, &reference);

	if (r == CUDA_SUCCESS && !sg_format_read(format, (unsigned)channels, &texels))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	reference->format = format;
	reference->channels = (unsigned)channels;
	if (reference->resource.resType != CU_RESOURCE_TYPE_LINEAR)
		return CUDA_SUCCESS;
	reference->resource.res.linear.format = format;
	reference->resource.res.linear.numChannels = (unsigned)channels;
	return sg_reference_apply(reference);
}

/* One field of the texture's description; condition says which values are right. */
#define SETTER(name, parameters, condition, assignment)                                            \
	CUresult name parameters                                                                   \
	{                                                                                          \
		struct sg_reference *reference;                                                    \
		CUresult r = texture_enter(texture, &reference);                                   \
                                                                                                   \
		if (r == CUDA_SUCCESS && !(condition))                                             \
			r = CUDA_ERROR_INVALID_VALUE;                                              \
		if (r != CUDA_SUCCESS)                                                             \
			return r;                                                                  \
		assignment;                                                                        \
		return sg_reference_apply(reference);                                              \
	}
#define HOW reference->how

SETTER(cuTexRefSetAddressMode, (CUtexref texture, int dim, CUaddress_mode mode),
    dim >= 0 && dim < 3 && (unsigned)mode <= CU_TR_ADDRESS_MODE_BORDER, HOW.addressMode[dim] = mode)
SETTER(cuTexRefSetFilterMode, (CUtexref texture, CUfilter_mode mode),
    (unsigned)mode <= CU_TR_FILTER_MODE_LINEAR, HOW.filterMode = mode)
SETTER(cuTexRefSetMipmapFilterMode, (CUtexref texture, CUfilter_mode mode),
    (unsigned)mode <= CU_TR_FILTER_MODE_LINEAR, HOW.mipmapFilterMode = mode)
SETTER(cuTexRefSetMipmapLevelBias, (CUtexref texture, float bias), true, HOW.mipmapLevelBias = bias)
SETTER(cuTexRefSetMipmapLevelClamp, (CUtexref texture, float clamp_min, float clamp_max), true,
    HOW.minMipmapLevelClamp = clamp_min;
    HOW.maxMipmapLevelClamp = clamp_max)
SETTER(cuTexRefSetMaxAnisotropy, (CUtexref texture, unsigned anisotropy), true,
    HOW.maxAnisotropy = anisotropy)
SETTER(cuTexRefSetBorderColor, (CUtexref texture, float *color), color,
    memcpy(HOW.borderColor, color, sizeof(HOW.borderColor)))
SETTER(cuTexRefSetFlags, (CUtexref texture, unsigned flags), !(flags & ~(unsigned)SG_TEXTURE_FLAGS),
    HOW.flags = flags)

/* ---- queries ---- */

#define GETTER(name, parameters, output, condition, answer)                                        \
	CUresult name parameters                                                                   \
	{                                                                                          \
		struct sg_reference *reference;                                                    \
		CUresult r = texture_query(texture, output, &reference);                           \
                                                                                                   \
		if (r == CUDA_SUCCESS && !(condition))                                             \
			r = CUDA_ERROR_INVALID_VALUE;                                              \
		if (r == CUDA_SUCCESS) {                                                           \
			answer;                                                                    \
		}                                                                                  \
		return r;                                                                          \
	}
#define IS_BOUND_TO(type) (reference->is_bound && reference->resource.resType == (type))

GETTER(cuTexRefGetArray, (CUarray * array, CUtexref texture), array,
    IS_BOUND_TO(CU_RESOURCE_TYPE_ARRAY), *array = reference->resource.res.array.hArray)
GETTER(cuTexRefGetMipmappedArray, (CUmipmappedArray * mipmap, CUtexref texture), mipmap,
    IS_BOUND_TO(CU_RESOURCE_TYPE_MIPMAPPED_ARRAY),
    *mipmap = reference->resource.res.mipmap.hMipmappedArray)
GETTER(cuTexRefGetAddressMode, (CUaddress_mode * mode, CUtexref texture, int dim), mode,
    dim >= 0 && dim < 3, *mode = HOW.addressMode[dim])
GETTER(cuTexRefGetFilterMode, (CUfilter_mode * mode, CUtexref texture), mode, true,
    *mode = HOW.filterMode)
GETTER(cuTexRefGetMipmapFilterMode, (CUfilter_mode * mode, CUtexref texture), mode, true,
    *mode = HOW.mipmapFilterMode)
GETTER(cuTexRefGetMipmapLevelBias, (float *bias, CUtexref texture), bias, true,
    *bias = HOW.mipmapLevelBias)
GETTER(cuTexRefGetMipmapLevelClamp, (float *clamp_min, float *clamp_max, CUtexref texture),
    clamp_min, clamp_max, *clamp_min = HOW.minMipmapLevelClamp;
    *clamp_max = HOW.maxMipmapLevelClamp)
GETTER(cuTexRefGetMaxAnisotropy, (int *anisotropy, CUtexref texture), anisotropy, true,
    *anisotropy = (int)HOW.maxAnisotropy)
GETTER(cuTexRefGetBorderColor, (float *color, CUtexref texture), color, true,
    memcpy(color, HOW.borderColor, sizeof(HOW.borderColor)))
GETTER(cuTexRefGetFlags, (unsigned *flags, CUtexref texture), flags, true, *flags = HOW.flags)

CUresult cuTexRefGetFormat(CUarray_format *format, int *channels, CUtexref texture)
{
	struct sg_reference *reference;
	CUresult r = texture_enter(texture, &reference);

	if (r == CUDA_SUCCESS && format)
		*format = reference->format;
	if (r == CUDA_SUCCESS && channels)
		*channels = (int)reference->channels;
	return r;
}

CUresult cuTexRefGetAddress_v2(CUdeviceptr *address, CUtexref texture)
{
	struct sg_reference *reference;
	CUresult r = texture_query(texture, address, &reference);

	if (r != CUDA_SUCCESS)
		return r;
	if (IS_BOUND_TO(CU_RESOURCE_TYPE_LINEAR))
		*address = reference->resource.res.linear.devPtr;
	else if (IS_BOUND_TO(CU_RESOURCE_TYPE_PITCH2D))
		*address = reference->resource.res.pitch2D.devPtr;
	else
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

CUresult cuSurfRefGetArray(CUarray *array, CUsurfref surface)
{
	struct sg_reference *reference;
	CUresult r = surface_enter(surface, &reference);

	if (r == CUDA_SUCCESS && (!array || !reference->is_bound))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*array = reference->resource.res.array.hArray;
	return r;
}
