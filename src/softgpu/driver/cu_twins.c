/*
 * The twins of functions that use the default stream. A program compiled for per-thread default
 * streams calls them instead: "_ptsz" where a stream is an argument, "_ptds" where the call itself
 * uses the default stream. A twin calls the plain function with a flag raised in this thread that
 * makes stream 0 mean the thread's own stream.
 */
#include "softgpu/driver/driver.h"
#include "softgpu/driver/stream.h"

#define TWIN(name, suffix, parameters, arguments)                                                  \
	CUresult name##suffix parameters                                                           \
	{                                                                                          \
		sg_per_thread_default++;                                                           \
		CUresult r = name arguments;                                                       \
		sg_per_thread_default--;                                                           \
		return r;                                                                          \
	}

/* clang-format off */
TWIN(cuMemPrefetchAsync, _ptsz, (CUdeviceptr address, size_t count, CUdevice destination, CUstream
    stream), (address, count, destination, stream))
TWIN(cuMemPrefetchAsync_v2, _ptsz, (CUdeviceptr address, size_t count, CUmemLocation location,
    unsigned flags, CUstream stream), (address, count, location, flags, stream))
TWIN(cuStreamAttachMemAsync, _ptsz, (CUstream stream, CUdeviceptr address, size_t length, unsigned
    flags), (stream, address, length, flags))
TWIN(cuMemcpy, _ptds, (CUdeviceptr destination, CUdeviceptr source, size_t bytes), (destination,
    source, bytes))
TWIN(cuMemcpyAsync, _ptsz, (CUdeviceptr destination, CUdeviceptr source, size_t bytes, CUstream
    stream), (destination, source, bytes, stream))
TWIN(cuMemcpyHtoD_v2, _ptds, (CUdeviceptr destination, const void *source, size_t bytes),
    (destination, source, bytes))
TWIN(cuMemcpyHtoDAsync_v2, _ptsz, (CUdeviceptr destination, const void *source, size_t bytes,
    CUstream stream), (destination, source, bytes, stream))
TWIN(cuMemcpyDtoH_v2, _ptds, (void *destination, CUdeviceptr source, size_t bytes), (destination,
    source, bytes))
TWIN(cuMemcpyDtoHAsync_v2, _ptsz, (void *destination, CUdeviceptr source, size_t bytes, CUstream
    stream), (destination, source, bytes, stream))
TWIN(cuMemcpyDtoD_v2, _ptds, (CUdeviceptr destination, CUdeviceptr source, size_t bytes),
    (destination, source, bytes))
TWIN(cuMemcpyDtoDAsync_v2, _ptsz, (CUdeviceptr destination, CUdeviceptr source, size_t bytes,
    CUstream stream), (destination, source, bytes, stream))
TWIN(cuMemcpyPeer, _ptds, (CUdeviceptr destination, CUcontext destination_context, CUdeviceptr
    source, CUcontext source_context, size_t bytes), (destination, destination_context, source,
    source_context, bytes))
TWIN(cuMemcpyPeerAsync, _ptsz, (CUdeviceptr destination, CUcontext destination_context, CUdeviceptr
    source, CUcontext source_context, size_t bytes, CUstream stream), (destination,
    destination_context, source, source_context, bytes, stream))
TWIN(cuMemcpyAtoA_v2, _ptds, (CUarray destination, size_t destination_offset, CUarray source, size_t
    source_offset, size_t bytes), (destination, destination_offset, source, source_offset, bytes))
TWIN(cuMemcpyAtoD_v2, _ptds, (CUdeviceptr destination, CUarray source, size_t offset, size_t bytes),
    (destination, source, offset, bytes))
TWIN(cuMemcpyDtoA_v2, _ptds, (CUarray destination, size_t offset, CUdeviceptr source, size_t bytes),
    (destination, offset, source, bytes))
TWIN(cuMemcpyHtoA_v2, _ptds, (CUarray destination, size_t offset, const void *source, size_t bytes),
    (destination, offset, source, bytes))
TWIN(cuMemcpyHtoAAsync_v2, _ptsz, (CUarray destination, size_t offset, const void *source, size_t
    bytes, CUstream stream), (destination, offset, source, bytes, stream))
TWIN(cuMemcpyAtoH_v2, _ptds, (void *destination, CUarray source, size_t offset, size_t bytes),
    (destination, source, offset, bytes))
TWIN(cuMemcpyAtoHAsync_v2, _ptsz, (void *destination, CUarray source, size_t offset, size_t bytes,
    CUstream stream), (destination, source, offset, bytes, stream))
TWIN(cuMemcpy2D_v2, _ptds, (const CUDA_MEMCPY2D *copy), (copy))
TWIN(cuMemcpy2DUnaligned_v2, _ptds, (const CUDA_MEMCPY2D *copy), (copy))
TWIN(cuMemcpy2DAsync_v2, _ptsz, (const CUDA_MEMCPY2D *copy, CUstream stream), (copy, stream))
TWIN(cuMemcpy3D_v2, _ptds, (const CUDA_MEMCPY3D *copy), (copy))
TWIN(cuMemcpy3DAsync_v2, _ptsz, (const CUDA_MEMCPY3D *copy, CUstream stream), (copy, stream))
TWIN(cuMemcpy3DPeer, _ptds, (const CUDA_MEMCPY3D_PEER *copy), (copy))
TWIN(cuMemcpy3DPeerAsync, _ptsz, (const CUDA_MEMCPY3D_PEER *copy, CUstream stream), (copy, stream))
TWIN(cuMemcpyBatchAsync, _ptsz, (CUdeviceptr *destinations, CUdeviceptr *sources, size_t *sizes,
    size_t count, CUmemcpyAttributes *attributes, size_t *attribute_indices, size_t n_attributes,
    size_t *failed, CUstream stream), (destinations, sources, sizes, count, attributes,
    attribute_indices, n_attributes, failed, stream))
TWIN(cuMemsetD8_v2, _ptds, (CUdeviceptr address, unsigned char value, size_t count), (address,
    value, count))
TWIN(cuMemsetD8Async, _ptsz, (CUdeviceptr address, unsigned char value, size_t count, CUstream
    stream), (address, value, count, stream))
TWIN(cuMemsetD16_v2, _ptds, (CUdeviceptr address, unsigned short value, size_t count), (address,
    value, count))
TWIN(cuMemsetD16Async, _ptsz, (CUdeviceptr address, unsigned short value, size_t count, CUstream
    stream), (address, value, count, stream))
TWIN(cuMemsetD32_v2, _ptds, (CUdeviceptr address, unsigned value, size_t count), (address, value,
    count))
TWIN(cuMemsetD32Async, _ptsz, (CUdeviceptr address, unsigned value, size_t count, CUstream stream),
    (address, value, count, stream))
TWIN(cuMemsetD2D8_v2, _ptds, (CUdeviceptr address, size_t pitch, unsigned char value, size_t width,
    size_t height), (address, pitch, value, width, height))
TWIN(cuMemsetD2D8Async, _ptsz, (CUdeviceptr address, size_t pitch, unsigned char value, size_t
    width, size_t height, CUstream stream), (address, pitch, value, width, height, stream))
TWIN(cuMemsetD2D16_v2, _ptds, (CUdeviceptr address, size_t pitch, unsigned short value, size_t
    width, size_t height), (address, pitch, value, width, height))
TWIN(cuMemsetD2D16Async, _ptsz, (CUdeviceptr address, size_t pitch, unsigned short value, size_t
    width, size_t height, CUstream stream), (address, pitch, value, width, height, stream))
TWIN(cuMemsetD2D32_v2, _ptds, (CUdeviceptr address, size_t pitch, unsigned value, size_t width,
    size_t height), (address, pitch, value, width, height))
TWIN(cuMemsetD2D32Async, _ptsz, (CUdeviceptr address, size_t pitch, unsigned value, size_t width,
    size_t height, CUstream stream), (address, pitch, value, width, height, stream))
TWIN(cuStreamQuery, _ptsz, (CUstream stream), (stream))
TWIN(cuStreamSynchronize, _ptsz, (CUstream stream), (stream))
TWIN(cuStreamWaitEvent, _ptsz, (CUstream stream, CUevent event, unsigned flags), (stream, event,
    flags))
TWIN(cuStreamGetPriority, _ptsz, (CUstream stream, int *priority), (stream, priority))
TWIN(cuStreamGetFlags, _ptsz, (CUstream stream, unsigned *flags), (stream, flags))
TWIN(cuStreamGetId, _ptsz, (CUstream stream, unsigned long long *id), (stream, id))
TWIN(cuStreamGetDevice, _ptsz, (CUstream stream, CUdevice *device), (stream, device))
TWIN(cuStreamGetCtx, _ptsz, (CUstream stream, CUcontext *context), (stream, context))
TWIN(cuStreamGetCtx_v2, _ptsz, (CUstream stream, CUcontext *context, CUgreenCtx *green_ctx),
    (stream, context, green_ctx))
TWIN(cuStreamGetAttribute, _ptsz, (CUstream stream, CUstreamAttrID attribute, CUstreamAttrValue
    *value), (stream, attribute, value))
TWIN(cuStreamSetAttribute, _ptsz, (CUstream stream, CUstreamAttrID attribute, const
    CUstreamAttrValue *value), (stream, attribute, value))
TWIN(cuStreamCopyAttributes, _ptsz, (CUstream destination, CUstream source), (destination, source))
TWIN(cuStreamAddCallback, _ptsz, (CUstream stream, CUstreamCallback callback, void *user, unsigned
    flags), (stream, callback, user, flags))
TWIN(cuStreamWaitValue32, _ptsz, (CUstream stream, CUdeviceptr address, uint32_t value, unsigned
    flags), (stream, address, value, flags))
TWIN(cuStreamWaitValue32_v2, _ptsz, (CUstream stream, CUdeviceptr address, uint32_t value, unsigned
    flags), (stream, address, value, flags))
TWIN(cuStreamWaitValue64, _ptsz, (CUstream stream, CUdeviceptr address, uint64_t value, unsigned
    flags), (stream, address, value, flags))
TWIN(cuStreamWaitValue64_v2, _ptsz, (CUstream stream, CUdeviceptr address, uint64_t value, unsigned
    flags), (stream, address, value, flags))
TWIN(cuStreamWriteValue32, _ptsz, (CUstream stream, CUdeviceptr address, uint32_t value, unsigned
    flags), (stream, address, value, flags))
TWIN(cuStreamWriteValue32_v2, _ptsz, (CUstream stream, CUdeviceptr address, uint32_t value, unsigned
    flags), (stream, address, value, flags))
TWIN(cuStreamWriteValue64, _ptsz, (CUstream stream, CUdeviceptr address, uint64_t value, unsigned
    flags), (stream, address, value, flags))
TWIN(cuStreamWriteValue64_v2, _ptsz, (CUstream stream, CUdeviceptr address, uint64_t value, unsigned
    flags), (stream, address, value, flags))
TWIN(cuStreamBatchMemOp, _ptsz, (CUstream stream, unsigned count, CUstreamBatchMemOpParams
    *operations, unsigned flags), (stream, count, operations, flags))
TWIN(cuStreamBatchMemOp_v2, _ptsz, (CUstream stream, unsigned count, CUstreamBatchMemOpParams
    *operations, unsigned flags), (stream, count, operations, flags))
TWIN(cuStreamBeginCapture, _ptsz, (CUstream stream), (stream))
TWIN(cuStreamBeginCapture_v2, _ptsz, (CUstream stream, CUstreamCaptureMode mode), (stream, mode))
TWIN(cuStreamUpdateCaptureDependencies, _ptsz, (CUstream stream, CUgraphNode *nodes, size_t count,
    unsigned flags), (stream, nodes, count, flags))
TWIN(cuStreamEndCapture, _ptsz, (CUstream stream, CUgraph *graph), (stream, graph))
TWIN(cuStreamIsCapturing, _ptsz, (CUstream stream, CUstreamCaptureStatus *status), (stream, status))
TWIN(cuStreamUpdateCaptureDependencies_v2, _ptsz, (CUstream stream, CUgraphNode *nodes, const
    CUgraphEdgeData *edges, size_t count, unsigned flags), (stream, nodes, edges, count, flags))
TWIN(cuStreamBeginCaptureToGraph, _ptsz, (CUstream stream, CUgraph graph, const CUgraphNode *
    dependencies, const CUgraphEdgeData *edges, size_t count, CUstreamCaptureMode mode), (stream,
    graph, dependencies, edges, count, mode))
TWIN(cuGraphInstantiateWithParams, _ptsz, (CUgraphExec *exec, CUgraph graph,
    CUDA_GRAPH_INSTANTIATE_PARAMS *params), (exec, graph, params))
TWIN(cuStreamGetCaptureInfo, _ptsz, (CUstream stream, CUstreamCaptureStatus *status, uint64_t *id),
    (stream, status, id))
TWIN(cuStreamGetCaptureInfo_v2, _ptsz, (CUstream stream, CUstreamCaptureStatus *status, uint64_t
    *id, CUgraph *graph, const CUgraphNode **nodes, size_t *count), (stream, status, id, graph,
    nodes, count))
TWIN(cuStreamGetCaptureInfo_v3, _ptsz, (CUstream stream, CUstreamCaptureStatus *status, uint64_t
    *id, CUgraph *graph, const CUgraphNode **nodes, const CUgraphEdgeData **edges, size_t *count),
    (stream, status, id, graph, nodes, edges, count))
TWIN(cuEventRecord, _ptsz, (CUevent event, CUstream stream), (event, stream))
TWIN(cuEventRecordWithFlags, _ptsz, (CUevent event, CUstream stream, unsigned flags), (event,
    stream, flags))
TWIN(cuLaunchKernel, _ptsz, (CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
    unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, void
    **values, void **extra), (function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared,
    stream, values, extra))
TWIN(cuLaunchKernelEx, _ptsz, (const CUlaunchConfig *config, CUfunction function, void **values,
    void **extra), (config, function, values, extra))
TWIN(cuLaunchCooperativeKernel, _ptsz, (CUfunction function, unsigned grid_x, unsigned grid_y,
    unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared, CUstream
    stream, void **values), (function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared,
    stream, values))
TWIN(cuLaunchHostFunc, _ptsz, (CUstream stream, CUhostFn function, void *user), (stream, function,
    user))
TWIN(cuGraphUpload, _ptsz, (CUgraphExec exec, CUstream stream), (exec, stream))
TWIN(cuGraphLaunch, _ptsz, (CUgraphExec exec, CUstream stream), (exec, stream))
TWIN(cuMemAllocAsync, _ptsz, (CUdeviceptr *address, size_t bytes, CUstream stream), (address, bytes,
    stream))
TWIN(cuMemAllocFromPoolAsync, _ptsz, (CUdeviceptr *address, size_t bytes, CUmemoryPool mem_pool,
    CUstream stream), (address, bytes, mem_pool, stream))
TWIN(cuMemFreeAsync, _ptsz, (CUdeviceptr address, CUstream stream), (address, stream))
TWIN(cuMemcpy3DBatchAsync, _ptsz, (size_t n, CUDA_MEMCPY3D_BATCH_OP *operations, size_t *failed,
    unsigned long long flags, CUstream stream), (n, operations, failed, flags, stream))
TWIN(cuMemPrefetchBatchAsync, _ptsz, (CUdeviceptr *addresses, size_t *sizes, size_t n, CUmemLocation
    *locations, size_t *indices, size_t n_locations, unsigned long long flags, CUstream stream),
    (addresses, sizes, n, locations, indices, n_locations, flags, stream))
TWIN(cuMemDiscardBatchAsync, _ptsz, (CUdeviceptr *addresses, size_t *sizes, size_t n, unsigned long
    long flags, CUstream stream), (addresses, sizes, n, flags, stream))
TWIN(cuMemDiscardAndPrefetchBatchAsync, _ptsz, (CUdeviceptr *addresses, size_t *sizes, size_t n,
    CUmemLocation *locations, size_t *indices, size_t n_locations, unsigned long long flags,
    CUstream stream), (addresses, sizes, n, locations, indices, n_locations, flags, stream))
/* clang-format on */
