/* Lists of operations that a stream does: what they name comes as ids and as addresses of the
 * client's, and goes on as handles and as memory that is the client's indeed. */
#include "gen/worker_custom.h"
#include "worker/memory.h"
#include "worker/worker.h"

static CUresult map_info(struct call *call, CUarrayMapInfo *info)
{
	if (info->resourceType == CU_RESOURCE_TYPE_ARRAY)
		info->resource.array =
		    (CUarray)call_handle(call, HANDLE_ARRAY, (uint64_t)info->resource.array);
	else if (info->resourceType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY)
		info->resource.mipmap = (CUmipmappedArray)call_handle(
		    call, HANDLE_MIPMAP, (uint64_t)info->resource.mipmap);
	else
		return CUDA_ERROR_INVALID_VALUE;
	if (info->memOperationType == CU_MEM_OPERATION_TYPE_MAP)
		info->memHandle.memHandle =
		    call_handle(call, HANDLE_ALLOCATION, info->memHandle.memHandle);
	else
		info->memHandle.memHandle = 0;
	return call->error;
}

CUresult worker_cuMemMapArrayAsync(struct call *call, struct args_cuMemMapArrayAsync *a)
{
	CUarrayMapInfo *operations = call_take(call, a->count * sizeof(*operations) + 1);
	CUresult r = CUDA_SUCCESS;

	if (!operations)
		return call->error;
	for (unsigned i = 0; i < a->count && r == CUDA_SUCCESS; i++) {
		operations[i] = a->operations[i];
		r = map_info(call, &operations[i]);
	}
	return r ?: call->backend->cuMemMapArrayAsync(operations, a->count, a->stream);
}

static bool is_clients(struct call *call, const CUmemDecompressParams *p)
{
	return memory_is_clients(call, (CUdeviceptr)p->src, p->srcNumBytes) &&
	       memory_is_clients(call, (CUdeviceptr)p->dst, p->dstNumBytes) &&
	       (!p->dstActBytes ||
		   memory_is_clients(call, (CUdeviceptr)p->dstActBytes, sizeof(*p->dstActBytes)));
}

CUresult worker_cuMemBatchDecompressAsync(
    struct call *call, struct args_cuMemBatchDecompressAsync *a)
{
	for (size_t i = 0; i < a->count; i++)
		if (!is_clients(call, &a->parameters[i]))
			return CUDA_ERROR_INVALID_VALUE;
	return call->backend->cuMemBatchDecompressAsync(
	    a->parameters, a->count, a->flags, a->failed, a->stream);
}
