/* Managed variables of modules, in this process. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "base/util.h"

/* Set by the first mirror_begin(). */
extern atomic_bool mirror_any;

/*
 * Makes the variable that the worker has at [address, address + bytes) readable and writable there
 * in this process, with the value it has; worker/mirror.h says how the two are kept equal.
 * CUDA_ERROR_NOT_SUPPORTED, and said on stderr: this cannot be. Any thread.
 */
CUresult mirror_begin(CUdeviceptr address, size_t bytes, const char *name);

bool mirror_find(CUdeviceptr address);

/* Whether address lies in such a variable. */
static inline bool mirror_holds(CUdeviceptr address)
{
	/* Relaxed: whoever knows a variable's address has it from a call that set this. */
	return unlikely(atomic_load_explicit(&mirror_any, memory_order_relaxed)) &&
	       mirror_find(address);
}

/* After a copy whose result a program expects to see when the call returns: waits for it if
 * destination is in such a variable. */
CUresult mirror_await(CUdeviceptr destination, CUstream stream);
