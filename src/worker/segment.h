/*
 * Segments: memory of the client's that both processes map at the same address, registered with the
 * backend as pinned host memory. Every host address a client names must lie in one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct segments;
struct worker;

#define SEGMENTS_MAX 16384

/* A thread that is not the dispatcher and uses host addresses of the client's, since it asked
 * whether they lie in a segment. */
struct segments_user {
	struct segments_user *next;
	uint64_t number;
};

void segments_use(struct segments *segments, struct segments_user *user);
void segments_used(struct segments *segments, struct segments_user *user);

struct segments *segments_new(struct worker *worker);
struct segments *segments_free(struct segments *segments);

/* Maps the memory of a segment that is to be no pinned memory where the kernel likes, for the
 * caller to unmap; its number is free again. NULL: its descriptor did not come or is no sealed
 * memfd of bytes bytes. */
void *segments_map_anywhere(struct segments *segments, uint64_t number, uint64_t bytes);

/* A descriptor that is no segment's, by the client's number for it (SIDE_DESCRIPTOR); the caller's.
 * Waits for it. -1: none came. */
int segments_take_descriptor(struct segments *segments, uint64_t number);

/* Whether [address, address + bytes) lies inside one segment. On the dispatcher the answer holds
 * for the rest of the call, elsewhere until segments_used(). Any thread. */
bool segments_cover(struct segments *segments, uint64_t address, size_t bytes);
/* Whether a byte of [address, address + bytes) lies in a segment. */
bool segments_overlap(struct segments *segments, uint64_t address, size_t bytes);
