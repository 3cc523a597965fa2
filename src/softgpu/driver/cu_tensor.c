/*
 * Tensor maps: what a program says of a tensor becomes the 128 bytes that the machine's copies read
 * (softgpu/exec/tensor.h). The rules are those of the driver's documentation; interleaved layouts
 * and loads along the width only (im2col::w) are refused.
 */
#include "softgpu/driver/driver.h"

#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "softgpu/driver/context.h"
#include "softgpu/driver/device.h"
#include "softgpu/exec/tensor.h"

#define ADDRESS_ALIGN 16u
#define STRIDE_ALIGN  16u
#define STRIDE_LIMIT  (UINT64_C(1) << 40)
#define SIZE_LIMIT    (UINT64_C(1) << 32)
#define STEP_MOST     8u
#define PADDED_UNITS  128u /* elements a row of the padded types has a multiple of */

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

static CUresult set_dimensions(const struct tensor *tensor, struct sg_tensor_map *map)
{
	struct sg_tensor_unit unit = sg_tensor_unit((enum sg_tensor_type)map->type);
	uint64_t inner = tensor->dimensions[0];

	for (uint32_t i = 0; i < tensor->rank; i++) {
		if (!tensor->dimensions[i] || tensor->dimensions[i] > SIZE_LIMIT ||
		    !tensor->steps[i] || tensor->steps[i] > STEP_MOST)
			return CUDA_ERROR_INVALID_VALUE;
		map->last[i] = (uint32_t)(tensor->dimensions[i] - 1);
		map->steps[i] = i ? (uint8_t)tensor->steps[i] : 1;
	}
	if (inner % (has_padded_type(tensor) ? PADDED_UNITS : unit.elements > 1 ? 2 : 1))
		return CUDA_ERROR_INVALID_VALUE;
	for (uint32_t i = 0; i + 1 < tensor->rank; i++) {
		if (tensor->strides[i] % STRIDE_ALIGN || tensor->strides[i] >= STRIDE_LIMIT)
			return CUDA_ERROR_INVALID_VALUE;
		map->strides[i] = tensor->strides[i];
	}
	return CUDA_SUCCESS;
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
	    tensor->address % ADDRESS_ALIGN || !tensor->dimensions ||
	    (tensor->rank > 1 && !tensor->strides) || !tensor->steps ||
	    (unsigned)tensor->type >= SG_TENSOR_TYPES ||
	    (unsigned)tensor->swizzle >= ARRAY_SIZE(swizzles) ||
	    (unsigned)tensor->interleave > CU_TENSOR_MAP_INTERLEAVE_32B ||
	    (unsigned)tensor->promotion > CU_TENSOR_MAP_L2_PROMOTION_L2_256B ||
	    (unsigned)tensor->fill > CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA)
		return CUDA_ERROR_INVALID_VALUE;
	if (tensor->interleave)
		return refuse("interleaved layouts");
	if (swizzles[tensor->swizzle].atom == SG_ATOM_32_FLIP)
		return refuse("swizzling that flips 8 bytes");
	*map = (struct sg_tensor_map){
	    .magic = SG_TENSOR_MAGIC,
	    .type = machine_types[tensor->type],
	    .rank = (uint8_t)tensor->rank,
	    .swizzle = swizzles[tensor->swizzle].swizzle,
	    .atom = swizzles[tensor->swizzle].atom,
	    .address = tensor->address,
	    .fill_nan = tensor->fill == CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA,
	};
	return set_dimensions(tensor, map);
}

/* A row of the box in shared memory: whole pieces of 16 bytes, inside the span that is swizzled. */
static CUresult check_row(const struct sg_tensor_map *map, uint32_t elements)
{
	struct sg_tensor_unit unit = sg_tensor_unit((enum sg_tensor_type)map->type);
	uint32_t bytes = elements / unit.elements * unit.shared_bytes;

	if (!elements || elements > SG_TENSOR_BOX || elements % unit.elements || bytes % 16)
		return CUDA_ERROR_INVALID_VALUE;
	if (map->swizzle && bytes > 16u << map->swizzle)
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

	if (r == CUDA_SUCCESS &&
	    (!out || !lower || !upper || rank < 3 || !pixels || pixels > SG_TENSOR_PIXELS))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = check_row(&map, channels);
	for (uint32_t i = 0; r == CUDA_SUCCESS && i < rank - 2; i++) {
		if (lower[i] < -limits[rank] || lower[i] >= limits[rank] ||
		    upper[i] < -limits[rank] || upper[i] >= limits[rank])
			r = CUDA_ERROR_INVALID_VALUE;
		map.lower[i] = (int16_t)lower[i];
		map.upper[i] = (int16_t)upper[i];
	}
	if (r != CUDA_SUCCESS)
		return r;
	map.is_im2col = 1;
	map.channels = (uint16_t)(channels - 1);
	map.pixels = (uint16_t)(pixels - 1);
	memcpy(out, &map, sizeof(map));
	return CUDA_SUCCESS;
}

CUresult cuTensorMapReplaceAddress(CUtensorMap *out, CUdeviceptr address)
{
	struct sg_tensor_map map;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!out || !address || address % ADDRESS_ALIGN))
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
