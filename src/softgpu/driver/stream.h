/*
 * Streams and the work in them.
 *
 * A piece of work runs when all work it depends on is done: the piece before it in its stream, what
 * the legacy stream's rules add, and events waited for. Each stream has a thread, started with its
 * first work, that runs its pieces in order. One lock, the engine's, guards all queues; it is never
 * held while work runs.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "softgpu/driver/context.h"

/* What capturing makes of a piece of work; see graph.h. */
enum sg_node_kind {
	SG_NODE_NEVER, /* it cannot be captured */
	SG_NODE_NONE,  /* nothing: order is kept anyway */
	SG_NODE_FIRST, /* a node of type 0, and so on */
};
#define SG_NODE(type) ((enum sg_node_kind)(SG_NODE_FIRST + (type)))

/* The first member of a struct that describes what to do. */
struct sg_work {
	atomic_uint references;
	_Atomic(bool) done;
	CUresult result;      /* after done */
	uint64_t finished_ns; /* after done */
	/* On the stream's thread, or the submitter's. An error other than CUDA_ERROR_NOT_SUPPORTED
	 * becomes the context's sticky error. Not called once the context has failed, unless
	 * always. */
	CUresult (*run)(struct sg_work *work, struct sg_context *context);
	void (*fini)(struct sg_work *work); /* with the last reference; may be NULL */
	/* After run, or instead of it when the context has failed; may be NULL. */
	void (*finished)(struct sg_work *work);
	/* The parameters of a graph's node that does this; pointers in them are the work's. NULL
	 * for work that is no node or has none. */
	void (*describe)(struct sg_work *work, CUgraphNodeParams *params);
	bool always;
	enum sg_node_kind node;
	struct sg_work *next;	/* in the stream's queue */
	struct sg_work **needs; /* references */
	size_t n_needs, needs_room;
};

/* Zeroed, size >= sizeof(struct sg_work); NULL: out of memory. The caller has the reference. */
void *sg_work_new(size_t size, CUresult (*run)(struct sg_work *, struct sg_context *));
void sg_work_ref(struct sg_work *work);
void sg_work_unref(struct sg_work *work);

static inline bool sg_work_is_done(struct sg_work *work)
{
	/* Acquire: what the work wrote is visible to who sees it done. */
	return atomic_load_explicit(&work->done, memory_order_acquire);
}

struct sg_capture;

/* While a stream is captured: the nodes its next one depends on. */
struct sg_tail {
	CUgraphNode *nodes;
	CUgraphEdgeData *edges; /* all plain */
	size_t n;
};

struct sg_stream {
	CUstream handle; /* NULL: the legacy stream */
	struct sg_context *context;
	uint64_t id;
	unsigned flags; /* CU_STREAM_NON_BLOCKING */
	int priority;
	CUlaunchAttributeValue attributes[CU_LAUNCH_ATTRIBUTE_MAX];
	struct sg_work *first, *last_queued; /* waiting or running */
	unsigned n_queued;
	struct sg_capture *capture; /* NULL: not being captured */
	struct sg_tail tail;
	struct sg_work *last; /* the newest, done or not; a reference */
	bool has_thread, running_inline, closing;
	pthread_t thread;
	pthread_cond_t wake;
	struct sg_stream *next; /* in the context */
};

/* Twins of API functions raise it around a call to the plain function: stream 0 then means the
 * calling thread's own default stream. */
extern _Thread_local unsigned sg_per_thread_default;

/* The handle of the stream that handle names there. */
static inline CUstream sg_stream_named(CUstream handle)
{
	return !handle && sg_per_thread_default ? CU_STREAM_PER_THREAD : handle;
}

/* The stream behind a handle in the current context, special handles included. */
CUresult sg_stream_get(CUstream handle, struct sg_context *context, struct sg_stream **stream);

/* Entry of calls on a stream: sg_enter_context(), and the stream behind the handle, whose context may
 * be another one. */
CUresult sg_stream_enter(CUstream handle, struct sg_stream **stream);

/* A stream of its own, without a public handle. NULL: out of memory. */
struct sg_stream *sg_stream_new(struct sg_context *context, unsigned flags, int priority);

/* The same with a handle that programs may have. */
CUresult sg_stream_open(struct sg_context *context, unsigned flags, int priority, CUstream *handle);

/* Returns at once; the stream goes when its work is done. */
void sg_stream_destroy(struct sg_stream *stream);

/* Ends all streams of the context, after their work. */
void sg_stream_free_all(struct sg_context *context);

/* Around changes to what the engine's lock guards. */
void sg_engine_lock(void);
void sg_engine_unlock(void);

/* Queues the work, or captures it, and takes the caller's reference. after: one more piece it
 * depends on, may be NULL. CUDA_ERROR_OUT_OF_MEMORY, or why it cannot be captured. */
CUresult sg_stream_submit(struct sg_stream *stream, struct sg_work *work, struct sg_work *after);

/* Queues work behind everything in the context; takes the reference. */
CUresult sg_context_submit(struct sg_context *context, struct sg_work *work);
/* The same with work that all later work in the context waits for. */
CUresult sg_context_gate(struct sg_context *context, struct sg_work *work, struct sg_work *after);

/* As sg_stream_submit(), and returns after it is done, with its result or the context's error. Runs
 * it on the calling thread where nothing stands before it. */
CUresult sg_stream_run(struct sg_stream *stream, struct sg_work *work);

/* Waits for everything submitted so far. The context's error afterwards. */
CUresult sg_stream_wait(struct sg_stream *stream);
CUresult sg_context_wait(struct sg_context *context);

/* The same for all contexts: before memory or code is taken away that any of them may be using. */
void sg_engine_wait(void);

/* The same, and no work begins until sg_engine_unlock(). */
void sg_engine_pause(void);

void sg_work_wait(struct sg_work *work);

/* Marks work as done that no stream runs. NULL is allowed, and work that is done. */
void sg_work_complete(struct sg_work *work);

/* Whether everything submitted is done. */
bool sg_stream_is_idle(struct sg_stream *stream);
