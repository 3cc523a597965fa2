/*
 * The client's half of the command ring: any of its threads, no lock.
 *
 * A call takes its place in the ring with one compare-and-swap of the cursor `reserved`, which is
 * also where its order is decided: a call that returned in one thread lies before any that another
 * begins afterwards. Its bytes are then written in place while other threads write theirs.
 *
 * The region's head may pass a record only when that record and all before it are complete. It
 * moves by turns, and nobody waits for a turn: `published` is the head, and who finds his record
 * beginning there publishes it. Who finds it elsewhere leaves a mark that says where his record
 * ends, and goes; whoever publishes takes the marks that follow, and publishes those records as
 * well. Mark and `published` are the two words of a race: one side stores the mark and looks at
 * `published`, the other stores `published` and looks at the mark, both with a full fence between,
 * so that one of them at least sees the other's; when both do, the exchange that takes the mark
 * gives the record to one. doc/model/posting.pml is the model of it.
 *
 * So a posting thread waits for no other thread, and when the kernel stops one of them in the
 * middle of a record the others go on and leave marks. Under contention four cache lines move per
 * call: the one with `reserved`, the record's, the mark's, and one publisher's share of head and
 * `published`; alone, none but the ring's own, and those are asked for well ahead.
 *
 * A record never wraps: when it does not fit before the ring's end, a WIRE_ID_PAD record fills the
 * rest and is published together with it. The rest may be as small as 8 bytes, therefore a pad is
 * the first half of a header only.
 *
 * Who finds the ring full stands in line behind a mutex, so that a large record is not starved by
 * small ones, and sleeps until a quarter of the ring is free: being woken for every record would
 * cost both sides a system call per record, and watching the worker's cursor a cache line.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chan/internal.h"

#define AHEAD	   (16 * CACHE_LINE) /* half a microsecond and more of launches */
#define MARK_EACH  16u		     /* bytes of the ring per mark: the shortest record */
#define EXTENT_MAX (2ull * WIRE_RECORD_MAX)
#define BATCH	   16u /* marks taken before what was found is published */

int producer_init(struct producer *producer, uint64_t ring_size)
{
	producer->marks = calloc(ring_size / MARK_EACH, sizeof(*producer->marks));
	if (!producer->marks)
		return error_origin(-ENOMEM);
	pthread_mutex_init(&producer->room_lock, NULL);
	return 0;
}

void producer_fini(struct producer *producer)
{
	pthread_mutex_destroy(&producer->room_lock);
	free((void *)producer->marks);
	producer->marks = NULL;
}

/* --- taking a place --- */

/* Bytes to skip so that a record of this size does not wrap. */
static size_t pad_at(const struct chan *chan, uint64_t cursor, size_t size)
{
	uint64_t rest = ring_to_end(chan, cursor);

	return size > rest ? rest : 0;
}

/* False: there is no room for it, as far as is known. */
static bool reserve(struct chan *chan, size_t size, struct extent *out)
{
	struct producer *p = &chan->producer;
	/* Acquire: pairs with look_at_tail(), the bytes before it may be overwritten. */
	uint64_t tail = atomic_load_explicit(&p->tail, memory_order_acquire);
	/* Relaxed: the order that counts is the one in which this cursor changes. */
	uint64_t begin = atomic_load_explicit(&p->reserved, memory_order_relaxed);

	out->tail = tail;
	do {
		out->pad = pad_at(chan, begin, size);
		out->begin = begin;
		out->end = begin + out->pad + size;
		if (unlikely(out->end - tail > chan->layout.geometry.ring_size))
			return false;
	} while (unlikely(!atomic_compare_exchange_weak_explicit(
	    &p->reserved, &begin, out->end, memory_order_relaxed, memory_order_relaxed)));
	return true;
}

/* Takes over the worker's cursor, checked: never back, never ahead of what was reserved. */
static int look_at_tail(struct chan *chan, uint64_t *out)
{
	struct producer *p = &chan->producer;
	uint64_t seen = atomic_load_explicit(&p->tail, memory_order_acquire);
	/* Acquire: the worker has copied what lies before it, the bytes may be overwritten. */
	uint64_t tail = atomic_load_explicit(&chan->control->tail, memory_order_acquire);
	/* Relaxed: whoever published up to tail had reserved it, and the load above came after. */
	uint64_t reserved = atomic_load_explicit(&p->reserved, memory_order_relaxed);
	/* Acquire: the records before it are complete, whatever the worker says. */
	uint64_t published = atomic_load_explicit(&p->published, memory_order_acquire);

	if (unlikely(tail - seen > reserved - seen))
		return wait_break(chan, -EBADMSG);
	tail = MIN(tail, published); /* which is stored a moment after the head */
	/* Release: what was acquired is passed on to reserve(). Of two that look at once the later
	 * one's value may be the older; then somebody looks once more than needed. */
	if (tail != seen)
		atomic_store_explicit(&p->tail, tail, memory_order_release);
	*out = tail;
	return chan_broken(chan);
}

/* wait_until(): the worker's cursor has got to *context. */
static int room_ready(struct chan *chan, void *context)
{
	uint64_t tail;
	int r = look_at_tail(chan, &tail);

	return r ?: (int64_t)(tail - *(uint64_t *)context) >= 0;
}

/* First in line: until a quarter is free, or the worker has taken all it was given. */
static int wait_for_room(struct chan *chan, size_t size)
{
	struct producer *p = &chan->producer;
	struct doorbell *doorbell = &chan->control->room;
	uint64_t ring_size = chan->layout.geometry.ring_size;
	uint64_t published = atomic_load_explicit(&p->published, memory_order_relaxed);
	uint64_t reserved = atomic_load_explicit(&p->reserved, memory_order_relaxed);
	uint64_t need = MAX(pad_at(chan, reserved, size) + size, ring_size / 4);
	uint64_t enough = MIN(reserved + need - ring_size, published);
	int r = room_ready(chan, &enough);

	if (r > 0) {
		/* What is in the way has a place and is not complete: its thread must run. */
		sched_yield();
		return 0;
	}
	if (r < 0)
		return r;
	/* Relaxed: W1 publishes it. */
	atomic_store_explicit(&doorbell->wake_at, enough, memory_order_relaxed);
	return wait_until(
	    chan, &(struct wait){WAIT_ROOM, SITE_ROOM, doorbell, room_ready, &enough}, 0);
}

static int stand_in_line(struct chan *chan, size_t size, struct extent *out)
{
	struct producer *p = &chan->producer;
	int r = 0;

	/* Relaxed: who does not see it yet takes a place that was free in any case. */
	atomic_fetch_add_explicit(&p->in_line, 1, memory_order_relaxed);
	pthread_mutex_lock(&p->room_lock);
	while (!r && !reserve(chan, size, out))
		r = wait_for_room(chan, size);
	pthread_mutex_unlock(&p->room_lock);
	atomic_fetch_sub_explicit(&p->in_line, 1, memory_order_relaxed);
	return r;
}

static bool nobody_in_line(struct chan *chan)
{
	return !atomic_load_explicit(&chan->producer.in_line, memory_order_relaxed);
}

/* 0, or CHAN_BUSY when there is no room, or somebody else waits for some. */
static int take_place(struct chan *chan, size_t size, struct extent *out)
{
	if (likely(nobody_in_line(chan) && reserve(chan, size, out)))
		return 0;
	uint64_t tail;
	int r = look_at_tail(chan, &tail);
	if (r < 0)
		return r;
	return nobody_in_line(chan) && reserve(chan, size, out) ? 0 : CHAN_BUSY;
}

/* --- writing --- */

static void put_pad(void *at, size_t size)
{
	struct wire_record pad = {.size = (uint32_t)size, .id = WIRE_ID_PAD};

	memcpy(at, &pad, offsetof(struct wire_record, seq));
}

static uint8_t *open_record(struct chan *chan, uint16_t lane, uint32_t id, uint16_t flags,
    const struct extent *extent, uint32_t *seq)
{
	struct own_lane *own = &chan->lanes.own[lane];
	uint64_t begin = extent->begin + extent->pad;

	if (unlikely(extent->pad))
		put_pad(ring_at(chan, extent->begin), extent->pad);
	own->open = *extent;
	*seq = ++own->seq;
	struct wire_record header = {(uint32_t)(extent->end - begin), id, *seq, lane, flags};
	uint8_t *at = ring_at(chan, begin);
	memcpy(at, &header, sizeof(header));
	return at + sizeof(header);
}

int chan_begin(struct chan *chan, uint16_t lane, uint32_t id, uint16_t flags, size_t payload,
    struct wire_writer *writer, uint32_t *seq)
{
	size_t size = sizeof(struct wire_record) + payload;
	struct extent extent;

	if (unlikely(payload % WIRE_ALIGN ||
		     payload > WIRE_RECORD_MAX - sizeof(struct wire_record) ||
		     lane >= chan->layout.geometry.lanes || id == WIRE_ID_PAD))
		return error_origin(-EINVAL);
	/* Needed when the record is complete, and likely another thread's. */
	__builtin_prefetch(&chan->producer.published, 1);
	int r = chan_broken(chan);
	if (likely(!r))
		r = take_place(chan, size, &extent);
	if (unlikely(r == CHAN_BUSY))
		r = stand_in_line(chan, size, &extent);
	if (unlikely(r))
		return error_trace(r);
	*writer = wire_writer(open_record(chan, lane, id, flags, &extent, seq), payload);
	return 0;
}

/* --- publishing --- */

/* Neighbours lie in one cache line, as their records do: a thread alone runs along them. */
static _Atomic uint64_t *mark_of(struct chan *chan, uint64_t begin)
{
	return &chan->producer.marks[(begin & (chan->layout.geometry.ring_size - 1)) / MARK_EACH];
}

/*
 * Where the record that begins here ends; 0: it has no mark, or somebody else took it. Who was kept
 * from running since it published finds marks of a later time around the ring in the same places: a
 * mark is the end as a cursor, which never comes again.
 */
static uint64_t take_mark(struct chan *chan, uint64_t begin)
{
	_Atomic uint64_t *mark = mark_of(chan, begin);
	uint64_t end = atomic_load_explicit(mark, memory_order_relaxed);

	if (end <= begin || end - begin > EXTENT_MAX)
		return 0;
	/* Acquire: pairs with leave_mark(), the record is complete. */
	return atomic_compare_exchange_strong_explicit(
		   mark, &end, 0, memory_order_acquire, memory_order_relaxed)
		   ? end
		   : 0;
}

static bool is_turn_of(struct chan *chan, uint64_t begin)
{
	/* Acquire: our store to head comes after that of whoever published this. */
	return atomic_load_explicit(&chan->producer.published, memory_order_acquire) == begin;
}

/* Leaves the record to whoever publishes the one before it. False: that one has gone on already. */
static bool leave_mark(struct chan *chan, uint64_t begin, uint64_t end)
{
	/* Release: the record is complete for who takes the mark. */
	atomic_store_explicit(mark_of(chan, begin), end, memory_order_release);
	/* The store must not pass the load; the other side's fence is publish()'s. */
	atomic_thread_fence(memory_order_seq_cst);
	return !is_turn_of(chan, begin) || !take_mark(chan, begin);
}

static bool nobody_behind(struct chan *chan, uint64_t end)
{
	return atomic_load_explicit(&chan->producer.reserved, memory_order_relaxed) == end;
}

/*
 * The end of what is complete from here on. Who was alone the last time asks `reserved`, which then
 * is in his cache while marks are not; among others it is everybody's, and the next mark is wanted
 * anyway.
 */
static uint64_t take_marks(struct chan *chan, uint64_t end, bool alone)
{
	if (likely(alone) && likely(nobody_behind(chan, end)))
		return end;
	for (unsigned n = 0; n < BATCH; n++) {
		uint64_t next = take_mark(chan, end);
		if (!next)
			break;
		end = next;
	}
	return end;
}

/* By the one whose turn it is, and for those behind. Where the worker will be sent to in the
 * end. */
static uint64_t publish(struct chan *chan, uint64_t end, bool alone)
{
	struct producer *p = &chan->producer;
	uint64_t published;

	do {
		published = end;
		/* Release: the worker's acquire load of head makes the records' bytes visible. */
		atomic_store_explicit(&chan->control->head, end, memory_order_release);
		/* Release: the next one's store to head comes after ours. */
		atomic_store_explicit(&p->published, end, memory_order_release);
		/* With its fence: the marks are looked at after `published` is stored. */
		wait_notify(chan, SITE_WORK, &chan->control->work);
		end = take_marks(chan, end, alone);
	} while (unlikely(end != published));
	return end;
}

/*
 * The worker has read the bytes behind the head once around the ring ago, so their cache lines are
 * the other processor's, and each takes as long to come back as all the rest of a posted call. So
 * they are asked for well ahead, each once. Not those that the worker has not read yet.
 */
static void prefetch_ahead(struct chan *chan, uint64_t head, uint64_t tail)
{
	struct producer *p = &chan->producer;
	uint64_t to = head + AHEAD;
	/* Relaxed: a line asked for twice, or not at all, is only slower. */
	uint64_t fetched = atomic_load_explicit(&p->fetched, memory_order_relaxed);

	if (unlikely(to - tail > chan->layout.geometry.ring_size || to <= fetched))
		return;
	if (unlikely(head > fetched))
		fetched = head & ~(uint64_t)(CACHE_LINE - 1);
	for (; fetched < to; fetched += CACHE_LINE)
		__asm__ volatile("prefetchw %0" : : "m"(*ring_at(chan, fetched)));
	atomic_store_explicit(&p->fetched, fetched, memory_order_relaxed);
}

static void complete(struct chan *chan, struct own_lane *own)
{
	const struct extent *extent = &own->open;
	bool alone = own->alone;

	own->alone = is_turn_of(chan, extent->begin);
	if (unlikely(!own->alone) && leave_mark(chan, extent->begin, extent->end))
		return;
	if (unlikely(publish(chan, extent->end, alone) != extent->end))
		own->alone = false;
	if (likely(own->alone))
		prefetch_ahead(chan, extent->end, extent->tail);
}

int chan_commit(struct chan *chan, uint16_t lane, const struct wire_writer *writer)
{
	struct own_lane *own = &chan->lanes.own[lane];
	const struct extent *extent = &own->open;
	int r = 0;

	/* A record that ends with the ring does so in front of its first byte. */
	if (unlikely(writer->failed || writer->at != ring_at(chan, extent->end - 1) + 1)) {
		put_pad(ring_at(chan, extent->begin), extent->end - extent->begin);
		r = error_origin(-EINVAL);
	}
	complete(chan, own);
	return r;
}

int chan_try_post(struct chan *chan, uint16_t lane, uint32_t id)
{
	struct extent extent;
	uint32_t seq;
	int r = chan_broken(chan) ?: take_place(chan, sizeof(struct wire_record), &extent);

	if (r)
		return r < 0 ? error_trace(r) : r;
	open_record(chan, lane, id, 0, &extent, &seq);
	complete(chan, &chan->lanes.own[lane]);
	return 0;
}

bool chan_is_idle(struct chan *chan)
{
	/* Acquire: what the worker saw done is visible to us. */
	uint64_t idle = atomic_load_explicit(&chan->control->idle, memory_order_acquire);

	/* What has a place counts as sent, for a call that returned may have left a mark. Relaxed:
	 * our side's own word; what other threads of it send meanwhile is their race. */
	return idle && idle == atomic_load_explicit(&chan->producer.reserved, memory_order_relaxed);
}
