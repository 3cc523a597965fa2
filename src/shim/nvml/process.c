/*
 * Who uses a device. A tenant is not told of others, so the only process there can be is the one
 * that asks; its memory is what it allocated, as the shim's own map of addresses has it.
 *
 * The three lists and their forms differ in their structs alone. The first form's is shorter.
 */
#include <unistd.h>

#include "shim/nvml/internal.h"

/* NVML's rule for lists: too little room is an error that brings the room needed. */
static nvmlReturn_t room(unsigned *count, unsigned needed, const void *processes)
{
	unsigned given = *count;

	*count = needed;
	if (given < needed)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	return needed && !processes ? NVML_ERROR_INVALID_ARGUMENT : NVML_SUCCESS;
}

static nvmlReturn_t compute(
    nvmlDevice_t handle, unsigned *count, const void *processes, unsigned *n, uint64_t *bytes)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, count, &device);

	if (r != NVML_SUCCESS)
		return r;
	*n = device.view.bridge->process(device.number, bytes) ? 1 : 0;
	return room(count, *n, processes);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_v1_t *processes)
{
	unsigned n = 0;
	uint64_t bytes = 0;
	nvmlReturn_t r = compute(device, count, processes, &n, &bytes);

	if (r == NVML_SUCCESS && n)
		*processes = (nvmlProcessInfo_v1_t){(unsigned)getpid(), bytes};
	return r;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *processes)
{
	unsigned n = 0;
	uint64_t bytes = 0;
	nvmlReturn_t r = compute(device, count, processes, &n, &bytes);

	if (r == NVML_SUCCESS && n)
		*processes = (nvmlProcessInfo_t){
		    .pid = (unsigned)getpid(),
		    .usedGpuMemory = bytes,
		    .gpuInstanceId = NVML_NO_INSTANCE,
		    .computeInstanceId = NVML_NO_INSTANCE,
		};
	return r;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *processes)
{
	return nvmlDeviceGetComputeRunningProcesses_v3(device, count, processes);
}

/* Rosen carries neither graphics nor a tenant's own MPS server. */
static nvmlReturn_t nobody(nvmlDevice_t handle, unsigned *count)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, count, &device);

	if (r == NVML_SUCCESS)
		*count = 0;
	return r;
}

#define NOBODY(function, type)                                                                     \
	nvmlReturn_t function(nvmlDevice_t device, unsigned *count, type *processes)               \
	{                                                                                          \
		return nobody(device, count);                                                      \
	}

NOBODY(nvmlDeviceGetGraphicsRunningProcesses, nvmlProcessInfo_v1_t)
NOBODY(nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlProcessInfo_t)
NOBODY(nvmlDeviceGetGraphicsRunningProcesses_v3, nvmlProcessInfo_t)
NOBODY(nvmlDeviceGetMPSComputeRunningProcesses, nvmlProcessInfo_v1_t)
NOBODY(nvmlDeviceGetMPSComputeRunningProcesses_v2, nvmlProcessInfo_t)
NOBODY(nvmlDeviceGetMPSComputeRunningProcesses_v3, nvmlProcessInfo_t)
