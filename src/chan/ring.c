/*
 * The command ring. The producer runs in the client's threads, one at a time under its lock, and
 * writes records in place; the consumer runs on the worker's dispatcher and copies each record out
 * before anyone looks at it.
 *
 * A record never wraps: when it does not fit before the ring's end, a WIRE_ID_PAD record fills the
 * rest and is published together with it. The rest may be as small as 8 bytes, therefore a pad is
 * the first half of a header only.
 *
 * Each side keeps its own cursor privately and only stores it to the region, so the peer cannot
 * move it; of the peer's cursor it keeps the value last seen and looks again only when that does
 * not suffice, so that in a steady stream the cache line of a cursor travels once per batch and not
 * once per record.
 *
 * A producer that finds the ring full sleeps until a quarter of it is free: being woken for every
 * record would cost both sides a system call per record.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "chan/internal.h"

#define AHEAD (16 * CACHE_LINE) /* half a microsecond and more of launches */

static uint8_t *ring_at(struct chan *chan, uint64_t cursor)
{
	return chan->memory + chan->layout.ring + (cursor & (chan->layout.geometry.ring_size - 1));
}

static uint64_t ring_to_end(const struct chan *chan, uint64_t cursor)
{
	return chan->layout.geometry.ring_size - (cursor & (chan->layout.geometry.ring_size - 1));
}

static int broken(struct chan *chan)
{
	/* Relaxed: see wait_break(). */
	return atomic_load_explicit(&chan->broken, memory_order_relaxed);
}

/* --- producer --- */

/* Whether *need bytes are free; looks at the worker's cursor and checks it. */
static int room_ready(struct chan *chan, void *need)
{
	struct producer *p = &chan->producer;
	/* Acquire: the worker has copied what lies before it, the bytes may be overwritten. */
	uint64_t tail = atomic_load_explicit(&chan->control->tail, memory_order_acquire);

	if (unlikely(tail - p->tail > p->head - p->tail))
		return wait_break(chan, -EBADMSG); /* back, or ahead of us */
	p->tail = tail;
	if (p->head + *(size_t *)need - tail <= chan->layout.geometry.ring_size)
		return 1;
	return broken(chan);
}

static int make_room(struct chan *chan, size_t need)
{
	struct producer *p = &chan->producer;
	struct doorbell *doorbell = &chan->control->room;
	uint64_t size = chan->layout.geometry.ring_size;

	if (likely(p->head + need - p->tail <= size))
		return 0;
	int r = room_ready(chan, &need);
	if (r)
		return r < 0 ? r : 0;
	/* Relaxed: W1 publishes it. At most head, which the worker reaches in any case. */
	uint64_t enough = p->head + MAX(need, size / 4) - size;
	atomic_store_explicit(&doorbell->wake_at, MIN(enough, p->head), memory_order_relaxed);
	return wait_until(
	    chan, &(struct wait){WAIT_ROOM, SITE_ROOM, doorbell, room_ready, &need}, 0);
}

static void put_header(void *at, const struct wire_record *header)
{
	memcpy(at, header, sizeof(*header));
}

static void put_pad(void *at, size_t size)
{
	struct wire_record pad = {.size = (uint32_t)size, .id = WIRE_ID_PAD};

	memcpy(at, &pad, offsetof(struct wire_record, seq));
}

/* Bytes to skip so that a record of this size does not wrap. */
static size_t pad_before(struct chan *chan, size_t size)
{
	uint64_t rest = ring_to_end(chan, chan->producer.head);

	return size > rest ? rest : 0;
}

/* Opens the record, for which there is room, and its pad. */
static void open_record(struct chan *chan, uint16_t lane, uint32_t id, uint16_t flags, size_t pad,
    size_t size, uint32_t *seq)
{
	struct producer *p = &chan->producer;

	if (unlikely(pad)) {
		put_pad(ring_at(chan, p->head), pad);
		p->head += pad;
	}
	uint8_t *at = ring_at(chan, p->head);
	*seq = ++chan->lanes.seq[lane];
	put_header(at, &(struct wire_record){(uint32_t)size, id, *seq, lane, flags});
	p->open = (struct wire_record *)at;
	p->open_end = at + size;
	p->head += size;
}

int chan_begin(struct chan *chan, uint16_t lane, uint32_t id, uint16_t flags, size_t payload,
    struct wire_writer *writer, uint32_t *seq)
{
	struct producer *p = &chan->producer;
	size_t size = sizeof(struct wire_record) + payload;

	if (unlikely(payload % WIRE_ALIGN ||
		     payload > WIRE_RECORD_MAX - sizeof(struct wire_record) ||
		     lane >= chan->layout.geometry.lanes || id == WIRE_ID_PAD))
		return error_origin(-EINVAL);
	pthread_mutex_lock(&p->lock);
	size_t pad = pad_before(chan, size);
	int r = broken(chan);
	if (likely(!r))
		r = make_room(chan, pad + size);
	if (unlikely(r)) {
		pthread_mutex_unlock(&p->lock);
		return error_trace(r);
	}
	open_record(chan, lane, id, flags, pad, size, seq);
	*writer = wire_writer((uint8_t *)p->open + sizeof(struct wire_record), payload);
	return 0;
}

int chan_try_post(struct chan *chan, uint16_t lane, uint32_t id, uint64_t patience_ns)
{
	struct producer *p = &chan->producer;
	uint64_t until = clock_now_ns() + patience_ns;
	uint32_t seq;

	/* Whoever holds it is about to let go, or waits for room. */
	while (pthread_mutex_trylock(&p->lock)) {
		if (clock_now_ns() >= until)
			return CHAN_BUSY;
		sched_yield();
	}
	size_t pad = pad_before(chan, sizeof(struct wire_record));
	size_t need = pad + sizeof(struct wire_record);
	int r = broken(chan) ?: room_ready(chan, &need);
	if (r <= 0) {
		pthread_mutex_unlock(&p->lock);
		return r < 0 ? error_trace(r) : CHAN_BUSY;
	}
	open_record(chan, lane, id, 0, pad, sizeof(struct wire_record), &seq);
	struct wire_writer writer = wire_writer(p->open_end, 0);
	return chan_commit(chan, &writer);
}

/*
 * The worker has read the bytes behind the head once around the ring ago, so their cache lines are
 * the other processor's, and each takes as long to come back as all the rest of a posted call. So
 * they are asked for well ahead, each once. Not those that the worker has not read yet.
 */
static void prefetch_ahead(struct chan *chan)
{
	struct producer *p = &chan->producer;
	uint64_t to = p->head + AHEAD;

	if (unlikely(to - p->tail > chan->layout.geometry.ring_size))
		return;
	if (unlikely(p->head > p->fetched))
		p->fetched = p->head & ~(uint64_t)(CACHE_LINE - 1);
	for (; p->fetched < to; p->fetched += CACHE_LINE)
		__asm__ volatile("prefetchw %0" : : "m"(*ring_at(chan, p->fetched)));
}

int chan_commit(struct chan *chan, const struct wire_writer *writer)
{
	struct producer *p = &chan->producer;
	int r = 0;

	if (unlikely(writer->failed || writer->at != p->open_end)) {
		put_pad(p->open, (size_t)(p->open_end - (uint8_t *)p->open));
		r = error_origin(-EINVAL);
	}
	/* Release: the worker's acquire load of head makes the record's bytes visible to it. */
	atomic_store_explicit(&chan->control->head, p->head, memory_order_release);
	wait_notify(chan, SITE_WORK, &chan->control->work);
	prefetch_ahead(chan);
	pthread_mutex_unlock(&p->lock);
	return r;
}

bool chan_is_idle(struct chan *chan)
{
	/* Acquire: what the worker saw done is visible to us. */
	uint64_t idle = atomic_load_explicit(&chan->control->idle, memory_order_acquire);

	/* Relaxed: our side's own word; what other threads of it send meanwhile is their race. */
	return idle && idle == atomic_load_explicit(&chan->control->head, memory_order_relaxed);
}

/* --- consumer --- */

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
		return broken(chan);
	/* Back behind us, or further ahead than the ring is long: both are large differences. */
	if (unlikely(head - c->tail > size || head % WIRE_ALIGN))
		return wait_break(chan, -EBADMSG);
	c->head = head;
	return 1;
}

static void publish_tail(struct chan *chan)
{
	struct doorbell *doorbell = &chan->control->room;
	uint64_t tail = chan->consumer.tail;

	/* Release: our reads of the bytes are over before the client may overwrite them. */
	atomic_store_explicit(&chan->control->tail, tail, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst); /* P2 */
	/* Acquire: pairs with W1, so that wake_at is not older than PARKED. */
	if (likely(atomic_load_explicit(&doorbell->state, memory_order_acquire) != DOORBELL_PARKED))
		return;
	uint64_t wake_at = atomic_load_explicit(&doorbell->wake_at, memory_order_relaxed);
	/* Caught up: wake in any case, whatever wake_at says. */
	if (tail == chan->consumer.head || (int64_t)(tail - wake_at) >= 0)
		wait_ring(chan, SITE_ROOM, doorbell);
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
	publish_tail(chan);
	return header.id == WIRE_ID_PAD ? PADDING : TAKEN;
}

void chan_publish_idle(struct chan *chan)
{
	/* Release: see chan_is_idle(). */
	atomic_store_explicit(&chan->control->idle, chan->consumer.tail, memory_order_release);
}

bool chan_has_next(struct chan *chan)
{
	return chan->consumer.tail != chan->consumer.head || work_ready(chan, NULL) != 0;
}

int chan_next(struct chan *chan, void *buffer)
{
	struct consumer *c = &chan->consumer;
	int r;

	do {
		r = atomic_load_explicit(&chan->stopped, memory_order_relaxed) ? -ENOTCONN
									       : broken(chan);
		if (!r && c->tail == c->head)
			r = work_ready(chan, NULL);
		if (!r && c->tail == c->head)
			r = wait_until(chan,
			    &(struct wait){
				WAIT_WORK, SITE_WORK, &chan->control->work, work_ready, NULL},
			    0);
		if (r < 0)
			return r;
		r = take(chan, buffer);
	} while (r == PADDING);
	return r;
}
