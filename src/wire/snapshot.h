/*
 * What a client learns of the devices in one reply (rosenSnapshot), so that it never asks again.
 *
 *	struct snapshot
 *	struct snapshot_device  devices[n_devices]         device_size bytes each
 *	struct snapshot_peer    peers[n_devices][n_devices]   peer_size bytes each; from, to
 *
 * Each struct only grows at its end, and says how long the worker's own is: a client copies what
 * both know and takes the rest as zero. The worker writes it, the client treats it as untrusted
 * input: counts and sizes are checked against the blob's length before use.
 */
#pragma once

#include <stdint.h>

#include "wire/limits.h"

#define SNAPSHOT_P2P_ATTRIBUTES 16 /* numbers 0..15 */

struct snapshot {
	uint32_t header_size, device_size, peer_size;
	uint32_t n_devices;	/* at most WIRE_DEVICES_MAX */
	int32_t driver_version; /* as cuDriverGetVersion: 13000 */
	uint32_t backend;	/* enum control_backend */
	char backend_name[32];	/* "cuda", "softgpu" */
	char driver_text[80];	/* as NVML's driver version: "580.159"; empty: unknown */
};

struct snapshot_device {
	char name[256];
	uint8_t uuid[16], uuid_v2[16];
	uint8_t luid[8];
	uint32_t luid_node_mask;
	uint32_t luid_status; /* CUresult: what asking for the LUID gives */
	char pci_bus_id[32];
	uint64_t memory_total;
	int32_t attribute[WIRE_ATTRIBUTES_MAX];
	uint16_t attribute_status[WIRE_ATTRIBUTES_MAX]; /* CUresult of asking for each */
};

struct snapshot_peer {
	int32_t can_access;
	int32_t reserved;
	int32_t attribute[SNAPSHOT_P2P_ATTRIBUTES];
	uint16_t attribute_status[SNAPSHOT_P2P_ATTRIBUTES]; /* CUresult */
};
