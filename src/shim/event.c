/*
 * Events are posted like everything that brings no answer, which keeps the order of this process's
 * own work. Of an event that other processes see too, the order with their calls counts as well: a
 * program that has recorded it tells the other process by means of its own, and the recording must
 * have happened by then. So calls on such events wait until the worker has got so far.
 */
#include "shim/event.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/util.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/object.h"

#define INTERPROCESS 4	/* CU_EVENT_INTERPROCESS */
#define EVENT_FLAGS  7u /* all there are */

/* What is attached to such an event: that it is one. */
struct shared_event {
	char nothing;
};

static _Atomic bool any_shared;

static void note_shared(CUevent event)
{
	struct shared_event *shared = malloc(sizeof(*shared));

	if (!shared || shim_object_attach((uint64_t)event, HANDLE_EVENT, shared) != shared)
		free(shared);
	/* Relaxed: who uses the event has learnt of it from the call that is making it. */
	atomic_store_explicit(&any_shared, true, memory_order_relaxed);
}

bool event_is_shared(CUevent event)
{
	return unlikely(atomic_load_explicit(&any_shared, memory_order_relaxed)) &&
	       shim_object((uint64_t)event, HANDLE_EVENT);
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
	return settle(event, remote_cuEventRecord(event, stream));
}

CUresult shim_cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned flags)
{
	return settle(event, remote_cuEventRecordWithFlags(event, stream, flags));
}

CUresult shim_cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags)
{
	return settle(event, remote_cuStreamWaitEvent(stream, event, flags));
}
