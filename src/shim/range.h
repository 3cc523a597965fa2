/*
 * The map of addresses that mean something to the device: what the program allocated, and what the
 * library told it of. It answers pointer questions and decides which side of a unified copy is host
 * memory without asking the worker. Ranges never overlap. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

enum range_kind {
	RANGE_DEVICE,	   /* cuMemAlloc, cuMemAllocPitch */
	RANGE_POOL,	   /* cuMemAllocAsync and from a pool */
	RANGE_MAPPED,	   /* cuMemMap */
	RANGE_MAPPED_HOST, /* cuMemMap of host memory (virtual_host.h) */
	RANGE_GLOBAL,	   /* a module's or library's variable */
	RANGE_SHADOWED,	   /* a managed one: the device's, with a mirror here at the same address */
	RANGE_IPC,	   /* opened from another process */
	RANGE_EXTERNAL,	   /* cuExternalMemoryGetMappedBuffer, cuMemPoolImportPointer */
	RANGE_PINNED,	   /* cuMemAllocHost, cuMemHostAlloc */
	RANGE_POOL_HOST,   /* cuMemAllocFromPoolAsync, of host memory (pool_host.h) */
	RANGE_MANAGED,	   /* cuMemAllocManaged, and from a pool of managed memory */
	RANGE_REGISTERED,  /* cuMemHostRegister; also where the device sees it, if elsewhere */
};

struct range {
	uint64_t start, size;
	enum range_kind kind;
	uint32_t flags;	   /* PINNED, MANAGED, REGISTERED: as cuMemHostGetFlags says */
	CUcontext context; /* NULL: none (mapped memory) */
	CUdevice device;
	uint64_t owner; /* id of the module, library or pool; 0: none */
	/* REGISTERED, MAPPED_HOST, POOL_HOST: the first byte as the program has it (0: it may not
	 * touch it), and as worker and device have it (0: they do not, copies are staged). */
	uint64_t host, remote;
	uint64_t buffer_id; /* never the same for two ranges of a process; range_add() sets it */
};

/* Its bytes are in memory of this process. */
static inline bool range_is_host(const struct range *range)
{
	return range->kind == RANGE_PINNED || range->kind == RANGE_MANAGED ||
	       range->kind == RANGE_REGISTERED || range->kind == RANGE_MAPPED_HOST ||
	       range->kind == RANGE_POOL_HOST;
}

/* Enters range; what it overlaps is taken out (the memory was given back in a way this map did not
 * see). False: out of memory, or a range that does not end within 64 bits, as only a broken worker
 * tells of. */
bool range_add(const struct range *range);

/* Enters memory of the calling thread's context and device: CUDA_ERROR_OUT_OF_MEMORY where
 * range_add() says false. */
CUresult range_note(CUdeviceptr address, size_t bytes, enum range_kind kind, uint64_t owner);

/* Changes host and remote of the range that starts at start. */
void range_set_reach(uint64_t start, uint64_t host, uint64_t remote);

/* The range that holds address. */
bool range_find(uint64_t address, struct range *out);

/* Some range that has a byte of [start, start + size). */
bool range_overlaps(uint64_t start, uint64_t size, struct range *out);

/* Takes out the range that starts at start; out may be NULL. Of kind: only if it is. */
bool range_remove(uint64_t start, struct range *out);
bool range_remove_kind(uint64_t start, enum range_kind kind, struct range *out);

/* Takes out all device ranges of a context that is no more; all ranges of an owner. */
void range_drop_context(CUcontext context);
void range_drop_owner(uint64_t owner);

/* How much the process allocated or mapped of a device's memory. Takes time by the number of
 * ranges.
 */
uint64_t range_device_bytes(CUdevice device);

void range_after_fork(void);
