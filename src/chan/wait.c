/*
 * Waiting: every place of the channel where one side waits for the other comes here after its own
 * first look failed. Any thread; one at a time per doorbell.
 *
 * A wait first watches memory, since the answer usually comes within microseconds and a sleep costs
 * several of them on both sides. How long it pays to watch is learnt per kind of wait: a wait that
 * ended while watching, or soon after parking, doubles the time (up to the setting), one that did
 * not halves it (down to a fraction). A worker whose client computes for long stretches so goes to
 * sleep quickly, one in the middle of a burst stays awake.
 *
 * A reply is worth more: its thread can do nothing else, and whoever waits for a GPU without Rosen
 * watches too, in the driver and without end. A processor that went idle meanwhile takes tens of
 * microseconds to come back, which a wait of milliseconds would still feel. So a reply is watched
 * for up to REPLY_PATIENCE times the setting. And a worker that sleeps costs its client a system
 * call for the next record, which a program that computes a little between its calls would pay each
 * time: it watches for up to WORK_PATIENCE times the setting, half a millisecond as a rule. Past
 * the setting itself a watcher offers its processor to others between looks, and parks as soon as
 * one of them took it.
 *
 * Threads that wait for a GPU at the same time would be as many watchers, and the worker's threads
 * would share processors with them: for some milliseconds at a time the one or the other stands
 * still. So past the setting only so many threads of a client watch as there are seats, which leave
 * the worker its processors. Whoever gets none parks; at once, if the waits of its lane have lasted
 * that long lately. Short waits are watched by all, for waking costs more.
 *
 * On a machine with few processors the watched peer may be waiting for the very processor that the
 * watcher burns. There the watcher yields it every few microseconds; if that took long, the time is
 * up and it parks.
 *
 * Then it parks by the protocol of region.h, in slices: after each it asks the provider whether the
 * peer still lives. With a provider that watches the peer itself, an idle side sleeps without end
 * and costs nothing at all.
 */
#include <errno.h>
#include <sched.h>

#include "base/clock.h"
#include "base/error.h"
#include "chan/internal.h"

#define LOOKS_PER_ROUND 32 /* about a microsecond of pauses between two looks at the clock */
#define SPIN_FLOOR	4  /* the learnt time never falls below 1/2^n of the setting */
#define REPLY_PATIENCE	1000
#define WORK_PATIENCE	25
#define OTHERS_NS	50000  /* so long between two looks: others need this processor */
#define TYPICAL_MOST	200000 /* ns; longer waits say no more about the next one */

static inline void cpu_relax(void)
{
	__builtin_ia32_pause();
}

uint64_t wait_spin_limit(const struct chan *chan, enum wait_kind kind)
{
	uint64_t patience = 1;

	if (!chan->crowded && kind == WAIT_REPLY)
		patience = REPLY_PATIENCE;
	if (!chan->crowded && kind == WAIT_WORK)
		patience = WORK_PATIENCE;
	return MIN(chan->spin_ns * patience, UINT32_MAX / 2);
}

static void learn(struct chan *chan, enum wait_kind kind, bool worth)
{
	_Atomic uint32_t *budget = &chan->spin_budget[kind];
	/* Relaxed, and a lost update does not matter: it is a guess. */
	uint64_t now = atomic_load_explicit(budget, memory_order_relaxed);

	now = worth ? now * 2 : now / 2;
	now = MAX(MIN(now, wait_spin_limit(chan, kind)), chan->spin_ns >> SPIN_FLOOR);
	if (now != atomic_load_explicit(budget, memory_order_relaxed))
		atomic_store_explicit(budget, (uint32_t)now, memory_order_relaxed);
}

/* Whether somebody may be waiting for this very processor: the client's threads and the worker need
 * one each. */
static bool threads_crowd(const struct chan *chan)
{
	return chan->crowded ||
	       atomic_load_explicit(&chan->lanes_taken, memory_order_relaxed) >= chan->n_cpus;
}

/* Relaxed, here and below: the count carries no data. */
static bool sit_down(struct chan *chan)
{
	uint32_t n = atomic_load_explicit(&chan->seated, memory_order_relaxed);

	do {
		if (n >= chan->seats)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
	    &chan->seated, &n, n + 1, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static void stand_up(struct chan *chan)
{
	atomic_fetch_sub_explicit(&chan->seated, 1, memory_order_relaxed);
}

static int look(struct chan *chan, const struct wait *wait)
{
	int r = 0;

	for (int i = 0; i < LOOKS_PER_ROUND && !r; i++) {
		r = wait->ready(chan, wait->context);
		if (!r)
			cpu_relax();
	}
	return r;
}

/* Watches until `to` after start at the latest. *spent: how long since start, as last looked. */
static int spin_until(
    struct chan *chan, const struct wait *wait, uint64_t start, uint64_t to, uint64_t *spent)
{
	while (*spent < to) {
		uint64_t before = *spent;
		int r = look(chan, wait);
		if (r)
			return r;
		bool short_of_cpus = threads_crowd(chan);
		if (short_of_cpus || before > chan->spin_ns)
			sched_yield();
		*spent = clock_now_ns() - start;
		if (*spent - before > OTHERS_NS && (short_of_cpus || *spent > chan->spin_ns))
			*spent = UINT64_MAX; /* enough */
	}
	return 0;
}

static void note_time(const struct wait *wait, uint64_t ns)
{
	if (wait->typical_ns)
		*wait->typical_ns += MIN(ns, TYPICAL_MOST) / 8 - *wait->typical_ns / 8;
}

static int spin(struct chan *chan, const struct wait *wait, uint64_t start)
{
	uint64_t budget =
	    atomic_load_explicit(&chan->spin_budget[wait->kind], memory_order_relaxed);
	uint64_t spent = 0;
	int r = 0;

	if (!wait->typical_ns)
		return spin_until(chan, wait, start, budget, &spent);
	if (*wait->typical_ns <= chan->spin_ns)
		r = spin_until(chan, wait, start, MIN(budget, chan->spin_ns), &spent);
	if (!r && spent < budget && sit_down(chan)) {
		r = spin_until(chan, wait, start, budget, &spent);
		stand_up(chan);
	}
	if (r)
		note_time(wait, spent);
	return r;
}

/* One round of W1..W4 and what follows. 0: look again; else as ready(), CHAN_TIMED_OUT as 2. */
enum { ROUND_AGAIN = 0, ROUND_READY = 1, ROUND_TIMED_OUT = 2 };

static int park_round(struct chan *chan, const struct wait *wait, uint64_t deadline)
{
	struct chan_end *end = chan->end;
	uint64_t slice = chan->watched ? UINT64_MAX : CHAN_PARK_SLICE_NS;

	/* W1. Release: who reads PARKED (acquire, in wait_ring) also reads wake_at. */
	atomic_store_explicit(&wait->doorbell->state, DOORBELL_PARKED, memory_order_release);
	/* W2: the store must not pass the loads of ready(). */
	atomic_thread_fence(memory_order_seq_cst);
	int r = wait->ready(chan, wait->context); /* W3 */
	if (r)
		return r;
	if (!end->provider->alive(end)) {
		/* What it published before it went is still good. */
		r = wait->ready(chan, wait->context);
		return r ?: wait_break(chan, -ENOTCONN);
	}
	if (deadline) {
		uint64_t now = clock_now_ns();
		if (now >= deadline)
			return ROUND_TIMED_OUT;
		slice = MIN(slice, deadline - now);
	}
	end->provider->park(end, wait->site, &wait->doorbell->state, slice); /* W4 */
	return wait->ready(chan, wait->context);
}

int wait_until(struct chan *chan, const struct wait *wait, uint64_t timeout_ns)
{
	uint64_t start = clock_now_ns();
	uint64_t deadline = timeout_ns ? start + timeout_ns : 0;

	int r = spin(chan, wait, start);
	if (r) {
		learn(chan, wait->kind, true);
	} else {
		do
			r = park_round(chan, wait, deadline);
		while (r == ROUND_AGAIN);
		atomic_store_explicit(&wait->doorbell->state, DOORBELL_AWAKE, memory_order_relaxed);
		uint64_t took = clock_now_ns() - start;
		learn(chan, wait->kind, took < 2 * wait_spin_limit(chan, wait->kind));
		note_time(wait, took);
	}
	if (r < 0)
		return r;
	return r == ROUND_TIMED_OUT ? CHAN_TIMED_OUT : 0;
}

static bool stop_ringing(struct doorbell *doorbell)
{
	/*
	 * Exchange: of several wakers exactly one makes the system call. Acquire pairs with W1;
	 * the sleeper needs no order from AWAKE, it looks at the published word itself.
	 */
	return atomic_load_explicit(&doorbell->state, memory_order_relaxed) == DOORBELL_PARKED &&
	       atomic_exchange_explicit(&doorbell->state, DOORBELL_AWAKE, memory_order_acq_rel) ==
		   DOORBELL_PARKED;
}

void wait_ring(struct chan *chan, uint32_t site, struct doorbell *doorbell)
{
	if (stop_ringing(doorbell))
		chan->end->provider->wake(chan->end, site, &doorbell->state);
}

void wait_rouse(struct chan *chan, uint32_t site, struct doorbell *doorbell)
{
	atomic_thread_fence(memory_order_seq_cst); /* P2 */
	if (stop_ringing(doorbell))
		chan->end->provider->rouse(chan->end, site, &doorbell->state);
}

/* The doorbells a role waits at, by index; NULL behind the last. */
static struct doorbell *doorbell_of(
    struct chan *chan, enum chan_role role, uint32_t i, uint32_t *site)
{
	*site = role == CHAN_WORKER ? SITE_WORK : SITE_ROOM + i;
	if (role == CHAN_WORKER)
		return i == 0 ? &chan->control->work : NULL;
	if (*site == SITE_ROOM)
		return &chan->control->room;
	if (*site == SITE_STAGING)
		return &chan->control->staging;
	uint32_t lane = *site - SITE_LANES;
	return lane < chan->layout.geometry.lanes ? &chan_lane(chan, (uint16_t)lane)->doorbell
						  : NULL;
}

static void ring_all(struct chan *chan, enum chan_role role,
    void (*ring)(struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell))
{
	struct doorbell *doorbell;
	uint32_t site;

	/* P2, as in wait_notify(): the caller has published the reason. */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; (doorbell = doorbell_of(chan, role, i, &site)); i++)
		if (stop_ringing(doorbell))
			ring(chan->end, site, &doorbell->state);
}

void wait_rouse_all(struct chan *chan)
{
	ring_all(chan, chan->role, chan->end->provider->rouse);
}

void wait_wake_peer(struct chan *chan)
{
	ring_all(
	    chan, chan->role == CHAN_CLIENT ? CHAN_WORKER : CHAN_CLIENT, chan->end->provider->wake);
}

int wait_break(struct chan *chan, int r)
{
	int before = 0;

	/* Relaxed: the word carries no other data. */
	if (!atomic_compare_exchange_strong_explicit(
		&chan->broken, &before, r, memory_order_relaxed, memory_order_relaxed))
		return before;
	wait_rouse_all(chan);
	return error_origin(r);
}

void chan_stop(struct chan *chan)
{
	/* Relaxed: it carries no other data; wait_rouse() has the fence. */
	atomic_store_explicit(&chan->stopped, true, memory_order_relaxed);
	wait_rouse(chan, SITE_WORK, &chan->control->work);
}
