/*
 * A pool for temporaries of one operation: pieces are handed out one after the other and all given
 * back at once by pool_reset(). Its size is capped, so that a hostile peer cannot make its owner
 * allocate without end. Not thread-safe: one pool belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>

struct pool_block;

struct pool {
	struct pool_block *blocks; /* newest first; the oldest is kept over a reset */
	size_t used;		   /* bytes handed out since the last reset */
	size_t limit;		   /* bytes that may be handed out between two resets */
};

/* Takes no memory yet. */
void pool_init(struct pool *pool, size_t limit);
void pool_fini(struct pool *pool);

/* size zeroed bytes, aligned to 16, valid until the next reset; NULL when over the limit. */
void *pool_take(struct pool *pool, size_t size);
void pool_reset(struct pool *pool);
