/* Queries and settings of contexts. */
#include "softgpu/driver/driver.h"

#include "abi/narrow.h"
#include "base/util.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/stream.h"

#define CONTEXT_STACK_SIZE_MAX	  (512u << 10)
#define CONTEXT_API_VERSION	  3020
#define CONTEXT_PRIORITY_LEAST	  0
#define CONTEXT_PRIORITY_GREATEST (-5)

CUresult cuCtxGetDevice(CUdevice *device)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && !device)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && !sg_context_current_handle())
		r = CUDA_ERROR_INVALID_CONTEXT;
	if (r == CUDA_SUCCESS)
		*device = 0;
	return r;
}

CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext handle)
{
	if (!handle)
		return cuCtxGetDevice(device);
	CUresult r = sg_enter();
	if (r == CUDA_SUCCESS && !device)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && !sg_handle_get(handle, SG_CONTEXT))
		r = CUDA_ERROR_INVALID_CONTEXT;
	if (r == CUDA_SUCCESS)
		*device = 0;
	return r;
}

/* Also of a primary context that is not active. */
CUresult cuCtxGetFlags(unsigned *flags)
{
	const struct sg_context *context;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && !flags)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	context = sg_handle_get(sg_context_current_handle(), SG_CONTEXT);
	if (!context)
		return CUDA_ERROR_INVALID_CONTEXT;
	*flags = context->flags;
	return CUDA_SUCCESS;
}

CUresult cuCtxSetFlags(unsigned flags)
{
	struct sg_context *context;
	CUresult r = sg_enter_current(&context);

	if (r == CUDA_SUCCESS && (flags & ~(unsigned)CU_CTX_FLAGS_MASK))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		context->flags = flags;
	return r;
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long *id)
{
	struct sg_context *context;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS)
		r = sg_context_get(handle, &context);
	if (r == CUDA_SUCCESS && !id)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*id = context->id;
	return r;
}

/* An inactive primary context answers INVALID_CONTEXT: the runtime notices a reset by that. */
CUresult cuCtxGetApiVersion(CUcontext handle, unsigned *version)
{
	struct sg_context *context;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && sg_context_get(handle, &context) != CUDA_SUCCESS)
		r = CUDA_ERROR_INVALID_CONTEXT;
	if (r == CUDA_SUCCESS && !version)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*version = context->narrow ? NARROW_API_VERSION : CONTEXT_API_VERSION;
	return r;
}

CUresult cuCtxSynchronize(void)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	return r == CUDA_SUCCESS ? sg_context_wait(context) : r;
}

CUresult cuCtxSynchronize_v2(CUcontext handle)
{
	struct sg_context *context;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS)
		r = sg_context_get(handle, &context);
	return r == CUDA_SUCCESS ? sg_context_wait(context) : r;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
	struct sg_context *context;
	CUresult r = sg_enter_current(&context);

	if (r != CUDA_SUCCESS)
		return r;
	if (least)
		*least = CONTEXT_PRIORITY_LEAST;
	if (greatest)
		*greatest = CONTEXT_PRIORITY_GREATEST;
	return CUDA_SUCCESS;
}

/* ---- limits and configurations: kept, since programs read them back ---- */

static bool limit_is_supported(CUlimit limit)
{
	return limit != CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH &&
	       limit != CU_LIMIT_CIG_SHMEM_FALLBACK_ENABLED;
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && (!value || limit >= CU_LIMIT_MAX))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && !limit_is_supported(limit))
		r = CUDA_ERROR_UNSUPPORTED_LIMIT;
	if (r == CUDA_SUCCESS)
		*value = context->limits[limit];
	return r;
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && limit >= CU_LIMIT_MAX)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && limit == CU_LIMIT_STACK_SIZE && value > CONTEXT_STACK_SIZE_MAX)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && !limit_is_supported(limit))
		r = CUDA_ERROR_UNSUPPORTED_LIMIT;
	if (r == CUDA_SUCCESS && limit >= CU_LIMIT_SHMEM_SIZE)
		r = CUDA_ERROR_NOT_PERMITTED;
	if (limit == CU_LIMIT_PERSISTING_L2_CACHE_SIZE)
		value = MIN(value,
		    (size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE));
	if (r == CUDA_SUCCESS)
		context->limits[limit] = value;
	return r;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *config)
{
	struct sg_context *context;
	CUresult r = sg_enter_current(&context);

	if (r == CUDA_SUCCESS && !config)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*config = context->cache_config;
	return r;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && config > CU_FUNC_CACHE_PREFER_EQUAL)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		context->cache_config = config;
	return r;
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig *config)
{
	struct sg_context *context;
	CUresult r = sg_enter_current(&context);

	if (r == CUDA_SUCCESS && !config)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*config = context->shared_config;
	return r;
}

/* Banks of another width are accepted and not made, as on every current device. */
CUresult cuCtxSetSharedMemConfig(CUsharedconfig config)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
		r = CUDA_ERROR_INVALID_VALUE;
	return r;
}

/* The persisting part of the cache is a hint: no line was ever kept for it. */
CUresult cuCtxResetPersistingL2Cache(void)
{
	struct sg_context *context;

	return sg_enter_context(&context);
}

/* ---- peers: another context of the one device is none ---- */

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && flags)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && !sg_handle_get(peer, SG_CONTEXT))
		r = CUDA_ERROR_INVALID_CONTEXT;
	return r == CUDA_SUCCESS ? CUDA_ERROR_PEER_ACCESS_UNSUPPORTED : r;
}

CUresult cuCtxDisablePeerAccess(CUcontext peer)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && !sg_handle_get(peer, SG_CONTEXT))
		r = CUDA_ERROR_INVALID_CONTEXT;
	return r == CUDA_SUCCESS ? CUDA_ERROR_PEER_ACCESS_NOT_ENABLED : r;
}
