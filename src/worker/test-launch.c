/* Launches with what a hostile or careless client could put into them. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "worker/test-client.h"

static struct args_cuLaunchKernelEx launch_of(
    uint64_t function, CUlaunchAttribute *attributes, unsigned n)
{
	return (struct args_cuLaunchKernelEx){.function = (CUfunction)function,
	    .grid_x = 1,
	    .grid_y = 1,
	    .grid_z = 1,
	    .block_x = 1,
	    .block_y = 1,
	    .block_z = 1,
	    .attributes = attributes,
	    .n_attributes = n};
}

/* Launches are posted; with a reply the test sees the status of this one. */
#define LAUNCH(t, a) CLIENT_SEND(t, cuLaunchKernelEx, a, WIRE_F_REPLY)

TEST(launch_attribute_events_are_translated)
{
	struct test_client t = client_start(NULL);
	uint64_t function = (uint64_t)client_function(&t),
		 event = handle_id(false, HANDLE_EVENT, 1, 1);
	struct args_cuEventCreate create = {.event = (CUevent *)&event};
	CUlaunchAttribute attributes[2] = {
	    {.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT},
	    {.id = CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT},
	};
	struct args_cuLaunchKernelEx launch = launch_of(function, attributes, 2);

	POST(&t, cuEventCreate, &create);
	attributes[0].value.programmaticEvent.event = (CUevent)handle_id(false, HANDLE_EVENT, 1, 1);
	attributes[1].value.launchCompletionEvent.event =
	    (CUevent)handle_id(false, HANDLE_EVENT, 1, 1);
	CHECK_EQ(LAUNCH(&t, &launch), CUDA_SUCCESS);
	CHECK_EQ(fake.last_launch.n_attributes, 2);
	CHECK(fake.last_launch.attributes[0].value.programmaticEvent.event == FAKE_EVENT(0));
	CHECK(fake.last_launch.attributes[1].value.launchCompletionEvent.event == FAKE_EVENT(0));
	/* An event of nobody's, and a pointer where an event should be. */
	attributes[1].value.launchCompletionEvent.event =
	    (CUevent)handle_id(false, HANDLE_EVENT, 1, 2);
	CHECK_EQ(LAUNCH(&t, &launch), CUDA_ERROR_INVALID_HANDLE);
	attributes[1].value.launchCompletionEvent.event = (CUevent)&t;
	CHECK_EQ(LAUNCH(&t, &launch), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(fake.launches, 1);
	client_stop(&t, NULL);
}

TEST(launch_brings_back_what_the_driver_writes_into_an_attribute)
{
	struct test_client t = client_start(NULL);
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE};
	struct args_cuLaunchKernelEx launch =
	    launch_of((uint64_t)client_function(&t), &attribute, 1);
	uint64_t node = 0;
	struct args_rosenLaunchUpdatable updatable = {.function = launch.function,
	    .grid_x = 1,
	    .grid_y = 1,
	    .grid_z = 1,
	    .block_x = 1,
	    .block_y = 1,
	    .block_z = 1,
	    .attributes = &attribute,
	    .n_attributes = 1,
	    .device_node = &node};

	attribute.value.deviceUpdatableKernelNode.deviceUpdatable = 1;
	attribute.value.deviceUpdatableKernelNode.devNode = (CUgraphDeviceNode)&t;
	CHECK_EQ(CALL(&t, rosenLaunchUpdatable, &updatable), CUDA_SUCCESS);
	CHECK_EQ(fake.launches, 1);
	CHECK_EQ(node, (uint64_t)FAKE_DEVICE_NODE);
	/* Posted it is harmless: the backend writes into the worker's copy. */
	CHECK_EQ(LAUNCH(&t, &launch), CUDA_SUCCESS);
	client_stop(&t, NULL);
}

TEST(launch_unknown_attributes_pass)
{
	struct test_client t = client_start(NULL);
	CUlaunchAttribute attribute = {.id = (CUlaunchAttributeID)999};
	struct args_cuLaunchKernelEx launch =
	    launch_of((uint64_t)client_function(&t), &attribute, 1);

	memset(&attribute.value, 0x5a, sizeof(attribute.value));
	CHECK_EQ(LAUNCH(&t, &launch), CUDA_SUCCESS);
	CHECK_BYTES(&fake.last_launch.attributes[0], &attribute, sizeof(attribute));
	client_stop(&t, NULL);
}

TEST(launch_too_many_attributes_or_parameters)
{
	struct test_client t = client_start(NULL);
	CUlaunchAttribute *attributes = calloc(300, sizeof(*attributes));
	struct args_cuLaunchKernelEx launch =
	    launch_of((uint64_t)client_function(&t), attributes, 300);
	static uint8_t parameters[WIRE_RECORD_MAX];

	CHECK_EQ(LAUNCH(&t, &launch), CUDA_ERROR_INVALID_VALUE);
	launch.n_attributes = 0;
	launch.attributes = NULL;
	launch.parameters = parameters;
	launch.parameter_bytes = 32000;
	CHECK_EQ(LAUNCH(&t, &launch), CUDA_SUCCESS);
	CHECK_EQ(fake.last_launch.bytes, 32000);
	/* More than CUDA allows does not fit a record: it comes as an attachment. */
	launch.parameter_bytes = 40000;
	launch.parameters = calloc(1, 40000);
	size_t size = wire_size_cuLaunchKernelEx(&launch);
	uint8_t *payload = malloc(size);
	struct wire_writer writer = wire_writer(payload, size);
	wire_encode_cuLaunchKernelEx(&writer, &launch);
	CHECK_EQ(chan_attach(t.pair.client, t.lane, payload, size), 0);
	CHECK_EQ(client_send(&t, API_cuLaunchKernelEx, WIRE_F_REPLY | WIRE_F_ATTACHED, "", 0),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(fake.launches, 1);
	free(payload);
	free((void *)launch.parameters);
	free(attributes);
	client_stop(&t, NULL);
}

TEST(launch_cooperative_has_the_attribute)
{
	struct test_client t = client_start(NULL);
	struct args_cuLaunchCooperativeKernel launch = {
	    .function = client_function(&t), .grid_x = 3};

	CHECK_EQ(CLIENT_SEND(&t, cuLaunchCooperativeKernel, &launch, WIRE_F_REPLY), CUDA_SUCCESS);
	CHECK_EQ(fake.last_launch.n_attributes, 1);
	CHECK_EQ(fake.last_launch.attributes[0].id, CU_LAUNCH_ATTRIBUTE_COOPERATIVE);
	CHECK_EQ(fake.last_launch.attributes[0].value.cooperative, 1);
	client_stop(&t, NULL);
}

/* A payload that says more than it holds, at every place of the encoding. */
TEST(launch_truncated_payloads_end_the_session)
{
	uint64_t parameters[4] = {1, 2, 3, 4};
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_PRIORITY};

	for (size_t cut = 8; cut < 300; cut += 8) {
		struct test_client t = client_start(NULL);
		struct args_cuLaunchKernelEx launch =
		    launch_of((uint64_t)client_function(&t), &attribute, 1);
		uint8_t payload[512];
		launch.parameters = parameters;
		launch.parameter_bytes = sizeof(parameters);
		size_t size = wire_size_cuLaunchKernelEx(&launch);
		struct wire_writer writer = wire_writer(payload, size);
		wire_encode_cuLaunchKernelEx(&writer, &launch);
		if (cut > size) {
			client_stop(&t, NULL);
			break;
		}
		client_send(&t, API_cuLaunchKernelEx, 0, payload, size - cut);
		client_until_ended();
		CHECK_EQ(fake.launches, 0);
		client_stop(&t, "cuLaunchKernelEx");
	}
}

/* --- launches that block --- */

struct launching {
	struct test_client client;
	pthread_t thread;
	uint64_t function;
	uint32_t result;
	atomic_bool ended;
};

static void *launch_and_wait(void *argument)
{
	struct launching *launching = argument;
	struct args_cuLaunchKernelEx launch = launch_of(launching->function, NULL, 0);

	launching->result = LAUNCH(&launching->client, &launch);
	atomic_store(&launching->ended, true);
	return NULL;
}

static void until_launched(unsigned n)
{
	uint64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;

	while (atomic_load(&fake.launches) < n) {
		CHECK(clock_now_ns() < end);
		usleep(100);
	}
}

/* However the worker waits: the dispatcher for long, or a waiter soon. */
static void check_blocking(uint64_t await_ns)
{
	struct worker_options options = {.launch_blocking = true, .await_ns = await_ns};
	struct test_client t = client_start(&options);
	struct launching launching = {.function = (uint64_t)client_function(&t)};

	launching.client = client_lane(&t);
	fake_hold();
	CHECK_EQ(pthread_create(&launching.thread, NULL, launch_and_wait, &launching), 0);
	until_launched(1);
	/* Others go on meanwhile, and what nobody waits for keeps nobody. */
	for (int i = 0; i < 100; i++) {
		client_launch(&t, (CUfunction)launching.function, NULL);
		CHECK_EQ(CALL(&t, rosenNull, &(struct args_rosenNull){0}), CUDA_SUCCESS);
	}
	CHECK(!atomic_load(&launching.ended));
	fake_release();
	CHECK_EQ(pthread_join(launching.thread, NULL), 0);
	CHECK_EQ(launching.result, CUDA_SUCCESS);
	client_stop(&t, NULL);
}

TEST(a_blocking_launch_is_awaited_by_the_dispatcher)
{
	check_blocking(60 * NSEC_PER_SEC);
}

TEST(a_blocking_launch_is_awaited_by_a_waiter)
{
	check_blocking(1);
}

TEST(a_launch_does_not_block_unasked)
{
	struct test_client t = client_start(NULL);
	struct args_cuLaunchKernelEx launch = launch_of((uint64_t)client_function(&t), NULL, 0);

	fake_hold();
	CHECK_EQ(LAUNCH(&t, &launch), CUDA_SUCCESS);
	fake_release();
	client_stop(&t, NULL);
}
