/*
 * Which track a stream's records go to. CUDA orders what is in one stream, so all of a stream is in
 * one track at a time; which issuer that is of is chance at first, and a few busy streams may all
 * have the same. So it is counted what was given to whom, and now and then a stream is to move from
 * the issuer with most to the one with least.
 *
 * The table is by the streams' handles: nothing need be known of streams that end, and few share a
 * place. Dispatcher only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/cuda.h"

#define ISSUERS_MOST 16u
#define ISSUE_TRACKS 4u /* of each issuer; track i is of issuer i % their number */
#define ISSUE_SLOTS  1024u

struct issue_slot {
	uint8_t track, next; /* 1 + its number, 0: none yet; where it is to move */
	uint16_t given;	     /* records since the last issue_table_balance() */
};

/* All zero but n_issuers at first. */
struct issue_table {
	unsigned n_issuers, next;
	struct issue_slot slots[ISSUE_SLOTS];
};

/* Counts a record for stream. It goes to track - 1; if next is another, that one may be told to be
 * the track as soon as all given to this one is in its streams. */
struct issue_slot *issue_table_give(struct issue_table *table, CUstream stream);

/* Counts anew. representative: what was counted is of all streams that are busy, and one of them
 * moves if that makes the issuers' shares more alike. Threads that post without waiting take turns
 * of a thousand launches, which say nothing of the kind. */
void issue_table_balance(struct issue_table *table, bool representative);
