/*
 * See fuzz-threads.h. The linker leads the program's calls of the functions below here (its option
 * --wrap), so what is tested need not know. Every fourth input is chosen by a sum over its bytes:
 * it is chosen again when it is tried again. Where its threads meet is chance all the same.
 *
 * A wake-up that is lost need not show, for something else soon wakes the thread. So who waits is
 * woken after a while by nobody (fuzz_threads_miss_wakeups()). If it does not wait on then, it has
 * found what it waited for, and the wake-up must have been sent while it slept. Wake-ups are counted,
 * in few places, so that now and then one passes for another.
 */
#include "worker/fuzz-threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "base/util.h"

#define YIELD_ONE_OF 8
#define SLEEP_ONE_OF 128
#define SLEEP_US     300
#define WAIT_NS	     (NSEC_PER_SEC / 500)

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __real_pthread_cond_signal(pthread_cond_t *condition);
int __real_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_signal(pthread_cond_t *condition);
int __wrap_pthread_cond_broadcast(pthread_cond_t *condition);

static bool holds_up; /* set before the first thread is made */
static uint64_t seed;

bool fuzz_threads_begin(const uint8_t *data, size_t size)
{
	seed = size;
	for (size_t i = 0; i < size; i++)
		seed = (seed ^ data[i]) * UINT64_C(0x100000001b3);
	holds_up = (seed >> 32) % 4 == 0;
	return holds_up;
}

/* --- wake-ups --- */

static bool misses_wakeups;
static _Atomic unsigned sent[256]; /* by condition */
static _Thread_local struct {
	_Atomic unsigned *sent; /* NULL: none */
	unsigned before;
} unasked; /* the wait that nobody ended and after which this thread looks once more */

static _Atomic unsigned *sent_to(const pthread_cond_t *condition)
{
	return &sent[((uintptr_t)condition * UINT64_C(0x9e3779b97f4a7c15)) >> 56];
}

/* The thread goes on. Relaxed: the lock, which it has again, orders what was sent before. */
static void look_back(void)
{
	_Atomic unsigned *number = unasked.sent;

	unasked.sent = NULL;
	if (number)
		CHECK(atomic_load_explicit(number, memory_order_relaxed) != unasked.before);
}

void fuzz_threads_miss_wakeups(void)
{
	misses_wakeups = true;
}

void fuzz_threads_rest(void)
{
	if (holds_up && (seed >> 34) % 4 == 0)
		usleep(2 * WAIT_NS / 1000);
}

/* --- the functions --- */

static void hold_up(void)
{
	static _Thread_local uint64_t random;

	if (!holds_up)
		return;
	random = random ?: seed ^ (uintptr_t)&random;
	random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	if ((random >> 33) % SLEEP_ONE_OF == 0)
		usleep(SLEEP_US);
	else if ((random >> 33) % YIELD_ONE_OF == 0)
		sched_yield();
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	look_back();
	hold_up();
	return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	look_back();
	int r = __real_pthread_mutex_unlock(mutex);
	hold_up();
	return r;
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
	uint64_t until = clock_now_ns() + WAIT_NS;
	struct timespec at = {(time_t)(until / NSEC_PER_SEC), (long)(until % NSEC_PER_SEC)};
	_Atomic unsigned *number = sent_to(condition);

	if (!holds_up || !misses_wakeups)
		return __real_pthread_cond_wait(condition, mutex);
	if (unasked.sent != number)
		look_back();
	unasked.sent = NULL;
	unsigned before = atomic_load_explicit(number, memory_order_relaxed);
	int r = pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &at);
	if (r != ETIMEDOUT)
		return r;
	unasked.sent = number;
	unasked.before = before;
	return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *condition)
{
	look_back();
	hold_up();
	atomic_fetch_add_explicit(sent_to(condition), 1, memory_order_relaxed);
	return __real_pthread_cond_signal(condition);
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition)
{
	look_back();
	hold_up();
	atomic_fetch_add_explicit(sent_to(condition), 1, memory_order_relaxed);
	return __real_pthread_cond_broadcast(condition);
}
