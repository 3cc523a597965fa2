/*
 * Compiled kernels on disk: one file per kernel, named by what it was made from.
 *
 * The folder is $SOFTGPU_CACHE, or rosen/softgpu in $XDG_CACHE_HOME or ~/.cache; SOFTGPU_CACHE set
 * to nothing switches the cache off. SOFTGPU_CACHE_SIZE (bytes, with K, M, G) caps it. Any number
 * of threads and processes may use it at the same time. Nothing here fails: what cannot be read is
 * a miss, what cannot be written is not kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A hash wide enough to stand for its source. */
struct cache_key {
	uint64_t words[2];
};

/* Of two pieces, in this order. */
struct cache_key cache_key_of(const void *a, size_t a_size, const void *b, size_t b_size);

#define CACHE_KEY_TEXT 33 /* hexadecimal, with its NUL */
void cache_key_write(const struct cache_key *key, char text[CACHE_KEY_TEXT]);

/* The object of a key in memory of the caller's (free()), or NULL. Its bytes are as they were
 * stored. */
void *cache_load(const struct cache_key *key, size_t *size);

void cache_store(const struct cache_key *key, const void *object, size_t size);
