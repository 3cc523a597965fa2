/* A growing string. Out of memory is remembered, not reported at each append. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

struct text {
	char *bytes; /* NUL-terminated once something was appended */
	size_t size, capacity;
	bool failed;
};

void text_fini(struct text *text);
void text_append(struct text *text, const char *bytes, size_t size);
void text_format(struct text *text, const char *format, ...) _printf_(2, 3);
void text_vformat(struct text *text, const char *format, va_list arguments);
