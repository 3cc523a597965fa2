/* Managed memory: what cuMemAllocManaged gave. */
#pragma once

#include "abi/cuda.h"
#include "shim/range.h"

/* cuMemFree of an address in a managed range. */
CUresult managed_free(const struct range *range, CUdeviceptr address);
