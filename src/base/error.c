/*
 * The trace behind error_origin() and error_trace(): one debug line per frame a failure passes, so
 * that a log at level debug shows the failing path like a back-trace. See error.h for the rules.
 */
#include "base/error.h"

#include <string.h>

#include "base/log.h"

int error_trace_at(int r, const char *file, int line, const char *function)
{
	log_debug("%s:%d %s(): %s", file, line, function, strerrordesc_np(-r) ?: "unknown error");
	return r;
}
