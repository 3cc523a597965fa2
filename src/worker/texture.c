/*
 * Texture and surface objects, tensor maps. A resource description names arrays by handle; those
 * travel beside it as ids and are put in here. Whatever else the description holds is a device
 * address of the tenant's own.
 */
#include <string.h>

#include "gen/worker_custom.h"
#include "worker/worker.h"

/* The description with the backend's handles; other kinds are refused. */
static CUresult fill(CUDA_RESOURCE_DESC *out, const CUDA_RESOURCE_DESC *resource, CUarray array,
    CUmipmappedArray mipmap)
{
	*out = *resource;
	switch (resource->resType) {
	case CU_RESOURCE_TYPE_ARRAY:
		out->res.array.hArray = array;
		return array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
	case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
		out->res.mipmap.hMipmappedArray = mipmap;
		return mipmap ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
	case CU_RESOURCE_TYPE_LINEAR:
	case CU_RESOURCE_TYPE_PITCH2D:
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

/* The reverse: handles taken out of a description. */
static void take_out(CUDA_RESOURCE_DESC *resource, CUarray *array, CUmipmappedArray *mipmap)
{
	if (resource->resType == CU_RESOURCE_TYPE_ARRAY) {
		*array = resource->res.array.hArray;
		resource->res.array.hArray = NULL;
	}
	if (resource->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY) {
		*mipmap = resource->res.mipmap.hMipmappedArray;
		resource->res.mipmap.hMipmappedArray = NULL;
	}
}

CUresult worker_cuTexObjectCreate(struct call *call, struct args_cuTexObjectCreate *a)
{
	CUDA_RESOURCE_DESC resource;

	return fill(&resource, a->resource, a->array, a->mipmap)
		   ?: call->backend->cuTexObjectCreate(a->object, &resource, a->texture, a->view);
}

CUresult worker_cuTexObjectGetResourceDesc(
    struct call *call, struct args_cuTexObjectGetResourceDesc *a)
{
	CUresult r = call->backend->cuTexObjectGetResourceDesc(a->resource, a->object);

	*a->array = NULL;
	*a->mipmap = NULL;
	if (r == CUDA_SUCCESS)
		take_out(a->resource, a->array, a->mipmap);
	return r;
}

CUresult worker_cuSurfObjectCreate(struct call *call, struct args_cuSurfObjectCreate *a)
{
	CUDA_RESOURCE_DESC resource;

	return fill(&resource, a->resource, a->array, NULL)
		   ?: call->backend->cuSurfObjectCreate(a->object, &resource);
}

CUresult worker_cuSurfObjectGetResourceDesc(
    struct call *call, struct args_cuSurfObjectGetResourceDesc *a)
{
	CUmipmappedArray none = NULL;
	CUresult r = call->backend->cuSurfObjectGetResourceDesc(a->resource, a->object);

	*a->array = NULL;
	if (r == CUDA_SUCCESS)
		take_out(a->resource, a->array, &none);
	return r;
}

/* --- tensor maps: 128 opaque bytes at an alignment of 64 --- */

struct aligned_map {
	CUtensorMap map;
} __attribute__((aligned(64)));

static CUresult give_map(CUresult r, const struct aligned_map *map, void *out)
{
	if (r == CUDA_SUCCESS)
		memcpy(out, &map->map, sizeof(map->map));
	return r;
}

/* The rank says how many elements the arrays have to the backend, whatever the client sent. */
static bool rank_fits(uint32_t rank, uint32_t n_strides)
{
	return rank >= 1 && rank <= 5 && n_strides == rank - 1;
}

CUresult worker_cuTensorMapEncodeTiled(struct call *call, struct args_cuTensorMapEncodeTiled *a)
{
	struct aligned_map map = {0};

	if (!rank_fits(a->rank, a->n_strides))
		return CUDA_ERROR_INVALID_VALUE;
	return give_map(call->backend->cuTensorMapEncodeTiled(&map.map, a->type, a->rank,
			    a->address, a->dimensions, a->strides, a->box, a->element_strides,
			    a->interleave, a->swizzle, a->promotion, a->fill),
	    &map, a->map);
}

CUresult worker_cuTensorMapEncodeIm2col(struct call *call, struct args_cuTensorMapEncodeIm2col *a)
{
	struct aligned_map map = {0};

	if (!rank_fits(a->rank, a->n_strides) || a->rank < 3 || a->n_corners != a->rank - 2)
		return CUDA_ERROR_INVALID_VALUE;
	return give_map(call->backend->cuTensorMapEncodeIm2col(&map.map, a->type, a->rank,
			    a->address, a->dimensions, a->strides, a->lower_corner, a->upper_corner,
			    a->channels_per_pixel, a->pixels_per_column, a->element_strides,
			    a->interleave, a->swizzle, a->promotion, a->fill),
	    &map, a->map);
}

CUresult worker_cuTensorMapEncodeIm2colWide(
    struct call *call, struct args_cuTensorMapEncodeIm2colWide *a)
{
	struct aligned_map map = {0};

	if (!rank_fits(a->rank, a->n_strides) || a->rank < 3)
		return CUDA_ERROR_INVALID_VALUE;
	return give_map(
	    call->backend->cuTensorMapEncodeIm2colWide(&map.map, a->type, a->rank, a->address,
		a->dimensions, a->strides, a->lower_corner_width, a->upper_corner_width,
		a->channels_per_pixel, a->pixels_per_column, a->element_strides, a->interleave,
		a->mode, a->swizzle, a->promotion, a->fill),
	    &map, a->map);
}

CUresult worker_cuTensorMapReplaceAddress(
    struct call *call, struct args_cuTensorMapReplaceAddress *a)
{
	struct aligned_map map;

	memcpy(&map.map, a->map, sizeof(map.map));
	return give_map(
	    call->backend->cuTensorMapReplaceAddress(&map.map, a->address), &map, a->map);
}
