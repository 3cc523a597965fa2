/*
 * The private tables that NVIDIA's own user libraries ask for through cuGetExportTable. They are
 * not documented by NVIDIA; what each slot does is known from watching those libraries (the
 * comments at the tables in export_table.c). A table is one constant of the process: libraries hash
 * its address.
 *
 * One mechanism serves every library that answers to the name libcuda.so.1; what differs is behind
 * struct abi_table_ops. A slot that is not understood is a function that logs its table and number
 * once and returns CUDA_ERROR_NOT_SUPPORTED; no slot is ever NULL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "abi/integrity.h"

/* All functions may be called from any thread. Those left NULL answer CUDA_ERROR_NOT_SUPPORTED. */
struct abi_table_ops {
	/* What cuDriverGetVersion reports. */
	int driver_version;

	/* The handle that cuDevicePrimaryCtxRetain would return, without retaining it or making it
	 * active. */
	CUresult (*primary_context)(CUdevice device, CUcontext *context);

	/* The calling thread's current context, NULL when there is none. Hot: no lock. */
	CUcontext (*current_context)(void);

	/* A number never used for another context of the process. Hot. */
	CUresult (*context_id)(CUcontext context, uint64_t *id);

	/* The stream behind a handle, 0 and the special handles included: an opaque pointer, never
	 * NULL. per_thread: handle 0 means the thread's own default stream. */
	CUresult (*stream_resolve)(
	    CUcontext context, CUstream stream, bool per_thread, void **object);

	/* A number never used for another stream; object as stream_resolve gave it. */
	CUresult (*stream_id)(CUcontext context, void *object, uint64_t *id);

	/* Up to capacity functions of the module, and in *n how many there are. */
	CUresult (*module_functions)(
	    CUmodule module, CUfunction *functions, size_t capacity, size_t *n);

	/* cuModuleLoadData: image is a fatbin or its wrapper. */
	CUresult (*module_load)(CUmodule *module, const void *image);

	/* cuLaunchKernel with an `extra` list instead of parameters. */
	CUresult (*launch)(CUfunction function, const unsigned grid[3], const unsigned block[3],
	    unsigned shared_bytes, CUstream stream, void **extra);

	/* The devices as cuDeviceGetUuid and attributes 50, 33, 34 report them. Returns how many
	 * there are; writes at most capacity. */
	size_t (*devices)(struct abi_integrity_device *devices, size_t capacity);
};

/* Before the first abi_export_table(). ops must live as long as the process. */
void abi_export_init(const struct abi_table_ops *ops);

/* cuGetExportTable. CUDA_ERROR_INVALID_VALUE and *table NULL for a table we do not have. */
CUresult abi_export_table(const void **table, const CUuuid *id);
