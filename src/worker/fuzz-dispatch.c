/*
 * The worker as a fuzzer reaches it: the input is a row of records, served one after the other over
 * a fake backend, exactly as they would be from the ring but on one thread. Nothing may crash,
 * whatever the records say; what they mean is for test-dispatch.c.
 *
 * A record in the input is a head of 8 bytes and its payload:
 *
 *	u16 function    its id, since ids never change; one that nobody has: some function.
 *	                0xffff: an attachment. 0xfffe: no record but a message of the side socket
 *	u8  flags       WIRE_F_*; of a side message SIDE_*_HERE, what its descriptor is
 *	u8  lane        modulo LANES
 *	u32 words       of payload, 8 bytes each, as many as there are
 *
 * A side message has three words: the segment's number, its address or offset, and the size of the
 * memory behind the descriptor.
 *
 * seed-dispatch.c writes such rows with the generated encoders. A worker lives for many inputs,
 * since making one costs more than a thousand records.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/test.h"
#include "chan/provider.h"
#include "worker/fuzz-dispatch.h"
#include "worker/test-fake.h"
#include "worker/worker.h"

#define INPUTS_PER_WORKER 512
#define SIDE_SIZE_MAX	  (64u << 20)

/* Messages of the client's that the worker has not asked for yet, the oldest first. */
static struct {
	struct side_message message[16];
	int fd[16];
	unsigned n;
} sides;

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

/* Stands in the place of the loop provider's, which knows no side messages. It never waits: what
 * the client has not said by now it will not say. */
static int next_side(struct chan_end *end, bool wait, struct side_message *message, int *fd_out)
{
	*fd_out = -1;
	if (!sides.n)
		return wait ? -ENODATA : -EAGAIN;
	*message = sides.message[0];
	*fd_out = sides.fd[0];
	sides.n--;
	memmove(sides.message, sides.message + 1, sides.n * sizeof(sides.message[0]));
	memmove(sides.fd, sides.fd + 1, sides.n * sizeof(sides.fd[0]));
	return 0;
}

static int side_descriptor(uint8_t flags, uint64_t size)
{
	if (flags & FUZZ_SIDE_STRANGE)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)(size % SIDE_SIZE_MAX)) < 0 ||
	    (flags & FUZZ_SIDE_SEALED && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0))
		abort();
	return fd;
}

static void say(const struct fuzz_head *head, const uint8_t *payload, size_t size)
{
	uint64_t words[3] = {0};

	memcpy(words, payload, MIN(size, sizeof(words)));
	if (sides.n == ARRAY_SIZE(sides.fd))
		return;
	sides.message[sides.n] = (struct side_message){
	    .kind = head->flags & FUZZ_SIDE_FILE	 ? SIDE_FILE
		    : head->flags & FUZZ_SIDE_DESCRIPTOR ? SIDE_DESCRIPTOR
							 : SIDE_SEGMENT,
	    .segment = words[0],
	    .address = words[1],
	    .size = words[2],
	};
	sides.fd[sides.n++] =
	    head->flags & FUZZ_SIDE_NONE ? -1 : side_descriptor(head->flags, words[2]);
}

static void end_worker(void)
{
	while (sides.n)
		fd_close(sides.fd[--sides.n]);
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
	    .measure_gpu = true,
	    .lanes = LANES,
	    .staging_size = geometry.staging_size,
	    .bulk_limit = 4 << 20};
	static struct chan_provider provider;
	struct chan_end *ends[2];

	fake_init(&backend, &host);
	fake.capacity = 64 << 20;
	CHECK(loop_ends_new(&geometry, &ends[0], &ends[1]) == 0);
	provider = *ends[1]->provider;
	provider.side_receive = next_side;
	ends[1]->provider = &provider;
	CHECK(chan_open(ends[0], CHAN_CLIENT, NULL, 0, &client) == 0);
	CHECK(chan_open(ends[1], CHAN_WORKER, &geometry, 0, &server) == 0);
	worker = worker_new(&options, &backend, &host, server);
	CHECK(worker);
}

/* Most inputs are no records that a shim wrote, and shall not be wasted on ids that do not
 * exist. */
static uint32_t id_of(uint16_t function)
{
	for (size_t i = 0; i < worker_n_entries; i++)
		if (worker_entries[i].id == function)
			return function;
	return worker_entries[function % worker_n_entries].id;
}

static void feed(const struct fuzz_head *head, const uint8_t *payload, size_t size)
{
	static uint8_t buffer[WIRE_RECORD_MAX] __attribute__((aligned(16)));
	struct wire_record *record = (struct wire_record *)buffer;

	*record = (struct wire_record){
	    .size = (uint32_t)(sizeof(*record) + size),
	    .id = head->function == FUZZ_ATTACH ? WIRE_ID_ATTACH : id_of(head->function),
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
		if (head.function == FUZZ_SIDE)
			say(&head, data, payload);
		else
			feed(&head, data, payload);
		data += payload;
		size -= payload;
	}
	return 0;
}
