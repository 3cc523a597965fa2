/*
 * Green contexts. The device's multiprocessors are counted as the host threads that run kernels are
 * (device.c); a part of them is a range, and kernels in a green context of it run on as many
 * threads as its share. What identifies a range to the functions here stands in the bytes of a
 * resource that CUDA leaves to the driver.
 *
 * A green context is a context of its own beside the primary one, which it keeps retained. Unlike
 * in CUDA, what is allocated and loaded while it is current ends with it.
 */
#include "softgpu/driver/driver.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/event.h"
#include "softgpu/driver/handle.h"
#include "softgpu/driver/stream.h"
#include "softgpu/exec/exec.h"

#define RANGE_MAGIC 0x67726e31

/* In a resource's _internal_padding. */
struct range {
	uint32_t magic, first, count;
	uint64_t split; /* which call made it; 0: it was never split off */
};

/* CUDA never ends one. */
struct description {
	struct description *next;
	struct range range;
};

struct green {
	CUgreenCtx handle;
	struct sg_context *context;
	struct range range;
};

static atomic_uint_fast64_t last_split;
static struct description *_Atomic descriptions;

/* ---- resources ---- */

static uint32_t n_multiprocessors(void)
{
	return (uint32_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
}

static void resource_make(const struct range *range, CUdevResource *out)
{
	*out = (CUdevResource){.type = CU_DEV_RESOURCE_TYPE_INVALID};
	if (!range->count)
		return;
	out->type = CU_DEV_RESOURCE_TYPE_SM;
	out->sm = (CUdevSmResource){range->count, 1, 1};
	memcpy(out->_internal_padding, range, sizeof(*range));
}

static CUresult resource_range(const CUdevResource *resource, struct range *out)
{
	if (resource->type != CU_DEV_RESOURCE_TYPE_SM)
		return CUDA_ERROR_INVALID_RESOURCE_TYPE;
	memcpy(out, resource->_internal_padding, sizeof(*out));
	return out->magic == RANGE_MAGIC && out->count && out->first < n_multiprocessors() &&
		       out->count <= n_multiprocessors() - out->first
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
}

static CUresult resource_give(
    const struct range *range, CUdevResource *resource, CUdevResourceType type)
{
	if (!resource)
		return CUDA_ERROR_INVALID_VALUE;
	if (type != CU_DEV_RESOURCE_TYPE_SM)
		return CUDA_ERROR_INVALID_RESOURCE_TYPE;
	resource_make(range, resource);
	return CUDA_SUCCESS;
}

static struct range range_all(void)
{
	return (struct range){.magic = RANGE_MAGIC, .count = n_multiprocessors()};
}

CUresult cuDeviceGetDevResource(CUdevice device, CUdevResource *resource, CUdevResourceType type)
{
	CUresult r = sg_enter();
	struct range all = range_all();

	if (r == CUDA_SUCCESS && device != 0)
		r = CUDA_ERROR_INVALID_DEVICE;
	return r ?: resource_give(&all, resource, type);
}

CUresult cuDevSmResourceSplitByCount(CUdevResource *result, unsigned *groups,
    const CUdevResource *input, CUdevResource *remaining, unsigned flags, unsigned count_min)
{
	struct range whole;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!groups || !input))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = resource_range(input, &whole);
	if (r == CUDA_SUCCESS && (count_min > whole.count || whole.split))
		r = CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
	if (r != CUDA_SUCCESS)
		return r;
	unsigned size = MAX(count_min, 1u), n = whole.count / size;
	if (result) {
		n = MIN(n, *groups);
		uint64_t split = atomic_fetch_add(&last_split, 1) + 1;
		for (unsigned i = 0; i < n; i++)
			resource_make(
			    &(struct range){RANGE_MAGIC, whole.first + i * size, size, split},
			    &result[i]);
		if (remaining)
			resource_make(&(struct range){RANGE_MAGIC, whole.first + n * size,
					  whole.count - n * size, split},
			    remaining);
	}
	*groups = n;
	return CUDA_SUCCESS;
}

/* Several must be of one split; together they count as many multiprocessors, wherever those are. */
CUresult cuDevResourceGenerateDesc(
    CUdevResourceDesc *handle, CUdevResource *resources, unsigned count)
{
	struct range sum = {0}, one;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!handle || !resources || !count))
		r = CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; r == CUDA_SUCCESS && i < count; i++) {
		r = resource_range(&resources[i], &one);
		if (r == CUDA_SUCCESS && i && (!one.split || one.split != sum.split))
			r = CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
		one.count += i ? sum.count : 0;
		sum = one;
	}
	if (r == CUDA_SUCCESS && sum.count > n_multiprocessors())
		r = CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
	if (r != CUDA_SUCCESS)
		return r;
	struct description *description = malloc(sizeof(*description));
	if (!description)
		return CUDA_ERROR_OUT_OF_MEMORY;
	description->range = sum;
	*handle = sg_handle_new(SG_RESOURCE_DESCRIPTION, description);
	if (!*handle) {
		free(description);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	/* Relaxed: nobody reads the list; it is there so that nothing counts as lost. */
	description->next = atomic_load_explicit(&descriptions, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&descriptions, &description->next,
	    description, memory_order_relaxed, memory_order_relaxed))
		;
	return CUDA_SUCCESS;
}

/* ---- life ---- */

/* As many of the host's threads as its share of the multiprocessors, one at least. */
static unsigned threads_of(const struct range *range)
{
	return MAX(sg_exec_threads() * range->count / n_multiprocessors(), 1u);
}

CUresult cuGreenCtxCreate(
    CUgreenCtx *handle, CUdevResourceDesc descriptor, CUdevice device, unsigned flags)
{
	CUcontext primary;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && device != 0)
		r = CUDA_ERROR_INVALID_DEVICE;
	const struct description *description =
	    r == CUDA_SUCCESS ? sg_handle_get(descriptor, SG_RESOURCE_DESCRIPTION) : NULL;
	if (r == CUDA_SUCCESS && (!handle || !description || flags != CU_GREEN_CTX_DEFAULT_STREAM))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = cuDevicePrimaryCtxRetain(&primary, 0);
	if (r != CUDA_SUCCESS)
		return r;
	struct green *green = calloc(1, sizeof(*green));
	if (green) {
		green->range = description->range;
		green->handle = sg_handle_new(SG_GREEN_CONTEXT, green);
		green->context = green->handle ? sg_context_make(CU_CTX_SCHED_AUTO) : NULL;
	}
	if (!green || !green->context) {
		if (green)
			sg_handle_free(green->handle);
		free(green);
		cuDevicePrimaryCtxRelease_v2(0);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	green->context->green = green->handle;
	green->context->threads = threads_of(&green->range);
	*handle = green->handle;
	return CUDA_SUCCESS;
}

static CUresult green_get(CUgreenCtx handle, struct green **green)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*green = sg_handle_get(handle, SG_GREEN_CONTEXT);
	return *green ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuGreenCtxDestroy(CUgreenCtx handle)
{
	struct green *green;
	CUresult r = green_get(handle, &green);

	if (r != CUDA_SUCCESS)
		return r;
	sg_context_end(green->context);
	sg_handle_free(handle);
	free(green);
	return cuDevicePrimaryCtxRelease_v2(0);
}

CUresult cuCtxFromGreenCtx(CUcontext *context, CUgreenCtx handle)
{
	struct green *green;
	CUresult r = sg_enter_given(context) ?: green_get(handle, &green);

	if (r == CUDA_SUCCESS)
		*context = green->context->handle;
	return r;
}

/* ---- questions ---- */

CUresult cuGreenCtxGetDevResource(
    CUgreenCtx handle, CUdevResource *resource, CUdevResourceType type)
{
	struct green *green;
	CUresult r = sg_enter_given(resource);

	if (r == CUDA_SUCCESS && type != CU_DEV_RESOURCE_TYPE_SM)
		r = CUDA_ERROR_INVALID_RESOURCE_TYPE;
	if (r == CUDA_SUCCESS)
		r = green_get(handle, &green);
	if (r != CUDA_SUCCESS)
		return r;
	struct range range = green->range;
	range.split = 0; /* it may be split again */
	return resource_give(&range, resource, type);
}

CUresult cuCtxGetDevResource(CUcontext handle, CUdevResource *resource, CUdevResourceType type)
{
	struct sg_context *context;
	struct range all = range_all();
	CUresult r = sg_enter_given(resource) ?: sg_enter_named(handle, &context);

	if (r != CUDA_SUCCESS)
		return r;
	return context->green ? cuGreenCtxGetDevResource(context->green, resource, type)
			      : resource_give(&all, resource, type);
}

CUresult cuGreenCtxGetId(CUgreenCtx handle, unsigned long long *id)
{
	struct sg_context *context;
	struct green *green;

	if (!handle && sg_enter_current(&context) == CUDA_SUCCESS)
		handle = context->green;
	CUresult r = sg_enter_given(id) ?: green_get(handle, &green);
	if (r == CUDA_SUCCESS)
		*id = green->context->id;
	return r;
}

/* ---- work ---- */

CUresult cuGreenCtxStreamCreate(CUstream *stream, CUgreenCtx handle, unsigned flags, int priority)
{
	struct green *green;
	CUresult r = sg_enter_given(stream) ?: green_get(handle, &green);

	if (r == CUDA_SUCCESS && (flags != CU_STREAM_NON_BLOCKING))
		r = CUDA_ERROR_INVALID_VALUE;
	return r ?: sg_stream_open(green->context, flags, priority, stream);
}

CUresult cuGreenCtxRecordEvent(CUgreenCtx handle, CUevent event)
{
	struct green *green;
	CUresult r = green_get(handle, &green);

	return r ?: sg_event_record_context(event, green->context);
}

CUresult cuGreenCtxWaitEvent(CUgreenCtx handle, CUevent event)
{
	struct green *green;
	CUresult r = green_get(handle, &green);

	return r ?: sg_event_gate_context(event, green->context);
}

CUresult cuStreamGetGreenCtx(CUstream stream, CUgreenCtx *green)
{
	CUcontext context;

	return green ? cuStreamGetCtx_v2(stream, &context, green) : CUDA_ERROR_INVALID_VALUE;
}
