/* Settings in the environment that are plain numbers, such as SOFTGPU_THREADS. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Whether text is a decimal number from least to most and nothing else; *out only then. */
static inline bool decimal_parse(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	char *end;

	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || number < least || number > most)
		return false;
	*out = number;
	return true;
}
