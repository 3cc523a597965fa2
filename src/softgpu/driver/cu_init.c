/*
 * Initialisation, the version, error texts, and the two ways to find functions. These answer before
 * cuInit(), and most of them in a child of a process that had called it.
 */
#include "softgpu/driver/driver.h"

#include <pthread.h>

#include "abi/context_storage.h"
#include "abi/error_text.h"
#include "abi/export_table.h"
#include "abi/proc.h"
#include "base/log.h"
#include "gen/softgpu_proc.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/memory.h"
#include "softgpu/driver/module.h"
#include "softgpu/driver/stream.h"
#include "softgpu/mem/arena.h"

/* ---- what the private tables ask for ---- */

static CUresult tables_primary_context(CUdevice device, CUcontext *context)
{
	if (!sg_is_initialized())
		return CUDA_ERROR_NOT_INITIALIZED;
	if (device != 0)
		return CUDA_ERROR_INVALID_DEVICE;
	*context = sg_context_primary()->handle;
	return CUDA_SUCCESS;
}

static CUresult tables_context_id(CUcontext handle, uint64_t *id)
{
	struct sg_context *context;
	CUresult r = sg_context_get(handle, &context);

	if (r == CUDA_SUCCESS)
		*id = context->id;
	return r;
}

static CUresult tables_stream_resolve(
    CUcontext handle, CUstream stream, bool per_thread, void **object)
{
	struct sg_context *context;
	struct sg_stream *found;
	CUresult r = sg_context_get(handle, &context);

	if (r == CUDA_SUCCESS && !stream && per_thread)
		stream = CU_STREAM_PER_THREAD;
	if (r == CUDA_SUCCESS)
		r = sg_stream_get(stream, context, &found);
	if (r == CUDA_SUCCESS)
		*object = found;
	return r;
}

static CUresult tables_stream_id(CUcontext context, void *object, uint64_t *id)
{
	*id = ((const struct sg_stream *)object)->id;
	return CUDA_SUCCESS;
}

static CUresult tables_launch(CUfunction function, const unsigned grid[3], const unsigned block[3],
    unsigned shared, CUstream stream, void **extra)
{
	return cuLaunchKernel(function, grid[0], grid[1], grid[2], block[0], block[1], block[2],
	    shared, stream, NULL, extra);
}

static const struct abi_table_ops tables_ops = {
    .driver_version = SG_DRIVER_VERSION,
    .primary_context = tables_primary_context,
    .current_context = sg_context_current_handle,
    .context_id = tables_context_id,
    .stream_resolve = tables_stream_resolve,
    .stream_id = tables_stream_id,
    .module_functions = sg_module_list,
    .module_load = cuModuleLoadData,
    .launch = tables_launch,
    .devices = sg_device_identities,
};

/* ---- initialisation ---- */

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static bool init_forked; /* this process is a child: it has our memory and none of our threads */

static void init_after_fork(void)
{
	init_forked = sg_is_initialized();
	sg_set_initialized(false);
	pthread_mutex_init(&init_lock, NULL);
	abi_storage_after_fork();
}

static CUresult init_once(void)
{
	log_init("softgpu");
	if (init_forked)
		return CUDA_ERROR_NOT_INITIALIZED;
	sg_device_init();
	if (sg_handle_init() < 0 || sg_context_init() < 0 || sg_pool_init() < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (sg_arena_init(sg_device.memory) < 0) {
		log_error("cannot reserve the device address space at 0x%llx: something else lies "
			  "there, or the address space of this process is limited (ulimit -v)",
		    (unsigned long long)SG_ARENA_BASE);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	pthread_atfork(NULL, NULL, init_after_fork);
	return CUDA_SUCCESS;
}

CUresult cuInit(unsigned flags)
{
	CUresult r = CUDA_SUCCESS;

	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (sg_is_initialized())
		return CUDA_SUCCESS;
	pthread_mutex_lock(&init_lock);
	if (!sg_is_initialized()) {
		r = init_once();
		if (r == CUDA_SUCCESS)
			sg_set_initialized(true);
	}
	pthread_mutex_unlock(&init_lock);
	return r;
}

CUresult cuDriverGetVersion(int *version)
{
	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	*version = SG_DRIVER_VERSION;
	return CUDA_SUCCESS;
}

/* ---- error texts ---- */

CUresult cuGetErrorString(CUresult error, const char **text)
{
	if (!text)
		return CUDA_ERROR_INVALID_VALUE;
	*text = abi_error_text(error);
	return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorName(CUresult error, const char **name)
{
	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	*name = abi_error_name(error);
	return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- finding functions ---- */

static struct abi_proc_table init_procs(void)
{
	return (struct abi_proc_table){softgpu_procs, softgpu_n_procs, SG_DRIVER_VERSION};
}

CUresult cuGetProcAddress(const char *symbol, void **address, int version, uint64_t flags)
{
	const struct abi_proc_table table = init_procs();

	return abi_proc_find_v1(&table, symbol, version, flags, address);
}

CUresult cuGetProcAddress_v2(const char *symbol, void **address, int version, uint64_t flags,
    CUdriverProcAddressQueryResult *status)
{
	const struct abi_proc_table table = init_procs();

	return abi_proc_find_v2(&table, symbol, version, flags, status, address);
}

static void tables_init(void)
{
	abi_export_init(&tables_ops);
}

CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, tables_init);
	return abi_export_table(table, id);
}

/* ---- profiling: there is no profiler to start, which is how a real driver behaves without one */

CUresult cuProfilerStart(void)
{
	return sg_enter();
}

CUresult cuProfilerStop(void)
{
	return sg_enter();
}
