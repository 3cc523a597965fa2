/*
 * Launching as it was before CUDA 4: block shape, dynamic shared memory and parameters are state of
 * a function, set one by one, and cuLaunch and its like launch with them. Any thread.
 */
#pragma once

#include <stddef.h>

#include "abi/cuda.h"

struct old_launch {
	unsigned block[3], shared, bytes; /* block: of 0, 1 */
	char *buffer;			  /* for the parameters; the owner's, `room` bytes */
	size_t room;
};

/* Gives it a buffer of room bytes from malloc() unless it has one. */
CUresult old_launch_make_room(struct old_launch *old, size_t room);

CUresult old_launch_block(struct old_launch *old, int x, int y, int z);
CUresult old_launch_shared(struct old_launch *old, unsigned bytes);
/* Parameters beyond them are 0. Of more than the function has, the launch tells. */
CUresult old_launch_bytes(struct old_launch *old, unsigned bytes);
/* What lies beyond them is for nobody, as in CUDA. */
CUresult old_launch_put(struct old_launch *old, int offset, const void *from, unsigned bytes);

/* Calls launch, a cuLaunchKernel, with a copy of what has been set. */
CUresult old_launch_go(struct old_launch *old, CUfunction function, int width, int height,
    CUstream stream,
    CUresult (*launch)(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
	unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared, CUstream stream,
	void **values, void **extra));
