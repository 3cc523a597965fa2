/*
 * Address space that was freed and is not to be used again soon, so that a pointer into it finds no
 * memory rather than another allocation's. First in, first out. Under the arena's lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define QUARANTINE_MOST 16384u

struct quarantine_span {
	uint64_t address, size;
};

/* False when it is full, of entries or because a quarter of the window would lie in it: then
 * something has to be taken first. */
bool quarantine_put(uint64_t address, uint64_t size);
/* What has been there longest; false: nothing is. */
bool quarantine_take(struct quarantine_span *span);
