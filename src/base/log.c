/*
 * The log's only file. The level is read with a relaxed load on every log_*() call, which is what
 * lets debug lines stay in hot paths; everything else happens only when a line is really written.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *log_who = "rosen";
static _Atomic int log_level_now = LOG_WARN;
static int log_descriptor = STDERR_FILENO;

void log_init(const char *who)
{
	const char *wanted = getenv("ROSEN_LOG");

	log_who = who;
	if (wanted)
		log_set_level_named(wanted);
}

bool log_set_level_named(const char *name)
{
	static const char *const words[] = {"error", "warn", "info", "debug"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(name, words[i]))
			continue;
		log_set_level((enum log_level)i);
		return true;
	}
	return false;
}

void log_set_level(enum log_level level)
{
	/* Relaxed: a line too many or too few while the level changes harms nobody. */
	atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
}

void log_set_descriptor(int fd)
{
	log_descriptor = fd;
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[1024];
	int saved_errno = errno;
	int head = snprintf(line, sizeof(line), "rosen[%s]: %s: ", log_who, level_names[level]);
	va_list arguments;

	va_start(arguments, format);
	int body = vsnprintf(line + head, sizeof(line) - (size_t)head, format, arguments);
	va_end(arguments);

	size_t length = MIN((size_t)head + (size_t)MAX(body, 0), sizeof(line) - 1);
	/* A text from elsewhere, such as a compiler's, may bring one of its own. */
	while (line[length - 1] == '\n')
		length--;
	line[length++] = '\n';
	/* A log that cannot be written has nobody to tell. */
	ssize_t ignored = write(log_descriptor, line, length);
	(void)ignored;
	errno = saved_errno;
}
