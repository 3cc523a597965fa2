#include "softgpu/driver/test-driver.h"

#define N 256

static int n_called;

static void called(void *user)
{
	n_called += (int)(intptr_t)user;
}

/* Memory and two streams, the first of which is being captured. */
struct setting {
	CUdeviceptr a, b;
	CUstream first, second;
	CUevent fork, join;
};

static struct setting begin(void)
{
	struct setting s;

	test_context();
	s.a = test_alloc(N);
	s.b = test_alloc(N);
	CHECK_OK(cuMemsetD8_v2(s.a, 0, N));
	CHECK_OK(cuMemsetD8_v2(s.b, 0, N));
	CHECK_OK(cuStreamCreate(&s.first, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuStreamCreate(&s.second, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuEventCreate(&s.fork, CU_EVENT_DISABLE_TIMING));
	CHECK_OK(cuEventCreate(&s.join, CU_EVENT_DISABLE_TIMING));
	CHECK_OK(cuStreamBeginCapture_v2(s.first, CU_STREAM_CAPTURE_MODE_GLOBAL));
	return s;
}

static void finish(struct setting *s)
{
	CHECK_OK(cuEventDestroy_v2(s->fork));
	CHECK_OK(cuEventDestroy_v2(s->join));
}

static void check_memory(CUdeviceptr address, uint8_t wanted)
{
	uint8_t bytes[N];

	CHECK_OK(cuMemcpyDtoH_v2(bytes, address, N));
	for (int i = 0; i < N; i++)
		CHECK_EQ(bytes[i], wanted);
}

static void check_status(CUstream stream, CUstreamCaptureStatus wanted)
{
	CUstreamCaptureStatus status = 9;

	CHECK_OK(cuStreamIsCapturing(stream, &status));
	CHECK_EQ(status, wanted);
}

TEST(captured_work_runs_at_each_launch_only)
{
	struct setting s = begin();
	CUgraphNode nodes[4];
	CUgraphNodeType type;
	CUgraphExec exec;
	CUgraph graph;
	size_t n = 4;

	check_status(s.first, CU_STREAM_CAPTURE_STATUS_ACTIVE);
	check_status(s.second, CU_STREAM_CAPTURE_STATUS_NONE);
	CHECK_OK(cuMemsetD8Async(s.a, 7, N, s.first));
	CHECK_OK(cuMemcpyDtoDAsync_v2(s.b, s.a, N, s.first));
	CHECK_OK(cuLaunchHostFunc(s.first, called, (void *)1));
	CHECK_OK(cuStreamEndCapture(s.first, &graph));
	check_status(s.first, CU_STREAM_CAPTURE_STATUS_NONE);
	CHECK_OK(cuCtxSynchronize());
	check_memory(s.a, 0);
	CHECK_OK(cuGraphGetNodes(graph, NULL, &n));
	CHECK_EQ(n, 3);
	n = 4;
	CHECK_OK(cuGraphGetNodes(graph, nodes, &n));
	CHECK(n == 3 && !nodes[3]);
	CHECK_OK(cuGraphNodeGetType(nodes[1], &type));
	CHECK_EQ(type, CU_GRAPH_NODE_TYPE_MEMCPY);
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CHECK_OK(cuGraphDestroy(graph));
	CHECK_EQ(cuGraphNodeGetType(nodes[1], &type), CUDA_ERROR_INVALID_VALUE);
	for (int i = 1; i <= 3; i++) {
		CHECK_OK(cuMemsetD8_v2(s.b, 0, N));
		CHECK_OK(cuGraphLaunch(exec, s.second));
		CHECK_OK(cuStreamSynchronize(s.second));
		check_memory(s.b, 7);
		CHECK_EQ(n_called, i);
	}
	CHECK_OK(cuGraphLaunch(exec, s.second));
	CHECK_OK(cuGraphExecDestroy(exec));
	CHECK_EQ(cuGraphLaunch(exec, s.second), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuStreamSynchronize(s.second));
	CHECK_EQ(n_called, 4);
	finish(&s);
}

TEST(events_take_other_streams_in)
{
	struct setting s = begin();
	unsigned char source[N];
	CUgraphExec exec;
	CUgraph graph;

	CHECK_OK(cuMemcpyHtoDAsync_v2(s.a, source, N, s.first));
	CHECK_OK(cuEventRecord(s.fork, s.first));
	CHECK_EQ(cuEventQuery(s.fork), CUDA_ERROR_CAPTURED_EVENT);
	CHECK_OK(cuStreamWaitEvent(s.second, s.fork, 0));
	check_status(s.second, CU_STREAM_CAPTURE_STATUS_ACTIVE);
	CHECK_OK(cuMemcpyDtoDAsync_v2(s.b, s.a, N, s.second));
	CHECK_OK(cuEventRecord(s.join, s.second));
	CHECK_OK(cuStreamWaitEvent(s.first, s.join, 0));
	CHECK_EQ(cuStreamEndCapture(s.second, &graph), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
	CHECK_OK(cuStreamEndCapture(s.first, &graph));
	check_status(s.second, CU_STREAM_CAPTURE_STATUS_NONE);
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	/* The program's memory is read when the graph runs. */
	memset(source, 9, N);
	CHECK_OK(cuGraphLaunch(exec, s.first));
	CHECK_OK(cuStreamSynchronize(s.first));
	check_memory(s.b, 9);
	CHECK_OK(cuGraphExecDestroy(exec));
	CHECK_OK(cuGraphDestroy(graph));
	finish(&s);
}

TEST(waiting_breaks_a_capture)
{
	struct setting s = begin();
	CUgraph graph = (CUgraph)1;

	CHECK_EQ(cuStreamSynchronize(s.first), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	check_status(s.first, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
	CHECK_EQ(cuMemsetD8Async(s.a, 7, N, s.first), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CHECK_EQ(cuStreamEndCapture(s.first, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CHECK(!graph);
	CHECK_OK(cuMemsetD8Async(s.a, 7, N, s.first));
	CHECK_OK(cuStreamSynchronize(s.first));
	check_memory(s.a, 7);
	CHECK_EQ(cuStreamEndCapture(s.first, &graph), CUDA_ERROR_ILLEGAL_STATE);
	finish(&s);
}

TEST(the_legacy_stream_cannot_be_part_of_it)
{
	CUdeviceptr a;
	CUstream stream;
	CUgraph graph;

	test_context();
	a = test_alloc(N);
	CHECK_OK(cuStreamCreate(&stream, 0));
	CHECK_EQ(cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL),
	    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	CHECK_OK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	CHECK_EQ(cuMemsetD8Async(a, 1, N, NULL), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
	CHECK_EQ(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CHECK_OK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	CHECK_OK(cuStreamDestroy_v2(stream));
	CHECK_OK(cuMemsetD8Async(a, 1, N, NULL));
	check_memory(a, 1);
}
