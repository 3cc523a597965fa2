/*
 * The staging area as the worker uses it: pinned with the backend at the first large copy, so that
 * copies from and to it run beside the dispatcher; and the runs the client handed over, which go
 * back to it when the GPU has read them.
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

/* Gives a handed-over run back when stream has got this far. */
void staging_release_after(struct call *call, const struct wire_bulk *run, CUstream stream);
