/* Copies of runs of bytes. Boxes and arrays: cu_copy_box.c. */
#include "abi/batch.h"
#include "softgpu/driver/copy.h"
#include "softgpu/driver/driver.h"
#include "softgpu/driver/graph.h"
#include "softgpu/driver/stream.h"

static CUresult copy_run_of_bytes(CUstream stream, enum sg_side_kind to_kind, uint64_t to,
    enum sg_side_kind from_kind, uint64_t from, size_t size, bool is_async)
{
	const struct sg_side destination = {.kind = to_kind, .address = to};
	const struct sg_side source = {.kind = from_kind, .address = from};

	return sg_copy(stream, &destination, &source, (struct sg_box){size, 1, 1}, is_async);
}

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t size)
{
	return copy_run_of_bytes(NULL, SG_SIDE_UNIFIED, to, SG_SIDE_UNIFIED, from, size, false);
}

CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream)
{
	return copy_run_of_bytes(stream, SG_SIDE_UNIFIED, to, SG_SIDE_UNIFIED, from, size, true);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size)
{
	return copy_run_of_bytes(
	    NULL, SG_SIDE_DEVICE, to, SG_SIDE_HOST, (uint64_t)from, size, false);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, CUstream stream)
{
	return copy_run_of_bytes(
	    stream, SG_SIDE_DEVICE, to, SG_SIDE_HOST, (uint64_t)from, size, true);
}

CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size)
{
	return copy_run_of_bytes(
	    NULL, SG_SIDE_HOST, (uint64_t)to, SG_SIDE_DEVICE, from, size, false);
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream stream)
{
	return copy_run_of_bytes(
	    stream, SG_SIDE_HOST, (uint64_t)to, SG_SIDE_DEVICE, from, size, true);
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t size)
{
	return copy_run_of_bytes(NULL, SG_SIDE_DEVICE, to, SG_SIDE_DEVICE, from, size, false);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream)
{
	return copy_run_of_bytes(stream, SG_SIDE_DEVICE, to, SG_SIDE_DEVICE, from, size, true);
}

static CUresult copy_check_peers(CUcontext to, CUcontext from)
{
	struct sg_context *context;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS)
		r = sg_context_get(to, &context);
	if (r == CUDA_SUCCESS)
		r = sg_context_get(from, &context);
	return r;
}

CUresult cuMemcpyPeer(
    CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t size)
{
	CUresult r = copy_check_peers(to_context, from_context);

	return r == CUDA_SUCCESS ? cuMemcpyDtoD_v2(to, from, size) : r;
}

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
    CUcontext from_context, size_t size, CUstream stream)
{
	CUresult r = copy_check_peers(to_context, from_context);

	return r == CUDA_SUCCESS ? cuMemcpyDtoDAsync_v2(to, from, size, stream) : r;
}

/* ---- many copies with one call: each by itself in stream order, as hints may be ignored ---- */

CUresult sg_batch_enter(CUstream handle)
{
	struct sg_context *context;
	struct sg_stream *stream;
	CUresult r = sg_enter_context(&context) ?: sg_stream_get(handle, context, &stream);

	return r == CUDA_SUCCESS && sg_capture_id(stream) ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
							  : r;
}

/* failed: which copy was refused, SIZE_MAX for the call as a whole; may be NULL. */
CUresult cuMemcpyBatchAsync(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t n,
    CUmemcpyAttributes *attributes, size_t *attribute_indices, size_t n_attributes, size_t *failed,
    CUstream stream)
{
	CUresult r = sg_enter();

	if (failed)
		*failed = SIZE_MAX;
	if (r == CUDA_SUCCESS && !batch_is_valid(to, from, sizes, n, attributes, attribute_indices,
				     n_attributes, sg_stream_named(stream)))
		r = CUDA_ERROR_INVALID_VALUE;
	r = r ?: sg_batch_enter(stream);
	for (size_t i = 0; r == CUDA_SUCCESS && i < n; i++) {
		r = to[i] && from[i] && sizes[i] ? cuMemcpyAsync(to[i], from[i], sizes[i], stream)
						 : CUDA_ERROR_INVALID_VALUE;
		if (r != CUDA_SUCCESS && failed)
			*failed = i;
	}
	return r;
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t n,
    CUmemcpyAttributes *attributes, size_t *attribute_indices, size_t n_attributes, CUstream stream)
{
	return cuMemcpyBatchAsync(
	    to, from, sizes, n, attributes, attribute_indices, n_attributes, NULL, stream);
}

/* The default stream is none to it, as in NVIDIA's driver; nor to the other one of this kind. */
CUresult cuMemcpyBatchAsync_v2_ptsz(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t n,
    CUmemcpyAttributes *attributes, size_t *attribute_indices, size_t n_attributes, CUstream stream)
{
	return cuMemcpyBatchAsync_v2(
	    to, from, sizes, n, attributes, attribute_indices, n_attributes, stream);
}
