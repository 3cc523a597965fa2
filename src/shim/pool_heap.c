/*
 * A chunk is cut into pieces, a list in order of address. A piece that is given back in a stream
 * which is not known to be idle has an event, recorded there: the same stream may have it again at
 * once, as what it does next comes later anyway; others when the event has happened. That is asked
 * of the first piece that would do, and of all only when memory is short. Neighbours that may be
 * had by the same streams are one piece.
 */
#include "shim/pool_heap.h"

#include <stdlib.h>

#include "base/util.h"
#include "gen/shim_remote.h"
#include "shim/idle.h"
#include "shim/range.h"

/* Of chunks, as of memory of virtual_host.c: far from what a driver counts. */
#define NUMBERS (1ull << 40)

enum state {
	FREE,
	USED,
	ENDING, /* when event has happened */
};

struct piece {
	struct piece *next;
	uint64_t start, size;
	size_t bytes; /* USED: as the program asked */
	enum state state;
	CUstream stream; /* ENDING; CU_STREAM_PER_THREAD: some thread's */
	CUevent event;	 /* ENDING */
	uint64_t order;	 /* of events */
};

struct pool_chunk {
	struct pool_chunk *next;
	uint64_t start, size;
	uint64_t number;
	struct piece *pieces;
};

static CUstream named(CUstream stream)
{
	return stream == CU_STREAM_LEGACY ? NULL : stream;
}

static bool is_same_stream(const struct piece *piece, CUstream stream)
{
	return piece->stream == stream && stream != CU_STREAM_PER_THREAD;
}

static void forget_event(struct piece *piece)
{
	if (piece->event)
		remote_cuEventDestroy_v2(piece->event);
	piece->event = NULL;
}

/* --- neighbours --- */

static bool are_one(const struct piece *piece, const struct piece *next)
{
	if (piece->state != next->state || piece->state == USED)
		return false;
	return piece->state == FREE || is_same_stream(piece, next->stream);
}

/* next's pages too. Of two events of a stream the later one counts for both. */
static void absorb(struct piece *piece, struct piece *next)
{
	if (piece->order < next->order) {
		CUevent earlier = piece->event;
		piece->event = next->event;
		piece->order = next->order;
		next->event = earlier;
	}
	forget_event(next);
	piece->size += next->size;
	piece->next = next->next;
	free(next);
}

static void join(struct pool_chunk *chunk)
{
	for (struct piece *piece = chunk->pieces; piece; piece = piece->next)
		while (piece->next && are_one(piece, piece->next))
			absorb(piece, piece->next);
}

/* --- taking --- */

static CUresult chunk_new(struct pool_heap *heap, size_t bytes)
{
	static uint64_t last = NUMBERS;
	struct pool_chunk *chunk = calloc(1, sizeof(*chunk));
	struct piece *piece = calloc(1, sizeof(*piece));
	CUresult r = chunk && piece ? hostmem_take_own(bytes, &heap->way, &chunk->start)
				    : CUDA_ERROR_OUT_OF_MEMORY;

	if (r != CUDA_SUCCESS) {
		free(chunk);
		free(piece);
		return r;
	}
	*piece = (struct piece){.start = chunk->start, .size = bytes};
	chunk->size = bytes;
	chunk->number = ++last;
	chunk->pieces = piece;
	chunk->next = heap->chunks;
	heap->chunks = chunk;
	heap->reserved += bytes;
	return CUDA_SUCCESS;
}

/* Cuts size bytes from the beginning of piece. False: out of memory. */
static bool cut(struct piece *piece, size_t size)
{
	if (piece->size > size) {
		struct piece *rest = malloc(sizeof(*rest));
		if (!rest)
			return false;
		*rest = *piece;
		rest->start += size;
		rest->size -= size;
		piece->next = rest;
		piece->size = size;
		piece->event = NULL; /* the rest has it */
	}
	forget_event(piece);
	piece->state = USED;
	return true;
}

/* An event that cannot be asked has gone with its context. */
static bool has_ended(const struct piece *piece)
{
	return remote_cuEventQuery(piece->event) != CUDA_ERROR_NOT_READY;
}

/* ask: of one piece of another stream whether that stream has got there. */
static bool find(
    struct pool_heap *heap, size_t size, CUstream stream, bool ask, struct piece **found)
{
	for (struct pool_chunk *chunk = heap->chunks; chunk; chunk = chunk->next) {
		for (struct piece *piece = chunk->pieces; piece; piece = piece->next) {
			if (piece->size < size || piece->state == USED)
				continue;
			if (piece->state == ENDING && !is_same_stream(piece, stream)) {
				if (!ask || !has_ended(piece)) {
					ask = false;
					continue;
				}
			}
			*found = piece;
			return cut(piece, size);
		}
	}
	return false;
}

/* Looks which pieces have ended. */
static void settle(struct pool_heap *heap)
{
	for (struct pool_chunk *chunk = heap->chunks; chunk; chunk = chunk->next) {
		for (struct piece *piece = chunk->pieces; piece; piece = piece->next) {
			if (piece->state != ENDING || !has_ended(piece))
				continue;
			forget_event(piece);
			piece->state = FREE;
		}
		join(chunk);
	}
}

CUresult pool_heap_take(
    struct pool_heap *heap, size_t bytes, size_t most, CUstream stream, uint64_t *address)
{
	struct piece *piece;
	CUresult r = CUDA_SUCCESS;

	if (bytes > SIZE_MAX - POOL_HEAP_CHUNK)
		return CUDA_ERROR_OUT_OF_MEMORY;
	size_t size = align_up(bytes, POOL_HEAP_PIECE);
	if (heap->taken > most || size > most - heap->taken)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (!find(heap, size, named(stream), heap->opportunistic, &piece)) {
		settle(heap);
		if (!find(heap, size, named(stream), false, &piece)) {
			r = chunk_new(heap, align_up(bytes, POOL_HEAP_CHUNK));
			if (r == CUDA_SUCCESS && !find(heap, size, named(stream), false, &piece))
				r = CUDA_ERROR_OUT_OF_MEMORY;
		}
	}
	if (r != CUDA_SUCCESS)
		return r;
	piece->bytes = bytes;
	heap->used += bytes;
	heap->taken += size;
	*address = piece->start;
	return CUDA_SUCCESS;
}

/* --- giving --- */

static struct piece *find_used(struct pool_heap *heap, uint64_t address, struct pool_chunk **of)
{
	for (struct pool_chunk *chunk = heap->chunks; chunk; chunk = chunk->next) {
		if (address - chunk->start >= chunk->size)
			continue;
		*of = chunk;
		for (struct piece *piece = chunk->pieces; piece; piece = piece->next)
			if (piece->start == address && piece->state == USED)
				return piece;
	}
	return NULL;
}

static void count_given(struct pool_heap *heap, const struct piece *piece)
{
	heap->used -= piece->bytes;
	heap->taken -= piece->size;
}

static void give(struct pool_heap *heap, struct pool_chunk *chunk, struct piece *piece)
{
	count_given(heap, piece);
	piece->state = FREE;
	join(chunk);
}

static CUresult record(CUstream stream, CUevent *event)
{
	CUresult r = remote_cuEventCreate(event, CU_EVENT_DISABLE_TIMING);

	if (r != CUDA_SUCCESS)
		return r;
	r = remote_cuEventRecord(*event, stream);
	if (r != CUDA_SUCCESS)
		remote_cuEventDestroy_v2(*event);
	return r;
}

CUresult pool_heap_give(struct pool_heap *heap, uint64_t address, CUstream stream)
{
	static uint64_t last;
	struct pool_chunk *chunk;
	struct piece *piece = find_used(heap, address, &chunk);
	CUevent event = NULL;

	if (!piece)
		return CUDA_ERROR_INVALID_VALUE;
	if (idle_stream(stream)) {
		give(heap, chunk, piece);
		return CUDA_SUCCESS;
	}
	CUresult r = record(stream, &event);
	if (r != CUDA_SUCCESS)
		return r;
	count_given(heap, piece);
	piece->state = ENDING;
	piece->stream = named(stream);
	piece->event = event;
	piece->order = ++last;
	join(chunk);
	return CUDA_SUCCESS;
}

bool pool_heap_give_now(struct pool_heap *heap, uint64_t address)
{
	struct pool_chunk *chunk;
	struct piece *piece = find_used(heap, address, &chunk);

	if (piece)
		give(heap, chunk, piece);
	return piece;
}

static void chunk_free(struct pool_heap *heap, struct pool_chunk *chunk)
{
	struct piece *next;

	heap->reserved -= chunk->size;
	hostmem_give(chunk->start, chunk->size);
	for (struct piece *piece = chunk->pieces; piece; piece = next) {
		next = piece->next;
		forget_event(piece);
		free(piece);
	}
	free(chunk);
}

static CUresult set_hidden(struct pool_heap *heap, bool hidden)
{
	if (heap->way.hidden == hidden)
		return CUDA_SUCCESS;
	for (struct pool_chunk *chunk = heap->chunks; chunk; chunk = chunk->next) {
		CUresult r = hidden ? hostmem_hide(chunk->start) : hostmem_show(chunk->start);
		if (r != CUDA_SUCCESS)
			return r;
		for (struct piece *piece = chunk->pieces; piece; piece = piece->next)
			if (piece->state == USED)
				range_set_reach(
				    piece->start, piece->start, hidden ? 0 : piece->start);
	}
	heap->way.hidden = hidden;
	return CUDA_SUCCESS;
}

CUresult pool_heap_show(struct pool_heap *heap)
{
	return set_hidden(heap, false);
}

CUresult pool_heap_hide(struct pool_heap *heap)
{
	return set_hidden(heap, true);
}

void pool_heap_trim(struct pool_heap *heap, size_t keep)
{
	settle(heap);
	for (struct pool_chunk **at = &heap->chunks, *chunk; (chunk = *at);) {
		if (chunk->pieces->next || chunk->pieces->state != FREE ||
		    heap->reserved - chunk->size < keep) {
			at = &chunk->next;
			continue;
		}
		*at = chunk->next;
		chunk_free(heap, chunk);
	}
}

void pool_heap_fini(struct pool_heap *heap)
{
	struct pool_chunk *next;

	for (struct pool_chunk *chunk = heap->chunks; chunk; chunk = next) {
		next = chunk->next;
		chunk_free(heap, chunk);
	}
	heap->chunks = NULL;
}

bool pool_heap_find(const struct pool_heap *heap, uint64_t address, struct pool_block *out)
{
	const struct pool_chunk *chunk = heap->chunks;

	while (chunk && address - chunk->start >= chunk->size)
		chunk = chunk->next;
	if (chunk)
		*out = (struct pool_block){chunk->start, chunk->size, chunk->number};
	return chunk;
}
