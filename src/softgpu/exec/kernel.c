/*
 * Kernels: the functions one can reach, its shared memory's layout, its facts, and its native
 * code, made once at the first need.
 *
 * A .shared variable belongs to every kernel that reaches it, at an offset of that kernel's own:
 * the offset is written into the variable just before the translation, under the module's lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "softgpu/exec/exec.h"
#include "softgpu/exec/module-private.h"

/* There are none; programs compute occupancy from them. 64 never keep 1024 threads from running. */
#define REGISTERS_LEAST 16u
#define REGISTERS_MOST	64u

static void reach(struct sg_kernel *kernel, struct ptx_function *function, uint32_t stamp)
{
	function = function->definition;
	if (!function->has_body || function->visited == stamp ||
	    (function->is_entry && kernel->n_closure)) /* launched by this kernel, not called */
		return;
	function->visited = stamp;
	kernel->closure[kernel->n_closure++] = function;
}

/* Breadth first: the list is its own queue. */
static void find_closure(struct sg_kernel *kernel)
{
	struct sg_module *module = kernel->module;
	uint32_t stamp = kernel->function->serial + 1;

	reach(kernel, kernel->function, stamp);
	for (size_t i = 0; i < kernel->n_closure; i++) {
		struct ptx_function *f = kernel->closure[i];

		for (struct ptx_reference *r = f->references; r; r = r->next) {
			if (r->function && r->is_call)
				reach(kernel, r->function, stamp);
			if (r->function && !strcmp(r->function->name, "vprintf"))
				kernel->info.uses_printf = true;
		}
		kernel->needs_fibers |= jit_needs_fibers(f);
		kernel->uses_cluster |= jit_uses_cluster(f);
		kernel->has_indirect_call |= f->has_indirect_call;
		kernel->uses_reserved_shared |= f->uses_reserved_shared;
		for (size_t h = 0; f->has_indirect_call && h < module->n_handles; h++)
			reach(kernel, module->handles[h], stamp);
		for (struct ptx_variable *v = f->variables; v; v = v->next)
			if (v->space == PTX_SPACE_LOCAL)
				kernel->info.local_bytes +=
				    (uint32_t)align_up(MIN(v->size, 1u << 30), 16);
	}
}

static void place_one(struct ptx_variable *v, uint64_t *size)
{
	*size = align_up(*size, v->align);
	v->offset = (uint32_t)*size;
	*size += v->size;
	if (*size > UINT32_MAX / 2)
		*size = UINT32_MAX / 2;
}

/* Of the shared variables that the kernel names and that have no place yet, the first declared. */
static struct ptx_variable *next_shared(const struct sg_kernel *kernel, bool is_dynamic)
{
	struct ptx_variable *first = NULL;

	for (size_t i = 0; i < kernel->n_closure; i++)
		for (struct ptx_reference *r = kernel->closure[i]->references; r; r = r->next) {
			struct ptx_variable *v = r->variable ? r->variable->definition : NULL;

			if (!v || v->space != PTX_SPACE_SHARED || v->is_pinned ||
			    (v->size == 0) != is_dynamic ||
			    v->placed_for == kernel->module->placements)
				continue;
			if (!first || v->id < first->id)
				first = v;
		}
	return first;
}

static void place_all(const struct sg_kernel *kernel, bool is_dynamic, uint64_t *size)
{
	struct ptx_variable *v;

	while ((v = next_shared(kernel, is_dynamic))) {
		v->placed_for = kernel->module->placements;
		place_one(v, size);
	}
}

/*
 * In the order of their declarations, as ptxas does: lanes whose results are dropped may read
 * behind one variable, in NVIDIA's libraries too, and the next should be there. Dynamic memory, of
 * no size of its own, comes behind everything static.
 */
uint32_t kernel_place_shared(struct sg_kernel *kernel)
{
	uint64_t size = kernel->module->pinned_bytes, static_size;

	kernel->module->placements++;
	place_all(kernel, false, &size);
	static_size = size;
	size = align_up(size, 16);
	place_all(kernel, true, &size);
	kernel->dynamic_offset = (uint32_t)size;
	return (uint32_t)static_size;
}

static uint32_t product(const uint32_t n[3])
{
	uint64_t all = (uint64_t)MAX(n[0], 1u) * MAX(n[1], 1u) * MAX(n[2], 1u);

	return (uint32_t)MIN(all, (uint64_t)SG_MAX_BLOCK_THREADS);
}

static int describe_params(struct sg_kernel *kernel)
{
	const struct ptx_function *f = kernel->function;
	struct sg_kernel_param *params =
	    pool_take(&kernel->module->pool, f->n_params * sizeof(*params));

	if (!params)
		return error_origin(-ENOMEM);
	for (uint32_t i = 0; i < f->n_params; i++)
		params[i] = (struct sg_kernel_param){
		    f->params[i]->offset, (uint32_t)f->params[i]->size, f->params[i]->align};
	kernel->info.params = params;
	kernel->info.n_params = f->n_params;
	kernel->info.param_bytes = f->param_bytes;
	return 0;
}

int kernel_init(struct sg_kernel *kernel, struct sg_module *module, struct ptx_function *function)
{
	struct sg_kernel_info *info = &kernel->info;

	kernel->module = module;
	kernel->function = function;
	kernel->closure = calloc(module->n_functions, sizeof(*kernel->closure));
	if (!kernel->closure)
		return error_origin(-ENOMEM);
	info->name = function->name;
	info->const_bytes = module->const_bytes;
	info->ptx_version = function->unit->version;
	info->target = function->unit->target;
	info->registers = MIN(REGISTERS_LEAST + function->n_registers / 8, REGISTERS_MOST);
	memcpy(info->max_ntid, function->max_ntid, sizeof(info->max_ntid));
	memcpy(info->required_ntid, function->required_ntid, sizeof(info->required_ntid));
	memcpy(info->required_cluster, function->required_cluster, sizeof(info->required_cluster));
	info->must_have_cluster = function->explicit_cluster;
	info->blocks_are_clusters = function->blocks_are_clusters;
	info->max_threads_per_block = SG_MAX_BLOCK_THREADS;
	if (info->max_ntid[0])
		info->max_threads_per_block = product(info->max_ntid);
	find_closure(kernel);
	kernel_init_variants(kernel);
	info->uses_collectives = kernel->needs_fibers;
	info->shared_bytes = kernel_place_shared(kernel);
	return describe_params(kernel);
}

void kernel_fini(struct sg_kernel *kernel)
{
	for (unsigned i = 0; i < MOST_VARIANTS; i++)
		jit_code_free(kernel->variants[i].code);
	free(kernel->closure);
}

const struct sg_kernel_info *sg_kernel_info(const struct sg_kernel *kernel)
{
	return &kernel->info;
}
