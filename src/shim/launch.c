/*
 * Launching kernels: the path that has to be short. A launch finds the function's record (one table
 * look-up), checks the configuration against what the device and the function allow, copies the
 * parameters to their offsets and posts one record; nothing is waited for. Where the backend may
 * refuse it, it is asked, and its answer is the call's: it tells the device's limits from those the
 * kernel was compiled with and from registers that do not suffice, and some of these end a capture.
 * A kernel may be compiled for blocks of one shape, which only a launch shows: its first one is such
 * a question, and so is the first with another shape.
 */
#include "shim/launch.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "gen/api_codec.h"
#include "gen/api_ids.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/device.h"
#include "shim/object.h"
#include "shim/thread.h"
#include "wire/limits.h"

uint64_t launch_block_word(const unsigned block[3])
{
	return (uint64_t)block[2] << 42 | (uint64_t)block[1] << 21 | block[0];
}

static bool block_fits(
    const struct launch_limits *limits, const struct function *f, const unsigned block[3])
{
	uint64_t threads = 1;

	for (int i = 0; i < 3; i++) {
		if (!block[i] || block[i] > (unsigned)limits->max_block[i])
			return false;
		threads *= block[i];
	}
	if (threads > (unsigned)MIN(limits->max_threads, f->max_threads))
		return false;
	/* Relaxed: the word is all there is to know. */
	uint64_t taken = atomic_load_explicit(&f->block_taken, memory_order_relaxed);
	return taken == FUNCTION_ANY_BLOCK || taken == launch_block_word(block);
}

/* The backend took a launch with that block. The function takes it again; and once it took two
 * shapes, it takes all that the limits allow. */
static void block_taken(CUfunction function, const unsigned block[3])
{
	/* Looked up anew: while the backend was asked, its module may have gone. */
	struct function *f = shim_object((uint64_t)function, handle_kind_of((uint64_t)function));
	uint64_t before = 0, word = launch_block_word(block);

	if (!f)
		return;
	/* Relaxed, as above. Who comes second finds what the first left. */
	if (!atomic_compare_exchange_strong_explicit(
		&f->block_taken, &before, word, memory_order_relaxed, memory_order_relaxed) &&
	    before != word)
		atomic_store_explicit(&f->block_taken, FUNCTION_ANY_BLOCK, memory_order_relaxed);
}

bool launch_fits(const struct launch_limits *limits, const struct function *f,
    const unsigned grid[3], const unsigned block[3], unsigned shared)
{
	for (int i = 0; i < 3; i++)
		if (!grid[i] || grid[i] > (unsigned)limits->max_grid[i])
			return false;
	if (!block_fits(limits, f, block))
		return false;
	if (likely(!shared))
		return true;
	int allowed = atomic_load_explicit(&f->dynamic_limit, memory_order_relaxed);
	return (uint64_t)shared + (unsigned)f->static_shared <=
		   (unsigned)limits->shared_per_block ||
	       (allowed >= 0 && shared <= (unsigned)allowed);
}

/* Most parameters are pointers and numbers: those are one move each, not a call. */
static inline void copy_parameter(char *to, const void *from, uint32_t size)
{
	switch (size) {
	case 8:
		memcpy(to, from, 8);
		break;
	case 4:
		memcpy(to, from, 4);
		break;
	default:
		memcpy(to, from, size);
	}
}

CUresult launch_pack(const struct function *f, void *const *values, void *buffer)
{
	uint32_t end = 0;

	for (uint32_t i = 0; i < f->n_parameters; i++) {
		const struct function_parameter *p = &f->parameter[i];
		if (unlikely(!values[i]))
			return CUDA_ERROR_INVALID_VALUE;
		if (unlikely(p->offset > end))
			memset((char *)buffer + end, 0, p->offset - end);
		copy_parameter((char *)buffer + p->offset, values[i], p->size);
		end = MAX(end, p->offset + p->size);
	}
	return CUDA_SUCCESS;
}

CUresult launch_extra(void **extra, const void **buffer, size_t *bytes)
{
	const size_t *size = NULL;

	*buffer = NULL;
	for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
		if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
			*buffer = extra[1];
		else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
			size = extra[1];
		else
			return CUDA_ERROR_INVALID_VALUE;
	}
	if (!size || (!*buffer && *size) || *size > WIRE_PARAMETER_BYTES_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	*bytes = *size;
	return CUDA_SUCCESS;
}

CUresult launch_buffer(
    const struct function *f, void **values, void **extra, void *stack, struct launch_buffer *out)
{
	out->heap = NULL;
	/* A list of nothing is no parameters. */
	if (extra && !values && (f->n_parameters || *extra != CU_LAUNCH_PARAM_END))
		return launch_extra(extra, &out->bytes, &out->size);
	out->bytes = stack;
	out->size = f->bytes;
	if (!f->n_parameters)
		return CUDA_SUCCESS;
	if (unlikely(!values || extra))
		return CUDA_ERROR_INVALID_VALUE;
	if (unlikely(f->bytes > LAUNCH_ON_STACK)) {
		out->heap = malloc(f->bytes);
		if (!out->heap)
			return CUDA_ERROR_OUT_OF_MEMORY;
		out->bytes = out->heap;
	}
	return launch_pack(f, values, out->heap ?: stack);
}

/* One launch on its way: what all forms share. */
struct launch {
	struct launch_buffer parameters;
	unsigned flags;
};

static const struct launch_limits *limits_of(CUdevice device)
{
	static struct launch_limits table[WIRE_DEVICES_MAX];
	static _Atomic bool ready[WIRE_DEVICES_MAX];
	struct launch_limits *limits = &table[device];

	if (likely(atomic_load_explicit(&ready[device], memory_order_acquire)))
		return limits;
	/* Threads that race here write the same values. */
	struct launch_limits made = {
	    .max_threads = device_attribute(device, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
	    .shared_per_block =
		device_attribute(device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
	};
	for (int i = 0; i < 3; i++) {
		made.max_block[i] = device_attribute(
		    device, (CUdevice_attribute)(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i));
		made.max_grid[i] = device_attribute(
		    device, (CUdevice_attribute)(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i));
	}
	*limits = made;
	atomic_store_explicit(&ready[device], true, memory_order_release);
	return limits;
}

/* Of a short buffer the backend takes what is missing as 0; it refuses none at all, and more. */
static bool parameters_fit(const struct function *f, size_t size)
{
	return size <= f->bytes && (size || !f->bytes);
}

/* Checks and packs. stack: LAUNCH_ON_STACK bytes that live as long as the launch. */
static CUresult prepare(struct launch *launch, CUfunction function, const unsigned grid[3],
    const unsigned block[3], unsigned shared, CUstream stream, void **values, void **extra,
    void *stack)
{
	struct shim_thread *thread = &shim_thread;
	struct function *f;
	CUresult r;

	launch->parameters.heap = NULL;
	launch->flags = SHIM_POST;
	if (unlikely(!thread->context))
		return CUDA_ERROR_INVALID_CONTEXT;
	r = function_find(function, &f);
	if (unlikely(r != CUDA_SUCCESS))
		return r;
	if ((uint64_t)stream > 2 && unlikely(!shim_handle_alive((uint64_t)stream, HANDLE_STREAM)))
		return CUDA_ERROR_INVALID_HANDLE;
	r = launch_buffer(f, values, extra, stack, &launch->parameters);
	if (unlikely(r != CUDA_SUCCESS))
		return r;
	if (unlikely(!launch_fits(limits_of(thread->device), f, grid, block, shared) ||
		     !parameters_fit(f, launch->parameters.size)))
		launch->flags = SHIM_WAIT;
	return CUDA_SUCCESS;
}

/* r: the answer to the launch. */
static CUresult answered(
    const struct launch *launch, CUfunction function, const unsigned block[3], CUresult r)
{
	if (unlikely(launch->flags == SHIM_WAIT) && r == CUDA_SUCCESS)
		block_taken(function, block);
	return r;
}

CUresult shim_cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
    unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared, CUstream stream,
    void **values, void **extra)
{
	const unsigned grid[3] = {grid_x, grid_y, grid_z}, block[3] = {block_x, block_y, block_z};
	_Alignas(16) char stack[LAUNCH_ON_STACK];
	struct launch launch;
	struct shim_call call;

	CUresult r = prepare(&launch, function, grid, block, shared, stream, values, extra, stack);
	if (unlikely(r != CUDA_SUCCESS))
		goto out;
	struct args_cuLaunchKernel a = {function, grid_x, grid_y, grid_z, block_x, block_y, block_z,
	    shared, stream, launch.parameters.bytes, launch.parameters.size};
	r = shim_call_begin(
	    &call, API_cuLaunchKernel, wire_size_cuLaunchKernel(&a), launch.flags, 0);
	if (likely(r == CUDA_SUCCESS)) {
		wire_encode_cuLaunchKernel(&call.writer, &a);
		r = answered(
		    &launch, function, block, shim_call_end(&call, shim_call_finish(&call)));
	}
out:
	if (unlikely(launch.parameters.heap))
		free(launch.parameters.heap);
	return r;
}

CUresult shim_cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y,
    unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
    CUstream stream, void **values)
{
	const unsigned grid[3] = {grid_x, grid_y, grid_z}, block[3] = {block_x, block_y, block_z};
	_Alignas(16) char stack[LAUNCH_ON_STACK];
	struct launch launch;
	struct shim_call call;

	CUresult r = prepare(&launch, function, grid, block, shared, stream, values, NULL, stack);
	if (r == CUDA_SUCCESS) {
		struct args_cuLaunchCooperativeKernel a = {function, grid_x, grid_y, grid_z,
		    block_x, block_y, block_z, shared, stream, launch.parameters.bytes,
		    launch.parameters.size};
		/* Whether all blocks fit at once only the backend knows, and CUDA says so at
		 * once. */
		r = shim_call_begin(&call, API_cuLaunchCooperativeKernel,
		    wire_size_cuLaunchCooperativeKernel(&a), SHIM_WAIT, 0);
		if (r == CUDA_SUCCESS) {
			wire_encode_cuLaunchCooperativeKernel(&call.writer, &a);
			r = shim_call_end(&call, shim_call_finish(&call));
		}
	}
	free(launch.parameters.heap);
	return r;
}

/* Clusters of these sizes every device and grid takes; about others the backend is asked. */
#define CLUSTER_PORTABLE 8u

static bool cluster_surely_fits(const CUlaunchConfig *config, const CUlaunchAttributeValue *value)
{
	unsigned x = value->clusterDim.x, y = value->clusterDim.y, z = value->clusterDim.z;

	return x && y && z && x <= CLUSTER_PORTABLE && y <= CLUSTER_PORTABLE &&
	       z <= CLUSTER_PORTABLE && x * y * z <= CLUSTER_PORTABLE &&
	       config->gridDimX % x == 0 && config->gridDimY % y == 0 && config->gridDimZ % z == 0;
}

/* Attributes whose refusal CUDA reports at once, and one that brings something back. */
static CUresult check_attributes(
    const CUlaunchConfig *config, unsigned *flags, CUlaunchAttribute **updatable)
{
	*updatable = NULL;
	if (config->numAttrs && !config->attrs)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < config->numAttrs; i++) {
		switch ((int)config->attrs[i].id) {
		case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
			*updatable = &config->attrs[i];
			break;
		case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
			*flags = SHIM_WAIT;
			break;
		case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
			if (!cluster_surely_fits(config, &config->attrs[i].value))
				*flags = SHIM_WAIT;
			break;
		default:
			break;
		}
	}
	return CUDA_SUCCESS;
}

static CUresult launch_ex(const struct args_cuLaunchKernelEx *a, unsigned flags)
{
	struct shim_call call;
	CUresult r =
	    shim_call_begin(&call, API_cuLaunchKernelEx, wire_size_cuLaunchKernelEx(a), flags, 0);

	if (unlikely(r != CUDA_SUCCESS))
		return r;
	wire_encode_cuLaunchKernelEx(&call.writer, a);
	return shim_call_end(&call, shim_call_finish(&call));
}

static CUresult launch_updatable(
    const struct args_cuLaunchKernelEx *a, unsigned flags, CUlaunchAttribute *updatable)
{
	uint64_t node = 0;
	struct args_rosenLaunchUpdatable u = {a->function, a->grid_x, a->grid_y, a->grid_z,
	    a->block_x, a->block_y, a->block_z, a->shared, a->stream, a->attributes,
	    a->n_attributes, a->parameters, a->parameter_bytes, &node};
	struct shim_call call;

	CUresult r =
	    shim_call_begin(&call, API_rosenLaunchUpdatable, wire_size_rosenLaunchUpdatable(&u),
		SHIM_WAIT | flags, wire_reply_size_rosenLaunchUpdatable(&u));
	if (r != CUDA_SUCCESS)
		return r;
	wire_encode_rosenLaunchUpdatable(&call.writer, &u);
	r = shim_call_finish(&call);
	if (r == CUDA_SUCCESS)
		wire_decode_reply_rosenLaunchUpdatable(&call.reader, &u);
	r = shim_call_end(&call, r);
	if (r == CUDA_SUCCESS)
		updatable->value.deviceUpdatableKernelNode.devNode = (CUgraphDeviceNode)node;
	return r;
}

CUresult shim_cuLaunchKernelEx(
    const CUlaunchConfig *c, CUfunction function, void **values, void **extra, unsigned shim_flags)
{
	const unsigned grid[3] = {c->gridDimX, c->gridDimY, c->gridDimZ};
	const unsigned block[3] = {c->blockDimX, c->blockDimY, c->blockDimZ};
	_Alignas(16) char stack[LAUNCH_ON_STACK];
	CUlaunchAttribute *updatable;
	struct launch launch;

	CUresult r = prepare(
	    &launch, function, grid, block, c->sharedMemBytes, c->hStream, values, extra, stack);
	if (likely(r == CUDA_SUCCESS))
		r = check_attributes(c, &launch.flags, &updatable);
	if (likely(r == CUDA_SUCCESS)) {
		struct args_cuLaunchKernelEx a = {function, grid[0], grid[1], grid[2], block[0],
		    block[1], block[2], c->sharedMemBytes, c->hStream, c->attrs, c->numAttrs,
		    launch.parameters.bytes, launch.parameters.size};
		r = unlikely(updatable) ? launch_updatable(&a, shim_flags, updatable)
					: launch_ex(&a, launch.flags | shim_flags);
		r = answered(&launch, function, block, r);
	}
	if (unlikely(launch.parameters.heap))
		free(launch.parameters.heap);
	return r;
}
