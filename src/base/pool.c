/*
 * Pieces are cut from blocks of at least 64 KiB. A reset frees all blocks but the oldest, so that
 * the steady state of a decode loop allocates nothing while one huge request does not stay
 * resident.
 */
#include "base/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define POOL_BLOCK_SIZE (64u * 1024)
#define POOL_ALIGN	16u

struct pool_block {
	struct pool_block *older;
	size_t size, used;
	_Alignas(POOL_ALIGN) uint8_t bytes[];
};

void pool_init(struct pool *pool, size_t limit)
{
	*pool = (struct pool){.limit = limit};
}

void pool_fini(struct pool *pool)
{
	pool_reset(pool);
	free(pool->blocks);
	pool->blocks = NULL;
}

void *pool_take(struct pool *pool, size_t size)
{
	struct pool_block *block = pool->blocks;

	if (size > pool->limit || pool->limit - size < pool->used)
		return NULL;
	size_t rounded = align_up(MAX(size, (size_t)1), POOL_ALIGN);
	if (!block || block->size - block->used < rounded) {
		size_t capacity = MAX(rounded, (size_t)POOL_BLOCK_SIZE);
		block = malloc(sizeof(*block) + capacity);
		if (!block)
			return NULL;
		*block = (struct pool_block){.older = pool->blocks, .size = capacity};
		pool->blocks = block;
	}
	void *piece = block->bytes + block->used;
	block->used += rounded;
	pool->used += size;
	return memset(piece, 0, size);
}

void pool_reset(struct pool *pool)
{
	while (pool->blocks && pool->blocks->older) {
		struct pool_block *older = pool->blocks->older;
		free(pool->blocks);
		pool->blocks = older;
	}
	if (pool->blocks)
		pool->blocks->used = 0;
	pool->used = 0;
}
