/*
 * A host thread's own sums of what threads add to counters in device memory (atomics whose result
 * nobody reads). Compiled code (jit/warp/tally.c) adds to a sum where it would take a locked
 * instruction; emptying the tally adds the sums to the memory. tally.c says why that is allowed.
 *
 * One per machine, used by its host thread alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softgpu/exec/lane.h"

#define TALLY_BYTES 65536u /* of device memory that one tally can stand for */
#define TALLY_PAGE  4096u
#define TALLY_WORDS 1024u /* instructions of warps between two emptyings, at most */

/* Compiled code reads the public half at fixed offsets and writes no more than left. */
struct sg_tally {
	uint64_t low, size; /* the memory it stands for now; size 0, and low 0: none */
	uint64_t sums;	    /* host address of the sum of what is at low */
	uint32_t left;	    /* instructions until it must be emptied */
	uint32_t is_learning;
	/* The rest is tally.c's. */
	uint32_t element; /* bytes of a counter: 4 or 8 */
	uint32_t misses;
	uint64_t origin; /* what bytes[0] would stand for, a multiple of a page */
	uint32_t pages;	 /* from origin on that were added to, as bits */
	uint8_t bytes[TALLY_BYTES] __attribute__((aligned(64)));
};

/* Before a grid's blocks: what a grid that failed left is forgotten. */
void tally_begin(struct sg_tally *tally);
/* Adds all sums to the memory. On a fiber: the memory may be gone. */
void tally_empty(struct sg_tally *tally);

/* For compiled code. Lanes have added to counters of so many bytes, not all in the tally. */
void sg_tally_learn(
    struct sg_lane *lane, const uint64_t *addresses, const struct sg_lanes *lanes, uint32_t size);
/* Some lane is about to read or write what the tally stands for. */
void sg_tally_close(struct sg_lane *lane);
/* The sums have waited long enough to become visible: adds them to the memory. */
void sg_tally_empty(struct sg_lane *lane);
