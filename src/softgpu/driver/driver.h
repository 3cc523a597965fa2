/*
 * What every file with exported functions includes: the prototypes of the driver API, and the
 * checks each entry begins with.
 */
#pragma once

#include "abi/cuda.h"
#include "gen/cuda_api.h"
#include "softgpu/driver/context.h"
