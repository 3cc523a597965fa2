/* What the conformance programs about graphs' copies of ordinary memory share: a graph, a stream,
 * memory of both sides, and nodes over them. */
#pragma once

#include "conform.h"

enum { N = 20000, BYTES = 4 * N };

struct fixture {
	CUcontext context;
	CUgraph graph;
	CUstream stream;
	CUdeviceptr data;
	unsigned *source, *result; /* ordinary */
};

static inline struct fixture begin(void)
{
	struct fixture t = {0};

	conform_begin();
	OK(cuCtxGetCurrent(&t.context));
	OK(cuStreamCreate(&t.stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&t.data, BYTES));
	NEEDS(cuGraphCreate(&t.graph, 0));
	t.source = calloc(N, sizeof(unsigned));
	t.result = calloc(N, sizeof(unsigned));
	return t;
}

static inline CUDA_MEMCPY3D row(
    CUmemorytype to_type, const void *to, CUmemorytype from_type, const void *from)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = from_type,
	    .srcHost = from,
	    .srcDevice = (CUdeviceptr)from,
	    .srcPitch = BYTES,
	    .srcHeight = 1,
	    .dstMemoryType = to_type,
	    .dstHost = (void *)to,
	    .dstDevice = (CUdeviceptr)to,
	    .dstPitch = BYTES,
	    .dstHeight = 1,
	    .WidthInBytes = BYTES,
	    .Height = 1,
	    .Depth = 1};
}

static inline CUDA_MEMCPY3D to_device(CUdeviceptr to, const void *from)
{
	return row(CU_MEMORYTYPE_DEVICE, (void *)to, CU_MEMORYTYPE_HOST, from);
}

static inline CUDA_MEMCPY3D to_host(void *to, CUdeviceptr from)
{
	return row(CU_MEMORYTYPE_HOST, to, CU_MEMORYTYPE_DEVICE, (void *)from);
}

static inline CUgraphNode add_copy(
    struct fixture *t, CUgraph graph, CUgraphNode after, CUDA_MEMCPY3D copy)
{
	CUgraphNode node = NULL;
	CUresult r = cuGraphAddMemcpyNode(&node, graph, &after, after ? 1 : 0, &copy, t->context);

	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("this device does not support memcpy nodes");
	OK(r);
	return node;
}

static inline CUgraphNode add_increment(struct fixture *t, CUgraph graph, CUgraphNode after)
{
	int n = N;
	CUDA_KERNEL_NODE_PARAMS kernel = {.func = conform_kernel("increment"),
	    .gridDimX = 8,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 256,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .kernelParams = (void *[]){&t->data, &n}};
	CUgraphNode node = NULL;

	OK(cuGraphAddKernelNode(&node, graph, &after, after ? 1 : 0, &kernel));
	return node;
}

static inline void fill(unsigned *words, unsigned value)
{
	for (int i = 0; i < N; i++)
		words[i] = value + (unsigned)i;
}

static inline void check(const unsigned *words, unsigned value)
{
	for (int i = 0; i < N; i++)
		CHECK_EQ(words[i], value + (unsigned)i);
}

static inline void run_and_check(struct fixture *t, CUgraphExec exec)
{
	for (unsigned round = 0; round < 5; round++) {
		fill(t->source, 1000 * round);
		OK(cuGraphLaunch(exec, t->stream));
		OK(cuStreamSynchronize(t->stream));
		check(t->result, 1000 * round + 1);
	}
}

static inline void add_to(void *user)
{
	unsigned *words = user;

	for (int i = 0; i < N; i++)
		words[i] += 100;
}

static inline CUgraph capture_round_trip(struct fixture *t, unsigned *from, unsigned *to)
{
	CUgraph graph;
	int n = N;

	OK(cuStreamBeginCapture(t->stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuMemcpyHtoDAsync(t->data, from, BYTES, t->stream));
	OK(conform_launch(
	    conform_kernel("increment"), 8, 256, 0, t->stream, (void *[]){&t->data, &n}));
	OK(cuMemcpyDtoHAsync(to, t->data, BYTES, t->stream));
	OK(cuStreamEndCapture(t->stream, &graph));
	return graph;
}
