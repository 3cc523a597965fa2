/*
 * Loading: image to PTX to module, with the log buffers of the JIT options; and the lists of what
 * is loaded. Function objects are made with their module, one per kernel, so that a lookup is a
 * search by name and handles stay the same for the module's life.
 */
#include "softgpu/driver/module.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "abi/image.h"
#include "abi/managed.h"
#include "base/log.h"
#include "base/util.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/driver.h"
#include "softgpu/driver/jit_options.h"
#include "softgpu/driver/reference.h"
#include "softgpu/driver/stream.h"
#include "softgpu/image/image.h"
#include "softgpu/mem/arena.h"

#define NEWEST_MACHINE_CODE 121 /* of CUDA 13's libraries: 12.1 */
#define MODULE_PTX_MAX	    99 /* any 9.x, of CUDA 13: its words that are new are refused by name */

static pthread_mutex_t module_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- what the machine needs from us ---- */

/* context: the owning module's context id. */
static int module_memory_alloc(void *context, size_t size, size_t align, uint64_t *address)
{
	struct sg_range range = {
	    .size = size, .kind = SG_RANGE_MODULE, .context_id = (uint64_t)context};
	int r = sg_arena_alloc(&range, align);

	if (r == 0)
		*address = range.address;
	return r;
}

/* What distinguishes it from cuMemAllocManaged's is an owner: it cannot be freed alone. */
static int module_memory_alloc_managed(void *context, size_t size, size_t align, uint64_t *address)
{
	struct sg_range range = {.size = size,
	    .kind = SG_RANGE_MANAGED,
	    .flags = CU_MEM_ATTACH_GLOBAL,
	    .context_id = (uint64_t)context,
	    .owner = &module_lock};
	int r = sg_arena_alloc(&range, align);

	if (r == 0 && !managed_add(range.address, size)) {
		sg_arena_free(range.address);
		r = -ENOMEM;
	}
	if (r == 0)
		*address = range.address;
	return r;
}

static void module_memory_free(void *context, uint64_t address, size_t size)
{
	managed_remove(address);
	sg_arena_free(address);
}

/* ---- loading ---- */

static CUresult module_result(int r)
{
	switch (r) {
	case 0:
		return CUDA_SUCCESS;
	case SG_MODULE_UNSUPPORTED:
		return CUDA_ERROR_NOT_SUPPORTED;
	case SG_MODULE_NO_COMPILER:
		return CUDA_ERROR_JIT_COMPILER_NOT_FOUND;
	case SG_MODULE_INVALID:
	case SG_MODULE_UNRESOLVED:
	case SG_MODULE_INTERNAL:
		return CUDA_ERROR_INVALID_PTX;
	default:
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
}

/* Code for one architecture alone runs on others too, as far as they are later, but for what counts
 * on tensor memory: only the families of 10.0 and 11.0 have that. */
static bool target_runs(const struct sg_text_head *head)
{
	unsigned claimed = (unsigned)sg_device.capability, family = head->target / 10;

	if (family > claimed / 10)
		return false;
	if (!head->letter || (family != 10 && family != 11))
		return true;
	if (head->letter == 'f' ? family == claimed / 10 : head->target == claimed)
		return true;
	log_info("a module is for sm_%u%c and the device claims %u.%u: set SOFTGPU_CC=%u.%u",
	    head->target, head->letter, claimed / 10, claimed % 10, family, head->target % 10);
	return false;
}

/* A text of a later language, or for a device beyond this one and its family, is refused before it
 * is read. */
static CUresult module_check_heads(const struct sg_text *texts, size_t n_texts)
{
	for (size_t i = 0; i < n_texts; i++) {
		struct sg_text_head head;
		sg_text_head_read(&texts[i], &head);
		if (head.version > MODULE_PTX_MAX)
			return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
		if (!target_runs(&head))
			return CUDA_ERROR_INVALID_PTX;
	}
	return CUDA_SUCCESS;
}

CUresult sg_module_link(const struct sg_text *texts, size_t n_texts, uint64_t context_id,
    struct sg_jit_options *jit, struct sg_module **module)
{
	const struct sg_memory_ops memory = {module_memory_alloc, module_memory_free,
	    (void *)context_id, module_memory_alloc_managed};
	CUresult result = module_check_heads(texts, n_texts);

	if (result != CUDA_SUCCESS)
		return result;
	struct sg_ptx_input *inputs = calloc(n_texts, sizeof(*inputs));
	if (!inputs)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < n_texts; i++)
		inputs[i] = (struct sg_ptx_input){NULL, texts[i].text, texts[i].size};
	int r = sg_module_load(inputs, n_texts, &memory, &jit->info, &jit->error, module);
	free(inputs);
	if (r != 0)
		log_info("a module was refused: %.*s", (int)jit->error.used, jit->error.text);
	return module_result(r);
}

/* NVIDIA's libraries have PTX beside machine code for devices that came after them, and choose it
 * on such a device only. */
static void explain_no_ptx(void)
{
	unsigned claimed = (unsigned)sg_device.capability;

	if (claimed > NEWEST_MACHINE_CODE)
		log_warn_once("an image has no PTX that a device of compute capability %u.%u runs, "
			      "and the software GPU runs nothing else",
		    claimed / 10, claimed % 10);
	else
		log_warn_once("an image has no PTX that a device of compute capability %u.%u runs, "
			      "and the software GPU runs nothing else: a program needs PTX of its "
			      "own; NVIDIA's libraries and compilers give theirs under `rosen run "
			      "--backend softgpu`",
		    claimed / 10, claimed % 10);
}

CUresult sg_module_image_result(int r)
{
	if (r == SG_IMAGE_NO_PTX)
		explain_no_ptx();
	return r == 0		       ? CUDA_SUCCESS
	       : r == SG_IMAGE_NO_PTX  ? CUDA_ERROR_NO_BINARY_FOR_GPU
	       : r == SG_IMAGE_INVALID ? CUDA_ERROR_INVALID_IMAGE
				       : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult module_read(
    const void *image, uint64_t context_id, struct sg_jit_options *jit, struct sg_module **module)
{
	struct sg_image texts;
	int r = sg_image_init(&texts, image, ABI_IMAGE_NO_LIMIT, sg_device.capability);

	if (r != 0)
		return sg_module_image_result(r);
	CUresult result = sg_module_link(texts.texts, texts.n_texts, context_id, jit, module);
	sg_image_fini(&texts);
	return result;
}

/* With the functions' handles; false: out of memory, and what was made is still to be ended. */
static bool module_make_functions(struct sg_module_object *object)
{
	size_t n = sg_module_kernel_count(object->module);

	object->functions = calloc(MAX(n, (size_t)1), sizeof(*object->functions));
	if (!object->functions)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct sg_function *function = &object->functions[i];
		object->n_functions++;
		function->kernel = sg_module_kernel_at(object->module, i);
		function->info = sg_kernel_info(function->kernel);
		function->module = object;
		function->carveout = CU_SHAREDMEM_CARVEOUT_DEFAULT;
		function->max_dynamic_shared = -1; /* not set */
		function->function = sg_handle_new(SG_FUNCTION, function);
		if (!object->context)
			function->kernel_handle = sg_handle_new(SG_KERNEL, function);
		if (!function->function || (!object->context && !function->kernel_handle))
			return false;
	}
	return true;
}

static void module_free(struct sg_module_object *object)
{
	for (size_t i = 0; i < object->n_functions; i++) {
		sg_handle_free(object->functions[i].function);
		sg_handle_free(object->functions[i].kernel_handle);
		free(object->functions[i].old.buffer);
	}
	sg_references_free(object);
	sg_handle_free(object->handle);
	sg_handle_free(object->library);
	sg_module_unload(object->module);
	free(object->functions);
	free(object);
}

static CUresult module_wrap(
    struct sg_module *module, struct sg_context *context, struct sg_module_object **out)
{
	struct sg_module_object *object = calloc(1, sizeof(*object));

	if (!object) {
		sg_module_unload(module);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	object->module = module;
	object->context = context;
	object->handle = sg_handle_new(SG_MODULE, object);
	if (!context)
		object->library = sg_handle_new(SG_LIBRARY, object);
	if (!object->handle || (!context && !object->library) || !module_make_functions(object)) {
		module_free(object);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (context) {
		pthread_mutex_lock(&module_lock);
		object->next = context->modules;
		context->modules = object;
		pthread_mutex_unlock(&module_lock);
	}
	*out = object;
	return CUDA_SUCCESS;
}

CUresult sg_module_open(const void *image, unsigned n_options, CUjit_option *options, void **values,
    struct sg_context *context, struct sg_module_object **out)
{
	struct sg_module *module = NULL;
	struct sg_jit_options jit;
	CUresult r = sg_jit_options_read(&jit, n_options, options, values);

	if (r == CUDA_SUCCESS && !image)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	r = module_read(image, context ? context->id : 0, &jit, &module);
	sg_jit_options_answer(&jit);
	return r == CUDA_SUCCESS ? module_wrap(module, context, out) : r;
}

void sg_module_close(struct sg_module_object *module)
{
	if (module->context) {
		pthread_mutex_lock(&module_lock);
		struct sg_module_object **link = &module->context->modules;
		while (*link && *link != module)
			link = &(*link)->next;
		if (*link)
			*link = module->next;
		pthread_mutex_unlock(&module_lock);
	}
	module_free(module);
}

void sg_module_unload_all(struct sg_context *context)
{
	while (context->modules)
		sg_module_close(context->modules);
}

struct sg_function *sg_function_get(CUfunction handle)
{
	return sg_handle_get(handle, SG_FUNCTION) ?: sg_handle_get(handle, SG_KERNEL);
}

CUresult sg_module_variable(
    const struct sg_module_object *module, const char *name, CUdeviceptr *address, size_t *size)
{
	uint64_t found;
	size_t found_size;

	if (!name || (!address && !size))
		return CUDA_ERROR_INVALID_VALUE;
	if (!sg_module_global(module->module, name, &found, &found_size))
		return CUDA_ERROR_NOT_FOUND;
	if (address)
		*address = found;
	if (size)
		*size = found_size;
	return CUDA_SUCCESS;
}

CUresult sg_module_list(CUmodule handle, CUfunction *functions, size_t capacity, size_t *n)
{
	const struct sg_module_object *module = sg_handle_get(handle, SG_MODULE);

	if (!module)
		return CUDA_ERROR_INVALID_HANDLE;
	for (size_t i = 0; i < MIN(capacity, module->n_functions); i++)
		functions[i] = module->functions[i].function;
	*n = module->n_functions;
	return CUDA_SUCCESS;
}
