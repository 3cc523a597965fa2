/*
 * Making a stream is posted, so what is wrong with it would show at the next call; CUDA says it at
 * once. What can be seen by the arguments is refused here.
 */
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/thread.h"

#define STREAM_FLAGS 1u /* CU_STREAM_NON_BLOCKING */

CUresult shim_cuStreamCreate(CUstream *stream, unsigned flags)
{
	return flags & ~STREAM_FLAGS ? CUDA_ERROR_INVALID_VALUE
				     : remote_cuStreamCreate(stream, flags);
}

CUresult shim_cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority)
{
	if (flags & ~STREAM_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	if (!shim_thread.context)
		return CUDA_ERROR_INVALID_CONTEXT;
	return remote_cuStreamCreateWithPriority(stream, flags, priority);
}
