/*
 * The imaginary device: one GPU whose multiprocessors are the host's cores. Constant after
 * sg_device_init(), so any thread may read it.
 *
 * Environment: SOFTGPU_CC, the compute capability it claims ("12.0", the standard, or another one
 * that the table in device.c knows); SOFTGPU_MEMORY, its memory in MiB (standard: half of the
 * host's).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "abi/integrity.h"

#define SG_DRIVER_VERSION 13000

struct sg_device {
	char name[64];
	uint8_t uuid[16];
	size_t memory;
	int capability; /* 120 for 12.0 */
	int attributes[CU_DEVICE_ATTRIBUTE_MAX];
};

extern struct sg_device sg_device;

void sg_device_init(void);

static inline int sg_device_attribute(CUdevice_attribute attribute)
{
	return sg_device.attributes[attribute];
}

/* For the integrity answer; see abi/export_table.h. */
size_t sg_device_identities(struct abi_integrity_device *devices, size_t capacity);
