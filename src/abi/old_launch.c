/*
 * One lock for all functions: nothing here takes long, and nobody is in a hurry who launches this
 * way. A launch copies the state under it and makes the real call without.
 */
#include "abi/old_launch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* Of what cuParamSetSize takes, which an H200's driver does 4096 and not 100000. */
#define BYTES_MAX 32764u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

CUresult old_launch_make_room(struct old_launch *old, size_t room)
{
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&lock);
	if (!old->buffer) {
		old->buffer = calloc(1, room ?: 1);
		old->room = old->buffer ? room : 0;
		r = old->buffer ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult old_launch_block(struct old_launch *old, int x, int y, int z)
{
	if (x <= 0 || y <= 0 || z <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	old->block[0] = (unsigned)x;
	old->block[1] = (unsigned)y;
	old->block[2] = (unsigned)z;
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

CUresult old_launch_shared(struct old_launch *old, unsigned bytes)
{
	pthread_mutex_lock(&lock);
	old->shared = bytes;
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

CUresult old_launch_bytes(struct old_launch *old, unsigned bytes)
{
	if (bytes > BYTES_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	old->bytes = bytes;
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

CUresult old_launch_put(struct old_launch *old, int offset, const void *from, unsigned bytes)
{
	if (offset < 0)
		return CUDA_ERROR_INVALID_VALUE;
	if ((unsigned)offset >= old->room)
		return CUDA_SUCCESS;
	pthread_mutex_lock(&lock);
	memcpy(old->buffer + offset, from, MIN(bytes, old->room - (unsigned)offset));
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

CUresult old_launch_go(struct old_launch *old, CUfunction function, int width, int height,
    CUstream stream,
    CUresult (*launch)(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
	unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared, CUstream stream,
	void **values, void **extra))
{
	if (width <= 0 || height <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	struct old_launch now = *old;
	size_t bytes = MAX(now.bytes, now.room);
	char *buffer = calloc(1, bytes ?: 1);
	if (buffer)
		memcpy(buffer, old->buffer, MIN(now.bytes, now.room));
	pthread_mutex_unlock(&lock);
	if (!buffer)
		return CUDA_ERROR_OUT_OF_MEMORY;
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, buffer, CU_LAUNCH_PARAM_BUFFER_SIZE,
	    &bytes, CU_LAUNCH_PARAM_END};
	CUresult r = launch(function, (unsigned)width, (unsigned)height, 1, MAX(now.block[0], 1u),
	    MAX(now.block[1], 1u), MAX(now.block[2], 1u), now.shared, stream, NULL, extra);
	free(buffer);
	return r;
}
