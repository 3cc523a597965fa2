/*
 * What the files of the channel share; nothing here is for other folders.
 *
 * chan.c   opening, ending, side messages, statistics
 * wait.c   spin, park, wake; the channel's end of life
 * ring.c   records: the client's producer, the worker's consumer
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

/* The client's half of the ring. Everything under lock, which is held from begin to commit. */
struct producer {
	pthread_mutex_t lock;
	uint64_t head;		  /* where the next record goes; the region's copy is write-only */
	uint64_t tail;		  /* the worker's cursor when last looked at */
	uint64_t fetched;	  /* the cache lines before it were asked for */
	struct wire_record *open; /* the record between begin and commit */
	uint8_t *open_end;
};

/* The worker's half. Used by the dispatcher's thread alone. */
struct consumer {
	uint64_t tail; /* the region's copy is write-only */
	uint64_t head; /* the client's cursor when last looked at */
};

struct lanes {
	pthread_mutex_t lock;
	pthread_cond_t given;
	uint32_t n_free;
	uint16_t *free;	 /* a stack: the lane given last is the warmest in the cache */
	uint32_t *seq;	 /* per lane: of its newest record; only its thread changes it */
	uint8_t *copies; /* per lane: WIRE_LANE_SIZE bytes for the reply; pages come when touched */
	size_t copies_size;
};

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
	bool crowded;	      /* few processors: a spinning thread may keep the peer from running */
	bool watched;	      /* the provider tells when the peer is gone */
	_Atomic int broken;   /* 0, or the error that ended this channel */
	_Atomic bool stopped; /* chan_stop() */
	_Atomic uint32_t spin_budget[WAIT_KINDS];
	alignas(CACHE_LINE) struct producer producer;
	alignas(CACHE_LINE) struct consumer consumer;
	alignas(CACHE_LINE) struct lanes lanes;
	alignas(CACHE_LINE) struct staging staging;
};

static inline struct region_lane *chan_lane(struct chan *chan, uint16_t lane)
{
	return (struct region_lane *)(chan->memory + chan->layout.lanes) + lane;
}

/* --- wait.c --- */

struct wait {
	enum wait_kind kind;
	uint32_t site;
	struct doorbell *doorbell;
	/* 1 when the waited-for is there, 0 when not yet, negative to give up. No side effects that
	 * hurt when repeated. */
	int (*ready)(struct chan *chan, void *context);
	void *context;
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

/* --- lane.c, staging.c: made and ended by chan.c --- */

int lanes_init(struct lanes *lanes, uint32_t n_lanes);
void lanes_fini(struct lanes *lanes);
int staging_init(struct staging *staging, uint64_t size);
void staging_fini(struct staging *staging);
