/*
 * The driver itself: initialisation, version, error texts, entry points.
 *
 * cuDriverGetVersion may be the first call of a program and its answer must not change later (the
 * CUDA runtime hashes it), so it connects. Without a server it reports what this library
 * implements: the program then finds out at cuInit. cuGetProcAddress never connects: what is asked
 * for is ours to give, and functions the server lacks say so when they are called.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "abi/error_text.h"
#include "abi/export_table.h"
#include "abi/proc.h"
#include "gen/shim_custom.h"
#include "gen/shim_proc.h"
#include "shim/device.h"
#include "shim/session.h"
#include "shim/tables.h"

/* A worker that finds this name was given the tenant's library where a GPU driver's should be. */
__attribute__((visibility("default"))) extern const char rosen_shim_marker[];
const char rosen_shim_marker[] = "libcuda";

CUresult shim_cuInit(unsigned flags)
{
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	return session_open();
}

CUresult shim_cuDriverGetVersion(int *version)
{
	session_connect();
	*version = device_driver_version();
	return CUDA_SUCCESS;
}

CUresult shim_cuGetErrorString(CUresult error, const char **text)
{
	*text = abi_error_text(error);
	return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult shim_cuGetErrorName(CUresult error, const char **text)
{
	*text = abi_error_name(error);
	return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static struct abi_proc_table proc_table(void)
{
	return (struct abi_proc_table){shim_procs, shim_n_procs, CUDA_VERSION};
}

CUresult shim_cuGetProcAddress(const char *symbol, void **address, int version, uint64_t flags)
{
	struct abi_proc_table table = proc_table();

	return abi_proc_find_v1(&table, symbol, version, flags, address);
}

CUresult shim_cuGetProcAddress_v2(const char *symbol, void **address, int version, uint64_t flags,
    CUdriverProcAddressQueryResult *status)
{
	struct abi_proc_table table = proc_table();

	return abi_proc_find_v2(&table, symbol, version, flags, status, address);
}

/* Before cuInit the tables that describe devices have none to describe; libraries ask after it. */
CUresult shim_cuGetExportTable(const void **table, const CUuuid *id)
{
	return tables_get(table, id);
}

CUresult shim_cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
	const char *wanted = getenv("CUDA_MODULE_LOADING");

	*mode = wanted && !strcasecmp(wanted, "EAGER") ? CU_MODULE_EAGER_LOADING
						       : CU_MODULE_LAZY_LOADING;
	return CUDA_SUCCESS;
}
