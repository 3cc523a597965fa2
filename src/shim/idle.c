/*
 * Questions and waits whose answer is here already: as long as the client has sent nothing since
 * the worker published that nothing was unfinished (worker/idle.h), every stream and event is done.
 * What an earlier posted call left as its error is given as it would be with an answer. Everything
 * that is not plainly so goes to the worker: ids that are not alive, contexts that ended in an
 * error, captures, events that were recorded in one or that other processes see too, and frees that
 * wait here (shim/pool_reuse.h), since waits let pools give memory back.
 */
#include "shim/idle.h"

#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/capture.h"
#include "shim/event.h"
#include "shim/pool_reuse.h"
#include "shim/session.h"
#include "shim/thread.h"

static bool all_done(void)
{
	return session.known_idle && shim_thread.context && shim_call_usable() &&
	       !capture_may_be_open() && chan_is_idle(session.chan) && !pool_reuse_any();
}

bool idle_stream(CUstream stream)
{
	return ((uint64_t)stream <= 2 || shim_handle_alive((uint64_t)stream, HANDLE_STREAM)) &&
	       all_done();
}

static bool event_done(CUevent event)
{
	return event && shim_handle_alive((uint64_t)event, HANDLE_EVENT) &&
	       !event_was_captured(event) && !event_is_shared(event) && all_done();
}

CUresult shim_cuStreamQuery(CUstream stream)
{
	return idle_stream(stream) ? shim_take_error() : remote_cuStreamQuery(stream);
}

CUresult shim_cuStreamSynchronize(CUstream stream)
{
	return idle_stream(stream) ? shim_take_error() : remote_cuStreamSynchronize(stream);
}

CUresult shim_cuEventQuery(CUevent event)
{
	return event_done(event) ? shim_take_error() : remote_cuEventQuery(event);
}

CUresult shim_cuEventSynchronize(CUevent event)
{
	return event_done(event) ? shim_take_error() : remote_cuEventSynchronize(event);
}

CUresult shim_cuCtxSynchronize(void)
{
	return all_done() ? shim_take_error() : remote_cuCtxSynchronize();
}

CUresult shim_cuCtxSynchronize_v2(CUcontext context)
{
	return context && context == shim_thread.context ? shim_cuCtxSynchronize()
							 : remote_cuCtxSynchronize_v2(context);
}
