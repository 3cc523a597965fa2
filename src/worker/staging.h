/*
 * The shared memory that copies go through, pinned with the backend when it is first needed, so
 * that they run beside the dispatcher: the staging area, and the lanes' replies, where few bytes go
 * at once. And the runs the client handed over, which go back to it when the GPU has read them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "worker/call.h"

struct staging;
struct worker;

struct staging *staging_new(struct worker *worker);
/* After the waiters ended. */
struct staging *staging_free(struct staging *staging);

/* The memory of a run, NULL unless it lies inside the area. pin: the copy is large enough to be
 * worth pinning the area. */
void *staging_memory(struct call *call, const struct wire_bulk *run, bool pin);

/* Whether the staging area, or the replies, are pinned, so that copies to and from them are
 * asynchronous. The second pins the replies if need be. */
bool staging_is_pinned(struct call *call);
bool staging_pins_replies(struct call *call);

/* The device's address of a place among the replies; 0: it has none. */
CUdeviceptr staging_reply_address(struct call *call, const void *reply);

/* Looks whether the oldest run has been read. False: there is none left to look after. Dispatcher
 * only. */
bool staging_look(struct worker *worker);

/* Waits a little until no run is looked after, since the events that tell of them go with a context
 * that is about to end. Waiters only. */
void staging_finish(struct worker *worker);

/* Gives a handed-over run back when stream has got this far. Dispatcher only. */
void staging_release_after(struct call *call, const struct wire_bulk *run, CUstream stream);
