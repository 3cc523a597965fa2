/*
 * The snapshot and the questions it answers: everything about devices that cannot change while the
 * process lives. It arrives as one untrusted blob, is checked once and copied into structs of this
 * build's size; hidden devices keep their place there, and a list maps visible ordinals to places.
 *
 * Order of errors, as the driver has it: pointers (the generated entries check those), then
 * devices, then attributes.
 */
#include "shim/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/visible.h"

#define BLOB_FIRST (16u << 10)
#define BLOB_MAX   (4u << 20)

static struct {
	struct snapshot header;
	struct snapshot_device device[WIRE_DEVICES_MAX];
	struct snapshot_peer *peers; /* n_devices * n_devices */
	int visible[WIRE_DEVICES_MAX];
	int n_visible;
	bool named_twice; /* by CUDA_VISIBLE_DEVICES */
	bool renumbered;  /* a program's ordinal may not be the worker's */
} devices;

static void copy_known(void *out, size_t known, const uint8_t *bytes, size_t size)
{
	memset(out, 0, known);
	memcpy(out, bytes, MIN(known, size));
}

/* The worker's kernels cannot reach the program's ordinary memory, whatever the machine's own
 * can. */
static void forget_pageable_access(struct snapshot_device *device)
{
	device->attribute[CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS] = 0;
	device->attribute[CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES] = 0;
}

static bool parse(const uint8_t *blob, size_t size)
{
	uint32_t header_size;

	if (size < sizeof(uint32_t) * 4)
		return false;
	memcpy(&header_size, blob, sizeof(header_size));
	if (header_size > size || header_size < offsetof(struct snapshot, backend_name))
		return false;
	copy_known(&devices.header, sizeof(devices.header), blob, header_size);
	struct snapshot *h = &devices.header;
	uint64_t n = h->n_devices;
	if (n > WIRE_DEVICES_MAX || h->device_size > BLOB_MAX || h->peer_size > BLOB_MAX ||
	    header_size + n * h->device_size + n * n * h->peer_size > size)
		return false;
	h->backend_name[sizeof(h->backend_name) - 1] = '\0';
	h->driver_text[sizeof(h->driver_text) - 1] = '\0';
	free(devices.peers); /* of before a fork() */
	devices.peers = calloc(n * n ?: 1, sizeof(*devices.peers));
	if (!devices.peers)
		return false;

	const uint8_t *at = blob + header_size;
	for (uint64_t i = 0; i < n; i++, at += h->device_size) {
		struct snapshot_device *d = &devices.device[i];
		copy_known(d, sizeof(*d), at, h->device_size);
		d->name[sizeof(d->name) - 1] = '\0';
		d->pci_bus_id[sizeof(d->pci_bus_id) - 1] = '\0';
		forget_pageable_access(d);
	}
	for (uint64_t i = 0; i < n * n; i++, at += h->peer_size)
		copy_known(&devices.peers[i], sizeof(devices.peers[i]), at, h->peer_size);
	return true;
}

static void apply_visibility(void)
{
	struct visible_device list[WIRE_DEVICES_MAX];

	for (uint32_t i = 0; i < devices.header.n_devices; i++) {
		const struct snapshot_device *d = &devices.device[i];
		memcpy(list[i].uuid.bytes, d->uuid, sizeof(d->uuid));
		list[i].pci_domain = d->attribute[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID];
		list[i].pci_bus = d->attribute[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID];
		list[i].pci_device = d->attribute[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID];
	}
	int n = visible_select(getenv("CUDA_VISIBLE_DEVICES"), getenv("CUDA_DEVICE_ORDER"), list,
	    devices.header.n_devices, devices.visible);
	devices.named_twice = n == VISIBLE_TWICE;
	devices.n_visible = MAX(n, 0);
	devices.renumbered = (uint32_t)devices.n_visible != devices.header.n_devices;
	for (int i = 0; i < devices.n_visible; i++)
		devices.renumbered |= devices.visible[i] != i;
}

CUresult device_fetch_snapshot(void)
{
	size_t capacity = BLOB_FIRST, needed = 0;
	CUresult r;

	for (;;) {
		uint8_t *blob = malloc(capacity);
		if (!blob)
			return CUDA_ERROR_OUT_OF_MEMORY;
		r = remote_rosenSnapshot(blob, capacity, &needed);
		bool fits = needed <= capacity;
		if (r == CUDA_SUCCESS && fits && !parse(blob, needed)) {
			log_error("the worker's list of devices is malformed");
			device_after_fork(); /* the header may be of the new list */
			r = CUDA_ERROR_UNKNOWN;
		}
		free(blob);
		if (r != CUDA_SUCCESS || fits)
			break;
		if (needed > BLOB_MAX)
			return CUDA_ERROR_UNKNOWN;
		capacity = needed;
	}
	if (r == CUDA_SUCCESS)
		apply_visibility();
	return r;
}

void device_after_fork(void)
{
	devices.n_visible = 0;
	devices.header.n_devices = 0;
}

int device_driver_version(void)
{
	int version = devices.header.driver_version;

	return version && version < CUDA_VERSION ? version : CUDA_VERSION;
}

const struct snapshot *device_snapshot(void)
{
	return &devices.header;
}

CUresult device_check_any(void)
{
	if (devices.n_visible)
		return CUDA_SUCCESS;
	return devices.named_twice ? CUDA_ERROR_INVALID_DEVICE : CUDA_ERROR_NO_DEVICE;
}

int device_count(void)
{
	return devices.n_visible;
}

int device_real(CUdevice device)
{
	return device >= 0 && device < devices.n_visible ? devices.visible[device]
							 : (int)WIRE_DEVICES_MAX;
}

CUdevice device_visible(int real)
{
	for (int i = 0; i < devices.n_visible; i++)
		if (devices.visible[i] == real)
			return i;
	return CU_DEVICE_INVALID;
}

int shim_device_real(CUdevice device)
{
	return device < 0 ? device : device_real(device);
}

CUdevice shim_device_visible(int real)
{
	return real < 0 ? real : device_visible(real);
}

void *shim_located_real(
    const void *structs, size_t n, size_t size, size_t at, void *room, size_t room_size)
{
	if (!structs || !devices.renumbered || n > room_size / size)
		return (void *)structs;
	memcpy(room, structs, n * size);
	for (size_t i = 0; i < n; i++) {
		CUmemLocation *location = (void *)((char *)room + i * size + at);
		if (location->type == CU_MEM_LOCATION_TYPE_DEVICE)
			location->id = shim_device_real(location->id);
	}
	return room;
}

void shim_located_visible(void *one, size_t at)
{
	CUmemLocation *location = (void *)((char *)one + at);

	if (devices.renumbered && location->type == CU_MEM_LOCATION_TYPE_DEVICE)
		location->id = shim_device_visible(location->id);
}

const struct snapshot_device *device_find(CUdevice device)
{
	return device >= 0 && device < devices.n_visible ? &devices.device[devices.visible[device]]
							 : NULL;
}

const struct snapshot_device *device_find_real(int real)
{
	return real >= 0 && (uint32_t)real < devices.header.n_devices ? &devices.device[real]
								      : NULL;
}

const struct snapshot_peer *device_peer(int real, int real_peer)
{
	return &devices.peers[(size_t)real * devices.header.n_devices + (size_t)real_peer];
}

int device_attribute(CUdevice device, CUdevice_attribute attribute)
{
	const struct snapshot_device *d = device_find(device);

	return d && (unsigned)attribute < WIRE_ATTRIBUTES_MAX ? d->attribute[attribute] : 0;
}

CUresult shim_cuDeviceGet(CUdevice *device, int ordinal)
{
	if (!device_find(ordinal))
		return CUDA_ERROR_INVALID_DEVICE;
	*device = ordinal;
	return CUDA_SUCCESS;
}

CUresult shim_cuDeviceGetCount(int *count)
{
	*count = devices.n_visible;
	return CUDA_SUCCESS;
}

CUresult shim_cuDeviceGetName(char *name, int capacity, CUdevice device)
{
	const struct snapshot_device *d = device_find(device);

	if (capacity <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	snprintf(name, (size_t)capacity, "%s", d->name);
	return CUDA_SUCCESS;
}

CUresult shim_cuDeviceGetUuid(CUuuid *uuid, CUdevice device)
{
	const struct snapshot_device *d = device_find(device);

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	memcpy(uuid->bytes, d->uuid, sizeof(d->uuid));
	return CUDA_SUCCESS;
}

CUresult shim_cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
	const struct snapshot_device *d = device_find(device);

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	memcpy(uuid->bytes, d->uuid_v2, sizeof(d->uuid_v2));
	return CUDA_SUCCESS;
}

CUresult shim_cuDeviceGetLuid(char *luid, unsigned *node_mask, CUdevice device)
{
	const struct snapshot_device *d = device_find(device);

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	if (d->luid_status == CUDA_SUCCESS) {
		memcpy(luid, d->luid, sizeof(d->luid));
		*node_mask = d->luid_node_mask;
	}
	return (CUresult)d->luid_status;
}

CUresult shim_cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
	const struct snapshot_device *d = device_find(device);

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	*bytes = d->memory_total;
	return CUDA_SUCCESS;
}

CUresult shim_cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
	const struct snapshot_device *d = device_find(device);

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	if ((unsigned)attribute >= WIRE_ATTRIBUTES_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	if (d->attribute_status[attribute] != CUDA_SUCCESS)
		return (CUresult)d->attribute_status[attribute];
	*value = d->attribute[attribute];
	return CUDA_SUCCESS;
}

CUresult shim_cuDeviceGetProperties(CUdevprop *p, CUdevice device)
{
	const struct snapshot_device *d = device_find(device);

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	memset(p, 0, sizeof(*p));
	p->maxThreadsPerBlock = d->attribute[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK];
	for (int i = 0; i < 3; i++) {
		p->maxThreadsDim[i] = d->attribute[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i];
		p->maxGridSize[i] = d->attribute[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i];
	}
	p->sharedMemPerBlock = d->attribute[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK];
	p->totalConstantMemory = d->attribute[CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY];
	p->SIMDWidth = d->attribute[CU_DEVICE_ATTRIBUTE_WARP_SIZE];
	p->memPitch = d->attribute[CU_DEVICE_ATTRIBUTE_MAX_PITCH];
	p->regsPerBlock = d->attribute[CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK];
	p->clockRate = d->attribute[CU_DEVICE_ATTRIBUTE_CLOCK_RATE];
	p->textureAlign = d->attribute[CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT];
	return CUDA_SUCCESS;
}

CUresult shim_cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
	const struct snapshot_device *d = device_find(device);

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	*major = d->attribute[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR];
	*minor = d->attribute[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR];
	return CUDA_SUCCESS;
}

/* "[domain:]bus:device[.function]", all hexadecimal. */
CUresult shim_cuDeviceGetByPCIBusId(CUdevice *device, const char *bus_id)
{
	unsigned domain = 0, bus, slot;

	if (sscanf(bus_id, "%x:%x:%x", &domain, &bus, &slot) != 3) {
		domain = 0;
		if (sscanf(bus_id, "%x:%x", &bus, &slot) != 2)
			return CUDA_ERROR_INVALID_VALUE;
	}
	for (int i = 0; i < devices.n_visible; i++) {
		const struct snapshot_device *d = device_find(i);
		if (d->attribute[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID] != (int)domain ||
		    d->attribute[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID] != (int)bus ||
		    d->attribute[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID] != (int)slot)
			continue;
		*device = i;
		return CUDA_SUCCESS;
	}
	return CUDA_ERROR_INVALID_DEVICE;
}

CUresult shim_cuDeviceGetPCIBusId(char *bus_id, int capacity, CUdevice device)
{
	const struct snapshot_device *d = device_find(device);

	if (capacity <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	snprintf(bus_id, (size_t)capacity, "%s", d->pci_bus_id);
	return CUDA_SUCCESS;
}

CUresult shim_cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
	if (!device_find(device) || !device_find(peer))
		return CUDA_ERROR_INVALID_DEVICE;
	*can = device_peer(device_real(device), device_real(peer))->can_access;
	return CUDA_SUCCESS;
}

CUresult shim_cuDeviceGetP2PAttribute(
    int *value, CUdevice_P2PAttribute attribute, CUdevice source, CUdevice destination)
{
	if (!device_find(source) || !device_find(destination))
		return CUDA_ERROR_INVALID_DEVICE;
	if (source == destination)
		return CUDA_ERROR_INVALID_DEVICE;
	if ((unsigned)attribute >= SNAPSHOT_P2P_ATTRIBUTES)
		return CUDA_ERROR_INVALID_VALUE;
	const struct snapshot_peer *peer =
	    device_peer(device_real(source), device_real(destination));
	if (peer->attribute_status[attribute] == CUDA_SUCCESS)
		*value = peer->attribute[attribute];
	return (CUresult)peer->attribute_status[attribute];
}
