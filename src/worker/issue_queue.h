/*
 * A queue of records from the dispatcher to an issuer: one writer, one reader, no lock. Entries are
 * bytes in a ring of their own, copied in and out, so that between the two processors nothing moves
 * but the lines of the entry itself, one after the other as prefetchers like them.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/worker.h"

#define ISSUE_QUEUE_SIZE (128u << 10) /* bytes; several hundred launches */

struct issue_queue {
	uint8_t *bytes;
	/* The writer's. Cursors count bytes since the beginning and never wrap. */
	alignas(WORKER_APART) _Atomic uint64_t put; /* what is complete; watched by the reader */
	uint64_t seen_taken;			    /* `taken` when last looked at */
	/* The reader's. */
	alignas(WORKER_APART) _Atomic uint64_t taken; /* what is done with */
	uint64_t seen_put;
};

/* queue is zeroed. 0 or -ENOMEM. */
int issue_queue_init(struct issue_queue *queue);
void issue_queue_fini(struct issue_queue *queue);

/* --- the writer --- */

/* Room for an entry of size bytes, at most half the queue's; NULL: not now. */
void *issue_queue_room(struct issue_queue *queue, size_t size);
/* The entry is complete, and what the writer did before it visible to its reader. */
void issue_queue_put(struct issue_queue *queue, size_t size);
/* Whether the reader is done with all, and what it did visible to the writer. */
bool issue_queue_is_empty(struct issue_queue *queue);

/* --- the reader --- */

/* The next entry; NULL: there is none yet. */
const void *issue_queue_next(struct issue_queue *queue);
/* The reader is done with it. */
void issue_queue_take(struct issue_queue *queue);

/* Bytes the reader is done with, for any thread, to which what the reader did is visible then. */
uint64_t issue_queue_taken(const struct issue_queue *queue);
