/*
 * The CUDA driver API's types as of CUDA 13.0: our own declarations of a published binary
 * interface. Names, values and layouts are those a program was compiled against (source: the CUDA
 * Driver API reference and the public header's binary interface), which is why this is the one
 * place where structs are typedef'd. test-cuda-types.c compares every size, offset and value with
 * NVIDIA's header where that is installed.
 *
 * Functions are not declared here but in api/, from which gen/cuda_api.h and all else is made.
 *
 * Split by subject; include this file, never the parts alone. Of structs that changed over time the
 * unnumbered name is the one programs mean today; older or newer layouts carry _v1, _v2, _v3.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CUDA_VERSION 13000

/* An address the device understands: of its memory, or of pinned host memory. */
typedef unsigned long long CUdeviceptr;
typedef unsigned CUdeviceptr_v1; /* before CUDA 3.2 */

/* An ordinal, 0..n-1. */
typedef int CUdevice;
#define CU_DEVICE_CPU	  ((CUdevice) - 1)
#define CU_DEVICE_INVALID ((CUdevice) - 2)

/* Objects a program holds by an opaque pointer. */
typedef struct CUctx_st *CUcontext;
typedef struct CUgreenCtx_st *CUgreenCtx;
typedef struct CUdevResourceDesc_st *CUdevResourceDesc;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUlib_st *CUlibrary;
typedef struct CUkern_st *CUkernel;
typedef struct CUlinkState_st *CUlinkState;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUmemPoolHandle_st *CUmemoryPool;
typedef struct CUarray_st *CUarray;
typedef struct CUmipmappedArray_st *CUmipmappedArray;
typedef struct CUtexref_st *CUtexref;
typedef struct CUsurfref_st *CUsurfref;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphNode_st *CUgraphNode;
typedef struct CUgraphExec_st *CUgraphExec;
typedef struct CUgraphDeviceUpdatableNode_st *CUgraphDeviceNode;
typedef struct CUuserObject_st *CUuserObject;
typedef struct CUextMemory_st *CUexternalMemory;
typedef struct CUextSemaphore_st *CUexternalSemaphore;
typedef struct CUgraphicsResource_st *CUgraphicsResource;
typedef struct CUasyncCallbackEntry_st *CUasyncCallbackHandle;
typedef struct CUlogsCallbackEntry_st *CUlogsCallbackHandle;

/* Objects a program holds by number. */
typedef unsigned long long CUtexObject;
typedef unsigned long long CUsurfObject;
typedef unsigned long long CUmemGenericAllocationHandle;
typedef uint64_t CUgraphConditionalHandle;

typedef struct {
	char bytes[16];
} CUuuid;

/* Each part uses those before it. */
/* clang-format off */
#include "abi/cuda_result.h"
#include "abi/cuda_device.h"
#include "abi/cuda_memory.h"
#include "abi/cuda_array.h"
#include "abi/cuda_code.h"
#include "abi/cuda_stream.h"
#include "abi/cuda_launch.h"
#include "abi/cuda_interop.h"
#include "abi/cuda_graph.h"
/* clang-format on */
