/*
 * Copies and segments with a hostile client: an address that is not the client's to use never
 * reaches the backend, whatever form of copy carries it, and only sound segments are mapped.
 */
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test.h"
#include "worker/segment.h"
#include "worker/test-client.h"

#define SEGMENT_ADDRESS (WIRE_HOST_WINDOW_BASE + 0x200000)

static char own[4096]; /* memory of this process that no client may reach */

static void send_segment(struct test_client *t, uint64_t number, int fd)
{
	struct side_message message = {.kind = SIDE_SEGMENT, .segment = number};

	CHECK_EQ(chan_side_send(t->pair.client, &message, fd), 0);
	close(fd);
}

static uint32_t map_segment(
    struct test_client *t, uint64_t number, CUdeviceptr address, size_t bytes)
{
	struct args_rosenSegmentMap map = {.segment = number, .address = address, .bytes = bytes};

	return CALL(t, rosenSegmentMap, &map);
}

static int sealed(size_t bytes)
{
	int fd;

	CHECK_EQ(fd_memory("segment", bytes, &fd), 0);
	return fd;
}

TEST(copy_through_a_segment)
{
	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the windows");
	struct test_client t = client_start_over(OVER_MEMFD, NULL);
	CUdeviceptr device = client_allocate(&t, 8192);
	int fd = sealed(8192);
	char *mine = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	send_segment(&t, 5, fd);
	CHECK_EQ(map_segment(&t, 5, SEGMENT_ADDRESS, 8192), CUDA_SUCCESS);
	CHECK_EQ(fake.registered, 1);
	strcpy(mine, "shared with the worker");
	struct args_cuMemcpyHtoDAsync_v2 in = {
	    .destination = device, .source = SEGMENT_ADDRESS, .bytes = 4096};
	struct args_cuMemcpyDtoH_v2 out = {
	    .destination = SEGMENT_ADDRESS + 4096, .source = device, .bytes = 4096};
	POST(&t, cuMemcpyHtoDAsync_v2, &in);
	CHECK_EQ(CALL(&t, cuMemcpyDtoH_v2, &out), CUDA_SUCCESS);
	CHECK_STR(mine + 4096, "shared with the worker");
	/* One byte beyond, one before, and none at all. */
	in.bytes = 8193;
	CHECK_EQ(CALL(&t, cuMemcpyHtoDAsync_v2, &in), CUDA_ERROR_INVALID_VALUE);
	in.bytes = 1;
	in.source = SEGMENT_ADDRESS - 1;
	CHECK_EQ(CALL(&t, cuMemcpyHtoDAsync_v2, &in), CUDA_ERROR_INVALID_VALUE);
	struct args_rosenSegmentUnmap unmap = {.segment = 5};
	CHECK_EQ(CALL(&t, rosenSegmentUnmap, &unmap), CUDA_SUCCESS);
	CHECK_EQ(fake.registered, 0);
	CHECK_EQ(CALL(&t, rosenSegmentUnmap, &unmap), CUDA_ERROR_INVALID_VALUE);
	in.source = SEGMENT_ADDRESS;
	CHECK_EQ(CALL(&t, cuMemcpyHtoDAsync_v2, &in), CUDA_ERROR_INVALID_VALUE);
	munmap(mine, 8192);
	client_stop(&t, NULL);
}

static void until_registered(unsigned n)
{
	for (int i = 0; i < 10000 && atomic_load(&fake.registered) != n; i++)
		usleep(1000);
	CHECK_EQ(atomic_load(&fake.registered), n);
}

/* In the order of the ring, whatever thread does the rest. */
TEST(copies_behind_a_segments_end_do_not_find_it)
{
	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the windows");
	struct test_client t = client_start_over(OVER_MEMFD, NULL);
	struct test_client other = client_lane(&t);
	struct args_cuMemcpyHtoDAsync_v2 in = {
	    .destination = client_allocate(&t, 8192), .source = SEGMENT_ADDRESS, .bytes = 4096};

	for (uint64_t number = 1; number < 200; number++) {
		struct args_rosenSegmentUnmap unmap = {.segment = number};
		send_segment(&t, number, sealed(8192));
		CHECK_EQ(map_segment(&t, number, SEGMENT_ADDRESS, 8192), CUDA_SUCCESS);
		POST(&other, rosenSegmentUnmap, &unmap);
		CHECK_EQ(CALL(&t, cuMemcpyHtoDAsync_v2, &in), CUDA_ERROR_INVALID_VALUE);
		until_registered(0);
	}
	client_stop(&t, NULL);
}

static atomic_bool copying, copied;

static CUresult copy_for_long(const CUDA_MEMCPY3D *copy, CUstream stream)
{
	atomic_store(&copying, true);
	while (!atomic_load(&copied))
		usleep(1000);
	return CUDA_SUCCESS;
}

TEST(a_segment_stays_while_a_waiter_copies)
{
	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the windows");
	struct test_client t = client_start_over(OVER_MEMFD, NULL);
	struct test_client other = client_lane(&t);
	struct args_rosenSegmentUnmap unmap = {.segment = 1};
	struct args_rosenCopyBoxWait copy = {.source_type = CU_MEMORYTYPE_HOST,
	    .source = SEGMENT_ADDRESS,
	    .destination_type = CU_MEMORYTYPE_DEVICE,
	    .destination = client_allocate(&t, 8192),
	    .width = 16,
	    .height = 1,
	    .depth = 1};

	((struct backend *)client_worker()->backend)->cuMemcpy3DAsync_v2 = copy_for_long;
	send_segment(&t, 1, sealed(8192));
	CHECK_EQ(map_segment(&t, 1, SEGMENT_ADDRESS, 8192), CUDA_SUCCESS);
	POST(&other, rosenCopyBoxWait, &copy);
	while (!atomic_load(&copying))
		usleep(1000);
	POST(&t, rosenSegmentUnmap, &unmap);
	usleep(50000);
	CHECK_EQ(atomic_load(&fake.registered), 1);
	atomic_store(&copied, true);
	until_registered(0);
	CHECK_EQ(CALL(&other, rosenCopyBoxWait, &copy), CUDA_ERROR_INVALID_VALUE);
	client_stop(&t, NULL);
}

TEST(copy_segments_that_are_refused)
{
	static const struct {
		CUdeviceptr address;
		size_t bytes;
	} bad[] = {
	    {SEGMENT_ADDRESS + 1, 4096},
	    {SEGMENT_ADDRESS, 0},
	    {SEGMENT_ADDRESS, 8193}, /* the descriptor has 8192 */
	    {0x1000, 4096},
	    {WIRE_HOST_WINDOW_BASE - 4096, 4096},
	    {WIRE_HOST_WINDOW_BASE + WIRE_HOST_WINDOW_SIZE - 4096, 8192},
	    {UINT64_MAX & ~0xfffull, 8192},
	    {WIRE_DEVICE_WINDOW_BASE, 4096},
	};
	struct test_client t = client_start_over(OVER_MEMFD, NULL);
	uint64_t number = 1;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		send_segment(&t, number, sealed(8192));
		CHECK_EQ(map_segment(&t, number++, bad[i].address, bad[i].bytes),
		    CUDA_ERROR_INVALID_VALUE);
	}
	int open_to_shrink = memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK_EQ(ftruncate(open_to_shrink, 8192), 0);
	send_segment(&t, number, open_to_shrink);
	CHECK_EQ(map_segment(&t, number++, SEGMENT_ADDRESS, 8192), CUDA_ERROR_INVALID_VALUE);
	int pipes[2];
	CHECK_EQ(pipe(pipes), 0);
	close(pipes[1]);
	send_segment(&t, number, pipes[0]);
	CHECK_EQ(map_segment(&t, number++, SEGMENT_ADDRESS, 8192), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(fake.registered, 0);
	client_stop(&t, NULL);
}

TEST(copy_segment_the_backend_does_not_pin)
{
	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the windows");
	struct test_client t = client_start_over(OVER_MEMFD, NULL);

	fake.no_register = true;
	send_segment(&t, 1, sealed(8192));
	CHECK_EQ(map_segment(&t, 1, SEGMENT_ADDRESS, 8192), CUDA_ERROR_NOT_SUPPORTED);
	fake.no_register = false;
	send_segment(&t, 1, sealed(8192));
	CHECK_EQ(map_segment(&t, 1, SEGMENT_ADDRESS, 8192), CUDA_SUCCESS);
	/* Neither the number nor the place twice; the first stays. */
	send_segment(&t, 1, sealed(8192));
	CHECK_EQ(map_segment(&t, 1, SEGMENT_ADDRESS + 8192, 8192), CUDA_ERROR_INVALID_VALUE);
	send_segment(&t, 2, sealed(8192));
	CHECK_EQ(map_segment(&t, 2, SEGMENT_ADDRESS + 4096, 8192), CUDA_ERROR_OUT_OF_MEMORY);
	struct args_rosenSegmentUnmap unmap = {.segment = 1};
	CHECK_EQ(CALL(&t, rosenSegmentUnmap, &unmap), CUDA_SUCCESS);
	client_stop(&t, NULL);
}

/* An address where this process has nothing. */
static CUdeviceptr somewhere_free(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED);
	munmap(at, bytes);
	return (CUdeviceptr)at;
}

static uint32_t register_segment(
    struct test_client *t, uint64_t number, CUdeviceptr address, size_t bytes)
{
	struct args_rosenSegmentRegister a = {
	    .segment = number, .address = address, .bytes = bytes};

	send_segment(t, number, sealed(8192));
	return CALL(t, rosenSegmentRegister, &a);
}

static uint32_t place_segment(
    struct test_client *t, uint64_t number, CUdeviceptr address, size_t bytes)
{
	struct args_rosenSegmentPlace a = {.segment = number, .address = address, .bytes = bytes};

	send_segment(t, number, sealed(8192));
	return CALL(t, rosenSegmentPlace, &a);
}

static CUresult import_nothing(
    CUmemGenericAllocationHandle *handle, void *os_handle, CUmemAllocationHandleType handle_type)
{
	return CUDA_ERROR_INVALID_VALUE;
}

TEST(segments_are_placed_in_what_the_client_reserved)
{
	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the windows");
	struct test_client t = client_start_over(OVER_MEMFD, NULL);
	((struct backend *)client_worker()->backend)->cuMemImportFromShareableHandle =
	    import_nothing;
	CUdeviceptr at = 0;
	const size_t bytes = 4 << 20;
	struct args_cuMemAddressReserve reserve = {.address = &at, .bytes = bytes};
	struct args_cuMemAddressFree release = {.bytes = bytes};
	struct args_rosenSegmentUnmap unmap = {.segment = 10};

	/* Anywhere else is memory of this process. */
	CHECK_EQ(place_segment(&t, 1, (CUdeviceptr)own & ~4095ull, 8192), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(place_segment(&t, 2, client_allocate(&t, 8192) & ~4095ull, 8192),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(CALL(&t, cuMemAddressReserve, &reserve), CUDA_SUCCESS);
	release.address = at;
	CHECK_EQ(place_segment(&t, 3, at - 4096, 8192), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(place_segment(&t, 4, at + bytes - 4096, 8192), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(place_segment(&t, 5, at, 12288), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(place_segment(&t, 6, at + 1, 4096), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(place_segment(&t, 10, at + bytes - 8192, 8192), CUDA_SUCCESS);
	CHECK_EQ(fake.registered, 1);
	/* Not over another, and the range stays while it is there. */
	CHECK_EQ(place_segment(&t, 7, at + bytes - 12288, 8192), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(CALL(&t, cuMemAddressFree, &release), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(CALL(&t, rosenSegmentUnmap, &unmap), CUDA_SUCCESS);
	CHECK_EQ(fake.registered, 0);
	CHECK_EQ(place_segment(&t, 11, at + bytes - 12288, 8192), CUDA_SUCCESS);
	unmap.segment = 11;
	CHECK_EQ(CALL(&t, rosenSegmentUnmap, &unmap), CUDA_SUCCESS);
	CHECK_EQ(CALL(&t, cuMemAddressFree, &release), CUDA_SUCCESS);
	CHECK_EQ(place_segment(&t, 8, at, 8192), CUDA_ERROR_INVALID_VALUE);
	client_stop(&t, NULL);
}

static atomic_bool importing, imported;

static CUresult import_slowly(
    CUmemGenericAllocationHandle *handle, void *os_handle, CUmemAllocationHandleType handle_type)
{
	atomic_store(&importing, true);
	while (!atomic_load(&imported))
		usleep(1000);
	return CUDA_ERROR_INVALID_VALUE;
}

/* Else what is there next would be replaced by memory of the client's. */
TEST(a_range_stays_while_a_segment_is_placed_in_it)
{
	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the windows");
	struct test_client t = client_start_over(OVER_MEMFD, NULL);
	struct test_client other = client_lane(&t);
	((struct backend *)client_worker()->backend)->cuMemImportFromShareableHandle =
	    import_slowly;
	CUdeviceptr at = 0;
	const size_t bytes = 4 << 20;
	struct args_cuMemAddressReserve reserve = {.address = &at, .bytes = bytes};

	CHECK_EQ(CALL(&t, cuMemAddressReserve, &reserve), CUDA_SUCCESS);
	struct args_cuMemAddressFree release = {.address = at, .bytes = bytes};
	struct args_rosenSegmentPlace place = {.segment = 1, .address = at, .bytes = 8192};
	struct args_rosenSegmentUnmap unmap = {.segment = 1};
	send_segment(&t, 1, sealed(8192));
	POST(&other, rosenSegmentPlace, &place);
	while (!atomic_load(&importing))
		usleep(1000);
	CHECK_EQ(CALL(&t, cuMemAddressFree, &release), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(place_segment(&t, 2, at + 4096, 8192), CUDA_ERROR_INVALID_VALUE);
	/* Whose it is for now, and no one's to use. */
	CHECK_EQ(CALL(&t, rosenSegmentUnmap, &unmap), CUDA_ERROR_INVALID_VALUE);
	CHECK(!segments_cover(client_worker()->segments, at, 1));
	atomic_store(&imported, true);
	while (!segments_cover(client_worker()->segments, at, 8192))
		usleep(1000);
	fake_hold();
	POST(&other, rosenSegmentUnmap, &unmap);
	while (!fake_waiting())
		usleep(1000);
	CHECK_EQ(CALL(&t, cuMemAddressFree, &release), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(place_segment(&t, 3, at, 8192), CUDA_ERROR_INVALID_VALUE);
	CHECK(!segments_cover(client_worker()->segments, at, 1));
	fake_release();
	for (int i = 0; i < 10000 && CALL(&t, cuMemAddressFree, &release) != CUDA_SUCCESS; i++)
		usleep(1000);
	CHECK_EQ(fake.registered, 0);
	CHECK_EQ(place_segment(&t, 4, at, 8192), CUDA_ERROR_INVALID_VALUE);
	client_stop(&t, NULL);
}

static unsigned n_freed;

static CUresult free_any_size(CUdeviceptr address, size_t bytes)
{
	n_freed++;
	return CUDA_SUCCESS;
}

TEST(a_range_is_as_large_as_it_was_reserved)
{
	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the windows");
	struct test_client t = client_start_over(OVER_MEMFD, NULL);
	struct backend *backend = (struct backend *)client_worker()->backend;
	CUdeviceptr at = 0;
	const size_t bytes = 4 << 20;
	struct args_cuMemAddressReserve reserve = {.address = &at, .bytes = bytes};

	backend->cuMemImportFromShareableHandle = import_nothing;
	backend->cuMemAddressFree = free_any_size;
	CHECK_EQ(CALL(&t, cuMemAddressReserve, &reserve), CUDA_SUCCESS);
	CHECK_EQ(place_segment(&t, 1, at + bytes - 8192, 8192), CUDA_SUCCESS);
	struct args_cuMemAddressFree release = {.address = at, .bytes = 2 << 20};
	CHECK_EQ(CALL(&t, cuMemAddressFree, &release), CUDA_ERROR_INVALID_VALUE);
	release.bytes = -at;
	CHECK_EQ(CALL(&t, cuMemAddressFree, &release), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(n_freed, 0);
	client_stop(&t, NULL);
}

static CUresult unregister_never(void *memory)
{
	return CUDA_ERROR_ILLEGAL_ADDRESS;
}

static CUresult unregister_nothing(void *memory)
{
	return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}

TEST(a_segment_that_stays_registered_stays)
{
	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the windows");
	struct test_client t = client_start_over(OVER_MEMFD, NULL);
	struct backend_host *host = (struct backend_host *)client_worker()->host;
	struct args_rosenSegmentUnmap unmap = {.segment = 1};

	send_segment(&t, 1, sealed(8192));
	CHECK_EQ(map_segment(&t, 1, SEGMENT_ADDRESS, 8192), CUDA_SUCCESS);
	host->cuMemHostUnregister = unregister_never;
	CHECK_EQ(CALL(&t, rosenSegmentUnmap, &unmap), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK(segments_cover(client_worker()->segments, SEGMENT_ADDRESS, 8192));
	host->cuMemHostUnregister = unregister_nothing;
	CHECK_EQ(CALL(&t, rosenSegmentUnmap, &unmap), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
	send_segment(&t, 2, sealed(8192));
	CHECK_EQ(map_segment(&t, 2, SEGMENT_ADDRESS, 8192), CUDA_SUCCESS);
	client_stop(&t, NULL);
}

TEST(copy_through_registered_memory)
{
	if (TEST_THREAD_SANITIZER)
		SKIP("both ends map the region: the sanitizer sees no order through it");
	struct test_client t = client_start_over(OVER_MEMFD, NULL);
	CUdeviceptr device = client_allocate(&t, 8192), at = somewhere_free(8192);
	struct args_cuMemcpyHtoDAsync_v2 in = {.destination = device, .source = at, .bytes = 64};

	CHECK_EQ(CALL(&t, cuMemcpyHtoDAsync_v2, &in), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(register_segment(&t, 1, at, 8192), CUDA_SUCCESS);
	CHECK_EQ(fake.registered, 1);
	CHECK_EQ(CALL(&t, cuMemcpyHtoDAsync_v2, &in), CUDA_SUCCESS);
	in.source = at + 8192 - 63;
	CHECK_EQ(CALL(&t, cuMemcpyHtoDAsync_v2, &in), CUDA_ERROR_INVALID_VALUE);
	in.source = (CUdeviceptr)own;
	CHECK_EQ(CALL(&t, cuMemcpyHtoDAsync_v2, &in), CUDA_ERROR_INVALID_VALUE);
	struct args_rosenSegmentUnmap unmap = {.segment = 1};
	CHECK_EQ(CALL(&t, rosenSegmentUnmap, &unmap), CUDA_SUCCESS);
	CHECK_EQ(fake.registered, 0);
	in.source = at;
	CHECK_EQ(CALL(&t, cuMemcpyHtoDAsync_v2, &in), CUDA_ERROR_INVALID_VALUE);
	fake.moves_host = true; /* then its address is of no use to the device */
	CHECK_EQ(register_segment(&t, 2, at, 8192), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(fake.registered, 0);
	client_stop(&t, NULL);
}

TEST(copy_registered_memory_never_replaces_anything)
{
	static const struct {
		CUdeviceptr address;
		size_t bytes;
	} bad[] = {
	    {0, 4096},
	    {0x1000, 4096},
	    {0x7fffffffe000, 8192},
	    {0x7ffffffff000, 4096},
	    {0x8000000000000000, 4096},
	    {UINT64_MAX & ~0xfffull, 8192},
	    {WIRE_DEVICE_WINDOW_BASE, 4096},
	    {WIRE_DEVICE_WINDOW_BASE - 4096, 8192},
	    {SEGMENT_ADDRESS, 4096},
	    {WIRE_HOST_WINDOW_BASE + WIRE_HOST_WINDOW_SIZE, 4096},
	    {0x300000000001, 4096},
	    {0x300000000000, 0},
	    {0x300000000000, 8193},
	};
	struct test_client t = client_start_over(OVER_MEMFD, NULL);
	CUdeviceptr page = (CUdeviceptr)own & ~0xfffull;
	uint64_t number = 1;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(register_segment(&t, number++, bad[i].address, bad[i].bytes),
		    CUDA_ERROR_INVALID_VALUE);
	memset(own, 'o', sizeof(own));
	CHECK_EQ(register_segment(&t, number++, page, 8192), CUDA_ERROR_OUT_OF_MEMORY);
	for (unsigned i = 0; i < sizeof(own); i++)
		CHECK(own[i] == 'o');
	/* Who asks too often what lies where gets no more answers. */
	for (unsigned i = 0; i < 40; i++)
		register_segment(&t, number++, page, 8192);
	CHECK_EQ(
	    register_segment(&t, number++, somewhere_free(8192), 8192), CUDA_ERROR_OUT_OF_MEMORY);
	CHECK_EQ(fake.registered, 0);
	client_stop(&t, NULL);
}

/* Every copy function with an address of this process in each of its places. */
TEST(copy_never_touches_the_workers_own_memory)
{
	struct test_client t = client_start(NULL);
	CUdeviceptr device = client_allocate(&t, 4096), foreign = (CUdeviceptr)own;
	char out[64];
#define REFUSED(name, ...)                                                                         \
	do {                                                                                       \
		struct args_##name a = {__VA_ARGS__};                                              \
		CHECK_EQ(CLIENT_SEND(&t, name, &a, WIRE_F_REPLY), CUDA_ERROR_INVALID_VALUE);       \
	} while (0)
	memset(own, 'o', sizeof(own));
	for (unsigned ptds = 0; ptds < 2; ptds++) {
		t.flags = ptds ? WIRE_F_PTDS : 0;
		REFUSED(cuMemcpy, device, foreign, 64);
		REFUSED(cuMemcpy, foreign, device, 64);
		REFUSED(cuMemcpyHtoD_v2, device, foreign, 64);
		REFUSED(cuMemcpyHtoD_v2, foreign, device, 64);
		REFUSED(cuMemcpyDtoH_v2, foreign, device, 64);
		REFUSED(cuMemcpyDtoD_v2, device, foreign, 64);
		REFUSED(cuMemcpyDtoD_v2, foreign, device, 64);
	}
	t.flags = 0;
	REFUSED(cuMemcpyAsync, device, foreign, 64);
	REFUSED(cuMemcpyAsync, foreign, device, 64);
	REFUSED(cuMemcpyHtoDAsync_v2, device, foreign, 64);
	REFUSED(cuMemcpyHtoDAsync_v2, foreign, device, 64);
	REFUSED(cuMemcpyDtoHAsync_v2, foreign, device, 64);
	REFUSED(cuMemcpyDtoHAsync_v2, device, foreign, 64);
	REFUSED(cuMemcpyDtoDAsync_v2, device, foreign, 64);
	REFUSED(cuMemcpyDtoDAsync_v2, foreign, device, 64);
	REFUSED(cuMemcpyPeer, foreign, NULL, device, NULL, 64);
	REFUSED(cuMemcpyPeerAsync, device, NULL, foreign, NULL, 64);
	REFUSED(rosenCopyIn, foreign, out, 64);
	REFUSED(rosenCopyOut, out, foreign, 64);
	/* Sizes that wrap around. */
	REFUSED(cuMemcpyDtoDAsync_v2, device, foreign, SIZE_MAX);
	REFUSED(cuMemcpyHtoDAsync_v2, device, SEGMENT_ADDRESS, SIZE_MAX);
	REFUSED(cuMemcpyDtoD_v2, UINT64_MAX, device, 64);
	for (unsigned i = 0; i < sizeof(own); i++)
		CHECK(own[i] == 'o');
	client_stop(&t, NULL);
}

/* A box between device memory (3 rows of 16 at a pitch of 32) and somewhere. */
static struct args_rosenCopyBoxWait box_to(CUdeviceptr device, CUmemorytype type, CUdeviceptr at)
{
	return (struct args_rosenCopyBoxWait){.source_type = CU_MEMORYTYPE_DEVICE,
	    .source = device,
	    .source_pitch = 32,
	    .destination_type = type,
	    .destination = at,
	    .destination_pitch = 16,
	    .destination_rows = 3,
	    .width = 16,
	    .height = 3,
	    .depth = 1};
}

TEST(copy_box_out_and_in)
{
	struct test_client t = client_start(NULL);
	CUdeviceptr device = client_allocate(&t, 4096);
	struct wire_bulk run;
	char *memory;

	CHECK_EQ(chan_staging_take(t.pair.client, 48, &run, (void **)&memory), 0);
	memcpy(memory,
	    "row one of three"
	    "row two of three"
	    "row 3 of it  all",
	    48);
	chan_staging_hand_over(t.pair.client, &run);
	struct args_rosenCopyBox in = {.source_type = 0,
	    .source = run.offset,
	    .source_pitch = 16,
	    .source_rows = 3,
	    .destination_type = CU_MEMORYTYPE_DEVICE,
	    .destination = device,
	    .destination_pitch = 32,
	    .width = 16,
	    .height = 3,
	    .depth = 1};
	POST(&t, rosenCopyBox, &in);
	CHECK_EQ(chan_staging_take(t.pair.client, 48, &run, (void **)&memory), 0);
	struct args_rosenCopyBoxWait out = box_to(device, 0, run.offset);
	CHECK_EQ(CALL(&t, rosenCopyBoxWait, &out), CUDA_SUCCESS);
	CHECK_BYTES(memory,
	    "row one of three"
	    "row two of three"
	    "row 3 of it  all",
	    48);
	CHECK_EQ(chan_take_error(t.pair.client), 0);
	client_stop(&t, NULL);
}

TEST(copy_box_bounds)
{
	struct test_client t = client_start(NULL);
	CUdeviceptr device = client_allocate(&t, 4096);
	struct args_rosenCopyBoxWait box;
#define BOX_REFUSED(change)                                                                        \
	do {                                                                                       \
		box = box_to(device, CU_MEMORYTYPE_DEVICE, device + 1024);                         \
		change;                                                                            \
		CHECK_EQ(CALL(&t, rosenCopyBoxWait, &box), CUDA_ERROR_INVALID_VALUE);              \
	} while (0)
	box = box_to(device, CU_MEMORYTYPE_DEVICE, device + 1024);
	CHECK_EQ(CALL(&t, rosenCopyBoxWait, &box), CUDA_SUCCESS);
	BOX_REFUSED(box.destination = (CUdeviceptr)own);
	BOX_REFUSED(box.source = (CUdeviceptr)own);
	BOX_REFUSED(box.destination_type = CU_MEMORYTYPE_HOST);
	BOX_REFUSED((box.source_type = CU_MEMORYTYPE_HOST, box.source = SEGMENT_ADDRESS));
	BOX_REFUSED(box.destination_type = CU_MEMORYTYPE_UNIFIED);
	BOX_REFUSED(box.destination_type = CU_MEMORYTYPE_ARRAY);
	BOX_REFUSED(box.height = SIZE_MAX);
	BOX_REFUSED((box.depth = SIZE_MAX, box.source_rows = SIZE_MAX));
	BOX_REFUSED(box.source_y = SIZE_MAX);
	BOX_REFUSED(box.source_x = SIZE_MAX);
	BOX_REFUSED((box.source_z = SIZE_MAX, box.source_rows = SIZE_MAX));
	BOX_REFUSED(box.width = SIZE_MAX);
	BOX_REFUSED((box.height = 1ull << 33, box.source_pitch = 1ull << 33));
	box = box_to(device, CU_MEMORYTYPE_DEVICE, (CUdeviceptr)own);
	box.height = 0; /* nothing to copy: no address matters */
	CHECK_EQ(CALL(&t, rosenCopyBoxWait, &box), CUDA_SUCCESS);
	client_stop(&t, NULL);
}

/* What a box to the area's last chunk may do, and what must end the session: the first slice
 * fits. */
TEST(copy_box_beyond_the_staging_area_ends_the_session)
{
	for (unsigned i = 0; i < 7; i++) {
		struct test_client t = client_start(NULL);
		CUdeviceptr device = client_allocate(&t, 4096);
		struct args_rosenCopyBoxWait box = box_to(device, 0, (4 << 20) - WIRE_CHUNK_SIZE);
		box.destination_pitch = WIRE_CHUNK_SIZE / 4;
		CHECK_EQ(CALL(&t, rosenCopyBoxWait, &box), CUDA_SUCCESS);
		if (i == 0)
			box.destination += 32;
		if (i == 1)
			box.destination_y = 1ull << 40;
		if (i == 2)
			box.destination = UINT64_MAX;
		if (i == 3)
			box.destination_x = WIRE_CHUNK_SIZE / 2;
		if (i == 4)
			(box.destination_rows = 0, box.depth = 2);
		if (i == 5)
			(box.destination_rows = 0, box.destination_z = 1);
		if (i == 6)
			(box.destination_pitch = 0, box.destination_x = WIRE_CHUNK_SIZE - 32);
		CALL(&t, rosenCopyBoxWait, &box);
		client_until_ended();
		client_stop(&t, "rosenCopyBoxWait");
	}
}

TEST(copy_staged_runs_beyond_the_staging_area_end_the_session)
{
	static const struct {
		uint64_t offset, bytes;
	} bad[] = {{4 << 20, 1}, {0, (4 << 20) + 1}, {UINT64_MAX, 1}, {0, SIZE_MAX}};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct test_client t = client_start(NULL);
		CUdeviceptr device = client_allocate(&t, 4096);
		struct args_rosenCopyInStaged in = {
		    .destination = device, .offset = bad[i].offset, .bytes = bad[i].bytes};
		struct args_rosenCopyOutStaged out = {
		    .source = device, .offset = bad[i].offset, .bytes = bad[i].bytes};
		if (i % 2)
			POST(&t, rosenCopyInStaged, &in);
		else
			CALL(&t, rosenCopyOutStaged, &out);
		client_until_ended();
		client_stop(&t, i % 2 ? "rosenCopyInStaged" : "rosenCopyOutStaged");
	}
}

TEST(copy_pointer_attributes_of_the_clients_memory_only)
{
	struct test_client t = client_start(NULL);
	CUdeviceptr device = client_allocate(&t, 4096);
	uint64_t value = 0;
	struct args_cuPointerGetAttribute get = {.value = &value,
	    .capacity = 8,
	    .attribute = CU_POINTER_ATTRIBUTE_CONTEXT,
	    .address = device};

	CHECK_EQ(CALL(&t, cuPointerGetAttribute, &get), CUDA_SUCCESS);
	CHECK_EQ(value, handle_primary_context(0));
	get.capacity = 4; /* too small for the answer */
	CHECK_EQ(CALL(&t, cuPointerGetAttribute, &get), CUDA_ERROR_NOT_SUPPORTED);
	get.capacity = 8;
	get.address = (CUdeviceptr)own;
	CHECK_EQ(CALL(&t, cuPointerGetAttribute, &get), CUDA_ERROR_INVALID_VALUE);
	client_stop(&t, NULL);
}

TEST(copy_address_ranges)
{
	if (!FAKE_HAS_WINDOW)
		SKIP("the sanitizer has the window");
	struct test_client t = client_start(NULL);
	CUdeviceptr first = client_allocate(&t, 100), second = client_allocate(&t, 5 << 20),
		    base = 0;
	size_t bytes = 0;
	struct args_cuMemGetAddressRange_v2 range = {
	    .base = &base, .bytes = &bytes, .address = first + 99};

	CHECK_EQ(CALL(&t, cuMemGetAddressRange_v2, &range), CUDA_SUCCESS);
	CHECK_EQ(base, first);
	CHECK_EQ(bytes, 100);
	range.address = first + 100;
	CHECK_EQ(CALL(&t, cuMemGetAddressRange_v2, &range), CUDA_ERROR_NOT_FOUND);
	range.address = second + (5 << 20) - 1;
	range.base = NULL;
	CHECK_EQ(CALL(&t, cuMemGetAddressRange_v2, &range), CUDA_SUCCESS);
	CHECK_EQ(bytes, 5 << 20);
	client_stop(&t, NULL);
}
