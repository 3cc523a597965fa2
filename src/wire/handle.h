/*
 * Object ids: what a remoted program holds as CUstream, CUevent, CUmodule... An id names its kind,
 * a table index and the generation of that index, so that a stale or invented handle is recognised
 * without touching memory. Most ids are minted by the client, which lets a creation be posted
 * without waiting; objects that the worker meets first (graph nodes, enumerated kernels) get ids of
 * its own.
 *
 *   bit 46       who minted it: 0 the client, 1 the worker
 *   bits 40..45  kind, never 0: an id is never one of CUDA's special handles 0, 1, 2
 *   bits 24..39  generation, 1..65535
 *   bits 0..23   index
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HANDLE_INDEX_BITS 24
#define HANDLE_INDEX_MAX  ((1u << HANDLE_INDEX_BITS) - 1)

/* HANDLE_KIND(name, CUDA type, what the error is when an id of this kind is not alive) */
#define HANDLE_KINDS                                                                               \
	HANDLE_KIND(CONTEXT, CUcontext, CUDA_ERROR_INVALID_CONTEXT)                                \
	HANDLE_KIND(STREAM, CUstream, CUDA_ERROR_INVALID_HANDLE)                                   \
	HANDLE_KIND(EVENT, CUevent, CUDA_ERROR_INVALID_HANDLE)                                     \
	HANDLE_KIND(MODULE, CUmodule, CUDA_ERROR_INVALID_HANDLE)                                   \
	HANDLE_KIND(FUNCTION, CUfunction, CUDA_ERROR_INVALID_HANDLE)                               \
	HANDLE_KIND(LIBRARY, CUlibrary, CUDA_ERROR_INVALID_HANDLE)                                 \
	HANDLE_KIND(KERNEL, CUkernel, CUDA_ERROR_INVALID_HANDLE)                                   \
	HANDLE_KIND(POOL, CUmemoryPool, CUDA_ERROR_INVALID_VALUE)                                  \
	HANDLE_KIND(ARRAY, CUarray, CUDA_ERROR_INVALID_HANDLE)                                     \
	HANDLE_KIND(MIPMAP, CUmipmappedArray, CUDA_ERROR_INVALID_HANDLE)                           \
	HANDLE_KIND(TEXOBJECT, CUtexObject, CUDA_ERROR_INVALID_VALUE)                              \
	HANDLE_KIND(SURFOBJECT, CUsurfObject, CUDA_ERROR_INVALID_VALUE)                            \
	HANDLE_KIND(TEXREF, CUtexref, CUDA_ERROR_INVALID_HANDLE)                                   \
	HANDLE_KIND(SURFREF, CUsurfref, CUDA_ERROR_INVALID_HANDLE)                                 \
	HANDLE_KIND(LINK, CUlinkState, CUDA_ERROR_INVALID_HANDLE)                                  \
	HANDLE_KIND(GRAPH, CUgraph, CUDA_ERROR_INVALID_VALUE)                                      \
	HANDLE_KIND(GRAPHEXEC, CUgraphExec, CUDA_ERROR_INVALID_VALUE)                              \
	HANDLE_KIND(GRAPHNODE, CUgraphNode, CUDA_ERROR_INVALID_VALUE)                              \
	HANDLE_KIND(USEROBJECT, CUuserObject, CUDA_ERROR_INVALID_VALUE)                            \
	HANDLE_KIND(GREENCTX, CUgreenCtx, CUDA_ERROR_INVALID_CONTEXT)                              \
	HANDLE_KIND(RESOURCEDESC, CUdevResourceDesc, CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION)    \
	HANDLE_KIND(ALLOCATION, CUmemGenericAllocationHandle, CUDA_ERROR_INVALID_VALUE)            \
	HANDLE_KIND(EXTMEMORY, CUexternalMemory, CUDA_ERROR_INVALID_HANDLE)                        \
	HANDLE_KIND(EXTSEMAPHORE, CUexternalSemaphore, CUDA_ERROR_INVALID_HANDLE)                  \
	HANDLE_KIND(CONDITIONAL, CUgraphConditionalHandle, CUDA_ERROR_INVALID_VALUE)               \
	HANDLE_KIND(NOTIFICATION, CUasyncCallbackHandle, CUDA_ERROR_INVALID_VALUE)

enum handle_kind {
	HANDLE_NONE,
#define HANDLE_KIND(name, type, error) HANDLE_##name,
	HANDLE_KINDS
#undef HANDLE_KIND
	    HANDLE_N_KINDS,
};

static inline uint64_t handle_id(
    bool by_worker, enum handle_kind kind, uint32_t generation, uint32_t index)
{
	return (uint64_t)by_worker << 46 | (uint64_t)kind << 40 |
	       (uint64_t)(generation & 0xffff) << 24 | (index & HANDLE_INDEX_MAX);
}

static inline bool handle_by_worker(uint64_t id)
{
	return id >> 46 & 1;
}

static inline enum handle_kind handle_kind_of(uint64_t id)
{
	return (enum handle_kind)(id >> 40 & 0x3f);
}

static inline uint32_t handle_generation(uint64_t id)
{
	return (uint32_t)(id >> 24 & 0xffff);
}

static inline uint32_t handle_index(uint64_t id)
{
	return (uint32_t)(id & HANDLE_INDEX_MAX);
}

/* The id of a device's primary context: fixed, so known before the context exists. */
static inline uint64_t handle_primary_context(int device)
{
	return handle_id(false, HANDLE_CONTEXT, 1, (uint32_t)device);
}
