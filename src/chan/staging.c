/*
 * The staging area: memory for bulk data, lent out in runs of granules.
 *
 * The allocator is the client's alone and lies in its private memory; the worker never sees or
 * needs it. What the worker has to say is only "I have read this run", and for that it has one
 * counter per granule in the region: it counts up the counter of a run's first granule. The client
 * counts how often it handed over a run beginning there; when the counters agree the run is free.
 * Counters instead of flags need no reset, so neither side ever writes the other's words, and it
 * does not matter whether the worker is done before the client has noted the hand-over.
 *
 * Handed-over runs usually come back in order, so a take looks at the oldest ones only, and at all
 * of them when it finds no room. The search for room starts at the beginning (first fit): a program
 * that copies little uses few granules again and again, whose pages it has touched before and whose
 * bytes are still in its caches.
 *
 * A thread that finds no room waits. Waiters queue up for `turn`, so that small takes cannot pass
 * a large one for ever; whoever frees something (a thread of this process, or the worker) rings
 * the one doorbell of the one waiter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chan/internal.h"

#define ATTACH_RUN                                                                                 \
	(1u << 20) /* small enough that the worker reads one while the next is copied              \
		    */

int staging_init(struct staging *s, uint64_t size)
{
	s->n_chunks = (uint32_t)(size / WIRE_CHUNK_SIZE);
	s->used = calloc(s->n_chunks, sizeof(*s->used));
	s->run = calloc(s->n_chunks, sizeof(*s->run));
	s->handed = calloc(s->n_chunks, sizeof(*s->handed));
	s->queue = calloc(s->n_chunks, sizeof(*s->queue));
	if (!s->used || !s->run || !s->handed || !s->queue) {
		staging_fini(s);
		return error_origin(-ENOMEM);
	}
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->turn, NULL);
	return 0;
}

void staging_fini(struct staging *s)
{
	free(s->used);
	free(s->run);
	free(s->handed);
	free(s->queue);
	s->used = NULL;
	s->run = s->handed = s->queue = NULL;
}

static _Atomic uint32_t *release_counter(struct chan *chan, uint32_t chunk)
{
	return (_Atomic uint32_t *)(chan->memory + chan->layout.releases) + chunk;
}

/* --- the allocator; under lock --- */

static void release_run(struct staging *s, uint32_t first)
{
	memset(s->used + first, 0, s->run[first]);
	s->run[first] = 0;
}

static bool come_back(struct chan *chan, uint32_t first)
{
	/* Acquire: the worker's reads of the run are over before we write there again. */
	return atomic_load_explicit(release_counter(chan, first), memory_order_acquire) ==
	       chan->staging.handed[first];
}

static void collect_oldest(struct chan *chan)
{
	struct staging *s = &chan->staging;

	while (s->queued && come_back(chan, s->queue[s->oldest])) {
		release_run(s, s->queue[s->oldest]);
		s->oldest = (s->oldest + 1) % s->n_chunks;
		s->queued--;
	}
}

static void collect_all(struct chan *chan)
{
	struct staging *s = &chan->staging;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->queued; i++) {
		uint32_t first = s->queue[(s->oldest + i) % s->n_chunks];
		if (come_back(chan, first))
			release_run(s, first);
		else
			s->queue[(s->oldest + kept++) % s->n_chunks] = first;
	}
	s->queued = kept;
}

/* First of `wanted` free granules in a row, or n_chunks. */
static uint32_t find(const struct staging *s, uint32_t wanted)
{
	for (uint32_t from = 0; s->n_chunks - from >= wanted;) {
		const uint8_t *free_at = memchr(s->used + from, 0, s->n_chunks - from);
		if (!free_at)
			break;
		from = (uint32_t)(free_at - s->used);
		if (s->n_chunks - from < wanted)
			break;
		const uint8_t *used_at = memchr(free_at, 1, wanted);
		if (!used_at)
			return from;
		from = (uint32_t)(used_at - s->used) + 1;
	}
	return s->n_chunks;
}

static bool allocate(struct staging *s, uint32_t wanted, uint32_t *first)
{
	uint32_t found = find(s, wanted);

	if (found == s->n_chunks)
		return false;
	memset(s->used + found, 1, wanted);
	s->run[found] = wanted;
	*first = found;
	return true;
}

/* --- taking and giving --- */

struct want {
	uint32_t chunks;
	uint32_t first; /* out */
};

static int staging_ready(struct chan *chan, void *context)
{
	struct staging *s = &chan->staging;
	struct want *want = context;

	pthread_mutex_lock(&s->lock);
	collect_oldest(chan);
	bool found = allocate(s, want->chunks, &want->first);
	if (!found && s->queued) {
		collect_all(chan);
		found = allocate(s, want->chunks, &want->first);
	}
	pthread_mutex_unlock(&s->lock);
	return found ? 1 : atomic_load_explicit(&chan->broken, memory_order_relaxed);
}

static int await_room(struct chan *chan, struct want *want)
{
	struct staging *s = &chan->staging;

	/* Relaxed: only makes others queue up instead of overtaking. */
	atomic_fetch_add_explicit(&s->waiting, 1, memory_order_relaxed);
	pthread_mutex_lock(&s->turn);
	int r = wait_until(chan,
	    &(struct wait){
		WAIT_STAGING, SITE_STAGING, &chan->control->staging, staging_ready, want},
	    0);
	pthread_mutex_unlock(&s->turn);
	atomic_fetch_sub_explicit(&s->waiting, 1, memory_order_relaxed);
	return r;
}

size_t chan_staging_largest(const struct chan *chan)
{
	return (size_t)(chan->staging.n_chunks / 2) * WIRE_CHUNK_SIZE;
}

int chan_staging_take(struct chan *chan, size_t size, struct wire_bulk *run, void **memory)
{
	struct staging *s = &chan->staging;

	if (size > chan_staging_largest(chan))
		return error_origin(-E2BIG);
	struct want want = {
	    .chunks = (uint32_t)(align_up(size ?: 1, WIRE_CHUNK_SIZE) / WIRE_CHUNK_SIZE)};
	int r = atomic_load_explicit(&chan->broken, memory_order_relaxed);
	if (r)
		return error_trace(r);
	if (!atomic_load_explicit(&s->waiting, memory_order_relaxed))
		r = staging_ready(chan, &want);
	if (r == 0)
		r = await_room(chan, &want);
	if (r < 0)
		return error_trace(r);
	run->offset = (uint64_t)want.first * WIRE_CHUNK_SIZE;
	run->size = size;
	*memory = chan->memory + chan->layout.staging + run->offset;
	return 0;
}

void chan_staging_give(struct chan *chan, const struct wire_bulk *run)
{
	struct staging *s = &chan->staging;

	pthread_mutex_lock(&s->lock);
	release_run(s, (uint32_t)(run->offset / WIRE_CHUNK_SIZE));
	pthread_mutex_unlock(&s->lock);
	wait_rouse(chan, SITE_STAGING, &chan->control->staging);
}

void chan_staging_hand_over(struct chan *chan, const struct wire_bulk *run)
{
	struct staging *s = &chan->staging;
	uint32_t first = (uint32_t)(run->offset / WIRE_CHUNK_SIZE);

	pthread_mutex_lock(&s->lock);
	s->handed[first]++;
	/* A run has a granule at least, so the queue cannot overflow. */
	s->queue[(s->oldest + s->queued++) % s->n_chunks] = first;
	pthread_mutex_unlock(&s->lock);
	/* The worker may have released it, and found nothing to ring for, before it was queued. */
	wait_rouse(chan, SITE_STAGING, &chan->control->staging);
}

static int attach_run(struct chan *chan, uint16_t lane, const void *bytes, size_t size)
{
	struct wire_writer writer;
	struct wire_bulk run;
	uint32_t seq;
	void *memory;

	int r = chan_staging_take(chan, size, &run, &memory);
	if (r < 0)
		return error_trace(r);
	memcpy(memory, bytes, size);
	r = chan_begin(chan, lane, WIRE_ID_ATTACH, 0, sizeof(run), &writer, &seq);
	if (r < 0) {
		chan_staging_give(chan, &run);
		return error_trace(r);
	}
	wire_put_u64(&writer, run.offset);
	wire_put_u64(&writer, run.size);
	r = chan_commit(chan, lane, &writer);
	chan_staging_hand_over(chan, &run);
	return error_trace(r);
}

int chan_attach(struct chan *chan, uint16_t lane, const void *bytes, size_t size)
{
	size_t largest = MIN(chan_staging_largest(chan), ATTACH_RUN);

	for (size_t done = 0; done < size;) {
		size_t step = MIN(size - done, largest);
		int r = attach_run(chan, lane, (const uint8_t *)bytes + done, step);
		if (r < 0)
			return error_trace(r);
		done += step;
	}
	return 0;
}

/* --- worker --- */

void *chan_staging_memory(struct chan *chan, const struct wire_bulk *run)
{
	uint64_t area = chan->layout.geometry.staging_size;

	if (run->offset % WIRE_CHUNK_SIZE || run->offset >= area || run->size > area - run->offset)
		return NULL;
	return chan->memory + chan->layout.staging + run->offset;
}

void chan_staging_release(struct chan *chan, const struct wire_bulk *run)
{
	if (!chan_staging_memory(chan, run))
		return;
	/*
	 * Release: pairs with the acquire in come_back(). An addition, since several threads of
	 * the worker may release runs that, by a client's lie, begin at the same granule.
	 */
	atomic_fetch_add_explicit(release_counter(chan, (uint32_t)(run->offset / WIRE_CHUNK_SIZE)),
	    1, memory_order_release);
	wait_notify(chan, SITE_STAGING, &chan->control->staging);
}
