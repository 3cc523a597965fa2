/*
 * Linking the texts of a module: externs find their definitions, variables their addresses,
 * functions whose address is taken a handle; initial values are written.
 *
 * A weak symbol defined several times is taken from the first text. An extern shared array without
 * a size is dynamic shared memory and needs no definition; the machine's own functions
 * (vprintf...) and functions nobody calls need none either.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "softgpu/exec/module-private.h"

#define DATA_ALIGN 256u

struct symbol {
	const char *name;
	struct ptx_variable *variable;
	struct ptx_function *function;
};

struct linker {
	struct sg_module *module;
	struct sg_log *error_log;
	struct symbol *symbols; /* open hash of what other texts may see */
	size_t capacity;
	bool failed;
};

static struct symbol *find(struct linker *linker, const char *name)
{
	uint32_t h = 2166136261u;
	size_t at;

	for (const char *c = name; *c; c++)
		h = (h ^ (unsigned char)*c) * 16777619u;
	for (at = h % linker->capacity; linker->symbols[at].name; at = (at + 1) % linker->capacity)
		if (!strcmp(linker->symbols[at].name, name))
			break;
	return &linker->symbols[at];
}

static bool is_exported(enum ptx_linkage linkage)
{
	return linkage == PTX_LINKAGE_VISIBLE || linkage == PTX_LINKAGE_WEAK ||
	       linkage == PTX_LINKAGE_COMMON;
}

static void publish(struct linker *linker, struct ptx_unit *unit)
{
	for (struct ptx_variable *v = unit->variables; v; v = v->next) {
		struct symbol *symbol =
		    v->scope || !is_exported(v->linkage) ? NULL : find(linker, v->name);

		if (!symbol)
			continue;
		symbol->name = v->name;
		if (symbol->variable)
			v->definition = symbol->variable;
		else
			symbol->variable = v;
	}
	for (struct ptx_function *f = unit->functions; f; f = f->next) {
		struct symbol *symbol =
		    !f->has_body || !is_exported(f->linkage) || jit_is_system_function(f->name)
			? NULL
			: find(linker, f->name);

		if (!symbol)
			continue;
		symbol->name = f->name;
		if (symbol->function)
			f->definition = symbol->function;
		else
			symbol->function = f;
	}
}

static int build_symbols(struct linker *linker)
{
	size_t count = 0;

	for (size_t i = 0; i < linker->module->n_units; i++)
		count +=
		    linker->module->units[i]->n_variables + linker->module->units[i]->n_functions;
	linker->capacity = count * 2 + 1;
	linker->symbols = calloc(linker->capacity, sizeof(*linker->symbols));
	if (!linker->symbols)
		return error_origin(-ENOMEM);
	for (size_t i = 0; i < linker->module->n_units; i++)
		publish(linker, linker->module->units[i]);
	return 0;
}

static void unresolved(
    struct linker *linker, const struct ptx_unit *unit, uint32_t line, const char *name)
{
	log_format(linker->error_log, "%s:%u: \"%s\" is declared .extern but nowhere defined",
	    unit->name ?: "ptx", line, name);
	linker->failed = true;
}

static void resolve_variable(
    struct linker *linker, const struct ptx_unit *unit, struct ptx_variable *v)
{
	struct symbol *symbol;

	while (v->definition->definition != v->definition)
		v->definition = v->definition->definition;
	if (v->definition->linkage != PTX_LINKAGE_EXTERN)
		return;
	symbol = find(linker, v->name);
	if (symbol->variable)
		v->definition = symbol->variable;
	else if (v->space != PTX_SPACE_SHARED)
		unresolved(linker, unit, v->line, v->name);
}

static void resolve_function(
    struct linker *linker, const struct ptx_unit *unit, struct ptx_function *f)
{
	struct symbol *symbol;

	while (f->definition->definition != f->definition)
		f->definition = f->definition->definition;
	if (f->definition->has_body)
		return;
	symbol = find(linker, f->name);
	if (symbol->function)
		f->definition = symbol->function;
	else if (!jit_is_system_function(f->name) && (f->seen_by || f->called_by))
		unresolved(linker, unit, f->line, f->name);
}

static void resolve(struct linker *linker)
{
	for (size_t i = 0; i < linker->module->n_units; i++) {
		struct ptx_unit *unit = linker->module->units[i];

		for (struct ptx_variable *v = unit->variables; v; v = v->next)
			resolve_variable(linker, unit, v);
		for (struct ptx_function *f = unit->functions; f; f = f->next)
			resolve_function(linker, unit, f);
	}
}

static bool is_data(const struct ptx_variable *v)
{
	return (v->space == PTX_SPACE_GLOBAL || v->space == PTX_SPACE_CONST) && v->definition == v;
}

/* Calls visit for each variable that lives in device memory. */
static void each_data(
    struct sg_module *module, void (*visit)(struct sg_module *, struct ptx_variable *))
{
	for (size_t i = 0; i < module->n_units; i++)
		for (struct ptx_variable *v = module->units[i]->variables; v; v = v->next)
			if (is_data(v))
				visit(module, v);
}

static struct module_data *data_of(struct sg_module *module, const struct ptx_variable *v)
{
	return v->is_managed ? &module->managed : &module->data;
}

static void place(struct sg_module *module, struct ptx_variable *v)
{
	struct module_data *data = data_of(module, v);

	data->size = align_up(data->size, MAX(v->align, 16u));
	v->address = data->size; /* an offset until the memory is there */
	data->size += v->size;
	if (v->space == PTX_SPACE_CONST)
		module->const_bytes += (uint32_t)v->size;
}

static void move_to_memory(struct sg_module *module, struct ptx_variable *v)
{
	v->address += data_of(module, v)->address;
	if (v->image)
		memcpy((void *)v->address, v->image, v->image_size);
}

/* A shared variable whose address is in an initial value has the same place in every kernel. */
static void pin(struct sg_module *module, struct ptx_variable *v)
{
	if (v->is_pinned)
		return;
	v->is_pinned = true;
	module->pinned_bytes = align_up(module->pinned_bytes, v->align);
	v->offset = (uint32_t)module->pinned_bytes;
	module->pinned_bytes = MIN(module->pinned_bytes + v->size, (uint64_t)UINT32_MAX / 2);
}

static void relocate(struct linker *linker, const struct ptx_unit *unit, struct ptx_variable *v)
{
	for (struct ptx_relocation *r = v->relocations; r; r = r->next) {
		struct ptx_variable *target = r->variable ? r->variable->definition : NULL;
		uint64_t value = target ? target->address : r->function->definition->handle;

		if (target && target->space == PTX_SPACE_SHARED && target->size && !r->generic) {
			pin(linker->module, target);
			value = target->offset;
		} else if (target && !is_data(target)) {
			log_format(linker->error_log,
			    "%s:%u: the address of \"%s\" is not a constant", unit->name ?: "ptx",
			    v->line, target->name);
			linker->failed = true;
			continue;
		}
		value = (value + (uint64_t)r->addend) & r->mask;
		if (r->mask)
			value >>= __builtin_ctzll(r->mask);
		memcpy((void *)(v->address + r->offset), &value,
		    MIN(r->size, (uint32_t)sizeof(value)));
	}
}

static void relocate_all(struct linker *linker)
{
	for (size_t i = 0; i < linker->module->n_units; i++)
		for (struct ptx_variable *v = linker->module->units[i]->variables; v; v = v->next)
			if (is_data(v))
				relocate(linker, linker->module->units[i], v);
}

static void give_handle(struct sg_module *module, struct ptx_function *function)
{
	struct ptx_function *f = function->definition;

	if (f->handle)
		return;
	f->handle = SG_FUNCTION_BASE + 16 * module->n_handles;
	module->handles[module->n_handles++] = f;
}

static void give_relocated_handles(struct sg_module *module, struct ptx_variable *v)
{
	for (struct ptx_relocation *r = v->relocations; r; r = r->next)
		if (r->function)
			give_handle(module, r->function);
}

static int number_functions(struct sg_module *module)
{
	size_t count = 0;

	for (size_t i = 0; i < module->n_units; i++)
		count += module->units[i]->n_functions;
	module->functions = calloc(count + 1, sizeof(*module->functions));
	module->handles = calloc(count + 1, sizeof(*module->handles));
	if (!module->functions || !module->handles)
		return error_origin(-ENOMEM);
	for (size_t i = 0; i < module->n_units; i++)
		for (struct ptx_function *f = module->units[i]->functions; f; f = f->next)
			if (f->has_body) {
				f->serial = (uint32_t)module->n_functions;
				module->functions[module->n_functions++] = f;
			}
	for (size_t i = 0; i < module->n_functions; i++)
		for (struct ptx_reference *r = module->functions[i]->references; r; r = r->next)
			if (r->function && !r->is_call)
				give_handle(module, r->function);
	each_data(module, give_relocated_handles);
	return 0;
}

static int take_memory(struct sg_module *module)
{
	const struct sg_memory_ops *memory = &module->memory;
	int r = 0;

	if (module->data.size)
		r = memory->alloc(
		    memory->context, module->data.size, DATA_ALIGN, &module->data.address);
	if (r == 0 && module->managed.size)
		r = (memory->alloc_managed ?: memory->alloc)(
		    memory->context, module->managed.size, DATA_ALIGN, &module->managed.address);
	return r;
}

static int link_all(struct linker *linker)
{
	struct sg_module *module = linker->module;
	int r = build_symbols(linker);

	if (r < 0)
		return r;
	resolve(linker);
	if (linker->failed)
		return SG_MODULE_UNRESOLVED;
	r = number_functions(module);
	if (r < 0)
		return r;
	each_data(module, place);
	r = take_memory(module);
	if (r < 0)
		return error_trace(r);
	each_data(module, move_to_memory);
	relocate_all(linker);
	return linker->failed ? SG_MODULE_INVALID : 0;
}

int module_link(struct sg_module *module, struct sg_log *error_log)
{
	struct linker linker = {.module = module, .error_log = error_log};
	int r = link_all(&linker);

	free(linker.symbols);
	return r;
}
