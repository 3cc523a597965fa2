/*
 * NVLinks: how many a device has, which work, and what is at their other ends. NCCL chooses its
 * ways between GPUs by them. One message for all links of a device, and none is kept: NCCL asks
 * once.
 */
#include <string.h>

#include "shim/nvml/internal.h"

static nvmlReturn_t ask(nvmlDevice_t handle, const void *out, struct device_links *links)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, out, &device);

	return r != NVML_SUCCESS ? r : nvml_result(device.view.bridge->links(device.number, links));
}

/* A device without links does not support the question; others have no link of such a number. */
static nvmlReturn_t ask_link(
    nvmlDevice_t handle, unsigned number, const void *out, struct device_link *link)
{
	struct device_links links;
	nvmlReturn_t r = ask(handle, out, &links);

	if (r != NVML_SUCCESS)
		return r;
	if (number >= links.n)
		return links.n ? NVML_ERROR_INVALID_ARGUMENT : NVML_ERROR_NOT_SUPPORTED;
	*link = links.link[number];
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned number, unsigned *active)
{
	struct device_link link;
	nvmlReturn_t r = ask_link(device, number, active, &link);

	if (r == NVML_SUCCESS)
		*active = link.active;
	return r;
}

nvmlReturn_t nvmlDeviceGetNvLinkVersion(nvmlDevice_t device, unsigned number, unsigned *version)
{
	struct device_link link;
	nvmlReturn_t r = ask_link(device, number, version, &link);

	if (r == NVML_SUCCESS && !link.version)
		return NVML_ERROR_NOT_SUPPORTED;
	if (r == NVML_SUCCESS)
		*version = link.version;
	return r;
}

nvmlReturn_t nvmlDeviceGetNvLinkCapability(
    nvmlDevice_t device, unsigned number, unsigned capability, unsigned *has)
{
	struct device_link link;
	nvmlReturn_t r = ask_link(device, number, has, &link);

	if (r != NVML_SUCCESS)
		return r;
	if (capability >= DEVICE_LINK_CAPABILITIES)
		return NVML_ERROR_INVALID_ARGUMENT;
	*has = link.capabilities >> capability & 1;
	return NVML_SUCCESS;
}

static nvmlReturn_t remote(nvmlDevice_t device, unsigned number, nvmlPciInfo_t *pci, size_t size)
{
	struct device_link link;
	nvmlReturn_t r = ask_link(device, number, pci, &link);

	if (r != NVML_SUCCESS)
		return r;
	if (!link.has_remote)
		return NVML_ERROR_NOT_SUPPORTED;
	nvmlPciInfo_t info = {.domain = link.remote_domain,
	    .bus = link.remote_bus,
	    .device = link.remote_device,
	    .pciDeviceId = link.remote_id,
	    .pciSubSystemId = link.remote_subsystem};
	memcpy(info.busId, link.remote_bus_id, sizeof(info.busId));
	/* The short form has four digits of the domain: it begins with the last four of the
	 * eight. */
	if (strlen(info.busId) > 4)
		memcpy(info.busIdLegacy, info.busId + 4, sizeof(info.busIdLegacy) - 1);
	memcpy(pci, &info, size);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo(
    nvmlDevice_t device, unsigned number, nvmlPciInfo_t *pci)
{
	return remote(device, number, pci, offsetof(nvmlPciInfo_t, busId));
}

nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(
    nvmlDevice_t device, unsigned number, nvmlPciInfo_t *pci)
{
	return remote(device, number, pci, sizeof(*pci));
}

/* --- the same by number of field --- */

enum { VALUE_UNSIGNED = 1 }; /* NVML_VALUE_TYPE_UNSIGNED_INT */

static void fill(const struct device_links *links, nvmlFieldValue_t *value)
{
	const struct device_link *link =
	    value->scopeId < links->n ? &links->link[value->scopeId] : NULL;

	value->nvmlReturn = NVML_SUCCESS;
	value->valueType = VALUE_UNSIGNED;
	if (value->fieldId == NVML_FI_DEV_NVLINK_LINK_COUNT)
		value->value = links->n;
	else if (value->fieldId == NVML_FI_DEV_NVLINK_GET_STATE && link)
		value->value = link->active;
	else if (value->fieldId == NVML_FI_DEV_NVLINK_GET_SPEED && link && link->speed_mbps)
		value->value = link->speed_mbps;
	else
		value->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
}

static bool is_of_links(unsigned field)
{
	return field == NVML_FI_DEV_NVLINK_LINK_COUNT || field == NVML_FI_DEV_NVLINK_GET_STATE ||
	       field == NVML_FI_DEV_NVLINK_GET_SPEED;
}

static void ask_field(nvmlDevice_t handle, nvmlFieldValue_t *value)
{
	const unsigned which[] = {value->fieldId, value->scopeId};
	struct device_field field;

	value->nvmlReturn = nvml_ask(
	    handle, DEVICE_QUESTION_nvmlDeviceGetFieldValues, which, &field, sizeof(field));
	if (value->nvmlReturn != NVML_SUCCESS)
		return;
	value->valueType = field.type;
	value->value = field.value;
}

/* A field without an answer says so itself, as NVML does for what a device lacks. */
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t handle, int count, nvmlFieldValue_t *values)
{
	struct nvml_device device;
	struct device_links links;
	bool asked = false;
	nvmlReturn_t r = nvml_device_enter(handle, values, &device), known = NVML_SUCCESS;

	if (r != NVML_SUCCESS)
		return r;
	if (count <= 0)
		return NVML_ERROR_INVALID_ARGUMENT;
	for (int i = 0; i < count; i++) {
		values[i].nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
		if (!is_of_links(values[i].fieldId)) {
			ask_field(handle, &values[i]);
			continue;
		}
		if (!asked)
			known = ask(handle, values, &links);
		asked = true;
		if (known == NVML_SUCCESS)
			fill(&links, &values[i]);
	}
	return NVML_SUCCESS;
}
