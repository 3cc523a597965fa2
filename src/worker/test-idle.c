/*
 * When the client is told that nothing is unfinished: after what shows that all it sent is done,
 * and never while something may not be.
 */

#include "base/clock.h"
#include "base/test.h"
#include "worker/test-client.h"

static const struct worker_options knowing = {
    .arena = true, .quiet_waits = true, .known_idle = true, .await_ns = 60 * NSEC_PER_SEC};

static bool knows(struct test_client *t)
{
	return chan_is_idle(t->pair.client);
}

static CUresult query(struct test_client *t, CUstream stream)
{
	struct args_cuStreamQuery a = {.stream = stream};

	return CALL(t, cuStreamQuery, &a);
}

static CUresult wait_for(struct test_client *t, CUstream stream)
{
	struct args_cuStreamSynchronize a = {.stream = stream};

	return CALL(t, cuStreamSynchronize, &a);
}

/* What starting the client did is over. */
static void settle(struct test_client *t)
{
	CHECK_EQ(client_synchronise(t), CUDA_SUCCESS);
	CHECK_EQ(query(t, NULL), CUDA_SUCCESS);
	CHECK(knows(t));
}

/* Something of which nobody says what it puts into which stream. */
static void call_unknown(struct test_client *t)
{
	CUdeviceptr address = 0;
	struct args_cuMemAddressReserve a = {.address = &address, .bytes = 2 << 20};

	CALL(t, cuMemAddressReserve, &a);
}

TEST(idle_when_the_only_stream_is_done)
{
	struct test_client t = client_start(&knowing);
	CUstream stream = client_stream(&t, 1);
	CUfunction function = client_function(&t);

	CHECK(!knows(&t));
	settle(&t);
	client_launch(&t, function, stream);
	CHECK(!knows(&t));
	CHECK_EQ(query(&t, stream), CUDA_SUCCESS);
	CHECK(knows(&t));
	client_launch(&t, function, stream);
	CHECK_EQ(wait_for(&t, stream), CUDA_SUCCESS);
	CHECK(knows(&t));
	client_stop(&t, NULL);
}

TEST(idle_not_before_the_gpu_is_done)
{
	struct test_client t = client_start(&knowing);
	CUstream stream = client_stream(&t, 1);
	CUfunction function = client_function(&t);

	settle(&t);
	client_launch(&t, function, stream);
	fake_hold();
	CHECK_EQ(query(&t, stream), CUDA_ERROR_NOT_READY);
	CHECK(!knows(&t));
	fake_release();
	CHECK_EQ(query(&t, stream), CUDA_SUCCESS);
	CHECK(knows(&t));
	client_stop(&t, NULL);
}

TEST(idle_not_while_another_stream_has_work)
{
	struct test_client t = client_start(&knowing);
	CUstream stream = client_stream(&t, 1), other = client_stream(&t, 2);
	uint64_t event = handle_id(false, HANDLE_EVENT, 1, 1);
	CUfunction function = client_function(&t);
	struct args_cuEventCreate create = {.event = (CUevent *)&event};
	struct args_cuEventRecord record = {
	    .event = (CUevent)handle_id(false, HANDLE_EVENT, 1, 1), .stream = other};
	struct args_cuEventSynchronize happened = {.event = record.event};

	settle(&t);
	client_launch(&t, function, stream);
	POST(&t, cuEventCreate, &create);
	POST(&t, cuEventRecord, &record);
	CHECK_EQ(wait_for(&t, stream), CUDA_SUCCESS);
	CHECK(!knows(&t));
	/* There may be more in its stream than the event. */
	CHECK_EQ(CALL(&t, cuEventSynchronize, &happened), CUDA_SUCCESS);
	CHECK(!knows(&t));
	CHECK_EQ(wait_for(&t, other), CUDA_SUCCESS);
	CHECK(knows(&t));
	client_stop(&t, NULL);
}

TEST(idle_not_after_what_nobody_knows)
{
	struct test_client t = client_start(&knowing);
	CUstream stream = client_stream(&t, 1);

	settle(&t);
	call_unknown(&t);
	CHECK_EQ(wait_for(&t, stream), CUDA_SUCCESS);
	CHECK(!knows(&t));
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	CHECK_EQ(query(&t, stream), CUDA_SUCCESS);
	CHECK(knows(&t));
	client_stop(&t, NULL);
}

TEST(idle_not_with_a_destroyed_streams_work)
{
	struct test_client t = client_start(&knowing);
	CUstream empty = client_stream(&t, 1), busy = client_stream(&t, 2);
	struct args_cuStreamDestroy_v2 destroy = {.stream = empty};
	CUfunction function = client_function(&t);

	settle(&t);
	POST(&t, cuStreamDestroy_v2, &destroy);
	CHECK_EQ(query(&t, NULL), CUDA_SUCCESS);
	CHECK(knows(&t));
	client_launch(&t, function, busy);
	destroy.stream = busy;
	POST(&t, cuStreamDestroy_v2, &destroy);
	CHECK_EQ(query(&t, NULL), CUDA_SUCCESS);
	CHECK(!knows(&t));
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	CHECK_EQ(query(&t, NULL), CUDA_SUCCESS);
	CHECK(knows(&t));
	client_stop(&t, NULL);
}

TEST(idle_not_while_a_stream_is_captured)
{
	struct test_client t = client_start(&knowing);
	CUstream stream = client_stream(&t, 1);
	struct args_cuStreamBeginCapture_v2 begin = {
	    .stream = stream, .mode = CU_STREAM_CAPTURE_MODE_RELAXED};

	settle(&t);
	CHECK_EQ(CALL(&t, cuStreamBeginCapture_v2, &begin), CUDA_SUCCESS);
	query(&t, NULL);
	CHECK(!knows(&t));
	client_stop(&t, NULL);
}

TEST(idle_not_with_more_streams_than_are_listed)
{
	struct test_client t = client_start(&knowing);
	CUfunction function = client_function(&t);
	CUstream streams[40];

	settle(&t);
	for (unsigned i = 0; i < 40; i++) {
		streams[i] = client_stream(&t, i + 1);
		client_launch(&t, function, streams[i]);
	}
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(query(&t, streams[i]), CUDA_SUCCESS);
	CHECK(!knows(&t));
	client_stop(&t, NULL);
}

static uint64_t make_context(struct test_client *t)
{
	CUcontext context = (CUcontext)handle_id(false, HANDLE_CONTEXT, 1, 100), id = context;
	struct args_cuCtxCreate_v2 a = {.context = &context};

	CHECK_EQ(CALL(t, cuCtxCreate_v2, &a), CUDA_SUCCESS);
	return (uint64_t)id;
}

TEST(idle_a_context_speaks_for_itself_only)
{
	struct test_client t = client_start(&knowing), other = client_lane(&t);
	CUstream stream = client_stream(&t, 1);
	struct args_rosenLaneState enter = {.context = make_context(&other)};

	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	call_unknown(&t);
	POST(&other, rosenLaneState, &enter);
	CHECK_EQ(client_synchronise(&other), CUDA_SUCCESS);
	CHECK_EQ(query(&t, stream), CUDA_SUCCESS);
	CHECK(!knows(&t));
	client_stop(&t, NULL);
}

TEST(idle_nothing_is_known_after_a_context_ended)
{
	struct test_client t = client_start(&knowing);
	CUcontext context = (CUcontext)make_context(&t);
	struct args_cuCtxDestroy_v2 destroy = {.context = context};

	CHECK_EQ(CALL(&t, cuCtxDestroy_v2, &destroy), CUDA_SUCCESS);
	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	CHECK_EQ(query(&t, NULL), CUDA_SUCCESS);
	CHECK(!knows(&t));
	client_stop(&t, NULL);
}

TEST(idle_can_be_switched_off)
{
	struct worker_options options = knowing;
	options.known_idle = false;
	struct test_client t = client_start(&options);

	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	CHECK_EQ(query(&t, NULL), CUDA_SUCCESS);
	CHECK(!knows(&t));
	client_stop(&t, NULL);
}

/* --- synchronising a context without a waiter --- */

static void *synchronise_thread(void *client)
{
	return (void *)(uintptr_t)client_synchronise(client);
}

TEST(idle_context_is_awaited_by_the_dispatcher)
{
	struct test_client t = client_start(&knowing), other = client_lane(&t);
	CUfunction function = client_function(&t);
	pthread_t thread;
	void *result;

	settle(&t);
	fake_hold();
	client_launch(&t, function, client_stream(&t, 1));
	client_launch(&t, function, NULL);
	unsigned asked = atomic_load(&fake.queries);
	CHECK_EQ(pthread_create(&thread, NULL, synchronise_thread, &other), 0);
	uint64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;
	while (atomic_load(&fake.queries) < asked + 20)
		CHECK(clock_now_ns() < end);
	CHECK_EQ(fake_waiting(), 0);
	CHECK_EQ(query(&t, NULL), CUDA_ERROR_NOT_READY); /* others are served */
	fake_release();
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK_EQ((uintptr_t)result, CUDA_SUCCESS);
	client_stop(&t, NULL);
}

TEST(idle_context_with_something_unknown_is_a_waiters)
{
	struct test_client t = client_start(&knowing), other = client_lane(&t);
	uint64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;
	pthread_t thread;
	void *result;

	CHECK_EQ(client_synchronise(&t), CUDA_SUCCESS);
	call_unknown(&t);
	fake_hold();
	CHECK_EQ(pthread_create(&thread, NULL, synchronise_thread, &other), 0);
	while (fake_waiting() != 1)
		CHECK(clock_now_ns() < end);
	fake_release();
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK_EQ((uintptr_t)result, CUDA_SUCCESS);
	client_stop(&t, NULL);
}
