/*
 * Events. An event holds a reference to the last marker that was recorded for it: a piece of work
 * that does nothing and remembers when it was done.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"
#include "softgpu/driver/context.h"

struct sg_work;

struct sg_event {
	CUevent handle;
	unsigned flags;
	CUcontext context;	/* may be gone */
	uint64_t capture_id;	/* 0: not recorded in a capture; lock: the events' */
	struct sg_work *marker; /* NULL: never recorded; lock: the events' */
};
