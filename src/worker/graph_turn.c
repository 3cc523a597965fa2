/*
 * An event belongs to a context and can only be recorded in its streams; it may be waited for in
 * any. So a launch in another context gets another event. The backend keeps one that is destroyed
 * for as long as somebody waits for it.
 */
#include "worker/graph_turn.h"

#include "worker/worker.h"

CUresult graph_turn_take(struct call *call, const struct graph_turn *turn, CUstream stream)
{
	return turn->done ? call->backend->cuStreamWaitEvent(stream, turn->done, 0) : CUDA_SUCCESS;
}

static CUresult make_event(struct call *call, struct graph_turn *turn, CUcontext context)
{
	const struct backend *backend = call->backend;
	CUcontext former;
	CUresult r;

	graph_turn_fini(call->worker, turn);
	r = backend->cuCtxPushCurrent_v2(context);
	if (r != CUDA_SUCCESS)
		return r;
	r = backend->cuEventCreate(&turn->done, CU_EVENT_DISABLE_TIMING);
	backend->cuCtxPopCurrent_v2(&former);
	turn->context = context;
	return r;
}

CUresult graph_turn_note(struct call *call, struct graph_turn *turn, CUstream stream)
{
	CUcontext context;
	CUresult r = call->backend->cuStreamGetCtx(stream, &context);

	if (r == CUDA_SUCCESS && (!turn->done || context != turn->context))
		r = make_event(call, turn, context);
	return r ?: call->backend->cuEventRecord(turn->done, stream);
}

void graph_turn_fini(struct worker *worker, struct graph_turn *turn)
{
	if (turn->done)
		worker->backend->cuEventDestroy_v2(turn->done);
	turn->done = NULL;
}

void graph_turn_forget(struct graph_turn *turn, CUcontext context)
{
	if (turn->context == context)
		turn->done = NULL;
}
