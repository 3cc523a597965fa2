/*
 * Launches. What CUDA reports at once is checked here, on the caller's thread: the shape, shared
 * memory, parameters, attributes, and whether the kernel can be translated. What happens while it
 * runs becomes the context's sticky error.
 */
#include "softgpu/driver/driver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/graph.h"
#include "softgpu/driver/launch.h"
#include "softgpu/driver/module.h"
#include "softgpu/driver/stream.h"

struct launch_work {
	struct sg_work work;
	struct sg_kernel *kernel;
	CUfunction function;
	unsigned grid[3]; /* as the program gave it */
	struct sg_launch_traits traits;
	void **values; /* of the parameters, made when a graph asks */
	struct sg_launch launch;
	_Alignas(16) uint8_t params[];
};

struct launch_shape {
	unsigned grid[3], block[3], shared;
	struct sg_launch_traits traits;
};

/* ---- running ---- */

static CUresult launch_result(int fault)
{
	switch (fault) {
	case SG_FAULT_NONE:
		return CUDA_SUCCESS;
	case SG_FAULT_ILLEGAL_ADDRESS:
	case SG_FAULT_TENSOR_MEMORY:
		return CUDA_ERROR_ILLEGAL_ADDRESS;
	case SG_FAULT_MISALIGNED:
		return CUDA_ERROR_MISALIGNED_ADDRESS;
	case SG_FAULT_ASSERT:
		return CUDA_ERROR_ASSERT;
	case SG_FAULT_ILLEGAL_INSTRUCTION:
		return CUDA_ERROR_ILLEGAL_INSTRUCTION;
	case SG_FAULT_ILLEGAL_CALL:
		return CUDA_ERROR_INVALID_PC;
	case SG_FAULT_DEADLOCK:
	case SG_FAULT_STOPPED:
		return CUDA_ERROR_LAUNCH_TIMEOUT;
	default:
		return CUDA_ERROR_LAUNCH_FAILED;
	}
}

static CUresult launch_run(struct sg_work *work, struct sg_context *context)
{
	struct launch_work *launch = (struct launch_work *)work;
	struct sg_fault fault = {0};

	launch->launch.stop = &context->stop;
	launch->launch.threads = context->threads;
	int r = sg_launch(launch->kernel, &launch->launch, &fault);
	if (r != SG_FAULT_NONE && r != SG_FAULT_STOPPED)
		log_warn("%s", fault.message);
	return launch_result(r);
}

/* ---- as a graph's node ---- */

static void launch_fini(struct sg_work *work)
{
	struct launch_work *launch = (struct launch_work *)work;

	free(launch->values);
	sg_kernel_release(launch->kernel);
}

static void launch_describe(struct sg_work *work, CUgraphNodeParams *params)
{
	struct launch_work *launch = (struct launch_work *)work;
	const struct sg_kernel_info *info = sg_kernel_info(launch->kernel);
	const struct sg_launch *l = &launch->launch;

	if (!launch->values)
		launch->values = calloc(info->n_params + 1, sizeof(void *));
	for (unsigned i = 0; launch->values && i < info->n_params; i++)
		launch->values[i] = launch->params + info->params[i].offset;
	params->kernel = (CUDA_KERNEL_NODE_PARAMS_v3){
	    .func = launch->function,
	    .gridDimX = launch->grid[0],
	    .gridDimY = launch->grid[1],
	    .gridDimZ = launch->grid[2],
	    .blockDimX = l->block[0],
	    .blockDimY = l->block[1],
	    .blockDimZ = l->block[2],
	    .sharedMemBytes = l->dynamic_shared_bytes,
	    .kernelParams = launch->values,
	};
}

struct sg_launch_traits sg_launch_traits(const struct sg_work *work)
{
	if (work->run != launch_run)
		return (struct sg_launch_traits){0};
	return ((const struct launch_work *)work)->traits;
}

/* ---- checks ---- */

CUresult sg_function_cluster(const struct sg_function *function, const unsigned named[3],
    unsigned grid[3], unsigned cluster[3])
{
	const uint32_t *own = function->info->required_cluster;
	uint64_t size = 1;

	if (named[0] && own[0] && (named[0] != own[0] || named[1] != own[1] || named[2] != own[2]))
		return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	for (unsigned i = 0; i < 3; i++) {
		cluster[i] = own[0] ? own[i] : named[i];
		if (function->info->blocks_are_clusters && own[0])
			grid[i] *= MAX(own[i], 1u);
		if ((cluster[0] && !cluster[i]) || grid[i] % MAX(cluster[i], 1u))
			return CUDA_ERROR_INVALID_VALUE;
		size = MIN(size * MAX(cluster[i], 1u), (uint64_t)UINT32_MAX);
	}
	if (size > (function->non_portable_cluster ? SG_MAX_CLUSTER : SG_PORTABLE_CLUSTER))
		return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	if (size > 1 && !sg_device_attribute(CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH))
		return CUDA_ERROR_NOT_SUPPORTED;
	return !cluster[0] && function->info->must_have_cluster ? CUDA_ERROR_INVALID_CLUSTER_SIZE
								: CUDA_SUCCESS;
}

bool sg_function_takes_block(const struct sg_function *function, const unsigned block[3])
{
	const uint32_t *required = function->info->required_ntid;
	uint64_t threads = 1;

	for (unsigned i = 0; i < 3; i++) {
		unsigned most = (unsigned)sg_device_attribute(
		    (CUdevice_attribute)(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i));
		if (!block[i] || block[i] > most)
			return false;
		if (required[0] && block[i] != MAX(required[i], 1u))
			return false;
		threads *= block[i];
	}
	return threads <= function->info->max_threads_per_block;
}

static CUresult launch_check_shape(
    const struct sg_function *function, const struct launch_shape *shape)
{
	if (!sg_function_takes_block(function, shape->block))
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < 3; i++) {
		unsigned most = (unsigned)sg_device_attribute(
		    (CUdevice_attribute)(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i));
		if (!shape->grid[i] || shape->grid[i] > most)
			return CUDA_ERROR_INVALID_VALUE;
	}
	if (shape->shared > sg_function_dynamic_limit(function))
		return CUDA_ERROR_INVALID_VALUE;
	if (!shape->traits.cooperative)
		return CUDA_SUCCESS;
	uint64_t blocks = (uint64_t)shape->grid[0] * shape->grid[1] * shape->grid[2];
	unsigned threads = shape->block[0] * shape->block[1] * shape->block[2];
	return blocks <= sg_function_cooperative_limit(function, threads, shape->shared)
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
}

static CUresult launch_prepare(struct sg_kernel *kernel, const uint32_t block[3])
{
	char text[1024] = "";
	struct sg_log log = {text, sizeof(text), 0};

	switch (sg_kernel_prepare_for(kernel, block, &log)) {
	case 0:
		return CUDA_SUCCESS;
	case SG_MODULE_UNSUPPORTED:
		log_warn("kernel %s cannot run here: %s", sg_kernel_info(kernel)->name, text);
		return CUDA_ERROR_NOT_SUPPORTED;
	case SG_MODULE_NO_COMPILER:
		log_warn("kernel %s: %s", sg_kernel_info(kernel)->name, text);
		return CUDA_ERROR_JIT_COMPILER_NOT_FOUND;
	case SG_MODULE_INVALID:
	case SG_MODULE_UNRESOLVED:
	case SG_MODULE_INTERNAL:
		log_warn("kernel %s was refused: %s", sg_kernel_info(kernel)->name, text);
		return CUDA_ERROR_INVALID_PTX;
	default:
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
}

/* ---- parameters ---- */

static CUresult params_from_values(
    const struct sg_kernel_info *info, void **values, uint8_t *params)
{
	for (unsigned i = 0; i < info->n_params; i++) {
		if (!values[i])
			return CUDA_ERROR_INVALID_VALUE;
		memcpy(params + info->params[i].offset, values[i], info->params[i].size);
	}
	return CUDA_SUCCESS;
}

/* The packed buffer, as the program laid it out. What it leaves out at the end is zero. */
static CUresult params_from_extra(const struct sg_kernel_info *info, void **extra, uint8_t *params)
{
	const void *buffer = NULL;
	const size_t *size = NULL;

	for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
		if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
			buffer = extra[1];
		else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
			size = extra[1];
		else
			return CUDA_ERROR_INVALID_VALUE;
	}
	if (!buffer || !size || (info->n_params && !*size))
		return CUDA_ERROR_INVALID_VALUE;
	if (*size > info->param_bytes)
		return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
	memcpy(params, buffer, *size);
	return CUDA_SUCCESS;
}

static CUresult params_fill(
    const struct sg_kernel_info *info, void **values, void **extra, uint8_t *params)
{
	if (!info->n_params && (!extra || *extra == CU_LAUNCH_PARAM_END))
		return CUDA_SUCCESS;
	if (values && extra)
		return CUDA_ERROR_INVALID_VALUE;
	if (values)
		return params_from_values(info, values, params);
	return extra ? params_from_extra(info, extra, params) : CUDA_ERROR_INVALID_VALUE;
}

/* ---- launching ---- */

static bool launch_blocks;

static void launch_read_environment(void)
{
	const char *value = getenv("CUDA_LAUNCH_BLOCKING");

	launch_blocks = value && strtoul(value, NULL, 10) != 0;
}

/* A stream that is captured has nothing of the launch in it. */
CUresult sg_launch_end(struct sg_stream *stream, CUresult r)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, launch_read_environment);
	return unlikely(launch_blocks) && r == CUDA_SUCCESS ? sg_stream_wait(stream) : r;
}

static CUresult launch_submit(const struct sg_function *function, const struct launch_shape *shape,
    struct sg_stream *stream, void **values, void **extra)
{
	const struct sg_kernel_info *info = function->info;
	struct launch_work *launch = sg_work_new(sizeof(*launch) + info->param_bytes, launch_run);

	if (!launch)
		return CUDA_ERROR_OUT_OF_MEMORY;
	launch->kernel = function->kernel;
	sg_kernel_hold(launch->kernel);
	launch->function = function->function;
	launch->work.fini = launch_fini;
	launch->work.describe = launch_describe;
	launch->work.node = SG_NODE(CU_GRAPH_NODE_TYPE_KERNEL);
	memcpy(launch->grid, shape->grid, sizeof(shape->grid));
	launch->traits = shape->traits;
	memcpy(launch->launch.grid, shape->grid, sizeof(shape->grid));
	CUresult r = sg_function_cluster(
	    function, shape->traits.cluster, launch->launch.grid, launch->launch.cluster);
	memcpy(launch->launch.block, shape->block, sizeof(shape->block));
	launch->launch.dynamic_shared_bytes = shape->shared;
	launch->launch.cooperative = shape->traits.cooperative;
	launch->launch.params = launch->params;
	launch->launch.params_size = info->param_bytes;
	if (r == CUDA_SUCCESS)
		r = params_fill(info, values, extra, launch->params);
	if (r == CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES && sg_capture_id(stream))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS) {
		sg_work_unref(&launch->work);
		return r;
	}
	return sg_launch_end(stream, sg_stream_submit(stream, &launch->work, NULL));
}

static CUresult launch_kernel(CUfunction handle, const struct launch_shape *shape,
    CUstream stream_handle, void **values, void **extra)
{
	struct sg_context *context;
	struct sg_stream *stream;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	const struct sg_function *function = sg_function_get(handle);
	if (!function)
		return CUDA_ERROR_INVALID_HANDLE;
	r = sg_stream_get(stream_handle, context, &stream);
	if (r != CUDA_SUCCESS)
		return r;
	r = launch_check_shape(function, shape);
	if (r != CUDA_SUCCESS)
		sg_capture_breaks(stream);
	if (r == CUDA_SUCCESS)
		r = launch_prepare(function->kernel, shape->block);
	return r == CUDA_SUCCESS ? launch_submit(function, shape, stream, values, extra) : r;
}

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
    unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared, CUstream stream,
    void **values, void **extra)
{
	const struct launch_shape shape = {
	    .grid = {grid_x, grid_y, grid_z},
	    .block = {block_x, block_y, block_z},
	    .shared = shared,
	};

	return launch_kernel(function, &shape, stream, values, extra);
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y,
    unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
    CUstream stream, void **values)
{
	const struct launch_shape shape = {
	    .grid = {grid_x, grid_y, grid_z},
	    .block = {block_x, block_y, block_z},
	    .shared = shared,
	    .traits.cooperative = true,
	};

	return launch_kernel(function, &shape, stream, values, NULL);
}

/* Attributes that only say how to schedule or cache are accepted; those that change what a program
 * may rely on are honoured or refused. */
static CUresult launch_read_attribute(
    const CUlaunchAttribute *attribute, struct launch_shape *shape)
{
	const CUlaunchAttributeValue *value = &attribute->value;

	switch (attribute->id) {
	case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
		shape->traits.cooperative = value->cooperative;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
		shape->traits.cluster[0] = value->clusterDim.x;
		shape->traits.cluster[1] = value->clusterDim.y;
		shape->traits.cluster[2] = value->clusterDim.z;
		return value->clusterDim.x ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
	case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
	case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
		log_warn_once("launch attribute %d is not supported", (int)attribute->id);
		return CUDA_ERROR_NOT_SUPPORTED;
	default:
		return attribute->id < CU_LAUNCH_ATTRIBUTE_MAX ? CUDA_SUCCESS
							       : CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult cuLaunchKernelEx(
    const CUlaunchConfig *config, CUfunction function, void **values, void **extra)
{
	CUresult r = CUDA_SUCCESS;

	if (!config || (config->numAttrs && !config->attrs))
		return CUDA_ERROR_INVALID_VALUE;
	struct launch_shape shape = {
	    .grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
	    .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
	    .shared = config->sharedMemBytes,
	};
	for (unsigned i = 0; r == CUDA_SUCCESS && i < config->numAttrs; i++)
		r = launch_read_attribute(&config->attrs[i], &shape);
	return r == CUDA_SUCCESS ? launch_kernel(function, &shape, config->hStream, values, extra)
				 : r;
}
