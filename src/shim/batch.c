/*
 * Many operations with one call. Of copies each is made by itself, in the order given, which the
 * interface allows for. A source of ordinary memory is captured during the call; if the program
 * wants it read in stream order, the stream is waited for first, as only its own functions can
 * change such memory.
 */
#include <stdint.h>

#include "abi/batch.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/capture.h"
#include "shim/place.h"

static CUresult copy_one(
    CUdeviceptr to, CUdeviceptr from, size_t bytes, CUmemcpySrcAccessOrder order, CUstream stream)
{
	/* A range nothing is known of reads as ordinary memory: of address 0 there is none. */
	if (!to || !from || !bytes)
		return CUDA_ERROR_INVALID_VALUE;
	if (order == CU_MEMCPY_SRC_ACCESS_ORDER_STREAM && !place_find(from).shared) {
		CUresult r = remote_cuStreamSynchronize(stream);
		if (r != CUDA_SUCCESS)
			return r;
	}
	return shim_cuMemcpyAsync(to, from, bytes, stream);
}

/* *failed: which copy was refused, SIZE_MAX: the call as a whole. */
CUresult shim_cuMemcpyBatchAsync(CUdeviceptr *destinations, CUdeviceptr *sources, size_t *sizes,
    size_t count, CUmemcpyAttributes *attributes, size_t *attribute_indices, size_t n_attributes,
    size_t *failed, CUstream stream)
{
	CUresult r = CUDA_SUCCESS;

	if (failed)
		*failed = SIZE_MAX;
	if (!batch_is_valid(destinations, sources, sizes, count, attributes, attribute_indices,
		n_attributes, stream))
		return CUDA_ERROR_INVALID_VALUE;
	if (capture_is_open(stream))
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED; /* and goes on */
	for (size_t i = 0; r == CUDA_SUCCESS && i < count; i++) {
		const CUmemcpyAttributes *how =
		    batch_attributes_of(i, attributes, attribute_indices, n_attributes);
		r = copy_one(destinations[i], sources[i], sizes[i], how->srcAccessOrder, stream);
		if (r != CUDA_SUCCESS && failed)
			*failed = i;
	}
	return r;
}

CUresult shim_cuMemcpyBatchAsync_v2(CUdeviceptr *destinations, CUdeviceptr *sources, size_t *sizes,
    size_t count, CUmemcpyAttributes *attributes, size_t *attribute_indices, size_t n_attributes,
    CUstream stream)
{
	return shim_cuMemcpyBatchAsync(destinations, sources, sizes, count, attributes,
	    attribute_indices, n_attributes, NULL, stream);
}

/* --- operations of other kinds --- */

/* What is missing is told to those whom the worker would have answered. */
static CUresult told(CUresult r, bool complete)
{
	return r == CUDA_SUCCESS && !complete ? CUDA_ERROR_INVALID_VALUE : r;
}

CUresult shim_cuStreamBatchMemOp(
    CUstream stream, unsigned count, CUstreamBatchMemOpParams *operations, unsigned flags)
{
	CUresult r = remote_cuStreamBatchMemOp(stream, operations ? count : 0, operations, flags);

	return told(r, operations || !count);
}

CUresult shim_cuMemBatchDecompressAsync(CUmemDecompressParams *parameters, size_t count,
    unsigned flags, size_t *failed, CUstream stream)
{
	bool complete = (parameters || !count) && failed;
	size_t nobody;
	CUresult r = remote_cuMemBatchDecompressAsync(
	    parameters, complete ? count : 0, flags, failed ?: &nobody, stream);

	return told(r, complete);
}

/* --- copies of boxes --- */

/* Bytes that an operation's lengths count in. */
static CUresult element_of(const CUDA_MEMCPY3D_BATCH_OP *operation, size_t *element)
{
	const CUmemcpy3DOperand *array = &operation->src;
	CUDA_ARRAY3D_DESCRIPTOR descriptor;

	*element = 1;
	if (array->type != CU_MEMCPY_OPERAND_TYPE_ARRAY)
		array = &operation->dst;
	if (array->type != CU_MEMCPY_OPERAND_TYPE_ARRAY)
		return CUDA_SUCCESS;
	CUresult r = remote_cuArray3DGetDescriptor_v2(&descriptor, array->op.array.array);
	if (r != CUDA_SUCCESS)
		return r;
	*element = batch_element_size(descriptor.Format, descriptor.NumChannels);
	return *element ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

static CUresult copy_box(const CUDA_MEMCPY3D_BATCH_OP *operation, CUstream stream)
{
	CUDA_MEMCPY3D copy;
	size_t element;
	CUresult r = element_of(operation, &element);

	if (r != CUDA_SUCCESS)
		return r;
	if (!batch_box(operation, element, &copy))
		return CUDA_ERROR_INVALID_VALUE;
	if (operation->srcAccessOrder == CU_MEMCPY_SRC_ACCESS_ORDER_STREAM &&
	    copy.srcMemoryType == CU_MEMORYTYPE_UNIFIED && !place_find(copy.srcDevice).shared)
		r = remote_cuStreamSynchronize(stream);
	return r ?: shim_cuMemcpy3DAsync_v2(&copy, stream);
}

CUresult shim_cuMemcpy3DBatchAsync(size_t count, CUDA_MEMCPY3D_BATCH_OP *operations, size_t *failed,
    unsigned long long flags, CUstream stream)
{
	CUresult r = CUDA_SUCCESS;

	if (failed)
		*failed = SIZE_MAX;
	if (!batch_boxes_are_valid(operations, count, flags, stream))
		return CUDA_ERROR_INVALID_VALUE;
	if (capture_is_open(stream))
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	for (size_t i = 0; r == CUDA_SUCCESS && i < count; i++) {
		r = copy_box(&operations[i], stream);
		if (r != CUDA_SUCCESS && failed)
			*failed = i;
	}
	return r;
}

CUresult shim_cuMemcpy3DBatchAsync_v2(
    size_t count, CUDA_MEMCPY3D_BATCH_OP *operations, unsigned long long flags, CUstream stream)
{
	return shim_cuMemcpy3DBatchAsync(count, operations, NULL, flags, stream);
}
