/*
 * Reply lanes: one slot per client thread in which the worker answers. A lane's thread has at most
 * one call in flight, so a lane needs no queue: the worker writes status, size and payload, then
 * the sequence number for which the thread waits.
 *
 * The payload is copied to memory of the client's own before anyone decodes it, so that a worker
 * gone wild cannot change it between a check and its use.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "chan/internal.h"

int lanes_init(struct lanes *lanes, uint32_t n_lanes)
{
	pthread_condattr_t attributes;

	lanes->free = calloc(n_lanes, sizeof(*lanes->free));
	lanes->own_size = n_lanes * sizeof(*lanes->own);
	lanes->own = mmap(NULL, lanes->own_size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (lanes->own == MAP_FAILED)
		lanes->own = NULL;
	if (!lanes->free || !lanes->own) {
		lanes_fini(lanes);
		return error_origin(-ENOMEM);
	}
	for (uint32_t i = 0; i < n_lanes; i++)
		lanes->free[i] = (uint16_t)(n_lanes - 1 - i);
	lanes->n_free = n_lanes;
	pthread_mutex_init(&lanes->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&lanes->given, &attributes);
	pthread_condattr_destroy(&attributes);
	return 0;
}

void lanes_fini(struct lanes *lanes)
{
	free(lanes->free);
	if (lanes->own)
		munmap(lanes->own, lanes->own_size);
	lanes->free = NULL;
	lanes->own = NULL;
}

/* The channel's end of life is nobody's signal here, so the wait looks from time to time. */
static int await_lane(struct chan *chan)
{
	struct timespec until;
	uint64_t at = clock_now_ns() + CHAN_PARK_SLICE_NS;

	until.tv_sec = (time_t)(at / NSEC_PER_SEC);
	until.tv_nsec = (long)(at % NSEC_PER_SEC);
	pthread_cond_timedwait(&chan->lanes.given, &chan->lanes.lock, &until);
	if (!chan->end->provider->alive(chan->end))
		return wait_break(chan, -ENOTCONN);
	return chan_broken(chan);
}

static void count_taken(struct chan *chan)
{
	/* Relaxed: a hint to who spins. */
	atomic_store_explicit(&chan->lanes_taken, chan->layout.geometry.lanes - chan->lanes.n_free,
	    memory_order_relaxed);
}

int chan_lane_take(struct chan *chan, uint16_t *lane_out)
{
	struct lanes *lanes = &chan->lanes;
	int cancel, r;

	/* The wait is a cancellation point; a cancelled thread would keep the lock for ever. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_mutex_lock(&lanes->lock);
	r = chan_broken(chan);
	while (!r && !lanes->n_free)
		r = await_lane(chan);
	if (!r) {
		*lane_out = lanes->free[--lanes->n_free];
		count_taken(chan);
	}
	pthread_mutex_unlock(&lanes->lock);
	pthread_setcancelstate(cancel, NULL);
	return r;
}

void chan_lane_give(struct chan *chan, uint16_t lane)
{
	struct lanes *lanes = &chan->lanes;

	pthread_mutex_lock(&lanes->lock);
	lanes->free[lanes->n_free++] = lane;
	count_taken(chan);
	pthread_cond_signal(&lanes->given);
	pthread_mutex_unlock(&lanes->lock);
}

/* --- the waiting side --- */

struct awaited {
	struct region_lane *lane;
	uint32_t seq;
};

static int reply_ready(struct chan *chan, void *context)
{
	struct awaited *awaited = context;

	/* Acquire: pairs with the release in chan_reply_commit(), makes the reply visible. */
	if (atomic_load_explicit(&awaited->lane->seq, memory_order_acquire) == awaited->seq)
		return 1;
	return chan_broken(chan);
}

static uint32_t read_once(const uint32_t *word)
{
	return *(const volatile uint32_t *)word;
}

static int await_reply(struct chan *chan, enum wait_kind kind, uint16_t lane, uint32_t seq,
    uint64_t timeout_ns, uint32_t *status, struct wire_reader *reader)
{
	struct region_lane *slot = chan_lane(chan, lane);
	struct awaited awaited = {slot, seq};
	uint8_t *copy = chan->lanes.own[lane].reply;

	int r = chan_broken(chan);
	if (!r && reply_ready(chan, &awaited) != 1)
		r = wait_until(chan,
		    &(struct wait){kind, SITE_LANES + lane, &slot->doorbell, reply_ready, &awaited,
			kind == WAIT_REPLY ? &chan->lanes.own[lane].wait_ns : NULL},
		    timeout_ns);
	if (r)
		return r;
	uint32_t size = read_once(&slot->size);
	if (unlikely(size > sizeof(slot->payload)))
		return wait_break(chan, -EBADMSG);
	*status = read_once(&slot->status);
	memcpy(copy, slot->payload, size);
	*reader = wire_reader(copy, size);
	return 0;
}

int chan_wait(struct chan *chan, uint16_t lane, uint32_t seq, uint64_t timeout_ns, uint32_t *status,
    struct wire_reader *reader)
{
	return await_reply(chan, WAIT_REPLY, lane, seq, timeout_ns, status, reader);
}

int chan_wait_unasked(
    struct chan *chan, uint16_t lane, uint32_t seq, uint32_t *status, struct wire_reader *reader)
{
	return await_reply(chan, WAIT_UNASKED, lane, seq, 0, status, reader);
}

/* --- the answering side --- */

size_t chan_reply_room(const struct chan *chan)
{
	return sizeof(((struct region_lane *)NULL)->payload);
}

void *chan_reply_area(struct chan *chan, size_t *size)
{
	*size = (size_t)chan->layout.geometry.lanes * WIRE_LANE_SIZE;
	return chan->memory + chan->layout.lanes;
}

struct wire_writer chan_reply_begin(struct chan *chan, uint16_t lane)
{
	return wire_writer(chan_lane(chan, lane)->payload, chan_reply_room(chan));
}

void chan_reply_times(struct chan *chan, uint16_t lane, const struct chan_times *times)
{
	chan_lane(chan, lane)->times = *times;
}

struct chan_times chan_wait_times(struct chan *chan, uint16_t lane)
{
	/* chan_wait() has acquired seq; the worker writes again only when the next call came. */
	return chan_lane(chan, lane)->times;
}

void reply_publish(struct chan *chan, uint16_t lane, uint32_t seq, uint32_t status,
    const struct wire_writer *writer)
{
	struct region_lane *slot = chan_lane(chan, lane);

	slot->status = status;
	slot->size = writer->failed ? 0 : (uint32_t)(writer->at - slot->payload);
	/* Release: the waiter's acquire load of seq makes all of the reply visible to it. */
	atomic_store_explicit(&slot->seq, seq, memory_order_release);
}

void chan_reply_commit(struct chan *chan, uint16_t lane, uint32_t seq, uint32_t status,
    const struct wire_writer *writer)
{
	reply_publish(chan, lane, seq, status, writer);
	wait_notify(chan, SITE_LANES + lane, &chan_lane(chan, lane)->doorbell);
}

/* --- replies by others --- */

_Atomic uint32_t *chan_reply_prepare(struct chan *chan, uint16_t lane)
{
	struct region_lane *slot = chan_lane(chan, lane);

	slot->status = slot->size = 0;
	return &slot->seq;
}

bool chan_reply_came(struct chan *chan, uint16_t lane, uint32_t seq)
{
	/* Acquire: what came before it in a stream is visible. */
	uint32_t stored = atomic_load_explicit(&chan_lane(chan, lane)->seq, memory_order_acquire);

	return (int32_t)(stored - seq) >= 0;
}

void chan_reply_ring(struct chan *chan, uint16_t lane)
{
	wait_notify(chan, SITE_LANES + lane, &chan_lane(chan, lane)->doorbell);
}

/* --- unasked replies --- */

void chan_reply_done(struct chan *chan, uint16_t lane, uint32_t seq)
{
	/* Release: what the client did comes before the worker's knowing it. */
	atomic_store_explicit(&chan_lane(chan, lane)->done, seq, memory_order_release);
}

bool chan_reply_is_done(struct chan *chan, uint16_t lane, uint32_t seq)
{
	return atomic_load_explicit(&chan_lane(chan, lane)->done, memory_order_acquire) == seq;
}

/* --- errors of posted calls --- */

void chan_post_error(struct chan *chan, uint32_t status)
{
	uint32_t none = 0;

	/* Relaxed, as region.h says: the word is all there is to it. */
	atomic_compare_exchange_strong_explicit(&chan->control->posted_error, &none, status,
	    memory_order_relaxed, memory_order_relaxed);
}

uint32_t chan_take_error(struct chan *chan)
{
	_Atomic uint32_t *error = &chan->control->posted_error;

	if (likely(!atomic_load_explicit(error, memory_order_relaxed)))
		return 0;
	return atomic_exchange_explicit(error, 0, memory_order_relaxed);
}
