/* What launches and the kernel nodes of graphs share: how parameters and attributes reach the backend.
 */
#pragma once

#include <stddef.h>

#include "worker/call.h"

struct launch_extra {
	const void *words[5];
	size_t bytes;
};

/* What cuLaunchKernel and kernel nodes take as `extra`; it points into *out. */
void **launch_extra(const void *parameters, size_t bytes, struct launch_extra *out);

/* Turns the handles in an attribute's value from ids into the backend's. CUDA_ERROR_NOT_SUPPORTED:
 * the driver would write through a pointer in it. */
CUresult launch_attribute(struct call *call, CUlaunchAttributeID id, CUlaunchAttributeValue *value);
