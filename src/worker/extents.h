/*
 * Address ranges, free and used, within a space of addresses that this module never touches: first
 * fit, neighbours that become free grow together, any address finds the range it lies in. Every
 * operation takes logarithmic time. Not thread-safe.
 *
 * Conditions (positive): EXTENTS_NONE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EXTENTS_NONE = 1, /* no free range is large enough; no such range */
};

struct extent {
	uint64_t start, size;
	bool used;
	uint64_t asked; /* used: the size its user asked for */
	uint64_t owner; /* used: whose it is */
	/* the tree's own */
	struct extent *left, *right;
	uint64_t largest; /* size of the largest free range at or below this node */
	uint64_t priority;
};

struct extents {
	struct extent *root;
	uint64_t granule;  /* every size is rounded up to a multiple; a power of two */
	uint64_t boundary; /* free ranges never grow across multiples of this; 0: none */
	uint64_t seed;
	size_t count, limit; /* ranges, free ones included */
};

/* limit: ranges that may exist. The empty set; extents_add() gives it something. */
void extents_init(struct extents *extents, uint64_t granule, uint64_t boundary, size_t limit);
void extents_fini(struct extents *extents);

/* Adds a free range that touches none of the set. -ENOMEM also at the limit. */
int extents_add(struct extents *extents, uint64_t start, uint64_t size);

/* Takes the lowest free range that fits. -ENOMEM also at the limit. */
int extents_take(struct extents *extents, uint64_t size, uint64_t owner, uint64_t *start);

/*
 * Gives a used range back. *freed is the free range it is part of now. EXTENTS_NONE unless start is
 * where a used range starts.
 */
int extents_give(struct extents *extents, uint64_t start, struct extent *freed);

/* Drops the free range that starts at start from the set. */
int extents_remove(struct extents *extents, uint64_t start);

/* The used range address lies in, counting what was asked for; NULL when there is none. Valid until
 * the next change. */
const struct extent *extents_find(const struct extents *extents, uint64_t address);

/* The first used range at or above from that belongs to owner, NULL when there is none. */
const struct extent *extents_next_of(const struct extents *extents, uint64_t owner, uint64_t from);

/* The first used range at or above from, NULL when there is none. */
const struct extent *extents_next(const struct extents *extents, uint64_t from);
