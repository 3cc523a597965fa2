/*
 * Modules and libraries: their images leave the process as image.h says, their managed variables
 * get a mirror in it (mirror.h). What the shim knows of a module's variables ends with the module.
 */
#include <stdlib.h>

#include "abi/image.h"
#include "abi/managed.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/file.h"
#include "shim/graph_change.h"
#include "shim/image.h"
#include "shim/jit.h"
#include "shim/mirror.h"
#include "shim/range.h"
#include "shim/session.h"
#include "shim/thread.h"

/* What loading a module and loading a library have in common, before and after the call. */
static CUresult load_begin(struct image *image, struct jit *jit, const void *pointer, size_t limit,
    unsigned n_options, CUjit_option *options, void **values)
{
	CUresult r = jit_read(jit, n_options, options, values);

	return r == CUDA_SUCCESS ? image_open(image, pointer, limit, jit->n) : r;
}

static CUresult load_end(struct image *image, struct jit *jit, void **values, CUresult r)
{
	image_close(image);
	if (r != CUDA_SUCCESS)
		jit_fetch_logs(jit);
	jit_write_back(jit, values);
	return r;
}

static CUresult load_module(CUmodule *module, const void *pointer, size_t limit, unsigned n_options,
    CUjit_option *options, void **values)
{
	struct image image;
	struct jit jit;
	CUresult r = load_begin(&image, &jit, pointer, limit, n_options, options, values);

	if (r != CUDA_SUCCESS)
		return r;
	do
		r = remote_cuModuleLoadDataEx(module, image.bytes, image.size, image.prelinked,
		    image.prelinked_size, jit.n, jit.options, jit.values, jit.info, jit.info_bytes,
		    jit.errors, jit.error_bytes);
	while (image_again(&image, r));
	return load_end(&image, &jit, values, r);
}

CUresult shim_cuModuleLoadDataEx(
    CUmodule *module, const void *image, unsigned n_options, CUjit_option *options, void **values)
{
	if (!shim_thread.context)
		return CUDA_ERROR_INVALID_CONTEXT;
	return load_module(module, image, ABI_IMAGE_NO_LIMIT, n_options, options, values);
}

CUresult shim_cuModuleLoadData(CUmodule *module, const void *image)
{
	return shim_cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

CUresult shim_cuModuleLoadFatBinary(CUmodule *module, const void *image)
{
	return shim_cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

CUresult shim_cuModuleLoad(CUmodule *module, const char *path)
{
	void *bytes;
	size_t size;

	if (!shim_thread.context)
		return CUDA_ERROR_INVALID_CONTEXT;
	CUresult r = file_read(path, &bytes, &size);
	if (r != CUDA_SUCCESS)
		return r;
	r = load_module(module, bytes, size + 1, 0, NULL, NULL);
	free(bytes);
	return r;
}

CUresult shim_cuModuleUnload(CUmodule module)
{
	graph_changes_forget();
	CUresult r = remote_cuModuleUnload(module);

	if (r == CUDA_SUCCESS)
		range_drop_owner((uint64_t)module);
	return r;
}

/* --- variables --- */

static bool is_managed(CUdeviceptr address)
{
	unsigned managed = 0;

	return remote_cuPointerGetAttribute(&managed, sizeof(managed),
		   CU_POINTER_ATTRIBUTE_IS_MANAGED, address) == CUDA_SUCCESS &&
	       managed;
}

/* What was found: entered into the map, with a mirror if it is managed. */
static CUresult note(CUdeviceptr address, size_t size, uint64_t owner, const char *name, bool must)
{
	struct range range = {.start = address,
			 .size = size,
			 .kind = RANGE_GLOBAL,
			 .context = shim_thread.context,
			 .device = shim_thread.device,
			 .owner = owner},
		     present;
	CUresult r = CUDA_SUCCESS;

	if (range_find(address, &present) && present.owner == owner &&
	    (present.kind == RANGE_SHADOWED || !must))
		return CUDA_SUCCESS;
	if (must || is_managed(address)) {
		r = mirror_begin(address, size, name);
		if (r == CUDA_SUCCESS) {
			range.kind = RANGE_SHADOWED;
			managed_remove(address);
			managed_add(address, size);
		}
	}
	range_add(&range);
	/* Without a mirror it can still be copied from and to. */
	return must ? r : CUDA_SUCCESS;
}

struct found {
	CUdeviceptr address;
	size_t bytes;
};

static CUresult give(const struct found *found, CUdeviceptr *address, size_t *bytes)
{
	if (address)
		*address = found->address;
	if (bytes)
		*bytes = found->bytes;
	return CUDA_SUCCESS;
}

CUresult shim_cuModuleGetGlobal_v2(
    CUdeviceptr *address, size_t *bytes, CUmodule module, const char *name)
{
	struct found found;
	CUresult r = remote_cuModuleGetGlobal_v2(&found.address, &found.bytes, module, name);

	if (r == CUDA_SUCCESS)
		r = note(found.address, found.bytes, (uint64_t)module, name, false);
	return r ?: give(&found, address, bytes);
}

static CUresult load_library(CUlibrary *library, const void *pointer, size_t limit,
    CUjit_option *options, void **values, unsigned n_options)
{
	struct image image;
	struct jit jit;
	CUresult r = load_begin(&image, &jit, pointer, limit, n_options, options, values);

	if (r != CUDA_SUCCESS)
		return r;
	do
		r = remote_cuLibraryLoadData(library, image.bytes, image.size, image.prelinked,
		    image.prelinked_size, jit.n, jit.options, jit.values, jit.info, jit.info_bytes,
		    jit.errors, jit.error_bytes);
	while (image_again(&image, r));
	return load_end(&image, &jit, values, r);
}

/* Library options say how long the program keeps its copy of the image and where tables of host
 * functions are: the first does not matter to a copy, the second cannot cross. */
CUresult shim_cuLibraryLoadData(CUlibrary *library, const void *image, CUjit_option *options,
    void **values, unsigned n_options, CUlibraryOption *library_options, void **library_values,
    unsigned n_library_options)
{
	if (n_library_options && !library_options)
		return CUDA_ERROR_INVALID_VALUE;
	return load_library(library, image, ABI_IMAGE_NO_LIMIT, options, values, n_options);
}

CUresult shim_cuLibraryLoadFromFile(CUlibrary *library, const char *path, CUjit_option *options,
    void **values, unsigned n_options, CUlibraryOption *library_options, void **library_values,
    unsigned n_library_options)
{
	void *bytes;
	size_t size;

	if (n_options && (!options || !values))
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = file_read(path, &bytes, &size);
	if (r != CUDA_SUCCESS)
		return r;
	r = n_library_options && !library_options
		? CUDA_ERROR_INVALID_VALUE
		: load_library(library, bytes, size + 1, options, values, n_options);
	free(bytes);
	return r;
}

/* The runtime calls this from exit handlers, when the worker may be gone. */
CUresult shim_cuLibraryUnload(CUlibrary library)
{
	if (session_usable() != CUDA_SUCCESS)
		return CUDA_ERROR_DEINITIALIZED;
	graph_changes_forget();
	CUresult r = remote_cuLibraryUnload(library);
	if (r == CUDA_SUCCESS)
		range_drop_owner((uint64_t)library);
	return r;
}

CUresult shim_cuLibraryGetGlobal(
    CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name)
{
	struct found found;
	CUresult r = remote_cuLibraryGetGlobal(&found.address, &found.bytes, library, name);

	if (r == CUDA_SUCCESS)
		r = note(found.address, found.bytes, (uint64_t)library, name, false);
	return r ?: give(&found, address, bytes);
}

CUresult shim_cuLibraryGetManaged(
    CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name)
{
	struct found found;
	CUresult r = remote_cuLibraryGetManaged(&found.address, &found.bytes, library, name);

	if (r == CUDA_SUCCESS)
		r = note(found.address, found.bytes, (uint64_t)library, name, true);
	return r ?: give(&found, address, bytes);
}

CUresult shim_cuLibraryGetUnifiedFunction(void **function, CUlibrary library, const char *symbol)
{
	(void)function; /* the worker never finds one that could be given */
	if (!symbol)
		return shim_handle_alive((uint64_t)library, HANDLE_LIBRARY)
			   ? CUDA_ERROR_INVALID_VALUE
			   : CUDA_ERROR_INVALID_HANDLE;
	return remote_cuLibraryGetUnifiedFunction(library, symbol);
}
