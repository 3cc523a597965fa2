/*
 * See fuzz-threads.h. The linker leads the program's calls of the functions below here (its option
 * --wrap), so what is tested need not know. Every fourth input is chosen by a sum over its bytes:
 * it is chosen again when it is tried again. Where its threads meet is chance all the same.
 */
#include "worker/fuzz-threads.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "base/util.h"

#define YIELD_ONE_OF 8
#define SLEEP_ONE_OF 128
#define SLEEP_US     300

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_cond_signal(pthread_cond_t *condition);
int __real_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
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
	hold_up();
	return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	int r = __real_pthread_mutex_unlock(mutex);

	hold_up();
	return r;
}

int __wrap_pthread_cond_signal(pthread_cond_t *condition)
{
	hold_up();
	return __real_pthread_cond_signal(condition);
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition)
{
	hold_up();
	return __real_pthread_cond_broadcast(condition);
}
