/*
 * What a channel needs from the outside world: memory shared with the peer, a way to sleep and to
 * wake the peer, and the knowledge whether the peer lives. Nothing else in this folder knows how
 * the two sides are connected; a new medium (a guest's device memory with a byte stream for
 * wake-ups, a network link) is one more file that fills in this table.
 *
 * An end is one side's half of such a connection. A provider embeds struct chan_end as the first
 * member of its own struct, fills memory and size, and hands it to chan_open().
 *
 * Wake-ups may come late, get lost, or come for nothing: the channel checks its condition after
 * every park(), and parks for CHAN_PARK_SLICE_NS at most unless watch() succeeded. The memory must
 * behave as between two processors of one machine.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "chan/chan.h"
#include "wire/hello.h"

#define CHAN_PARK_SLICE_NS 100000000ull

struct chan_end {
	const struct chan_provider *provider;
	void *memory; /* the region, aligned to a page */
	size_t size;
};

struct chan_provider {
	const char *name;
	/*
	 * Sleeps while *doorbell is DOORBELL_PARKED, until wake() of the peer or rouse() of this
	 * side for the same site, or until timeout_ns have passed; may return early for no reason.
	 * A wake-up that comes after the doorbell was set and before park() sleeps ends the sleep.
	 * Several threads park at once, each at its own site.
	 */
	void (*park)(
	    struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell, uint64_t timeout_ns);
	/* Ends the park() of the peer at site. The caller has stored DOORBELL_AWAKE. Any thread. */
	void (*wake)(struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell);
	/* The same for a thread of this side. Any thread, signal handlers too. */
	void (*rouse)(struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell);
	/* Whether the peer is there; a system call at most. Any thread. */
	bool (*alive)(struct chan_end *end);
	/*
	 * Asks for gone(context) to be called once the peer is gone, from a thread of the
	 * provider's, and promises that no wake-up is lost. -EOPNOTSUPP: the channel looks by
	 * itself from time to time. At most once, before any park().
	 */
	int (*watch)(struct chan_end *end, void (*gone)(void *context), void *context);
	/* Sends a side message with a descriptor (-1: none) in order; segments travel this way. */
	int (*side_send)(struct chan_end *end, const struct side_message *message, int fd);
	/*
	 * The next side message; *fd_out its descriptor or -1, the caller's. wait false: -EAGAIN
	 * when there is none. -ENODATA: the peer is gone and all it said was read; -EOPNOTSUPP:
	 * this medium carries none.
	 */
	int (*side_receive)(
	    struct chan_end *end, bool wait, struct side_message *message, int *fd_out);
	/* A descriptor to poll for side messages and hang-up, -1: none. */
	int (*side_socket)(const struct chan_end *end);
	/* From here on the peer's alive() is false. Called once, before close(). */
	void (*hang_up)(struct chan_end *end);
	/* Unmaps, closes and frees. */
	void (*close)(struct chan_end *end);
	/* In the child after fork(): unmaps and closes, tells nobody, takes no lock, frees nothing.
	 */
	void (*abandon)(struct chan_end *end);
};

/* Defines a provider; an operation that is added above and forgotten in a file is an error here. */
#define CHAN_PROVIDER(symbol, name, park, wake, rouse, alive, watch, side_send, side_receive,      \
    side_socket, hang_up, close, abandon)                                                          \
	const struct chan_provider symbol = {name, park, wake, rouse, alive, watch, side_send,     \
	    side_receive, side_socket, hang_up, close, abandon}

enum chan_role { CHAN_CLIENT, CHAN_WORKER };

/*
 * A channel over an end, which it owns from now on, also on failure. geometry NULL: believed from
 * the region (-EPROTO, -EBADMSG as region_read()).
 */
int chan_open(struct chan_end *end, enum chan_role role, const struct chan_geometry *geometry,
    uint64_t spin_ns, struct chan **out);

/* --- memfd: two processes of one kernel --- */

/* region, side: as chan_client_attach(). */
int memfd_end_new(int region, int side, struct chan_end **out);

/* --- loop: both ends in one process, for tests --- */

int loop_ends_new(
    const struct chan_geometry *geometry, struct chan_end **client, struct chan_end **worker);

/* --- fault: another end, with accidents; for tests --- */

struct fault_plan {
	uint64_t seed;
	uint32_t drop_wakes;  /* of 1000 wake-ups, lost */
	uint32_t delay_wakes; /* of 1000 wake-ups, late by delay_ns */
	uint64_t delay_ns;
	uint64_t die_at;	/* from this operation on the peer is gone; 0: never */
	pid_t kill;		/* it is really killed then; 0: it only counts as gone */
	uint32_t corrupt;	/* of 1000 operations, change a byte of the region */
	uint64_t corrupt_begin; /* within these offsets */
	uint64_t corrupt_end;
};

/* Takes inner over, also on failure. */
int fault_end_new(struct chan_end *inner, const struct fault_plan *plan, struct chan_end **out);
