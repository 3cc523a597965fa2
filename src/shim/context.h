/*
 * Contexts as the shim keeps them: which is current in which thread, which primary contexts are
 * active. Any thread; the hot questions take no lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/cuda.h"

/* The primary context's handle, the same whether it is active or not. device must be valid. */
CUcontext context_primary(CUdevice device);

/* Device of a context that is alive; false otherwise. */
bool context_device(CUcontext context, CUdevice *device);

/* A number that no other context of the process ever has; a reset primary context gets a new
 * one. */
CUresult context_id(CUcontext context, uint64_t *id);

/* For contexts made by other means than cuCtxCreate: a number as context_id() gives them; entering
 * a context under one, which may be there already; and its end, which is not that of memory made in
 * it. */
uint64_t context_number(void);
CUresult context_adopt(CUcontext context, CUdevice device, uint64_t number);
void context_ended(CUcontext context);

/* The calling thread's, NULL when it has none. */
CUcontext context_current(void);
