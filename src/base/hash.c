/*
 * Four independent accumulators that each take one word of every 32 bytes with a multiplication and
 * a rotation, so that a processor works at all four at once; in the end they are mixed in two
 * orders.
 */
#include "base/hash.h"

#include <string.h>

#include "base/util.h"

#define LANES 4
#define BLOCK (LANES * sizeof(uint64_t))
#define P1    0x9e3779b97f4a7c15ull
#define P2    0xc2b2ae3d27d4eb4full
#define P3    0x165667b19e3779f9ull

static uint64_t rotate(uint64_t word, unsigned by)
{
	return word << by | word >> (64 - by);
}

static void take(uint64_t lane[LANES], const uint8_t *block)
{
	for (unsigned i = 0; i < LANES; i++) {
		uint64_t word;
		memcpy(&word, block + i * sizeof(word), sizeof(word));
		lane[i] = rotate(lane[i] + word * P2, 31) * P1;
	}
}

static uint64_t mix(uint64_t hash, uint64_t lane)
{
	hash = (hash ^ rotate(lane * P2, 31) * P1) * P1 + P3;
	return hash ^ hash >> 29;
}

static uint64_t finish(uint64_t hash)
{
	hash = (hash ^ hash >> 33) * P2;
	hash = (hash ^ hash >> 29) * P3;
	return hash ^ hash >> 32;
}

struct hash128 hash128(const void *bytes, size_t size)
{
	uint64_t lane[LANES] = {P1, P2, P3, P1 ^ P2}, a = size, b = ~(uint64_t)size;
	const uint8_t *at = bytes;
	uint8_t last[BLOCK] = {0};
	size_t left = size;

	for (; left >= BLOCK; left -= BLOCK, at += BLOCK)
		take(lane, at);
	memcpy(last, at, left);
	take(lane, last);
	for (unsigned i = 0; i < LANES; i++) {
		a = mix(a, lane[i]);
		b = mix(b, lane[LANES - 1 - i] ^ P3);
	}
	return (struct hash128){{finish(a), finish(b)}};
}
