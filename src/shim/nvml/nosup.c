/*
 * NVML's other functions, so that every program links: they answer NVML_ERROR_NOT_SUPPORTED, which
 * NVML says of a device that lacks the feature. That is an ordinary answer to tools that ask for
 * everything, so it is logged as information, not as a warning.
 *
 * The arguments are not looked at, so one C type serves all: x86-64's callers own their arguments.
 */
#include <stdatomic.h>

#include "base/log.h"
#include "shim/nvml/internal.h"

nvmlReturn_t nvml_nosup(_Atomic bool *said, const char *name)
{
	struct nvml_view view;
	nvmlReturn_t r = nvml_enter(name, &view);

	if (r != NVML_SUCCESS)
		return r;
	/* Relaxed: at worst a line is said twice. */
	if (!atomic_exchange_explicit(said, true, memory_order_relaxed))
		log_info("%s is not supported: it returns NVML_ERROR_NOT_SUPPORTED", name);
	return NVML_ERROR_NOT_SUPPORTED;
}

#define NOSUP(function)                                                                            \
	NVML_API nvmlReturn_t function(void);                                                      \
	nvmlReturn_t function(void)                                                                \
	{                                                                                          \
		static _Atomic bool said;                                                          \
		return nvml_nosup(&said, #function);                                               \
	}
#include "shim/nvml/nosup.def"
