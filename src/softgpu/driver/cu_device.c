/* The device's entries of the driver API. There is one device, ordinal 0. */
#include "softgpu/driver/driver.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/driver/array.h"
#include "softgpu/driver/device.h"

/* What most of the functions below check first. */
static CUresult device_enter(const void *output, CUdevice device)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	if (!output)
		return CUDA_ERROR_INVALID_VALUE;
	return device == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetCount(int *count)
{
	CUresult r = device_enter(count, 0);

	if (r == CUDA_SUCCESS)
		*count = 1;
	return r;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
	CUresult r = device_enter(device, ordinal);

	if (r == CUDA_SUCCESS)
		*device = ordinal;
	return r;
}

CUresult cuDeviceGetName(char *name, int length, CUdevice device)
{
	CUresult r = device_enter(name, device);

	if (r == CUDA_SUCCESS && length <= 0)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		snprintf(name, (size_t)length, "%s", sg_device.name);
	return r;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device)
{
	CUresult r = device_enter(uuid, device);

	if (r == CUDA_SUCCESS)
		memcpy(uuid, sg_device.uuid, sizeof(*uuid));
	return r;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
	return cuDeviceGetUuid(uuid, device);
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
	CUresult r = device_enter(bytes, device);

	if (r == CUDA_SUCCESS)
		*bytes = sg_device.memory;
	return r;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
	CUresult r = device_enter(value, device);

	if (r == CUDA_SUCCESS && (attribute < 1 || attribute >= CU_DEVICE_ATTRIBUTE_MAX))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*value = sg_device_attribute(attribute);
	return r;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
	CUresult r = device_enter(major, device);

	if (r == CUDA_SUCCESS && !minor)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	*major = sg_device.capability / 10;
	*minor = sg_device.capability % 10;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetProperties(CUdevprop *properties, CUdevice device)
{
	CUresult r = device_enter(properties, device);

	if (r != CUDA_SUCCESS)
		return r;
	*properties = (CUdevprop){
	    .maxThreadsPerBlock = sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
	    .sharedMemPerBlock =
		sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
	    .totalConstantMemory = sg_device_attribute(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY),
	    .SIMDWidth = sg_device_attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE),
	    .memPitch = sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_PITCH),
	    .regsPerBlock = sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
	    .clockRate = sg_device_attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
	    .textureAlign = sg_device_attribute(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT),
	};
	for (unsigned i = 0; i < 3; i++) {
		properties->maxThreadsDim[i] = sg_device_attribute(
		    (CUdevice_attribute)(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i));
		properties->maxGridSize[i] = sg_device_attribute(
		    (CUdevice_attribute)(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i));
	}
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *text, int length, CUdevice device)
{
	CUresult r = device_enter(text, device);

	if (r == CUDA_SUCCESS && length <= 0)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		snprintf(text, (size_t)length, "%04x:%02x:%02x.0",
		    sg_device_attribute(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID),
		    sg_device_attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID),
		    sg_device_attribute(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID));
	return r;
}

CUresult cuDeviceGetByPCIBusId(CUdevice *device, const char *text)
{
	CUresult r = device_enter(device, 0);
	unsigned domain = 0, bus, slot;

	if (r == CUDA_SUCCESS && !text)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	if (sscanf(text, "%x:%x:%x", &domain, &bus, &slot) != 3) {
		domain = 0;
		if (sscanf(text, "%x:%x", &bus, &slot) != 2)
			return CUDA_ERROR_INVALID_VALUE;
	}
	if ((int)domain != sg_device_attribute(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID) ||
	    (int)bus != sg_device_attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID) ||
	    (int)slot != sg_device_attribute(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID))
		return CUDA_ERROR_INVALID_DEVICE;
	*device = 0;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetLuid(char *luid, unsigned *node_mask, CUdevice device)
{
	CUresult r = sg_enter_given(node_mask) ?: device_enter(luid, device);

	/* Locally unique ids exist on Windows only. */
	return r == CUDA_SUCCESS ? CUDA_ERROR_NOT_SUPPORTED : r;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
	CUresult r = device_enter(can, device);

	if (r == CUDA_SUCCESS && peer != 0)
		r = CUDA_ERROR_INVALID_DEVICE;
	if (r == CUDA_SUCCESS)
		*can = 0; /* a device is not its own peer */
	return r;
}

CUresult cuDeviceGetP2PAttribute(
    int *value, CUdevice_P2PAttribute attribute, CUdevice source, CUdevice destination)
{
	CUresult r = device_enter(value, source);

	/* Two different devices are asked for, and there is one. */
	return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_DEVICE : r;
}

CUresult cuDeviceGetExecAffinitySupport(int *supported, CUexecAffinityType type, CUdevice device)
{
	CUresult r = device_enter(supported, device);

	(void)type; /* of no kind, and no kind is wrong */
	if (r == CUDA_SUCCESS)
		*supported = 0;
	return r;
}

/* Texels one linear texture can address: as many as its attribute says, of any format. */
CUresult cuDeviceGetTexture1DLinearMaxWidth(
    size_t *width, CUarray_format format, unsigned channels, CUdevice device)
{
	struct sg_texels texels;
	CUresult r = device_enter(width, device);

	if (r == CUDA_SUCCESS && !sg_format_read(format, channels, &texels))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*width =
		    (size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH);
	return r;
}
