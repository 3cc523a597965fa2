/*
 * The linker. Texts are collected, linked once on completion to find what is wrong with them, and
 * handed out as one image, which the loader reads like any other. The program may read the image's
 * bytes and store them, but they are PTX and not a cubin.
 */
#include "softgpu/driver/driver.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/file.h"
#include "softgpu/driver/jit_options.h"
#include "softgpu/driver/module.h"
#include "softgpu/image/image.h"

struct link_state {
	struct sg_text *texts; /* each owned */
	size_t n_texts, room;
	void *image; /* after completion */
	struct sg_jit_options jit;
};

static CUresult link_enter(CUlinkState handle, struct link_state **link)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*link = sg_handle_get(handle, SG_LINK);
	return *link ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* The options' buffers are written on completion: the program keeps them until then. */
CUresult cuLinkCreate_v2(
    unsigned n_options, CUjit_option *options, void **values, CUlinkState *handle)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && !handle)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct link_state *link = calloc(1, sizeof(*link));
	if (!link)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = sg_jit_options_read(&link->jit, n_options, options, values);
	if (r == CUDA_SUCCESS) {
		*handle = sg_handle_new(SG_LINK, link);
		r = *handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (r != CUDA_SUCCESS)
		free(link);
	return r;
}

CUresult cuLinkCreate(unsigned n_options, CUjit_option *options, void **values, CUlinkState *handle)
{
	return cuLinkCreate_v2(n_options, options, values, handle);
}

/* Keeps a copy: the program's data may go after the call. */
static CUresult link_add_text(struct link_state *link, const struct sg_text *text)
{
	if (link->n_texts == link->room) {
		size_t room = link->room ? 2 * link->room : 4;
		struct sg_text *more = reallocarray(link->texts, room, sizeof(*more));
		if (!more)
			return CUDA_ERROR_OUT_OF_MEMORY;
		link->texts = more;
		link->room = room;
	}
	char *copy = malloc(text->size + 1);
	if (!copy)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memcpy(copy, text->text, text->size);
	copy[text->size] = 0;
	link->texts[link->n_texts++] =
	    (struct sg_text){.text = copy, .size = text->size, .owned = copy};
	return CUDA_SUCCESS;
}

static CUresult link_add_image(struct link_state *link, const void *data, size_t size)
{
	struct sg_image image;
	CUresult r =
	    sg_module_image_result(sg_image_init(&image, data, size, sg_device.capability));

	if (r != CUDA_SUCCESS)
		return r;
	for (size_t i = 0; r == CUDA_SUCCESS && i < image.n_texts; i++)
		r = link_add_text(link, &image.texts[i]);
	sg_image_fini(&image);
	return r;
}

/* NVIDIA's device runtime (libcudadevrt.a), by the member that it consists of. The software GPU's
 * own takes its place. */
static bool is_device_runtime(const void *data, size_t size)
{
	static const char archive[] = "!<arch>\n", member[] = "cuda_device_runtime.o";

	return size > sizeof(archive) && !memcmp(data, archive, sizeof(archive) - 1) &&
	       memmem(data, MIN(size, (size_t)65536), member, sizeof(member) - 1);
}

static bool options_are_given(unsigned n, const CUjit_option *options, void *const *values)
{
	return !n || (options && values);
}

CUresult cuLinkAddData_v2(CUlinkState handle, CUjitInputType type, void *data, size_t size,
    const char *name, unsigned n_options, CUjit_option *options, void **values)
{
	struct link_state *link;
	CUresult r = link_enter(handle, &link);

	if (r == CUDA_SUCCESS &&
	    (!data || !size || !options_are_given(n_options, options, values) ||
		type >= CU_JIT_NUM_INPUT_TYPES))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	switch (type) {
	case CU_JIT_INPUT_PTX:
	case CU_JIT_INPUT_FATBINARY:
		return link_add_image(link, data, size);
	case CU_JIT_INPUT_CUBIN:
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	case CU_JIT_INPUT_LIBRARY:
		if (is_device_runtime(data, size))
			return CUDA_SUCCESS;
		__attribute__((fallthrough));
	default:
		log_warn_once(
		    "only PTX, fatbins and the device runtime can be linked, not inputs of type %d",
		    (int)type);
		return CUDA_ERROR_NOT_SUPPORTED;
	}
}

CUresult cuLinkAddData(CUlinkState handle, CUjitInputType type, void *data, size_t size,
    const char *name, unsigned n_options, CUjit_option *options, void **values)
{
	return cuLinkAddData_v2(handle, type, data, size, name, n_options, options, values);
}

CUresult cuLinkAddFile_v2(CUlinkState handle, CUjitInputType type, const char *path,
    unsigned n_options, CUjit_option *options, void **values)
{
	struct link_state *link;
	size_t size;
	char *data;
	CUresult r = link_enter(handle, &link);

	if (r == CUDA_SUCCESS &&
	    (!options_are_given(n_options, options, values) || type >= CU_JIT_NUM_INPUT_TYPES))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = sg_file_read(path, &data, &size);
	if (r != CUDA_SUCCESS)
		return r;
	r = cuLinkAddData_v2(handle, type, data, size, path, n_options, options, values);
	free(data);
	return r;
}

CUresult cuLinkAddFile(CUlinkState handle, CUjitInputType type, const char *path,
    unsigned n_options, CUjit_option *options, void **values)
{
	return cuLinkAddFile_v2(handle, type, path, n_options, options, values);
}

/* The image lives as long as the state. */
CUresult cuLinkComplete(CUlinkState handle, void **image, size_t *size)
{
	struct sg_module *module = NULL;
	struct link_state *link;
	CUresult r = link_enter(handle, &link);

	if (r == CUDA_SUCCESS && (!image || link->image || !link->n_texts))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	r = sg_module_link(link->texts, link->n_texts, 0, &link->jit, &module);
	sg_jit_options_answer(&link->jit);
	if (r != CUDA_SUCCESS)
		return r;
	sg_module_unload(module);
	size_t packed_size;
	link->image = sg_image_pack(link->texts, link->n_texts, &packed_size);
	if (!link->image)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*image = link->image;
	if (size)
		*size = packed_size;
	return CUDA_SUCCESS;
}

CUresult cuLinkDestroy(CUlinkState handle)
{
	struct link_state *link;
	CUresult r = link_enter(handle, &link);

	if (r != CUDA_SUCCESS)
		return r;
	sg_handle_free(handle);
	for (size_t i = 0; i < link->n_texts; i++)
		free(link->texts[i].owned);
	free(link->texts);
	free(link->image);
	free(link);
	return CUDA_SUCCESS;
}
