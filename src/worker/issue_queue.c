/*
 * Every entry begins with its size and fills whole cache lines. One that would wrap begins at the
 * start of the ring instead, behind a filler that has the flag and nothing else.
 *
 * Each side looks at the other's cursor only when what it saw last does not suffice, so that in a
 * steady stream the line of a cursor moves once per many entries. The lines in front of the writer
 * are the reader's, who read them once around the ring ago: they are asked for ahead.
 */
#include "worker/issue_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

#define AHEAD (4 * CACHE_LINE)

struct head {
	uint32_t size; /* of the entry with this */
	uint32_t filler;
	uint64_t reserved;
};

int issue_queue_init(struct issue_queue *queue)
{
	queue->bytes = aligned_alloc(WORKER_APART, ISSUE_QUEUE_SIZE);
	return queue->bytes ? 0 : error_origin(-ENOMEM);
}

void issue_queue_fini(struct issue_queue *queue)
{
	free(queue->bytes);
	queue->bytes = NULL;
}

static uint8_t *at(const struct issue_queue *queue, uint64_t cursor)
{
	return queue->bytes + (cursor & (ISSUE_QUEUE_SIZE - 1));
}

static uint64_t to_end(uint64_t cursor)
{
	return ISSUE_QUEUE_SIZE - (cursor & (ISSUE_QUEUE_SIZE - 1));
}

static size_t whole(size_t size)
{
	return align_up(sizeof(struct head) + size, CACHE_LINE);
}

/* --- the writer --- */

static bool has_room(struct issue_queue *queue, uint64_t put, size_t size)
{
	if (likely(put + size - queue->seen_taken <= ISSUE_QUEUE_SIZE))
		return true;
	/* Acquire: the reader has read what lies there. */
	queue->seen_taken = atomic_load_explicit(&queue->taken, memory_order_acquire);
	return put + size - queue->seen_taken <= ISSUE_QUEUE_SIZE;
}

void *issue_queue_room(struct issue_queue *queue, size_t size)
{
	uint64_t put = atomic_load_explicit(&queue->put, memory_order_relaxed);
	uint64_t end = to_end(put);

	size = whole(size);
	if (unlikely(size > end)) {
		if (!has_room(queue, put, end))
			return NULL;
		*(struct head *)at(queue, put) = (struct head){(uint32_t)end, true, 0};
		put += end;
		/* Release: the filler. */
		atomic_store_explicit(&queue->put, put, memory_order_release);
	}
	return has_room(queue, put, size) ? at(queue, put) + sizeof(struct head) : NULL;
}

static void prefetch_ahead(const struct issue_queue *queue, uint64_t put)
{
	for (uint64_t i = 0; i < AHEAD; i += CACHE_LINE)
		__builtin_prefetch(at(queue, put + i), 1);
}

void issue_queue_put(struct issue_queue *queue, size_t size)
{
	uint64_t put = atomic_load_explicit(&queue->put, memory_order_relaxed);

	size = whole(size);
	*(struct head *)at(queue, put) = (struct head){(uint32_t)size, false, 0};
	/* Release: the reader that sees the cursor sees the entry. */
	atomic_store_explicit(&queue->put, put + size, memory_order_release);
	if (likely(put + size + AHEAD - queue->seen_taken <= ISSUE_QUEUE_SIZE))
		prefetch_ahead(queue, put + size);
}

bool issue_queue_is_empty(struct issue_queue *queue)
{
	uint64_t put = atomic_load_explicit(&queue->put, memory_order_relaxed);

	if (queue->seen_taken != put)
		queue->seen_taken = issue_queue_taken(queue);
	return queue->seen_taken == put;
}

/* --- the reader --- */

static bool has_entry(struct issue_queue *queue, uint64_t taken)
{
	if (likely(queue->seen_put != taken))
		return true;
	/* Acquire: the entry behind the new cursor. */
	queue->seen_put = atomic_load_explicit(&queue->put, memory_order_acquire);
	return queue->seen_put != taken;
}

static const struct head *head_at(const struct issue_queue *queue, uint64_t cursor)
{
	return (const struct head *)at(queue, cursor);
}

const void *issue_queue_next(struct issue_queue *queue)
{
	for (;;) {
		uint64_t taken = atomic_load_explicit(&queue->taken, memory_order_relaxed);
		if (!has_entry(queue, taken))
			return NULL;
		const struct head *head = head_at(queue, taken);
		if (likely(!head->filler))
			return head + 1;
		issue_queue_take(queue);
	}
}

void issue_queue_take(struct issue_queue *queue)
{
	uint64_t taken = atomic_load_explicit(&queue->taken, memory_order_relaxed);

	/* Release: the writer may overwrite the entry, and sees what was done for it. */
	atomic_store_explicit(
	    &queue->taken, taken + head_at(queue, taken)->size, memory_order_release);
}

uint64_t issue_queue_taken(const struct issue_queue *queue)
{
	/* Acquire: see issue_queue_take(). */
	return atomic_load_explicit(&queue->taken, memory_order_acquire);
}
