/*
 * Context-local storage: what the CUDA runtime keeps per context, under a key of its own, with a
 * destructor. It is reached through one of the private tables (export_table.h).
 *
 * abi_storage_get() is called by the runtime in nearly every API function: it takes no lock and
 * costs nanoseconds. Every function may be called from any thread.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"

typedef void abi_storage_destructor(CUcontext context, void *key, void *value);

/* False: nothing is stored under this key. */
bool abi_storage_get(CUcontext context, void *key, void **value);

/* Replaces what was stored, without calling its destructor. False: out of memory. */
bool abi_storage_put(CUcontext context, void *key, void *value, abi_storage_destructor *destructor);

/* Forgets the value without calling its destructor. False: there was none. */
bool abi_storage_delete(CUcontext context, void *key);

/*
 * The context is being destroyed or reset: forgets all its values and calls their destructors, on
 * this thread, with no lock held. A destructor may use the storage.
 */
void abi_storage_drop(CUcontext context);

/* In the child after fork(): the lock may have been held by a thread that is gone. */
void abi_storage_after_fork(void);
