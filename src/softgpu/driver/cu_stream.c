/* Streams' entries of the driver API, and which stream a handle means. */
#include "softgpu/driver/driver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/driver/graph.h"
#include "softgpu/driver/stream.h"

#define PRIORITY_GREATEST (-5)

/* ---- which stream ---- */

/* One thread's default streams, one per context it used. */
struct thread_stream {
	struct thread_stream *next;
	uint64_t context_id;
	CUcontext context;
	struct sg_stream *stream;
};

static pthread_key_t thread_streams_key;
static pthread_once_t thread_streams_once = PTHREAD_ONCE_INIT;

/* At a thread's end. Streams of contexts that are gone went with them; a forked child has none. */
static void thread_streams_end(void *list)
{
	struct thread_stream *next;

	for (struct thread_stream *entry = list; entry; entry = next) {
		struct sg_context *context = sg_handle_get(entry->context, SG_CONTEXT);
		next = entry->next;
		if (sg_is_initialized() && context &&
		    atomic_load_explicit(&context->active, memory_order_acquire) &&
		    context->id == entry->context_id)
			sg_stream_destroy(entry->stream);
		free(entry);
	}
}

static void thread_streams_init(void)
{
	pthread_key_create(&thread_streams_key, thread_streams_end);
}

static struct sg_stream *thread_stream_get(struct sg_context *context)
{
	pthread_once(&thread_streams_once, thread_streams_init);
	struct thread_stream *list = pthread_getspecific(thread_streams_key);
	for (struct thread_stream *entry = list; entry; entry = entry->next)
		if (entry->context_id == context->id)
			return entry->stream;
	struct thread_stream *entry = calloc(1, sizeof(*entry));
	struct sg_stream *stream = entry ? sg_stream_new(context, CU_STREAM_DEFAULT, 0) : NULL;
	if (!stream) {
		free(entry);
		return NULL;
	}
	*entry = (struct thread_stream){list, context->id, context->handle, stream};
	pthread_setspecific(thread_streams_key, entry);
	return stream;
}

CUresult sg_stream_get(CUstream handle, struct sg_context *context, struct sg_stream **stream)
{
	if (handle == CU_STREAM_PER_THREAD || (!handle && sg_per_thread_default)) {
		*stream = thread_stream_get(context);
		return *stream ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (!handle || handle == CU_STREAM_LEGACY)
		*stream = context->legacy;
	else
		*stream = sg_handle_get(handle, SG_STREAM);
	return *stream ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sg_stream_enter(CUstream handle, struct sg_stream **stream)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	return r == CUDA_SUCCESS ? sg_stream_get(handle, context, stream) : r;
}

/* Entry of questions about a stream, whose answer must have a place. */
static CUresult question_enter(CUstream handle, const void *answer, struct sg_stream **stream)
{
	CUresult r = sg_stream_enter(handle, stream);

	return r == CUDA_SUCCESS && !answer ? CUDA_ERROR_INVALID_VALUE : r;
}

/* ---- life ---- */

CUresult sg_stream_open(struct sg_context *context, unsigned flags, int priority, CUstream *handle)
{
	/* Out of range means the nearest one. */
	priority = MAX(MIN(priority, 0), PRIORITY_GREATEST);
	struct sg_stream *stream = sg_stream_new(context, flags, priority);
	if (!stream)
		return CUDA_ERROR_OUT_OF_MEMORY;
	stream->handle = sg_handle_new(SG_STREAM, stream);
	if (!stream->handle) {
		sg_stream_destroy(stream);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*handle = stream->handle;
	return CUDA_SUCCESS;
}

CUresult cuStreamCreateWithPriority(CUstream *handle, unsigned flags, int priority)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS && (!handle || (flags & ~(unsigned)CU_STREAM_NON_BLOCKING)))
		r = CUDA_ERROR_INVALID_VALUE;
	return r ?: sg_stream_open(context, flags, priority, handle);
}

CUresult cuStreamCreate(CUstream *handle, unsigned flags)
{
	return cuStreamCreateWithPriority(handle, flags, 0);
}

CUresult cuStreamDestroy_v2(CUstream handle)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	struct sg_stream *stream = sg_handle_get(handle, SG_STREAM);
	if (!stream)
		return CUDA_ERROR_INVALID_HANDLE;
	sg_stream_destroy(stream);
	return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream handle)
{
	return cuStreamDestroy_v2(handle);
}

/* ---- waiting ---- */

CUresult cuStreamSynchronize(CUstream handle)
{
	struct sg_stream *stream;
	CUresult r = sg_stream_enter(handle, &stream);

	if (r == CUDA_SUCCESS && sg_capture_breaks(stream))
		r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	return r == CUDA_SUCCESS ? sg_stream_wait(stream) : r;
}

CUresult cuStreamQuery(CUstream handle)
{
	struct sg_stream *stream;
	CUresult r = sg_stream_enter(handle, &stream);

	if (r == CUDA_SUCCESS && sg_capture_breaks(stream))
		r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	if (r != CUDA_SUCCESS)
		return r;
	bool idle = sg_stream_is_idle(stream);
	r = atomic_load_explicit(&stream->context->error, memory_order_relaxed);
	return r == CUDA_SUCCESS && !idle ? CUDA_ERROR_NOT_READY : r;
}

/* ---- host functions in stream order ---- */

struct host_work {
	struct sg_work work;
	CUhostFn function;
	CUstreamCallback callback; /* one of the two */
	CUstream handle;
	void *user;
};

static CUresult host_work_run(struct sg_work *work, struct sg_context *context)
{
	struct host_work *host = (struct host_work *)work;
	CUresult error = atomic_load_explicit(&context->error, memory_order_relaxed);

	sg_in_callback = true;
	if (host->callback)
		host->callback(host->handle, error, host->user);
	else if (error == CUDA_SUCCESS) /* a plain host function is not called after an error */
		host->function(host->user);
	sg_in_callback = false;
	return CUDA_SUCCESS;
}

static void host_work_describe(struct sg_work *work, CUgraphNodeParams *params)
{
	const struct host_work *host = (const struct host_work *)work;

	params->host = (CUDA_HOST_NODE_PARAMS_v2){host->function, host->user};
}

static CUresult host_work_submit(
    CUstream handle, CUhostFn function, CUstreamCallback callback, void *user)
{
	struct sg_stream *stream;
	CUresult r = sg_stream_enter(handle, &stream);

	if (r == CUDA_SUCCESS && !function && !callback)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct host_work *host = sg_work_new(sizeof(*host), host_work_run);
	if (!host)
		return CUDA_ERROR_OUT_OF_MEMORY;
	host->work.always = true;
	host->work.describe = host_work_describe;
	host->work.node = callback ? SG_NODE_NEVER : SG_NODE(CU_GRAPH_NODE_TYPE_HOST);
	host->function = function;
	host->callback = callback;
	host->handle = handle;
	host->user = user;
	return sg_stream_submit(stream, &host->work, NULL);
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void *user)
{
	return host_work_submit(handle, function, NULL, user);
}

CUresult cuStreamAddCallback(CUstream handle, CUstreamCallback callback, void *user, unsigned flags)
{
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	return host_work_submit(handle, NULL, callback, user);
}

/* ---- queries and attributes ---- */

CUresult cuStreamGetFlags(CUstream handle, unsigned *flags)
{
	struct sg_stream *stream;
	CUresult r = question_enter(handle, flags, &stream);

	if (r == CUDA_SUCCESS)
		*flags = stream->flags;
	return r;
}

CUresult cuStreamGetPriority(CUstream handle, int *priority)
{
	struct sg_stream *stream;
	CUresult r = question_enter(handle, priority, &stream);

	if (r == CUDA_SUCCESS)
		*priority = stream->priority;
	return r;
}

CUresult cuStreamGetId(CUstream handle, unsigned long long *id)
{
	struct sg_stream *stream;
	CUresult r = question_enter(handle, id, &stream);

	if (r == CUDA_SUCCESS)
		*id = stream->id;
	return r;
}

CUresult cuStreamGetCtx(CUstream handle, CUcontext *context)
{
	struct sg_stream *stream;
	CUresult r = question_enter(handle, context, &stream);

	if (r == CUDA_SUCCESS)
		*context = stream->context->handle;
	return r;
}

CUresult cuStreamGetCtx_v2(CUstream handle, CUcontext *context, CUgreenCtx *green)
{
	struct sg_stream *stream;
	CUresult r = sg_stream_enter(handle, &stream);

	if (r == CUDA_SUCCESS && !context && !green)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	const struct sg_context *of = stream->context;
	if (green)
		*green = of->green;
	if (context)
		*context = of->green ? sg_context_primary()->handle : of->handle;
	return CUDA_SUCCESS;
}

CUresult cuStreamGetDevice(CUstream handle, CUdevice *device)
{
	struct sg_stream *stream;
	CUresult r = question_enter(handle, device, &stream);

	if (r == CUDA_SUCCESS)
		*device = 0;
	return r;
}

static bool stream_attribute_exists(CUstreamAttrID attribute)
{
	switch (attribute) {
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
	case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
	case CU_LAUNCH_ATTRIBUTE_PRIORITY:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
		return true;
	default:
		return false;
	}
}

CUresult cuStreamGetAttribute(CUstream handle, CUstreamAttrID attribute, CUstreamAttrValue *value)
{
	struct sg_stream *stream;
	CUresult r = sg_stream_enter(handle, &stream);

	if (r == CUDA_SUCCESS && (!value || !stream_attribute_exists(attribute)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*value = stream->attributes[attribute];
	return r;
}

/* They are hints for a cache and a scheduler that do not exist here; programs read them back. */
CUresult cuStreamSetAttribute(
    CUstream handle, CUstreamAttrID attribute, const CUstreamAttrValue *value)
{
	struct sg_stream *stream;
	CUresult r = sg_stream_enter(handle, &stream);

	if (r == CUDA_SUCCESS && (!value || !stream_attribute_exists(attribute)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	stream->attributes[attribute] = *value;
	if (attribute == CU_LAUNCH_ATTRIBUTE_PRIORITY)
		stream->priority = value->priority;
	return CUDA_SUCCESS;
}

CUresult cuStreamCopyAttributes(CUstream destination_handle, CUstream source_handle)
{
	struct sg_stream *destination, *source;
	CUresult r = sg_stream_enter(destination_handle, &destination);

	if (r == CUDA_SUCCESS)
		r = sg_stream_enter(source_handle, &source);
	if (r == CUDA_SUCCESS)
		memcpy(destination->attributes, source->attributes, sizeof(source->attributes));
	return r;
}
