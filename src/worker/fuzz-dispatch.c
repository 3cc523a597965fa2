/*
 * The worker as a fuzzer reaches it: the input is a row of records, served one after the other over
 * a fake backend, exactly as they would be from the ring but on one thread. Nothing may crash,
 * whatever the records say; what they mean is for test-dispatch.c.
 *
 * A record in the input is a head of 8 bytes and its payload:
 *
 *	u16 function    index into worker_entries, modulo their number; 0xffff: an attachment
 *	u8  flags       WIRE_F_*
 *	u8  lane        modulo LANES
 *	u32 words       of payload, 8 bytes each, as many as there are
 *
 * seed-dispatch.c writes such rows with the generated encoders. A worker lives for many inputs,
 * since making one costs more than a thousand records.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/test.h"
#include "chan/provider.h"
#include "worker/fuzz-dispatch.h"
#include "worker/test-fake.h"
#include "worker/worker.h"

#define INPUTS_PER_WORKER 512

static struct backend backend;
static struct backend_host host;
static struct chan *client, *server;
static struct worker *worker;
static unsigned n_inputs;

/* What the fake's CHECK() calls: the test runner is not linked. */
void test_fail(const char *file, int line, const char *format, ...)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, format);
	abort();
}

/* A worker that lives on holds more after an input than before; the search for leaks would take
 * most of the time. The unit tests look for them. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void end_worker(void)
{
	worker = worker_free(worker);
	client = chan_free(client);
	server = chan_free(server);
}

static void make_worker(void)
{
	struct chan_geometry geometry = {
	    .ring_size = 128 << 10, .staging_size = 1 << 20, .lanes = LANES, .functions = 16};
	struct worker_options options = {.arena = true,
	    .quiet_waits = true,
	    .known_idle = true,
	    .no_waiters = true,
	    .measure_gpu = true,
	    .lanes = LANES,
	    .staging_size = geometry.staging_size,
	    .bulk_limit = 4 << 20};
	struct chan_end *ends[2];

	fake_init(&backend, &host);
	fake.capacity = 64 << 20;
	CHECK(loop_ends_new(&geometry, &ends[0], &ends[1]) == 0);
	CHECK(chan_open(ends[0], CHAN_CLIENT, NULL, 0, &client) == 0);
	CHECK(chan_open(ends[1], CHAN_WORKER, &geometry, 0, &server) == 0);
	worker = worker_new(&options, &backend, &host, server);
	CHECK(worker);
}

static void feed(const struct fuzz_head *head, const uint8_t *payload, size_t size)
{
	static uint8_t buffer[WIRE_RECORD_MAX] __attribute__((aligned(16)));
	struct wire_record *record = (struct wire_record *)buffer;

	*record = (struct wire_record){
	    .size = (uint32_t)(sizeof(*record) + size),
	    .id = head->function == FUZZ_ATTACH
		      ? WIRE_ID_ATTACH
		      : worker_entries[head->function % worker_n_entries].id,
	    .seq = 1,
	    .lane = head->lane % LANES,
	    .flags = head->flags,
	};
	memcpy(buffer + sizeof(*record), payload, size);
	worker_feed(worker, record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_head head;

	log_set_level(LOG_ERROR);
	if (n_inputs++ % INPUTS_PER_WORKER == 0) {
		end_worker();
		make_worker();
	}
	while (size >= sizeof(head)) {
		memcpy(&head, data, sizeof(head));
		data += sizeof(head);
		size -= sizeof(head);
		size_t payload = MIN((size_t)head.words * 8, size / 8 * 8);
		payload = MIN(payload, WIRE_RECORD_MAX - sizeof(struct wire_record));
		feed(&head, data, payload);
		data += payload;
		size -= payload;
	}
	return 0;
}
