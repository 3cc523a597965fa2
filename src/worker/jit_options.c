/* One table says what each option's value is; options it does not name are refused, since a value
 * that is an address would be one in this process. */
#include "worker/jit_options.h"

#include <stdlib.h>
#include <string.h>

#include "gen/worker_custom.h"

enum value_kind {
	REFUSED,
	NUMBER,
	WRITTEN, /* the compiler writes a number into the slot */
	INFO_LOG,
	INFO_SIZE,
	ERROR_LOG,
	ERROR_SIZE,
};

static const uint8_t kinds[CU_JIT_NUM_OPTIONS] = {
    [CU_JIT_MAX_REGISTERS] = NUMBER,
    [CU_JIT_THREADS_PER_BLOCK] = WRITTEN,
    [CU_JIT_WALL_TIME] = WRITTEN,
    [CU_JIT_INFO_LOG_BUFFER] = INFO_LOG,
    [CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES] = INFO_SIZE,
    [CU_JIT_ERROR_LOG_BUFFER] = ERROR_LOG,
    [CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES] = ERROR_SIZE,
    [CU_JIT_OPTIMIZATION_LEVEL] = NUMBER,
    [CU_JIT_TARGET_FROM_CUCONTEXT] = NUMBER,
    [CU_JIT_TARGET] = NUMBER,
    [CU_JIT_FALLBACK_STRATEGY] = NUMBER,
    [CU_JIT_GENERATE_DEBUG_INFO] = NUMBER,
    [CU_JIT_LOG_VERBOSE] = NUMBER,
    [CU_JIT_GENERATE_LINE_INFO] = NUMBER,
    [CU_JIT_CACHE_MODE] = NUMBER,
    [CU_JIT_NEW_SM3X_OPT] = NUMBER,
    [CU_JIT_FAST_COMPILE] = NUMBER,
    [CU_JIT_LTO] = NUMBER,
    [CU_JIT_FTZ] = NUMBER,
    [CU_JIT_PREC_DIV] = NUMBER,
    [CU_JIT_PREC_SQRT] = NUMBER,
    [CU_JIT_FMA] = NUMBER,
    [CU_JIT_OPTIMIZE_UNUSED_DEVICE_VARIABLES] = NUMBER,
    [CU_JIT_POSITION_INDEPENDENT_CODE] = NUMBER,
    [CU_JIT_MIN_CTA_PER_SM] = NUMBER,
    [CU_JIT_MAX_THREADS_PER_BLOCK] = NUMBER,
    [CU_JIT_OVERRIDE_DIRECTIVE_VALUES] = NUMBER,
    [CU_JIT_SPLIT_COMPILE] = NUMBER,
};

static enum value_kind kind_of(CUjit_option option)
{
	return (unsigned)option < CU_JIT_NUM_OPTIONS ? kinds[option] : REFUSED;
}

CUresult jit_values_in(unsigned n, const CUjit_option *options, const uint64_t *values,
    const struct jit_logs *logs, void **out)
{
	for (unsigned i = 0; i < n; i++) {
		switch (kind_of(options[i])) {
		case REFUSED:
			return CUDA_ERROR_NOT_SUPPORTED;
		case INFO_LOG:
			out[i] = logs->info;
			break;
		case ERROR_LOG:
			out[i] = logs->errors;
			break;
		case INFO_SIZE:
			out[i] = (void *)(logs->info ? logs->info_bytes : 0);
			break;
		case ERROR_SIZE:
			out[i] = (void *)(logs->errors ? logs->error_bytes : 0);
			break;
		default:
			out[i] = (void *)values[i];
			break;
		}
	}
	return CUDA_SUCCESS;
}

void jit_values_out(unsigned n, const CUjit_option *options, void *const *values, uint64_t *out)
{
	for (unsigned i = 0; i < n; i++) {
		enum value_kind kind = kind_of(options[i]);
		if (kind == WRITTEN || kind == INFO_SIZE || kind == ERROR_SIZE)
			out[i] = (uint64_t)values[i];
	}
}

/* --- the logs of a call that failed, until the client asks for them --- */

void jit_logs_fini(struct jit_logs *logs)
{
	free(logs->info);
	free(logs->errors);
	*logs = (struct jit_logs){0};
}

/* The text with its zero; a buffer that is full has none. */
static char *copy_log(const char *log, size_t size, size_t *copied)
{
	*copied = log ? strnlen(log, size) : 0;
	char *copy = *copied ? malloc(*copied + 1) : NULL;
	if (!copy) {
		*copied = 0;
		return NULL;
	}
	memcpy(copy, log, *copied);
	copy[(*copied)++] = 0;
	return copy;
}

void jit_keep_logs(struct call *call, const struct jit_logs *logs)
{
	struct lane *lane = call->lane;
	struct jit_logs kept;

	kept.info = copy_log(logs->info, logs->info_bytes, &kept.info_bytes);
	kept.errors = copy_log(logs->errors, logs->error_bytes, &kept.error_bytes);
	pthread_mutex_lock(&lane->lock);
	jit_logs_fini(&lane->failed);
	lane->failed = kept;
	pthread_mutex_unlock(&lane->lock);
}

static size_t give_log(const char *log, size_t size, char *out, size_t room)
{
	size_t n = log && out ? MIN(size, room) : 0;

	if (!n)
		return 0;
	memcpy(out, log, n);
	out[n - 1] = 0;
	return n;
}

CUresult worker_rosenJitLog(struct call *call, struct args_rosenJitLog *a)
{
	struct lane *lane = call->lane;

	pthread_mutex_lock(&lane->lock);
	*a->info_used =
	    give_log(lane->failed.info, lane->failed.info_bytes, a->info, a->info_bytes);
	*a->error_used =
	    give_log(lane->failed.errors, lane->failed.error_bytes, a->errors, a->error_bytes);
	pthread_mutex_unlock(&lane->lock);
	return CUDA_SUCCESS;
}
