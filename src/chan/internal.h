/*
 * What the files of the channel share; nothing here is for other folders.
 *
 * chan.c   opening, ending, side messages, statistics
 * wait.c   spin, park, wake; the channel's end of life
 * post.c   records: the client's producer
 * ring.c   records: the worker's consumer
 * lane.c   reply lanes
 * staging.c  the staging area
 */
#pragma once

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "chan/chan.h"
#include "chan/provider.h"
#include "chan/region.h"

/* Kinds of waits that learn their spinning time together. */
enum wait_kind { WAIT_WORK, WAIT_ROOM, WAIT_STAGING, WAIT_REPLY, WAIT_UNASKED, WAIT_KINDS };

/*
 * The client's half of the ring, of all its threads; post.c says how they share it. Each line is
 * changed at another time of a call.
 */
struct producer {
	_Atomic uint64_t reserved; /* where the next record goes */
	_Atomic uint64_t tail;	   /* the worker's cursor when last looked at */
	_Atomic uint32_t in_line;  /* threads that wait for room: others go behind them */
	alignas(REGION_APART) _Atomic uint64_t published; /* the region's head is write-only */
	_Atomic uint64_t fetched; /* the cache lines before it were asked for */
	alignas(REGION_APART) _Atomic uint64_t *marks; /* records ready before their turn */
	pthread_mutex_t room_lock;		       /* held while waiting for room */
};

/* The worker's half. Used by the dispatcher's thread alone. */
struct consumer {
	uint64_t tail; /* records before it are taken */
	uint64_t told; /* the tail as it was last stored to the region, which is write-only */
	uint64_t head; /* the client's cursor when last looked at */
	/* Published without a look at the doorbell yet: see chan_wake(). */
	bool unrung_tail, unrung_reply;
	uint16_t unrung_lane;
};

struct lanes {
	pthread_mutex_t lock;
	pthread_cond_t given;
	uint32_t n_free;
	uint16_t *free;	      /* a stack: the lane given last is the warmest in the cache */
	struct own_lane *own; /* per lane; pages come when touched */
	size_t own_size;
};

/* A place in the ring: a record and the pad before it. */
struct extent {
	uint64_t begin, end;
	size_t pad;
	uint64_t tail; /* the worker's cursor, as it was known then */
};

/* What the client keeps of a lane: its thread's alone. */
struct own_lane {
	alignas(REGION_APART) uint32_t seq; /* of its newest record */
	bool alone;	    /* when it published the last one: no other thread was about */
	uint64_t wait_ns;   /* a wait takes, lately */
	struct extent open; /* between chan_begin() and chan_commit() */
	alignas(CACHE_LINE) uint8_t reply[WIRE_LANE_SIZE - CACHE_LINE];
};
_Static_assert(sizeof(struct own_lane) == WIRE_LANE_SIZE, "lanes lie in pages of their own");

struct staging {
	pthread_mutex_t lock; /* of everything below, held shortly */
	pthread_mutex_t turn; /* held while waiting: waiters go one after the other */
	uint32_t n_chunks;
	uint8_t *used;		  /* per granule, 0 or 1 */
	uint32_t *run;		  /* per first granule of a run: its length */
	uint32_t *handed;	  /* per first granule: how often it was handed over */
	uint32_t *queue;	  /* first granules of handed-over runs, oldest first; circular */
	uint32_t oldest, queued;  /* of queue */
	_Atomic uint32_t waiting; /* threads in or before the wait */
};

struct chan {
	struct chan_end *end;
	enum chan_role role;
	struct region_layout layout;
	uint8_t *memory;
	struct region_control *control;
	uint64_t spin_ns;
	uint32_t n_cpus;      /* that this process may use */
	bool crowded;	      /* few processors: a spinning thread may keep the peer from running */
	bool watched;	      /* the provider tells when the peer is gone */
	_Atomic int broken;   /* 0, or the error that ended this channel */
	_Atomic bool stopped; /* chan_stop() */
	_Atomic uint32_t lanes_taken;
	uint32_t seats;				     /* client threads that may watch for long */
	alignas(CACHE_LINE) _Atomic uint32_t seated; /* that do */
	alignas(CACHE_LINE) _Atomic uint32_t spin_budget[WAIT_KINDS];
	struct producer producer;
	alignas(CACHE_LINE) struct consumer consumer;
	alignas(CACHE_LINE) struct lanes lanes;
	alignas(CACHE_LINE) struct staging staging;
};

static inline struct region_lane *chan_lane(struct chan *chan, uint16_t lane)
{
	return (struct region_lane *)(chan->memory + chan->layout.lanes) + lane;
}

static inline uint8_t *ring_at(struct chan *chan, uint64_t cursor)
{
	return chan->memory + chan->layout.ring + (cursor & (chan->layout.geometry.ring_size - 1));
}

/* Bytes from the cursor's place to the ring's end. */
static inline uint64_t ring_to_end(const struct chan *chan, uint64_t cursor)
{
	return chan->layout.geometry.ring_size - (cursor & (chan->layout.geometry.ring_size - 1));
}

/* 0, or the error that ended the channel. */
static inline int chan_broken(struct chan *chan)
{
	/* Relaxed: see wait_break(). */
	return atomic_load_explicit(&chan->broken, memory_order_relaxed);
}

/* --- post.c: made and ended by chan.c --- */

int producer_init(struct producer *producer, uint64_t ring_size);
void producer_fini(struct producer *producer);

/* --- wait.c --- */

struct wait {
	enum wait_kind kind;
	uint32_t site;
	struct doorbell *doorbell;
	/* 1 when the waited-for is there, 0 when not yet, negative to give up. No side effects that
	 * hurt when repeated. */
	int (*ready)(struct chan *chan, void *context);
	void *context;
	uint64_t *typical_ns; /* how long they took lately, kept here; NULL: all may watch */
};

/*
 * Waits until ready() says other than 0: spins, then parks. 0 when it was 1; CHAN_TIMED_OUT after
 * timeout_ns (0: never); negative from ready(), or -ENOTCONN when the peer is gone.
 */
int wait_until(struct chan *chan, const struct wait *wait, uint64_t timeout_ns);

/* The longest time for which a wait of this kind watches memory. */
uint64_t wait_spin_limit(const struct chan *chan, enum wait_kind kind);

/* Second half of the protocol in region.h, with its fence; the caller has published. */
void wait_ring(struct chan *chan, uint32_t site, struct doorbell *doorbell);

static inline void wait_notify(struct chan *chan, uint32_t site, struct doorbell *doorbell)
{
	/* P2: the publishing store must not pass the load of the doorbell. */
	atomic_thread_fence(memory_order_seq_cst);
	if (unlikely(
		atomic_load_explicit(&doorbell->state, memory_order_relaxed) == DOORBELL_PARKED))
		wait_ring(chan, site, doorbell);
}

/* Ends the channel for good with r (the first one stays) and wakes this side. Returns what stayed.
 */
int wait_break(struct chan *chan, int r);
/* wait_notify() for a thread of this side. */
void wait_rouse(struct chan *chan, uint32_t site, struct doorbell *doorbell);
/* Makes all parked threads of this side, or of the peer, look again. */
void wait_rouse_all(struct chan *chan);
void wait_wake_peer(struct chan *chan);

/* Stores the reply; the doorbell is the caller's. */
void reply_publish(struct chan *chan, uint16_t lane, uint32_t seq, uint32_t status,
    const struct wire_writer *writer);

/* --- lane.c, staging.c: made and ended by chan.c --- */

int lanes_init(struct lanes *lanes, uint32_t n_lanes);
void lanes_fini(struct lanes *lanes);
int staging_init(struct staging *staging, uint64_t size);
void staging_fini(struct staging *staging);
