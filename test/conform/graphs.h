/* What the conformance programs about graphs share: a graph, a stream, some memory, and nodes over
 * them. */
#pragma once

#include "conform.h"

#define N 1000

/* What most tests need; all memory holds N words. */
struct graph_test {
	CUcontext context;
	CUgraph graph;
	CUstream stream;
	CUdeviceptr data;
	unsigned *host; /* pinned */
	CUfunction fill, increment;
};

static inline struct graph_test begin(void)
{
	struct graph_test t = {0};

	conform_begin();
	OK(cuCtxGetCurrent(&t.context));
	CUresult r = cuGraphCreate(&t.graph, 0);
	if (r == CUDA_SUCCESS)
		r = cuCtxSynchronize(); /* where creating may fail later */
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no graphs on this device");
	OK(r);
	OK(cuStreamCreate(&t.stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&t.data, N * sizeof(unsigned)));
	OK(cuMemAllocHost((void **)&t.host, N * sizeof(unsigned)));
	t.fill = conform_kernel("fill");
	t.increment = conform_kernel("increment");
	return t;
}

/* A kernel over N words. */
static inline CUDA_KERNEL_NODE_PARAMS kernel(CUfunction function, void **values)
{
	return (CUDA_KERNEL_NODE_PARAMS){.func = function,
	    .gridDimX = 4,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 256,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .kernelParams = values};
}

static inline CUgraphNode add_kernel(
    CUgraph graph, const CUgraphNode *after, size_t count, CUfunction function, void **values)
{
	CUDA_KERNEL_NODE_PARAMS parameters = kernel(function, values);
	CUgraphNode node;

	NEEDS(cuGraphAddKernelNode(&node, graph, after, count, &parameters));
	return node;
}

static inline CUgraphNode add_increment(
    struct graph_test *t, CUgraph graph, const CUgraphNode *after)
{
	int n = N;

	return add_kernel(graph, after, after ? 1 : 0, t->increment, (void *[]){&t->data, &n});
}

static inline CUDA_MEMSET_NODE_PARAMS words(CUdeviceptr address, unsigned value)
{
	return (CUDA_MEMSET_NODE_PARAMS){
	    .dst = address, .value = value, .elementSize = 4, .width = N, .height = 1};
}

static inline CUgraphNode add_set(struct graph_test *t, CUgraph graph, unsigned value)
{
	CUDA_MEMSET_NODE_PARAMS parameters = words(t->data, value);
	CUgraphNode node;

	NEEDS(cuGraphAddMemsetNode(&node, graph, NULL, 0, &parameters, t->context));
	return node;
}

static inline CUDA_MEMCPY3D to_host(CUdeviceptr from, void *to)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
	    .srcDevice = from,
	    .dstMemoryType = CU_MEMORYTYPE_HOST,
	    .dstHost = to,
	    .WidthInBytes = N * sizeof(unsigned),
	    .Height = 1,
	    .Depth = 1};
}

static inline CUDA_MEMCPY3D to_device(const void *from, CUdeviceptr to)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = from,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = to,
	    .WidthInBytes = N * sizeof(unsigned),
	    .Height = 1,
	    .Depth = 1};
}

static inline CUgraphNode add_fetch(struct graph_test *t, const CUgraphNode *after)
{
	CUDA_MEMCPY3D copy = to_host(t->data, t->host);
	CUgraphNode node;

	NEEDS(cuGraphAddMemcpyNode(&node, t->graph, after, after ? 1 : 0, &copy, t->context));
	return node;
}

static inline CUgraphExec instantiate(CUgraph graph)
{
	CUgraphExec exec;

	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	return exec;
}

static inline void run_graph(struct graph_test *t, CUgraphExec exec)
{
	OK(cuGraphLaunch(exec, t->stream));
	OK(cuStreamSynchronize(t->stream));
}

static inline void check_host(const struct graph_test *t, unsigned wanted)
{
	for (int i = 0; i < N; i++)
		CHECK_EQ(t->host[i], wanted);
}

/* What is in device memory, whatever the graph copied. */
static inline void check_device(struct graph_test *t, unsigned wanted)
{
	OK(cuMemcpyDtoH(t->host, t->data, N * sizeof(unsigned)));
	check_host(t, wanted);
}
