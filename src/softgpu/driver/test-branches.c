/* Graphs with branches: what has no order runs at once, what has one keeps it. */
#include <stdatomic.h>
#include <unistd.h>

#include "softgpu/driver/test-driver.h"

#define N	4096
#define NODES	48
#define PATIENT 10000 /* ms, until a test gives up */

static CUgraph graph_new(void)
{
	CUgraph graph;

	test_context();
	CHECK_OK(cuGraphCreate(&graph, 0));
	return graph;
}

static CUgraphNode add_host(
    CUgraph graph, const CUgraphNode *needs, size_t n, CUhostFn call, void *user)
{
	CUDA_HOST_NODE_PARAMS params = {.fn = call, .userData = user};
	CUgraphNode node;

	CHECK_OK(cuGraphAddHostNode(&node, graph, needs, n, &params));
	return node;
}

static CUgraphNode add_fill(
    CUgraph graph, const CUgraphNode *needs, size_t n, CUdeviceptr address, unsigned value)
{
	CUDA_MEMSET_NODE_PARAMS params = {
	    .dst = address, .value = value, .elementSize = 1, .width = N, .height = 1};
	CUgraphNode node;

	CHECK_OK(cuGraphAddMemsetNode(&node, graph, needs, n, &params, NULL));
	return node;
}

static CUgraphNode add_kernel(CUgraph graph, const CUgraphNode *needs, size_t n,
    CUfunction function, CUdeviceptr mine, CUdeviceptr other)
{
	CUDA_KERNEL_NODE_PARAMS params = {.func = function,
	    .gridDimX = 1,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 1,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .kernelParams = (void *[]){&mine, &other}};
	CUgraphNode node;

	CHECK_OK(cuGraphAddKernelNode_v2(&node, graph, needs, n, &params));
	return node;
}

static void run(CUgraph graph, unsigned times)
{
	CUgraphExec exec;
	CUstream stream;

	CHECK_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	while (times--)
		CHECK_OK(cuGraphLaunch(exec, stream));
	CHECK_OK(cuStreamSynchronize(stream));
	CHECK_OK(cuGraphExecDestroy(exec));
	CHECK_OK(cuGraphDestroy(graph));
	CHECK_OK(cuStreamDestroy_v2(stream));
}

static bool wait_until(atomic_int *count, int wanted)
{
	for (int i = 0; i < PATIENT && atomic_load(count) < wanted; i++)
		usleep(1000);
	return atomic_load(count) >= wanted;
}

static atomic_int n_begun, n_met;

/* Each waits for all others to have begun. */
static void meet(void *n)
{
	atomic_fetch_add(&n_begun, 1);
	atomic_fetch_add(&n_met, wait_until(&n_begun, (int)(intptr_t)n));
}

TEST(branches_run_at_once)
{
	CUgraph graph = graph_new();
	CUgraphNode nodes[4];

	for (int i = 0; i < 4; i++)
		nodes[i] = add_host(graph, NULL, 0, meet, (void *)4);
	add_host(graph, nodes, 4, meet, (void *)5);
	run(graph, 1);
	CHECK_EQ(n_met, 5);
}

TEST(branches_of_a_child_run_at_once)
{
	CUgraph graph = graph_new(), child;
	CUgraphNode node;

	CHECK_OK(cuGraphCreate(&child, 0));
	add_host(child, NULL, 0, meet, (void *)3);
	add_host(child, NULL, 0, meet, (void *)3);
	CHECK_OK(cuGraphAddChildGraphNode(&node, graph, NULL, 0, child));
	add_host(graph, NULL, 0, meet, (void *)3);
	CHECK_OK(cuGraphDestroy(child));
	run(graph, 1);
	CHECK_EQ(n_met, 3);
}

/* A graph of host nodes with random edges, each of which looks whether its turn has come. */
static struct place {
	atomic_int rounds;
	int needs[NODES], n_needs;
} places[NODES];
static atomic_int n_wrong;

static void take_turn(void *user)
{
	struct place *place = user;
	int round = atomic_load(&place->rounds) + 1;

	for (int i = 0; i < place->n_needs; i++)
		if (atomic_load(&places[place->needs[i]].rounds) != round)
			atomic_fetch_add(&n_wrong, 1);
	if (round % 7 == 0)
		usleep(100);
	atomic_store(&place->rounds, round);
}

TEST(edges_are_kept)
{
	CUgraph graph = graph_new();
	CUgraphNode nodes[NODES];
	unsigned seed = 7;

	for (int i = 0; i < NODES; i++) {
		CUgraphNode needs[NODES];

		for (int k = 0; k < i; k++) {
			seed = seed * 1103515245 + 12345;
			if (seed >> 16 & 3)
				continue;
			needs[places[i].n_needs] = nodes[k];
			places[i].needs[places[i].n_needs++] = k;
		}
		nodes[i] = add_host(graph, needs, (size_t)places[i].n_needs, take_turn, &places[i]);
	}
	run(graph, 40);
	CHECK_EQ(n_wrong, 0);
	for (int i = 0; i < NODES; i++)
		CHECK_EQ(places[i].rounds, 40);
}

/* What was made first comes later: the program's order is not that of the nodes. */
TEST(an_edge_to_an_older_node)
{
	CUgraph graph = graph_new();
	CUdeviceptr memory = test_alloc(N);
	CUgraphNode late = add_fill(graph, NULL, 0, memory, 2),
		    early = add_fill(graph, NULL, 0, memory, 1);
	unsigned char bytes[N];

	add_host(graph, NULL, 0, meet, (void *)1);
	CHECK_OK(cuGraphAddDependencies_v2(graph, &early, &late, NULL, 1));
	run(graph, 20);
	CHECK_OK(cuMemcpyDtoH_v2(bytes, memory, N));
	for (int i = 0; i < N; i++)
		CHECK_EQ(bytes[i], 2);
}

/* Each branch allocates, fills, copies out and frees. */
TEST(branches_with_memory_of_their_own)
{
	CUgraph graph = graph_new();
	static unsigned char bytes[8][N];

	for (unsigned i = 0; i < 8; i++) {
		CUDA_MEM_ALLOC_NODE_PARAMS alloc = {
		    .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
			.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
		    .bytesize = N};
		CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
		    .dstMemoryType = CU_MEMORYTYPE_HOST,
		    .dstHost = bytes[i],
		    .WidthInBytes = N,
		    .Height = 1,
		    .Depth = 1};
		CUgraphNode node;

		CHECK_OK(cuGraphAddMemAllocNode(&node, graph, NULL, 0, &alloc));
		node = add_fill(graph, &node, 1, alloc.dptr, i + 1);
		copy.srcDevice = alloc.dptr;
		CHECK_OK(cuGraphAddMemcpyNode(&node, graph, &node, 1, &copy, NULL));
		CHECK_OK(cuGraphAddMemFreeNode(&node, graph, &node, 1, alloc.dptr));
	}
	run(graph, 10);
	for (unsigned i = 0; i < 8; i++)
		for (unsigned k = 0; k < N; k++)
			CHECK_EQ(bytes[i][k], i + 1);
}

/* Each branch's condition chooses for itself. */
TEST(branches_with_conditions)
{
	CUgraph graph = graph_new();
	CUdeviceptr memory = test_alloc(4 * N);
	CUgraphNode nodes[4];
	unsigned char bytes[4 * N];
	CUcontext context;

	CHECK_OK(cuCtxGetCurrent(&context));
	for (unsigned i = 0; i < 4; i++) {
		CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL};

		nodes[i] = add_fill(graph, NULL, 0, memory + i * N, 9);
		CHECK_OK(cuGraphConditionalHandleCreate(&params.conditional.handle, graph, context,
		    i % 2, CU_GRAPH_COND_ASSIGN_DEFAULT));
		params.conditional.type = CU_GRAPH_COND_TYPE_IF;
		params.conditional.size = 1;
		CHECK_OK(cuGraphAddNode_v2(&nodes[i], graph, &nodes[i], NULL, 1, &params));
		add_fill(params.conditional.phGraph_out[0], NULL, 0, memory + i * N, i);
	}
	add_host(graph, nodes, 4, meet, (void *)1);
	run(graph, 1);
	CHECK_EQ(n_met, 1);
	CHECK_OK(cuMemcpyDtoH_v2(bytes, memory, sizeof(bytes)));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		CHECK_EQ(bytes[i], i / N % 2 ? i / N : 9);
}

static atomic_int n_released;

static void release(void *unused)
{
	atomic_store(&n_released, 1);
}

static void until_released(void *unused)
{
	atomic_fetch_add(&n_met, wait_until(&n_released, 1));
}

/* More branches wait for an event than there are helpers; what it takes to come is a branch too. */
TEST(branches_that_wait_let_others_run)
{
	CUgraph graph = graph_new();
	CUstream other;
	CUevent event;

	CHECK_OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	CHECK_OK(cuLaunchHostFunc(other, until_released, NULL));
	CHECK_OK(cuEventRecord(event, other));
	for (int i = 0; i < 40; i++) {
		CUgraphNode node;

		CHECK_OK(cuGraphAddEventWaitNode(&node, graph, NULL, 0, event));
	}
	add_host(graph, NULL, 0, release, NULL);
	run(graph, 1);
	CHECK_EQ(n_met, 1);
	CHECK_OK(cuEventDestroy_v2(event));
}

/* Raises its own word and waits until the other's is up; a third kernel writes nowhere. */
static const char kernels[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n"
    ".visible .entry greet(.param .u64 mine, .param .u64 other) {\n"
    ".reg .b64 %d<3>; .reg .b32 %r; .reg .pred %p;\n"
    "ld.param.u64 %d1, [mine]; ld.param.u64 %d2, [other]; st.release.gpu.global.u32 [%d1], 1;\n"
    "WAIT: ld.acquire.gpu.global.u32 %r, [%d2]; setp.eq.u32 %p, %r, 0; @%p bra WAIT; ret; }\n"
    ".visible .entry stray(.param .u64 mine, .param .u64 other) {\n"
    ".reg .b64 %d; mov.u64 %d, 64; st.global.u32 [%d], 1; ret; }\n";

static CUfunction function(const char *name)
{
	CUmodule module;
	CUfunction found;

	if (TEST_THREAD_SANITIZER)
		SKIP("kernels do not run under ThreadSanitizer");
	CHECK_OK(cuModuleLoadData(&module, kernels));
	CHECK_OK(cuModuleGetFunction(&found, module, name));
	return found;
}

TEST(kernels_of_two_branches_run_at_once)
{
	CUgraph graph = graph_new();
	CUfunction greet = function("greet");
	CUdeviceptr words = test_alloc(8);

	CHECK_OK(cuMemsetD32_v2(words, 0, 2));
	add_kernel(graph, NULL, 0, greet, words, words + 4);
	add_kernel(graph, NULL, 0, greet, words + 4, words);
	run(graph, 1);
}

TEST(kernels_of_two_streams_run_at_once)
{
	CUstream streams[2];
	CUfunction greet;
	CUdeviceptr words[2];

	test_context();
	greet = function("greet");
	words[0] = test_alloc(8);
	words[1] = words[0] + 4;
	CHECK_OK(cuMemsetD32_v2(words[0], 0, 2));
	for (int i = 0; i < 2; i++) {
		CHECK_OK(cuStreamCreate(&streams[i], CU_STREAM_NON_BLOCKING));
		CHECK_OK(cuLaunchKernel(greet, 1, 1, 1, 1, 1, 1, 0, streams[i],
		    (void *[]){&words[i], &words[!i]}, NULL));
	}
	CHECK_OK(cuStreamSynchronize(streams[0]));
	CHECK_OK(cuStreamSynchronize(streams[1]));
}

static atomic_int n_inside, n_most_inside;

static void be_inside(void *unused)
{
	int n = atomic_fetch_add(&n_inside, 1) + 1;

	if (n > atomic_load(&n_most_inside))
		atomic_store(&n_most_inside, n);
	usleep(2000);
	atomic_fetch_sub(&n_inside, 1);
}

/* Whatever streams they are in; one that a capture refuses is none. */
TEST(launches_of_one_graph_come_one_after_the_other)
{
	CUgraph graph = graph_new(), captured;
	CUstream streams[4];
	CUgraphExec exec;

	add_host(graph, NULL, 0, be_inside, NULL);
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	for (int i = 0; i < 4; i++)
		CHECK_OK(cuStreamCreate(&streams[i], CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < 16; i++)
		CHECK_OK(cuGraphLaunch(exec, streams[i % 4]));
	CHECK_OK(cuStreamBeginCapture_v2(streams[0], CU_STREAM_CAPTURE_MODE_RELAXED));
	CHECK_EQ(cuGraphLaunch(exec, streams[0]), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	CHECK_EQ(cuStreamEndCapture(streams[0], &captured), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CHECK_OK(cuGraphLaunch(exec, streams[1]));
	CHECK_OK(cuCtxSynchronize());
	CHECK_EQ(n_most_inside, 1);
	CHECK_OK(cuGraphExecDestroy(exec));
	CHECK_OK(cuGraphDestroy(graph));
}

/* What depends on it does not run; what has begun ends. */
TEST(a_branch_that_fails)
{
	CUgraph graph = graph_new();
	CUgraphNode node = add_kernel(graph, NULL, 0, function("stray"), 0, 0);
	CUgraphExec exec;

	add_host(graph, NULL, 0, release, NULL);
	add_host(graph, &node, 1, meet, (void *)1);
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CHECK_OK(cuGraphLaunch(exec, NULL));
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(n_begun, 0);
}
