/* What the files of the tenant's NVML share. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "shim/nvml/bridge.h"
#include "shim/nvml/nvml.h"

struct nvml_libcuda {
	const struct nvml_bridge *bridge;
	CUresult (*driver_version)(int *version);
};

/*
 * libcuda.so.1 of this installation, loaded when it is not. May be called again, from any thread.
 * NVML_ERROR_LIBRARY_NOT_FOUND: none beside this library; NVML_ERROR_LIB_RM_VERSION_MISMATCH: it
 * is none of ours, or another release's.
 */
nvmlReturn_t nvml_libcuda_find(struct nvml_libcuda *libcuda);

struct nvml_view {
	const struct nvml_bridge *bridge;
	const struct snapshot *snapshot;
};

/*
 * What every function but a few of the system's begins with: NVML_ERROR_UNINITIALIZED before
 * nvmlInit(), NVML_ERROR_INVALID_ARGUMENT when out is NULL. Connects the child of a fork(), whose
 * nvmlInit() was its parent's.
 */
nvmlReturn_t nvml_enter(const void *out, struct nvml_view *view);

/* What NVML says of the bridge's answer to a question that the worker was asked. */
nvmlReturn_t nvml_result(CUresult answer);

struct nvml_device {
	struct nvml_view view;
	int number; /* place in the snapshot */
	const struct snapshot_device *is;
};

/* nvml_enter() for a function on a device; NVML_ERROR_INVALID_ARGUMENT also for no device's handle.
 */
nvmlReturn_t nvml_device_enter(nvmlDevice_t handle, const void *out, struct nvml_device *device);
nvmlReturn_t nvml_pair_enter(nvmlDevice_t handle, nvmlDevice_t other_handle, const void *out,
    struct nvml_device *device, struct nvml_device *other);

/* The answer to a question of wire/device_question.h: size bytes to out. argument: as many as
 * its form has, NULL for none. NVML_ERROR_NOT_SUPPORTED where the server knows none. */
nvmlReturn_t nvml_ask(nvmlDevice_t handle, enum device_question_number number,
    const unsigned *argument, void *out, size_t size);

/* NVML_ERROR_NOT_SUPPORTED when the backend does not know the attribute. */
nvmlReturn_t nvml_attribute(
    const struct nvml_device *device, CUdevice_attribute attribute, int *value);

/* text into a caller's buffer: NVML_ERROR_INSUFFICIENT_SIZE when it does not hold all of it. */
nvmlReturn_t nvml_text(const char *text, char *out, unsigned length);

/* Says once by name that a function does nothing, NVML_ERROR_NOT_SUPPORTED. */
nvmlReturn_t nvml_nosup(_Atomic bool *said, const char *name);
