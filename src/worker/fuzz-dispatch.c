/*
 * The worker as a fuzzer reaches it: the input is a row of records (fuzz-records.h), served one
 * after the other over a fake backend. Nothing may crash, whatever the records say; what they mean
 * is for test-dispatch.c. fuzz-session.c has the software GPU instead of the fake.
 *
 * Of some inputs (fuzz-threads.h) the waiters serve what may wait, as in a real session, while the
 * thread that reads the input goes on to the next record, as for a client that does not wait for
 * its answers. Nothing may then sleep for ever either, which libFuzzer's -timeout tells, or for
 * longer than it must, which fuzz-threads.c does.
 *
 * seed-dispatch.c writes such rows with the generated encoders. A worker lives for many inputs,
 * since making one costs more than a thousand records.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/test.h"
#include "gen/api_ids.h"
#include "worker/await.h"
#include "worker/fuzz-compare.h"
#include "worker/fuzz-records.h"
#include "worker/fuzz-threads.h"
#include "worker/test-fake.h"
#include "worker/waiter.h"

#define INPUTS_PER_WORKER 512

static struct backend backend;
static struct backend_host host;
static struct chan *client, *server;
static struct worker *worker;
static unsigned n_inputs;

static void end_worker(void)
{
	fuzz_drop_sides();
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
	    .gpu_answers = true,
	    .no_waiters = true,
	    .launch_blocking = true, /* of launches with a reply */
	    .measure_gpu = true,
	    .lanes = LANES,
	    .staging_size = geometry.staging_size,
	    .bulk_limit = 4 << 20};

	fake_init(&backend, &host);
	fake.capacity = 64 << 20;
	fuzz_open_channel(&geometry, &client, &server);
	worker = worker_new(&options, &backend, &host, server);
	CHECK(worker);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	void *compared = calloc(1, fuzz_compare_size);

	CHECK(compared);
	fuzz_compare_init(compared);
	fuzz_threads_miss_wakeups();
	return 0;
}

/* With waiters one would wait for a callback to come until the session ends. */
static bool before(struct wire_record *record)
{
	return record->id != API_rosenHostCalls || worker->options.no_waiters;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	log_set_level(LOG_ERROR);
	if (n_inputs++ % INPUTS_PER_WORKER == 0) {
		end_worker();
		make_worker();
	}
	worker->options.no_waiters = !fuzz_threads_begin(data, size);
	fuzz_compare_begin();
	fuzz_feed(worker, data, size, before);
	while (worker->awaits.n)
		awaits_look(worker);
	fuzz_threads_rest();
	waiters_join(worker);
	fuzz_compare_learn(data, size);
	return 0;
}
