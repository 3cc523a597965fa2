/*
 * Contexts, and what every entry of the driver does first.
 *
 * The primary context has its handle from the start, is inactive until retained, and comes back
 * empty under the same handle after a reset. All functions may be called from any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "softgpu/driver/handle.h"
#include "softgpu/exec/exec.h"

struct sg_stream;
struct sg_work;
struct sg_event;
struct sg_module_object;

struct sg_context {
	CUcontext handle;
	uint64_t id; /* never used twice; a new one at each activation */
	bool is_primary;
	bool narrow;	      /* made by cuCtxCreate as it was before CUDA 3.2 */
	atomic_uint users;    /* of cuCtxAttach and, but for a primary one, its creator */
	unsigned retained;    /* primary: how often; lock: the contexts' */
	_Atomic(bool) active; /* may be used */
	unsigned flags;
	_Atomic(CUresult) error; /* what a kernel died of; every call returns it until a reset */
	size_t limits[CU_LIMIT_MAX];
	CUfunc_cache cache_config;
	CUsharedconfig shared_config;
	struct sg_stream *legacy;	  /* stream 0 */
	struct sg_stream *streams;	  /* all, the legacy one too; lock: the engine's */
	struct sg_module_object *modules; /* lock: the modules' */
	atomic_uint stop;		  /* raised to end running kernels at destruction */
	struct sg_context *next;	  /* of all with streams; lock: the engine's */
	struct sg_work *gate;		  /* what all later work waits for; lock: the engine's */
	CUgreenCtx green;		  /* NULL: an ordinary context */
	unsigned threads;		  /* that may run its kernels; 0: all */
};

/* True when cuInit() was successful in this very process, not in the parent of a fork. */
bool sg_is_initialized(void);
/* Called once by cuInit(), and in the child after a fork. */
void sg_set_initialized(bool value);

/* For calls that need no context: CUDA_ERROR_NOT_INITIALIZED, or CUDA_ERROR_NOT_PERMITTED inside a
 * host function that runs in stream order. */
CUresult sg_enter(void);

/* The same, and then CUDA_ERROR_INVALID_VALUE unless all is given that a function must have
 * before it looks at what it is given. */
static inline CUresult sg_enter_given(bool given)
{
	return sg_enter() ?: given ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* For calls that use the current context: also CUDA_ERROR_INVALID_CONTEXT, ..._CONTEXT_IS_DESTROYED
 * and the context's sticky error. */
CUresult sg_enter_context(struct sg_context **context);

/* The same without looking at the sticky error: for queries. */
CUresult sg_enter_current(struct sg_context **context);

/* For calls that name a context, which must not be NULL. */
CUresult sg_enter_named(CUcontext handle, struct sg_context **context);

/* For calls from before CUDA 3.2: CUDA_ERROR_INVALID_CONTEXT unless the current context is as
 * old. */
CUresult sg_enter_narrow(void);

/* The context behind a handle; NULL: the current one. */
CUresult sg_context_get(CUcontext handle, struct sg_context **context);

CUcontext sg_context_current_handle(void);
struct sg_context *sg_context_primary(void);

/* An active context beside the primary one, current nowhere. NULL: out of memory. */
struct sg_context *sg_context_make(unsigned flags);
void sg_context_end(struct sg_context *context);

/* Makes the primary context's handle. 0 or -ENOMEM. */
int sg_context_init(void);

/* A kernel of the context died; the first one counts. */
void sg_context_fail(struct sg_context *context, CUresult error);

/* Marks the calling thread as running a host function of a stream. */
extern _Thread_local bool sg_in_callback;
