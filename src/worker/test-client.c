/* See test-client.h. One worker at a time: the test runner forks each test. */
#include "worker/test-client.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"

static struct backend backend;
static struct backend_host host;
static struct worker_options options;
static struct worker *worker;
static char last_words[HELLO_TEXT_MAX];
static int worker_result;
static _Atomic bool ended;

static void *serve(void *chan)
{
	atomic_store(&ended, false);
	worker = worker_new(&options, &backend, &host, chan);
	CHECK(worker);
	worker_result = worker_run(worker);
	snprintf(last_words, sizeof(last_words), "%s", worker->last_words);
	worker_free(worker);
	atomic_store(&ended, true);
	return (void *)(intptr_t)-ENOTCONN; /* what pair_stop() wants to see */
}

struct worker *client_worker(void)
{
	return worker;
}

static void enter_context(struct test_client *client)
{
	struct args_rosenLaneState state = {
	    .context = handle_primary_context(0), .mode = CU_STREAM_CAPTURE_MODE_GLOBAL};

	POST(client, rosenLaneState, &state);
}

static struct test_client start(enum medium medium, const struct worker_options *wanted)
{
	struct chan_geometry geometry = {
	    .ring_size = 256 << 10, .staging_size = 4 << 20, .lanes = 16, .functions = 1024};
	struct test_client client = {0};

	log_set_level(LOG_ERROR);
	options = wanted ? *wanted : (struct worker_options){.arena = true};
	options.lanes = geometry.lanes;
	options.staging_size = geometry.staging_size;
	options.bulk_limit = options.bulk_limit ?: 64 << 20;
	options.spin_ns = options.spin_ns == CLIENT_NO_SPIN ? 0 : options.spin_ns ?: 1000;
	fake_init(&backend, &host);
	if (options.measure)
		backend_time(&backend);
	client.pair = pair_start(medium, &geometry, serve);
	CHECK_EQ(chan_lane_take(client.pair.client, &client.lane), 0);
	return client;
}

struct test_client client_bare(const struct worker_options *wanted)
{
	return start(OVER_LOOP, wanted);
}

struct test_client client_start_over(enum medium medium, const struct worker_options *wanted)
{
	struct test_client client = start(medium, wanted);
	struct args_cuDevicePrimaryCtxRetain retain = {.device = 0};

	CHECK_EQ(CALL(&client, cuDevicePrimaryCtxRetain, &retain), CUDA_SUCCESS);
	enter_context(&client);
	return client;
}

struct test_client client_start(const struct worker_options *wanted)
{
	return client_start_over(OVER_LOOP, wanted);
}

struct test_client client_lane(const struct test_client *client)
{
	struct test_client other = {.pair = client->pair};

	CHECK_EQ(chan_lane_take(other.pair.client, &other.lane), 0);
	enter_context(&other);
	return other;
}

void client_stop(struct test_client *client, const char *words)
{
	pair_stop(&client->pair);
	CHECK_EQ(worker_result, words ? -EBADMSG : 0);
	if (words)
		CHECK(strstr(last_words, words));
	else
		CHECK_STR(last_words, "");
}

void client_until_ended(void)
{
	uint64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;

	while (!atomic_load(&ended)) {
		CHECK(clock_now_ns() < end);
		usleep(200);
	}
}

/* Two threads of a test may use one lane, which no program does: this is their order. */
static _Atomic unsigned sent;

uint32_t client_send(
    struct test_client *client, uint32_t id, uint16_t flags, const void *payload, size_t size)
{
	struct chan *chan = client->pair.client;
	struct wire_writer writer;
	uint32_t seq, status = CUDA_ERROR_DEINITIALIZED;

	flags |= client->flags;
	atomic_fetch_add(&sent, 1);
	int r = chan_begin(chan, client->lane, id, flags, size, &writer, &seq);
	if (r < 0)
		return status;
	wire_put_raw(&writer, payload, size);
	r = chan_commit(chan, client->lane, &writer);
	atomic_fetch_add(&sent, 1);
	if (r < 0 || !(flags & WIRE_F_REPLY))
		return status;
	chan_wait(chan, client->lane, seq, 20000000000ull, &status, &client->reader);
	return status;
}

CUfunction client_function(struct test_client *t)
{
	CUmodule module = (CUmodule)handle_id(false, HANDLE_MODULE, 1, 1);
	CUfunction function = NULL;
	static const char image[] = ".version 7.0\n";
	struct args_cuModuleLoadDataEx load = {
	    .module = &module, .image = image, .image_bytes = sizeof(image)};
	struct args_cuModuleGetFunction get = {
	    .function = &function, .module = module, .name = "f"};

	CHECK_EQ(CALL(t, cuModuleLoadDataEx, &load), CUDA_SUCCESS);
	CHECK_EQ(CALL(t, cuModuleGetFunction, &get), CUDA_SUCCESS);
	return function;
}

CUstream client_stream(struct test_client *t, uint32_t index)
{
	CUstream stream = (CUstream)handle_id(false, HANDLE_STREAM, 1, index), id = stream;
	struct args_cuStreamCreate create = {.stream = &stream};

	POST(t, cuStreamCreate, &create);
	return id;
}

void client_launch(struct test_client *t, CUfunction function, CUstream stream)
{
	struct args_cuLaunchKernel a = {.function = function,
	    .grid_x = 1,
	    .grid_y = 1,
	    .grid_z = 1,
	    .block_x = 1,
	    .block_y = 1,
	    .block_z = 1,
	    .stream = stream};

	POST(t, cuLaunchKernel, &a);
}

CUdeviceptr client_allocate(struct test_client *client, size_t bytes)
{
	CUdeviceptr address = 0;
	struct args_cuMemAlloc_v2 a = {.address = &address, .bytes = bytes};

	CHECK_EQ(CALL(client, cuMemAlloc_v2, &a), CUDA_SUCCESS);
	return address;
}

uint32_t client_synchronise(struct test_client *client)
{
	struct args_cuCtxSynchronize a = {0};

	return CALL(client, cuCtxSynchronize, &a);
}
