/*
 * Where the parameters of kernels lie in their buffers, as the backend says it: it is asked once
 * for each, not at each launch that is captured and each change of a graph's kernel. Any thread.
 */
#pragma once

#include <stdint.h>

#include "abi/cuda.h"

struct call;
struct layouts;

struct layout_place {
	uint32_t offset, bytes;
};

/* function may be a kernel. places: n of them, as long as the call lives. n -1: the backend does
 * not say. */
CUresult layout_find(
    struct call *call, CUfunction function, int *n, const struct layout_place **places);

/* The session's. */
struct layouts *layouts_new(void);
struct layouts *layouts_free(struct layouts *layouts);
/* Functions have ended: their handles may become others'. */
void layouts_forget(struct layouts *layouts);
