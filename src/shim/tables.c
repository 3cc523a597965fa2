/*
 * What the private tables (abi/export_table.h) ask of this library: contexts and streams by number,
 * a module's functions, modules and launches of the old runtimes, the devices for the integrity
 * answer. One table of our own is added, with which libnvidia-ml asks for devices (nvml/bridge.h).
 *
 * Stream numbers: every stream needs one that is never used for another, also after its handle was.
 * An id holds a generation and is not used again before 65535 others of its index, so the id itself
 * serves; the default streams are told apart by context, per-thread ones by thread as well.
 */
#include "shim/tables.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "abi/export_table.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/context.h"
#include "shim/device.h"
#include "shim/measure.h"
#include "shim/nvml/bridge.h"
#include "shim/thread.h"

static CUresult primary_context(CUdevice device, CUcontext *context)
{
	if (!device_find(device))
		return CUDA_ERROR_INVALID_DEVICE;
	*context = context_primary(device);
	return CUDA_SUCCESS;
}

static CUresult stream_resolve(CUcontext context, CUstream stream, bool per_thread, void **object)
{
	if (!stream)
		stream = per_thread ? CU_STREAM_PER_THREAD : CU_STREAM_LEGACY;
	if (stream != CU_STREAM_LEGACY && stream != CU_STREAM_PER_THREAD &&
	    !shim_handle_alive((uint64_t)stream, HANDLE_STREAM))
		return CUDA_ERROR_INVALID_HANDLE;
	*object = stream;
	return CUDA_SUCCESS;
}

static CUresult stream_id(CUcontext context, void *object, uint64_t *id)
{
	static _Atomic uint64_t last_thread;
	static _Thread_local uint64_t thread __attribute__((tls_model("initial-exec")));
	uint64_t number = 0;

	if (object != CU_STREAM_LEGACY && object != CU_STREAM_PER_THREAD) {
		*id = (uint64_t)object;
		return CUDA_SUCCESS;
	}
	CUresult r = context_id(context, &number);
	if (r != CUDA_SUCCESS)
		return r;
	if (object == CU_STREAM_PER_THREAD && !thread)
		thread = atomic_fetch_add(&last_thread, 1) + 1;
	/* Below every id: those have their kind in bits 40 and up. */
	*id = number << 20 | (object == CU_STREAM_PER_THREAD ? thread & 0xfffff : 0);
	return CUDA_SUCCESS;
}

/* The caller launches them as they are; cuModuleEnumerateFunctions() alone may give unloaded
 * ones. */
static CUresult module_functions(CUmodule module, CUfunction *functions, size_t capacity, size_t *n)
{
	unsigned count;
	CUresult r = remote_cuModuleGetFunctionCount(&count, module);

	if (r != CUDA_SUCCESS)
		return r;
	*n = count;
	count = (unsigned)MIN(count, capacity);
	if (count)
		r = remote_cuModuleEnumerateFunctions(functions, count, module);
	for (unsigned i = 0; i < count && r == CUDA_SUCCESS; i++)
		r = remote_cuFuncLoad(functions[i]);
	return r;
}

static CUresult launch(CUfunction function, const unsigned grid[3], const unsigned block[3],
    unsigned shared_bytes, CUstream stream, void **extra)
{
	return shim_cuLaunchKernel(function, grid[0], grid[1], grid[2], block[0], block[1],
	    block[2], shared_bytes, stream, NULL, extra);
}

static size_t devices(struct abi_integrity_device *out, size_t capacity)
{
	size_t n = (size_t)device_count();

	for (size_t i = 0; i < MIN(n, capacity); i++) {
		const struct snapshot_device *d = device_find((CUdevice)i);
		memcpy(out[i].uuid, d->uuid, sizeof(out[i].uuid));
		out[i].pci_domain = d->attribute[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID];
		out[i].pci_bus = d->attribute[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID];
		out[i].pci_device = d->attribute[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID];
	}
	return n;
}

static struct abi_table_ops ops = {
    .primary_context = primary_context,
    .current_context = context_current,
    .context_id = context_id,
    .stream_resolve = stream_resolve,
    .stream_id = stream_id,
    .module_functions = module_functions,
    .module_load = shim_cuModuleLoadData,
    .launch = launch,
    .devices = devices,
};

static void init(void)
{
	ops.driver_version = device_driver_version();
	abi_export_init(&ops);
}

CUresult tables_get(const void **table, const CUuuid *id)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (nvml_bridge_table(table, id) || measure_table(table, id))
		return CUDA_SUCCESS;
	pthread_once(&once, init);
	return abi_export_table(table, id);
}
