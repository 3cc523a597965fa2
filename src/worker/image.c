/*
 * Modules and libraries from images. The image is a private copy of bytes the client sent; before
 * the backend's own parser sees it, it is measured (abi/image.h), so that its size fields do not
 * reach beyond the copy. Text that lacks its zero gets one. A wrapper of relocatable code is put
 * together again from its fatbin and the prelinked ones that came behind it.
 *
 * Loading compiles and may wait for the GPU: all of this runs on waiters.
 */
#include <string.h>

#include "abi/image.h"
#include "base/log.h"
#include "gen/worker_custom.h"
#include "worker/image_store.h"
#include "worker/jit_options.h"
#include "worker/layout.h"
#include "worker/mirror.h"
#include "worker/prints.h"
#include "worker/reference.h"
#include "worker/worker.h"

#define NAMES_MAX 65536u /* functions of one module whose ids are ended with it */

/* --- images --- */

/* A wrapper over image and the fatbins that lie one behind the other in prelinked. */
static CUresult wrap(
    struct call *call, const void *image, const uint8_t *prelinked, size_t size, const void **out)
{
	struct abi_wrapper *wrapper = call_take(call, sizeof(*wrapper));
	const void **list = call_take(call, (ABI_IMAGE_PRELINKED_MAX + 1) * sizeof(*list));
	struct abi_image part;
	size_t n = 0;

	if (!wrapper || !list)
		return call->error;
	for (size_t at = 0; at < size; at += part.size) {
		if (n == ABI_IMAGE_PRELINKED_MAX ||
		    abi_image_measure(prelinked + at, size - at, &part) < 0 ||
		    part.kind != ABI_IMAGE_FATBIN || !part.size || part.size > size - at)
			return CUDA_ERROR_INVALID_IMAGE;
		list[n++] = prelinked + at;
	}
	*wrapper = (struct abi_wrapper){ABI_WRAPPER_MAGIC, 2, image, list};
	*out = wrapper;
	return CUDA_SUCCESS;
}

/* What the backend is given for the client's bytes. */
static CUresult open_image(struct call *call, const void *image, size_t size, const void *prelinked,
    size_t prelinked_size, const void **out, struct abi_image *measured)
{
	if (!image || abi_image_measure(image, size, measured) < 0 || measured->size > size ||
	    measured->kind == ABI_IMAGE_WRAPPER) /* holds addresses, which are never the client's */
		return CUDA_ERROR_INVALID_IMAGE;
	if (prelinked_size)
		return measured->kind == ABI_IMAGE_FATBIN
			   ? wrap(call, image, prelinked, prelinked_size, out)
			   : CUDA_ERROR_INVALID_IMAGE;
	*out = image;
	if (measured->kind != ABI_IMAGE_PTX || !((const char *)image)[measured->size - 1])
		return CUDA_SUCCESS;
	char *text = call_take(call, measured->size + 1);
	*out = text;
	return text ? (memcpy(text, image, measured->size), CUDA_SUCCESS) : call->error;
}

struct load {
	const void *held; /* the store's, to be given back; NULL: none */
	struct image_keeping keeping;
	bool is_kept; /* meanwhile */
	const void *image;
	struct abi_image measured; /* without what was prelinked, which is in it too */
	void **values;
};

#define SOURCE(a)                                                                                  \
	{                                                                                          \
	    (a)->image,                                                                            \
	    (a)->image_bytes,                                                                      \
	    (a)->prelinked,                                                                        \
	    (a)->prelinked ? (a)->prelinked_bytes : 0,                                             \
	    (a)->options && (a)->values ? (a)->n_options : 0,                                      \
	    (a)->options,                                                                          \
	    (a)->values,                                                                           \
	    {(a)->info, (a)->errors, (a)->info_bytes, (a)->error_bytes},                           \
	}

struct source {
	const void *image;
	size_t bytes;
	const void *prelinked;
	size_t prelinked_bytes;
	unsigned n;
	const CUjit_option *options;
	const uint64_t *values;
	struct jit_logs logs;
};

/* --- images that came before --- */

/* The image that the client refers to, if that is what it sent. */
static CUresult resolve(struct call *call, struct source *source, struct load *load)
{
	struct image_reference reference;

	if (!source->image || source->bytes != sizeof(reference))
		return CUDA_SUCCESS;
	memcpy(&reference, source->image, sizeof(reference));
	if (reference.magic != IMAGE_REFERENCE_MAGIC)
		return CUDA_SUCCESS;
	load->held = image_store_take(call->worker->images, &reference);
	if (!load->held)
		return IMAGE_NOT_KEPT;
	source->image = load->held;
	source->bytes = reference.size;
	return CUDA_SUCCESS;
}

/* What came large and alone is kept while the backend reads it. */
static void keep(struct call *call, const struct source *source, struct load *load)
{
	load->is_kept = !load->held && !source->prelinked_bytes && call_job(call)->attachment &&
			source->bytes >= IMAGE_REFERENCE_LEAST;
	if (load->is_kept)
		image_store_begin(
		    call->worker->images, source->image, source->bytes, &load->keeping);
}

static CUresult close_load(struct call *call, struct load *load, CUresult r)
{
	if (load->held)
		image_store_give(call->worker->images, load->held);
	if (load->is_kept)
		image_store_end(call->worker->images, &load->keeping);
	return r;
}

static CUresult open_load(struct call *call, struct source *source, struct load *load)
{
	load->held = NULL;
	load->is_kept = false;
	CUresult r = resolve(call, source, load);
	if (r == CUDA_SUCCESS)
		r = open_image(call, source->image, source->bytes, source->prelinked,
		    source->prelinked_bytes, &load->image, &load->measured);

	if (r != CUDA_SUCCESS)
		return r;
	keep(call, source, load);
	load->values = call_take(call, (source->n + 1) * sizeof(*load->values));
	if (!load->values)
		return call->error;
	return jit_values_in(
	    source->n, source->options, source->values, &source->logs, load->values);
}

CUresult worker_cuModuleLoadDataEx(struct call *call, struct args_cuModuleLoadDataEx *a)
{
	struct source source = SOURCE(a);
	struct load load;
	CUresult r = open_load(call, &source, &load);

	if (r == CUDA_SUCCESS) {
		r = call->backend->cuModuleLoadDataEx(
		    a->module, load.image, source.n, (CUjit_option *)a->options, load.values);
		jit_values_out(source.n, a->options, load.values, a->values);
		if (r == CUDA_SUCCESS)
			prints_loaded(call, &load.measured, *a->module);
		else
			jit_keep_logs(call, &source.logs);
	}
	return close_load(call, &load, r);
}

CUresult worker_cuLibraryLoadData(struct call *call, struct args_cuLibraryLoadData *a)
{
	struct source source = SOURCE(a);
	struct load load;
	CUresult r = open_load(call, &source, &load);

	if (r == CUDA_SUCCESS) {
		r = call->backend->cuLibraryLoadData(a->library, load.image,
		    (CUjit_option *)a->options, load.values, source.n, NULL, NULL, 0);
		jit_values_out(source.n, a->options, load.values, a->values);
		if (r == CUDA_SUCCESS)
			prints_loaded(call, &load.measured, *a->library);
		else
			jit_keep_logs(call, &source.logs);
	}
	return close_load(call, &load, r);
}

/* --- what is in them --- */

CUresult worker_cuModuleGetFunction(struct call *call, struct args_cuModuleGetFunction *a)
{
	CUresult r = call->backend->cuModuleGetFunction(a->function, a->module, a->name);

	if (r == CUDA_SUCCESS)
		prints_derived(call, a->module, *a->function);
	return r;
}

CUresult worker_cuLibraryGetKernel(struct call *call, struct args_cuLibraryGetKernel *a)
{
	CUresult r = call->backend->cuLibraryGetKernel(a->kernel, a->library, a->name);

	if (r == CUDA_SUCCESS)
		prints_derived(call, a->library, *a->kernel);
	return r;
}

CUresult worker_cuKernelGetFunction(struct call *call, struct args_cuKernelGetFunction *a)
{
	CUresult r = call->backend->cuKernelGetFunction(a->function, a->kernel);

	if (r == CUDA_SUCCESS)
		prints_derived(call, a->kernel, *a->function);
	return r;
}

/* --- unloading: the ids of what was in it end too --- */

static void forget_all(
    struct call *call, enum handle_kind kind, const uint64_t *handles, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t id = handles_id_of(call->worker->handles, kind, handles[i]);
		if (id)
			call_forget(call, handle_kind_of(id), id);
	}
}

CUresult worker_cuModuleUnload(struct call *call, struct args_cuModuleUnload *a)
{
	unsigned n = 0;
	CUfunction *functions = NULL;

	if (!a->module)
		return CUDA_ERROR_INVALID_HANDLE;
	if (call->backend->cuModuleGetFunctionCount(&n, a->module) == CUDA_SUCCESS && n &&
	    n <= NAMES_MAX)
		functions = call_take(call, n * sizeof(*functions));
	if (!functions ||
	    call->backend->cuModuleEnumerateFunctions(functions, n, a->module) != CUDA_SUCCESS)
		n = 0;
	mirrors_suspend(call->worker, (uint64_t)a->module);
	CUresult r = call->backend->cuModuleUnload(a->module);
	mirrors_resume(call, (uint64_t)a->module, NULL, r == CUDA_SUCCESS);
	if (r == CUDA_SUCCESS) {
		forget_all(call, HANDLE_FUNCTION, (const uint64_t *)functions, n);
		references_forget_module(call, a->module);
	}
	prints_forget(call->worker);
	layouts_forget(call->worker->layouts);
	return r;
}

CUresult worker_cuLibraryUnload(struct call *call, struct args_cuLibraryUnload *a)
{
	unsigned n = 0;
	CUkernel *kernels = NULL;

	if (!a->library)
		return CUDA_ERROR_INVALID_HANDLE;
	if (call->backend->cuLibraryGetKernelCount(&n, a->library) == CUDA_SUCCESS && n &&
	    n <= NAMES_MAX)
		kernels = call_take(call, n * sizeof(*kernels));
	if (!kernels ||
	    call->backend->cuLibraryEnumerateKernels(kernels, n, a->library) != CUDA_SUCCESS)
		n = 0;
	mirrors_suspend(call->worker, (uint64_t)a->library);
	CUresult r = call->backend->cuLibraryUnload(a->library);
	mirrors_resume(call, (uint64_t)a->library, NULL, r == CUDA_SUCCESS);
	if (r == CUDA_SUCCESS)
		forget_all(call, HANDLE_KERNEL, (const uint64_t *)kernels, n);
	prints_forget(call->worker);
	layouts_forget(call->worker->layouts);
	return r;
}

/* --- variables: the managed ones are noted, so that they can be mirrored --- */

static CUresult note_managed(
    struct call *call, CUdeviceptr address, size_t bytes, uint64_t owner, CUcontext context)
{
	return mirrors_note(call->worker, address, bytes, owner, context)
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_OUT_OF_MEMORY;
}

/* What a lookup found, for the client. */
static CUresult give_variable(
    CUdeviceptr address, size_t bytes, CUdeviceptr *address_out, size_t *bytes_out)
{
	if (address_out)
		*address_out = address;
	if (bytes_out)
		*bytes_out = bytes;
	return CUDA_SUCCESS;
}

CUresult worker_cuModuleGetGlobal_v2(struct call *call, struct args_cuModuleGetGlobal_v2 *a)
{
	CUdeviceptr address;
	size_t bytes;
	CUresult r = call->backend->cuModuleGetGlobal_v2(&address, &bytes, a->module, a->name);

	if (r == CUDA_SUCCESS && mirrors_is_managed(call, address))
		r = note_managed(
		    call, address, bytes, (uint64_t)a->module, call_job(call)->from.context);
	return r ?: give_variable(address, bytes, a->address, a->bytes);
}

CUresult worker_cuLibraryGetGlobal(struct call *call, struct args_cuLibraryGetGlobal *a)
{
	CUdeviceptr address;
	size_t bytes;
	CUresult r = call->backend->cuLibraryGetGlobal(&address, &bytes, a->library, a->name);

	if (r == CUDA_SUCCESS && mirrors_is_managed(call, address))
		r = note_managed(call, address, bytes, (uint64_t)a->library, NULL);
	return r ?: give_variable(address, bytes, a->address, a->bytes);
}

CUresult worker_cuLibraryGetManaged(struct call *call, struct args_cuLibraryGetManaged *a)
{
	CUdeviceptr address;
	size_t bytes;
	CUresult r = call->backend->cuLibraryGetManaged(&address, &bytes, a->library, a->name);

	if (r == CUDA_SUCCESS)
		r = note_managed(call, address, bytes, (uint64_t)a->library, NULL);
	return r ?: give_variable(address, bytes, a->address, a->bytes);
}

CUresult worker_cuLibraryGetUnifiedFunction(
    struct call *call, struct args_cuLibraryGetUnifiedFunction *a)
{
	void *function;
	CUresult r = call->backend->cuLibraryGetUnifiedFunction(&function, a->library, a->symbol);

	if (r != CUDA_SUCCESS)
		return r;
	log_warn_once("functions for host and device at one address (%s) are not supported: the "
		      "program cannot call this process's code",
	    a->symbol);
	return CUDA_ERROR_NOT_SUPPORTED;
}
