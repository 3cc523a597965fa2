/*
 * A line for whoever waits for a compiler: when stderr is a terminal and the work takes longer than
 * a second, "softgpu: compiling NAME..." appears there, and how long it took once it is done.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *name;
	pthread_t watcher;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint64_t began_ns;
	bool watched, finished, shown;
};

/* name is used until progress_end(), in the same thread. */
void progress_begin(struct progress *progress, const char *name);
void progress_end(struct progress *progress);
