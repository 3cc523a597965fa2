/* Memory of other processes: ranges of their own kind in the map, as many as handles are open. */
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/range.h"
#include "shim/thread.h"

CUresult shim_cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address)
{
	struct range range;

	/* Not of pools, mappings, variables, host memory, nor of what is another process's. */
	if (!range_find(address, &range) || range.kind != RANGE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	return remote_cuIpcGetMemHandle(handle, address);
}

CUresult shim_cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle handle, unsigned flags)
{
	CUdeviceptr start;
	CUdevice device;
	size_t bytes;

	if (flags & ~(unsigned)CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = remote_cuIpcOpenMemHandle_v2(&start, handle, &bytes, &device);
	if (r != CUDA_SUCCESS)
		return r;
	struct range range = {.start = start,
	    .size = bytes,
	    .kind = RANGE_IPC,
	    .context = shim_thread.context,
	    .device = device};
	if (!range_add(&range))
		return CUDA_ERROR_OUT_OF_MEMORY;
	*address = start;
	return CUDA_SUCCESS;
}

CUresult shim_cuIpcCloseMemHandle(CUdeviceptr address)
{
	struct range range, now;
	unsigned last = 0;

	if (!range_find(address, &range) || range.kind != RANGE_IPC || range.start != address)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = remote_cuIpcCloseMemHandle(address, &last);
	/* Another thread may have got the address anew. */
	if (r == CUDA_SUCCESS && last && range_find(address, &now) &&
	    now.buffer_id == range.buffer_id)
		range_remove(address, NULL);
	return r;
}
