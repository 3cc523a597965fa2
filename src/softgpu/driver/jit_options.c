/* See jit_options.h. */
#include "softgpu/driver/jit_options.h"

#include <string.h>

#include "base/clock.h"

CUresult sg_jit_options_read(
    struct sg_jit_options *jit, unsigned n, const CUjit_option *options, void **values)
{
	memset(jit, 0, sizeof(*jit));
	jit->started_ns = clock_now_ns();
	if (n && !options)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < n; i++) {
		if (options[i] >= CU_JIT_NUM_OPTIONS || !values)
			return CUDA_ERROR_INVALID_VALUE;
		switch (options[i]) {
		case CU_JIT_INFO_LOG_BUFFER:
			jit->info.text = values[i];
			break;
		case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
			jit->info.capacity = (unsigned)(uintptr_t)values[i];
			jit->info_size = &values[i];
			break;
		case CU_JIT_ERROR_LOG_BUFFER:
			jit->error.text = values[i];
			break;
		case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
			jit->error.capacity = (unsigned)(uintptr_t)values[i];
			jit->error_size = &values[i];
			break;
		case CU_JIT_WALL_TIME:
			jit->wall_time = &values[i];
			break;
		default:
			break;
		}
	}
	if (!jit->info.text)
		jit->info.capacity = 0;
	if (!jit->error.text || !jit->error.capacity)
		jit->error = (struct sg_log){jit->own_error, sizeof(jit->own_error), 0};
	return CUDA_SUCCESS;
}

void sg_jit_options_answer(struct sg_jit_options *jit)
{
	float ms = (float)((double)(clock_now_ns() - jit->started_ns) / 1e6);

	if (jit->info_size)
		*jit->info_size = (void *)jit->info.used;
	if (jit->error_size)
		*jit->error_size =
		    (void *)(jit->error.text == jit->own_error ? 0 : jit->error.used);
	if (jit->wall_time) {
		*jit->wall_time = NULL;
		memcpy(jit->wall_time, &ms, sizeof(ms));
	}
}
