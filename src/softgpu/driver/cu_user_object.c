/*
 * User objects: things of the program's that end when no graph needs them any more. References are
 * the program's, the graphs' and those of executable graphs and launches. The destructor runs on a
 * thread of its own: the last reference may go on a stream's thread, or under a call.
 */
#include "softgpu/driver/driver.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "softgpu/driver/graph.h"

struct sg_user_object {
	CUuserObject handle;
	/* A call gives or takes up to 2^31, so that these never run over. */
	_Atomic uint64_t references; /* all */
	_Atomic uint64_t owned;	     /* of them, the program's */
	CUhostFn destroy;
	void *address;
};

static void *run_destructor(void *argument)
{
	struct sg_user_object *object = argument;

	sg_in_callback = true;
	object->destroy(object->address);
	free(object);
	return NULL;
}

struct sg_user_references sg_user_object_ref(struct sg_user_references held)
{
	/* Relaxed: who copies references has some. */
	atomic_fetch_add_explicit(&held.object->references, held.n, memory_order_relaxed);
	return held;
}

void sg_user_object_unref(struct sg_user_references held)
{
	struct sg_user_object *object = held.object;
	pthread_t thread;

	/* Acquire-release: all use comes before the end. */
	if (atomic_fetch_sub_explicit(&object->references, held.n, memory_order_acq_rel) != held.n)
		return;
	sg_handle_free(object->handle);
	if (pthread_create(&thread, NULL, run_destructor, object)) {
		log_warn("a user object's destructor has no thread to run on: it is leaked");
		return;
	}
	pthread_detach(thread);
}

static CUresult object_enter(CUuserObject handle, unsigned count, struct sg_user_object **object)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*object = sg_handle_get(handle, SG_USER_OBJECT);
	return *object && count && count <= INT32_MAX ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuUserObjectCreate(
    CUuserObject *handle, void *address, CUhostFn destroy, unsigned count, unsigned flags)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!handle || !destroy || !count || count > INT32_MAX ||
				     flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_user_object *object = calloc(1, sizeof(*object));
	if (!object)
		return CUDA_ERROR_OUT_OF_MEMORY;
	object->handle = sg_handle_new(SG_USER_OBJECT, object);
	if (!object->handle) {
		free(object);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	atomic_init(&object->references, count);
	atomic_init(&object->owned, count);
	object->destroy = destroy;
	object->address = address;
	*handle = object->handle;
	return CUDA_SUCCESS;
}

CUresult cuUserObjectRetain(CUuserObject handle, unsigned count)
{
	struct sg_user_object *object;
	CUresult r = object_enter(handle, count, &object);

	if (r != CUDA_SUCCESS)
		return r;
	atomic_fetch_add_explicit(&object->owned, count, memory_order_relaxed);
	atomic_fetch_add_explicit(&object->references, count, memory_order_relaxed);
	return CUDA_SUCCESS;
}

/* The program's references, of which it may not give up more than it has. */
static bool give_up(struct sg_user_object *object, unsigned count)
{
	uint64_t owned = atomic_load_explicit(&object->owned, memory_order_relaxed);

	do {
		if (owned < count)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
	    &object->owned, &owned, owned - count, memory_order_relaxed, memory_order_relaxed));
	return true;
}

CUresult cuUserObjectRelease(CUuserObject handle, unsigned count)
{
	struct sg_user_object *object;
	CUresult r = object_enter(handle, count, &object);

	if (r == CUDA_SUCCESS && !give_up(object, count))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		sg_user_object_unref((struct sg_user_references){object, count});
	return r;
}

/* What a graph has of an object: a new entry with none, should it have none. NULL: no memory. */
static struct sg_user_references *held_by(struct sg_graph *graph, struct sg_user_object *object)
{
	for (size_t i = 0; i < graph->n_objects; i++)
		if (graph->objects[i].object == object)
			return &graph->objects[i];
	struct sg_user_references *grown =
	    reallocarray(graph->objects, graph->n_objects + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	graph->objects = grown;
	grown[graph->n_objects] = (struct sg_user_references){object, 0};
	return &grown[graph->n_objects++];
}

/* Entries without references are not kept. */
static void drop_if_none(struct sg_graph *graph, struct sg_user_references *held)
{
	if (!held->n)
		*held = graph->objects[--graph->n_objects];
}

CUresult cuGraphRetainUserObject(
    CUgraph graph_handle, CUuserObject handle, unsigned count, unsigned flags)
{
	struct sg_graph *graph = sg_graph_get(graph_handle);
	struct sg_user_object *object;
	CUresult r = object_enter(handle, count, &object);

	if (r == CUDA_SUCCESS && (!graph || (flags & ~(unsigned)CU_GRAPH_USER_OBJECT_MOVE)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_user_references *held = held_by(graph, object);
	if (!held)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (!flags)
		sg_user_object_ref((struct sg_user_references){object, count});
	else if (!give_up(object, count))
		r = CUDA_ERROR_INVALID_VALUE;
	held->n += r == CUDA_SUCCESS ? count : 0;
	drop_if_none(graph, held);
	return r;
}

CUresult cuGraphReleaseUserObject(CUgraph graph_handle, CUuserObject handle, unsigned count)
{
	struct sg_graph *graph = sg_graph_get(graph_handle);
	struct sg_user_object *object;
	CUresult r = object_enter(handle, count, &object);

	if (r == CUDA_SUCCESS && !graph)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_user_references *held = held_by(graph, object);
	if (!held)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (held->n < count)
		r = CUDA_ERROR_INVALID_VALUE;
	held->n -= r == CUDA_SUCCESS ? count : 0;
	drop_if_none(graph, held);
	if (r == CUDA_SUCCESS)
		sg_user_object_unref((struct sg_user_references){object, count});
	return r;
}
