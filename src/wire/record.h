/*
 * Records and replies: what crosses a channel for one call. Little-endian; every scalar takes eight
 * bytes; a run of bytes is its length (eight bytes), then the bytes, padded to eight. That wastes a
 * few bytes and buys straight-line code, natural alignment, and fields that can grow in width.
 *
 * A writer fills memory its owner sized before (generated wire_size_*() functions say how much is
 * needed); a reader walks a private copy of untrusted bytes. Both carry one sticky error: after the
 * first overrun every operation is a no-op (reads give zeros), and the owner checks once at the
 * end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/pool.h"
#include "base/util.h"
#include "wire/limits.h"

/* A record's header in the ring. size counts the header and is a multiple of WIRE_ALIGN. */
struct wire_record {
	uint32_t size;
	uint32_t id;	/* of the function: enum api_id, or WIRE_ID_* below */
	uint32_t seq;	/* the lane's count of calls, for matching the reply */
	uint16_t lane;	/* who calls: index of the reply lane */
	uint16_t flags; /* WIRE_F_* */
};
_Static_assert(sizeof(struct wire_record) == 16, "a record header is 16 bytes");

enum wire_flag {
	WIRE_F_REPLY = 1 << 0, /* the caller waits for a reply in its lane */
	WIRE_F_PTDS = 1 << 1, /* calls without a stream mean the lane's per-thread default stream */
	/* the payload goes on with the bytes that WIRE_ID_ATTACH records of this lane brought. With
	 * WIRE_F_BULK_REPLY the struct wire_bulk is in the record, the attached bytes follow it. */
	WIRE_F_ATTACHED = 1 << 2,
	WIRE_F_BULK_REPLY = 1 << 3, /* payload begins with struct wire_bulk: outputs go there */
};

/* In a reply's status, beside the CUresult: kernels have printed something that rosenOutput gives.
 * Only where both sides have HELLO_CAN_OUTPUT. */
#define WIRE_STATUS_OUTPUT (1u << 31)

enum wire_id {
	WIRE_ID_PAD = 0, /* fills the ring's end; no payload */
	WIRE_ID_ATTACH =
	    1, /* struct wire_bulk: append these staging bytes to the lane's attachment */
};

/* A run of the staging area. Both fields are untrusted when the worker reads them. */
struct wire_bulk {
	uint64_t offset; /* from the staging area's start, a multiple of WIRE_CHUNK_SIZE */
	uint64_t size;	 /* bytes */
};

struct wire_writer {
	uint8_t *at, *end;
	bool failed;
};

struct wire_reader {
	const uint8_t *at, *end;
	bool failed;
};

static inline struct wire_writer wire_writer(void *memory, size_t size)
{
	return (struct wire_writer){memory, (uint8_t *)memory + size, false};
}

static inline struct wire_reader wire_reader(const void *memory, size_t size)
{
	return (struct wire_reader){memory, (const uint8_t *)memory + size, false};
}

static inline size_t wire_padded(size_t size)
{
	return align_up(size, WIRE_ALIGN);
}

/* Bytes a run of size bytes takes in a record, length field included. */
static inline size_t wire_bytes_size(size_t size)
{
	return 8 + wire_padded(size);
}

static inline void wire_put_u64(struct wire_writer *w, uint64_t value)
{
	if (unlikely((size_t)(w->end - w->at) < 8)) {
		w->failed = true;
		w->end = w->at;
		return;
	}
	memcpy(w->at, &value, 8);
	w->at += 8;
}

/* The bytes alone, padded, without a length: for fixed-size structs. */
static inline void wire_put_raw(struct wire_writer *w, const void *bytes, size_t size)
{
	size_t padded = wire_padded(size);

	if (unlikely(padded < size || (size_t)(w->end - w->at) < padded)) {
		w->failed = true;
		w->end = w->at;
		return;
	}
	if (size)
		memcpy(w->at, bytes, size);
	memset(w->at + size, 0, padded - size);
	w->at += padded;
}

static inline void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t size)
{
	wire_put_u64(w, size);
	wire_put_raw(w, bytes, size);
}

static inline uint64_t wire_get_u64(struct wire_reader *r)
{
	uint64_t value = 0;

	if (unlikely((size_t)(r->end - r->at) < 8)) {
		r->failed = true;
		r->end = r->at;
		return 0;
	}
	memcpy(&value, r->at, 8);
	r->at += 8;
	return value;
}

/* A pointer to size bytes inside the record, NULL (and failed) when it does not hold that many. */
static inline const void *wire_get_raw(struct wire_reader *r, size_t size)
{
	const uint8_t *bytes = r->at;
	size_t padded = wire_padded(size);

	if (unlikely(padded < size || (size_t)(r->end - r->at) < padded)) {
		r->failed = true;
		r->end = r->at;
		return NULL;
	}
	r->at += padded;
	return bytes;
}

/* A counted run: its length in *size, its bytes (inside the record) returned; NULL when failed. */
static inline const void *wire_get_bytes(struct wire_reader *r, size_t *size)
{
	*size = wire_get_u64(r);
	const void *bytes = wire_get_raw(r, *size);
	if (!bytes)
		*size = 0;
	return bytes;
}

/* A counted run that must hold exactly size bytes, copied to out (zeroed when failed). */
static inline void wire_get_copy(struct wire_reader *r, void *out, size_t size)
{
	size_t got;
	const void *bytes = wire_get_bytes(r, &got);

	if (unlikely(!bytes || got != size)) {
		r->failed = true;
		r->end = r->at;
		memset(out, 0, size);
		return;
	}
	memcpy(out, bytes, size);
}
