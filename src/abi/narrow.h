/*
 * Between the types of before CUDA 3.2, when sizes and device addresses had 32 bits, and today's.
 * What the generated bodies of narrow forms are written in (tools/apigen/emit_narrow.c): wide_T()
 * for what a program gives, narrow_T() for what it gets; false when an address does not fit.
 *
 * A context remembers which of the two cuCtxCreate made it: CUDA_ERROR_INVALID_CONTEXT is what the
 * narrow forms give in a context of today (the primary ones too), and cuCtxGetApiVersion tells.
 * That is also the answer when an address is wider than its form; an allocation finds no room then.
 * Sizes that do not fit are said to be the largest that does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

#define NARROW_API_VERSION 3010 /* of a context made by the narrow cuCtxCreate */
#define NARROW_NO_ROOM	   CUDA_ERROR_OUT_OF_MEMORY
#define NARROW_MISFIT	   CUDA_ERROR_INVALID_CONTEXT

static inline bool narrow_CUdeviceptr_v1(CUdeviceptr wide, CUdeviceptr_v1 *narrow)
{
	*narrow = (CUdeviceptr_v1)wide;
	return *narrow == wide;
}

static inline bool narrow_unsigned(size_t wide, unsigned *narrow)
{
	*narrow = wide > UINT32_MAX ? UINT32_MAX : (unsigned)wide;
	return true;
}

static inline void wide_CUDA_ARRAY_DESCRIPTOR_v1(
    const CUDA_ARRAY_DESCRIPTOR_v1 *narrow, CUDA_ARRAY_DESCRIPTOR *wide)
{
	*wide = (CUDA_ARRAY_DESCRIPTOR){
	    .Width = narrow->Width,
	    .Height = narrow->Height,
	    .Format = narrow->Format,
	    .NumChannels = narrow->NumChannels,
	};
}

/* The sizes of an array always fit. */
static inline bool narrow_CUDA_ARRAY_DESCRIPTOR_v1(
    CUDA_ARRAY_DESCRIPTOR wide, CUDA_ARRAY_DESCRIPTOR_v1 *narrow)
{
	*narrow = (CUDA_ARRAY_DESCRIPTOR_v1){
	    .Width = (unsigned)wide.Width,
	    .Height = (unsigned)wide.Height,
	    .Format = wide.Format,
	    .NumChannels = wide.NumChannels,
	};
	return true;
}

static inline void wide_CUDA_ARRAY3D_DESCRIPTOR_v1(
    const CUDA_ARRAY3D_DESCRIPTOR_v1 *narrow, CUDA_ARRAY3D_DESCRIPTOR *wide)
{
	*wide = (CUDA_ARRAY3D_DESCRIPTOR){
	    .Width = narrow->Width,
	    .Height = narrow->Height,
	    .Depth = narrow->Depth,
	    .Format = narrow->Format,
	    .NumChannels = narrow->NumChannels,
	    .Flags = narrow->Flags,
	};
}

static inline bool narrow_CUDA_ARRAY3D_DESCRIPTOR_v1(
    CUDA_ARRAY3D_DESCRIPTOR wide, CUDA_ARRAY3D_DESCRIPTOR_v1 *narrow)
{
	*narrow = (CUDA_ARRAY3D_DESCRIPTOR_v1){
	    .Width = (unsigned)wide.Width,
	    .Height = (unsigned)wide.Height,
	    .Depth = (unsigned)wide.Depth,
	    .Format = wide.Format,
	    .NumChannels = wide.NumChannels,
	    .Flags = wide.Flags,
	};
	return true;
}

static inline void wide_CUDA_MEMCPY2D_v1(const CUDA_MEMCPY2D_v1 *narrow, CUDA_MEMCPY2D *wide)
{
	*wide = (CUDA_MEMCPY2D){
	    .srcXInBytes = narrow->srcXInBytes,
	    .srcY = narrow->srcY,
	    .srcMemoryType = narrow->srcMemoryType,
	    .srcHost = narrow->srcHost,
	    .srcDevice = narrow->srcDevice,
	    .srcArray = narrow->srcArray,
	    .srcPitch = narrow->srcPitch,
	    .dstXInBytes = narrow->dstXInBytes,
	    .dstY = narrow->dstY,
	    .dstMemoryType = narrow->dstMemoryType,
	    .dstHost = narrow->dstHost,
	    .dstDevice = narrow->dstDevice,
	    .dstArray = narrow->dstArray,
	    .dstPitch = narrow->dstPitch,
	    .WidthInBytes = narrow->WidthInBytes,
	    .Height = narrow->Height,
	};
}

static inline void wide_CUDA_MEMCPY3D_v1(const CUDA_MEMCPY3D_v1 *narrow, CUDA_MEMCPY3D *wide)
{
	*wide = (CUDA_MEMCPY3D){
	    .srcXInBytes = narrow->srcXInBytes,
	    .srcY = narrow->srcY,
	    .srcZ = narrow->srcZ,
	    .srcLOD = narrow->srcLOD,
	    .srcMemoryType = narrow->srcMemoryType,
	    .srcHost = narrow->srcHost,
	    .srcDevice = narrow->srcDevice,
	    .srcArray = narrow->srcArray,
	    .reserved0 = narrow->reserved0,
	    .srcPitch = narrow->srcPitch,
	    .srcHeight = narrow->srcHeight,
	    .dstXInBytes = narrow->dstXInBytes,
	    .dstY = narrow->dstY,
	    .dstZ = narrow->dstZ,
	    .dstLOD = narrow->dstLOD,
	    .dstMemoryType = narrow->dstMemoryType,
	    .dstHost = narrow->dstHost,
	    .dstDevice = narrow->dstDevice,
	    .dstArray = narrow->dstArray,
	    .reserved1 = narrow->reserved1,
	    .dstPitch = narrow->dstPitch,
	    .dstHeight = narrow->dstHeight,
	    .WidthInBytes = narrow->WidthInBytes,
	    .Height = narrow->Height,
	    .Depth = narrow->Depth,
	};
}
