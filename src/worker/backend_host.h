/*
 * Opening a backend's library, and the functions the worker needs of it for its own ends though no
 * client can call them (so that they are not in gen/backend.h).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gen/backend.h"

struct backend_host {
	CUresult (*cuMemHostRegister_v2)(void *memory, size_t bytes, unsigned flags);
	CUresult (*cuMemHostUnregister)(void *memory);
	CUresult (*cuMemHostGetDevicePointer_v2)(
	    CUdeviceptr *address, void *memory, unsigned flags);
	/* Bytes of device memory in use, on the software GPU; NULL: the backend has no such
	 * word. */
	uint64_t (*rosen_softgpu_memory)(void);
};

/*
 * Opens path, the library of that enum control_backend (empty: libcuda.so.1 as the dynamic linker
 * finds it), and fills both. Refuses Rosen's own shim, which would make the worker a client of
 * itself. 0, or a negative errno, and then text (size bytes) says what failed and what to do.
 */
int backend_open(uint32_t which, const char *path, struct backend *backend,
    struct backend_host *host, char *text, size_t size);
