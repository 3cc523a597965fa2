/* Modules: loading, unloading and what can be asked of them. Design in module.h; linking in
 * link.c. */
#include "softgpu/exec/module.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "softgpu/exec/module-private.h"

#define POOL_LIMIT (256u << 20)

/* One line; no-op without a log. */
void log_format(struct sg_log *log, const char *format, ...)
{
	va_list arguments;
	size_t room;
	int size;

	if (!log || !log->text || log->used + 1 >= log->capacity)
		return;
	room = log->capacity - log->used;
	va_start(arguments, format);
	size = vsnprintf(log->text + log->used, room, format, arguments);
	va_end(arguments);
	if (size > 0)
		log->used += MIN((size_t)size, room - 1);
	if (log->used + 1 < log->capacity) {
		log->text[log->used++] = '\n';
		log->text[log->used] = 0;
	}
}

/* The module's texts so far, and one more. */
static void note_text(struct sg_module *module, const struct sg_ptx_input *input)
{
	const char *name = input->name ?: "";
	const struct digest all[] = {
	    module->texts, digest_of(input->text, input->size), digest_of(name, strlen(name))};

	module->texts = digest_of(all, sizeof(all));
}

static int parse_all(struct sg_module *module, const struct sg_ptx_input *inputs, size_t n_inputs,
    struct sg_log *error_log)
{
	struct ptx_error error;

	module->units = calloc(n_inputs, sizeof(*module->units));
	if (!module->units)
		return error_origin(-ENOMEM);
	for (size_t i = 0; i < n_inputs; i++) {
		const char *name = NULL;

		if (n_inputs > 1 && inputs[i].name) {
			char *copy = pool_take(&module->pool, strlen(inputs[i].name) + 1);

			if (!copy)
				return error_origin(-ENOMEM);
			name = strcpy(copy, inputs[i].name);
		}
		module->units[i] = ptx_parse(name, inputs[i].text, inputs[i].size, &error);
		if (!module->units[i]) {
			log_format(error_log, "%s:%u: %s", name ?: "ptx", error.line, error.text);
			return SG_MODULE_INVALID;
		}
		module->n_units++;
		note_text(module, &inputs[i]);
	}
	return 0;
}

static int make_kernels(struct sg_module *module)
{
	size_t count = 0;

	for (size_t i = 0; i < module->n_functions; i++)
		count += module->functions[i]->is_entry;
	module->kernels = calloc(count + 1, sizeof(*module->kernels));
	if (!module->kernels)
		return error_origin(-ENOMEM);
	for (size_t i = 0; i < module->n_functions; i++) {
		struct ptx_function *f = module->functions[i];
		int r;

		if (!f->is_entry || f->definition != f)
			continue;
		r = kernel_init(&module->kernels[module->n_kernels++], module, f);
		if (r)
			return r;
	}
	return 0;
}

int sg_module_load(const struct sg_ptx_input *inputs, size_t n_inputs,
    const struct sg_memory_ops *memory, struct sg_log *info_log, struct sg_log *error_log,
    struct sg_module **out)
{
	struct sg_module *module = calloc(1, sizeof(*module));
	int r;

	if (!module)
		return error_origin(-ENOMEM);
	atomic_init(&module->holds, 1);
	pthread_mutex_init(&module->lock, NULL);
	pool_init(&module->pool, POOL_LIMIT);
	module->memory = *memory;
	r = n_inputs ? parse_all(module, inputs, n_inputs, error_log) : SG_MODULE_INVALID;
	if (!r)
		r = module_link(module, error_log);
	if (!r)
		r = make_kernels(module);
	if (r) {
		sg_module_unload(module);
		return r;
	}
	log_format(info_log,
	    "softgpu: %zu kernels, %zu bytes of variables; code is made at first launch",
	    module->n_kernels, module->data.size + module->managed.size);
	*out = module;
	return 0;
}

static void give_memory(struct sg_module *module, const struct module_data *data)
{
	if (data->address)
		module->memory.free(module->memory.context, data->address, data->size);
}

static void let_go(struct sg_module *module)
{
	/* Acquire-release: all use comes before the end. */
	if (atomic_fetch_sub_explicit(&module->holds, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < module->n_kernels; i++)
		kernel_fini(&module->kernels[i]);
	for (size_t i = 0; i < module->n_units; i++)
		ptx_unit_free(module->units[i]);
	free(module->units);
	free(module->functions);
	free(module->handles);
	free(module->kernels);
	pool_fini(&module->pool);
	pthread_mutex_destroy(&module->lock);
	free(module);
}

void sg_module_unload(struct sg_module *module)
{
	if (!module)
		return;
	/* Relaxed: a launch beside this is a race of the program's own threads. */
	atomic_store_explicit(&module->unloaded, true, memory_order_relaxed);
	give_memory(module, &module->data);
	give_memory(module, &module->managed);
	let_go(module);
}

void sg_kernel_hold(struct sg_kernel *kernel)
{
	/* Relaxed: whoever has the kernel knows that the module is there. */
	atomic_fetch_add_explicit(&kernel->module->holds, 1, memory_order_relaxed);
}

void sg_kernel_release(struct sg_kernel *kernel)
{
	let_go(kernel->module);
}

static const struct ptx_variable *find_data(const struct sg_module *module, const char *name)
{
	for (size_t i = 0; i < module->n_units; i++)
		for (const struct ptx_variable *v = module->units[i]->variables; v; v = v->next)
			if ((v->space == PTX_SPACE_GLOBAL || v->space == PTX_SPACE_CONST) &&
			    !v->scope && !strcmp(v->name, name))
				return v->definition;
	return NULL;
}

bool sg_module_global(
    const struct sg_module *module, const char *name, uint64_t *address, size_t *size)
{
	const struct ptx_variable *v = find_data(module, name);

	if (!v || ptx_type_is_reference(v->type))
		return false;
	*address = v->address;
	*size = v->size;
	return true;
}

bool sg_module_reference(
    const struct sg_module *module, const char *name, bool is_surface, uint64_t *address)
{
	const struct ptx_variable *v = find_data(module, name);

	if (!v || v->type != (is_surface ? PTX_TYPE_surfref : PTX_TYPE_texref))
		return false;
	*address = v->address;
	return true;
}

struct sg_kernel *sg_module_kernel(const struct sg_module *module, const char *name)
{
	for (size_t i = 0; i < module->n_kernels; i++)
		if (!strcmp(module->kernels[i].info.name, name))
			return &module->kernels[i];
	return NULL;
}

size_t sg_module_kernel_count(const struct sg_module *module)
{
	return module->n_kernels;
}

struct sg_kernel *sg_module_kernel_at(const struct sg_module *module, size_t index)
{
	return index < module->n_kernels ? &module->kernels[index] : NULL;
}
