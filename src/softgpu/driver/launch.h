/*
 * What launches and the occupancy queries both compute from a function and a block's shape.
 */
#pragma once

#include "softgpu/driver/module.h"
#include "softgpu/driver/stream.h"

#define SG_PORTABLE_CLUSTER 8u /* blocks that every device with clusters takes */

/* Dynamic shared memory a block of the function may ask for. */
unsigned sg_function_dynamic_limit(const struct sg_function *function);

/* Blocks of a cooperative grid that can be resident together on the device. */
unsigned sg_function_cooperative_limit(
    const struct sg_function *function, unsigned threads, size_t dynamic_shared);

/* The end of a launch that put its work into stream with result r; returns the launch's result.
 * Under CUDA_LAUNCH_BLOCKING it waits for the work, and returns the context's error. */
CUresult sg_launch_end(struct sg_stream *stream, CUresult r);

/* Those of a launch's attributes that change how the grid runs. */
struct sg_launch_traits {
	bool cooperative;
	unsigned cluster[3]; /* blocks; all 0: not named */
};

/* work: a kernel's. */
struct sg_launch_traits sg_launch_traits(const struct sg_work *work);

/* Whether a launch may have such blocks, by the device's limits, .maxntid and .reqntid. */
bool sg_function_takes_block(const struct sg_function *function, const unsigned block[3]);

/*
 * The blocks of the clusters a launch makes, and the grid in blocks: *grid counts clusters where
 * the kernel says so. Fails where they do not fit the kernel, the device or the grid.
 */
CUresult sg_function_cluster(const struct sg_function *function, const unsigned named[3],
    unsigned grid[3], unsigned cluster[3]);
