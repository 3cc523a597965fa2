/*
 * The devices as the program sees them: the snapshot, with CUDA_VISIBLE_DEVICES applied. Constant
 * once session_connect() has succeeded, readable from any thread without a lock.
 *
 * A program's ordinal (CUdevice) is a place in the visible list; the worker's is a place in the
 * snapshot. remote_X() translates plain CUdevice arguments; whoever builds messages or ids himself
 * uses device_real().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"
#include "wire/snapshot.h"

/* Asks the worker for the snapshot. */
CUresult device_fetch_snapshot(void);
void device_after_fork(void);

int device_driver_version(void); /* before the session: what this library implements */
const struct snapshot *device_snapshot(void);

int device_count(void); /* visible ones */
/* CUDA_ERROR_NO_DEVICE: none is visible; CUDA_ERROR_INVALID_DEVICE: since one was named twice. */
CUresult device_check_any(void);
/* NULL: no such ordinal. */
const struct snapshot_device *device_find(CUdevice device);
int device_real(CUdevice device);  /* an invalid ordinal stays invalid */
CUdevice device_visible(int real); /* CU_DEVICE_INVALID when it is hidden */
/* Of all devices, hidden ones included. */
const struct snapshot_device *device_find_real(int real);
const struct snapshot_peer *device_peer(int real, int real_peer);

/* An attribute of a valid device; 0 when the backend does not know it. */
int device_attribute(CUdevice device, CUdevice_attribute attribute);
