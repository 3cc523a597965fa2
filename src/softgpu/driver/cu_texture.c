/* Texture and surface objects' entries of the driver API. */
#include "softgpu/driver/driver.h"

#include <pthread.h>
#include <stdlib.h>

#include "softgpu/driver/stream.h"
#include "softgpu/driver/texture.h"

struct object {
	uint64_t number, context_id;
	CUDA_RESOURCE_DESC resource;
	CUDA_TEXTURE_DESC how;	      /* not of surfaces */
	CUDA_RESOURCE_VIEW_DESC view; /* if there is one */
	struct object *next;
};

static struct object *objects;
static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;

/* Enters the object, which becomes the list's; else it is freed. */
static CUresult object_enter(struct object *object, struct sg_texture *texture, uint64_t *number)
{
	texture->owner = object;
	object->number = sg_texture_new(texture);
	if (!object->number) {
		free(object);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	pthread_mutex_lock(&objects_lock);
	object->next = objects;
	objects = object;
	pthread_mutex_unlock(&objects_lock);
	*number = object->number;
	return CUDA_SUCCESS;
}

static CUresult object_make(const CUDA_RESOURCE_DESC *resource, const CUDA_TEXTURE_DESC *how,
    const CUDA_RESOURCE_VIEW_DESC *view, struct sg_texture *texture, uint64_t context_id,
    uint64_t *number)
{
	struct object *object = calloc(1, sizeof(*object));

	if (!object)
		return CUDA_ERROR_OUT_OF_MEMORY;
	object->context_id = context_id;
	object->resource = *resource;
	if (how)
		object->how = *how;
	if (view)
		object->view = *view;
	return object_enter(object, texture, number);
}

static bool lacks_array(const CUDA_RESOURCE_DESC *resource)
{
	return (resource->resType == CU_RESOURCE_TYPE_ARRAY && !resource->res.array.hArray) ||
	       (resource->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY &&
		   !resource->res.mipmap.hMipmappedArray);
}

static CUresult object_create(const CUDA_RESOURCE_DESC *resource, const CUDA_TEXTURE_DESC *how,
    const CUDA_RESOURCE_VIEW_DESC *view, bool is_surface, unsigned long long *number)
{
	struct sg_context *context;
	struct sg_texture texture;
	uint64_t made;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && (!number || !resource || (!how && !is_surface)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && !is_surface && lacks_array(resource))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = is_surface ? sg_surface_describe(resource, &texture)
			       : sg_texture_describe(resource, how, view, &texture);
	if (r == CUDA_SUCCESS)
		r = object_make(resource, how, view, &texture, context->id, &made);
	if (r == CUDA_SUCCESS)
		*number = made;
	return r;
}

CUresult cuTexObjectCreate(CUtexObject *number, const CUDA_RESOURCE_DESC *resource,
    const CUDA_TEXTURE_DESC *how, const CUDA_RESOURCE_VIEW_DESC *view)
{
	return object_create(resource, how, view, false, number);
}

CUresult cuSurfObjectCreate(CUsurfObject *number, const CUDA_RESOURCE_DESC *resource)
{
	return object_create(resource, NULL, NULL, true, number);
}

static void object_end(struct object **link)
{
	struct object *object = *link;

	*link = object->next;
	sg_texture_free(object->number);
	free(object);
}

/* Kernels may be using it. */
static CUresult object_destroy(uint64_t number, bool is_surface)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS || !number)
		return r;
	sg_engine_wait();
	r = CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&objects_lock);
	const struct sg_texture *texture = sg_texture_get(number, is_surface);
	for (struct object **link = &objects; texture && *link; link = &(*link)->next)
		if (*link == texture->owner) {
			object_end(link);
			r = CUDA_SUCCESS;
			break;
		}
	pthread_mutex_unlock(&objects_lock);
	return r;
}

CUresult cuTexObjectDestroy(CUtexObject number)
{
	return object_destroy(number, false);
}

CUresult cuSurfObjectDestroy(CUsurfObject number)
{
	return object_destroy(number, true);
}

void sg_texture_drop(uint64_t context_id)
{
	pthread_mutex_lock(&objects_lock);
	for (struct object **link = &objects; *link;)
		if ((*link)->context_id == context_id)
			object_end(link);
		else
			link = &(*link)->next;
	pthread_mutex_unlock(&objects_lock);
}

/* The object a query is about. */
static CUresult object_get(
    uint64_t number, bool is_surface, const void *output, const struct object **object)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	const struct sg_texture *texture = sg_texture_get(number, is_surface);
	if (!output || !texture || !texture->owner)
		return CUDA_ERROR_INVALID_VALUE;
	*object = texture->owner;
	return CUDA_SUCCESS;
}

/* A description as it was given. */
#define GETTER(name, object_type, is_surface, type, field)                                         \
	CUresult name(type *field, object_type number)                                             \
	{                                                                                          \
		const struct object *object;                                                       \
		CUresult r = object_get(number, is_surface, field, &object);                       \
                                                                                                   \
		if (r == CUDA_SUCCESS)                                                             \
			*field = object->field;                                                    \
		return r;                                                                          \
	}

GETTER(cuTexObjectGetResourceDesc, CUtexObject, false, CUDA_RESOURCE_DESC, resource)
GETTER(cuSurfObjectGetResourceDesc, CUsurfObject, true, CUDA_RESOURCE_DESC, resource)
GETTER(cuTexObjectGetTextureDesc, CUtexObject, false, CUDA_TEXTURE_DESC, how)
/* Of one made without: zeroes, as NVIDIA's driver says. */
GETTER(cuTexObjectGetResourceViewDesc, CUtexObject, false, CUDA_RESOURCE_VIEW_DESC, view)
