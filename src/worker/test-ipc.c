/*
 * What programs share, as the worker does it: handles of memory and events, tickets. The test is
 * rosend: it keeps what the worker offers, and gives it back as another session's, or as something
 * else.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/test.h"
#include "wire/control.h"
#include "worker/test-client.h"

#define MIB	   (1u << 20)
#define OFFERS_MAX 16

static struct rosend {
	struct control_share offers[OFFERS_MAX];
	int fds[OFFERS_MAX]; /* -1: none */
	unsigned n, withdrawn;
	uint32_t status;  /* what offers are answered with */
	uint64_t session; /* whose it says what is taken was */
	bool loses_fds;
} rosend;

static int answer_offer(struct control_share *message, int fd, int *got)
{
	unsigned i = rosend.n;

	message->status = rosend.status;
	if (rosend.status)
		return 0;
	CHECK(i < OFFERS_MAX);
	memset(&message->token, (int)++rosend.n, sizeof(message->token));
	rosend.offers[i] = *message;
	rosend.fds[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (share_has_ticket(message->type) && !rosend.loses_fds)
		CHECK_EQ(fd_memory("ticket", 100 + i, got), 0);
	return 0;
}

static int find(const struct share_token *token)
{
	for (unsigned i = 0; i < rosend.n; i++)
		if (rosend.offers[i].kind &&
		    !memcmp(&rosend.offers[i].token, token, sizeof(*token)))
			return (int)i;
	return -1;
}

static int ask(struct control_share *message, int fd, int *got)
{
	int i = find(&message->token);

	*got = -1;
	if (message->kind == CONTROL_OFFER)
		return answer_offer(message, fd, got);
	if (message->kind == CONTROL_WITHDRAW) {
		CHECK(i >= 0);
		rosend.offers[i].kind = 0;
		rosend.withdrawn++;
		return 0;
	}
	message->status = i < 0 ? ENOENT : 0;
	if (i < 0)
		return 0;
	*message = rosend.offers[i];
	message->status = 0;
	message->session = rosend.session;
	*got =
	    rosend.fds[i] < 0 || rosend.loses_fds ? -1 : fcntl(rosend.fds[i], F_DUPFD_CLOEXEC, 0);
	return 0;
}

static struct test_client begin_with(enum medium medium, bool arena)
{
	struct worker_options options = {
	    .arena = arena, .backend = CONTROL_BACKEND_CUDA, .session = 1, .ask = ask};

	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the device window");
	rosend = (struct rosend){.session = 2};
	return client_start_over(medium, &options);
}

static struct test_client begin(enum medium medium)
{
	return begin_with(medium, true);
}

static void end(struct test_client *t)
{
	client_stop(t, NULL);
	for (unsigned i = 0; i < rosend.n; i++)
		fd_close(rosend.fds[i]);
}

static void release(struct test_client *t, CUdeviceptr address)
{
	struct args_cuMemFree_v2 a = {.address = address};

	CHECK_EQ(CALL(t, cuMemFree_v2, &a), CUDA_SUCCESS);
}

static uint32_t get_handle(struct test_client *t, CUdeviceptr address, CUipcMemHandle *handle)
{
	struct args_cuIpcGetMemHandle a = {.handle = handle, .address = address};

	return CALL(t, cuIpcGetMemHandle, &a);
}

static uint32_t open_handle(
    struct test_client *t, const CUipcMemHandle *handle, CUdeviceptr *address, size_t *bytes)
{
	CUdevice device = 77;
	struct args_cuIpcOpenMemHandle_v2 a = {
	    .address = address, .bytes = bytes, .device = &device, .handle = *handle};
	uint32_t r = CALL(t, cuIpcOpenMemHandle_v2, &a);

	if (r == CUDA_SUCCESS)
		CHECK_EQ(device, 0);
	return r;
}

static uint32_t close_handle(struct test_client *t, CUdeviceptr address, unsigned *last)
{
	struct args_cuIpcCloseMemHandle a = {.address = address, .last = last};

	return CALL(t, cuIpcCloseMemHandle, &a);
}

TEST(ipc_handle_lasts_as_long_as_its_memory)
{
	struct test_client t = begin(OVER_LOOP);
	CUdeviceptr address = client_allocate(&t, 3 * MIB), other = client_allocate(&t, 3 * MIB);
	CUipcMemHandle handle, same, next;

	CHECK_EQ(get_handle(&t, address, &handle), CUDA_SUCCESS);
	CHECK_EQ(get_handle(&t, address + MIB, &same), CUDA_SUCCESS);
	CHECK_BYTES(&same, &handle, sizeof(handle));
	CHECK_EQ(get_handle(&t, other, &next), CUDA_SUCCESS);
	CHECK(memcmp(&next, &handle, sizeof(handle)) != 0);
	CHECK_EQ(rosend.n, 2);
	CHECK_EQ(rosend.offers[0].type, SHARE_MEMORY);
	CHECK_EQ(rosend.offers[0].size, 3 * MIB);
	CHECK_EQ(rosend.offers[0].mapped_size, 4 * MIB);
	CHECK_EQ(get_handle(&t, address + 3 * MIB, &same), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(get_handle(&t, 4096, &same), CUDA_ERROR_INVALID_VALUE);
	release(&t, address);
	CHECK_EQ(rosend.withdrawn, 1);
	CHECK_EQ(find(&rosend.offers[0].token), -1);
	/* What gets its address is something else. */
	CHECK_EQ(client_allocate(&t, 3 * MIB), address);
	CHECK_EQ(get_handle(&t, address, &same), CUDA_SUCCESS);
	CHECK(memcmp(&same, &handle, sizeof(handle)) != 0);
	/* All of a context's end with it. */
	struct args_cuDevicePrimaryCtxReset_v2 reset = {.device = 0};
	CHECK_EQ(CALL(&t, cuDevicePrimaryCtxReset_v2, &reset), CUDA_SUCCESS);
	CHECK_EQ(rosend.withdrawn, 3);
	end(&t);
}

TEST(ipc_memory_is_opened_once_and_counted)
{
	struct test_client t = begin(OVER_LOOP);
	CUdeviceptr own = client_allocate(&t, 3 * MIB), first, again;
	CUipcMemHandle handle;
	unsigned last = 9;
	size_t bytes;

	CHECK_EQ(get_handle(&t, own, &handle), CUDA_SUCCESS);
	CHECK_EQ(open_handle(&t, &handle, &first, &bytes), CUDA_SUCCESS);
	CHECK_EQ(bytes, 3 * MIB);
	CHECK(first != own);
	CHECK(fake_is_mapped(first, 3 * MIB));
	CHECK_EQ(fake_access(first), 1);
	CHECK_EQ(open_handle(&t, &handle, &again, &bytes), CUDA_SUCCESS);
	CHECK_EQ(again, first);
	/* It is no allocation, and not counted as one. */
	struct args_cuMemFree_v2 wrong = {.address = first};
	CHECK(CALL(&t, cuMemFree_v2, &wrong) != CUDA_SUCCESS);
	CHECK_EQ(get_handle(&t, first, &handle), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(worker_device_memory(client_worker()), 4 * MIB);
	CHECK_EQ(close_handle(&t, first, &last), CUDA_SUCCESS);
	CHECK_EQ(last, 0);
	CHECK(fake_is_mapped(first, 1));
	unsigned synchronised = fake.synchronised;
	CHECK_EQ(close_handle(&t, first, &last), CUDA_SUCCESS);
	CHECK_EQ(last, 1);
	CHECK(!fake_is_mapped(first, 1));
	CHECK(fake.synchronised > synchronised);
	CHECK_EQ(close_handle(&t, first, &last), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(close_handle(&t, own, &last), CUDA_ERROR_INVALID_VALUE);
	CHECK(fake_is_mapped(own, 3 * MIB));
	end(&t);
}

TEST(ipc_small_memory_lies_where_it_did_in_its_slab)
{
	struct test_client t = begin(OVER_LOOP);
	CUdeviceptr opened[3], own[3];
	CUipcMemHandle handle;
	size_t bytes;

	for (int i = 0; i < 3; i++) {
		own[i] = client_allocate(&t, 1000);
		CHECK_EQ(get_handle(&t, own[i], &handle), CUDA_SUCCESS);
		CHECK_EQ(open_handle(&t, &handle, &opened[i], &bytes), CUDA_SUCCESS);
		CHECK_EQ(bytes, 1000);
		CHECK_EQ(opened[i] % (2 * MIB), own[i] % (2 * MIB));
	}
	/* What is still open when the context ends goes with it. */
	struct args_cuDevicePrimaryCtxReset_v2 reset = {.device = 0};
	CHECK_EQ(CALL(&t, cuDevicePrimaryCtxReset_v2, &reset), CUDA_SUCCESS);
	for (int i = 0; i < 3; i++)
		CHECK(!fake_is_mapped(opened[i], 1));
	end(&t);
}

TEST(ipc_refuses_what_it_cannot_open)
{
	struct test_client t = begin(OVER_LOOP);
	CUdeviceptr own = client_allocate(&t, 3 * MIB), address;
	CUipcMemHandle handle, wrong;
	size_t bytes;

	CHECK_EQ(get_handle(&t, own, &handle), CUDA_SUCCESS);
	for (size_t i = 0; i < sizeof(handle); i++) {
		wrong = handle;
		wrong.reserved[i] = (char)(wrong.reserved[i] ^ 0x10);
		uint32_t r = open_handle(&t, &wrong, &address, &bytes);
		CHECK(r == CUDA_ERROR_INVALID_VALUE || r == CUDA_ERROR_INVALID_HANDLE);
	}
	rosend.session = 1;
	CHECK_EQ(open_handle(&t, &handle, &address, &bytes), CUDA_ERROR_INVALID_CONTEXT);
	rosend.session = 2;
	rosend.loses_fds = true;
	CHECK_EQ(open_handle(&t, &handle, &address, &bytes), CUDA_ERROR_OPERATING_SYSTEM);
	rosend.loses_fds = false;
	/* An owner that lies about what it offers. */
	struct control_share *offer = &rosend.offers[0], truth = *offer;
	offer->offset = 2 * MIB;
	CHECK_EQ(open_handle(&t, &handle, &address, &bytes), CUDA_ERROR_INVALID_HANDLE);
	offer->offset = ~0ull;
	CHECK_EQ(open_handle(&t, &handle, &address, &bytes), CUDA_ERROR_INVALID_HANDLE);
	*offer = truth;
	offer->size = ~0ull;
	CHECK_EQ(open_handle(&t, &handle, &address, &bytes), CUDA_ERROR_INVALID_HANDLE);
	*offer = truth;
	offer->mapped_size = 1ull << 60;
	CHECK(open_handle(&t, &handle, &address, &bytes) != CUDA_SUCCESS);
	*offer = truth;
	for (int i = 0; i < 3; i++) {
		offer->device = (int32_t[]){-1, 1 << 30, 5}[i];
		CHECK(open_handle(&t, &handle, &address, &bytes) != CUDA_SUCCESS);
	}
	*offer = truth;
	offer->type = SHARE_EVENT;
	CHECK_EQ(open_handle(&t, &handle, &address, &bytes), CUDA_ERROR_INVALID_HANDLE);
	offer->type = 999;
	CHECK_EQ(open_handle(&t, &handle, &address, &bytes), CUDA_ERROR_INVALID_HANDLE);
	*offer = truth;
	unsigned mapped = fake.mapped;
	CHECK_EQ(open_handle(&t, &handle, &address, &bytes), CUDA_SUCCESS);
	CHECK_EQ(fake.mapped, mapped + 1);
	end(&t);
}

TEST(ipc_survives_every_failure_of_the_backend)
{
	struct test_client t = begin(OVER_LOOP);
	CUdeviceptr own = client_allocate(&t, 3 * MIB), address = 0;
	CUipcMemHandle handle;
	size_t bytes;
	int n;

	for (n = 0;; n++) {
		fake.fail_in = n;
		if (get_handle(&t, own, &handle) == CUDA_SUCCESS)
			break;
	}
	CHECK(n > 1);
	rosend.status = ENOSPC;
	CUdeviceptr other = client_allocate(&t, 3 * MIB);
	fake.fail_in = -1;
	CHECK_EQ(get_handle(&t, other, &handle), CUDA_ERROR_OUT_OF_MEMORY);
	rosend.status = EIO;
	CHECK_EQ(get_handle(&t, other, &handle), CUDA_ERROR_OPERATING_SYSTEM);
	rosend.status = 0;
	CHECK_EQ(get_handle(&t, own, &handle), CUDA_SUCCESS);
	unsigned mapped = fake.mapped, created = fake.created;
	for (n = 0;; n++) {
		fake.fail_in = n;
		if (open_handle(&t, &handle, &address, &bytes) == CUDA_SUCCESS)
			break;
		CHECK_EQ(fake.mapped, mapped);
		CHECK_EQ(fake.created, created);
	}
	CHECK(n > 2);
	fake.fail_in = -1;
	CHECK(fake_is_mapped(address, 3 * MIB));
	end(&t);
}

TEST(ipc_memory_stays_while_a_capture_is_under_way)
{
	struct test_client t = begin(OVER_LOOP);
	CUdeviceptr own = client_allocate(&t, 3 * MIB), address, again;
	uint64_t stream = handle_id(false, HANDLE_STREAM, 1, 1), graph = 0;
	struct args_cuStreamCreate create = {.stream = (CUstream *)&stream};
	struct args_cuStreamBeginCapture_v2 capture = {.stream = (CUstream)stream};
	struct args_cuStreamEndCapture finish = {
	    .stream = (CUstream)stream, .graph = (CUgraph *)&graph};
	CUipcMemHandle handle;
	unsigned last;
	size_t bytes;

	CHECK_EQ(get_handle(&t, own, &handle), CUDA_SUCCESS);
	CHECK_EQ(open_handle(&t, &handle, &address, &bytes), CUDA_SUCCESS);
	POST(&t, cuStreamCreate, &create);
	CHECK_EQ(CALL(&t, cuStreamBeginCapture_v2, &capture), CUDA_SUCCESS);
	unsigned synchronised = fake.synchronised;
	CHECK_EQ(close_handle(&t, address, &last), CUDA_SUCCESS);
	CHECK_EQ(fake.synchronised, synchronised);
	CHECK(fake_is_mapped(address, 1));
	CHECK_EQ(close_handle(&t, address, &last), CUDA_ERROR_INVALID_VALUE);
	/* It comes back as it was. */
	CHECK_EQ(open_handle(&t, &handle, &again, &bytes), CUDA_SUCCESS);
	CHECK_EQ(again, address);
	CHECK_EQ(close_handle(&t, address, &last), CUDA_SUCCESS);
	CHECK_EQ(CALL(&t, cuStreamEndCapture, &finish), CUDA_SUCCESS);
	CHECK_EQ(close_handle(&t, address, &last), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(open_handle(&t, &handle, &address, &bytes), CUDA_SUCCESS);
	CHECK_EQ(close_handle(&t, address, &last), CUDA_SUCCESS);
	CHECK(!fake_is_mapped(address, 1));
	end(&t);
}

TEST(ipc_memory_of_the_backend_has_the_backends_handle)
{
	struct test_client t = begin_with(OVER_LOOP, false);
	CUdeviceptr own = client_allocate(&t, 4096), address;
	CUipcMemHandle handle, same;
	unsigned last;
	size_t bytes;

	CHECK_EQ(get_handle(&t, own, &handle), CUDA_SUCCESS);
	CHECK_EQ(get_handle(&t, own, &same), CUDA_SUCCESS);
	CHECK_BYTES(&same, &handle, sizeof(handle));
	CHECK_EQ(rosend.offers[0].type, SHARE_HANDLE);
	CHECK_EQ(rosend.offers[0].data[63], 0x5a); /* it stays with rosend */
	CHECK(handle.reserved[63] != 0x5a);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(open_handle(&t, &handle, &address, &bytes), CUDA_SUCCESS);
		CHECK_EQ(address, own + FAKE_OPENED);
		CHECK_EQ(bytes, 4096);
	}
	CHECK_EQ(fake.opened, 1);
	CHECK_EQ(close_handle(&t, address, &last), CUDA_SUCCESS);
	CHECK_EQ(fake.opened, 1);
	CHECK_EQ(close_handle(&t, address, &last), CUDA_SUCCESS);
	CHECK_EQ(last, 1);
	CHECK_EQ(fake.opened, 0);
	release(&t, own);
	CHECK_EQ(rosend.withdrawn, 1);
	CHECK_EQ(get_handle(&t, client_allocate(&t, 4096), &handle), CUDA_SUCCESS);
	struct args_cuDevicePrimaryCtxReset_v2 reset = {.device = 0};
	CHECK_EQ(CALL(&t, cuDevicePrimaryCtxReset_v2, &reset), CUDA_SUCCESS);
	CHECK_EQ(rosend.withdrawn, 2);
	end(&t);
}

TEST(ipc_events_travel_as_names)
{
	struct test_client t = begin(OVER_LOOP);
	uint64_t ids[] = {
	    handle_id(false, HANDLE_EVENT, 1, 1), handle_id(false, HANDLE_EVENT, 1, 2)};
	CUevent event = (CUevent)ids[0], opened = (CUevent)ids[1];
	struct args_cuEventCreate create = {.event = &event};
	CUipcEventHandle handle, same;
	struct args_cuIpcGetEventHandle get = {.handle = &handle, .event = (CUevent)ids[0]};
	struct args_cuIpcOpenEventHandle open = {.event = &opened};
	struct args_cuEventDestroy_v2 destroy = {.event = (CUevent)ids[0]};

	POST(&t, cuEventCreate, &create);
	CHECK_EQ(CALL(&t, cuIpcGetEventHandle, &get), CUDA_SUCCESS);
	get.handle = &same;
	CHECK_EQ(CALL(&t, cuIpcGetEventHandle, &get), CUDA_SUCCESS);
	CHECK_BYTES(&same, &handle, sizeof(same));
	CHECK_EQ(rosend.n, 1);
	CHECK_EQ(rosend.offers[0].data[63], 0x5a); /* the backend's own stays with rosend */
	CHECK(handle.reserved[63] != 0x5a);
	open.handle = handle;
	CHECK_EQ(CALL(&t, cuIpcOpenEventHandle, &open), CUDA_SUCCESS);
	struct args_cuEventQuery query = {.event = (CUevent)ids[1]};
	CHECK(CALL(&t, cuEventQuery, &query) != CUDA_ERROR_INVALID_HANDLE);
	destroy.event = (CUevent)ids[0];
	CHECK_EQ(CLIENT_SEND(&t, cuEventDestroy_v2, &destroy, WIRE_F_REPLY), CUDA_SUCCESS);
	CHECK_EQ(rosend.withdrawn, 1);
	ids[1] = handle_id(false, HANDLE_EVENT, 1, 3);
	opened = (CUevent)ids[1];
	CHECK_EQ(CALL(&t, cuIpcOpenEventHandle, &open), CUDA_ERROR_INVALID_HANDLE);
	memset(&open.handle, 1, sizeof(open.handle));
	CHECK_EQ(CALL(&t, cuIpcOpenEventHandle, &open), CUDA_ERROR_INVALID_VALUE);
	end(&t);
}

TEST(ipc_tickets_reach_the_client_before_the_answer)
{
	struct test_client t = begin(OVER_MEMFD);
	CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
	    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
	uint64_t id = handle_id(false, HANDLE_ALLOCATION, 1, 1);
	CUmemGenericAllocationHandle handle = id;
	struct args_cuMemCreate create = {
	    .handle = &handle, .bytes = 2 * MIB, .properties = &properties};
	struct args_cuMemExportToShareableHandle export = {.handle = id, .number = 1ull << 63 | 5};
	struct side_message message;
	struct stat status;
	int fd;

	CHECK_EQ(CALL(&t, cuMemCreate, &create), CUDA_SUCCESS);
	CHECK_EQ(CALL(&t, cuMemExportToShareableHandle, &export), CUDA_SUCCESS);
	CHECK_EQ(rosend.offers[0].type, SHARE_ALLOCATION);
	CHECK_EQ(chan_side_receive(t.pair.client, false, &message, &fd), 0);
	CHECK_EQ(message.kind, SIDE_DESCRIPTOR);
	CHECK_EQ(message.segment, 1ull << 63 | 5);
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK_EQ(status.st_size, 100); /* rosend's ticket, not the backend's */
	fd_close(fd);
	rosend.loses_fds = true;
	CHECK_EQ(CALL(&t, cuMemExportToShareableHandle, &export), CUDA_ERROR_OPERATING_SYSTEM);
	CHECK_EQ(chan_side_receive(t.pair.client, false, &message, &fd), -EAGAIN);
	rosend.loses_fds = false;
	/* A name of something else is no allocation. */
	struct share_name name = share_name(&rosend.offers[0].token);
	CUmemGenericAllocationHandle twin = handle_id(false, HANDLE_ALLOCATION, 1, 2);
	struct args_cuMemImportFromShareableHandle import = {.handle = &twin};
	memcpy(&import.name, &name, sizeof(name));
	rosend.offers[0].type = SHARE_POOL;
	CHECK_EQ(CALL(&t, cuMemImportFromShareableHandle, &import), CUDA_ERROR_INVALID_HANDLE);
	end(&t);
}
