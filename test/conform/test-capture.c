/* Stream capture beyond one stream: forks, several threads, modes, and what breaks a capture. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "conform.h"

enum { THREADS = 6, N = 1000 };

static CUcontext context;
static CUfunction fill, increment;

static void begin(void)
{
	conform_begin();
	OK(cuCtxGetCurrent(&context));
	fill = conform_kernel("fill");
	increment = conform_kernel("increment");
}

static CUstream stream_new(unsigned flags)
{
	CUstream stream;

	OK(cuStreamCreate(&stream, flags));
	return stream;
}

static CUevent event_new(void)
{
	CUevent event;

	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	return event;
}

static CUdeviceptr words_new(void)
{
	CUdeviceptr data;

	OK(cuMemAlloc(&data, N * sizeof(unsigned)));
	OK(cuMemsetD32(data, 0, N));
	OK(cuCtxSynchronize()); /* streams that wait for nobody come next */
	return data;
}

static void add(CUdeviceptr data, CUstream stream)
{
	int n = N;

	OK(conform_launch(increment, 4, 256, 0, stream, (void *[]){&data, &n}));
}

static void set(CUdeviceptr data, unsigned value, CUstream stream)
{
	int n = N;

	OK(conform_launch(fill, 4, 256, 0, stream, (void *[]){&data, &value, &n}));
}

static void check_words(CUdeviceptr data, unsigned wanted)
{
	unsigned got[N];

	OK(cuMemcpyDtoH(got, data, sizeof(got)));
	for (int i = 0; i < N; i++)
		CHECK_EQ(got[i], wanted);
}

/* One stream's later work waits for what another has now. */
static void order(CUstream first, CUstream then)
{
	CUevent event = event_new();

	OK(cuEventRecord(event, first));
	OK(cuStreamWaitEvent(then, event, 0));
	OK(cuEventDestroy(event));
}

static void run(CUgraph graph)
{
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
	CUgraphExec exec;

	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	OK(cuGraphLaunch(exec, stream));
	OK(cuStreamSynchronize(stream));
	OK(cuGraphExecDestroy(exec));
	OK(cuStreamDestroy(stream));
}

static CUstreamCaptureStatus status_of(CUstream stream)
{
	CUstreamCaptureStatus status;

	OK(cuStreamIsCapturing(stream, &status));
	return status;
}

/* Ends a capture that something broke. */
static void end_broken(CUstream stream)
{
	CUgraph graph = (CUgraph)1;

	CHECK_EQ(status_of(stream), CU_STREAM_CAPTURE_STATUS_INVALIDATED);
	GIVES(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CHECK(!graph);
	CHECK_EQ(status_of(stream), CU_STREAM_CAPTURE_STATUS_NONE);
}

/* --- forks --- */

CONFORM(streams_join_and_leave_through_events)
{
	begin();
	CUstream origin = stream_new(CU_STREAM_NON_BLOCKING),
		 other = stream_new(CU_STREAM_NON_BLOCKING);
	CUdeviceptr a = words_new(), b = words_new();
	CUgraph graph;
	size_t nodes = 0, edges = 0;

	OK(cuStreamBeginCapture(origin, CU_STREAM_CAPTURE_MODE_GLOBAL));
	set(a, 5, origin);
	CHECK_EQ(status_of(other), CU_STREAM_CAPTURE_STATUS_NONE);
	order(origin, other);
	CHECK_EQ(status_of(other), CU_STREAM_CAPTURE_STATUS_ACTIVE);
	add(a, origin);
	set(b, 8, other);
	add(b, other);
	order(other, origin);
	OK(cuMemcpyDtoDAsync(a, b, 4, origin)); /* after both */
	OK(cuStreamEndCapture(origin, &graph));
	CHECK_EQ(status_of(other), CU_STREAM_CAPTURE_STATUS_NONE);
	OK(cuGraphGetNodes(graph, NULL, &nodes));
	CHECK_EQ(nodes, 5);
	OK(cuGraphGetEdges(graph, NULL, NULL, NULL, &edges));
	CHECK_EQ(edges, 5);
	check_words(a, 0); /* nothing has run yet */
	run(graph);
	check_words(b, 9);
	OK(cuMemcpyDtoD(b, a + 4, 4));
	OK(cuMemcpyDtoD(a, b, 4));
	check_words(a, 6);
}

CONFORM(a_stream_that_was_not_joined_breaks_it)
{
	begin();
	CUstream origin = stream_new(CU_STREAM_NON_BLOCKING),
		 other = stream_new(CU_STREAM_NON_BLOCKING);
	CUdeviceptr data = words_new();
	CUgraph graph = (CUgraph)1;

	OK(cuStreamBeginCapture(origin, CU_STREAM_CAPTURE_MODE_GLOBAL));
	set(data, 1, origin);
	order(origin, other);
	add(data, other);
	GIVES(cuStreamEndCapture(origin, &graph), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
	CHECK(!graph);
	CHECK_EQ(status_of(origin), CU_STREAM_CAPTURE_STATUS_NONE);
	CHECK_EQ(status_of(other), CU_STREAM_CAPTURE_STATUS_NONE);
	set(data, 3, other);
	OK(cuStreamSynchronize(other));
	check_words(data, 3);
}

CONFORM(only_the_stream_that_began_ends_it)
{
	begin();
	CUstream origin = stream_new(CU_STREAM_NON_BLOCKING),
		 other = stream_new(CU_STREAM_NON_BLOCKING);
	CUgraph graph;

	GIVES(cuStreamEndCapture(origin, &graph), CUDA_ERROR_ILLEGAL_STATE);
	OK(cuStreamBeginCapture(origin, CU_STREAM_CAPTURE_MODE_GLOBAL));
	order(origin, other);
	GIVES(cuStreamEndCapture(other, &graph), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
}

CONFORM(two_captures_do_not_merge)
{
	begin();
	CUstream a = stream_new(CU_STREAM_NON_BLOCKING), b = stream_new(CU_STREAM_NON_BLOCKING);
	CUdeviceptr data = words_new();
	CUevent event = event_new();

	OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuStreamBeginCapture(b, CU_STREAM_CAPTURE_MODE_GLOBAL));
	set(data, 1, a);
	OK(cuEventRecord(event, a));
	GIVES(cuStreamWaitEvent(b, event, 0), CUDA_ERROR_STREAM_CAPTURE_MERGE);
	end_broken(a);
	end_broken(b);
}

static atomic_bool let_go;

static void wait_for_it(void *unused)
{
	(void)unused;
	while (!atomic_load(&let_go))
		usleep(1000);
}

CONFORM(a_capture_waits_for_nothing_outside)
{
	begin();
	CUstream inside = stream_new(CU_STREAM_NON_BLOCKING),
		 outside = stream_new(CU_STREAM_NON_BLOCKING);
	CUevent event = event_new();

	OK(cuLaunchHostFunc(outside, wait_for_it, NULL));
	OK(cuEventRecord(event, outside));
	OK(cuStreamBeginCapture(inside, CU_STREAM_CAPTURE_MODE_GLOBAL));
	GIVES(cuStreamWaitEvent(inside, event, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
	end_broken(inside);
	atomic_store(&let_go, true);
	OK(cuStreamSynchronize(outside));
}

/* --- what cannot be captured --- */

CONFORM(waiting_for_captured_work_breaks_it)
{
	begin();
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
	CUdeviceptr data = words_new();

	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	add(data, stream);
	GIVES(cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	end_broken(stream);
	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	add(data, stream);
	GIVES(cuStreamQuery(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	end_broken(stream);
	check_words(data, 0);
}

CONFORM(a_captured_event_is_no_answer)
{
	begin();
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
	CUevent event = event_new();
	CUgraph graph;

	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	OK(cuEventRecord(event, stream));
	GIVES(cuEventQuery(event), CUDA_ERROR_CAPTURED_EVENT);
	GIVES(cuEventSynchronize(event), CUDA_ERROR_INVALID_VALUE);
	cuStreamEndCapture(stream, &graph);
	OK(cuEventRecord(event, stream)); /* and one that is recorded again is */
	OK(cuEventSynchronize(event));
	OK(cuEventQuery(event));
}

CONFORM(the_legacy_stream_stays_out)
{
	begin();
	CUstream blocking = stream_new(CU_STREAM_DEFAULT);
	CUdeviceptr data = words_new();
	int n = N;

	GIVES(cuStreamBeginCapture(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL),
	    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	/* Its work would depend on a blocking stream's, which has not run. */
	OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
	add(data, blocking);
	GIVES(conform_launch(increment, 4, 256, 0, NULL, (void *[]){&data, &n}),
	    CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
	end_broken(blocking);
	add(data, NULL);
	check_words(data, 1);
}

CONFORM(a_capture_begins_once)
{
	begin();
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
	CUgraph graph;

	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	GIVES(
	    cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_ILLEGAL_STATE);
	cuStreamEndCapture(stream, &graph); /* broken or not */
	CHECK_EQ(status_of(stream), CU_STREAM_CAPTURE_STATUS_NONE);
}

/* --- threads --- */

static CUstreamCaptureMode exchange(CUstreamCaptureMode mode)
{
	OK(cuThreadExchangeStreamCaptureMode(&mode));
	return mode;
}

static void *look_at_mode(void *unused)
{
	(void)unused;
	CHECK_EQ(exchange(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), CU_STREAM_CAPTURE_MODE_GLOBAL);
	CHECK_EQ(exchange(CU_STREAM_CAPTURE_MODE_GLOBAL), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
	return NULL;
}

CONFORM(the_mode_is_each_threads_own)
{
	pthread_t thread;

	begin();
	CHECK_EQ(exchange(CU_STREAM_CAPTURE_MODE_RELAXED), CU_STREAM_CAPTURE_MODE_GLOBAL);
	CHECK(pthread_create(&thread, NULL, look_at_mode, NULL) == 0);
	pthread_join(thread, NULL);
	CHECK_EQ(exchange(CU_STREAM_CAPTURE_MODE_GLOBAL), CU_STREAM_CAPTURE_MODE_RELAXED);
}

/* As allocators do in the middle of a capture. */
CONFORM(a_relaxed_thread_may_allocate)
{
	begin();
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
	CUdeviceptr data;
	CUgraph graph;

	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	exchange(CU_STREAM_CAPTURE_MODE_RELAXED);
	OK(cuMemAlloc(&data, N * sizeof(unsigned)));
	exchange(CU_STREAM_CAPTURE_MODE_GLOBAL);
	set(data, 6, stream);
	OK(cuStreamEndCapture(stream, &graph));
	run(graph);
	check_words(data, 6);
}

static void *capture_alone(void *argument)
{
	unsigned id = (unsigned)(uintptr_t)argument;
	CUstream stream;
	CUgraph graph;

	OK(cuCtxSetCurrent(context));
	exchange(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
	stream = stream_new(CU_STREAM_NON_BLOCKING);
	for (unsigned round = 0; round < 20; round++) {
		CUdeviceptr data;
		OK(cuMemAlloc(&data, N * sizeof(unsigned))); /* while others capture */
		OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
		set(data, 100 * id + round, stream);
		add(data, stream);
		OK(cuStreamEndCapture(stream, &graph));
		run(graph);
		unsigned got;
		OK(cuMemcpyDtoHAsync(&got, data + 4 * (N - 1), 4, stream));
		OK(cuStreamSynchronize(stream));
		CHECK_EQ(got, 100 * id + round + 1);
		OK(cuGraphDestroy(graph));
	}
	return NULL;
}

CONFORM(threads_capture_beside_each_other)
{
	pthread_t threads[THREADS];

	begin();
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, capture_alone, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

struct share {
	CUstream stream;
	CUdeviceptr data;
	CUresult result;
};

static void *work_in_it(void *argument)
{
	struct share *share = argument;

	OK(cuCtxSetCurrent(context));
	add(share->data, share->stream);
	return NULL;
}

static void *end_it(void *argument)
{
	struct share *share = argument;
	CUgraph graph;

	OK(cuCtxSetCurrent(context));
	share->result = cuStreamEndCapture(share->stream, &graph);
	if (share->result == CUDA_SUCCESS)
		run(graph);
	return NULL;
}

static void in_thread(void *(*f)(void *), struct share *share)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, f, share) == 0);
	pthread_join(thread, NULL);
}

CONFORM(a_relaxed_capture_goes_from_thread_to_thread)
{
	begin();
	struct share share = {stream_new(CU_STREAM_NON_BLOCKING), words_new(), CUDA_SUCCESS};

	OK(cuStreamBeginCapture(share.stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	set(share.data, 10, share.stream);
	for (int i = 0; i < THREADS; i++)
		in_thread(work_in_it, &share);
	in_thread(end_it, &share);
	CHECK_EQ(share.result, CUDA_SUCCESS);
	check_words(share.data, 10 + THREADS);
}

CONFORM(any_other_capture_ends_where_it_began)
{
	static const CUstreamCaptureMode modes[] = {
	    CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL};

	begin();
	for (int i = 0; i < 2; i++) {
		struct share share = {
		    stream_new(CU_STREAM_NON_BLOCKING), words_new(), CUDA_SUCCESS};
		OK(cuStreamBeginCapture(share.stream, modes[i]));
		in_thread(end_it, &share);
		CHECK_EQ(share.result, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
		CUgraph graph;
		cuStreamEndCapture(share.stream, &graph); /* broken or not */
		CHECK_EQ(status_of(share.stream), CU_STREAM_CAPTURE_STATUS_NONE);
	}
}

/* --- taking part in it by hand --- */

CONFORM(captures_have_numbers_and_tails)
{
	CUstreamCaptureStatus status;
	const CUgraphNode *tail;
	uint64_t first = 0, second = 0;
	CUgraph graph;
	size_t n = 9;

	begin();
	CUstream a = stream_new(CU_STREAM_NON_BLOCKING), b = stream_new(CU_STREAM_NON_BLOCKING);
	CUdeviceptr data = words_new();
	OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_RELAXED));
	OK(cuStreamBeginCapture(b, CU_STREAM_CAPTURE_MODE_RELAXED));
	OK(cuStreamGetCaptureInfo_v2(a, &status, &first, &graph, &tail, &n));
	CHECK_EQ(n, 0);
	OK(cuStreamGetCaptureInfo_v2(b, &status, &second, NULL, NULL, NULL));
	CHECK(first != second);
	add(data, a);
	OK(cuStreamGetCaptureInfo_v2(a, &status, NULL, NULL, &tail, &n));
	CHECK_EQ(n, 1);
	CUgraphNode kernel = tail[0], empty;
	OK(cuGraphAddEmptyNode(&empty, graph, NULL, 0));
	OK(cuStreamUpdateCaptureDependencies_v2(
	    a, &empty, NULL, 1, CU_STREAM_ADD_CAPTURE_DEPENDENCIES));
	OK(cuStreamGetCaptureInfo_v2(a, &status, NULL, NULL, &tail, &n));
	CHECK_EQ(n, 2);
	CHECK((tail[0] == kernel && tail[1] == empty) || (tail[0] == empty && tail[1] == kernel));
	OK(cuStreamUpdateCaptureDependencies_v2(
	    a, &empty, NULL, 1, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
	add(data, a); /* beside the first, which nothing orders */
	OK(cuStreamUpdateCaptureDependencies_v2(
	    a, &kernel, NULL, 1, CU_STREAM_ADD_CAPTURE_DEPENDENCIES));
	OK(cuStreamEndCapture(a, &graph));
	OK(cuStreamEndCapture(b, &graph));
}

CONFORM(stream_ordered_memory_is_captured)
{
	CUdeviceptr inner;
	CUgraph graph;
	CUgraphNode nodes[8];
	CUgraphNodeType type;
	size_t n = 8;
	unsigned allocations = 0, frees = 0;

	begin();
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
	CUdeviceptr data = words_new();
	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CUresult r = cuMemAllocAsync(&inner, N * sizeof(unsigned), stream);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no stream-ordered memory");
	OK(r);
	set(inner, 70, stream);
	add(inner, stream);
	OK(cuMemcpyDtoDAsync(data, inner, N * sizeof(unsigned), stream));
	OK(cuMemFreeAsync(inner, stream));
	OK(cuStreamEndCapture(stream, &graph));
	OK(cuGraphGetNodes(graph, nodes, &n));
	CHECK_EQ(n, 5);
	for (size_t i = 0; i < n; i++) {
		OK(cuGraphNodeGetType(nodes[i], &type));
		allocations += type == CU_GRAPH_NODE_TYPE_MEM_ALLOC;
		frees += type == CU_GRAPH_NODE_TYPE_MEM_FREE;
	}
	CHECK_EQ(allocations, 1);
	CHECK_EQ(frees, 1);
	for (int i = 0; i < 3; i++) {
		run(graph);
		check_words(data, 71);
	}
}

/* An event of the world outside becomes a node of its own. */
CONFORM(external_events_are_nodes)
{
	CUgraph graph;
	CUgraphNode nodes[4];
	CUgraphNodeType type;
	size_t n = 4;
	unsigned records = 0, waits = 0;

	begin();
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
	CUevent before = event_new(), after = event_new();
	CUdeviceptr data = words_new();
	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuStreamWaitEvent(stream, before, CU_EVENT_WAIT_EXTERNAL));
	add(data, stream);
	OK(cuEventRecordWithFlags(after, stream, CU_EVENT_RECORD_EXTERNAL));
	OK(cuStreamEndCapture(stream, &graph));
	OK(cuGraphGetNodes(graph, nodes, &n));
	CHECK_EQ(n, 3);
	for (size_t i = 0; i < n; i++) {
		OK(cuGraphNodeGetType(nodes[i], &type));
		records += type == CU_GRAPH_NODE_TYPE_EVENT_RECORD;
		waits += type == CU_GRAPH_NODE_TYPE_WAIT_EVENT;
	}
	CHECK_EQ(records, 1);
	CHECK_EQ(waits, 1);
	run(graph);
	OK(cuEventSynchronize(after));
	check_words(data, 1);
}

/* --- launches in a capture --- */

/* A graph that adds to the words and then records the event. */
static CUgraphExec recorder_new(CUdeviceptr data, CUevent event)
{
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
	CUgraphExec exec;
	CUgraph graph;

	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	add(data, stream);
	OK(cuEventRecordWithFlags(event, stream, CU_EVENT_RECORD_EXTERNAL));
	OK(cuStreamEndCapture(stream, &graph));
	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	OK(cuGraphDestroy(graph));
	OK(cuStreamDestroy(stream));
	return exec;
}

/* Of such a graph, which has not run and recorded nothing before. */
static void check_first_launch(CUgraphExec exec, CUstream stream, CUevent event, CUdeviceptr data)
{
	OK(cuEventSynchronize(event)); /* never recorded */
	check_words(data, 0);
	OK(cuGraphLaunch(exec, stream));
	OK(cuEventSynchronize(event));
	check_words(data, 1);
}

/* An executable graph is no work that could be a node: neither its launch nor its upload. */
CONFORM(executable_graphs_are_not_captured)
{
	begin();
	CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
	CUdeviceptr data = words_new();
	CUevent event = event_new();
	CUgraphExec exec = recorder_new(data, event);

	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	GIVES(cuGraphLaunch(exec, stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	end_broken(stream);
	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	GIVES(cuGraphUpload(exec, stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	end_broken(stream);
	check_first_launch(exec, stream, event, data);
}

CONFORM(a_refused_launch_records_nothing)
{
	begin();
	CUstream blocking = stream_new(CU_STREAM_DEFAULT);
	CUdeviceptr data = words_new();
	CUevent event = event_new();
	CUgraphExec exec = recorder_new(data, event);

	OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
	GIVES(cuGraphLaunch(exec, NULL), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
	end_broken(blocking);
	check_first_launch(exec, NULL, event, data);
}
