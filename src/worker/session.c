/* What a client thread tells about itself: its current context and capture mode, and its end; and
 * what it says to measure how long saying something takes. */
#include "gen/worker_custom.h"
#include "worker/worker.h"

CUresult worker_rosenLaneState(struct call *call, struct args_rosenLaneState *a)
{
	/* A primary context that is not active has an id but no handle yet: calls that need a
	 * context then fail as CUDA lets them fail. */
	call->lane->context_id = a->context;
	call->lane->capture_mode =
	    a->mode <= CU_STREAM_CAPTURE_MODE_RELAXED ? a->mode : CU_STREAM_CAPTURE_MODE_GLOBAL;
	return CUDA_SUCCESS;
}

CUresult worker_rosenLaneEnd(struct call *call, struct args_rosenLaneEnd *a)
{
	lane_end(call->worker, call->lane);
	return CUDA_SUCCESS;
}

CUresult worker_rosenNull(struct call *call, struct args_rosenNull *a)
{
	return CUDA_SUCCESS;
}

CUresult worker_rosenNullPosted(struct call *call, struct args_rosenNullPosted *a)
{
	return CUDA_SUCCESS;
}
