/*
 * What the shim does for programs that share: descriptors over the side socket, tickets, ranges of
 * other processes, events that wait. A small worker in a thread, over a real side socket, plays the
 * other end.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test.h"
#include "chan/test-chan.h"
#include "gen/api_codec.h"
#include "gen/api_ids.h"
#include "gen/shim_custom.h"
#include "shim/call.h"
#include "shim/descriptor.h"
#include "shim/event.h"
#include "shim/object.h"
#include "shim/range.h"
#include "shim/session.h"
#include "shim/thread.h"

#define OTHERS_MEMORY (WIRE_DEVICE_WINDOW_BASE + (64ull << 20))
#define DECOYS	      5

/* Read by tests only while the worker is idle. */
static struct fake {
	struct chan *chan;
	unsigned calls[3], opened; /* calls: rosenNull, cuEventRecord, cuMemFree_v2 */
	int ours;		   /* rosend's end of the ticket */
	uint64_t number;	   /* that the last import of external memory named */
	CUipcMemHandle name;	   /* or the name */
	CUresult refuse;	   /* what such imports are answered with */
} fake;

struct served {
	const struct wire_record *record;
	struct wire_reader reader;
	struct wire_writer writer;
	struct pool *pool;
	CUresult result;
};

#define SERVE(name)                                                                                \
	struct args_##name a;                                                                      \
	CHECK(wire_decode_##name(&s->reader, s->pool, &a))

static struct share_name ticket_name(void)
{
	struct share_token token;

	memset(&token, 0x42, sizeof(token));
	return share_name(&token);
}

static void send_side(uint32_t kind, uint64_t number, int fd, const char *text)
{
	struct side_message message = {.kind = kind, .segment = number};

	snprintf(message.text, sizeof(message.text), "%s", text);
	CHECK_EQ(chan_side_send(fake.chan, &message, fd), 0);
}

/* Other threads' descriptors and last words come first. */
static void serve_export(struct served *s)
{
	struct share_name name = ticket_name();
	int pair[2], decoy[2];

	SERVE(cuMemExportToShareableHandle);
	CHECK_EQ(pipe(decoy), 0);
	for (uint64_t i = 1; i <= DECOYS; i++)
		send_side(SIDE_DESCRIPTOR, a.number + i * 1000, decoy[0], "");
	send_side(SIDE_LAST_WORDS, 0, -1, "said\033[2J before");
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(fd_send(pair[0], &name, sizeof(name), NULL, 0), 0);
	send_side(SIDE_DESCRIPTOR, a.number, pair[1], "");
	fd_close(pair[1]);
	fd_close(decoy[0]);
	fd_close(decoy[1]);
	fake.ours = pair[0];
	wire_encode_reply_cuMemExportToShareableHandle(&s->writer, &a);
}

static void serve_import(struct served *s)
{
	struct share_name wanted = ticket_name();

	SERVE(cuMemImportFromShareableHandle);
	CHECK_BYTES(&a.name, &wanted, sizeof(wanted));
	wire_encode_reply_cuMemImportFromShareableHandle(&s->writer, &a);
}

static void serve_external(struct served *s)
{
	struct side_message message;
	int fd = -1;

	SERVE(cuImportExternalMemory);
	fake.number = a.number;
	fake.name = a.name;
	if (a.number) {
		CHECK_EQ(chan_side_receive(fake.chan, true, &message, &fd), 0);
		CHECK_EQ(message.kind, SIDE_DESCRIPTOR);
		CHECK_EQ(message.segment, a.number);
		CHECK_EQ(write(fd, "x", 1), 1);
		fd_close(fd);
	}
	s->result = fake.refuse;
	wire_encode_reply_cuImportExternalMemory(&s->writer, &a);
}

static void serve_open(struct served *s)
{
	SERVE(cuIpcOpenMemHandle_v2);
	fake.opened++;
	*a.address = OTHERS_MEMORY;
	*a.bytes = 1000;
	*a.device = 0;
	wire_encode_reply_cuIpcOpenMemHandle_v2(&s->writer, &a);
}

static void serve_close(struct served *s)
{
	SERVE(cuIpcCloseMemHandle);
	CHECK_EQ(a.address, OTHERS_MEMORY);
	*a.last = --fake.opened == 0;
	wire_encode_reply_cuIpcCloseMemHandle(&s->writer, &a);
}

static void serve(struct served *s)
{
	switch (s->record->id) {
	case API_cuMemExportToShareableHandle:
		serve_export(s);
		break;
	case API_cuMemImportFromShareableHandle:
		serve_import(s);
		break;
	case API_cuImportExternalMemory:
		serve_external(s);
		break;
	case API_cuIpcOpenMemHandle_v2:
		serve_open(s);
		break;
	case API_cuIpcCloseMemHandle:
		serve_close(s);
		break;
	case API_rosenNull:
		fake.calls[0]++;
		break;
	case API_cuEventRecord:
		fake.calls[1]++;
		break;
	case API_cuMemFree_v2:
		fake.calls[2]++;
		break;
	case API_rosenLaneState:
	case API_rosenLaneEnd:
	case API_cuEventCreate:
	case API_cuStreamWaitEvent:
		break;
	default:
		test_fail(__FILE__, __LINE__, "unexpected call 0x%x", s->record->id);
	}
}

static void *fake_worker(void *chan)
{
	static _Alignas(16) uint8_t record[WIRE_RECORD_MAX];
	struct pool pool;
	int r;

	fake.chan = chan;
	pool_init(&pool, 1u << 20);
	while ((r = chan_next(chan, record)) == 0) {
		const struct wire_record *header = (void *)record;
		uint8_t outputs[256];
		struct served s = {.record = header,
		    .reader = wire_reader(header + 1, header->size - sizeof(*header)),
		    .writer = wire_writer(outputs, sizeof(outputs)),
		    .pool = &pool};
		serve(&s);
		pool_reset(&pool);
		if (!(header->flags & WIRE_F_REPLY))
			continue;
		struct wire_writer writer = chan_reply_begin(chan, header->lane);
		wire_put_raw(&writer, outputs, (size_t)(s.writer.at - outputs));
		chan_reply_commit(chan, header->lane, header->seq, s.result, &writer);
	}
	pool_fini(&pool);
	return (void *)(intptr_t)r;
}

static struct pair start(void)
{
	static const struct chan_geometry geometry = {
	    .ring_size = 1 << 17, .staging_size = 1u << 20, .lanes = 16};
	if (TEST_THREAD_SANITIZER)
		SKIP("both ends map the region: the sanitizer sees no order through it");
	struct pair pair = pair_start(OVER_MEMFD, &geometry, fake_worker);

	session.chan = pair.client;
	session.state = SESSION_OPEN;
	shim_gate = SHIM_GATE_OPEN;
	CHECK_EQ(shim_thread_init(), 0);
	shim_object_init();
	shim_thread.context = (CUcontext)handle_primary_context(0);
	return pair;
}

static void stop(struct pair *pair)
{
	descriptor_after_fork(); /* closes what nobody asked for */
	session.chan = NULL;
	pair_stop(pair);
}

#define FD_TYPE CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR

TEST(exported_memory_is_a_ticket)
{
	struct pair pair = start();
	CUmemGenericAllocationHandle own = shim_handle_new(HANDLE_ALLOCATION), twin;
	char words[64];
	int fd = -1, other;

	CHECK_EQ(shim_cuMemExportToShareableHandle(&fd, own, FD_TYPE, 0), CUDA_SUCCESS);
	CHECK(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(shim_cuMemImportFromShareableHandle(&twin, (void *)(intptr_t)fd, FD_TYPE),
		    CUDA_SUCCESS);
	/* Its copies are as good. */
	int copy = dup(fd);
	fd_close(fd);
	CHECK_EQ(shim_cuMemImportFromShareableHandle(&twin, (void *)(intptr_t)copy, FD_TYPE),
	    CUDA_SUCCESS);
	CHECK(recv(fake.ours, words, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	fd_close(copy);
	/* rosend sees the last one go; the name was left unread. */
	CHECK(recv(fake.ours, words, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET);
	fd_close(fake.ours);
	/* What came in between is kept for who asks. */
	descriptor_last_words(words, sizeof(words));
	CHECK_STR(words, "said?[2J before"); /* which no terminal obeys */
	for (uint64_t i = 1; i <= DECOYS; i++) {
		CHECK_EQ(descriptor_receive((1ull << 63) + i * 1000, &other), CUDA_SUCCESS);
		fd_close(other);
	}
	CHECK_EQ(descriptor_receive((1ull << 63) + 77, &other), CUDA_ERROR_OPERATING_SYSTEM);
	stop(&pair);
}

TEST(what_is_no_ticket_is_refused_here)
{
	struct pair pair = start();
	CUmemGenericAllocationHandle own = shim_handle_new(HANDLE_ALLOCATION), twin;
	CUmemoryPool pool = NULL;
	struct share_name name = ticket_name();
	int sockets[2], pipes[2], fd = -1;

	CHECK_EQ(pipe(pipes), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	void *const no_ticket[] = {(void *)(intptr_t)-1, (void *)(intptr_t)pipes[0],
	    (void *)(intptr_t)sockets[1], (void *)(intptr_t)123456};
	for (size_t i = 0; i < ARRAY_SIZE(no_ticket); i++) {
		CHECK_EQ(shim_cuMemImportFromShareableHandle(&twin, no_ticket[i], FD_TYPE),
		    CUDA_ERROR_INVALID_VALUE);
		CHECK_EQ(shim_cuMemPoolImportFromShareableHandle(&pool, no_ticket[i], FD_TYPE, 0),
		    CUDA_ERROR_INVALID_VALUE);
	}
	/* Bytes that are nearly one. */
	name.zero[23] = 1;
	CHECK_EQ(fd_send(sockets[0], &name, sizeof(name), NULL, 0), 0);
	CHECK_EQ(shim_cuMemImportFromShareableHandle(&twin, no_ticket[2], FD_TYPE),
	    CUDA_ERROR_INVALID_VALUE);
	for (int i = 0; i < 3; i++) {
		CUmemAllocationHandleType type =
		    (CUmemAllocationHandleType[]){CU_MEM_HANDLE_TYPE_FABRIC,
			CU_MEM_HANDLE_TYPE_WIN32, CU_MEM_HANDLE_TYPE_NONE}[i];
		CUresult r = i < 2 ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
		CHECK_EQ(shim_cuMemExportToShareableHandle(&fd, own, type, 0), r);
		CHECK_EQ(shim_cuMemImportFromShareableHandle(&twin, no_ticket[2], type), r);
	}
	CHECK_EQ(fd, -1);
	for (int i = 0; i < 2; i++) {
		fd_close(sockets[i]);
		fd_close(pipes[i]);
	}
	stop(&pair);
}

TEST(external_memory_takes_the_descriptor)
{
	struct pair pair = start();
	CUDA_EXTERNAL_MEMORY_HANDLE_DESC memory = {
	    .type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD, .size = 4096};
	struct share_name name = ticket_name();
	CUexternalMemory object;
	int pipes[2], sockets[2];
	char byte;

	CHECK_EQ(pipe(pipes), 0);
	memory.handle.fd = pipes[1];
	fake.refuse = CUDA_ERROR_UNKNOWN;
	CHECK_EQ(shim_cuImportExternalMemory(&object, &memory), CUDA_ERROR_UNKNOWN);
	CHECK_EQ(write(pipes[1], "y", 1), 1); /* it is still the program's */
	fake.refuse = CUDA_SUCCESS;
	CHECK_EQ(shim_cuImportExternalMemory(&object, &memory), CUDA_SUCCESS);
	CHECK(fcntl(pipes[1], F_GETFD) < 0); /* now it is CUDA's */
	CHECK_EQ(fake.number >> 63, 1);
	for (const char *c = "xyx"; *c; c++)
		CHECK(read(pipes[0], &byte, 1) == 1 && byte == *c);
	CHECK_EQ(read(pipes[0], &byte, 1), 0);
	fd_close(pipes[0]);
	/* A ticket goes by its name. */
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	CHECK_EQ(fd_send(sockets[0], &name, sizeof(name), NULL, 0), 0);
	memory.handle.fd = sockets[1];
	CHECK_EQ(shim_cuImportExternalMemory(&object, &memory), CUDA_SUCCESS);
	CHECK_EQ(fake.number, 0);
	CHECK_BYTES(&fake.name, &name, sizeof(name));
	fd_close(sockets[0]);
	memory.handle.fd = -1;
	CHECK_EQ(shim_cuImportExternalMemory(&object, &memory), CUDA_ERROR_INVALID_VALUE);
	memory.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_NVSCIBUF;
	CHECK_EQ(shim_cuImportExternalMemory(&object, &memory), CUDA_ERROR_NOT_SUPPORTED);
	stop(&pair);
}

TEST(opened_memory_is_a_range_until_its_last_user_closes_it)
{
	struct pair pair = start();
	CUipcMemHandle handle = {{0}};
	CUdeviceptr address, again;
	struct range range;

	CHECK_EQ(shim_cuIpcOpenMemHandle_v2(&address, handle, 2), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(shim_cuIpcOpenMemHandle_v2(&address, handle, 1), CUDA_SUCCESS);
	CHECK_EQ(shim_cuIpcOpenMemHandle_v2(&again, handle, 1), CUDA_SUCCESS);
	CHECK_EQ(address, OTHERS_MEMORY);
	CHECK(range_find(address + 999, &range) && !range_find(address + 1000, &range));
	CHECK_EQ(range.kind, RANGE_IPC);
	/* It is not ours to free, nor to share. */
	CHECK_EQ(shim_cuMemFree_v2(address), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(shim_cuIpcGetMemHandle(&handle, address), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(fake.calls[2], 0);
	CHECK_EQ(shim_cuIpcCloseMemHandle(address + 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(shim_cuIpcCloseMemHandle(address), CUDA_SUCCESS);
	CHECK(range_find(address, &range));
	CHECK_EQ(shim_cuIpcCloseMemHandle(address), CUDA_SUCCESS);
	CHECK(!range_find(address, &range));
	CHECK_EQ(shim_cuIpcCloseMemHandle(address), CUDA_ERROR_INVALID_VALUE);
	stop(&pair);
}

TEST(calls_on_shared_events_wait_for_the_worker)
{
	struct pair pair = start();
	CUevent plain, shared;

	CHECK_EQ(shim_cuEventCreate(&plain, 2), CUDA_SUCCESS);
	CHECK_EQ(shim_cuEventRecord(plain, NULL), CUDA_SUCCESS);
	CHECK_EQ(shim_cuEventCreate(&shared, 6), CUDA_SUCCESS);
	CHECK_EQ(fake.calls[0], 1); /* the device may have none such: known at once */
	CHECK(event_is_shared(shared) && !event_is_shared(plain));
	for (unsigned i = 1; i <= 3; i++) {
		CHECK_EQ(shim_cuEventRecord(shared, NULL), CUDA_SUCCESS);
		CHECK_EQ(fake.calls[0], 1 + i);
		CHECK_EQ(fake.calls[1], 1 + i); /* it has happened by now */
	}
	CHECK_EQ(shim_cuStreamWaitEvent(NULL, shared, 0), CUDA_SUCCESS);
	CHECK_EQ(fake.calls[0], 5);
	CHECK_EQ(shim_cuStreamWaitEvent(NULL, plain, 0), CUDA_SUCCESS);
	CHECK_EQ(shim_cuEventRecord(plain, NULL), CUDA_SUCCESS);
	CHECK_EQ(shim_cuEventRecord(shared, NULL), CUDA_SUCCESS);
	CHECK_EQ(fake.calls[0], 6);
	CHECK_EQ(fake.calls[1], 6);
	stop(&pair);
}
