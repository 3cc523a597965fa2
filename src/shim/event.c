/*
 * Events are posted like everything that brings no answer, which keeps the order of this process's
 * own work. Of an event that other processes see too, the order with their calls counts as well: a
 * program that has recorded it tells the other process by means of its own, and the recording must
 * have happened by then. So calls on such events wait until the worker has got so far.
 *
 * An event that was recorded into a capture cannot be queried or waited for until it is recorded
 * again outside of one.
 */
#include "shim/event.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/util.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/capture.h"
#include "shim/object.h"

#define INTERPROCESS 4	/* CU_EVENT_INTERPROCESS */
#define EVENT_FLAGS  7u /* all there are */

/* What is attached to such an event. Relaxed everywhere: who uses an event has synchronised with
 * the thread that made or recorded it. */
struct noted_event {
	_Atomic bool shared, captured;
};

static _Atomic bool any_noted;

/* NULL: out of memory, or event is none. */
static struct noted_event *note(CUevent event)
{
	struct noted_event *fresh = calloc(1, sizeof(*fresh));
	struct noted_event *noted =
	    fresh ? shim_object_attach((uint64_t)event, HANDLE_EVENT, fresh) : NULL;

	if (noted != fresh)
		free(fresh);
	atomic_store_explicit(&any_noted, true, memory_order_relaxed);
	return noted;
}

static struct noted_event *noted(CUevent event)
{
	return unlikely(atomic_load_explicit(&any_noted, memory_order_relaxed))
		   ? shim_object((uint64_t)event, HANDLE_EVENT)
		   : NULL;
}

static void note_shared(CUevent event)
{
	struct noted_event *shared = note(event);

	if (shared)
		atomic_store_explicit(&shared->shared, true, memory_order_relaxed);
}

bool event_is_shared(CUevent event)
{
	struct noted_event *event_noted = noted(event);

	return event_noted && atomic_load_explicit(&event_noted->shared, memory_order_relaxed);
}

bool event_was_captured(CUevent event)
{
	struct noted_event *event_noted = noted(event);

	return event_noted && atomic_load_explicit(&event_noted->captured, memory_order_relaxed);
}

/* Before event is recorded. */
static CUresult note_record(CUevent event)
{
	bool captured = capture_may_be_open();
	struct noted_event *event_noted = noted(event);

	if (unlikely(
		captured && !event_noted && shim_handle_alive((uint64_t)event, HANDLE_EVENT))) {
		event_noted = note(event);
		if (!event_noted)
			return CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (unlikely(event_noted))
		atomic_store_explicit(&event_noted->captured, captured, memory_order_relaxed);
	return CUDA_SUCCESS;
}

/* After something was posted that concerns event. */
static CUresult settle(CUevent event, CUresult r)
{
	return r == CUDA_SUCCESS && event_is_shared(event) ? remote_rosenNull() : r;
}

CUresult shim_cuEventCreate(CUevent *event, unsigned flags)
{
	if (flags & ~EVENT_FLAGS) /* it is posted; CUDA says this at once */
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = remote_cuEventCreate(event, flags);

	if (r != CUDA_SUCCESS || likely(!(flags & INTERPROCESS)))
		return r;
	note_shared(*event);
	/* Not every device has such events: this one is told at once. */
	r = remote_rosenNull() ?: shim_take_error();
	if (r != CUDA_SUCCESS)
		shim_handle_drop((uint64_t)*event);
	return r;
}

CUresult shim_cuIpcOpenEventHandle(CUevent *event, CUipcEventHandle handle)
{
	CUresult r = remote_cuIpcOpenEventHandle(event, handle);

	if (r == CUDA_SUCCESS)
		note_shared(*event);
	return r;
}

CUresult shim_cuEventRecord(CUevent event, CUstream stream)
{
	return settle(event, note_record(event) ?: remote_cuEventRecord(event, stream));
}

CUresult shim_cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned flags)
{
	return settle(
	    event, note_record(event) ?: remote_cuEventRecordWithFlags(event, stream, flags));
}

CUresult shim_cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags)
{
	return settle(event, remote_cuStreamWaitEvent(stream, event, flags));
}

static CUresult elapsed(
    CUresult (*ask)(float *, CUevent, CUevent), float *milliseconds, CUevent start, CUevent end)
{
	float nobody;
	CUresult r = ask(milliseconds ?: &nobody, start, end);

	return r == CUDA_SUCCESS && !milliseconds ? CUDA_ERROR_INVALID_VALUE : r;
}

CUresult shim_cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end)
{
	return elapsed(remote_cuEventElapsedTime, milliseconds, start, end);
}

CUresult shim_cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end)
{
	return elapsed(remote_cuEventElapsedTime_v2, milliseconds, start, end);
}
