/*
 * See fuzz-records.h. Records are served exactly as if they came from the ring, but by the thread
 * that reads the input. Side messages lie in a queue until the worker asks for one.
 */
#include "worker/fuzz-records.h"

#include <errno.h>
#include <fcntl.h>
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

#define SIDE_SIZE_MAX  (64u << 20)
#define RECORDS_MOST   4096 /* that are told apart when an input is changed */
#define FUZZ_COPY_MOST 4096

/* Messages of the client's that the worker has not asked for yet, the oldest first. */
static struct {
	struct side_message message[16];
	int fd[16];
	unsigned n;
} sides;

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
 * most of the time. The unit tests look for them. Kernels' faults are the software GPU's to catch. */
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

	while (size >= sizeof(head)) {
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

/* --- mutation --- */

/*
 * Most of an input is words that mean something together; bytes changed at random seldom leave a
 * session that gets far. So what is changed is mostly a word of one record, to what stands
 * elsewhere or is an edge, or the row of records.
 */
struct records {
	uint8_t *data;
	size_t size, room;
	size_t at[RECORDS_MOST + 1]; /* where each begins; behind the last: the end */
	size_t n;
	uint64_t random;
};

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);

static uint64_t any(struct records *records, uint64_t n)
{
	records->random = records->random * 6364136223846793005u + 1442695040888963407u;
	return n ? (records->random >> 24) % n : 0;
}

static void find_records(struct records *records)
{
	struct fuzz_head head;
	size_t at = 0;

	while (records->size - at >= sizeof(head) && records->n < RECORDS_MOST) {
		records->at[records->n++] = at;
		memcpy(&head, records->data + at, sizeof(head));
		at += sizeof(head);
		at += MIN((size_t)head.words * 8, (records->size - at) / 8 * 8);
	}
	records->at[records->n] = at;
}

/* A word of some record's payload; NULL: it has none. */
static uint8_t *any_word(struct records *records)
{
	size_t record = any(records, records->n);
	size_t first = records->at[record] + sizeof(struct fuzz_head);
	size_t words = (records->at[record + 1] - first) / 8;

	return words ? records->data + first + 8 * any(records, words) : NULL;
}

static uint64_t edge(struct records *records, uint64_t present)
{
	const uint8_t *other = any_word(records);
	uint64_t value = 0;

	switch (any(records, 6)) {
	case 0:
		return any(records, 4);
	case 1:
		return present + any(records, 17) - 8;
	case 2:
		return present ^ (1ull << any(records, 64));
	case 3:
		return UINT64_MAX << any(records, 64);
	case 4:
		return 1ull << any(records, 64);
	default:
		if (other)
			memcpy(&value, other, sizeof(value));
		return value;
	}
}

static void change_word(struct records *records)
{
	uint8_t *word = any_word(records);
	size_t size = any(records, 2) ? 8 : 4;
	uint64_t value = 0;

	if (!word)
		return;
	word += 8 - size && any(records, 2) ? 4 : 0;
	memcpy(&value, word, size);
	value = edge(records, value);
	memcpy(word, &value, size);
}

/* Calls another function with the same payload. */
static void change_function(struct records *records)
{
	uint8_t *head = records->data + records->at[any(records, records->n)];
	uint16_t id = (uint16_t)worker_entries[any(records, worker_n_entries)].id;

	memcpy(head, &id, sizeof(id));
}

/* A few records go. */
static void leave_out(struct records *records)
{
	size_t first = any(records, records->n);
	size_t n = 1 + any(records, 3);
	size_t behind = MIN(first + n, records->n);

	memmove(records->data + records->at[first], records->data + records->at[behind],
	    records->size - records->at[behind]);
	records->size -= records->at[behind] - records->at[first];
}

/* A record comes once more, somewhere. */
static void repeat(struct records *records)
{
	size_t record = any(records, records->n), at = records->at[any(records, records->n + 1)];
	size_t size = records->at[record + 1] - records->at[record];
	uint8_t copy[FUZZ_COPY_MOST];

	if (size > sizeof(copy) || size > records->room - records->size)
		return;
	memcpy(copy, records->data + records->at[record], size);
	memmove(records->data + at + size, records->data + at, records->size - at);
	memcpy(records->data + at, copy, size);
	records->size += size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
	static struct records records;

	records = (struct records){.data = data, .size = size, .room = room, .random = seed};
	find_records(&records);
	if (!records.n || !any(&records, 5))
		return LLVMFuzzerMutate(data, size, room);
	switch (any(&records, 10)) {
	case 0:
		leave_out(&records);
		break;
	case 1:
	case 2:
		repeat(&records);
		break;
	case 3:
		change_function(&records);
		break;
	default:
		change_word(&records);
		break;
	}
	return records.size;
}
