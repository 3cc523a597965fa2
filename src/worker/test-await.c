/*
 * Calls that await a stream or an event: the dispatcher answers short waits itself and serves
 * others meanwhile, long ones go to waiters, and nothing that happens to what is awaited, or to the
 * client, leaves a call without its answer.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "worker/test-client.h"

#define LANES 12

/* The dispatcher never loses patience. */
static const struct worker_options patient = {.arena = true, .await_ns = 60 * NSEC_PER_SEC};

struct waiting {
	struct test_client client;
	pthread_t thread;
	uint64_t stream, event;
};

static uint64_t mint(enum handle_kind kind, uint32_t index)
{
	return handle_id(false, kind, 1, index);
}

static void *synchronise(void *argument)
{
	struct waiting *waiting = argument;
	struct args_cuStreamSynchronize stream = {.stream = (CUstream)waiting->stream};
	struct args_cuEventSynchronize event = {.event = (CUevent)waiting->event};

	return (void *)(uintptr_t)(waiting->event
				       ? CALL(&waiting->client, cuEventSynchronize, &event)
				       : CALL(&waiting->client, cuStreamSynchronize, &stream));
}

static void start(struct waiting *waiting, const struct test_client *t)
{
	waiting->client = client_lane(t);
	CHECK_EQ(pthread_create(&waiting->thread, NULL, synchronise, waiting), 0);
}

static uint32_t result_of(struct waiting *waiting)
{
	void *result;

	CHECK_EQ(pthread_join(waiting->thread, &result), 0);
	return (uint32_t)(uintptr_t)result;
}

static unsigned wanted_queries;

static bool are_asked(void)
{
	return atomic_load(&fake.queries) >= wanted_queries;
}

static bool one_waits(void)
{
	return fake_waiting() == 1;
}

static void until(bool (*condition)(void))
{
	uint64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;

	while (!condition()) {
		CHECK(clock_now_ns() < end);
		usleep(100);
	}
}

/* Until the dispatcher has asked about everything that is awaited now. */
static void until_asked(void)
{
	wanted_queries = atomic_load(&fake.queries) + 4 * LANES;
	until(are_asked);
}

static uint64_t new_stream(struct test_client *t, uint32_t index)
{
	uint64_t stream = mint(HANDLE_STREAM, index);
	struct args_cuStreamCreate create = {.stream = (CUstream *)&stream};

	POST(t, cuStreamCreate, &create);
	return mint(HANDLE_STREAM, index);
}

static uint64_t new_event(struct test_client *t, uint32_t index)
{
	uint64_t event = mint(HANDLE_EVENT, index);
	struct args_cuEventCreate create = {.event = (CUevent *)&event};

	POST(t, cuEventCreate, &create);
	return mint(HANDLE_EVENT, index);
}

TEST(await_keeps_to_the_dispatcher_and_serves_others)
{
	struct test_client t = client_start(&patient);
	struct waiting waiting[LANES] = {{.stream = 0}};

	fake_hold();
	for (unsigned i = 0; i < LANES; i++) {
		waiting[i].stream = i % 3 == 1 ? new_stream(&t, i) : 0;
		waiting[i].event = i % 3 == 2 ? new_event(&t, i) : 0;
		start(&waiting[i], &t);
	}
	until_asked();
	client_allocate(&t, 100);
	CHECK_EQ(fake_waiting(), 0);
	fake_release();
	for (unsigned i = 0; i < LANES; i++)
		CHECK_EQ(result_of(&waiting[i]), CUDA_SUCCESS);
	/* Once each, when it was done: for what kernels printed. */
	CHECK_EQ(fake.synchronised, LANES);
	client_stop(&t, NULL);
}

TEST(await_that_takes_long_goes_to_a_waiter)
{
	struct test_client t = client_start(NULL);
	struct waiting waiting = {.stream = new_stream(&t, 1)};

	fake_hold();
	start(&waiting, &t);
	until(one_waits);
	unsigned asked = atomic_load(&fake.queries);
	usleep(5000);
	CHECK_EQ(atomic_load(&fake.queries), asked);
	fake_release();
	CHECK_EQ(result_of(&waiting), CUDA_SUCCESS);
	client_stop(&t, NULL);
}

TEST(await_without_spinning_goes_to_a_waiter)
{
	struct worker_options options = {.arena = true, .spin_ns = CLIENT_NO_SPIN};
	struct test_client t = client_start(&options);
	struct waiting waiting = {.stream = new_stream(&t, 1)};

	start(&waiting, &t);
	CHECK_EQ(result_of(&waiting), CUDA_SUCCESS);
	CHECK_EQ(fake.queries, 0);
	CHECK_EQ(fake.synchronised, 1);
	client_stop(&t, NULL);
}

TEST(await_asks_nothing_while_a_stream_is_captured)
{
	struct test_client t = client_start(&patient);
	uint64_t stream = new_stream(&t, 1);
	struct waiting waiting = {.stream = 0};
	struct args_cuStreamBeginCapture_v2 begin = {
	    .stream = (CUstream)stream, .mode = CU_STREAM_CAPTURE_MODE_THREAD_LOCAL};

	fake_hold();
	start(&waiting, &t);
	until_asked();
	CHECK_EQ(CALL(&t, cuStreamBeginCapture_v2, &begin), CUDA_SUCCESS);
	until(one_waits);
	unsigned asked = atomic_load(&fake.queries);
	struct waiting another = {.stream = 0};
	start(&another, &t);
	usleep(2000);
	fake_release();
	CHECK_EQ(result_of(&waiting), CUDA_SUCCESS);
	CHECK_EQ(result_of(&another), CUDA_SUCCESS);
	CHECK_EQ(atomic_load(&fake.queries), asked);
	client_stop(&t, NULL);
}

TEST(await_of_what_is_destroyed_ends)
{
	struct test_client t = client_start(&patient);
	struct waiting stream = {.stream = new_stream(&t, 1)};
	struct waiting event = {.event = new_event(&t, 2)};
	struct args_cuStreamDestroy_v2 destroy_stream = {.stream = (CUstream)stream.stream};
	struct args_cuEventDestroy_v2 destroy_event = {.event = (CUevent)event.event};

	fake_hold();
	start(&stream, &t);
	start(&event, &t);
	until_asked();
	POST(&t, cuStreamDestroy_v2, &destroy_stream);
	POST(&t, cuEventDestroy_v2, &destroy_event);
	CHECK_EQ(result_of(&stream), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(result_of(&event), CUDA_ERROR_INVALID_HANDLE);
	fake_release();
	client_stop(&t, NULL);
}

TEST(await_of_a_lanes_own_stream_that_is_gone_ends)
{
	struct test_client t = client_start(&patient);
	struct waiting waiting = {.stream = (uint64_t)CU_STREAM_PER_THREAD};
	struct args_rosenLaneEnd end = {0};

	fake_hold();
	start(&waiting, &t);
	until_asked();
	POST(&waiting.client, rosenLaneEnd, &end);
	CHECK_EQ(result_of(&waiting), CUDA_ERROR_INVALID_HANDLE);
	fake_release();
	client_stop(&t, NULL);
}

TEST(await_gives_the_gpus_error)
{
	struct test_client t = client_start(&patient);
	struct waiting waiting = {.stream = new_stream(&t, 1)};
	CUdeviceptr address = client_allocate(&t, 100);
	char out[8] = "before";
	struct args_rosenCopyOut copy = {
	    .destination = out, .source = address, .bytes = sizeof(out)};

	fake_hold();
	start(&waiting, &t);
	until_asked();
	fake.fail_with = CUDA_ERROR_ILLEGAL_ADDRESS;
	atomic_store(&fake.fail_in, 0);
	CHECK_EQ(result_of(&waiting), CUDA_ERROR_ILLEGAL_ADDRESS);
	fake_release();
	/* The first fallible step of a copy is the copy, the second the question. */
	atomic_store(&fake.fail_in, 1);
	CHECK_EQ(CALL(&t, rosenCopyOut, &copy), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_STR(out, "before");
	client_stop(&t, NULL);
}

TEST(await_copies_out_without_a_waiter)
{
	struct test_client t = client_start(&patient);
	CUdeviceptr address = client_allocate(&t, 3000);
	char in[2999], out[2999];
	struct args_rosenCopyIn copy_in = {.destination = address, .source = in, .bytes = 2999};
	struct args_rosenCopyOut copy_out = {.destination = out, .source = address};
	unsigned copies = 0;

	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 7);
	POST(&t, rosenCopyIn, &copy_in);
	for (size_t bytes = 1; bytes < sizeof(out); bytes += 333, copies++) {
		memset(out, 'o', sizeof(out));
		copy_out.bytes = bytes;
		CHECK_EQ(CALL(&t, rosenCopyOut, &copy_out), CUDA_SUCCESS);
		CHECK_BYTES(out, in, bytes);
		CHECK(out[bytes] == 'o');
	}
	CHECK_EQ(fake.synchronised, copies);
	CHECK_EQ(fake.registered, 1);
	client_stop(&t, NULL);
}

TEST(await_copies_out_where_nothing_can_be_pinned)
{
	struct test_client t = client_start(&patient);
	CUdeviceptr address = client_allocate(&t, 100);
	char in[100] = "by way of the waiter", out[100] = "";
	struct args_rosenCopyIn copy_in = {.destination = address, .source = in, .bytes = 100};
	struct args_rosenCopyOut copy_out = {.destination = out, .source = address, .bytes = 100};

	fake.no_register = true;
	POST(&t, rosenCopyIn, &copy_in);
	CHECK_EQ(CALL(&t, rosenCopyOut, &copy_out), CUDA_SUCCESS);
	CHECK_STR(out, in);
	CHECK_EQ(fake.synchronised, 1);
	client_stop(&t, NULL);
}

TEST(await_ends_with_the_session)
{
	struct test_client t = client_start(&patient), other = client_lane(&t);
	struct wire_writer writer;
	uint32_t seq;

	fake_hold();
	CHECK_EQ(chan_begin(t.pair.client, other.lane, API_cuStreamSynchronize, WIRE_F_REPLY, 8,
		     &writer, &seq),
	    0);
	wire_put_u64(&writer, 0);
	CHECK_EQ(chan_commit(t.pair.client, other.lane, &writer), 0);
	until_asked();
	client_send(&t, API_cuStreamCreate, 0, NULL, 0);
	client_until_ended();
	client_stop(&t, "malformed record for cuStreamCreate");
}
