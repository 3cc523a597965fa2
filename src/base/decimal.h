/* Settings that are numbers: plain ones, such as SOFTGPU_THREADS, and sizes, such as ring_size. */
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

/*
 * The size that text begins with: decimal or hexadecimal (0x), with or without K, M or G for powers
 * of 1024. What follows it, or NULL: text begins with none, or it is not less than 2^64.
 */
static inline const char *size_read(const char *text, uint64_t *out)
{
	bool hexadecimal = *text == '0' && (text[1] == 'x' || text[1] == 'X');
	unsigned shift;
	char *end;

	errno = 0;
	unsigned long long number = strtoull(text, &end, hexadecimal ? 16 : 10);
	if (errno || *text < '0' || *text > '9')
		return NULL;
	shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
	if (number << shift >> shift != number)
		return NULL;
	*out = number << shift;
	return end + (shift != 0);
}
