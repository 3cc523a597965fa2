/*
 * A fast hash of 128 bits, for telling content apart that nobody has an interest in making collide:
 * not cryptographic. The same on every machine.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct hash128 {
	uint64_t word[2];
};

struct hash128 hash128(const void *bytes, size_t size);
