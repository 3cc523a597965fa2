/*
 * A provider around another one that makes accidents happen, decided by a seed: wake-ups that are
 * lost or late, a peer that dies at a certain operation, bytes of the region that change. Tests use
 * it to see that the channel survives what a bad medium or a bad peer does.
 *
 * Every operation counts, in the order in which the threads make them; with one thread a seed
 * therefore always gives the same accidents.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "chan/provider.h"

struct fault_end {
	struct chan_end end;
	struct chan_end *inner;
	struct fault_plan plan;
	_Atomic uint64_t operations;
	_Atomic uint64_t random;
	_Atomic bool killed;
};

static struct fault_end *fault_end(struct chan_end *end)
{
	return container_of(end, struct fault_end, end);
}

/* A mixed counter (splitmix64): one addition is all the state, so any thread may draw. */
static uint64_t draw(struct fault_end *f)
{
	uint64_t z =
	    atomic_fetch_add_explicit(&f->random, 0x9e3779b97f4a7c15ull, memory_order_relaxed) +
	    f->plan.seed;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static bool chance(struct fault_end *f, uint32_t of_1000)
{
	return of_1000 && draw(f) % 1000 < of_1000;
}

static void corrupt(struct fault_end *f)
{
	uint64_t offset =
	    f->plan.corrupt_begin + draw(f) % (f->plan.corrupt_end - f->plan.corrupt_begin);

	atomic_fetch_xor_explicit((_Atomic uint8_t *)f->end.memory + offset,
	    (uint8_t)(1 + draw(f) % 255), memory_order_relaxed);
}

static bool dead(const struct fault_end *f)
{
	return f->plan.die_at &&
	       atomic_load_explicit(&f->operations, memory_order_relaxed) >= f->plan.die_at;
}

/* Counts an operation and does what is due with it. */
static void step(struct fault_end *f)
{
	atomic_fetch_add_explicit(&f->operations, 1, memory_order_relaxed);
	if (chance(f, f->plan.corrupt))
		corrupt(f);
	if (f->plan.kill && dead(f) &&
	    !atomic_exchange_explicit(&f->killed, true, memory_order_relaxed))
		kill(f->plan.kill, SIGKILL);
}

static void fault_park(
    struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell, uint64_t timeout_ns)
{
	struct fault_end *f = fault_end(end);

	step(f);
	f->inner->provider->park(f->inner, site, doorbell, timeout_ns);
}

static void fault_wake(struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell)
{
	struct fault_end *f = fault_end(end);
	struct timespec delay = {0, (long)(f->plan.delay_ns % NSEC_PER_SEC)};

	step(f);
	if (chance(f, f->plan.drop_wakes))
		return;
	if (chance(f, f->plan.delay_wakes))
		nanosleep(&delay, NULL);
	f->inner->provider->wake(f->inner, site, doorbell);
}

static void fault_rouse(struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell)
{
	struct fault_end *f = fault_end(end);

	f->inner->provider->rouse(f->inner, site, doorbell);
}

static bool fault_alive(struct chan_end *end)
{
	struct fault_end *f = fault_end(end);

	step(f);
	/* A peer that was really killed shows by itself, when the kernel says so. */
	return (f->plan.kill || !dead(f)) && f->inner->provider->alive(f->inner);
}

/* A medium that loses wake-ups cannot promise anything. */
static int fault_watch(struct chan_end *end, void (*gone)(void *context), void *context)
{
	return -EOPNOTSUPP;
}

static int fault_side_send(struct chan_end *end, const struct side_message *message, int fd)
{
	struct fault_end *f = fault_end(end);

	step(f);
	return f->inner->provider->side_send(f->inner, message, fd);
}

static int fault_side_receive(
    struct chan_end *end, bool wait, struct side_message *message, int *fd_out)
{
	struct fault_end *f = fault_end(end);

	step(f);
	return f->inner->provider->side_receive(f->inner, wait, message, fd_out);
}

static int fault_side_socket(const struct chan_end *end)
{
	struct chan_end *inner = container_of(end, struct fault_end, end)->inner;

	return inner->provider->side_socket(inner);
}

static void fault_hang_up(struct chan_end *end)
{
	struct fault_end *f = fault_end(end);

	f->inner->provider->hang_up(f->inner);
}

static void fault_close(struct chan_end *end)
{
	struct fault_end *f = fault_end(end);

	f->inner->provider->close(f->inner);
	free(f);
}

static void fault_abandon(struct chan_end *end)
{
	struct fault_end *f = fault_end(end);

	f->inner->provider->abandon(f->inner);
}

static CHAN_PROVIDER(fault_provider, "fault", fault_park, fault_wake, fault_rouse, fault_alive,
    fault_watch, fault_side_send, fault_side_receive, fault_side_socket, fault_hang_up, fault_close,
    fault_abandon);

int fault_end_new(struct chan_end *inner, const struct fault_plan *plan, struct chan_end **out)
{
	struct fault_end *f = calloc(1, sizeof(*f));

	if (!f || (plan->corrupt && (plan->corrupt_end > inner->size ||
					plan->corrupt_begin >= plan->corrupt_end))) {
		int r = error_origin(f ? -EINVAL : -ENOMEM);
		free(f);
		inner->provider->hang_up(inner);
		inner->provider->close(inner);
		return r;
	}
	f->end = (struct chan_end){&fault_provider, inner->memory, inner->size};
	f->inner = inner;
	f->plan = *plan;
	*out = &f->end;
	return 0;
}
