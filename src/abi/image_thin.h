/*
 * Fatbins without the members that no device of a session can use: those are most of them in the
 * libraries that are made for all GPUs. What remains is what CUDA's rules could choose from:
 *
 * - machine code of sm_XY runs on devices of compute capability X.Z, Z >= Y; marked as of exactly
 *   one architecture (sm_90a) on that alone, as of a family (sm_100f) on later devices of it;
 * - where a device finds none, PTX for the highest architecture not above it is compiled;
 * - so is intermediate code for linking (LTO), which is kept for such devices.
 *
 * Members of unknown kinds stay. Sources: "Fatbinaries" and "GPU Compilation" of the nvcc manual.
 * Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ABI_THIN_DEVICES_MAX 64

struct abi_thin {
	unsigned sm[ABI_THIN_DEVICES_MAX]; /* of each device: 75, 90, 120 */
	size_t n;
	bool no_machine_code; /* the devices run PTX alone */
	bool all_ptx;	      /* the program may choose PTX all the same: keep what can run */
};

/*
 * Writes the thinned form of a fatbin of size bytes (as abi_image_measure() says) to out, which has
 * room for as much. Returns its size; 0: there is nothing to leave out, or nothing would be left,
 * or the fatbin is damaged. *self_sufficient: every device has machine code in it.
 */
size_t abi_fatbin_thin(const void *fatbin, size_t size, const struct abi_thin *rules, void *out,
    bool *self_sufficient);
