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

/* Pieces are multiples of this; chunks, which the pool grows by, of the other. */
#define POOL_HEAP_PIECE 512u
#define POOL_HEAP_CHUNK (32ull << 20)

/* But for way and opportunistic all 0: there is nothing yet. */
struct pool_heap {
	struct hostmem_way way; /* of its chunks */
	bool opportunistic; /* gives what one stream gave back to others once that was reached */
	struct pool_chunk *chunks;
	size_t used, taken, reserved; /* bytes: that the program asked for; of pieces; of chunks */
};

/*
 * A piece of at least bytes bytes, for use in stream: one that nobody uses, or that stream gave
 * back. most: what the program may have at a time; CUDA_ERROR_OUT_OF_MEMORY beyond that.
 */
CUresult pool_heap_take(
    struct pool_heap *heap, size_t bytes, size_t most, CUstream stream, uint64_t *address);

/* Gives the piece that begins at address back when stream gets there; or at once, as nobody uses it
 * any more. CUDA_ERROR_INVALID_VALUE or false: there is none. */
CUresult pool_heap_give(struct pool_heap *heap, uint64_t address, CUstream stream);
bool pool_heap_give_now(struct pool_heap *heap, uint64_t address);

/* Lets devices have it from now on; takes it from them, when their work is done. */
CUresult pool_heap_show(struct pool_heap *heap);
CUresult pool_heap_hide(struct pool_heap *heap);

/* Gives up chunks without a piece in use, until no more than keep bytes are left. */
void pool_heap_trim(struct pool_heap *heap, size_t keep);

/* Gives up all of them, when the device's work is done; none has a piece in use. */
void pool_heap_fini(struct pool_heap *heap);

/* The chunk that address is in: what is mapped at once, as one memory. */
struct pool_block {
	uint64_t start, size;
	uint64_t number; /* no other memory of the process has it */
};
bool pool_heap_find(const struct pool_heap *heap, uint64_t address, struct pool_block *out);
