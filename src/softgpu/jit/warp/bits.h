/* Sets of small numbers as arrays of words; all sets of one analysis have the same length. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t bits_words(size_t count)
{
	return (count + 63) / 64;
}

static inline bool bits_has(const uint64_t *set, size_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}

static inline void bits_add(uint64_t *set, size_t i)
{
	set[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void bits_remove(uint64_t *set, size_t i)
{
	set[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

/* Adds the members of other; true when some were new. */
static inline bool bits_merge(uint64_t *set, const uint64_t *other, size_t words)
{
	uint64_t news = 0;

	for (size_t i = 0; i < words; i++) {
		news |= other[i] & ~set[i];
		set[i] |= other[i];
	}
	return news != 0;
}

/* Adds what is in both a and b. */
static inline void bits_merge_common(
    uint64_t *set, const uint64_t *a, const uint64_t *b, size_t words)
{
	for (size_t i = 0; i < words; i++)
		set[i] |= a[i] & b[i];
}
