/*
 * cuCtxGetLimit and cuCtxSetLimit. Values of primary contexts are remembered by device and limit as
 * value + 1, 0 meaning unknown; other contexts ask every time. Racing with a thread that sets the
 * limit gives the old or the new value, as it would in CUDA.
 */
#include "shim/limit.h"

#include <stdatomic.h>
#include <stdint.h>

#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/context.h"
#include "shim/session.h"
#include "shim/thread.h"

#define N_LIMITS 16 /* numbers 0..15 are remembered */

static _Atomic uint64_t known[WIRE_DEVICES_MAX][N_LIMITS];

static _Atomic uint64_t *slot_of(CUcontext context, CUlimit limit)
{
	CUdevice device;

	if (!session.cache || (unsigned)limit >= N_LIMITS || !context ||
	    !context_device(context, &device) || context != context_primary(device))
		return NULL;
	return &known[device][limit];
}

void limit_forget(CUcontext context)
{
	for (int i = 0; i < N_LIMITS; i++) {
		_Atomic uint64_t *slot = slot_of(context, (CUlimit)i);
		if (slot)
			atomic_store_explicit(slot, 0, memory_order_relaxed);
	}
}

CUresult shim_cuCtxGetLimit(size_t *value, CUlimit limit)
{
	_Atomic uint64_t *slot = slot_of(shim_thread.context, limit);
	uint64_t remembered = slot ? atomic_load_explicit(slot, memory_order_relaxed) : 0;

	if (remembered) {
		*value = remembered - 1;
		return CUDA_SUCCESS;
	}
	CUresult r = remote_cuCtxGetLimit(value, limit);
	if (r == CUDA_SUCCESS && slot)
		atomic_store_explicit(slot, *value + 1, memory_order_relaxed);
	return r;
}

CUresult shim_cuCtxSetLimit(CUlimit limit, size_t value)
{
	CUresult r = remote_cuCtxSetLimit(limit, value);

	limit_forget(shim_thread.context);
	return r;
}
