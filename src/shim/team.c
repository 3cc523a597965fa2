/*
 * One processor copies pageable memory at about 8 GB/s, a GPU's bus takes 50. So a large run is cut
 * into parts, and whoever is free takes the next one: the caller, who begins at once and never
 * depends on help, and a few helper threads that are made at the first large copy. They watch for
 * more for as long as a channel's side watches memory, which covers the time between two chunks of
 * a copy, and then sleep. One copy at a time has helpers; others that come meanwhile run alone.
 *
 * The ticket holds the number of the run and the next part in one word. A claim is an exchange of
 * that word, so it fails if the run was over meanwhile. Before the run's fields change, the ticket
 * is closed; who has read a new field (acquire) sees the closed ticket or a later one (release).
 * The caller leaves when all parts are done, so nobody touches its memory afterwards.
 *
 * Helpers handle no signals. They are never ended: the library stays loaded as long as the process.
 */
#include "shim/team.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "shim/session.h"

#define PART		(64u << 10)
#define ALONE		(256u << 10) /* below this help costs more than it brings */
#define HELPERS_MAX	15
#define CLOSED		UINT32_MAX
#define LOOKS_PER_YIELD 1000
#define STACK		(64u << 10)

static struct {
	pthread_mutex_t turn; /* of the thread that is helped; also of what follows */
	bool tried;
	unsigned helpers;

	_Atomic uint64_t ticket; /* number of the run << 32 | its next part */
	_Atomic(uint8_t *) to;
	_Atomic(const uint8_t *) from;
	_Atomic size_t bytes;
	_Atomic uint32_t done; /* parts */

	pthread_mutex_t lock;
	pthread_cond_t more;
	_Atomic unsigned asleep; /* changed under lock */
} team = {.turn = PTHREAD_MUTEX_INITIALIZER,
    .ticket = CLOSED,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .more = PTHREAD_COND_INITIALIZER};

static uint32_t n_parts(size_t bytes)
{
	return (uint32_t)((bytes + PART - 1) / PART);
}

/* Copies one part. False: none is left. */
static bool copy_part(void)
{
	/* Acquire: the fields are the run's or newer ones. */
	uint64_t ticket = atomic_load_explicit(&team.ticket, memory_order_acquire);

	for (;;) {
		/* Acquire: with a newer field comes a newer ticket, and the exchange fails. */
		size_t bytes = atomic_load_explicit(&team.bytes, memory_order_acquire);
		uint8_t *to = atomic_load_explicit(&team.to, memory_order_acquire);
		const uint8_t *from = atomic_load_explicit(&team.from, memory_order_acquire);
		size_t at = (size_t)(uint32_t)ticket * PART;
		if ((uint32_t)ticket >= n_parts(bytes))
			return false;
		if (!atomic_compare_exchange_weak_explicit(&team.ticket, &ticket, ticket + 1,
			memory_order_acq_rel, memory_order_acquire))
			continue;
		memcpy(to + at, from + at, MIN(PART, bytes - at));
		/* Release: the caller sees the bytes. */
		atomic_fetch_add_explicit(&team.done, 1, memory_order_release);
		return true;
	}
}

static bool has_parts(void)
{
	uint64_t ticket = atomic_load(&team.ticket);

	return (uint32_t)ticket < n_parts(atomic_load(&team.bytes));
}

static void watch(void)
{
	uint64_t start = clock_now_ns(), patience = session.config.spin_us * 1000;

	while (!has_parts() && clock_now_ns() - start < patience)
		__builtin_ia32_pause();
}

static void *helper(void *unused)
{
	for (;;) {
		while (copy_part())
			;
		watch();
		if (has_parts())
			continue;
		pthread_mutex_lock(&team.lock);
		/* Sequentially consistent, as in open_run(): one of the two sees the other. */
		atomic_fetch_add(&team.asleep, 1);
		while (!has_parts())
			pthread_cond_wait(&team.more, &team.lock);
		atomic_fetch_sub(&team.asleep, 1);
		pthread_mutex_unlock(&team.lock);
	}
	return NULL;
}

unsigned team_processors;

static unsigned processors(void)
{
	cpu_set_t cpus;

	if (team_processors)
		return team_processors;
	/* More than fit a cpu_set_t make it fail. */
	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus)
							      : CPU_SETSIZE;
}

static unsigned helpers_wanted(void)
{
	uint64_t threads = MIN(session.config.copy_threads, processors() / 2);

	return threads > 1 ? (unsigned)MIN(threads - 1, HELPERS_MAX) : 0;
}

/* With the turn. */
static void make_helpers(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;

	team.tried = true;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = helpers_wanted(); i; i--)
		team.helpers += pthread_create(&thread, &attributes, helper, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
}

/* Until all parts are done: helpers have at most one each in hand. */
static void await_helpers(size_t bytes)
{
	/* Acquire: pairs with the release after each part. */
	for (unsigned looks = 1;
	    atomic_load_explicit(&team.done, memory_order_acquire) != n_parts(bytes); looks++) {
		__builtin_ia32_pause();
		if (looks % LOOKS_PER_YIELD == 0)
			sched_yield(); /* a helper may have lost its processor */
	}
}

static void open_run(void *to, const void *from, size_t bytes)
{
	uint64_t run = (atomic_load_explicit(&team.ticket, memory_order_relaxed) >> 32) + 1;

	atomic_store_explicit(&team.ticket, run << 32 | CLOSED, memory_order_relaxed);
	/* Release: see the top. */
	atomic_store_explicit(&team.bytes, bytes, memory_order_release);
	atomic_store_explicit(&team.to, to, memory_order_release);
	atomic_store_explicit(&team.from, from, memory_order_release);
	atomic_store_explicit(&team.done, 0, memory_order_release);
	atomic_store(&team.ticket, run << 32);
	if (!atomic_load(&team.asleep))
		return;
	pthread_mutex_lock(&team.lock);
	pthread_cond_broadcast(&team.more);
	pthread_mutex_unlock(&team.lock);
}

void team_copy(void *to, const void *from, size_t bytes)
{
	if (bytes < ALONE || pthread_mutex_trylock(&team.turn) != 0) {
		memcpy(to, from, bytes);
		return;
	}
	if (unlikely(!team.tried))
		make_helpers();
	if (team.helpers) {
		open_run(to, from, bytes);
		while (copy_part())
			;
		await_helpers(bytes);
	} else {
		memcpy(to, from, bytes);
	}
	pthread_mutex_unlock(&team.turn);
}

void team_after_fork(void)
{
	pthread_mutex_init(&team.turn, NULL);
	pthread_mutex_init(&team.lock, NULL);
	pthread_cond_init(&team.more, NULL);
	team.tried = false;
	team.helpers = 0;
	atomic_store(&team.asleep, 0);
}
