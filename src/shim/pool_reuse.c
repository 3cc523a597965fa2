/*
 * A few frees in a small array, oldest first, under a lock. They are sent by whatever thread makes
 * the next call that is not plain work, in the context they were made in. The lock is held and the
 * count stays until they are: a thread that freed something must not overtake another that is
 * sending it.
 *
 * Not kept are frees in the thread's own default stream, which would be another thread's when that
 * one sends them, and those that a capture may make nodes of a graph.
 */
#include "shim/pool_reuse.h"

#include <pthread.h>
#include <string.h>

#include "gen/api_codec.h"
#include "gen/api_ids.h"
#include "shim/call.h"
#include "shim/capture.h"
#include "shim/session.h"
#include "shim/thread.h"

#define KEPT_MAX 8

struct kept {
	CUdeviceptr address;
	size_t bytes;
	CUmemoryPool pool;
	CUstream stream;
	CUcontext context;
};

_Atomic unsigned pool_reuse_kept;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept list[KEPT_MAX]; /* under lock */

static unsigned count(void)
{
	return atomic_load_explicit(&pool_reuse_kept, memory_order_relaxed);
}

static void set_count(unsigned n)
{
	atomic_store_explicit(&pool_reuse_kept, n, memory_order_relaxed);
}

static CUstream named(CUstream stream)
{
	return stream == CU_STREAM_LEGACY ? NULL : stream;
}

static bool may_keep(CUstream stream)
{
	return session.pool_reuse && shim_thread.context && shim_call_usable() &&
	       !capture_may_be_open() &&
	       (!named(stream) || (stream != CU_STREAM_PER_THREAD &&
				      shim_handle_alive((uint64_t)stream, HANDLE_STREAM)));
}

/* Posted like any free; an error an earlier call left stays for the call that comes next. */
static void send(const struct kept *kept)
{
	struct shim_thread *thread = &shim_thread;
	CUcontext current = thread->context;
	struct args_cuMemFreeAsync a = {kept->address, kept->stream};
	struct shim_call call;

	thread->context = kept->context;
	if (shim_call_begin(&call, API_cuMemFreeAsync, wire_size_cuMemFreeAsync(&a), SHIM_POST,
		0) == CUDA_SUCCESS) {
		wire_encode_cuMemFreeAsync(&call.writer, &a);
		shim_call_end(&call, shim_call_send(&call));
	}
	thread->context = current;
}

/* Plain work put into streams, what tells the worker about threads, and the frees themselves. */
static bool cannot_tell(uint32_t id)
{
	switch (id) {
	case API_cuLaunchKernel:
	case API_cuLaunchKernelEx:
	case API_rosenCopyIn:
	case API_rosenCopyInStaged:
	case API_cuMemcpyAsync:
	case API_cuMemcpyHtoDAsync_v2:
	case API_cuMemcpyDtoHAsync_v2:
	case API_cuMemcpyDtoDAsync_v2:
	case API_cuMemsetD8Async:
	case API_cuMemsetD16Async:
	case API_cuMemsetD32Async:
	case API_cuEventRecord:
	case API_cuStreamWaitEvent:
	case API_cuMemFreeAsync:
	case API_rosenLaneState:
		return true;
	default:
		return false;
	}
}

void pool_reuse_send_all(void)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < count(); i++)
		send(&list[i]);
	set_count(0);
	pthread_mutex_unlock(&lock);
}

void pool_reuse_send_before(uint32_t id)
{
	if (!cannot_tell(id))
		pool_reuse_send_all();
}

bool pool_reuse_keep(CUdeviceptr address, size_t bytes, CUmemoryPool pool, CUstream stream)
{
	if (!may_keep(stream))
		return false;
	pthread_mutex_lock(&lock);
	unsigned n = count();
	if (n == KEPT_MAX) {
		send(&list[0]);
		memmove(list, list + 1, --n * sizeof(*list));
	}
	list[n] = (struct kept){address, bytes, pool, named(stream), shim_thread.context};
	set_count(n + 1);
	pthread_mutex_unlock(&lock);
	return true;
}

CUdeviceptr pool_reuse_take(size_t bytes, CUmemoryPool pool, CUstream stream)
{
	CUdeviceptr address = 0;

	if (!count() || !may_keep(stream))
		return 0;
	pthread_mutex_lock(&lock);
	/* The one freed last is the warmest. */
	for (unsigned n = count(), i = n; i-- > 0 && !address;) {
		const struct kept *kept = &list[i];
		if (kept->bytes != bytes || kept->pool != pool || kept->stream != named(stream) ||
		    kept->context != shim_thread.context)
			continue;
		address = kept->address;
		memmove(list + i, list + i + 1, (n - i - 1) * sizeof(*list));
		set_count(n - 1);
	}
	pthread_mutex_unlock(&lock);
	return address;
}

void pool_reuse_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	set_count(0);
}
