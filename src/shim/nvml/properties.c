/*
 * More of what a device is: what CUDA's attributes say of it, translated into NVML's terms. Where
 * an attribute leaves the answer open, it is NVML_ERROR_NOT_SUPPORTED.
 */
#include <string.h>

#include "base/util.h"
#include "shim/nvml/internal.h"

static nvmlReturn_t number(nvmlDevice_t handle, CUdevice_attribute attribute, unsigned *out)
{
	struct nvml_device device;
	int value = 0;
	nvmlReturn_t r = nvml_device_enter(handle, out, &device);

	if (r == NVML_SUCCESS)
		r = nvml_attribute(&device, attribute, &value);
	if (r == NVML_SUCCESS)
		*out = (unsigned)value;
	return r;
}

nvmlReturn_t nvmlDeviceGetMemoryBusWidth(nvmlDevice_t device, unsigned *bits)
{
	return number(device, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, bits);
}

nvmlReturn_t nvmlDeviceGetMultiGpuBoard(nvmlDevice_t device, unsigned *is_multi)
{
	return number(device, CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD, is_multi);
}

/* The two libraries number the modes alike. */
nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, nvmlComputeMode_t *mode)
{
	unsigned value = 0;
	nvmlReturn_t r =
	    number(device, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, mode ? &value : (unsigned *)mode);

	if (r == NVML_SUCCESS)
		*mode = (nvmlComputeMode_t)value;
	return r;
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t handle, int *major, int *minor)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, minor ? major : NULL, &device);

	if (r == NVML_SUCCESS)
		r = nvml_attribute(&device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, major);
	if (r == NVML_SUCCESS)
		r = nvml_attribute(&device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, minor);
	return r;
}

nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t handle, nvmlDeviceArchitecture_t *architecture)
{
	/* By first compute capability, ascending. Source: CUDA C Programming Guide. */
	static const struct {
		int from;
		nvmlDeviceArchitecture_t is;
	} rows[] = {
	    {30, NVML_DEVICE_ARCH_KEPLER},
	    {50, NVML_DEVICE_ARCH_MAXWELL},
	    {60, NVML_DEVICE_ARCH_PASCAL},
	    {70, NVML_DEVICE_ARCH_VOLTA},
	    {75, NVML_DEVICE_ARCH_TURING},
	    {80, NVML_DEVICE_ARCH_AMPERE},
	    {89, NVML_DEVICE_ARCH_ADA},
	    {90, NVML_DEVICE_ARCH_HOPPER},
	    {100, NVML_DEVICE_ARCH_BLACKWELL},
	    {130, NVML_DEVICE_ARCH_UNKNOWN},
	};
	struct nvml_device device;
	int major, minor;
	nvmlReturn_t r = nvml_device_enter(handle, architecture, &device);

	if (r == NVML_SUCCESS)
		r = nvmlDeviceGetCudaComputeCapability(handle, &major, &minor);
	if (r != NVML_SUCCESS)
		return r;
	*architecture = NVML_DEVICE_ARCH_UNKNOWN;
	for (size_t i = 0; i < ARRAY_SIZE(rows) && rows[i].from <= major * 10 + minor; i++)
		*architecture = rows[i].is;
	return NVML_SUCCESS;
}

/* NVIDIA's products carry their brand in their name; the first row that fits is the closest. */
nvmlReturn_t nvmlDeviceGetBrand(nvmlDevice_t handle, nvmlBrandType_t *brand)
{
	static const struct {
		const char *part;
		nvmlBrandType_t brand;
	} rows[] = {
	    {"GeForce", NVML_BRAND_GEFORCE},
	    {"Quadro RTX", NVML_BRAND_QUADRO_RTX},
	    {"Quadro", NVML_BRAND_QUADRO},
	    {"TITAN", NVML_BRAND_TITAN},
	    {"Tesla", NVML_BRAND_TESLA},
	    {"NVIDIA RTX", NVML_BRAND_NVIDIA_RTX},
	    {"NVIDIA ", NVML_BRAND_NVIDIA},
	    {"", NVML_BRAND_UNKNOWN},
	};
	struct nvml_device device;
	size_t i = 0;
	nvmlReturn_t r = nvml_device_enter(handle, brand, &device);

	if (r != NVML_SUCCESS)
		return r;
	while (!strstr(device.is->name, rows[i].part))
		i++;
	*brand = rows[i].brand;
	return NVML_SUCCESS;
}

/*
 * CUDA says "off" both of a device whose ECC is off and of one that has none, so only "on" is an
 * answer. A mode that waits for the server's next start is nothing the tenant will see: pending is
 * the mode that holds.
 */
nvmlReturn_t nvmlDeviceGetEccMode(
    nvmlDevice_t handle, nvmlEnableState_t *current, nvmlEnableState_t *pending)
{
	struct nvml_device device;
	int on = 0;
	nvmlReturn_t r = nvml_device_enter(handle, pending ? current : NULL, &device);

	if (r == NVML_SUCCESS)
		r = nvml_attribute(&device, CU_DEVICE_ATTRIBUTE_ECC_ENABLED, &on);
	if (r == NVML_SUCCESS && !on)
		r = NVML_ERROR_NOT_SUPPORTED;
	if (r == NVML_SUCCESS)
		*current = *pending = NVML_FEATURE_ENABLED;
	return r;
}

/* A tenant's device is whole, whatever piece of hardware it is on the server. */
static nvmlReturn_t never(nvmlDevice_t handle, unsigned *out)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, out, &device);

	if (r == NVML_SUCCESS)
		*out = 0;
	return r;
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned *is_mig)
{
	return never(device, is_mig);
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned *count)
{
	return never(device, count);
}
