/*
 * The log: one line per event on stderr, "rosen[who]: level: text".
 *
 * Levels are defined by volume: error and warn are read by a person and say what failed, on what
 * and what to do; info is at most a line per session; debug may be a line per call. The default
 * level is warn; ROSEN_LOG=error|warn|info|debug changes it. Safe from any thread; a line is one
 * write(2), so that lines of several processes never mix. Allocates nothing: it runs in other
 * people's processes.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/util.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* who is a static string: "shim", "worker", "rosend", "softgpu"... Reads ROSEN_LOG. */
void log_init(const char *who);
void log_set_level(enum log_level level);
/* error, warn, info or debug, as the setting `log` has it; false: no such level. */
bool log_set_level_named(const char *name);
/* Where lines go from now on, in place of stderr. */
void log_set_descriptor(int fd);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *format, ...) _printf_(2, 3);

#define log_at(level, ...)                                                                         \
	do {                                                                                       \
		if (unlikely(log_enabled(level)))                                                  \
			log_write(level, __VA_ARGS__);                                             \
	} while (0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* Once per place in the code, whatever the number of threads. */
#define log_warn_once(...)                                                                         \
	do {                                                                                       \
		static atomic_flag log_seen = ATOMIC_FLAG_INIT;                                    \
		if (!atomic_flag_test_and_set_explicit(&log_seen, memory_order_relaxed))           \
			log_warn(__VA_ARGS__);                                                     \
	} while (0)
