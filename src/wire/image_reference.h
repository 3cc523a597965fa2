/*
 * What the shim sends in place of a program image that the worker may have already: because it came
 * before in this session, or because another session of the same user had it. The struct stands
 * where the image's bytes would be; no image of CUDA's begins with a zero.
 */
#pragma once

#include <stdint.h>

#include "abi/cuda.h"
#include "base/digest.h"

#define IMAGE_REFERENCE_MAGIC 0x66657220676d6900ull /* "\0img ref" */

/* Smaller images are not worth it, on either side. */
#define IMAGE_REFERENCE_LEAST (64u << 10)

/* The worker's answer when it does not have it: to be sent whole. Never seen by the program. */
#define IMAGE_NOT_KEPT ((CUresult)0x7f000001)

struct image_reference {
	uint64_t magic;
	uint64_t size; /* of the image */
	struct digest digest;
};
