/*
 * The worker as its client sees it: records in, answers out, over a channel inside this process and
 * a fake backend. Order, waiting beside dispatching, errors of posted calls, attachments and bulk
 * answers, and what becomes of a client that breaks the rules.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "gen/api_desc.h"
#include "worker/test-client.h"

/* An id the client mints. */
static uint64_t mint(enum handle_kind kind, uint32_t index)
{
	return handle_id(false, kind, 1, index);
}

TEST(dispatch_copies_in_and_out)
{
	struct test_client t = client_start(NULL);
	CUdeviceptr address = client_allocate(&t, 1000);
	char in[100] = "through the worker", out[100] = "";
	struct args_rosenCopyIn copy_in = {
	    .destination = address + 7, .source = in, .bytes = sizeof(in)};
	struct args_rosenCopyOut copy_out = {
	    .destination = out, .source = address + 7, .bytes = sizeof(out)};
	struct args_cuMemFree_v2 release = {.address = address};

	if (FAKE_HAS_WINDOW)
		CHECK_EQ(address, WIRE_DEVICE_WINDOW_BASE);
	POST(&t, rosenCopyIn, &copy_in);
	CHECK_EQ(CALL(&t, rosenCopyOut, &copy_out), CUDA_SUCCESS);
	CHECK_BYTES(out, in, sizeof(in));
	CHECK_EQ(CALL(&t, cuMemFree_v2, &release), CUDA_SUCCESS);
	CHECK_EQ(CALL(&t, cuMemFree_v2, &release), CUDA_ERROR_INVALID_VALUE);
	client_stop(&t, NULL);
}

TEST(dispatch_launches_with_the_clients_parameters)
{
	struct test_client t = client_start(NULL);
	uint64_t parameters[2] = {0x1234, 42}, stream = mint(HANDLE_STREAM, 1);
	struct args_cuStreamCreate create = {.stream = (CUstream *)&stream};
	struct args_cuLaunchKernel launch = {.function = client_function(&t),
	    .grid_x = 5,
	    .block_x = 1,
	    .parameters = parameters,
	    .parameter_bytes = 12};

	POST(&t, cuStreamCreate, &create);
	launch.stream = (CUstream)mint(HANDLE_STREAM, 1);
	POST(&t, cuLaunchKernel, &launch);
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	CHECK_EQ(fake.launches, 1);
	CHECK(fake.last_launch.function == FAKE_FUNCTION);
	CHECK(fake.last_launch.stream == (CUstream)0x5000);
	CHECK_EQ(fake.last_launch.grid_x, 5);
	CHECK_EQ(fake.last_launch.bytes, 12);
	CHECK_BYTES(fake.last_launch.parameters, parameters, 12);
	client_stop(&t, NULL);
}

TEST(dispatch_tells_the_first_error_of_posted_calls)
{
	struct test_client t = client_start(NULL);
	struct args_cuLaunchKernel launch = {
	    .function = (CUfunction)mint(HANDLE_FUNCTION, 77), .grid_x = 1};
	struct args_cuStreamDestroy_v2 destroy = {.stream = (CUstream)mint(HANDLE_STREAM, 5)};
	uint32_t row = FN_cuLaunchKernel;

	POST(&t, cuLaunchKernel, &launch);
	launch.function = client_function(&t);
	launch.parameter_bytes = 0;
	fake.fail_in = 0;
	fake.fail_with = CUDA_ERROR_LAUNCH_FAILED;
	POST(&t, cuLaunchKernel, &launch);
	POST(&t, cuStreamDestroy_v2, &destroy);
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	CHECK_EQ(fake.launches, 0);
	CHECK_EQ(chan_take_error(t.pair.client), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(chan_take_error(t.pair.client), 0);
	struct chan_stat *stat = chan_stat(t.pair.client, row);
	CHECK_EQ(stat->messages, 2);
	CHECK_EQ(stat->errors, 2);
	CHECK(stat->worker_ns > 0);
	client_stop(&t, NULL);
}

static void *synchronise_thread(void *client)
{
	return (void *)(uintptr_t)client_synchronise(client);
}

static void until(bool (*condition)(void))
{
	uint64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;

	while (!condition()) {
		CHECK(clock_now_ns() < end);
		usleep(200);
	}
}

static bool one_waits(void)
{
	return fake_waiting() == 1;
}

static bool three_wait(void)
{
	return fake_waiting() == 3;
}

TEST(dispatch_goes_on_while_lanes_wait_for_the_gpu)
{
	struct test_client t = client_start(NULL), others[3];
	pthread_t threads[3];
	void *result;

	fake_hold();
	for (unsigned i = 0; i < 3; i++) {
		others[i] = client_lane(&t);
		CHECK_EQ(pthread_create(&threads[i], NULL, synchronise_thread, &others[i]), 0);
	}
	until(three_wait);
	/* Three lanes wait; this one allocates, loads and launches all the same. */
	struct args_cuLaunchKernel launch = {.function = 0, .grid_x = 1};
	client_allocate(&t, 100);
	struct args_cuMemPoolTrimTo unknown = {.mem_pool = (CUmemoryPool)mint(HANDLE_POOL, 1)};
	CHECK_EQ(CALL(&t, cuMemPoolTrimTo, &unknown), CUDA_ERROR_INVALID_VALUE);
	POST(&t, cuLaunchKernel, &launch);
	CHECK_EQ(fake_waiting(), 3);
	fake_release();
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(pthread_join(threads[i], &result), 0);
		CHECK_EQ((uintptr_t)result, CUDA_SUCCESS);
	}
	client_stop(&t, NULL);
}

TEST(dispatch_lane_has_its_own_default_stream)
{
	struct test_client t = client_start(NULL), other = client_lane(&t);
	struct args_cuLaunchKernel launch = {
	    .function = client_function(&t), .grid_x = 1, .stream = CU_STREAM_PER_THREAD};
	struct args_rosenLaneEnd end = {0};
	CUstream first;

	POST(&t, cuLaunchKernel, &launch);
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	first = fake.last_launch.stream;
	CHECK(first && first != CU_STREAM_PER_THREAD);
	POST(&other, cuLaunchKernel, &launch);
	CHECK_EQ(client_synchronise(&other), CUDA_SUCCESS);
	CHECK(fake.last_launch.stream != first);
	launch.stream = NULL;
	t.flags = WIRE_F_PTDS;
	POST(&t, cuLaunchKernel, &launch);
	t.flags = 0;
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	CHECK(fake.last_launch.stream == first);
	POST(&t, cuLaunchKernel, &launch);
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	CHECK(fake.last_launch.stream == NULL);
	CHECK_EQ(fake.streams, 2);
	POST(&other, rosenLaneEnd, &end);
	CHECK_EQ(
	    client_synchronise(&other), CUDA_ERROR_INVALID_CONTEXT); /* its context is forgotten */
	client_stop(&t, NULL);
}

TEST(dispatch_attachments_make_one_payload)
{
	struct test_client t = client_start(NULL);
	CUmodule module = (CUmodule)mint(HANDLE_MODULE, 1);
	size_t bytes = 300000;
	char *image = calloc(1, bytes);
	struct args_cuModuleLoadDataEx load = {
	    .module = &module, .image = image, .image_bytes = bytes};

	snprintf(image, bytes, ".version 7.0\n");
	memset(image + 13, '\n', bytes - 14);
	size_t size = wire_size_cuModuleLoadDataEx(&load);
	uint8_t *payload = malloc(size);
	struct wire_writer writer = wire_writer(payload, size);
	wire_encode_cuModuleLoadDataEx(&writer, &load);
	CHECK_EQ(chan_attach(t.pair.client, t.lane, payload, size), 0);
	CHECK_EQ(client_send(&t, API_cuModuleLoadDataEx, WIRE_F_REPLY | WIRE_F_ATTACHED, "", 0),
	    CUDA_SUCCESS);
	CHECK_EQ(
	    handles_find(client_worker()->handles, HANDLE_MODULE, mint(HANDLE_MODULE, 1)), 0xd000);
	/* The next record has none of it. */
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	free(payload);
	free(image);
	client_stop(&t, NULL);
}

TEST(dispatch_attachments_are_capped)
{
	struct worker_options options = {.bulk_limit = 200000};
	struct test_client t = client_start(&options);
	char *bytes = calloc(1, 300000);

	CHECK_EQ(chan_attach(t.pair.client, t.lane, bytes, 300000), 0);
	client_until_ended();
	free(bytes);
	client_stop(&t, "session_bulk_limit");
}

TEST(dispatch_bulk_answers_go_to_staging)
{
	struct test_client t = client_start(NULL);
	CUdeviceptr address = client_allocate(&t, 100000);
	struct args_rosenCopyOut out = {.source = address, .bytes = 100000};
	struct wire_bulk run;
	uint8_t payload[256], *memory;
	size_t size = wire_size_rosenCopyOut(&out);

	memset((void *)address, 'x', 100000);
	CHECK_EQ(chan_staging_take(t.pair.client, 120000, &run, (void **)&memory), 0);
	struct wire_writer writer = wire_writer(payload, sizeof(run) + size);
	wire_put_raw(&writer, &run, sizeof(run));
	wire_encode_rosenCopyOut(&writer, &out);
	CHECK_EQ(client_send(&t, API_rosenCopyOut, WIRE_F_REPLY | WIRE_F_BULK_REPLY, payload,
		     sizeof(run) + size),
	    CUDA_SUCCESS);
	char *result = malloc(100000);
	struct wire_reader reader = wire_reader(memory, run.size);
	out.destination = result;
	wire_decode_reply_rosenCopyOut(&reader, &out);
	CHECK(!reader.failed);
	for (unsigned i = 0; i < 100000; i++)
		CHECK(result[i] == 'x');
	free(result);
	chan_staging_give(t.pair.client, &run);
	client_stop(&t, NULL);
}

TEST(dispatch_answer_that_does_not_fit_is_an_error)
{
	struct test_client t = client_start(NULL);
	CUdeviceptr address = client_allocate(&t, 100000);
	struct args_rosenCopyOut out = {.source = address, .bytes = 100000};

	CHECK_EQ(CLIENT_SEND(&t, rosenCopyOut, &out, WIRE_F_REPLY), CUDA_ERROR_UNKNOWN);
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	client_stop(&t, NULL);
}

TEST(dispatch_unknown_function_is_not_supported)
{
	struct test_client t = client_start(NULL);

	CHECK_EQ(client_send(&t, 0xfffe, WIRE_F_REPLY, "12345678", 8), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(client_send(&t, 0x12345678, WIRE_F_REPLY, "", 0), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	client_stop(&t, NULL);
}

TEST(dispatch_malformed_record_ends_the_session)
{
	struct test_client t = client_start(NULL);

	client_send(&t, API_cuMemAlloc_v2, WIRE_F_REPLY, "", 0);
	client_until_ended();
	client_stop(&t, "cuMemAlloc_v2");
}

TEST(dispatch_malformed_record_on_a_waiter_ends_the_session)
{
	struct test_client t = client_start(NULL);

	client_send(&t, API_cuMemFree_v2, WIRE_F_REPLY, "", 0);
	client_until_ended();
	client_stop(&t, "cuMemFree_v2");
}

TEST(dispatch_staging_runs_are_checked)
{
	static const struct wire_bulk bad[] = {{0, 0}, {0, 1ull << 40}, {1ull << 40, 65536},
	    {UINT64_MAX, 65536}, {(4 << 20) - 65536, 65537}};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct test_client t = client_start(NULL);
		client_send(&t, API_cuMemGetInfo_v2, WIRE_F_BULK_REPLY, &bad[i], sizeof(bad[i]));
		client_until_ended();
		client_stop(&t, "cuMemGetInfo_v2");
	}
}

TEST(dispatch_needs_a_context_where_cuda_does)
{
	struct test_client t = client_start(NULL);
	struct args_rosenLaneState none = {.context = 0};
	struct args_cuDevicePrimaryCtxRelease_v2 release = {.device = 0};
	struct args_cuMemAlloc_v2 alloc = {.address = &(CUdeviceptr){0}, .bytes = 100};

	POST(&t, rosenLaneState, &none);
	CHECK_EQ(CALL(&t, cuMemAlloc_v2, &alloc), CUDA_ERROR_INVALID_CONTEXT);
	none.context = handle_primary_context(0);
	POST(&t, rosenLaneState, &none);
	CHECK_EQ(CALL(&t, cuMemAlloc_v2, &alloc), CUDA_SUCCESS);
	CHECK(fake.used > 0);
	CHECK_EQ(CALL(&t, cuDevicePrimaryCtxRelease_v2, &release), CUDA_SUCCESS);
	/* The context took its memory along, but for a slab that is kept. */
	if (FAKE_HAS_WINDOW)
		CHECK_EQ(fake.used, 2 << 20);
	CHECK_EQ(CALL(&t, cuMemAlloc_v2, &alloc), CUDA_ERROR_INVALID_CONTEXT);
	client_stop(&t, NULL);
}

TEST(dispatch_gives_a_warm_context_to_the_client)
{
	struct worker_options options = {.warm = 1 + 0};
	struct test_client t = client_start(&options);
	struct args_cuDevicePrimaryCtxRetain again = {.device = 0};

	/* The client retained it, the worker let go of its own hold, which is older than the
	 * count. */
	CHECK_EQ(fake.retained, 0);
	CHECK_EQ(CALL(&t, cuDevicePrimaryCtxRetain, &again), CUDA_SUCCESS);
	CHECK_EQ(fake.retained, 1);
	client_stop(&t, NULL);
}

TEST(dispatch_lets_a_warm_context_go)
{
	struct worker_options options = {.warm = 1 + 0};
	struct test_client t = client_bare(&options);
	struct args_cuDevicePrimaryCtxRetain other = {.device = 1};
	uint64_t id = mint(HANDLE_CONTEXT, 1);
	struct args_cuCtxCreate_v2 create = {.context = (CUcontext *)&id};

	CHECK_EQ(fake.retained, 0);
	CHECK_EQ(CALL(&t, cuDevicePrimaryCtxRetain, &other), CUDA_ERROR_INVALID_DEVICE);
	CHECK_EQ(fake.retained, -1);
	client_stop(&t, NULL);
	t = client_bare(&options);
	CHECK_EQ(CALL(&t, cuCtxCreate_v2, &create), CUDA_SUCCESS);
	CHECK_EQ(fake.retained, -1);
	client_stop(&t, NULL);
}

TEST(dispatch_refuses_memory_on_a_broken_context)
{
	struct test_client t = client_start(NULL);
	struct args_cuMemAlloc_v2 alloc = {.address = &(CUdeviceptr){0}, .bytes = 100};

	client_allocate(&t, 1);
	fake.fail_with = CUDA_ERROR_ILLEGAL_ADDRESS;
	fake.fail_in = 0;
	CHECK_EQ(CALL(&t, cuMemAlloc_v2, &alloc), CUDA_ERROR_ILLEGAL_ADDRESS);
	client_stop(&t, NULL);
}

TEST(dispatch_made_contexts_are_not_left_current)
{
	struct test_client t = client_start(NULL), other = client_lane(&t);
	uint64_t id = mint(HANDLE_CONTEXT, 100);
	struct args_cuCtxCreate_v2 create = {.context = (CUcontext *)&id};
	struct args_rosenLaneState state = {.context = mint(HANDLE_CONTEXT, 100)};
	struct args_cuCtxDestroy_v2 destroy = {.context = (CUcontext)mint(HANDLE_CONTEXT, 100)};
	unsigned sets = fake.contexts_set;

	CHECK_EQ(CALL(&t, cuCtxCreate_v2, &create), CUDA_SUCCESS);
	POST(&t, rosenLaneState, &state);
	CHECK(client_allocate(&t, 5) != 0);
	CHECK(client_allocate(&other, 5) != 0);
	CHECK(fake.contexts_set > sets + 1);
	sets = fake.contexts_set;
	for (unsigned i = 0; i < 10; i++)
		client_allocate(&other, 5);
	CHECK_EQ(fake.contexts_set, sets); /* set only when it changes */
	CHECK_EQ(CALL(&other, cuCtxDestroy_v2, &destroy), CUDA_SUCCESS);
	struct args_cuMemAlloc_v2 alloc = {.address = &(CUdeviceptr){0}, .bytes = 100};
	CHECK_EQ(CALL(&t, cuMemAlloc_v2, &alloc), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(CALL(&other, cuMemAlloc_v2, &alloc), CUDA_SUCCESS);
	client_stop(&t, NULL);
}

TEST(dispatch_free_during_capture_waits_until_it_is_over)
{
	struct test_client t = client_start(NULL);
	CUdeviceptr first = client_allocate(&t, 4 << 20), second = client_allocate(&t, 4 << 20);
	uint64_t stream = mint(HANDLE_STREAM, 1), graph = 0;
	struct args_cuStreamCreate create = {.stream = (CUstream *)&stream};
	struct args_cuStreamBeginCapture_v2 begin = {
	    .stream = (CUstream)mint(HANDLE_STREAM, 1), .mode = CU_STREAM_CAPTURE_MODE_GLOBAL};
	struct args_cuStreamEndCapture end = {.stream = begin.stream, .graph = (CUgraph *)&graph};
	struct args_cuMemFree_v2 release = {.address = first};
	struct args_rosenCopyIn copy = {
	    .destination = second, .source = "abc", .bytes = 3, .stream = begin.stream};

	POST(&t, cuStreamCreate, &create);
	CHECK_EQ(CALL(&t, cuStreamBeginCapture_v2, &begin), CUDA_SUCCESS);
	unsigned synchronised = fake.synchronised;
	CHECK_EQ(CALL(&t, cuMemFree_v2, &release), CUDA_SUCCESS);
	CHECK_EQ(CALL(&t, cuMemFree_v2, &release), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(fake.synchronised, synchronised);
	if (FAKE_HAS_WINDOW)
		CHECK(fake_is_mapped(first, 1));
	/* What a graph would keep pointing at is refused. */
	CHECK_EQ(CLIENT_SEND(&t, rosenCopyIn, &copy, WIRE_F_REPLY),
	    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	CHECK_EQ(CALL(&t, cuStreamEndCapture, &end), CUDA_SUCCESS);
	CHECK(handle_by_worker(graph));
	release.address = second;
	CHECK_EQ(CALL(&t, cuMemFree_v2, &release), CUDA_SUCCESS);
	CHECK(!fake_is_mapped(first, 1) && !fake_is_mapped(second, 1));
	client_stop(&t, NULL);
}

TEST(dispatch_memory_put_aside_ends_with_its_context)
{
	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the device window");
	struct test_client t = client_start(NULL);
	uint64_t stream = mint(HANDLE_STREAM, 1), graph = 0;
	struct args_cuStreamCreate create = {.stream = (CUstream *)&stream};
	struct args_cuStreamBeginCapture_v2 begin = {.stream = (CUstream)mint(HANDLE_STREAM, 1)};
	struct args_cuStreamEndCapture end = {.stream = begin.stream, .graph = (CUgraph *)&graph};
	struct args_cuMemFree_v2 release = {.address = client_allocate(&t, 4 << 20)};
	struct args_cuDevicePrimaryCtxReset_v2 reset = {.device = 0};

	POST(&t, cuStreamCreate, &create);
	CHECK_EQ(CALL(&t, cuStreamBeginCapture_v2, &begin), CUDA_SUCCESS);
	CHECK_EQ(CALL(&t, cuMemFree_v2, &release), CUDA_SUCCESS);
	CHECK_EQ(CALL(&t, cuStreamEndCapture, &end), CUDA_SUCCESS);
	CHECK_EQ(CALL(&t, cuDevicePrimaryCtxReset_v2, &reset), CUDA_SUCCESS);
	/* The address is given out again; what was put aside must not take it away. */
	CUdeviceptr again = client_allocate(&t, 4 << 20);
	CHECK_EQ(again, release.address);
	release.address = client_allocate(&t, 4 << 20);
	CHECK_EQ(CALL(&t, cuMemFree_v2, &release), CUDA_SUCCESS);
	CHECK(fake_is_mapped(again, 4 << 20));
	client_stop(&t, NULL);
}

TEST(dispatch_compiler_logs_of_a_failed_load)
{
	struct test_client t = client_start(NULL);
	CUmodule module = (CUmodule)mint(HANDLE_MODULE, 1);
	static const char image[] = ".version 7.0\nbroken";
	CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	uint64_t values[] = {0, 64};
	char errors[64] = "";
	size_t info_used = 9, error_used = 9;
	struct args_cuModuleLoadDataEx load = {.module = &module,
	    .image = image,
	    .image_bytes = sizeof(image),
	    .n_options = 2,
	    .options = options,
	    .values = values,
	    .errors = errors,
	    .error_bytes = sizeof(errors)};
	struct args_rosenJitLog log = {.info_used = &info_used,
	    .errors = errors,
	    .error_bytes = sizeof(errors),
	    .error_used = &error_used};

	CHECK_EQ(CALL(&t, cuModuleLoadDataEx, &load), CUDA_ERROR_INVALID_PTX);
	CHECK_EQ(CALL(&t, rosenJitLog, &log), CUDA_SUCCESS);
	CHECK_EQ(info_used, 0);
	CHECK_STR(errors, "fake: line 1");
	options[0] = CU_JIT_GLOBAL_SYMBOL_NAMES; /* a table of addresses */
	CHECK_EQ(CALL(&t, cuModuleLoadDataEx, &load), CUDA_ERROR_NOT_SUPPORTED);
	client_stop(&t, NULL);
}

TEST(dispatch_function_information)
{
	struct test_client t = client_start(NULL);
	uint64_t layout[4] = {0};
	unsigned n = 0;
	int threads = 0, shared = 0;
	struct args_rosenFunctionInfo info = {.function = client_function(&t),
	    .layout = layout,
	    .capacity = 4,
	    .n_parameters = &n,
	    .max_threads = &threads,
	    .static_shared = &shared};

	CHECK_EQ(CALL(&t, rosenFunctionInfo, &info), CUDA_SUCCESS);
	CHECK_EQ(n, 2);
	CHECK_EQ(layout[0], 8ull << 32 | 0);
	CHECK_EQ(layout[1], 4ull << 32 | 8);
	CHECK_EQ(threads, 1024);
	CHECK_EQ(shared, 48);
	client_stop(&t, NULL);
}

TEST(dispatch_unload_ends_the_functions_ids)
{
	struct test_client t = client_start(NULL);
	uint64_t function = (uint64_t)client_function(&t);
	struct args_cuModuleUnload unload = {.module = (CUmodule)mint(HANDLE_MODULE, 1)};

	CHECK_EQ(handles_find(client_worker()->handles, HANDLE_FUNCTION, function),
	    (uint64_t)FAKE_FUNCTION);
	CHECK_EQ(CALL(&t, cuModuleUnload, &unload), CUDA_SUCCESS);
	CHECK_EQ(handles_find(client_worker()->handles, HANDLE_FUNCTION, function), 0);
	CHECK_EQ(CALL(&t, cuModuleUnload, &unload), CUDA_ERROR_INVALID_HANDLE);
	client_stop(&t, NULL);
}

TEST(dispatch_unload_ends_the_references_ids)
{
	struct test_client t = client_start(NULL);
	unsigned flags = 0;
	CUtexref texture = NULL, again = NULL;
	struct args_cuModuleUnload unload = {.module = (CUmodule)mint(HANDLE_MODULE, 1)};
	struct args_cuModuleGetTexRef get = {&texture, unload.module, "t"};

	client_function(&t);
	CHECK_EQ(CALL(&t, cuModuleGetTexRef, &get), CUDA_SUCCESS);
	CHECK_EQ(handle_kind_of((uint64_t)texture), HANDLE_TEXREF);
	get.texture = &again;
	CHECK_EQ(CALL(&t, cuModuleGetTexRef, &get), CUDA_SUCCESS);
	CHECK(again == texture);
	struct args_cuTexRefGetFlags query = {&flags, texture};
	CHECK_EQ(CALL(&t, cuTexRefGetFlags, &query), CUDA_SUCCESS);
	CHECK_EQ(flags, 3);
	CHECK_EQ(CALL(&t, cuModuleUnload, &unload), CUDA_SUCCESS);
	CHECK_EQ(CALL(&t, cuTexRefGetFlags, &query), CUDA_ERROR_INVALID_HANDLE);
	client_stop(&t, NULL);
}

TEST(dispatch_tells_where_time_went)
{
	struct worker_options options = {.measure = true};
	uint64_t before = clock_now_ns();
	struct test_client t = client_start(&options);

	client_allocate(&t, 1000);
	struct chan_times times = chan_wait_times(t.pair.client, t.lane);
	struct chan_stat *stat = chan_stat(t.pair.client, FN_cuMemAlloc_v2);
	struct chan_time *time = chan_time(t.pair.client, FN_cuMemAlloc_v2);
	CHECK(times.taken_ns > before && times.taken_ns < clock_now_ns());
	CHECK(times.driver_ns > 0 && times.driver_ns < times.worker_ns);
	CHECK_EQ(time->driver_ns, times.driver_ns);
	CHECK(stat->worker_ns >= time->driver_ns);
	/* What the driver waits for is the driver's time, whoever does the waiting. */
	client_synchronise(&t);
	times = chan_wait_times(t.pair.client, t.lane);
	CHECK(times.driver_ns > 0);
	client_stop(&t, NULL);
}

TEST(dispatch_measures_nothing_unasked)
{
	struct test_client t = client_start(NULL);

	client_allocate(&t, 1000);
	struct chan_times times = chan_wait_times(t.pair.client, t.lane);
	CHECK_EQ(times.taken_ns, 0);
	CHECK_EQ(times.worker_ns, 0);
	CHECK_EQ(chan_time(t.pair.client, FN_cuMemAlloc_v2)->driver_ns, 0);
	client_stop(&t, NULL);
}

static _Atomic bool reset;
static _Atomic unsigned asked_late;

static CUresult reset_context(CUdevice device)
{
	atomic_store(&reset, true);
	return CUDA_SUCCESS;
}

static CUresult query_event(CUevent event)
{
	atomic_fetch_add(&asked_late, atomic_load(&reset));
	return CUDA_ERROR_NOT_READY;
}

TEST(dispatch_asks_no_events_of_a_context_that_ended)
{
	struct worker_options options = {.measure_gpu = true};
	struct test_client t = client_start(&options);
	struct backend *backend = (struct backend *)client_worker()->backend;
	struct args_cuDevicePrimaryCtxReset_v2 a = {.device = 0};

	backend->cuEventQuery = query_event;
	backend->cuDevicePrimaryCtxReset_v2 = reset_context;
	client_launch(&t, client_function(&t), NULL);
	CHECK_EQ(CALL(&t, cuDevicePrimaryCtxReset_v2, &a), CUDA_SUCCESS);
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	CHECK_EQ(atomic_load(&asked_late), 0);
	client_stop(&t, NULL);
}

TEST(dispatch_measures_gpu_time)
{
	struct worker_options options = {.measure_gpu = true};
	struct test_client t = client_start(&options);
	struct args_cuLaunchKernel launch = {.function = client_function(&t), .grid_x = 1};

	for (unsigned i = 0; i < 10; i++)
		POST(&t, cuLaunchKernel, &launch);
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	struct chan_stat *stat = chan_stat(t.pair.client, FN_cuLaunchKernel);
	CHECK_EQ(stat->gpu_ns, 10 * 2000000); /* the fake's events are 2 ms apart */
	client_stop(&t, NULL);
}

static struct test_client shared_client;

/* What a thread of a program does, over and over. */
static void *hammer(void *argument)
{
	struct test_client lane = client_lane(&shared_client);
	uint32_t number = (uint32_t)(uintptr_t)argument;
	struct args_rosenLaneEnd end = {0};

	for (uint32_t i = 0; i < 200; i++) {
		uint64_t stream = mint(HANDLE_STREAM, number * 1000 + i);
		struct args_cuStreamCreate create = {.stream = (CUstream *)&stream};
		struct args_cuStreamDestroy_v2 destroy = {
		    .stream = (CUstream)mint(HANDLE_STREAM, number * 1000 + i)};
		CUdeviceptr address = client_allocate(&lane, 5000);
		struct args_cuMemFree_v2 release = {.address = address};
		char out[8];
		struct args_rosenCopyIn in = {
		    .destination = address, .source = &i, .bytes = sizeof(i)};
		struct args_rosenCopyOut back = {.destination = out,
		    .source = address,
		    .bytes = sizeof(i),
		    .stream = destroy.stream};
		POST(&lane, cuStreamCreate, &create);
		POST(&lane, rosenCopyIn, &in);
		CHECK_EQ(CALL(&lane, rosenCopyOut, &back), CUDA_SUCCESS);
		CHECK_BYTES(out, &i, sizeof(i));
		POST(&lane, cuStreamDestroy_v2, &destroy);
		CHECK_EQ(CALL(&lane, cuMemFree_v2, &release), CUDA_SUCCESS);
		if (i % 50 == 0)
			CHECK_EQ(client_synchronise(&lane), CUDA_SUCCESS);
	}
	POST(&lane, rosenLaneEnd, &end);
	return NULL;
}

TEST_LIMIT(dispatch_many_threads, 60)
{
	pthread_t threads[6];

	shared_client = client_start(NULL);
	for (uintptr_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(chan_take_error(shared_client.pair.client), 0);
	client_stop(&shared_client, NULL);
}

static struct test_client staged_client;

static bool released(void)
{
	struct wire_bulk run;
	void *memory;

	/* All of the area can be had again only when every run came back. */
	CHECK_EQ(chan_staging_take(staged_client.pair.client, 2 << 20, &run, &memory), 0);
	chan_staging_give(staged_client.pair.client, &run);
	return true;
}

TEST(dispatch_staged_copies_release_their_runs)
{
	for (unsigned pinned = 0; pinned < 2; pinned++) {
		struct test_client t = staged_client = client_start(NULL);
		CUdeviceptr address = client_allocate(&t, 1 << 20);
		fake.no_register = !pinned;
		for (unsigned i = 0; i < 40; i++) {
			struct wire_bulk run;
			void *memory;
			CHECK_EQ(chan_staging_take(t.pair.client, 1 << 20, &run, &memory), 0);
			memset(memory, (int)i, 1 << 20);
			chan_staging_hand_over(t.pair.client, &run);
			struct args_rosenCopyInStaged copy = {
			    .destination = address, .offset = run.offset, .bytes = 1 << 20};
			POST(&t, rosenCopyInStaged, &copy);
		}
		CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
		CHECK_EQ(*(volatile uint8_t *)(address + 12345), 39);
		CHECK_EQ(fake.registered, pinned);
		until(released);
		client_stop(&t, NULL);
	}
}

static uint64_t ready_ns;

static CUresult query_event_soon_ready(CUevent event)
{
	atomic_fetch_add(&asked_late, atomic_load(&reset));
	return clock_now_ns() < ready_ns ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

TEST(dispatch_contexts_end_when_staged_copies_are_done)
{
	struct test_client t = staged_client = client_start(NULL);
	struct backend *backend = (struct backend *)client_worker()->backend;
	struct args_cuDevicePrimaryCtxReset_v2 a = {.device = 0};
	struct wire_bulk run;
	void *memory;

	backend->cuEventQuery = query_event_soon_ready;
	backend->cuDevicePrimaryCtxReset_v2 = reset_context;
	CHECK_EQ(chan_staging_take(t.pair.client, 1 << 20, &run, &memory), 0);
	chan_staging_hand_over(t.pair.client, &run);
	struct args_rosenCopyInStaged copy = {
	    .destination = client_allocate(&t, 1 << 20), .offset = run.offset, .bytes = 1 << 20};
	ready_ns = clock_now_ns() + 5 * NSEC_PER_MSEC;
	POST(&t, rosenCopyInStaged, &copy);
	CHECK_EQ(CALL(&t, cuDevicePrimaryCtxReset_v2, &a), CUDA_SUCCESS);
	usleep(20000);
	CHECK_EQ(atomic_load(&asked_late), 0);
	client_stop(&t, NULL);
}

static CUresult (*copy_in)(
    CUdeviceptr destination, const void *source, size_t bytes, CUstream stream);

/* Another thread of the client makes a context meanwhile. */
static CUresult copy_in_beside_a_new_context(
    CUdeviceptr destination, const void *source, size_t bytes, CUstream stream)
{
	CUresult r = copy_in(destination, source, bytes, stream);

	lanes_forget_context(client_worker(), NULL);
	return r;
}

static struct wire_bulk take_half(void)
{
	struct wire_bulk run;
	void *memory;

	CHECK_EQ(chan_staging_take(staged_client.pair.client, 2 << 20, &run, &memory), 0);
	return run;
}

static _Atomic bool came_back;

static void *take_half_thread(void *argument)
{
	struct wire_bulk run = take_half();

	atomic_store(&came_back, true);
	chan_staging_give(staged_client.pair.client, &run);
	return NULL;
}

/* The device may read it yet. */
TEST(dispatch_staged_runs_stay_when_contexts_come)
{
	struct test_client t = staged_client = client_start(NULL);
	struct backend *backend = (struct backend *)client_worker()->backend;
	CUdeviceptr address = client_allocate(&t, 2 << 20);
	pthread_t thread;

	copy_in = backend->cuMemcpyHtoDAsync_v2;
	backend->cuMemcpyHtoDAsync_v2 = copy_in_beside_a_new_context;
	fake_hold();
	struct wire_bulk run = take_half();
	chan_staging_hand_over(t.pair.client, &run);
	struct args_rosenCopyInStaged copy = {
	    .destination = address, .offset = run.offset, .bytes = run.size};
	CHECK_EQ(CALL(&t, rosenCopyInStaged, &copy), CUDA_SUCCESS);
	struct wire_bulk other = take_half();
	CHECK_EQ(pthread_create(&thread, NULL, take_half_thread, NULL), 0);
	usleep(50000);
	CHECK(!atomic_load(&came_back));
	fake_release();
	CHECK_EQ(pthread_join(thread, NULL), 0);
	chan_staging_give(t.pair.client, &other);
	client_stop(&t, NULL);
}

TEST(dispatch_waits_for_one_thing_at_a_time)
{
	struct test_client t = client_start(NULL);
	pthread_t thread;

	fake_hold();
	CHECK_EQ(pthread_create(&thread, NULL, synchronise_thread, &t), 0);
	until(one_waits);
	fake_release();
	CHECK_EQ(pthread_join(thread, NULL), 0);
	client_stop(&t, NULL);
}
