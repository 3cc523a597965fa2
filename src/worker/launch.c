/*
 * Launches. The shim sends the parameter buffer laid out as the backend said (rosenFunctionInfo),
 * or as the program passed it in `extra`; it goes to the backend as `extra`, straight out of the
 * private record. The backend knows the function's own parameter size, refuses more and takes what is
 * missing as 0. While a stream is captured it gets pointers to the single parameters (launch.h says
 * why), and the same is done here.
 *
 * Under CUDA_LAUNCH_BLOCKING a launch is a call that awaits its stream (call_await_stream()). The
 * driver's own way would hold up the dispatcher, and with it the calls of other threads that a kernel
 * or a host function may be waiting for.
 *
 * Launch attributes cross as they are in memory, but for handles: an event's id becomes the
 * backend's event, and the one that the backend is to give begins empty.
 */
#include "worker/launch.h"

#include <string.h>

#include "gen/worker_custom.h"
#include "worker/gpu_time.h"
#include "worker/issuer.h"
#include "worker/layout.h"
#include "worker/prints.h"
#include "worker/worker.h"

#define ATTRIBUTES_MAX 256u /* CUDA has fewer than 32 kinds */

/* As `extra`; *out points to itself and to parameters. */
static void launch_as_buffer(const void *parameters, size_t bytes, struct launch_parameters *out)
{
	out->bytes = bytes;
	out->words[0] = CU_LAUNCH_PARAM_BUFFER_POINTER;
	out->words[1] = parameters;
	out->words[2] = CU_LAUNCH_PARAM_BUFFER_SIZE;
	out->words[3] = &out->bytes;
	out->words[4] = CU_LAUNCH_PARAM_END;
	out->values = NULL;
	out->extra = (void **)out->words;
}

CUresult launch_as_values(struct call *call, CUfunction function, const void *parameters,
    size_t bytes, struct launch_parameters *out)
{
	const struct layout_place *places;
	int n;
	CUresult r = layout_find(call, function, &n, &places);

	if (r != CUDA_SUCCESS)
		return r;
	if (n < 0) {
		launch_as_buffer(parameters, bytes, out);
		return CUDA_SUCCESS;
	}
	out->extra = NULL;
	out->values = n ? call_take(call, (size_t)n * sizeof(*out->values)) : NULL;
	if (n && !out->values)
		return call->error;
	size_t all = 0;
	for (int i = 0; i < n; i++)
		all = MAX(all, (size_t)places[i].offset + places[i].bytes);
	if (bytes > all || (n && !bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (bytes < all) {
		char *whole = call_take(call, all);
		if (!whole)
			return call->error;
		memcpy(whole, parameters, bytes);
		memset(whole + bytes, 0, all - bytes);
		parameters = whole;
	}
	for (int i = 0; i < n; i++)
		out->values[i] = (char *)parameters + places[i].offset;
	return CUDA_SUCCESS;
}

static CUresult prepare(struct call *call, CUfunction function, const void *parameters,
    size_t bytes, struct launch_parameters *out)
{
	if (unlikely(bytes > WIRE_PARAMETER_BYTES_MAX))
		return CUDA_ERROR_INVALID_VALUE;
	/* Relaxed: a capture this launch belongs to was begun by an earlier record. */
	if (unlikely(atomic_load_explicit(&call->worker->captures, memory_order_relaxed)))
		return launch_as_values(call, function, parameters, bytes, out);
	launch_as_buffer(parameters, bytes, out);
	return CUDA_SUCCESS;
}

CUresult launch_end(struct call *call, CUstream stream, CUresult r)
{
	if (likely(!call->worker->options.launch_blocking) || r != CUDA_SUCCESS ||
	    !(call->flags & WIRE_F_REPLY) || stream_is_captured(call, stream))
		return r;
	/* Another stream's capture is no business of the wait's. */
	call_job(call)->from.capture_mode = CU_STREAM_CAPTURE_MODE_RELAXED;
	return call_await_stream(call, stream, NULL, NULL);
}

static CUresult launch_plain(struct call *call, void *arguments)
{
	struct args_cuLaunchKernel *a = arguments;
	struct launch_parameters p;
	CUresult r = prepare(call, a->function, a->parameters, a->parameter_bytes, &p);

	if (unlikely(r != CUDA_SUCCESS))
		return r;
	struct gpu_span *span = gpu_time_begin(call, a->stream);
	r = call->backend->cuLaunchKernel(a->function, a->grid_x, a->grid_y, a->grid_z, a->block_x,
	    a->block_y, a->block_z, a->shared, a->stream, p.values, p.extra);
	gpu_time_end(call, span, a->stream);
	prints_launched(call, a->function, a->stream);
	return launch_end(call, a->stream, r);
}

/* An attribute's event: the client's id in, the backend's handle out. */
static CUresult translate_event(struct call *call, CUevent *event)
{
	*event = (CUevent)call_handle(call, HANDLE_EVENT, (uint64_t)*event);
	return call->error;
}

CUresult launch_attribute(struct call *call, CUlaunchAttributeID id, CUlaunchAttributeValue *value)
{
	switch (id) {
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
		return translate_event(call, &value->programmaticEvent.event);
	case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
		return translate_event(call, &value->launchCompletionEvent.event);
	case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
		value->deviceUpdatableKernelNode.devNode = NULL; /* for the backend to fill in */
		return CUDA_SUCCESS;
	default:
		return CUDA_SUCCESS;
	}
}

/* A copy of the attributes with handles translated. */
static CUresult copy_attributes(
    struct call *call, const CUlaunchAttribute *attributes, unsigned n, CUlaunchAttribute **out)
{
	CUresult r = CUDA_SUCCESS;

	*out = NULL;
	if (n > ATTRIBUTES_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	if (!n)
		return CUDA_SUCCESS;
	*out = call_take(call, n * sizeof(**out));
	if (!*out)
		return call->error;
	memcpy(*out, attributes, n * sizeof(**out));
	for (unsigned i = 0; i < n && r == CUDA_SUCCESS; i++)
		r = launch_attribute(call, (*out)[i].id, &(*out)[i].value);
	return r;
}

static CUresult launch(struct call *call, const CUlaunchConfig *config, CUfunction function,
    const void *parameters, size_t bytes)
{
	struct launch_parameters p;
	CUresult r = prepare(call, function, parameters, bytes, &p);

	if (r != CUDA_SUCCESS)
		return r;
	struct gpu_span *span = gpu_time_begin(call, config->hStream);
	r = call->backend->cuLaunchKernelEx(config, function, p.values, p.extra);
	gpu_time_end(call, span, config->hStream);
	prints_launched(call, function, config->hStream);
	return r;
}

/* The fields both launches with attributes and cluster occupancy have, by the same names. */
#define CONFIG(a, attributes, n)                                                                   \
	{.gridDimX = (a)->grid_x,                                                                  \
	    .gridDimY = (a)->grid_y,                                                               \
	    .gridDimZ = (a)->grid_z,                                                               \
	    .blockDimX = (a)->block_x,                                                             \
	    .blockDimY = (a)->block_y,                                                             \
	    .blockDimZ = (a)->block_z,                                                             \
	    .sharedMemBytes = (a)->shared,                                                         \
	    .hStream = (a)->stream,                                                                \
	    .attrs = (attributes),                                                                 \
	    .numAttrs = (n)}

static CUresult launch_with_attributes(struct call *call, void *arguments)
{
	struct args_cuLaunchKernelEx *a = arguments;
	CUlaunchAttribute *attributes;
	unsigned n = a->attributes ? a->n_attributes : 0;
	CUresult r = copy_attributes(call, a->attributes, n, &attributes);

	if (r != CUDA_SUCCESS)
		return r;
	CUlaunchConfig config = CONFIG(a, attributes, n);
	r = launch(call, &config, a->function, a->parameters, a->parameter_bytes);
	return launch_end(call, a->stream, r);
}

/* On the thread that puts work into stream. */
static CUresult launch_where_it_pays(struct call *call, CUstream stream,
    CUresult (*issue)(struct call *call, void *arguments), void *arguments)
{
	struct issue_track *track = call->issued ? NULL : issuers_for_launch(call, stream);

	return track ? issuer_give(track, call) : issue(call, arguments);
}

CUresult worker_cuLaunchKernel(struct call *call, struct args_cuLaunchKernel *a)
{
	return launch_where_it_pays(call, a->stream, launch_plain, a);
}

CUresult worker_cuLaunchKernelEx(struct call *call, struct args_cuLaunchKernelEx *a)
{
	return launch_where_it_pays(call, a->stream, launch_with_attributes, a);
}

CUresult worker_rosenLaunchUpdatable(struct call *call, struct args_rosenLaunchUpdatable *a)
{
	CUlaunchAttribute *attributes;
	CUresult r = copy_attributes(call, a->attributes, a->n_attributes, &attributes);

	if (r != CUDA_SUCCESS)
		return r;
	CUlaunchConfig config = CONFIG(a, attributes, a->n_attributes);
	r = launch(call, &config, a->function, a->parameters, a->parameter_bytes);
	*a->device_node = 0;
	for (unsigned i = 0; r == CUDA_SUCCESS && i < a->n_attributes; i++)
		if (attributes[i].id == CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE)
			*a->device_node =
			    (uint64_t)attributes[i].value.deviceUpdatableKernelNode.devNode;
	return r;
}

CUresult worker_cuLaunchCooperativeKernel(
    struct call *call, struct args_cuLaunchCooperativeKernel *a)
{
	CUlaunchAttribute cooperative = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE};
	CUlaunchConfig config = CONFIG(a, &cooperative, 1);

	cooperative.value.cooperative = 1;
	CUresult r = launch(call, &config, a->function, a->parameters, a->parameter_bytes);
	return launch_end(call, a->stream, r);
}

CUresult worker_cuOccupancyMaxPotentialClusterSize(
    struct call *call, struct args_cuOccupancyMaxPotentialClusterSize *a)
{
	CUlaunchAttribute *attributes;
	unsigned n = a->attributes ? a->n_attributes : 0;
	CUresult r = copy_attributes(call, a->attributes, n, &attributes);

	if (r != CUDA_SUCCESS)
		return r;
	CUlaunchConfig config = CONFIG(a, attributes, n);
	return call->backend->cuOccupancyMaxPotentialClusterSize(a->cluster, a->function, &config);
}

CUresult worker_cuOccupancyMaxActiveClusters(
    struct call *call, struct args_cuOccupancyMaxActiveClusters *a)
{
	CUlaunchAttribute *attributes;
	unsigned n = a->attributes ? a->n_attributes : 0;
	CUresult r = copy_attributes(call, a->attributes, n, &attributes);

	if (r != CUDA_SUCCESS)
		return r;
	CUlaunchConfig config = CONFIG(a, attributes, n);
	return call->backend->cuOccupancyMaxActiveClusters(a->clusters, a->function, &config);
}

/* --- several devices at once --- */

static CUresult take_launch(struct call *call, struct args_cuLaunchCooperativeKernelMultiDevice *a,
    unsigned i, size_t *at, CUDA_LAUNCH_PARAMS *out)
{
	const unsigned *shape = a->shapes + (size_t)i * 7;
	struct launch_parameters p;

	if (*at > a->parameter_bytes || a->sizes[i] > a->parameter_bytes - *at)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = launch_as_values(
	    call, a->functions[i], (const char *)a->parameters + *at, a->sizes[i], &p);
	if (r == CUDA_SUCCESS && p.extra)
		r = CUDA_ERROR_NOT_SUPPORTED; /* takes no buffer */
	*at += align_up(a->sizes[i], WIRE_PARAMETER_ALIGN);
	*out = (CUDA_LAUNCH_PARAMS){a->functions[i], shape[0], shape[1], shape[2], shape[3],
	    shape[4], shape[5], shape[6], a->streams[i], p.values};
	return r;
}

CUresult worker_cuLaunchCooperativeKernelMultiDevice(
    struct call *call, struct args_cuLaunchCooperativeKernelMultiDevice *a)
{
	CUDA_LAUNCH_PARAMS launches[WIRE_DEVICES_MAX];
	CUresult r = CUDA_SUCCESS;
	size_t at = 0;

	if (a->count > WIRE_DEVICES_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; r == CUDA_SUCCESS && i < a->count; i++)
		r = take_launch(call, a, i, &at, &launches[i]);
	if (r == CUDA_SUCCESS)
		r = call->backend->cuLaunchCooperativeKernelMultiDevice(
		    launches, a->count, a->flags);
	/* A waiter serves this. */
	for (unsigned i = 0;
	    call->worker->options.launch_blocking && r == CUDA_SUCCESS && i < a->count; i++)
		r = call->backend->cuStreamSynchronize(a->streams[i]);
	return r;
}
