/* The fake backend's streams and events: all of them are done, unless the test holds the GPU. */
#include <pthread.h>

#include "worker/test-fake-parts.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static bool held;
static unsigned waiting;
static struct {
	_Atomic uint32_t *address; /* NULL: none is waiting to be written */
	uint32_t value;
} word;

/* Under the lock. */
static void write_word(void)
{
	if (word.address)
		atomic_store_explicit(word.address, word.value, memory_order_release);
	word.address = NULL;
}

void fake_hold(void)
{
	pthread_mutex_lock(&lock);
	held = true;
	pthread_mutex_unlock(&lock);
}

void fake_release(void)
{
	pthread_mutex_lock(&lock);
	held = false;
	write_word();
	pthread_cond_broadcast(&released);
	pthread_mutex_unlock(&lock);
}

unsigned fake_waiting(void)
{
	pthread_mutex_lock(&lock);
	unsigned n = waiting;
	pthread_mutex_unlock(&lock);
	return n;
}

void fake_wait(void)
{
	pthread_mutex_lock(&lock);
	waiting++;
	while (held)
		pthread_cond_wait(&released, &lock);
	waiting--;
	pthread_mutex_unlock(&lock);
}

static CUresult wait_for_gpu(void)
{
	FALLIBLE();
	if (!fake_has_context())
		return CUDA_ERROR_INVALID_CONTEXT;
	atomic_fetch_add(&fake.synchronised, 1);
	fake_wait();
	return CUDA_SUCCESS;
}

static CUresult stream_create(CUstream *stream, unsigned flags)
{
	FALLIBLE();
	*stream = (CUstream)(0x5000 + 16ull * atomic_fetch_add(&fake.streams, 1));
	return fake_has_context() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult stream_destroy(CUstream stream)
{
	return CUDA_SUCCESS;
}

static CUresult stream_synchronize(CUstream stream)
{
	return wait_for_gpu();
}

static CUresult event_synchronize(CUevent event)
{
	return wait_for_gpu();
}

static CUresult stream_query(CUstream stream)
{
	atomic_fetch_add(&fake.queries, 1);
	FALLIBLE();
	pthread_mutex_lock(&lock);
	CUresult r = held ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
	pthread_mutex_unlock(&lock);
	return fake_has_context() ? r : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult stream_write_value(
    CUstream stream, CUdeviceptr address, uint32_t value, unsigned flags)
{
	atomic_fetch_add(&fake.words, 1);
	FALLIBLE();
	if (fake.no_words)
		return CUDA_ERROR_NOT_SUPPORTED;
	fake_use_memory();
	bool there = address % sizeof(value) == 0 &&
		     (fake_is_mapped(address, sizeof(value)) || fake_is_registered(address));
	pthread_mutex_lock(&lock);
	if (there)
		word.address = (_Atomic uint32_t *)address;
	word.value = value;
	if (!held)
		write_word();
	pthread_mutex_unlock(&lock);
	fake_used_memory();
	return there ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult capture_begin(CUstream stream, CUstreamCaptureMode capture_mode)
{
	FALLIBLE();
	atomic_store(&fake.capturing, true);
	return CUDA_SUCCESS;
}

static CUresult capture_end(CUstream stream, CUgraph *graph)
{
	atomic_store(&fake.capturing, false);
	*graph = (CUgraph)0x6000;
	return CUDA_SUCCESS;
}

static CUresult is_capturing(CUstream stream, CUstreamCaptureStatus *status)
{
	*status = atomic_load(&fake.capturing) ? CU_STREAM_CAPTURE_STATUS_ACTIVE
					       : CU_STREAM_CAPTURE_STATUS_NONE;
	return CUDA_SUCCESS;
}

static CUresult event_create(CUevent *event, unsigned flags)
{
	FALLIBLE();
	*event = FAKE_EVENT(atomic_fetch_add(&fake.events, 1));
	return CUDA_SUCCESS;
}

static CUresult event_destroy(CUevent event)
{
	return CUDA_SUCCESS;
}

static CUresult event_record(CUevent event, CUstream stream)
{
	FALLIBLE();
	return CUDA_SUCCESS;
}

static CUresult event_query(CUevent event)
{
	pthread_mutex_lock(&lock);
	CUresult r = held ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
	pthread_mutex_unlock(&lock);
	atomic_fetch_add(&fake.queries, 1);
	return r;
}

static CUresult event_elapsed(float *ms, CUevent begin, CUevent end)
{
	*ms = 2;
	return CUDA_SUCCESS;
}

void fake_set_stream_functions(struct backend *b)
{
	b->cuCtxSynchronize = wait_for_gpu;
	b->cuStreamCreate = stream_create;
	b->cuStreamDestroy_v2 = stream_destroy;
	b->cuStreamSynchronize = stream_synchronize;
	b->cuStreamQuery = stream_query;
	b->cuStreamWriteValue32_v2 = stream_write_value;
	b->cuStreamBeginCapture_v2 = capture_begin;
	b->cuStreamEndCapture = capture_end;
	b->cuStreamIsCapturing = is_capturing;
	b->cuEventCreate = event_create;
	b->cuEventDestroy_v2 = event_destroy;
	b->cuEventRecord = event_record;
	b->cuEventQuery = event_query;
	b->cuEventSynchronize = event_synchronize;
	b->cuEventElapsedTime = event_elapsed;
}
