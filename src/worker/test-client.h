/*
 * A client for tests of the worker: a channel inside this process, the worker over the fake backend
 * in a thread, and calls made with the generated codec.
 *
 *	struct test_client t = client_start();
 *	struct args_cuX a = {...};
 *	CHECK_EQ(CALL(&t, cuX, &a), CUDA_SUCCESS);     waits; outputs are in *a's pointers
 *	POST(&t, cuX, &a);
 *	client_stop(&t);
 */
#pragma once

#include "chan/test-chan.h"
#include "gen/api_args.h"
#include "gen/api_codec.h"
#include "gen/api_ids.h"
#include "worker/test-fake.h"
#include "worker/worker.h"

struct test_client {
	struct pair pair;
	uint16_t lane, flags; /* flags: added to every record */
	struct wire_reader reader;
};

/* As options.spin_ns: none; 0 takes a microsecond. */
#define CLIENT_NO_SPIN UINT64_MAX

/* With the device's primary context current in the lane. */
struct test_client client_start(const struct worker_options *options);
/* With none. */
struct test_client client_bare(const struct worker_options *options);
/* Over memfd descriptors can pass. */
struct test_client client_start_over(enum medium medium, const struct worker_options *options);
/* The worker must have ended as expected: 0, or -EBADMSG with last words that contain words. */
void client_stop(struct test_client *client, const char *words);

/* Until the worker ended by itself, as one does whose client broke the rules. */
void client_until_ended(void);

/* The worker of the running client; for looking, not for touching. */
struct worker *client_worker(void);

/* Sends an encoded payload. Waiting: the status, and the outputs in client->reader. */
uint32_t client_send(
    struct test_client *client, uint32_t id, uint16_t flags, const void *payload, size_t size);

/* Another lane of the same client, as another thread would have; its context is told too. */
struct test_client client_lane(const struct test_client *client);

/* Loads a module, and gets a function of it. */
CUfunction client_function(struct test_client *client);

/* Device memory. */
CUdeviceptr client_allocate(struct test_client *client, size_t bytes);

/* Waits for all work of the lane's context; the status. */
uint32_t client_synchronise(struct test_client *client);

/* Posts a stream's creation; index: of its id, another one each time. */
CUstream client_stream(struct test_client *client, uint32_t index);

/* Posts a launch of one thread without parameters. */
void client_launch(struct test_client *client, CUfunction function, CUstream stream);

#define CLIENT_SEND(client, name, arguments, more)                                                 \
	({                                                                                         \
		uint8_t client_payload[WIRE_RECORD_MAX];                                           \
		size_t client_size = wire_size_##name(arguments);                                  \
		CHECK(client_size <= sizeof(client_payload));                                      \
		struct wire_writer client_writer = wire_writer(client_payload, client_size);       \
		wire_encode_##name(&client_writer, arguments);                                     \
		CHECK(!client_writer.failed);                                                      \
		client_send(client, API_##name, more, client_payload, client_size);                \
	})
#define CALL(client, name, arguments)                                                              \
	({                                                                                         \
		uint32_t client_status = CLIENT_SEND(client, name, arguments, WIRE_F_REPLY);       \
		if (client_status == CUDA_SUCCESS) {                                               \
			wire_decode_reply_##name(&(client)->reader, arguments);                    \
			CHECK(!(client)->reader.failed);                                           \
		}                                                                                  \
		client_status;                                                                     \
	})
#define POST(client, name, arguments) CLIENT_SEND(client, name, arguments, 0)
