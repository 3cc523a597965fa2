/*
 * The command ring as the worker sees it: the consumer runs on the dispatcher and copies each
 * record out before anyone looks at it. post.c is the client's half.
 *
 * Each side keeps its own cursor privately and only stores it to the region, so the peer cannot
 * move it; of the peer's cursor it keeps the value last seen and looks again only when that does
 * not suffice, so that in a steady stream the cache line of a cursor travels once per batch and not
 * once per record. The client is told of the tail when all that was seen of its records is taken,
 * and meanwhile whenever a sixteenth of the ring is.
 *
 * A fence waits until what was stored has got to memory, and a reply's cache line is on its way for
 * as long as a short call takes to serve. So a reply's doorbell, like the tail's, is looked at
 * behind the one fence of the next record, which is copied meanwhile; or at once when there is
 * none.
 */
#include <errno.h>
#include <string.h>

#include "chan/internal.h"

#define TELL_SHARE 16 /* of the ring: so often the client hears of the tail */

/* Looks at the client's cursor: 1 when there is something behind our own. */
static int work_ready(struct chan *chan, void *unused)
{
	struct consumer *c = &chan->consumer;
	uint64_t size = chan->layout.geometry.ring_size;
	/* Acquire: pairs with the release in chan_commit(), makes the records' bytes visible. */
	uint64_t head = atomic_load_explicit(&chan->control->head, memory_order_acquire);

	/* Relaxed: chan_stop() carries no data. */
	if (unlikely(atomic_load_explicit(&chan->stopped, memory_order_relaxed)))
		return -ENOTCONN;
	if (head == c->tail)
		return chan_broken(chan);
	/* Back behind us, or further ahead than the ring is long: both are large differences. */
	if (unlikely(head - c->tail > size || head % WIRE_ALIGN))
		return wait_break(chan, -EBADMSG);
	c->head = head;
	return 1;
}

/* The client may overwrite what was taken. */
static void tell_tail(struct chan *chan)
{
	struct consumer *c = &chan->consumer;

	/* Release: our reads of the bytes are over before the client may overwrite them. */
	atomic_store_explicit(&chan->control->tail, c->tail, memory_order_release);
	c->told = c->tail;
	c->unrung_tail = true;
}

/* P3 and P4 for the tail. */
static void ring_for_room(struct chan *chan)
{
	struct doorbell *doorbell = &chan->control->room;
	uint64_t tail = chan->consumer.told;

	/* Acquire: pairs with W1, so that wake_at is not older than PARKED. */
	if (likely(atomic_load_explicit(&doorbell->state, memory_order_acquire) != DOORBELL_PARKED))
		return;
	uint64_t wake_at = atomic_load_explicit(&doorbell->wake_at, memory_order_relaxed);
	/* Caught up: wake in any case, whatever wake_at says. */
	if (tail == chan->consumer.head || (int64_t)(tail - wake_at) >= 0)
		wait_ring(chan, SITE_ROOM, doorbell);
}

void chan_wake(struct chan *chan)
{
	struct consumer *c = &chan->consumer;

	if (!c->unrung_tail && !c->unrung_reply)
		return;
	atomic_thread_fence(memory_order_seq_cst); /* P2 */
	if (c->unrung_tail)
		ring_for_room(chan);
	if (c->unrung_reply)
		wait_ring(
		    chan, SITE_LANES + c->unrung_lane, &chan_lane(chan, c->unrung_lane)->doorbell);
	c->unrung_tail = c->unrung_reply = false;
}

void chan_reply_commit_soon(struct chan *chan, uint16_t lane, uint32_t seq, uint32_t status,
    const struct wire_writer *writer)
{
	struct consumer *c = &chan->consumer;

	if (c->unrung_reply)
		chan_wake(chan);
	reply_publish(chan, lane, seq, status, writer);
	c->unrung_reply = true;
	c->unrung_lane = lane;
}

/* Whether a record of this size may stand at the tail. */
static bool size_valid(struct chan *chan, uint32_t size, uint32_t id)
{
	struct consumer *c = &chan->consumer;
	size_t least = id == WIRE_ID_PAD ? WIRE_ALIGN : sizeof(struct wire_record);

	return size % WIRE_ALIGN == 0 && size >= least && size <= WIRE_RECORD_MAX &&
	       size <= c->head - c->tail && size <= ring_to_end(chan, c->tail);
}

enum { TAKEN = 0, PADDING = 1 };

/* The record's lines come one beside the other, and not each when the one before it has said that
 * there is another. */
static void fetch(const struct consumer *c, const uint8_t *at)
{
	uint64_t there = MIN(c->head - c->tail, 3u * CACHE_LINE);

	for (uint64_t i = CACHE_LINE; i < there; i += CACHE_LINE)
		__builtin_prefetch(at + i);
}

/*
 * Copies the record at the tail to buffer. The header is read once, in two words, and checked
 * in the copy; what the client writes to the ring meanwhile changes nothing but its own payload.
 */
static int take(struct chan *chan, void *buffer)
{
	struct consumer *c = &chan->consumer;
	uint8_t *at = ring_at(chan, c->tail);
	uint64_t words[2] = {0};
	struct wire_record header;

	fetch(c, at);
	/* Relaxed: head's acquire ordered them; atomic so that the compiler reads them once. */
	words[0] = atomic_load_explicit((_Atomic uint64_t *)at, memory_order_relaxed);
	memcpy(&header, words, sizeof(header));
	if (unlikely(!size_valid(chan, header.size, header.id)))
		return wait_break(chan, -EBADMSG);
	if (header.id != WIRE_ID_PAD) {
		words[1] = atomic_load_explicit((_Atomic uint64_t *)at + 1, memory_order_relaxed);
		memcpy(&header, words, sizeof(header));
		if (unlikely(header.lane >= chan->layout.geometry.lanes))
			return wait_break(chan, -EBADMSG);
		memcpy(buffer, words, sizeof(header));
		memcpy((uint8_t *)buffer + sizeof(header), at + sizeof(header),
		    header.size - sizeof(header));
	}
	c->tail += header.size;
	if (c->tail == c->head || c->tail - c->told >= chan->layout.geometry.ring_size / TELL_SHARE)
		tell_tail(chan);
	else
		__builtin_prefetch(ring_at(chan, c->tail + CACHE_LINE));
	return header.id == WIRE_ID_PAD ? PADDING : TAKEN;
}

void chan_publish_idle(struct chan *chan)
{
	/* Release: see chan_is_idle(). */
	atomic_store_explicit(&chan->control->idle, chan->consumer.tail, memory_order_release);
}

bool chan_has_next(struct chan *chan)
{
	if (chan->consumer.tail != chan->consumer.head || work_ready(chan, NULL) != 0)
		return true;
	chan_wake(chan);
	return false;
}

int chan_next(struct chan *chan, void *buffer)
{
	struct consumer *c = &chan->consumer;
	int r;

	do {
		r = atomic_load_explicit(&chan->stopped, memory_order_relaxed) ? -ENOTCONN
									       : chan_broken(chan);
		if (!r && c->tail == c->head)
			r = work_ready(chan, NULL);
		if (!r && c->tail == c->head) {
			chan_wake(chan);
			r = wait_until(chan,
			    &(struct wait){
				WAIT_WORK, SITE_WORK, &chan->control->work, work_ready, NULL},
			    0);
		}
		if (r < 0)
			break;
		r = take(chan, buffer);
	} while (r == PADDING);
	chan_wake(chan);
	return r;
}
