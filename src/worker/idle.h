/*
 * What the client may know by itself: that nothing it sent is unfinished. The dispatcher keeps a
 * list of the streams into which it put work since they were last found done; when that list is
 * empty it tells the client up to which record this holds (chan_publish_idle()). As long as the
 * client has sent nothing more, all its streams and events are done, and no error can come any
 * more.
 *
 * Whatever is not known to put work only where its stream argument says makes everything unknown,
 * until the context was synchronised. Dispatcher only, unless said otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "worker/call.h"

struct api_desc;
struct idle;
struct job;
struct worker;

/* NULL: no memory, or the setting is off; all functions take that. */
struct idle *idle_new(struct worker *worker);
struct idle *idle_free(struct idle *idle);

/* A record is about to be served; it names stream (after the former, on any thread). */
void idle_record(struct worker *worker, struct job *job);
void idle_stream(struct call *call, CUstream stream);

/* job goes to a waiter, and ends there or here. idle_ended(): any thread. */
void idle_leaves(struct worker *worker, struct job *job);
void idle_ended(struct worker *worker, struct job *job);

/* Whether stream is the only one in which something may be unfinished, with a mark of what is in
 * it; whether nothing in it is. */
bool idle_is_only(struct call *call, CUstream stream, uint64_t *mark);
bool idle_knows_done(struct call *call, CUstream stream);

/* The backend said just now that all in stream is done. */
void idle_stream_done(struct call *call, CUstream stream);
/* The same of what was in it at mark. */
void idle_stream_done_until(struct call *call, CUstream stream, uint64_t mark);
/* Tells the client, if nothing is unfinished. */
void idle_publish(struct worker *worker);

/*
 * Synchronising the current context. idle_context_asks(): whether what is unfinished in it can be
 * found out without waiting: CUDA_SUCCESS when nothing is, CUDA_ERROR_NOT_READY, and any other
 * result when only waiting tells. idle_context_done(): it was synchronised after idle_mark() gave
 * mark. Any thread.
 */
CUresult idle_context_asks(struct call *call);
uint64_t idle_mark(struct worker *worker);
void idle_context_done(struct call *call, uint64_t mark);

/* A context of the client's ended. What is left of its work nobody knows. Any thread. */
void idle_context_ended(struct worker *worker);
