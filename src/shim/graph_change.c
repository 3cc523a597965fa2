/*
 * A direct-mapped cache: a change has one slot, where it replaces whatever was there; a change that
 * is not found is waited for, and nothing worse. No entry is ever looked for to be removed: that an
 * object has ended shows by its id, if the client minted that, and everything else that makes
 * entries invalid counts an epoch.
 */
#include "shim/graph_change.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/session.h"
#include "shim/thread.h"

#define PLACES 4096u /* a power of two */

static struct graph_change table[PLACES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned epoch = 1; /* 0 is that of empty places */

struct graph_change graph_change_of(
    CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v3 *kernel)
{
	struct graph_change change;

	memset(&change, 0, sizeof(change)); /* padding is compared, too */
	change.exec = exec;
	change.node = node;
	change.kernel.func = kernel->func;
	change.kernel.gridDimX = kernel->gridDimX;
	change.kernel.gridDimY = kernel->gridDimY;
	change.kernel.gridDimZ = kernel->gridDimZ;
	change.kernel.blockDimX = kernel->blockDimX;
	change.kernel.blockDimY = kernel->blockDimY;
	change.kernel.blockDimZ = kernel->blockDimZ;
	change.kernel.sharedMemBytes = kernel->sharedMemBytes;
	change.kernel.kern = kernel->func ? NULL : kernel->kern;
	change.kernel.ctx = kernel->ctx;
	change.context = shim_thread.context;
	/* Acquire: read before the change is asked for, so that what happens meanwhile counts. */
	change.epoch = atomic_load_explicit(&epoch, memory_order_acquire);
	return change;
}

/* Nodes of one graph have ids in a row. */
static struct graph_change *place_of(const struct graph_change *change)
{
	uint64_t at = (uint64_t)change->node + 61 * (uint64_t)change->exec;

	return &table[at & (PLACES - 1)];
}

bool graph_change_is_sure(const struct graph_change *change)
{
	uint64_t node = (uint64_t)change->node, exec = (uint64_t)change->exec;
	uint64_t function = (uint64_t)(change->kernel.func ?: (CUfunction)change->kernel.kern);

	if (!session.graph_posts)
		return false;
	pthread_mutex_lock(&lock);
	bool same = !memcmp(place_of(change), change, sizeof(*change));
	pthread_mutex_unlock(&lock);
	return same && shim_handle_alive(node, HANDLE_GRAPHNODE) &&
	       shim_handle_alive(exec, HANDLE_GRAPHEXEC) &&
	       shim_handle_alive(function, handle_kind_of(function));
}

void graph_change_note(const struct graph_change *change)
{
	pthread_mutex_lock(&lock);
	*place_of(change) = *change;
	pthread_mutex_unlock(&lock);
}

void graph_changes_forget(void)
{
	/* Release: what happens next is after it. */
	atomic_fetch_add_explicit(&epoch, 1, memory_order_acq_rel);
}

void graph_changes_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	graph_changes_forget();
}

/* A node that the worker met first has an id that the client does not see end. */
CUresult shim_cuGraphDestroyNode(CUgraphNode node)
{
	graph_changes_forget();
	return remote_cuGraphDestroyNode(node);
}
