/*
 * A node's work is made by the function that would otherwise queue it, on a stream of its own that
 * is captured: so a node does what the call does, checks what it checks, and is refused for the
 * same reasons.
 */
#include "softgpu/driver/graph_node.h"

#include "softgpu/driver/driver.h"
#include "softgpu/driver/stream.h"

static CUresult issue_kernel(
    const CUgraphNodeParams *params, const struct sg_launch_traits *traits, CUstream stream)
{
	const CUDA_KERNEL_NODE_PARAMS_v3 *k = &params->kernel;
	CUlaunchAttribute attributes[2] = {
	    {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value.cooperative = traits->cooperative},
	    {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
		.value.clusterDim = {traits->cluster[0], traits->cluster[1], traits->cluster[2]}},
	};
	const CUlaunchConfig config = {
	    .gridDimX = k->gridDimX,
	    .gridDimY = k->gridDimY,
	    .gridDimZ = k->gridDimZ,
	    .blockDimX = k->blockDimX,
	    .blockDimY = k->blockDimY,
	    .blockDimZ = k->blockDimZ,
	    .sharedMemBytes = k->sharedMemBytes,
	    .hStream = stream,
	    .attrs = attributes,
	    .numAttrs = traits->cluster[0] ? 2 : 1,
	};

	return cuLaunchKernelEx(&config, k->func ?: (CUfunction)k->kern, k->kernelParams, k->extra);
}

static CUresult issue_fill(const CUgraphNodeParams *params, CUstream stream)
{
	const CUDA_MEMSET_NODE_PARAMS_v2 *p = &params->memset;
	size_t pitch = p->height > 1 ? p->pitch : p->width * p->elementSize;

	switch (p->elementSize) {
	case 1:
		return cuMemsetD2D8Async(
		    p->dst, pitch, (unsigned char)p->value, p->width, p->height, stream);
	case 2:
		return cuMemsetD2D16Async(
		    p->dst, pitch, (unsigned short)p->value, p->width, p->height, stream);
	case 4:
		return cuMemsetD2D32Async(p->dst, pitch, p->value, p->width, p->height, stream);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult issue(
    const CUgraphNodeParams *params, const struct sg_launch_traits *traits, CUstream stream)
{
	switch (params->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return issue_kernel(params, traits, stream);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return cuMemcpy3DAsync_v2(&params->memcpy.copyParams, stream);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		return issue_fill(params, stream);
	case CU_GRAPH_NODE_TYPE_HOST:
		return cuLaunchHostFunc(stream, params->host.fn, params->host.userData);
	default:
		return cuStreamBatchMemOp_v2(
		    stream, params->memOp.count, params->memOp.paramArray, params->memOp.flags);
	}
}

bool sg_node_is_work(CUgraphNodeType type)
{
	return type == CU_GRAPH_NODE_TYPE_KERNEL || type == CU_GRAPH_NODE_TYPE_MEMCPY ||
	       type == CU_GRAPH_NODE_TYPE_MEMSET || type == CU_GRAPH_NODE_TYPE_HOST ||
	       type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP;
}

static CUresult nothing_run(struct sg_work *work, struct sg_context *context)
{
	return CUDA_SUCCESS;
}

static CUresult work_of_nothing(CUgraphNodeType type, struct sg_work **out)
{
	struct sg_work *work = sg_work_new(sizeof(*work), nothing_run);

	if (!work)
		return CUDA_ERROR_OUT_OF_MEMORY;
	work->node = SG_NODE(type);
	*out = work;
	return CUDA_SUCCESS;
}

/* Captures what is issued into a graph for the purpose, of which the one node's work is kept. */
static CUresult capture(const CUgraphNodeParams *params, const struct sg_launch_traits *traits,
    struct sg_context *context, struct sg_graph *graph, struct sg_work **work)
{
	/* Nobody else knows the stream, so the id need not differ from another's. */
	struct sg_capture recording = {.graph = graph, .id = UINT64_MAX};
	struct sg_stream *stream;
	CUstream handle;
	CUresult r = cuStreamCreate(&handle, CU_STREAM_NON_BLOCKING);

	if (r != CUDA_SUCCESS)
		return r;
	sg_stream_get(handle, context, &stream);
	recording.origin = stream;
	sg_engine_lock();
	stream->capture = &recording;
	sg_engine_unlock();
	r = issue(params, traits, handle);
	sg_engine_lock();
	stream->capture = NULL;
	sg_engine_unlock();
	cuStreamDestroy_v2(handle);
	if (r != CUDA_SUCCESS)
		return r;
	if (graph->n_nodes != 1) /* it would do nothing */
		return CUDA_ERROR_INVALID_VALUE;
	sg_work_ref(graph->nodes[0]->work);
	*work = graph->nodes[0]->work;
	return CUDA_SUCCESS;
}

CUresult sg_node_work(
    const CUgraphNodeParams *params, const struct sg_launch_traits *traits, struct sg_work **work)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	if (!sg_node_is_work(params->type))
		return work_of_nothing(params->type, work);
	struct sg_graph *graph = sg_graph_new();
	if (!graph)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = capture(params, traits, context, graph, work);
	sg_graph_free(graph);
	return r;
}
