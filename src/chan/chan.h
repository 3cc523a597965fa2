/*
 * The channel: one shared region between a client process and its worker, and the rules for using
 * it.
 *
 * The region holds a control page, one command ring (client to worker), reply lanes (one per client
 * thread, worker to client), a statistics area, a staging area for bulk data. While both sides are
 * awake nothing here makes a system call; a side that finds nothing to do spins for a while, then
 * parks, and only then does the other side ring its doorbell. region.h has the layout.
 *
 * How the region came to be shared, how a parked side is woken and how the peer's death is noticed
 * is the provider's business (struct chan_provider): memfd and futex on one kernel; a loop inside
 * one process and a fault-injecting one for tests. A guest's device memory or a network link are
 * further providers, not changes here: nothing else in this folder may assume a common kernel.
 *
 * Trust: the worker trusts nothing in the region. It copies a record out before it looks at it, and
 * takes every size and offset from that copy. The client trusts its worker with its data, not with
 * its memory: replies are copied and bounded in the same way.
 *
 * Errors: -ENOTCONN once the peer is gone (then everything on this channel returns it at once);
 * -EBADMSG when the peer broke the rules; both for good.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/hello.h"
#include "wire/record.h"

struct chan;
struct chan_times;

/* A positive condition of chan_wait(): its timeout passed first. */
enum { CHAN_TIMED_OUT = 1 };

/* What chan_region_create() lays out. Zero fields take the settings' standard values. */
struct chan_geometry {
	uint64_t ring_size;    /* power of two, at least 2 * WIRE_RECORD_MAX */
	uint64_t staging_size; /* multiple of WIRE_CHUNK_SIZE */
	uint32_t lanes;
	uint32_t functions; /* rows of the statistics area */
};

/* --- making one (rosend; tests) --- */

/* Makes and lays out a sealed region memfd for geometry; *size_out is its length in bytes. */
int chan_region_create(const struct chan_geometry *geometry, int *fd_out, uint64_t *size_out);

/*
 * Attaches one side of a channel. region: the memfd, side: the side socket (-1: none); both are
 * taken over, also on failure. spin_ns: how long this side watches memory before it parks. The
 * layout is read once from the region and checked (-EPROTO: another layout version); the worker's
 * caller passes the geometry it created instead of believing the region. The peer's death shows as
 * hang-up of side: whoever made the socket pair must not keep a copy of the peer's end.
 */
int chan_client_attach(int region, int side, uint64_t spin_ns, struct chan **out);
int chan_worker_attach(int region, int side, const struct chan_geometry *geometry, uint64_t spin_ns,
    struct chan **out);
/* Hangs up: the peer's waits end at once. No other thread may be inside the channel. NULL is fine;
 * returns NULL. */
struct chan *chan_free(struct chan *chan);

/*
 * After fork() in the child: unmaps the channel and closes its descriptors without telling the peer
 * anything. Does not allocate, takes no lock.
 */
void chan_abandon(struct chan *chan);

/* --- client: lanes --- */

/* A lane for the calling thread, blocking while all are taken. A lane is used by one thread at a
 * time. */
int chan_lane_take(struct chan *chan, uint16_t *lane_out);
void chan_lane_give(struct chan *chan, uint16_t lane);

/* --- client: posting --- */

/*
 * Opens a record of exactly payload bytes (a multiple of WIRE_ALIGN, at most WIRE_RECORD_MAX minus
 * the header) at the ring's head, waiting for room if need be: records of all threads are in the
 * order of their chan_begin(). *writer points into the ring. *seq: the number to wait for. What
 * other threads begin later the worker sees only after this one's chan_commit(): between the two
 * calls do nothing but write. A lane has one record open at a time.
 */
int chan_begin(struct chan *chan, uint16_t lane, uint32_t id, uint16_t flags, size_t payload,
    struct wire_writer *writer, uint32_t *seq);

/* Publishes the lane's open record, as soon as those begun before it are; wakes the worker if it is
 * parked. A writer that failed or did not fill the payload is an -EINVAL (the record is published
 * as padding). */
int chan_commit(struct chan *chan, uint16_t lane, const struct wire_writer *writer);

/* Whether the worker has published that nothing is unfinished, and nothing was sent since. */
bool chan_is_idle(struct chan *chan);

/* Posts a record without payload or reply unless the ring is full: CHAN_BUSY then, and nothing was
 * sent. */
enum { CHAN_BUSY = 1 };
int chan_try_post(struct chan *chan, uint16_t lane, uint32_t id);

/*
 * Waits for the reply to seq in lane. *status: the CUresult the worker gave. *reader: the outputs,
 * a private copy, valid until the lane's next chan_wait(); for a bulk reply the caller reads them
 * from the run it gave. timeout_ns 0: none.
 */
int chan_wait(struct chan *chan, uint16_t lane, uint32_t seq, uint64_t timeout_ns, uint32_t *status,
    struct wire_reader *reader);
/*
 * The same for an unasked reply (see chan_reply_done()), which may never come: the thread soon
 * sleeps.
 */
int chan_wait_unasked(
    struct chan *chan, uint16_t lane, uint32_t seq, uint32_t *status, struct wire_reader *reader);

/* What came with the reply that the lane's last chan_wait() brought. */
struct chan_times chan_wait_times(struct chan *chan, uint16_t lane);

/*
 * The first error of a posted call since the last look, then 0 again: one relaxed load when there
 * is none. The worker sets it with chan_post_error(); a failing posted call is told by whichever
 * call of the client looks next.
 */
uint32_t chan_take_error(struct chan *chan);

/* --- client: staging --- */

/*
 * A run of at least size bytes (<= half the staging area, else -E2BIG) for bulk data, waiting while
 * too little is free. run->size is size. The caller gives it back itself after its reply came, or
 * hands it over: released by the worker with chan_staging_release() once it has read the bytes (for
 * posted records). A thread that keeps a run for its reply must not take another meanwhile: if all
 * threads did so, all could wait for ever. Attachments therefore go before the reply's run is
 * taken.
 */
int chan_staging_take(struct chan *chan, size_t size, struct wire_bulk *run, void **memory);
void chan_staging_give(struct chan *chan, const struct wire_bulk *run);
void chan_staging_hand_over(struct chan *chan, const struct wire_bulk *run);
size_t chan_staging_largest(const struct chan *chan); /* bytes one take can ask for */

/*
 * Sends size bytes ahead of a call that is too large for a record: WIRE_ID_ATTACH records, each
 * with a handed-over run. The lane's next record, flagged WIRE_F_ATTACHED, has them as its payload.
 */
int chan_attach(struct chan *chan, uint16_t lane, const void *bytes, size_t size);

/* --- worker --- */

/*
 * The next record, copied to buffer (WIRE_RECORD_MAX bytes, 16-byte aligned): header first, payload
 * behind. Padding is skipped, size, lane and alignment are checked. Spins, then parks. -ENOTCONN:
 * the client is gone or chan_stop() was called; -EBADMSG: the ring is malformed.
 */
int chan_next(struct chan *chan, void *buffer);
/* Whether chan_next() would return at once. The dispatcher's thread only. */
bool chan_has_next(struct chan *chan);
/* Tells the client that nothing is unfinished of what came in records up to the one taken last. The
 * dispatcher's thread only. */
void chan_publish_idle(struct chan *chan);

/* Memory of a run as the worker may use it: NULL unless run lies inside the staging area. */
void *chan_staging_memory(struct chan *chan, const struct wire_bulk *run);
/* Tells the client that a handed-over run is free again. Any thread. */
void chan_staging_release(struct chan *chan, const struct wire_bulk *run);

/*
 * Answers seq of lane: at most chan_reply_room() bytes of payload, written by the caller to the
 * memory chan_reply_begin() returns. Any thread, one at a time per lane. Wakes the waiter if it is
 * parked.
 */
struct wire_writer chan_reply_begin(struct chan *chan, uint16_t lane);
void chan_reply_commit(struct chan *chan, uint16_t lane, uint32_t seq, uint32_t status,
    const struct wire_writer *writer);
/*
 * The same for the dispatcher's thread: a waiter that sleeps is woken by the next chan_wake(),
 * which chan_next(), and chan_has_next() when there is nothing, do as well.
 */
void chan_reply_commit_soon(struct chan *chan, uint16_t lane, uint32_t seq, uint32_t status,
    const struct wire_writer *writer);
void chan_wake(struct chan *chan);
size_t chan_reply_room(const struct chan *chan);
/* Goes with the reply that is committed next. Only with HELLO_CAN_TIMES. */
void chan_reply_times(struct chan *chan, uint16_t lane, const struct chan_times *times);
/*
 * A reply without payload that somebody else stores: a GPU. What the number is to be when it comes
 * is the caller's to see to; status 0 and the rest lie ready then. Where it is to be stored.
 */
_Atomic uint32_t *chan_reply_prepare(struct chan *chan, uint16_t lane);
/* Whether reply seq, or a later one, was stored in the lane. Any thread. */
bool chan_reply_came(struct chan *chan, uint16_t lane, uint32_t seq);
/* Wakes who sleeps for a reply that is stored. Any thread. */
void chan_reply_ring(struct chan *chan, uint16_t lane);
/* Where all replies lie, from a page's beginning: to be pinned. */
void *chan_reply_area(struct chan *chan, size_t *size);

/*
 * Replies nobody asked for, in a lane whose thread does nothing but wait for them: the client has
 * said so by a record, and the replies' numbers follow the record's. Each is written when the one
 * before it is done. The client's word reaches the worker without the ring, which may be stuck
 * behind a call that waits for just this; nothing wakes the worker, which looks from time to time.
 */
void chan_reply_done(struct chan *chan, uint16_t lane, uint32_t seq); /* client */
bool chan_reply_is_done(struct chan *chan, uint16_t lane, uint32_t seq);

/* Keeps the first CUresult of a failed posted call for the client to find. Any thread. */
void chan_post_error(struct chan *chan, uint32_t status);

/* Makes chan_next() return -ENOTCONN, from any thread or a signal handler. */
void chan_stop(struct chan *chan);

/* --- both --- */

int chan_side_socket(const struct chan *chan); /* -1: none; owned by the channel; for poll() */
bool chan_peer_alive(struct chan *chan);

/*
 * Side messages (hello.h): segments and last words, with a descriptor or -1, in order. Receiving:
 * *fd_out is the caller's; -EAGAIN: none there and wait is false; -ENODATA: the peer is gone and
 * all it said was read. -EOPNOTSUPP: the medium carries none. Any thread.
 */
int chan_side_send(struct chan *chan, const struct side_message *message, int fd);
int chan_side_receive(struct chan *chan, bool wait, struct side_message *message, int *fd_out);

/* One row of the statistics area per function, in the order of the api_desc table. */
struct chan_stat {
	_Atomic uint64_t calls; /* client: entries made, local answers included */
	_Atomic uint64_t waits; /* client: of them, those that waited for a reply */
	_Atomic uint64_t
	    bytes; /* client: payload put into ring and staging, and taken from replies */
	_Atomic uint64_t client_ns; /* client: time inside the entry, waits included */
	_Atomic uint64_t messages;  /* worker: records served */
	_Atomic uint64_t worker_ns; /* worker: time from taking the record to its answer or issue */
	_Atomic uint64_t gpu_ns;    /* worker: time the GPU spent, where it was measured */
	_Atomic uint64_t errors;    /* worker: results other than success */
};

/* NULL when the region has none or row is out of range. Counters are added to with relaxed order.
 */
struct chan_stat *chan_stat(struct chan *chan, uint32_t row);

/* More of a row, where the session has HELLO_CAN_TIMES: the second half of the area. */
struct chan_time {
	_Atomic uint64_t wait_ns;   /* client: of client_ns, waiting for replies */
	_Atomic uint64_t served_ns; /* client: of wait_ns, in the worker, where that measured */
	_Atomic uint64_t driver_ns; /* worker: of worker_ns, inside the backend, where measured */
	uint64_t unused[5];
};

/* NULL when row is out of range. */
struct chan_time *chan_time(struct chan *chan, uint32_t row);

/* What became of a call that waited; 0 where nobody measured. For people, never to rely on. */
struct chan_times {
	uint64_t taken_ns; /* when the worker took it, of CLOCK_MONOTONIC */
	uint32_t worker_ns, driver_ns;
};
