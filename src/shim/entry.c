/*
 * The slow side of an entry: the library is not initialised, or somebody observes its calls, or the
 * program has callbacks, in which CUDA calls are refused.
 */
#include "shim/entry.h"

#include "base/log.h"
#include "gen/api_desc.h"
#include "gen/shim_custom.h"
#include "shim/logs.h"
#include "shim/thread.h"

CUresult shim_enter(enum api_fn function, struct observe_entry *entry, bool early)
{
	uint32_t gate = atomic_load_explicit(&shim_gate, memory_order_acquire);

	if ((gate & SHIM_GATE_CLOSED) && !early)
		return CUDA_ERROR_NOT_INITIALIZED;
	if ((gate & SHIM_GATE_CALLBACK) && shim_thread.in_callback && !early)
		return CUDA_ERROR_NOT_PERMITTED;
	if (gate & SHIM_GATE_OBSERVE)
		observe_enter(function, entry);
	return CUDA_SUCCESS;
}

void shim_leave(enum api_fn function, const struct observe_entry *entry, CUresult result)
{
	if (entry->start_ns)
		observe_leave(function, entry, result);
	if (result != CUDA_SUCCESS)
		logs_note(function, result);
}

CUresult shim_nosup(enum api_fn function)
{
	/* One bit per function. Relaxed: at worst a line is said twice. */
	static _Atomic uint32_t said[(API_N_FUNCTIONS + 31) / 32];
	uint32_t bit = 1u << (function % 32);

	if (!(atomic_fetch_or_explicit(&said[function / 32], bit, memory_order_relaxed) & bit))
		log_warn("%s is not supported yet: it returns CUDA_ERROR_NOT_SUPPORTED",
		    api_desc[function].name);
	return CUDA_ERROR_NOT_SUPPORTED;
}
