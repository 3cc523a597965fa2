/*
 * Events. An event holds a reference to the last marker that was recorded for it: a piece of work
 * that does nothing and remembers when it was done.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"
#include "softgpu/driver/context.h"
#include "softgpu/driver/shared_event.h"
#include "softgpu/driver/stream.h"

struct sg_event {
	CUevent handle;
	unsigned flags;
	CUcontext context;		/* may be gone */
	uint64_t capture_id;		/* 0: not recorded in a capture; lock: the events' */
	struct sg_tail tail;		/* where in the capture; lock: the events' */
	struct sg_work *marker;		/* NULL: never recorded; lock: the events' */
	struct sg_shared_event *shared; /* NULL: this process's alone. Then it says what is done */
};

/* Everything in the context so far; everything in it from now on waits for the event. */
CUresult sg_event_record_context(CUevent event, struct sg_context *context);
CUresult sg_event_gate_context(CUevent event, struct sg_context *context);

/* Whether other processes see it: then no graph can have it. */
bool sg_event_is_shared(CUevent event);

/* For graphs. What the event was last recorded as, a reference; NULL: nothing, or no event. */
struct sg_work *sg_event_marker_of(CUevent event);
/* Makes a new marker the event's, to be completed by sg_work_complete(); a reference. */
struct sg_work *sg_event_new_marker(CUevent event);
