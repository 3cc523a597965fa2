/*
 * The memory of one pool of this process's own: pieces of large pinned chunks, which come and go in
 * the order of streams. The caller's lock is held, also while the worker is asked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "shim/hostmem.h"

#define POOL_HEAP_PIECE 512u	      /* sizes of pieces are multiples of this */
#define POOL_HEAP_CHUNK (32ull << 20) /* and of chunks, by which the pool grows, of this */

/* A new heap is zero but for way and opportunistic. */
struct pool_heap {
	struct hostmem_way way; /* of its chunks */
	/* Whether a stream may have a piece that another one gave back, once the other stream has
	 * got there. */
	bool opportunistic;
	struct pool_chunk *chunks;
	size_t used, taken, reserved; /* bytes: that the program asked for; of pieces; of chunks */
};

/*
 * A piece of at least bytes bytes, for use in stream: one that nobody uses, or that the same stream
 * gave back. most: how many bytes the program may have at a time; CUDA_ERROR_OUT_OF_MEMORY beyond.
 */
CUresult pool_heap_take(
    struct pool_heap *heap, size_t bytes, size_t most, CUstream stream, uint64_t *address);

/* Gives the piece that begins at address back: when stream gets there, or at once, if nobody
 * uses it any more. CUDA_ERROR_INVALID_VALUE or false: no piece begins there. */
CUresult pool_heap_give(struct pool_heap *heap, uint64_t address, CUstream stream);
bool pool_heap_give_now(struct pool_heap *heap, uint64_t address);

/* Maps the heap for devices from now on; unmaps it from them, when their work is done. */
CUresult pool_heap_show(struct pool_heap *heap);
CUresult pool_heap_hide(struct pool_heap *heap);

/* Gives up chunks without a piece in use, until no more than keep bytes are left. */
void pool_heap_trim(struct pool_heap *heap, size_t keep);

/* Gives up all of them, when the device's work is done; none has a piece in use. */
void pool_heap_fini(struct pool_heap *heap);

/* The chunk that address is in: one mapping, and one memory object. */
struct pool_block {
	uint64_t start, size;
	uint64_t number; /* no other memory of the process has it */
};
bool pool_heap_find(const struct pool_heap *heap, uint64_t address, struct pool_block *out);
