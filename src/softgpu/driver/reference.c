/* References and what is bound to them; see reference.h. */
#include "softgpu/driver/reference.h"

#include <pthread.h>
#include <stdlib.h>

#include "softgpu/driver/module.h"
#include "softgpu/driver/stream.h"
#include "softgpu/driver/texture.h"

static pthread_mutex_t reference_lock = PTHREAD_MUTEX_INITIALIZER; /* the modules' lists */

struct sg_reference *sg_reference_new(bool is_surface, uint64_t variable)
{
	struct sg_reference *reference = calloc(1, sizeof(*reference));

	if (!reference)
		return NULL;
	reference->handle =
	    sg_handle_new(is_surface ? SG_SURFACE_REFERENCE : SG_TEXTURE_REFERENCE, reference);
	if (!reference->handle) {
		free(reference);
		return NULL;
	}
	reference->is_surface = is_surface;
	reference->variable = variable;
	reference->format = CU_AD_FORMAT_FLOAT;
	reference->channels = 1;
	for (unsigned i = 0; i < 3; i++)
		reference->how.addressMode[i] = CU_TR_ADDRESS_MODE_CLAMP;
	return reference;
}

void sg_reference_free(struct sg_reference *reference)
{
	sg_texture_free(reference->number);
	sg_handle_free(reference->handle);
	free(reference);
}

CUresult sg_reference_find(
    struct sg_module_object *module, const char *name, bool is_surface, struct sg_reference **out)
{
	uint64_t variable;

	if (!sg_module_reference(module->module, name, is_surface, &variable))
		return CUDA_ERROR_NOT_FOUND;
	pthread_mutex_lock(&reference_lock);
	struct sg_reference *reference = module->references;
	while (reference && reference->variable != variable)
		reference = reference->next;
	if (!reference) {
		reference = sg_reference_new(is_surface, variable);
		if (reference) {
			reference->next = module->references;
			module->references = reference;
		}
	}
	pthread_mutex_unlock(&reference_lock);
	*out = reference;
	return reference ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

void sg_references_free(struct sg_module_object *module)
{
	while (module->references) {
		struct sg_reference *reference = module->references;

		module->references = reference->next;
		sg_reference_free(reference);
	}
}

/* The variable's new value; a number is kept for the reference's whole life. */
static CUresult reference_write(struct sg_reference *reference, const struct sg_texture *texture)
{
	if (texture && !reference->number)
		reference->number = sg_texture_new(texture);
	else if (texture)
		sg_texture_set(reference->number, texture);
	if (reference->variable)
		*(uint64_t *)reference->variable = texture ? reference->number : 0;
	return texture && !reference->number ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

CUresult sg_reference_apply(struct sg_reference *reference)
{
	struct sg_texture texture;
	CUresult r;

	sg_engine_wait();
	if (!reference->is_bound)
		return reference_write(reference, NULL);
	r = reference->is_surface
		? sg_surface_describe(&reference->resource, &texture)
		: sg_texture_describe(&reference->resource, &reference->how, NULL, &texture);
	if (r == CUDA_SUCCESS)
		return reference_write(reference, &texture);
	reference->is_bound = false;
	reference_write(reference, NULL);
	return r;
}
