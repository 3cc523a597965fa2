/* See jit.h. Works on the caller's arrays; only jit_fetch_logs() leaves the process. */
#include "shim/jit.h"

#include "base/log.h"
#include "gen/shim_remote.h"

static bool is_table(CUjit_option option)
{
	switch ((int)option) {
	case CU_JIT_GLOBAL_SYMBOL_NAMES:
	case CU_JIT_GLOBAL_SYMBOL_ADDRESSES:
	case CU_JIT_REFERENCED_KERNEL_NAMES:
	case CU_JIT_REFERENCED_VARIABLE_NAMES:
		return true;
	default:
		return false;
	}
}

CUresult jit_read(struct jit *jit, unsigned n, const CUjit_option *options, void *const *values)
{
	*jit = (struct jit){.n = n};
	if (n && (!options || !values))
		return CUDA_ERROR_INVALID_VALUE;
	if (n > JIT_OPTIONS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < n; i++) {
		uint64_t value = (uint64_t)(uintptr_t)values[i];
		jit->options[i] = options[i];
		jit->values[i] = value;
		switch ((int)options[i]) {
		case CU_JIT_INFO_LOG_BUFFER:
			jit->info = values[i];
			jit->values[i] = 0;
			break;
		case CU_JIT_ERROR_LOG_BUFFER:
			jit->errors = values[i];
			jit->values[i] = 0;
			break;
		case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
			jit->info_bytes = (uint32_t)value;
			break;
		case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
			jit->error_bytes = (uint32_t)value;
			break;
		default:
			if (!is_table(options[i]))
				break;
			log_warn_once("a compiler option names symbols of the program "
				      "(CUjit_option %d): not supported",
			    (int)options[i]);
			return CUDA_ERROR_NOT_SUPPORTED;
		}
	}
	if (!jit->info)
		jit->info_bytes = 0;
	if (!jit->errors)
		jit->error_bytes = 0;
	return jit->info_bytes > JIT_LOG_MAX || jit->error_bytes > JIT_LOG_MAX
		   ? CUDA_ERROR_INVALID_VALUE
		   : CUDA_SUCCESS;
}

void jit_write_back(const struct jit *jit, void **values)
{
	for (unsigned i = 0; i < jit->n; i++) {
		switch ((int)jit->options[i]) {
		case CU_JIT_WALL_TIME:
		case CU_JIT_THREADS_PER_BLOCK:
		case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
		case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
			values[i] = (void *)(uintptr_t)jit->values[i]; /* NOLINT */
			break;
		default:
			break;
		}
	}
}

void jit_fetch_logs(struct jit *jit)
{
	size_t info_used = 0, error_used = 0;

	if (!jit->info && !jit->errors)
		return;
	if (remote_rosenJitLog(jit->info, jit->info_bytes, &info_used, jit->errors,
		jit->error_bytes, &error_used) != CUDA_SUCCESS)
		return;
	for (unsigned i = 0; i < jit->n; i++) {
		if (jit->options[i] == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES)
			jit->values[i] = info_used;
		else if (jit->options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
			jit->values[i] = error_used;
	}
}
