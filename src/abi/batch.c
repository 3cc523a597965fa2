/* See batch.h. What an operation may say is decided in one place, for every library that copies. */
#include "abi/batch.h"

#include "base/util.h"

static bool order_is_valid(CUmemcpySrcAccessOrder order)
{
	return order >= CU_MEMCPY_SRC_ACCESS_ORDER_STREAM &&
	       order <= CU_MEMCPY_SRC_ACCESS_ORDER_ANY;
}

static bool stream_is_valid(CUstream stream)
{
	return stream && stream != CU_STREAM_LEGACY;
}

bool batch_is_valid(const CUdeviceptr *destinations, const CUdeviceptr *sources,
    const size_t *sizes, size_t n, const CUmemcpyAttributes *attributes,
    const size_t *attribute_indices, size_t n_attributes, CUstream stream)
{
	if (!n || !destinations || !sources || !sizes || !stream_is_valid(stream) ||
	    !n_attributes || !attributes || !attribute_indices || n_attributes > n ||
	    attribute_indices[0])
		return false;
	for (size_t i = 0; i < n_attributes; i++)
		if (!order_is_valid(attributes[i].srcAccessOrder) || attribute_indices[i] >= n ||
		    (i && attribute_indices[i] <= attribute_indices[i - 1]))
			return false;
	return true;
}

const CUmemcpyAttributes *batch_attributes_of(size_t i, const CUmemcpyAttributes *attributes,
    const size_t *attribute_indices, size_t n_attributes)
{
	size_t low = 0, high = n_attributes;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (attribute_indices[middle] <= i)
			low = middle;
		else
			high = middle;
	}
	return &attributes[low];
}

bool batch_boxes_are_valid(
    const CUDA_MEMCPY3D_BATCH_OP *operations, size_t n, unsigned long long flags, CUstream stream)
{
	return operations && n && !flags && stream_is_valid(stream);
}

size_t batch_element_size(CUarray_format format, unsigned channels)
{
	switch ((int)format) {
	case CU_AD_FORMAT_UNSIGNED_INT8:
	case CU_AD_FORMAT_SIGNED_INT8:
		return channels;
	case CU_AD_FORMAT_UNSIGNED_INT16:
	case CU_AD_FORMAT_SIGNED_INT16:
	case CU_AD_FORMAT_HALF:
		return 2 * (size_t)channels;
	case CU_AD_FORMAT_UNSIGNED_INT32:
	case CU_AD_FORMAT_SIGNED_INT32:
	case CU_AD_FORMAT_FLOAT:
		return 4 * (size_t)channels;
	default:
		return 0;
	}
}

/* One side, in bytes. */
struct side {
	CUmemorytype type;
	CUdeviceptr address;
	CUarray array;
	size_t x, y, z, pitch, rows;
};

static bool resolve(
    const CUmemcpy3DOperand *operand, const CUextent3D *extent, size_t element, struct side *side)
{
	*side = (struct side){0};
	if (operand->type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {
		side->type = CU_MEMORYTYPE_ARRAY;
		side->array = operand->op.array.array;
		side->y = operand->op.array.offset.y;
		side->z = operand->op.array.offset.z;
		return side->array &&
		       !__builtin_mul_overflow(operand->op.array.offset.x, element, &side->x);
	}
	if (operand->type != CU_MEMCPY_OPERAND_TYPE_POINTER)
		return false;
	size_t row = operand->op.ptr.rowLength ?: extent->width;
	side->type = CU_MEMORYTYPE_UNIFIED;
	side->address = operand->op.ptr.ptr;
	side->rows = operand->op.ptr.layerHeight ?: extent->height;
	return side->address && row >= extent->width && side->rows >= extent->height &&
	       !__builtin_mul_overflow(row, element, &side->pitch);
}

bool batch_box(const CUDA_MEMCPY3D_BATCH_OP *operation, size_t element, CUDA_MEMCPY3D *out)
{
	const CUextent3D *extent = &operation->extent;
	struct side from, to;
	size_t width;

	if (!order_is_valid(operation->srcAccessOrder) || !extent->width || !extent->height ||
	    !extent->depth || __builtin_mul_overflow(extent->width, element, &width) ||
	    !resolve(&operation->src, extent, element, &from) ||
	    !resolve(&operation->dst, extent, element, &to))
		return false;
	*out = (CUDA_MEMCPY3D){
	    .srcMemoryType = from.type,
	    .srcDevice = from.address,
	    .srcArray = from.array,
	    .srcXInBytes = from.x,
	    .srcY = from.y,
	    .srcZ = from.z,
	    .srcPitch = from.pitch,
	    .srcHeight = from.rows,
	    .dstMemoryType = to.type,
	    .dstDevice = to.address,
	    .dstArray = to.array,
	    .dstXInBytes = to.x,
	    .dstY = to.y,
	    .dstZ = to.z,
	    .dstPitch = to.pitch,
	    .dstHeight = to.rows,
	    .WidthInBytes = width,
	    .Height = extent->height,
	    .Depth = extent->depth,
	};
	return true;
}
