/*
 * The list that reference.h is about: one node per reference, under the worker's memory lock. Its
 * length is bounded by what the table of objects may hold, where every reference has its id.
 */
#include "worker/reference.h"

#include <stdlib.h>

#include "gen/worker_custom.h"
#include "worker/worker.h"

struct reference {
	struct reference *next;
	CUmodule module;
	enum handle_kind kind;
	uint64_t real;
};

static CUresult note(struct call *call, CUmodule module, enum handle_kind kind, uint64_t real)
{
	struct worker *worker = call->worker;
	CUresult r = CUDA_SUCCESS;

	if (!call_id_of(call, kind, real))
		return call->error ?: CUDA_ERROR_UNKNOWN;
	pthread_mutex_lock(&worker->memory_lock);
	struct reference *known = worker->references;
	while (known && (known->real != real || known->kind != kind))
		known = known->next;
	struct reference *fresh = known ? NULL : malloc(sizeof(*fresh));
	if (fresh) {
		*fresh = (struct reference){worker->references, module, kind, real};
		worker->references = fresh;
	} else if (!known) {
		r = CUDA_ERROR_OUT_OF_MEMORY;
	}
	pthread_mutex_unlock(&worker->memory_lock);
	return r;
}

CUresult worker_cuModuleGetTexRef(struct call *call, struct args_cuModuleGetTexRef *a)
{
	CUresult r = call->backend->cuModuleGetTexRef(a->texture, a->module, a->name);

	return r ?: note(call, a->module, HANDLE_TEXREF, (uint64_t)*a->texture);
}

CUresult worker_cuModuleGetSurfRef(struct call *call, struct args_cuModuleGetSurfRef *a)
{
	CUresult r = call->backend->cuModuleGetSurfRef(a->surface, a->module, a->name);

	return r ?: note(call, a->module, HANDLE_SURFREF, (uint64_t)*a->surface);
}

void references_forget_module(struct call *call, CUmodule module)
{
	struct worker *worker = call->worker;

	pthread_mutex_lock(&worker->memory_lock);
	for (struct reference **at = &worker->references; *at;) {
		struct reference *reference = *at;
		if (reference->module != module) {
			at = &reference->next;
			continue;
		}
		uint64_t id = handles_id_of(worker->handles, reference->kind, reference->real);
		if (id)
			call_forget(call, reference->kind, id);
		*at = reference->next;
		free(reference);
	}
	pthread_mutex_unlock(&worker->memory_lock);
}

void references_free(struct worker *worker)
{
	while (worker->references) {
		struct reference *reference = worker->references;
		worker->references = reference->next;
		free(reference);
	}
}
