/*
 * The watchdog: ends grids that run longer than SOFTGPU_WATCHDOG seconds, as a GPU with a display
 * on it does. Without that setting there is none, and a grid looks at its launch's own stop flag.
 *
 * A watched grid looks at a flag of its own instead, which a thread raises: at the deadline, or
 * when the launch's flag is up. The thread starts with the first watched grid and sleeps while
 * there is none.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "softgpu/exec/machine.h"

#define LOOK_NS (20 * NSEC_PER_MSEC)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t busy = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sg_grid *watched;
static uint64_t limit_ns;
static bool is_awake;

static void say_ended(const struct sg_kernel *kernel)
{
	log_warn("kernel %s is ended after %.1f s (SOFTGPU_WATCHDOG)", kernel->info.name,
	    (double)limit_ns / (double)NSEC_PER_SEC);
}

static void look_at(struct sg_grid *grid, uint64_t now)
{
	struct sg_watch *watch = &grid->watch;

	/* Relaxed, as compiled code's own looks: the flag is all that is passed on. */
	if (atomic_load_explicit(&watch->stop, memory_order_relaxed))
		return;
	if (__atomic_load_n(watch->outer, __ATOMIC_RELAXED)) {
		atomic_store_explicit(&watch->stop, 1, memory_order_relaxed);
	} else if (now > watch->deadline_ns) {
		say_ended(grid->kernel);
		atomic_store_explicit(&watch->stop, 1, memory_order_relaxed);
	}
}

static void *watchdog(void *unused)
{
	const struct timespec pause = {.tv_nsec = LOOK_NS};

	pthread_mutex_lock(&lock);
	for (;;) {
		while (!watched)
			pthread_cond_wait(&busy, &lock);
		for (struct sg_grid *grid = watched; grid; grid = grid->watch.next)
			look_at(grid, clock_now_ns());
		pthread_mutex_unlock(&lock);
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&lock);
	}
	return NULL;
}

static void start(void)
{
	const char *setting = getenv("SOFTGPU_WATCHDOG") ?: "";
	char *end;
	double seconds = strtod(setting, &end);
	sigset_t all, old;
	pthread_t thread;

	if (*end || !(seconds >= 0 && seconds < 1e9)) {
		log_warn("SOFTGPU_WATCHDOG=%s is not a number of seconds: kernels run without a "
			 "limit",
		    setting);
		return;
	}
	if (seconds == 0)
		return;
	limit_ns = (uint64_t)(seconds * (double)NSEC_PER_SEC);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	is_awake = pthread_create(&thread, NULL, watchdog, NULL) == 0;
	if (is_awake)
		pthread_detach(thread);
	else
		log_warn("no thread for SOFTGPU_WATCHDOG: kernels run without a limit");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void watchdog_begin(struct sg_grid *grid)
{
	pthread_once(&once, start);
	if (!is_awake)
		return;
	grid->watch.outer = grid->stop;
	grid->watch.deadline_ns = clock_now_ns() + limit_ns;
	grid->stop = (const uint32_t *)&grid->watch.stop;
	pthread_mutex_lock(&lock);
	grid->watch.next = watched;
	watched = grid;
	pthread_cond_signal(&busy);
	pthread_mutex_unlock(&lock);
}

void watchdog_end(struct sg_grid *grid)
{
	struct sg_grid **at = &watched;

	if (!is_awake)
		return;
	pthread_mutex_lock(&lock);
	while (*at != grid)
		at = &(*at)->watch.next;
	*at = grid->watch.next;
	pthread_mutex_unlock(&lock);
}

bool watchdog_is_over(const struct sg_kernel *kernel, uint64_t ran_ns)
{
	if (!is_awake || ran_ns <= limit_ns)
		return false;
	say_ended(kernel);
	return true;
}
