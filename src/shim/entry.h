/*
 * What stands at both ends of every exported function (gen/shim_entries.c): whether the library may
 * be used yet, counting and tracing while somebody watches, and the log of failed calls. In the
 * common case SHIM_ENTER() is one load and one branch that is never taken, SHIM_LEAVE() a test of
 * two registers.
 */
#pragma once

#include "base/util.h"
#include "gen/api_ids.h"
#include "shim/observe.h"
#include "shim/session.h"
#include "shim/thread.h"

/* The gate is not plainly open: CUDA_SUCCESS to go on, or what the function has to return. */
CUresult shim_enter(enum api_fn function, struct observe_entry *entry, bool early);

/* The call is observed, or has not succeeded. */
void shim_leave(enum api_fn function, const struct observe_entry *entry, CUresult result);

/* CUDA_ERROR_INVALID_CONTEXT unless the thread's current context is of the kind that narrow forms
 * may be used in (abi/narrow.h). context.c. */
CUresult shim_enter_narrow(void);

/* For functions marked `context`: nothing says where this would happen. Streams 0, 1 and 2 are
 * those of the current context. */
static inline bool shim_lacks_context(CUstream stream)
{
	return !shim_thread.context && (uintptr_t)stream <= (uintptr_t)CU_STREAM_PER_THREAD;
}

#define SHIM_ENTER_AS(function, early)                                                             \
	struct observe_entry shim_entry = {0};                                                     \
	/* Acquire: whoever sees the gate open sees the session that cuInit made. */               \
	if (unlikely(atomic_load_explicit(&shim_gate, memory_order_acquire))) {                    \
		CUresult shim_refusal = shim_enter((function), &shim_entry, (early));              \
		if (shim_refusal != CUDA_SUCCESS)                                                  \
			return shim_refusal;                                                       \
	}

/* Declares the entry's state; returns from the function when it may not run. */
#define SHIM_ENTER(function)	   SHIM_ENTER_AS(function, false)
#define SHIM_ENTER_EARLY(function) SHIM_ENTER_AS(function, true) /* runs before cuInit too */

#define SHIM_LEAVE(function, result)                                                               \
	do {                                                                                       \
		if (unlikely(shim_entry.start_ns || (result) != CUDA_SUCCESS))                     \
			shim_leave((function), &shim_entry, (result));                             \
	} while (0)
