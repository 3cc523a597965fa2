/*
 * cuGetProcAddress: from a base name, a CUDA version and flags to an entry point.
 *
 * The table is generated from api/ (one row per exported symbol and name under which it is asked
 * for), sorted by base, then variant, then version; it is constant data of the library that answers
 * and any thread may search it. A row whose address is NULL is a function this library does not
 * have; it answers as a driver of an earlier version would.
 *
 * Source of the rules: CUDA Driver API, "Driver Entry Point Access"; cudaTypedefs.h for versions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

struct abi_proc {
	const char *base;    /* the name asked for: "cuMemAlloc" */
	const char *variant; /* "", "_ptsz" or "_ptds" */
	int version;	     /* the first CUDA version with this signature: 3020 */
	const char *symbol;  /* the exported name: "cuMemAlloc_v2" */
	void *address;
};

struct abi_proc_table {
	const struct abi_proc *rows;
	size_t n_rows;
	int driver_version; /* what cuDriverGetVersion of this library reports */
};

/*
 * The second form of the call. status may be NULL. CUDA_SUCCESS with *address NULL when nothing
 * fits (status says why), as for the probe with the empty name; CUDA_ERROR_INVALID_VALUE for a NULL
 * argument, unknown flags, and a version beyond the driver's.
 */
CUresult abi_proc_find_v2(const struct abi_proc_table *table, const char *symbol, int version,
    uint64_t flags, CUdriverProcAddressQueryResult *status, void **address);

/* The first form: CUDA_ERROR_NOT_FOUND, and *address untouched, when nothing fits. */
CUresult abi_proc_find_v1(const struct abi_proc_table *table, const char *symbol, int version,
    uint64_t flags, void **address);
