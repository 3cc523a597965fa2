/*
 * What launches and the occupancy queries both compute from a function and a block's shape.
 */
#pragma once

#include "softgpu/driver/module.h"
#include "softgpu/driver/stream.h"

/* Dynamic shared memory a block of the function may ask for. */
unsigned sg_function_dynamic_limit(const struct sg_function *function);

/* Blocks that are resident at once on one multiprocessor; 0: none fits. */
unsigned sg_function_occupancy(
    const struct sg_function *function, unsigned threads, size_t dynamic_shared);

/* Blocks of a cooperative grid that can be resident together on the device. */
unsigned sg_function_cooperative_limit(
    const struct sg_function *function, unsigned threads, size_t dynamic_shared);

/* Of a kernel's work. */
bool sg_launch_is_cooperative(const struct sg_work *work);
