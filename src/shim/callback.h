/*
 * Functions of the program that CUDA calls: host functions, stream callbacks, host nodes of graphs,
 * destructors of user objects, notifications of a device.
 *
 * The program's function pointers stay here. A callback gets a number, which travels to the worker
 * in place of the function; the worker names it when the function is due and says when it never
 * will be again. The functions run one after the other on a thread of their own that has every
 * signal blocked, as the driver's thread has; while one runs, CUDA calls made by it are refused
 * (CUDA_ERROR_NOT_PERMITTED), as the driver does.
 *
 * Any thread. Numbers are never 0.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/cuda.h"

/*
 * Registers a function and starts the callback thread if it does not run yet. The number goes to
 * the worker, which ends it: after the last run, or when what it belonged to is gone, or when the
 * call that brought it failed there. CUDA_ERROR_OUT_OF_MEMORY, or the session's error.
 */
CUresult callback_new(CUhostFn function, void *user, uint64_t *number);
/* end is called with user, on the callback thread, when the number ends: to free it. */
CUresult callback_new_owned(CUhostFn function, void *user, CUhostFn end, uint64_t *number);
/* What was registered under a number of callback_new(); false: no such callback (any more). */
bool callback_find(uint64_t number, CUhostFn *function, void **user);

/* Child of a fork(): callbacks stay with the parent. */
void callback_after_fork(void);
