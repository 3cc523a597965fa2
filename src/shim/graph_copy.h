/* Copies of ordinary memory in graphs: memcpy nodes and captured copies. Any thread. */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"
#include "wire/graph_copy.h"

/*
 * Readies the parameters of a memcpy node for the worker. out->number 0: it can use them as they
 * are. Otherwise a side was ordinary memory, and now names the memory that stands in for it; what
 * belongs to number ends when the worker ends it. stage: let memory stand in for host memory that
 * the worker could use, too, since the node already does so.
 */
CUresult graph_copy_pack(CUDA_MEMCPY3D *copy, bool stage, struct graph_copy *out);

/* Whether any copy of this process was one. */
bool graph_copy_any(void);

/* The parameters as the program gave them; false: number is not of such a copy. */
bool graph_copy_original(uint64_t number, CUDA_MEMCPY3D *copy);

/* An asynchronous copy of ordinary memory: if stream is being captured it becomes a node of the
 * graph, and *captured is true. */
CUresult graph_copy_capture(const CUDA_MEMCPY3D *copy, CUstream stream, bool *captured);

/* The same for a run of bytes. The types are HOST or DEVICE. */
CUresult graph_copy_capture_bytes(CUmemorytype destination_type, CUdeviceptr destination,
    CUmemorytype source_type, CUdeviceptr source, size_t bytes, CUstream stream, bool *captured);
