/*
 * A compiler cannot be asked how far it is, so a thread looks at the clock in its place. There is
 * one only where its line could be seen.
 */
#include "softgpu/jit/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define PATIENCE_SEC 1

static void *watch(void *argument)
{
	struct progress *progress = argument;
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_SEC;
	pthread_mutex_lock(&progress->lock);
	while (!progress->finished && r == 0)
		r = pthread_cond_timedwait(&progress->wake, &progress->lock, &until);
	if (!progress->finished) {
		progress->shown = true;
		dprintf(STDERR_FILENO, "softgpu: compiling %s...", progress->name);
	}
	pthread_mutex_unlock(&progress->lock);
	return NULL;
}

void progress_begin(struct progress *progress, const char *name)
{
	pthread_condattr_t attributes;

	*progress = (struct progress){.name = name, .began_ns = clock_now_ns()};
	if (!isatty(STDERR_FILENO))
		return;
	pthread_mutex_init(&progress->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&progress->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	progress->watched = pthread_create(&progress->watcher, NULL, watch, progress) == 0;
}

void progress_end(struct progress *progress)
{
	if (!progress->watched)
		return;
	pthread_mutex_lock(&progress->lock);
	progress->finished = true;
	pthread_cond_signal(&progress->wake);
	pthread_mutex_unlock(&progress->lock);
	pthread_join(progress->watcher, NULL);
	if (progress->shown)
		dprintf(STDERR_FILENO, " %.1f s\n",
		    (double)(clock_now_ns() - progress->began_ns) / (double)NSEC_PER_SEC);
	pthread_cond_destroy(&progress->wake);
	pthread_mutex_destroy(&progress->lock);
}
