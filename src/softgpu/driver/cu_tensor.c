/*
 * Tensor maps: what a program says of a tensor becomes the 128 bytes that the machine's copies read
 * (softgpu/exec/tensor.h). The rules are those of the driver's documentation.
 */
#include "softgpu/driver/driver.h"

#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "softgpu/driver/context.h"
#include "softgpu/driver/device.h"
#include "softgpu/exec/tensor.h"

#define ALIGN	     16u /* of addresses and strides */
#define STRIDE_LIMIT (UINT64_C(1) << 40)
#define SIZE_LIMIT   (UINT64_C(1) << 32)
#define STEP_MOST    8u
#define PADDED_UNITS 128u /* elements a row of the padded types has a multiple of */

/* What all kinds of maps have. */
struct tensor {
	CUtensorMapDataType type;
	uint32_t rank;
	CUdeviceptr address;
	const uint64_t *dimensions, *strides;
	const uint32_t *steps;
	CUtensorMapInterleave interleave;
	CUtensorMapSwizzle swizzle;
	CUtensorMapL2promotion promotion;
	CUtensorMapFloatOOBfill fill;
};

static const uint8_t machine_types[SG_TENSOR_TYPES] = {
    [CU_TENSOR_MAP_DATA_TYPE_UINT8] = SG_TENSOR_U8,
    [CU_TENSOR_MAP_DATA_TYPE_UINT16] = SG_TENSOR_U16,
    [CU_TENSOR_MAP_DATA_TYPE_UINT32] = SG_TENSOR_U32,
    [CU_TENSOR_MAP_DATA_TYPE_INT32] = SG_TENSOR_S32,
    [CU_TENSOR_MAP_DATA_TYPE_UINT64] = SG_TENSOR_U64,
    [CU_TENSOR_MAP_DATA_TYPE_INT64] = SG_TENSOR_S64,
    [CU_TENSOR_MAP_DATA_TYPE_FLOAT16] = SG_TENSOR_F16,
    [CU_TENSOR_MAP_DATA_TYPE_FLOAT32] = SG_TENSOR_F32,
    [CU_TENSOR_MAP_DATA_TYPE_FLOAT64] = SG_TENSOR_F64,
    [CU_TENSOR_MAP_DATA_TYPE_BFLOAT16] = SG_TENSOR_BF16,
    [CU_TENSOR_MAP_DATA_TYPE_FLOAT32_FTZ] = SG_TENSOR_F32_FTZ,
    [CU_TENSOR_MAP_DATA_TYPE_TFLOAT32] = SG_TENSOR_TF32,
    [CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ] = SG_TENSOR_TF32_FTZ,
    [CU_TENSOR_MAP_DATA_TYPE_16U4_ALIGN8B] = SG_TENSOR_U4X16,
    [CU_TENSOR_MAP_DATA_TYPE_16U4_ALIGN16B] = SG_TENSOR_U4X16_PADDED,
    [CU_TENSOR_MAP_DATA_TYPE_16U6_ALIGN16B] = SG_TENSOR_U6X16_PADDED,
};

static const struct {
	uint8_t swizzle, atom;
} swizzles[] = {
    [CU_TENSOR_MAP_SWIZZLE_NONE] = {SG_SWIZZLE_NONE, SG_ATOM_16},
    [CU_TENSOR_MAP_SWIZZLE_32B] = {SG_SWIZZLE_32, SG_ATOM_16},
    [CU_TENSOR_MAP_SWIZZLE_64B] = {SG_SWIZZLE_64, SG_ATOM_16},
    [CU_TENSOR_MAP_SWIZZLE_128B] = {SG_SWIZZLE_128, SG_ATOM_16},
    [CU_TENSOR_MAP_SWIZZLE_128B_ATOM_32B] = {SG_SWIZZLE_128, SG_ATOM_32},
    [CU_TENSOR_MAP_SWIZZLE_128B_ATOM_32B_FLIP_8B] = {SG_SWIZZLE_128, SG_ATOM_32_FLIP},
    [CU_TENSOR_MAP_SWIZZLE_128B_ATOM_64B] = {SG_SWIZZLE_128, SG_ATOM_64},
};

static CUresult refuse(const char *what)
{
	log_warn_once("tensor maps: the software GPU does not support %s", what);
	return CUDA_ERROR_NOT_SUPPORTED;
}

static bool has_padded_type(const struct tensor *tensor)
{
	return tensor->type == CU_TENSOR_MAP_DATA_TYPE_16U4_ALIGN16B ||
	       tensor->type == CU_TENSOR_MAP_DATA_TYPE_16U6_ALIGN16B;
}

/* Of the address and the strides. */
static uint64_t alignment_of(const struct tensor *tensor)
{
	return tensor->interleave == CU_TENSOR_MAP_INTERLEAVE_32B ? 2 * ALIGN : ALIGN;
}

/* What the slices of interleaved layouts take. */
static bool is_interleave(const struct tensor *tensor)
{
	switch (tensor->interleave) {
	case CU_TENSOR_MAP_INTERLEAVE_NONE:
		return true;
	case CU_TENSOR_MAP_INTERLEAVE_16B:
	case CU_TENSOR_MAP_INTERLEAVE_32B:
		return tensor->rank >= 3 && !has_padded_type(tensor);
	default:
		return false;
	}
}

static CUresult set_dimensions(const struct tensor *tensor, struct sg_tensor_map *map)
{
	struct sg_tensor_unit unit = sg_tensor_unit((enum sg_tensor_type)map->type);
	uint64_t inner = tensor->dimensions[0], align = alignment_of(tensor);

	for (uint32_t i = 0; i < tensor->rank; i++) {
		if (!tensor->dimensions[i] || tensor->dimensions[i] > SIZE_LIMIT ||
		    !tensor->steps[i] || tensor->steps[i] > STEP_MOST)
			return CUDA_ERROR_INVALID_VALUE;
		map->last[i] = (uint32_t)(tensor->dimensions[i] - 1);
		map->steps[i] = i || tensor->interleave ? (uint8_t)tensor->steps[i] : 1;
	}
	if (inner % (has_padded_type(tensor) ? PADDED_UNITS : unit.elements > 1 ? 2 : 1))
		return CUDA_ERROR_INVALID_VALUE;
	for (uint32_t i = 0; i + 1 < tensor->rank; i++) {
		if (tensor->strides[i] % align || tensor->strides[i] >= STRIDE_LIMIT)
			return CUDA_ERROR_INVALID_VALUE;
		map->strides[i] = tensor->strides[i];
	}
	return CUDA_SUCCESS;
}

/* Pieces of more than 16 bytes are of compute capability 10.0. */
static bool is_swizzle(const struct tensor *tensor)
{
	if ((unsigned)tensor->swizzle >= ARRAY_SIZE(swizzles))
		return false;
	return swizzles[tensor->swizzle].atom == SG_ATOM_16 ||
	       sg_device_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) >= 10;
}

/* Everything but the box. */
static CUresult tensor_encode(const struct tensor *tensor, struct sg_tensor_map *map)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	if (!sg_device_attribute(CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED))
		return refuse("a device before compute capability 9.0");
	if (!tensor->rank || tensor->rank > SG_TENSOR_DIMS || !tensor->address ||
	    tensor->address % alignment_of(tensor) || !tensor->dimensions ||
	    (tensor->rank > 1 && !tensor->strides) || !tensor->steps ||
	    (unsigned)tensor->type >= SG_TENSOR_TYPES || !is_swizzle(tensor) ||
	    !is_interleave(tensor) ||
	    (unsigned)tensor->promotion > CU_TENSOR_MAP_L2_PROMOTION_L2_256B ||
	    (unsigned)tensor->fill > CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA)
		return CUDA_ERROR_INVALID_VALUE;
	*map = (struct sg_tensor_map){
	    .magic = SG_TENSOR_MAGIC,
	    .type = machine_types[tensor->type],
	    .rank = (uint8_t)tensor->rank,
	    .swizzle = swizzles[tensor->swizzle].swizzle,
	    .atom = swizzles[tensor->swizzle].atom,
	    .address = tensor->address,
	    .interleave = (uint8_t)tensor->interleave, /* the numbers are the same */
	    .fill_nan = tensor->fill == CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA,
	};
	return set_dimensions(tensor, map);
}

/* A row of the box in shared memory: whole pieces of 16 bytes, inside the span that is swizzled.
 * Rows of slices are measured in elements all the same, but have no span. */
static CUresult check_row(const struct sg_tensor_map *map, uint32_t elements)
{
	struct sg_tensor_unit unit = sg_tensor_unit((enum sg_tensor_type)map->type);
	uint32_t bytes = elements / unit.elements * unit.shared_bytes;

	if (!elements || elements > SG_TENSOR_BOX)
		return CUDA_ERROR_INVALID_VALUE;
	if (elements % unit.elements || bytes % 16)
		return CUDA_ERROR_INVALID_VALUE;
	if (map->swizzle && !map->interleave && bytes > 16u << map->swizzle)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

CUresult cuTensorMapEncodeTiled(CUtensorMap *out, CUtensorMapDataType type, uint32_t rank,
    CUdeviceptr address, const uint64_t *dimensions, const uint64_t *strides, const uint32_t *box,
    const uint32_t *steps, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
    CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
	const struct tensor tensor = {
	    type, rank, address, dimensions, strides, steps, interleave, swizzle, promotion, fill};
	struct sg_tensor_map map;
	CUresult r = tensor_encode(&tensor, &map);

	if (r == CUDA_SUCCESS && (!out || !box))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = check_row(&map, box[0]);
	for (uint32_t i = 0; r == CUDA_SUCCESS && i < rank; i++) {
		if (!box[i] || box[i] > SG_TENSOR_BOX)
			r = CUDA_ERROR_INVALID_VALUE;
		map.box[i] = (uint16_t)(box[i] - 1);
	}
	if (r == CUDA_SUCCESS)
		memcpy(out, &map, sizeof(map));
	return r;
}

/* Channels and pixels, and the corners of the n dimensions that have some. */
struct corners {
	const int *lower, *upper;
	uint32_t n;
	int limit;
	uint32_t channels, pixels;
	enum sg_tensor_layout layout;
};

static CUresult encode_pixels(
    const struct corners *corners, uint32_t rank, struct sg_tensor_map *map)
{
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	if (rank < 3 || !corners->lower || !corners->upper || !corners->pixels ||
	    corners->pixels > SG_TENSOR_PIXELS)
		return r;
	r = check_row(map, corners->channels);
	for (uint32_t i = 0; r == CUDA_SUCCESS && i < corners->n; i++) {
		int limit = corners->limit;

		if (corners->lower[i] < -limit || corners->lower[i] >= limit ||
		    corners->upper[i] < -limit || corners->upper[i] >= limit)
			r = CUDA_ERROR_INVALID_VALUE;
		map->lower[i] = (int16_t)corners->lower[i];
		map->upper[i] = (int16_t)corners->upper[i];
	}
	map->layout = (uint8_t)corners->layout;
	map->channels = (uint16_t)(corners->channels - 1);
	map->pixels = (uint16_t)(corners->pixels - 1);
	return r;
}

CUresult cuTensorMapEncodeIm2col(CUtensorMap *out, CUtensorMapDataType type, uint32_t rank,
    CUdeviceptr address, const uint64_t *dimensions, const uint64_t *strides, const int *lower,
    const int *upper, uint32_t channels, uint32_t pixels, const uint32_t *steps,
    CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
    CUtensorMapFloatOOBfill fill)
{
	const struct tensor tensor = {
	    type, rank, address, dimensions, strides, steps, interleave, swizzle, promotion, fill};
	/* The corners share 32 bits: the more of them, the fewer each has. */
	static const int limits[] = {[3] = 1 << 15, [4] = 1 << 7, [5] = 1 << 4};
	struct sg_tensor_map map;
	CUresult r = tensor_encode(&tensor, &map);
	struct corners corners = {
	    .lower = lower,
	    .upper = upper,
	    .channels = channels,
	    .pixels = pixels,
	    .layout = SG_LAYOUT_IM2COL,
	};

	if (r != CUDA_SUCCESS)
		return r;
	if (rank >= 3) {
		corners.n = rank - 2;
		corners.limit = limits[rank];
	}
	r = out ? encode_pixels(&corners, rank, &map) : CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		memcpy(out, &map, sizeof(map));
	return r;
}

/* Which swizzles copies of wide layouts know. */
static bool is_wide_swizzle(CUtensorMapSwizzle swizzle)
{
	return swizzle == CU_TENSOR_MAP_SWIZZLE_64B || swizzle == CU_TENSOR_MAP_SWIZZLE_128B ||
	       swizzle == CU_TENSOR_MAP_SWIZZLE_128B_ATOM_32B;
}

CUresult cuTensorMapEncodeIm2colWide(CUtensorMap *out, CUtensorMapDataType type, uint32_t rank,
    CUdeviceptr address, const uint64_t *dimensions, const uint64_t *strides, int lower, int upper,
    uint32_t channels, uint32_t pixels, const uint32_t *steps, CUtensorMapInterleave interleave,
    CUtensorMapIm2ColWideMode mode, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
    CUtensorMapFloatOOBfill fill)
{
	const struct tensor tensor = {
	    type, rank, address, dimensions, strides, steps, interleave, swizzle, promotion, fill};
	bool is_fixed = mode == CU_TENSOR_MAP_IM2COL_WIDE_MODE_W128; /* pixels are ignored */
	const struct corners corners = {
	    .lower = &lower,
	    .upper = &upper,
	    .n = 1,
	    .limit = 1 << 15,
	    .channels = channels,
	    .pixels = is_fixed ? 1 : pixels,
	    .layout = SG_LAYOUT_WIDE,
	};
	struct sg_tensor_map map;
	CUresult r = tensor_encode(&tensor, &map);

	if (r != CUDA_SUCCESS)
		return r;
	r = CUDA_ERROR_INVALID_VALUE;
	if (out && !interleave && is_wide_swizzle(swizzle) &&
	    (unsigned)mode <= CU_TENSOR_MAP_IM2COL_WIDE_MODE_W128)
		r = encode_pixels(&corners, rank, &map);
	if (r == CUDA_SUCCESS)
		memcpy(out, &map, sizeof(map));
	return r;
}

CUresult cuTensorMapReplaceAddress(CUtensorMap *out, CUdeviceptr address)
{
	struct sg_tensor_map map;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!out || !address || address % ALIGN))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	memcpy(&map, out, sizeof(map));
	if (map.magic != SG_TENSOR_MAGIC)
		return CUDA_ERROR_INVALID_VALUE;
	map.address = address;
	memcpy(out, &map, sizeof(map));
	return CUDA_SUCCESS;
}
