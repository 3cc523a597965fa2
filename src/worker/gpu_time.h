/*
 * Time on the GPU, for the statistics: a pair of events around each launch and copy, read when they
 * have happened. Only made when asked for, since events in a stream cost something; without it the
 * functions below are a test of one pointer. Any thread, with the call's context current.
 */
#pragma once

#include "worker/call.h"

struct gpu_span;
struct gpu_time;

struct gpu_time *gpu_time_new(struct worker *worker);
struct gpu_time *gpu_time_free(struct gpu_time *time);

/* NULL when nothing is measured: not wanted, or the stream captures. */
struct gpu_span *gpu_time_begin(struct call *call, CUstream stream);
/* span may be NULL. */
void gpu_time_end(struct call *call, struct gpu_span *span, CUstream stream);

/* Adds up what has finished. After a wait for the GPU that is everything waited for. */
void gpu_time_harvest(struct call *call);

/* The context has ended, and its events with it. */
void gpu_time_forget_context(struct worker *worker, CUcontext context);

/* expression, a CUresult, with the span of what it puts into stream. */
#define GPU_TIMED(call, stream, expression)                                                        \
	({                                                                                         \
		struct gpu_span *gpu_span = gpu_time_begin(call, stream);                          \
		CUresult gpu_result = (expression);                                                \
		gpu_time_end(call, gpu_span, stream);                                              \
		gpu_result;                                                                        \
	})
