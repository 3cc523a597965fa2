/* Captures and graphs without kernels: fills, host functions and events show what ran, and when. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

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

TEST(ending_on_another_stream_breaks_a_capture)
{
	struct setting s = begin();
	CUgraph graph = (CUgraph)1;

	CHECK_OK(cuEventRecord(s.fork, s.first));
	CHECK_OK(cuStreamWaitEvent(s.second, s.fork, 0));
	CHECK_EQ(cuStreamEndCapture(s.second, &graph), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
	check_status(s.first, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
	CHECK_EQ(cuStreamEndCapture(s.first, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	check_status(s.second, CU_STREAM_CAPTURE_STATUS_NONE);
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

/* ---- made node by node ---- */

static CUgraphNode add_fill(CUgraph graph, CUgraphNode after, CUdeviceptr address, unsigned value)
{
	CUDA_MEMSET_NODE_PARAMS fill = {
	    .dst = address, .value = value, .elementSize = 1, .width = N, .height = 1};
	CUgraphNode node;

	CHECK_OK(cuGraphAddMemsetNode(&node, graph, &after, after ? 1 : 0, &fill, NULL));
	return node;
}

static CUgraph graph_new(void)
{
	CUgraph graph;

	test_context();
	CHECK_OK(cuGraphCreate(&graph, 0));
	return graph;
}

static void run(CUgraph graph)
{
	CUgraphExec exec;

	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CHECK_OK(cuGraphLaunch(exec, NULL));
	CHECK_OK(cuCtxSynchronize());
	CHECK_OK(cuGraphExecDestroy(exec));
}

TEST(dependencies_decide_not_the_order_of_making)
{
	CUgraph graph = graph_new();
	CUdeviceptr a = test_alloc(N);
	CUgraphNode last = add_fill(graph, NULL, a, 1), middle = add_fill(graph, NULL, a, 2),
		    first = add_fill(graph, NULL, a, 3);
	CUgraphExec exec;

	CHECK_OK(cuGraphAddDependencies(graph, &middle, &last, 1));
	CHECK_OK(cuGraphAddDependencies(graph, &first, &middle, 1));
	run(graph);
	check_memory(a, 1);
	CHECK_EQ(cuGraphAddDependencies(graph, &first, &middle, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuGraphAddDependencies(graph, &first, &first, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuGraphAddDependencies(graph, &last, &first, 1));
	CHECK_EQ(cuGraphInstantiateWithFlags(&exec, graph, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuGraphDestroyNode(middle)); /* the circle is broken */
	run(graph);
	check_memory(a, 3);
	CHECK_OK(cuGraphDestroy(graph));
}

TEST(launches_under_way_keep_what_they_were)
{
	CUgraph graph = graph_new();
	CUdeviceptr a = test_alloc(N), gate = test_alloc(4);
	CUDA_MEMSET_NODE_PARAMS other = {
	    .dst = a, .value = 9, .elementSize = 1, .width = N, .height = 1};
	CUgraphNode node = add_fill(graph, NULL, a, 5);
	CUgraphExec exec;
	CUstream stream;

	CHECK_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuMemsetD32_v2(gate, 0, 1));
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CHECK_OK(cuStreamWaitValue32_v2(stream, gate, 1, CU_STREAM_WAIT_VALUE_EQ));
	CHECK_OK(cuGraphLaunch(exec, stream));
	CHECK_OK(cuGraphExecMemsetNodeSetParams(exec, node, &other, NULL));
	CHECK_OK(cuStreamWriteValue32_v2(NULL, gate, 1, 0));
	CHECK_OK(cuStreamSynchronize(stream));
	check_memory(a, 5);
	CHECK_OK(cuGraphLaunch(exec, stream));
	CHECK_OK(cuStreamSynchronize(stream));
	check_memory(a, 9);
	CHECK_OK(cuGraphExecDestroy(exec));
	CHECK_OK(cuGraphDestroy(graph));
}

TEST(kernels_of_a_module_that_is_gone_do_not_run)
{
	static const char nothing[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
				      ".visible .entry nothing() { ret; }\n";
	CUDA_KERNEL_NODE_PARAMS launch = {.gridDimX = 1,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 1,
	    .blockDimY = 1,
	    .blockDimZ = 1};
	CUgraph graph = graph_new();
	CUgraphNode node;
	CUgraphExec exec;
	CUmodule module;

	CHECK_OK(cuModuleLoadData(&module, nothing));
	CHECK_OK(cuModuleGetFunction(&launch.func, module, "nothing"));
	CHECK_OK(cuGraphAddKernelNode_v2(&node, graph, NULL, 0, &launch));
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CHECK_OK(cuGraphLaunch(exec, NULL));
	CHECK_OK(cuModuleUnload(module));
	CHECK_OK(cuGraphKernelNodeGetParams_v2(node, &launch));
	CHECK_OK(cuGraphLaunch(exec, NULL));
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
}

/* Counts a word down and, at 0, ends the loop. */
static const char countdown[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n"
    ".extern .func cudaGraphSetConditional (.param .b64 a, .param .b32 b);\n"
    ".visible .entry countdown(.param .u64 handle, .param .u64 word) {\n"
    ".reg .b64 %rd<4>; .reg .b32 %r<4>; .reg .pred %p;\n"
    "ld.param.u64 %rd1, [handle]; ld.param.u64 %rd2, [word];\n"
    "ld.global.u32 %r1, [%rd2]; add.u32 %r1, %r1, -1; st.global.u32 [%rd2], %r1;\n"
    "setp.ne.u32 %p, %r1, 0; @%p ret;\n"
    "{ .param .b64 p0; st.param.b64 [p0], %rd1; .param .b32 p1; st.param.b32 [p1], 0;\n"
    "call.uni cudaGraphSetConditional, (p0, p1); }\n"
    "ret; }\n";

TEST(kernels_end_loops)
{
	CUgraph graph = graph_new();
	CUdeviceptr word = test_alloc(4);
	CUgraphNodeParams loop = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL};
	CUgraphConditionalHandle handle;
	CUDA_KERNEL_NODE_PARAMS kernel = {.gridDimX = 1,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 1,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .kernelParams = (void *[]){&handle, &word}};
	CUcontext context;
	CUmodule module;
	CUgraphNode node;
	unsigned left;

	if (TEST_THREAD_SANITIZER)
		SKIP("kernels do not run under ThreadSanitizer");
	CHECK_OK(cuModuleLoadData(&module, countdown));
	CHECK_OK(cuModuleGetFunction(&kernel.func, module, "countdown"));
	CHECK_OK(cuCtxGetCurrent(&context));
	CHECK_OK(cuGraphConditionalHandleCreate(
	    &handle, graph, context, 1, CU_GRAPH_COND_ASSIGN_DEFAULT));
	loop.conditional.handle = handle;
	loop.conditional.type = CU_GRAPH_COND_TYPE_WHILE;
	loop.conditional.size = 1;
	CHECK_OK(cuGraphAddNode_v2(&node, graph, NULL, NULL, 0, &loop));
	CHECK_OK(cuGraphAddKernelNode_v2(&node, loop.conditional.phGraph_out[0], NULL, 0, &kernel));
	CHECK_EQ(cuGraphDestroy(loop.conditional.phGraph_out[0]), CUDA_ERROR_INVALID_VALUE);
	loop.conditional.handle = word;
	CHECK_EQ(cuGraphAddNode_v2(&node, graph, NULL, NULL, 0, &loop), CUDA_ERROR_INVALID_VALUE);
	for (unsigned round = 1; round < 3; round++) {
		CHECK_OK(cuMemsetD32_v2(word, 10 * round, 1));
		run(graph);
		CHECK_OK(cuMemcpyDtoH_v2(&left, word, 4));
		CHECK_EQ(left, 0);
	}
	CHECK_OK(cuGraphDestroy(graph));
}

TEST(memory_of_graphs)
{
	CUgraph graph = graph_new();
	CUDA_MEM_ALLOC_NODE_PARAMS alloc = {
	    .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
		.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
	    .bytesize = N};
	CUgraphExec exec;
	CUgraphNode node;
	uint64_t used, zero = 0;

	CHECK_OK(cuGraphAddMemAllocNode(&node, graph, NULL, 0, &alloc));
	add_fill(graph, node, alloc.dptr, 4);
	CHECK_EQ(cuMemFree_v2(alloc.dptr), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CHECK_OK(cuGraphLaunch(exec, NULL));
	check_memory(alloc.dptr, 4);
	CHECK_OK(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &used));
	CHECK_EQ(used, N);
	CHECK_EQ(cuGraphLaunch(exec, NULL), CUDA_ERROR_INVALID_VALUE); /* not freed yet */
	CHECK_OK(cuMemFreeAsync(alloc.dptr, NULL));
	CHECK_EQ(cuMemFreeAsync(alloc.dptr, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuGraphLaunch(exec, NULL));
	CHECK_OK(cuMemFree_v2(alloc.dptr));
	CHECK_OK(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &used));
	CHECK_EQ(used, N); /* kept for the next launch */
	CHECK_OK(cuDeviceGraphMemTrim(0));
	CHECK_OK(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &used));
	CHECK_EQ(used, 0);
	CHECK_OK(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &used));
	CHECK_EQ(used, N);
	CHECK_OK(cuDeviceSetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &zero));
	CHECK_OK(cuGraphExecDestroy(exec));
	CHECK_OK(cuGraphInstantiateWithFlags(
	    &exec, graph, CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH));
	CHECK_OK(cuGraphLaunch(exec, NULL));
	CHECK_OK(cuGraphLaunch(exec, NULL));
	CHECK_OK(cuGraphExecDestroy(exec));
	CHECK_OK(cuCtxSynchronize());
	CHECK_OK(cuGraphDestroy(graph));
	CHECK_EQ(cuMemcpyDtoH_v2(&used, alloc.dptr, 8), CUDA_ERROR_INVALID_VALUE);
}

TEST(a_launch_that_is_refused_allocates_nothing)
{
	CUgraph graph = graph_new();
	CUDA_MEM_ALLOC_NODE_PARAMS alloc[2];
	CUgraphExec exec;
	CUgraphNode node;

	for (int i = 0; i < 2; i++) {
		alloc[i] = (CUDA_MEM_ALLOC_NODE_PARAMS){
		    .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
			.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
		    .bytesize = N};
		CHECK_OK(cuGraphAddMemAllocNode(&node, graph, NULL, 0, &alloc[i]));
	}
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	for (int kept = 0; kept < 2; kept++) {
		CHECK_OK(cuGraphLaunch(exec, NULL));
		CHECK_OK(cuMemFreeAsync(alloc[!kept].dptr, NULL));
		CHECK_EQ(cuGraphLaunch(exec, NULL), CUDA_ERROR_INVALID_VALUE);
		CHECK_EQ(cuMemFreeAsync(alloc[!kept].dptr, NULL), CUDA_ERROR_INVALID_VALUE);
		CHECK_OK(cuMemFreeAsync(alloc[kept].dptr, NULL));
	}
	CHECK_OK(cuCtxSynchronize());
	CHECK_OK(cuGraphExecDestroy(exec));
	CHECK_OK(cuGraphDestroy(graph));
}

/* No thread can be had for the stream: the launch is refused behind its account. */
TEST(a_launch_without_a_thread_allocates_nothing)
{
	CUgraph graph = graph_new();
	CUDA_MEM_ALLOC_NODE_PARAMS alloc = {
	    .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
		.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
	    .bytesize = N};
	pthread_attr_t before, huge;
	CUstream stream;
	CUgraphExec exec;
	CUgraphNode node;

	CHECK_OK(cuGraphAddMemAllocNode(&node, graph, NULL, 0, &alloc));
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CHECK_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	CHECK_EQ(pthread_getattr_default_np(&before), 0);
	CHECK_EQ(pthread_attr_init(&huge), 0);
	CHECK_EQ(pthread_attr_setstacksize(&huge, (size_t)1 << 47), 0);
	CHECK_EQ(pthread_setattr_default_np(&huge), 0);
	CUresult r = cuGraphLaunch(exec, stream);
	CHECK_EQ(pthread_setattr_default_np(&before), 0);
	CHECK_EQ(r, CUDA_ERROR_OUT_OF_MEMORY);
	CHECK_EQ(cuMemFreeAsync(alloc.dptr, stream), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuGraphLaunch(exec, stream));
	CHECK_OK(cuMemFreeAsync(alloc.dptr, stream));
	CHECK_OK(cuStreamSynchronize(stream));
	CHECK_OK(cuGraphExecDestroy(exec));
	CHECK_OK(cuGraphDestroy(graph));
}

/* Allocating in a stream that is captured makes memory of the graph's own. */
TEST(captured_allocations)
{
	struct setting s = begin();
	CUdeviceptr memory;
	CUgraphNodeType type;
	CUgraphNode nodes[4];
	CUgraphExec exec;
	CUgraph graph, clone;
	size_t n = 4;

	CHECK_EQ(cuMemFreeAsync(s.a, s.first), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuMemAllocAsync(&memory, N, s.first));
	CHECK_OK(cuMemsetD8Async(memory, 6, N, s.first));
	CHECK_OK(cuMemcpyDtoDAsync_v2(s.b, memory, N, s.first));
	CHECK_OK(cuMemFreeAsync(memory, s.first));
	CHECK_EQ(cuStreamEndCapture(s.first, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuStreamEndCapture(s.first, &graph));
	CHECK_OK(cuGraphGetNodes(graph, nodes, &n));
	CHECK_EQ(n, 4);
	CHECK_OK(cuGraphNodeGetType(nodes[0], &type));
	CHECK_EQ(type, CU_GRAPH_NODE_TYPE_MEM_ALLOC);
	CHECK_OK(cuGraphNodeGetType(nodes[3], &type));
	CHECK_EQ(type, CU_GRAPH_NODE_TYPE_MEM_FREE);
	CHECK_EQ(cuGraphClone(&clone, graph), CUDA_ERROR_NOT_SUPPORTED); /* one graph's memory */
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CHECK_OK(cuGraphDestroy(graph));
	for (int i = 0; i < 3; i++) {
		CHECK_OK(cuMemsetD8_v2(s.b, 0, N));
		CHECK_OK(cuGraphLaunch(exec, s.second));
		CHECK_OK(cuStreamSynchronize(s.second));
		check_memory(s.b, 6);
	}
	CHECK_OK(cuGraphExecDestroy(exec));
	CHECK_EQ(cuMemsetD8_v2(memory, 0, N), CUDA_ERROR_INVALID_VALUE);
	finish(&s);
}

static atomic_int n_destroyed;

static void destroyed(void *user)
{
	atomic_fetch_add(&n_destroyed, (int)(intptr_t)user);
}

static void wait_destroyed(int wanted)
{
	for (int i = 0; i < 2000 && atomic_load(&n_destroyed) != wanted; i++)
		usleep(1000);
	CHECK_EQ(atomic_load(&n_destroyed), wanted);
}

TEST(user_objects_live_as_long_as_anything_has_them)
{
	CUgraph graph = graph_new(), clone;
	CUuserObject object;
	CUgraphExec exec;

	CHECK_EQ(cuUserObjectCreate(&object, NULL, destroyed, 1, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuUserObjectCreate(
	    &object, (void *)1, destroyed, 2, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	CHECK_OK(cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE));
	CHECK_EQ(cuUserObjectRelease(object, 2), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuUserObjectRelease(object, 1));
	CHECK_OK(cuGraphClone(&clone, graph));
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CHECK_OK(cuGraphDestroy(graph));
	CHECK_EQ(cuGraphReleaseUserObject(clone, object, 2), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuGraphReleaseUserObject(clone, object, 1));
	CHECK_EQ(atomic_load(&n_destroyed), 0);
	CHECK_OK(cuGraphExecDestroy(exec));
	wait_destroyed(1);
	CHECK_EQ(cuUserObjectRetain(object, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuGraphDestroy(clone));
}

TEST(user_objects_have_any_number_of_references)
{
	const unsigned most = INT32_MAX;
	CUgraph graph = graph_new();
	CUuserObject object;

	atomic_store(&n_destroyed, 0);
	CHECK_OK(cuUserObjectCreate(
	    &object, (void *)1, destroyed, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	for (int i = 0; i < 3; i++)
		CHECK_OK(cuUserObjectRetain(object, most));
	CHECK_OK(cuGraphRetainUserObject(graph, object, most, CU_GRAPH_USER_OBJECT_MOVE));
	CHECK_OK(cuGraphRetainUserObject(graph, object, most, 0));
	CHECK_EQ(cuGraphRetainUserObject(graph, object, most + 1, 0), CUDA_ERROR_INVALID_VALUE);
	for (int i = 0; i < 2; i++)
		CHECK_OK(cuUserObjectRelease(object, most));
	CHECK_OK(cuUserObjectRelease(object, 1));
	CHECK_EQ(cuUserObjectRelease(object, 1), CUDA_ERROR_INVALID_VALUE);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(atomic_load(&n_destroyed), 0);
		CHECK_OK(cuGraphReleaseUserObject(graph, object, most));
	}
	wait_destroyed(1);
	CHECK_OK(cuGraphDestroy(graph));
}
