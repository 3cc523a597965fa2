/*
 * Texture and surface objects, whose descriptions name an array that travels beside them, and
 * tensor maps, whose arrays have lengths that follow from the rank.
 */
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"

static CUarray array_of(const CUDA_RESOURCE_DESC *resource)
{
	return resource->resType == CU_RESOURCE_TYPE_ARRAY ? resource->res.array.hArray : NULL;
}

static CUmipmappedArray mipmap_of(const CUDA_RESOURCE_DESC *resource)
{
	return resource->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY
		   ? resource->res.mipmap.hMipmappedArray
		   : NULL;
}

static void put_handles(CUDA_RESOURCE_DESC *resource, CUarray array, CUmipmappedArray mipmap)
{
	if (resource->resType == CU_RESOURCE_TYPE_ARRAY)
		resource->res.array.hArray = array;
	else if (resource->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY)
		resource->res.mipmap.hMipmappedArray = mipmap;
}

CUresult shim_cuTexObjectCreate(CUtexObject *object, const CUDA_RESOURCE_DESC *resource,
    const CUDA_TEXTURE_DESC *texture, const CUDA_RESOURCE_VIEW_DESC *view)
{
	if ((resource->resType == CU_RESOURCE_TYPE_ARRAY && !array_of(resource)) ||
	    (resource->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY && !mipmap_of(resource)))
		return CUDA_ERROR_INVALID_VALUE;
	return remote_cuTexObjectCreate(
	    object, resource, array_of(resource), mipmap_of(resource), texture, view);
}

CUresult shim_cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUtexObject object)
{
	CUarray array;
	CUmipmappedArray mipmap;

	CUresult r = remote_cuTexObjectGetResourceDesc(resource, &array, &mipmap, object);
	if (r == CUDA_SUCCESS)
		put_handles(resource, array, mipmap);
	return r;
}

CUresult shim_cuTexRefGetFormat(CUarray_format *format, int *channels, CUtexref texture)
{
	CUarray_format any;
	int some;

	return remote_cuTexRefGetFormat(format ?: &any, channels ?: &some, texture);
}

CUresult shim_cuSurfObjectCreate(CUsurfObject *object, const CUDA_RESOURCE_DESC *resource)
{
	return remote_cuSurfObjectCreate(object, resource, array_of(resource));
}

CUresult shim_cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUsurfObject object)
{
	CUarray array;

	CUresult r = remote_cuSurfObjectGetResourceDesc(resource, &array, object);
	if (r == CUDA_SUCCESS)
		put_handles(resource, array, NULL);
	return r;
}

CUresult shim_cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, uint32_t rank,
    CUdeviceptr address, const uint64_t *dimensions, const uint64_t *strides, const uint32_t *box,
    const uint32_t *element_strides, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
    CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
	if (rank < 1 || rank > 5 || (rank > 1 && !strides))
		return CUDA_ERROR_INVALID_VALUE;
	return remote_cuTensorMapEncodeTiled(map, type, rank, rank - 1, address, dimensions,
	    strides, box, element_strides, interleave, swizzle, promotion, fill);
}

CUresult shim_cuTensorMapEncodeIm2col(CUtensorMap *map, CUtensorMapDataType type, uint32_t rank,
    CUdeviceptr address, const uint64_t *dimensions, const uint64_t *strides,
    const int *lower_corner, const int *upper_corner, uint32_t channels_per_pixel,
    uint32_t pixels_per_column, const uint32_t *element_strides, CUtensorMapInterleave interleave,
    CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
	if (rank < 3 || rank > 5)
		return CUDA_ERROR_INVALID_VALUE;
	return remote_cuTensorMapEncodeIm2col(map, type, rank, rank - 1, rank - 2, address,
	    dimensions, strides, lower_corner, upper_corner, channels_per_pixel, pixels_per_column,
	    element_strides, interleave, swizzle, promotion, fill);
}

CUresult shim_cuTensorMapEncodeIm2colWide(CUtensorMap *map, CUtensorMapDataType type, uint32_t rank,
    CUdeviceptr address, const uint64_t *dimensions, const uint64_t *strides,
    int lower_corner_width, int upper_corner_width, uint32_t channels_per_pixel,
    uint32_t pixels_per_column, const uint32_t *element_strides, CUtensorMapInterleave interleave,
    CUtensorMapIm2ColWideMode mode, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
    CUtensorMapFloatOOBfill fill)
{
	if (rank < 3 || rank > 5)
		return CUDA_ERROR_INVALID_VALUE;
	return remote_cuTensorMapEncodeIm2colWide(map, type, rank, rank - 1, address, dimensions,
	    strides, lower_corner_width, upper_corner_width, channels_per_pixel, pixels_per_column,
	    element_strides, interleave, mode, swizzle, promotion, fill);
}

CUresult shim_cuTensorMapReplaceAddress(CUtensorMap *map, CUdeviceptr address)
{
	return remote_cuTensorMapReplaceAddress(map, address);
}
