/*
 * Handles of the driver's objects: what a program holds as CUstream, CUmodule and so on. A handle
 * is the address of a slot in one region of the process that is never given back, so any value at
 * all may be looked up safely, and a handle that has ended is recognised as such.
 *
 * Any thread. Looking up takes no lock; it does not keep the object alive, as in CUDA itself: a
 * program must not destroy what another of its threads is using.
 */
#pragma once

#include <stddef.h>

enum sg_kind {
	SG_NOTHING,
	SG_CONTEXT,
	SG_STREAM,
	SG_EVENT,
	SG_MODULE,
	SG_FUNCTION,
	SG_LIBRARY,
	SG_KERNEL,
	SG_POOL,
	SG_ARRAY,
	SG_MIPMAP,
	SG_TEXTURE_REFERENCE,
	SG_SURFACE_REFERENCE,
	SG_LINK,
	SG_GRAPH,
	SG_GRAPH_EXEC,
	SG_GRAPH_NODE,
	SG_EXTERNAL,
	SG_PHYSICAL,
	SG_USER_OBJECT,
	SG_RESOURCE_DESCRIPTION,
	SG_GREEN_CONTEXT,
};

/* 0 or -ENOMEM. Once, before any other function here. */
int sg_handle_init(void);

/* NULL: out of memory. */
void *sg_handle_new(enum sg_kind kind, void *object);

/* The object, or NULL when handle is not a living one of this kind. */
void *sg_handle_get(const void *handle, enum sg_kind kind);

/* NULL is allowed. */
void sg_handle_free(void *handle);
