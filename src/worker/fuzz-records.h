/*
 * Inputs of the fuzz targets that reach the worker: a row of records, each a head of 8 bytes and
 * its payload:
 *
 *	u16 function    its id, since ids never change; one that nobody has: some function.
 *	                0xffff: an attachment. 0xfffe: no record but a message of the side socket
 *	u8  flags       WIRE_F_*; of a side message FUZZ_SIDE_*, what its descriptor is
 *	u8  lane        modulo LANES
 *	u32 words       of payload, 8 bytes each, as many as there are
 *
 * A side message has three words: the segment's number, its address or offset, and the size of the
 * memory behind the descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chan/chan.h"
#include "worker/worker.h"

#define LANES	    4
#define FUZZ_ATTACH 0xffff
#define FUZZ_SIDE   0xfffe

/* flags of a side message */
#define FUZZ_SIDE_FILE	     1
#define FUZZ_SIDE_DESCRIPTOR 2
#define FUZZ_SIDE_SEALED     4
#define FUZZ_SIDE_STRANGE    8 /* no memory at all */
#define FUZZ_SIDE_NONE	     16

struct fuzz_head {
	uint16_t function;
	uint8_t flags, lane;
	uint32_t words;
};

/* What a target does before a record is served; false: it is left out. */
typedef bool fuzz_before(struct wire_record *record);

/* Both ends of a channel whose side messages are those of inputs. */
void fuzz_open_channel(
    const struct chan_geometry *geometry, struct chan **client, struct chan **server);
/* Serves all records of an input on the calling thread. before: NULL, nothing is done. */
void fuzz_feed(struct worker *worker, const uint8_t *data, size_t size, fuzz_before *before);
/* Side messages that no record asked for are gone. */
void fuzz_drop_sides(void);
