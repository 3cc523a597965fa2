/* What launches and the kernel nodes of graphs share: how parameters and attributes reach the
 * backend.
 */
#pragma once

#include <stddef.h>

#include "worker/call.h"

/* One of values and extra is NULL, or both: what cuLaunchKernel and kernel nodes take. */
struct launch_parameters {
	void **values, **extra;
	const void *words[5];
	size_t bytes;
};

/*
 * One by one, for what becomes a node of a graph: NVIDIA's driver refuses the cooperative attribute
 * for a node that has `extra`. function may be a kernel. As `extra` after all where the backend
 * does not tell the layout (before CUDA 12.4). CUDA_ERROR_INVALID_VALUE: the buffer ends before the
 * last.
 */
CUresult launch_as_values(struct call *call, CUfunction function, const void *parameters,
    size_t bytes, struct launch_parameters *out);

/*
 * What a call returns that has put a kernel or a graph into stream, r: the backend's result. With
 * worker_options.launch_blocking it goes on until that is done, and its answer has the error of what
 * ran. A stream that is captured runs nothing, and a call nobody waits for has no time to lose.
 */
CUresult launch_end(struct call *call, CUstream stream, CUresult r);

/* Turns the handles in an attribute's value from ids into the backend's. CUDA_ERROR_NOT_SUPPORTED:
 * the driver would write through a pointer in it. */
CUresult launch_attribute(struct call *call, CUlaunchAttributeID id, CUlaunchAttributeValue *value);
