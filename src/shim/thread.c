/*
 * Threads of the program as the shim sees them: a small block of thread-local storage, and one
 * POSIX key whose destructor gives back what the thread took (its lane, a grown context stack) when
 * the thread ends. The key is set only once there is something to give back, so that a thread that
 * asks constant questions costs nothing.
 */
#include "shim/thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "gen/shim_remote.h"
#include "shim/session.h"

_Thread_local struct shim_thread shim_thread;

static pthread_key_t key;

static void thread_end(void *unused)
{
	struct shim_thread *thread = &shim_thread;

	(void)unused;
	if (thread->has_lane && session.chan) {
		/* Its per-thread stream and its waiter go too; when the worker is gone, so are
		 * they. */
		if (session_usable() == CUDA_SUCCESS)
			remote_rosenLaneEnd();
		chan_lane_give(session.chan, thread->lane);
	}
	free(thread->stack);
	memset(thread, 0, sizeof(*thread));
}

int shim_thread_init(void)
{
	return -pthread_key_create(&key, thread_end);
}

void shim_thread_watch(void)
{
	pthread_setspecific(key, &shim_thread);
}
