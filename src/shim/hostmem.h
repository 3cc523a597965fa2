/*
 * Pinned memory for whoever in the shim needs some: cuMemHostAlloc and managed memory take pieces of
 * shared segments; registered memory (register.c) brings its pages along. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

/* A piece of bytes bytes, at a multiple of 512. Its content is whatever was there before. */
CUresult hostmem_take(uint64_t bytes, uint64_t *start);
/* Gives it back when the device's work is done. bytes: as taken. */
CUresult hostmem_give(uint64_t start, uint64_t bytes);
