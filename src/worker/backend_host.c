/* Opening a backend happens once, on the main thread, inside the jail; it is never closed, since
 * GPU drivers do not survive that. */
#include "worker/backend_host.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "wire/control.h"

static CUresult no_register(void *memory, size_t bytes, unsigned flags)
{
	log_warn_once("the GPU driver of this server has no cuMemHostRegister_v2");
	return CUDA_ERROR_NOT_SUPPORTED;
}

static CUresult no_unregister(void *memory)
{
	log_warn_once("the GPU driver of this server has no cuMemHostUnregister");
	return CUDA_ERROR_NOT_SUPPORTED;
}

static CUresult no_device_pointer(CUdeviceptr *address, void *memory, unsigned flags)
{
	log_warn_once("the GPU driver of this server has no cuMemHostGetDevicePointer_v2");
	return CUDA_ERROR_NOT_SUPPORTED;
}

static void load_host(struct backend_host *host, void *library)
{
	*(void **)&host->cuMemHostRegister_v2 = dlsym(library, "cuMemHostRegister_v2");
	*(void **)&host->cuMemHostUnregister = dlsym(library, "cuMemHostUnregister");
	*(void **)&host->cuMemHostGetDevicePointer_v2 =
	    dlsym(library, "cuMemHostGetDevicePointer_v2");
	*(void **)&host->rosen_softgpu_memory = dlsym(library, "rosen_softgpu_memory");
	if (!host->cuMemHostRegister_v2)
		host->cuMemHostRegister_v2 = no_register;
	if (!host->cuMemHostUnregister)
		host->cuMemHostUnregister = no_unregister;
	if (!host->cuMemHostGetDevicePointer_v2)
		host->cuMemHostGetDevicePointer_v2 = no_device_pointer;
}

/* What the linker says may begin with the library's name, or with that of another it needs. */
static void say_not_loaded(
    uint32_t which, const char *path, const char *name, char *text, size_t size)
{
	const char *why = dlerror() ?: "no reason given", *mend;
	size_t length = strlen(name);

	if (!strncmp(why, name, length) && !strncmp(why + length, ": ", 2))
		why += length + 2;
	if (which != CONTROL_BACKEND_CUDA)
		mend = "correct softgpu_library, or, if it is empty, install Rosen again";
	else if (*path)
		mend = "correct cuda_library, or leave it empty";
	else
		mend = "install NVIDIA's driver, or set cuda_library to its libcuda.so.1";
	snprintf(text, size, "cannot load %s: %s: %s", name, why, mend);
}

int backend_open(uint32_t which, const char *path, struct backend *backend,
    struct backend_host *host, char *text, size_t size)
{
	const char *name = path[0] ? path : "libcuda.so.1";
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		say_not_loaded(which, path, name, text, size);
		return error_origin(-ENOENT);
	}
	if (dlsym(library, "rosen_shim_marker")) {
		snprintf(text, size, "%s is Rosen's own client library, not a GPU driver: set %s",
		    name,
		    which == CONTROL_BACKEND_CUDA ? "cuda_library to NVIDIA's libcuda.so.1"
						  : "softgpu_library to the software GPU's");
		return error_origin(-ELOOP);
	}
	size_t missing = backend_load(backend, library);
	load_host(host, library);
	log_debug("%s loaded; it lacks %zu of the functions Rosen forwards", name, missing);
	return 0;
}
