/*
 * What a device is: constant answers out of the snapshot, no message.
 *
 * A handle is the address of a place in a table of nothing, one place per device of the snapshot;
 * so a handle can be checked without being followed, and stays good in the child of a fork().
 * NVML's indices follow the PCI addresses, the snapshot the backend's order.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "shim/nvml/internal.h"

#define UUID_TEXT (NVML_UUID_ASCII_LENGTH - 1)

struct nvmlDevice_st {
	char nothing;
};

static struct nvmlDevice_st handles[WIRE_DEVICES_MAX];

static nvmlReturn_t find(const struct nvml_view *view, nvmlDevice_t handle, struct nvml_device *out)
{
	/* Compared as numbers: a wrong handle may point anywhere. */
	uintptr_t place = (uintptr_t)handle - (uintptr_t)handles;

	out->view = *view;
	out->is = place < ARRAY_SIZE(handles) ? view->bridge->device((int)place) : NULL;
	out->number = (int)place;
	return out->is ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvml_device_enter(nvmlDevice_t handle, const void *out, struct nvml_device *device)
{
	struct nvml_view view;
	nvmlReturn_t r = nvml_enter(out, &view);

	return r != NVML_SUCCESS ? r : find(&view, handle, device);
}

nvmlReturn_t nvml_pair_enter(nvmlDevice_t handle, nvmlDevice_t other_handle, const void *out,
    struct nvml_device *device, struct nvml_device *other)
{
	nvmlReturn_t r = nvml_device_enter(handle, out, device);

	return r != NVML_SUCCESS ? r : find(&device->view, other_handle, other);
}

nvmlReturn_t nvml_attribute(
    const struct nvml_device *device, CUdevice_attribute attribute, int *value)
{
	if (device->is->attribute_status[attribute] != CUDA_SUCCESS)
		return NVML_ERROR_NOT_SUPPORTED;
	*value = device->is->attribute[attribute];
	return NVML_SUCCESS;
}

nvmlReturn_t nvml_text(const char *text, char *out, unsigned length)
{
	size_t size = strlen(text) + 1;

	if (size > length)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	memcpy(out, text, size);
	return NVML_SUCCESS;
}

/* --- finding devices --- */

struct pci_address {
	unsigned domain, bus, device;
};

static struct pci_address pci_address(const struct snapshot_device *is)
{
	return (struct pci_address){
	    .domain = (unsigned)is->attribute[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID],
	    .bus = (unsigned)is->attribute[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID],
	    .device = (unsigned)is->attribute[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID],
	};
}

static int pci_compare(struct pci_address a, struct pci_address b)
{
	if (a.domain != b.domain)
		return a.domain < b.domain ? -1 : 1;
	if (a.bus != b.bus)
		return a.bus < b.bus ? -1 : 1;
	return a.device == b.device ? 0 : a.device < b.device ? -1 : 1;
}

/* How many devices come before this one. */
static unsigned index_of(const struct nvml_view *view, int number)
{
	struct pci_address address = pci_address(view->bridge->device(number));
	unsigned index = 0;

	for (int i = 0; i < (int)view->snapshot->n_devices; i++) {
		int order = pci_compare(pci_address(view->bridge->device(i)), address);
		index += order < 0 || (order == 0 && i < number);
	}
	return index;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count)
{
	struct nvml_view view;
	nvmlReturn_t r = nvml_enter(count, &view);

	if (r == NVML_SUCCESS)
		*count = view.snapshot->n_devices;
	return r;
}

nvmlReturn_t nvmlDeviceGetCount(unsigned *count)
{
	return nvmlDeviceGetCount_v2(count);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device)
{
	struct nvml_view view;
	nvmlReturn_t r = nvml_enter(device, &view);

	if (r != NVML_SUCCESS)
		return r;
	for (int i = 0; i < (int)view.snapshot->n_devices; i++) {
		if (index_of(&view, i) != index)
			continue;
		*device = &handles[i];
		return NVML_SUCCESS;
	}
	return NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned index, nvmlDevice_t *device)
{
	return nvmlDeviceGetHandleByIndex_v2(index, device);
}

/* domain:bus:device.function, domain:bus:device or bus:device.function, in hexadecimal. */
static bool pci_parse(const char *text, struct pci_address *out, unsigned *function)
{
	int end = 0;

	*function = 0;
	if (sscanf(text, "%x:%x:%x%n", &out->domain, &out->bus, &out->device, &end) == 3) {
		if (text[end] == '\0')
			return true;
		text += end;
		end = 0;
		sscanf(text, ".%x%n", function, &end);
		return end > 0 && text[end] == '\0';
	}
	out->domain = 0;
	end = 0;
	sscanf(text, "%x:%x.%x%n", &out->bus, &out->device, function, &end);
	return end > 0 && text[end] == '\0';
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device)
{
	struct pci_address wanted;
	struct nvml_view view;
	unsigned function;
	nvmlReturn_t r = nvml_enter(device, &view);

	if (r != NVML_SUCCESS)
		return r;
	if (!bus_id || !pci_parse(bus_id, &wanted, &function))
		return NVML_ERROR_INVALID_ARGUMENT;
	for (int i = 0; i < (int)view.snapshot->n_devices && function == 0; i++) {
		if (pci_compare(pci_address(view.bridge->device(i)), wanted) != 0)
			continue;
		*device = &handles[i];
		return NVML_SUCCESS;
	}
	return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvmlDevice_t *device)
{
	return nvmlDeviceGetHandleByPciBusId_v2(bus_id, device);
}

static void uuid_write(const uint8_t uuid[16], char text[UUID_TEXT + 1])
{
	char *at = stpcpy(text, "GPU-");

	for (int i = 0; i < 16; i++)
		at +=
		    sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
}

/* GPU-, then 16 bytes as two digits each, with a hyphen wherever uuid_write() puts one. */
static bool uuid_parse(const char *text, uint8_t uuid[16])
{
	if (strnlen(text, UUID_TEXT + 1) != UUID_TEXT || memcmp(text, "GPU-", 4) != 0)
		return false;
	text += 4;
	for (int i = 0; i < 16; i++) {
		unsigned byte;
		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
			return false;
		sscanf(text, "%2x", &byte);
		uuid[i] = (uint8_t)byte;
		text += 2;
	}
	return true;
}

static nvmlReturn_t by_uuid(
    const struct nvml_view *view, const uint8_t uuid[16], nvmlDevice_t *device)
{
	for (int i = 0; i < (int)view->snapshot->n_devices; i++) {
		if (memcmp(view->bridge->device(i)->uuid, uuid, 16) != 0)
			continue;
		*device = &handles[i];
		return NVML_SUCCESS;
	}
	return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
	struct nvml_view view;
	uint8_t bytes[16];
	nvmlReturn_t r = nvml_enter(device, &view);

	if (r != NVML_SUCCESS)
		return r;
	return uuid && uuid_parse(uuid, bytes) ? by_uuid(&view, bytes, device)
					       : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_v1_t *uuid, nvmlDevice_t *device)
{
	struct nvml_view view;
	uint8_t bytes[16];
	nvmlReturn_t r = nvml_enter(device, &view);

	if (r != NVML_SUCCESS)
		return r;
	if (!uuid)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (uuid->version != NVML_UUID_V1)
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	if (uuid->type == NVML_UUID_BINARY)
		return by_uuid(&view, uuid->value.bytes, device);
	return uuid->type == NVML_UUID_ASCII && uuid_parse(uuid->value.str, bytes)
		   ? by_uuid(&view, bytes, device)
		   : NVML_ERROR_INVALID_ARGUMENT;
}

/* --- describing one --- */

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t handle, char *name, unsigned length)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, name, &device);

	return r != NVML_SUCCESS ? r : nvml_text(device.is->name, name, length);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t handle, char *uuid, unsigned length)
{
	struct nvml_device device;
	char text[UUID_TEXT + 1];
	nvmlReturn_t r = nvml_device_enter(handle, uuid, &device);

	if (r != NVML_SUCCESS)
		return r;
	uuid_write(device.is->uuid, text);
	return nvml_text(text, uuid, length);
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t handle, unsigned *index)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, index, &device);

	if (r == NVML_SUCCESS)
		*index = index_of(&device.view, device.number);
	return r;
}

/* Fills as much as the form that the caller was built with has. */
static nvmlReturn_t pci_info(nvmlDevice_t handle, nvmlPciInfo_t *pci, size_t size)
{
	struct nvml_device device;
	int id = 0, subsystem = 0;
	nvmlReturn_t r = nvml_device_enter(handle, pci, &device);

	if (r != NVML_SUCCESS)
		return r;
	struct pci_address at = pci_address(device.is);
	nvml_attribute(&device, CU_DEVICE_ATTRIBUTE_GPU_PCI_DEVICE_ID, &id);
	nvml_attribute(&device, CU_DEVICE_ATTRIBUTE_GPU_PCI_SUBSYSTEM_ID, &subsystem);
	nvmlPciInfo_t info = {
	    .domain = at.domain,
	    .bus = at.bus,
	    .device = at.device,
	    .pciDeviceId = (unsigned)id,
	    .pciSubSystemId = (unsigned)subsystem,
	};
	snprintf(info.busIdLegacy, sizeof(info.busIdLegacy), "%04X:%02X:%02X.0", at.domain & 0xffff,
	    at.bus & 0xff, at.device & 0xff);
	snprintf(info.busId, sizeof(info.busId), "%08X:%02X:%02X.0", at.domain, at.bus & 0xff,
	    at.device & 0xff);
	memcpy(pci, &info, size);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
	return pci_info(device, pci, offsetof(nvmlPciInfo_t, pciSubSystemId));
}

nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
	return pci_info(device, pci, offsetof(nvmlPciInfo_t, busId));
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
	return pci_info(device, pci, sizeof(*pci));
}
