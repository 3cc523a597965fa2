/*
 * What lies in a channel's shared region, byte for byte. doc/WIRE.md tells the same story to
 * implementers of other clients.
 *
 *	control page     who is where: cursors, doorbells, the error word
 *	release counters one uint32_t per staging granule
 *	statistics       one struct chan_stat per function
 *	reply lanes      WIRE_LANE_SIZE bytes each, one per client thread
 *	command ring     records, client to worker
 *	staging area     bulk data, granules of WIRE_CHUNK_SIZE
 *
 * Offsets are not stored: both sides compute them from the geometry with region_layout(), so there
 * is no offset to check and none to forge.
 *
 * One writer per word, and a place of its own in the cache for each word that a spinning side
 * watches: the two processors then exchange a line only when there is news in it. Cursors count
 * bytes since the channel was made and never wrap (2^64 bytes at 10 GB/s last 58 years); their
 * place in the ring is the cursor modulo the ring's size, full and empty differ without a spare
 * byte, and a cursor that goes backwards or too far ahead is recognised as a lie.
 *
 * Going to sleep. Each place where a side can wait has one doorbell. The waiter
 *
 *	W1 stores PARKED in the doorbell       P1 publishes (cursor, reply, release)
 *	W2 full fence                          P2 full fence
 *	W3 looks again for what it waits for   P3 looks at the doorbell
 *	W4 sleeps while the doorbell is PARKED P4 if PARKED: stores AWAKE, wakes the waiter
 *
 * and the side with news does the right column. A store followed by a load of another address may
 * be reordered by the processor; the two fences forbid it, so at least one of W3 and P3 sees the
 * other side's store: either the waiter finds the news, or the publisher finds the sleeper. W4
 * compares and sleeps in one step, so a wake-up between W3 and W4 is not lost either.
 * doc/model/parking.pml checks this exhaustively, and shows that it fails without a fence or W3.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/util.h"
#include "chan/chan.h"
#include "wire/limits.h"

#define REGION_MAGIC	     0x6e61686365736f72ull /* "rosechan" */
#define REGION_LAYOUT	     1u
#define REGION_CONTROL_SIZE  4096u
#define REGION_PAGE	     4096u
#define REGION_RING_MIN	     (2ull * WIRE_RECORD_MAX)
#define REGION_RING_MAX	     (64ull << 20)
#define REGION_STAGING_MAX   (1ull << 30)
#define REGION_APART	     128u /* processors fetch lines in pairs: these disturb each other */
#define REGION_FUNCTIONS_MAX 65536u

enum doorbell_state {
	DOORBELL_AWAKE = 0,
	DOORBELL_PARKED = 1,
};

/*
 * state: written PARKED by the one thread that waits here (release: with wake_at), AWAKE by whoever
 * wakes it and by itself when it goes on. Against the news its order comes from the fences above;
 * wakers exchange it, so that of several exactly one makes the system call.
 *
 * wake_at: a hint by the waiter: news before this cursor are not worth waking it. Only the ring's
 * producer uses it, to sleep until a good part of the ring is free instead of being woken for each
 * record. Nothing but the moment of a wake-up depends on it.
 */
struct doorbell {
	alignas(CACHE_LINE) _Atomic uint32_t state;
	uint32_t reserved;
	_Atomic uint64_t wake_at;
};
_Static_assert(sizeof(struct doorbell) == CACHE_LINE, "a doorbell fills its line");

/* Where one side can wait, and the number by which a provider without futex names the place. */
enum region_site {
	SITE_WORK = 0,	  /* the worker, for records */
	SITE_ROOM = 1,	  /* a client thread, the first in line, for room in the ring */
	SITE_STAGING = 2, /* a client thread, for staging granules */
	SITE_LANES = 3,	  /* + lane: a client thread, for its reply */
};

struct region_control {
	/* Written once by the creator before anyone else sees the region. */
	uint64_t magic;
	uint32_t layout;
	uint32_t lane_size, chunk_size, stat_size; /* as compiled; a reader refuses others */
	uint64_t size;				   /* of the region */
	uint64_t ring_size, staging_size;
	uint32_t lanes, functions;

	/*
	 * head: bytes ever put into the ring. The client stores it (release) after the record's
	 * bytes; the worker's acquire load makes these bytes visible to it.
	 */
	alignas(REGION_APART) _Atomic uint64_t head;
	/*
	 * tail: bytes ever taken out. The worker stores it (release) after it copied the record;
	 * the client's acquire load lets it overwrite the bytes, not a moment before.
	 */
	alignas(REGION_APART) _Atomic uint64_t tail;

	alignas(REGION_APART) struct doorbell work;
	alignas(REGION_APART) struct doorbell room;
	alignas(REGION_APART) struct doorbell staging;

	/*
	 * The first error of a posted call, 0 none. The worker changes 0 to an error, the client
	 * anything to 0. Relaxed: it carries no other data, and who must see it at a certain point
	 * has waited for a reply, which orders it.
	 */
	alignas(REGION_APART) _Atomic uint32_t posted_error;

	/*
	 * The cursor behind the last record by which everything sent before was found done. The
	 * worker stores it (release) after it learned so; the client's acquire load makes what the
	 * work wrote to shared memory visible to it.
	 */
	alignas(REGION_APART) _Atomic uint64_t idle;
};
_Static_assert(sizeof(struct region_control) <= REGION_CONTROL_SIZE, "control fits its page");

/*
 * seq: the worker stores it (release) after status, size and payload; the client's acquire load of
 * the number it waits for makes them visible. It is the worker's alone. The payload begins on the
 * line after the doorbell.
 *
 * done: the client stores the number of an unasked reply (release) after it has acted on it; the
 * worker's acquire load makes the effects visible and allows the next such reply.
 */
struct region_lane {
	alignas(CACHE_LINE) _Atomic uint32_t seq;
	uint32_t status; /* CUresult */
	uint32_t size;	 /* of the payload; the client bounds it */
	_Atomic uint32_t done;
	struct chan_times times; /* before seq, as the status */
	struct doorbell doorbell;
	uint8_t payload[WIRE_LANE_SIZE - 2 * CACHE_LINE];
};
_Static_assert(sizeof(struct region_lane) == WIRE_LANE_SIZE, "a lane has its size");
_Static_assert(sizeof(struct chan_stat) == CACHE_LINE, "a row of statistics is one line");
_Static_assert(sizeof(struct chan_time) == CACHE_LINE, "so is one of times");

/* Offsets from the region's start. */
struct region_layout {
	struct chan_geometry geometry; /* without zeros */
	uint64_t releases, stats, lanes, ring, staging, size;
};

/*
 * Fills zero fields of geometry with standard values, checks it and computes the offsets. -EINVAL:
 * a field is out of range.
 */
int region_layout(const struct chan_geometry *geometry, struct region_layout *out);

/* Writes the control page of a zeroed region. */
void region_format(void *memory, const struct region_layout *layout);

/*
 * Reads the control page of a region of size bytes, once, and computes the layout from it. -EPROTO:
 * not a region of ours, or of another layout version; -EBADMSG: its numbers do not fit.
 */
int region_read(const void *memory, uint64_t size, struct region_layout *out);
