/*
 * The linker: its state is the worker's; here are the program's log buffers, which CUDA names once
 * when the state is created and writes at every later call, and the finished image, which belongs
 * to the state until it is destroyed.
 */
#include <stdlib.h>
#include <string.h>

#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/file.h"
#include "shim/jit.h"
#include "shim/object.h"

/* Attached to the id of a link state; never moves, see object.h. */
struct link {
	struct jit jit;
	void **values; /* the program's, which CUDA requires to stay as long as the state */
	void *image;
};

static struct link *link_of(CUlinkState state)
{
	return shim_object((uint64_t)state, HANDLE_LINK);
}

CUresult shim_cuLinkCreate_v2(
    unsigned n_options, CUjit_option *options, void **values, CUlinkState *state)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult r = jit_read(&link->jit, n_options, options, values);
	link->values = values;
	if (r == CUDA_SUCCESS)
		r = remote_cuLinkCreate_v2(n_options, link->jit.options, link->jit.values,
		    link->jit.info_bytes, link->jit.error_bytes, state);
	if (r == CUDA_SUCCESS && shim_object_attach((uint64_t)*state, HANDLE_LINK, link) == link)
		return CUDA_SUCCESS;
	free(link);
	return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_HANDLE : r;
}

CUresult shim_cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t bytes,
    const char *name, unsigned n_options, CUjit_option *options, void **values)
{
	struct link *link = link_of(state);
	struct jit own;

	if (!link)
		return CUDA_ERROR_INVALID_HANDLE;
	CUresult r = jit_read(&own, n_options, options, values);
	if (r != CUDA_SUCCESS)
		return r;
	r = remote_cuLinkAddData_v2(state, type, data, bytes, name, n_options, own.options,
	    own.values, link->jit.info, link->jit.info_bytes, link->jit.errors,
	    link->jit.error_bytes);
	if (r != CUDA_SUCCESS)
		jit_fetch_logs(&link->jit);
	return r;
}

CUresult shim_cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path,
    unsigned n_options, CUjit_option *options, void **values)
{
	void *bytes;
	size_t size;

	/* CUDA says so before it looks for the file. */
	if ((unsigned)type >= CU_JIT_NUM_INPUT_TYPES || (n_options && (!options || !values)))
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = file_read(path, &bytes, &size);
	if (r != CUDA_SUCCESS)
		return r;
	/* Text goes with the zero behind it, as the compiler demands. */
	r = shim_cuLinkAddData_v2(state, type, bytes, size + (type == CU_JIT_INPUT_PTX), path,
	    n_options, options, values);
	free(bytes);
	return r;
}

/* CU_JIT_WALL_TIME: a float in the program's slot. */
static void write_time(const struct link *link, float milliseconds)
{
	for (unsigned i = 0; i < link->jit.n; i++)
		if (link->jit.options[i] == CU_JIT_WALL_TIME)
			memcpy(&link->values[i], &milliseconds, sizeof(milliseconds));
}

CUresult shim_cuLinkComplete(CUlinkState state, void **image, size_t *bytes)
{
	struct link *link = link_of(state);
	uint64_t size;
	float milliseconds;

	if (!link)
		return CUDA_ERROR_INVALID_HANDLE;
	CUresult r = remote_cuLinkComplete(state, &size, &milliseconds, link->jit.info,
	    link->jit.info_bytes, link->jit.errors, link->jit.error_bytes);
	if (r != CUDA_SUCCESS) {
		jit_fetch_logs(&link->jit);
		return r;
	}
	write_time(link, milliseconds);
	free(link->image);
	link->image = size <= WIRE_IMAGE_MAX ? malloc(size ?: 1) : NULL;
	if (!link->image)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = remote_rosenLinkRead(state, link->image, size);
	if (r != CUDA_SUCCESS)
		return r;
	*image = link->image;
	if (bytes)
		*bytes = size;
	return CUDA_SUCCESS;
}

CUresult shim_cuLinkDestroy(CUlinkState state)
{
	struct link *link = link_of(state);
	void *image = link ? link->image : NULL;
	CUresult r = remote_cuLinkDestroy(state);

	if (r == CUDA_SUCCESS)
		free(image);
	return r;
}
