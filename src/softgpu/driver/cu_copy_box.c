/*
 * Copies of rectangles and boxes, where each side is host, device, unified or an array, and the
 * older calls that copy runs of bytes between arrays and memory.
 */
#include "abi/batch.h"
#include "base/util.h"
#include "softgpu/driver/array.h"
#include "softgpu/driver/copy.h"
#include "softgpu/driver/driver.h"
#include "softgpu/driver/stream.h"

/* One side of the descriptors, which differ only in the fields' names. */
struct box_side {
	CUmemorytype type;
	const void *host;
	CUdeviceptr device;
	CUarray array;
	size_t x, y, z, pitch, height;
};

static CUresult side_of_array(const struct box_side *in, struct sg_box box, struct sg_side *out)
{
	const struct sg_array *array = sg_handle_get(in->array, SG_ARRAY);

	if (!array)
		return CUDA_ERROR_INVALID_HANDLE;
	size_t rows = array->rows, layers = MAX(array->depth, (size_t)1);
	if (array->planes || in->x > array->pitch || box.width > array->pitch - in->x ||
	    in->y > rows || box.rows > rows - in->y || in->z > layers ||
	    box.layers > layers - in->z)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (struct sg_side){
	    .kind = SG_SIDE_DEVICE,
	    .address = array->address + in->z * array->slice + in->y * array->pitch + in->x,
	    .pitch = array->pitch,
	    .height = rows,
	};
	return CUDA_SUCCESS;
}

static CUresult side_resolve(const struct box_side *in, struct sg_box box, struct sg_side *out)
{
	uint64_t address = in->device;
	enum sg_side_kind kind = SG_SIDE_DEVICE;
	/* A single row needs no pitch, a single layer no height. */
	size_t pitch = in->pitch ?: in->x + box.width;
	size_t height = in->height ?: in->y + box.rows;

	if (in->type == CU_MEMORYTYPE_ARRAY)
		return side_of_array(in, box, out);
	if (in->type == CU_MEMORYTYPE_HOST) {
		address = (uint64_t)in->host;
		kind = SG_SIDE_HOST;
	} else if (in->type == CU_MEMORYTYPE_UNIFIED) {
		kind = SG_SIDE_UNIFIED;
	} else if (in->type != CU_MEMORYTYPE_DEVICE) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (!address || pitch < in->x || pitch - in->x < box.width)
		return CUDA_ERROR_INVALID_VALUE;
	if (box.layers > 1 && (height < in->y || height - in->y < box.rows))
		return CUDA_ERROR_INVALID_VALUE;
	size_t rows, offset;
	if (__builtin_mul_overflow(in->z, height, &rows) ||
	    __builtin_add_overflow(rows, in->y, &rows) ||
	    __builtin_mul_overflow(rows, pitch, &offset) ||
	    __builtin_add_overflow(offset, in->x, &offset))
		return CUDA_ERROR_INVALID_VALUE;
	*out = (struct sg_side){
	    .kind = kind, .address = address + offset, .pitch = pitch, .height = height};
	return CUDA_SUCCESS;
}

static CUresult copy_box(CUstream stream, const struct box_side *to, const struct box_side *from,
    struct sg_box box, bool is_async)
{
	struct sg_side destination, source;
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS || !box.width || !box.rows || !box.layers)
		return r;
	r = side_resolve(to, box, &destination);
	if (r == CUDA_SUCCESS)
		r = side_resolve(from, box, &source);
	return r == CUDA_SUCCESS ? sg_copy(stream, &destination, &source, box, is_async) : r;
}

/* A side by the beginning of its fields' names, as far as both descriptors have them. */
#define SIDE(copy, side)                                                                           \
	.type = (copy)->side##MemoryType, .host = (copy)->side##Host,                              \
	.device = (copy)->side##Device, .array = (copy)->side##Array, .x = (copy)->side##XInBytes, \
	.y = (copy)->side##Y, .pitch = (copy)->side##Pitch

static CUresult copy_2d(CUstream stream, const CUDA_MEMCPY2D *copy, bool is_async)
{
	if (!copy)
		return CUDA_ERROR_INVALID_VALUE;
	const struct box_side to = {SIDE(copy, dst)}, from = {SIDE(copy, src)};
	const struct sg_box box = {copy->WidthInBytes, copy->Height, 1};

	return copy_box(stream, &to, &from, box, is_async);
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy)
{
	return copy_2d(NULL, copy, false);
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *copy)
{
	return copy_2d(NULL, copy, false);
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream)
{
	return copy_2d(stream, copy, true);
}

static CUresult copy_3d(CUstream stream, const CUDA_MEMCPY3D *copy, bool is_async)
{
	if (!copy || copy->srcLOD || copy->dstLOD)
		return CUDA_ERROR_INVALID_VALUE;
	const struct box_side to = {SIDE(copy, dst), .z = copy->dstZ, .height = copy->dstHeight};
	const struct box_side from = {SIDE(copy, src), .z = copy->srcZ, .height = copy->srcHeight};
	const struct sg_box box = {copy->WidthInBytes, copy->Height, copy->Depth};

	return copy_box(stream, &to, &from, box, is_async);
}

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D *copy)
{
	return copy_3d(NULL, copy, false);
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *copy, CUstream stream)
{
	return copy_3d(stream, copy, true);
}

/* The peers' descriptor has contexts where the plain one has reserved words; all is one device. */
static CUresult copy_3d_peer(CUstream stream, const CUDA_MEMCPY3D_PEER *peer, bool is_async)
{
	_Static_assert(sizeof(CUDA_MEMCPY3D) == sizeof(CUDA_MEMCPY3D_PEER), "the same layout");
	return copy_3d(stream, (const CUDA_MEMCPY3D *)peer, is_async);
}

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *copy)
{
	return copy_3d_peer(NULL, copy, false);
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *copy, CUstream stream)
{
	return copy_3d_peer(stream, copy, true);
}

/* ---- runs of bytes in arrays, row behind row ---- */

static CUresult array_run(CUarray handle, size_t offset, size_t size, struct sg_side *side)
{
	const struct sg_array *array = sg_handle_get(handle, SG_ARRAY);

	if (!array) /* NULL is no number of a thing, to NVIDIA's driver */
		return handle ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
	if (array->planes || offset > array->size || size > array->size - offset)
		return CUDA_ERROR_INVALID_VALUE;
	*side = (struct sg_side){.kind = SG_SIDE_DEVICE, .address = array->address + offset};
	return CUDA_SUCCESS;
}

static CUresult copy_to_array(CUstream stream, CUarray array, size_t offset,
    const struct sg_side *source, size_t size, bool is_async)
{
	struct sg_side destination;
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS || !size)
		return r;
	r = array_run(array, offset, size, &destination);
	if (r == CUDA_SUCCESS)
		r = sg_copy(stream, &destination, source, (struct sg_box){size, 1, 1}, is_async);
	return r;
}

static CUresult copy_from_array(CUstream stream, const struct sg_side *destination, CUarray array,
    size_t offset, size_t size, bool is_async)
{
	struct sg_side source;
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS || !size)
		return r;
	r = array_run(array, offset, size, &source);
	if (r == CUDA_SUCCESS)
		r = sg_copy(stream, destination, &source, (struct sg_box){size, 1, 1}, is_async);
	return r;
}

CUresult cuMemcpyDtoA_v2(CUarray to, size_t offset, CUdeviceptr from, size_t size)
{
	const struct sg_side source = {.kind = SG_SIDE_DEVICE, .address = from};

	return copy_to_array(NULL, to, offset, &source, size, false);
}

CUresult cuMemcpyAtoD_v2(CUdeviceptr to, CUarray from, size_t offset, size_t size)
{
	const struct sg_side destination = {.kind = SG_SIDE_DEVICE, .address = to};

	return copy_from_array(NULL, &destination, from, offset, size, false);
}

CUresult cuMemcpyHtoA_v2(CUarray to, size_t offset, const void *from, size_t size)
{
	const struct sg_side source = {.kind = SG_SIDE_HOST, .address = (uint64_t)from};

	return copy_to_array(NULL, to, offset, &source, size, false);
}

CUresult cuMemcpyHtoAAsync_v2(
    CUarray to, size_t offset, const void *from, size_t size, CUstream stream)
{
	const struct sg_side source = {.kind = SG_SIDE_HOST, .address = (uint64_t)from};

	return copy_to_array(stream, to, offset, &source, size, true);
}

CUresult cuMemcpyAtoH_v2(void *to, CUarray from, size_t offset, size_t size)
{
	const struct sg_side destination = {.kind = SG_SIDE_HOST, .address = (uint64_t)to};

	return copy_from_array(NULL, &destination, from, offset, size, false);
}

CUresult cuMemcpyAtoHAsync_v2(void *to, CUarray from, size_t offset, size_t size, CUstream stream)
{
	const struct sg_side destination = {.kind = SG_SIDE_HOST, .address = (uint64_t)to};

	return copy_from_array(stream, &destination, from, offset, size, true);
}

CUresult cuMemcpyAtoA_v2(
    CUarray to, size_t to_offset, CUarray from, size_t from_offset, size_t size)
{
	struct sg_side source;
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS || !size)
		return r;
	r = array_run(from, from_offset, size, &source);
	return r == CUDA_SUCCESS ? copy_to_array(NULL, to, to_offset, &source, size, false) : r;
}

/* ---- many boxes with one call ---- */

static size_t batch_element(const CUDA_MEMCPY3D_BATCH_OP *operation)
{
	const CUmemcpy3DOperand *operand = &operation->src;

	if (operand->type != CU_MEMCPY_OPERAND_TYPE_ARRAY)
		operand = &operation->dst;
	if (operand->type != CU_MEMCPY_OPERAND_TYPE_ARRAY)
		return 1;
	const struct sg_array *array = sg_handle_get(operand->op.array.array, SG_ARRAY);
	return array ? array->element_size : 0;
}

static CUresult batch_copy(const CUDA_MEMCPY3D_BATCH_OP *operation, CUstream stream)
{
	size_t element = batch_element(operation);
	CUDA_MEMCPY3D copy;

	if (!element)
		return CUDA_ERROR_INVALID_HANDLE;
	if (!batch_box(operation, element, &copy))
		return CUDA_ERROR_INVALID_VALUE;
	return cuMemcpy3DAsync_v2(&copy, stream);
}

CUresult cuMemcpy3DBatchAsync(size_t n, CUDA_MEMCPY3D_BATCH_OP *operations, size_t *failed,
    unsigned long long flags, CUstream stream)
{
	CUresult r = sg_enter();

	if (failed)
		*failed = SIZE_MAX;
	if (r == CUDA_SUCCESS &&
	    !batch_boxes_are_valid(operations, n, flags, sg_stream_named(stream)))
		r = CUDA_ERROR_INVALID_VALUE;
	r = r ?: sg_batch_enter(stream);
	for (size_t i = 0; r == CUDA_SUCCESS && i < n; i++) {
		r = batch_copy(&operations[i], stream);
		if (r != CUDA_SUCCESS && failed)
			*failed = i;
	}
	return r;
}

CUresult cuMemcpy3DBatchAsync_v2(
    size_t n, CUDA_MEMCPY3D_BATCH_OP *operations, unsigned long long flags, CUstream stream)
{
	return cuMemcpy3DBatchAsync(n, operations, NULL, flags, stream);
}

CUresult cuMemcpy3DBatchAsync_v2_ptsz(
    size_t n, CUDA_MEMCPY3D_BATCH_OP *operations, unsigned long long flags, CUstream stream)
{
	return cuMemcpy3DBatchAsync_v2(n, operations, flags, stream);
}
