/*
 * Which devices a program sees and in which order: the driver's own environment variables
 * CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER, which act in the client. Pure functions.
 *
 * Source: CUDA C++ Programming Guide, "CUDA Environment Variables", and what the driver does with
 * malformed lists: an entry that means no device ends the list, a device named twice voids it, a
 * number may be followed by anything.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

struct visible_device {
	CUuuid uuid;
	int pci_domain, pci_bus, pci_device;
};

/* A device is named twice: there is none then, and cuInit fails with CUDA_ERROR_INVALID_DEVICE. */
#define VISIBLE_TWICE (-1)

/*
 * Writes the ordinals that stay visible to out (room for n), in their new order; returns how many,
 * or VISIBLE_TWICE.
 * list: CUDA_VISIBLE_DEVICES, NULL when not set; order: CUDA_DEVICE_ORDER, NULL when not set.
 */
int visible_select(
    const char *list, const char *order, const struct visible_device *devices, size_t n, int *out);
