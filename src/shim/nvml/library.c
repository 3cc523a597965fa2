/*
 * Finds libcuda.so.1: the one in this library's own folder and no other, since only that one has
 * the bridge. A program that uses CUDA has it loaded already, and gets the same object again.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "shim/nvml/internal.h"

static bool beside(const char *name, char path[PATH_MAX])
{
	Dl_info info;

	if (!dladdr((void *)nvml_libcuda_find, &info) || !info.dli_fname)
		return false;
	const char *slash = strrchr(info.dli_fname, '/');
	int folder = slash ? (int)(slash - info.dli_fname) + 1 : 0;
	return snprintf(path, PATH_MAX, "%.*s%s", folder, info.dli_fname, name) < PATH_MAX;
}

nvmlReturn_t nvml_libcuda_find(struct nvml_libcuda *libcuda)
{
	static const CUuuid id = NVML_BRIDGE_ID;
	CUresult (*get_table)(const void **table, const CUuuid *id);
	const void *table = NULL;
	char path[PATH_MAX];

	if (!beside("libcuda.so.1", path))
		return NVML_ERROR_LIBRARY_NOT_FOUND;
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		log_error("cannot load the libcuda.so.1 that belongs to this libnvidia-ml.so.1: %s",
		    dlerror());
		return NVML_ERROR_LIBRARY_NOT_FOUND;
	}
	*(void **)&libcuda->driver_version = dlsym(library, "cuDriverGetVersion");
	*(void **)&get_table = dlsym(library, "cuGetExportTable");
	if (libcuda->driver_version && get_table && get_table(&table, &id) == CUDA_SUCCESS)
		libcuda->bridge = table;
	if (libcuda->bridge && libcuda->bridge->size >= sizeof(*libcuda->bridge))
		return NVML_SUCCESS;
	log_error("%s is not the library that belongs to this libnvidia-ml.so.1: install both from "
		  "one release of Rosen",
	    path);
	libcuda->bridge = NULL;
	dlclose(library);
	return NVML_ERROR_LIB_RM_VERSION_MISMATCH;
}
