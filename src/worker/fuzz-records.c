/*
 * See fuzz-records.h. Records are served exactly as if they came from the ring, but by the thread
 * that reads the input. Side messages lie in a queue until the worker asks for one.
 */
#include "worker/fuzz-records.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test.h"
#include "base/util.h"
#include "chan/provider.h"
#include "worker/fuzz-compare.h"

#define SIDE_SIZE_MAX (64u << 20)

/* Messages of the client's that the worker has not asked for yet, the oldest first; waiters ask too. */
static struct {
	pthread_mutex_t lock;
	struct side_message message[16];
	int fd[16];
	unsigned n;
} sides = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What CHECK() calls: the test runner is not linked. */
void test_fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "%s:%d: ", file, line);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	abort();
}

/* A worker that lives on holds more after an input than before; the search for leaks would take
 * most of the time. The unit tests look for them. Kernels' faults are the software GPU's to
 * catch. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0:allow_user_segv_handler=1";
}

/* --- side messages --- */

/* Stands in the place of the loop provider's, which knows no side messages. It never waits: what
 * the client has not said by now it will not say. */
static int next_side(struct chan_end *end, bool wait, struct side_message *message, int *fd_out)
{
	int r = wait ? -ENODATA : -EAGAIN;

	*fd_out = -1;
	pthread_mutex_lock(&sides.lock);
	if (sides.n) {
		*message = sides.message[0];
		*fd_out = sides.fd[0];
		sides.n--;
		memmove(sides.message, sides.message + 1, sides.n * sizeof(sides.message[0]));
		memmove(sides.fd, sides.fd + 1, sides.n * sizeof(sides.fd[0]));
		r = 0;
	}
	pthread_mutex_unlock(&sides.lock);
	return r;
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
	const struct side_message message = {
	    .kind = head->flags & FUZZ_SIDE_FILE	 ? SIDE_FILE
		    : head->flags & FUZZ_SIDE_DESCRIPTOR ? SIDE_DESCRIPTOR
							 : SIDE_SEGMENT,
	    .segment = words[0],
	    .address = words[1],
	    .size = words[2],
	};
	pthread_mutex_lock(&sides.lock);
	if (sides.n < ARRAY_SIZE(sides.fd)) {
		sides.message[sides.n] = message;
		sides.fd[sides.n++] =
		    head->flags & FUZZ_SIDE_NONE ? -1 : side_descriptor(head->flags, words[2]);
	}
	pthread_mutex_unlock(&sides.lock);
}

void fuzz_drop_sides(void)
{
	while (sides.n)
		fd_close(sides.fd[--sides.n]);
}

void fuzz_open_channel(
    const struct chan_geometry *geometry, struct chan **client, struct chan **server)
{
	static struct chan_provider provider;
	struct chan_end *ends[2];

	CHECK(loop_ends_new(geometry, &ends[0], &ends[1]) == 0);
	provider = *ends[1]->provider;
	provider.side_receive = next_side;
	ends[1]->provider = &provider;
	CHECK(chan_open(ends[0], CHAN_CLIENT, NULL, 0, client) == 0);
	CHECK(chan_open(ends[1], CHAN_WORKER, geometry, 0, server) == 0);
}

/* --- records --- */

/* Most inputs are no records that a shim wrote, and shall not be wasted on ids that do not
 * exist. */
static uint32_t id_of(uint16_t function)
{
	for (size_t i = 0; i < worker_n_entries; i++)
		if (worker_entries[i].id == function)
			return function;
	return worker_entries[function % worker_n_entries].id;
}

static void feed(struct worker *worker, const struct fuzz_head *head, const uint8_t *payload,
    size_t size, fuzz_before *before)
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
	if (!before || before(record))
		worker_feed(worker, record);
}

void fuzz_feed(struct worker *worker, const uint8_t *data, size_t size, fuzz_before *before)
{
	struct fuzz_head head;

	for (unsigned i = 0; size >= sizeof(head); i++) {
		fuzz_compare_record(i);
		memcpy(&head, data, sizeof(head));
		data += sizeof(head);
		size -= sizeof(head);
		size_t payload = MIN((size_t)head.words * 8, size / 8 * 8);
		payload = MIN(payload, WIRE_RECORD_MAX - sizeof(struct wire_record));
		if (head.function == FUZZ_SIDE)
			say(&head, data, payload);
		else
			feed(worker, &head, data, payload, before);
		data += payload;
		size -= payload;
	}
}
