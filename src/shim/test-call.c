/*
 * Calls through a channel inside this process, with a small worker at its other end that keeps
 * memory and remembers what it was told: postings, waits, attachments, bulk replies, errors of
 * posted calls, copies of every size, many threads, a worker that goes away.
 */
#include <errno.h>
#include <pthread.h>

#include "base/test.h"
#include "chan/test-chan.h"
#include "gen/api_codec.h"
#include "gen/api_ids.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/context.h"
#include "shim/object.h"
#include "shim/range.h"
#include "shim/session.h"
#include "shim/thread.h"

#define LANES	    16
#define MEMORY_BASE WIRE_DEVICE_WINDOW_BASE
#define MEMORY_SIZE (8u << 20)
#define STOP_HERE   0xdead /* bytes to allocate: the worker ends */

/* What the worker knows; read by tests only while it is idle. */
static struct fake {
	struct chan *chan;
	uint8_t memory[MEMORY_SIZE];
	uint64_t context[LANES];
	_Atomic unsigned lane_states, lane_ends, replies, waits, versions;
	_Atomic unsigned pool_allocations, pool_frees;
	_Atomic uint64_t pool_freed, freed_in; /* the newest, and the lane's context */
	_Atomic bool publishes; /* says that nothing is unfinished when it was waited for */
	uint8_t *attached[LANES];
	size_t attached_size[LANES];
	uint64_t image_sum, image_size;
} fake;

static void attach(uint16_t lane, struct wire_reader *r)
{
	struct wire_bulk run = {.offset = wire_get_u64(r)};

	run.size = wire_get_u64(r);
	const void *bytes = chan_staging_memory(fake.chan, &run);
	CHECK(bytes);
	fake.attached[lane] = realloc(fake.attached[lane], fake.attached_size[lane] + run.size);
	memcpy(fake.attached[lane] + fake.attached_size[lane], bytes, run.size);
	fake.attached_size[lane] += run.size;
	chan_staging_release(fake.chan, &run);
}

static uint8_t *memory_at(CUdeviceptr address, size_t bytes)
{
	CHECK(address >= MEMORY_BASE && address + bytes <= MEMORY_BASE + MEMORY_SIZE);
	return fake.memory + (address - MEMORY_BASE);
}

static void *staging_at(uint64_t offset, size_t size)
{
	struct wire_bulk run = {offset & ~(uint64_t)(WIRE_CHUNK_SIZE - 1), 0};

	run.size = offset - run.offset + size;
	char *memory = chan_staging_memory(fake.chan, &run);
	CHECK(memory);
	return memory + (offset - run.offset);
}

struct served {
	const struct wire_record *record;
	struct wire_reader reader;
	struct wire_writer writer; /* outputs */
	struct pool *pool;
	CUresult result;
};

#define SERVE(name)                                                                                \
	struct args_##name a;                                                                      \
	CHECK(wire_decode_##name(&s->reader, s->pool, &a))

static void serve_snapshot(struct served *s)
{
	SERVE(rosenSnapshot);
	*a.needed = a.capacity;
	for (size_t i = 0; i < a.capacity; i++)
		((uint8_t *)a.blob)[i] = (uint8_t)(i * 7);
	wire_encode_reply_rosenSnapshot(&s->writer, &a);
}

static void serve_load(struct served *s)
{
	SERVE(cuModuleLoadDataEx);
	fake.image_sum = 0;
	fake.image_size = a.image_bytes;
	for (size_t i = 0; i < a.image_bytes; i++)
		fake.image_sum += ((const uint8_t *)a.image)[i];
	wire_encode_reply_cuModuleLoadDataEx(&s->writer, &a);
}

static bool serve_alloc(struct served *s)
{
	SERVE(cuMemAlloc_v2);
	*a.address = MEMORY_BASE;
	wire_encode_reply_cuMemAlloc_v2(&s->writer, &a);
	return a.bytes != STOP_HERE;
}

static void serve_pool_alloc(struct served *s)
{
	SERVE(cuMemAllocAsync);
	*a.address = MEMORY_BASE + 0x1000 * (1 + atomic_fetch_add(&fake.pool_allocations, 1));
	wire_encode_reply_cuMemAllocAsync(&s->writer, &a);
}

static void serve_pool_free(struct served *s)
{
	SERVE(cuMemFreeAsync);
	fake.pool_frees++;
	fake.pool_freed = a.address;
	fake.freed_in = fake.context[s->record->lane];
}

static void serve_copy_in(struct served *s)
{
	SERVE(rosenCopyIn);
	memcpy(memory_at(a.destination, a.bytes), a.source, a.bytes);
}

static void serve_copy_in_staged(struct served *s)
{
	SERVE(rosenCopyInStaged);
	struct wire_bulk run = {a.offset, a.bytes};
	memcpy(memory_at(a.destination, a.bytes), staging_at(a.offset, a.bytes), a.bytes);
	chan_staging_release(fake.chan, &run);
}

static void serve_copy_out(struct served *s)
{
	SERVE(rosenCopyOut);
	memcpy(a.destination, memory_at(a.source, a.bytes), a.bytes);
	wire_encode_reply_rosenCopyOut(&s->writer, &a);
}

static void serve_copy_out_staged(struct served *s)
{
	SERVE(rosenCopyOutStaged);
	memcpy(staging_at(a.offset, a.bytes), memory_at(a.source, a.bytes), a.bytes);
}

static void serve_memset(struct served *s)
{
	SERVE(cuMemsetD8Async);
	/* A posted call fails with the error the test asked for. */
	s->result = (CUresult)a.count;
}

static void serve_version(struct served *s)
{
	SERVE(cuCtxGetApiVersion);
	fake.versions++;
	*a.version = 3020;
	wire_encode_reply_cuCtxGetApiVersion(&s->writer, &a);
}

static void serve_lane_state(struct served *s)
{
	SERVE(rosenLaneState);
	fake.context[s->record->lane] = a.context;
	fake.lane_states++;
}

static void serve_end_capture(struct served *s)
{
	CUgraph graph = (CUgraph)handle_id(true, HANDLE_GRAPH, 1, 1);
	struct args_cuStreamEndCapture a = {.graph = &graph};

	wire_encode_reply_cuStreamEndCapture(&s->writer, &a);
}

static void serve_wait(void)
{
	fake.waits++;
	if (fake.publishes)
		chan_publish_idle(fake.chan);
}

static bool serve(struct served *s)
{
	switch (s->record->id) {
	case WIRE_ID_ATTACH:
		attach(s->record->lane, &s->reader);
		return true;
	case API_rosenLaneState:
		serve_lane_state(s);
		return true;
	case API_rosenLaneEnd:
		fake.lane_ends++;
		return true;
	case API_rosenSnapshot:
		serve_snapshot(s);
		return true;
	case API_cuModuleLoadDataEx:
		serve_load(s);
		return true;
	case API_cuCtxGetApiVersion:
		serve_version(s);
		return true;
	case API_cuMemAlloc_v2:
		return serve_alloc(s);
	case API_cuMemAllocAsync:
		serve_pool_alloc(s);
		return true;
	case API_cuMemFreeAsync:
		serve_pool_free(s);
		return true;
	case API_rosenCopyIn:
		serve_copy_in(s);
		return true;
	case API_rosenCopyInStaged:
		serve_copy_in_staged(s);
		return true;
	case API_rosenCopyOut:
		serve_copy_out(s);
		return true;
	case API_rosenCopyOutStaged:
		serve_copy_out_staged(s);
		return true;
	case API_cuMemsetD8Async:
		serve_memset(s);
		return true;
	case API_cuEventCreate:
	case API_cuEventRecord:
		return true;
	case API_cuStreamEndCapture:
		serve_end_capture(s);
		return true;
	case API_cuCtxSynchronize:
	case API_cuEventQuery:
	case API_cuStreamSynchronize:
	case API_cuStreamBeginCapture_v2:
		serve_wait();
		return true;
	default:
		test_fail(__FILE__, __LINE__, "unexpected call 0x%x", s->record->id);
	}
}

/* The reply goes where the record says: the lane, or a staging run. */
static void answer(struct served *s, const struct wire_bulk *bulk, const void *outputs)
{
	size_t size = (size_t)(s->writer.at - (const uint8_t *)outputs);

	if (!(s->record->flags & WIRE_F_REPLY)) {
		if (s->result)
			chan_post_error(fake.chan, s->result);
		return;
	}
	fake.replies++;
	struct wire_writer writer = chan_reply_begin(fake.chan, s->record->lane);
	if (bulk->size) {
		CHECK(size <= bulk->size);
		memcpy(staging_at(bulk->offset, size), outputs, size);
	} else {
		wire_put_raw(&writer, outputs, size);
	}
	chan_reply_commit(fake.chan, s->record->lane, s->record->seq, s->result, &writer);
}

static void *fake_worker(void *chan)
{
	static _Alignas(16) uint8_t record[WIRE_RECORD_MAX], outputs[1 << 20];
	struct pool pool;
	bool go_on = true;
	int r = 0;

	fake.chan = chan;
	pool_init(&pool, 64u << 20);
	while (go_on && (r = chan_next(chan, record)) == 0) {
		const struct wire_record *header = (void *)record;
		uint16_t lane = header->lane;
		struct wire_bulk bulk = {0};
		struct served s = {.record = header,
		    .reader = wire_reader(header + 1, header->size - sizeof(*header)),
		    .writer = wire_writer(outputs, sizeof(outputs)),
		    .pool = &pool};
		CHECK(lane < LANES);
		if (header->flags & WIRE_F_BULK_REPLY) {
			bulk.offset = wire_get_u64(&s.reader);
			bulk.size = wire_get_u64(&s.reader);
		}
		if (header->flags & WIRE_F_ATTACHED) {
			CHECK(s.reader.at == s.reader.end);
			s.reader = wire_reader(fake.attached[lane], fake.attached_size[lane]);
		}
		go_on = serve(&s);
		if (go_on)
			answer(&s, &bulk, outputs);
		if (header->flags & WIRE_F_ATTACHED)
			fake.attached_size[lane] = 0;
		pool_reset(&pool);
	}
	pool_fini(&pool);
	for (int i = 0; i < LANES; i++)
		free(fake.attached[i]);
	if (!go_on)
		chan_free(chan);
	return (void *)(intptr_t)(go_on ? r : -ENOTCONN);
}

static const struct chan_geometry geometry = {
    .ring_size = 1 << 17, .staging_size = 4u << 20, .lanes = LANES};

/* One context that is current; a range that covers the worker's memory. */
static struct pair start(void)
{
	struct range range = {.start = MEMORY_BASE,
	    .size = MEMORY_SIZE,
	    .context = (CUcontext)handle_primary_context(0)};
	struct pair pair = pair_start(OVER_LOOP, &geometry, fake_worker);

	session.chan = pair.client;
	session.state = SESSION_OPEN;
	shim_gate = SHIM_GATE_OPEN;
	CHECK_EQ(shim_thread_init(), 0);
	shim_object_init();
	shim_thread.context = (CUcontext)handle_primary_context(0);
	CHECK(range_add(&range));
	return pair;
}

static void stop(struct pair *pair)
{
	session.chan = NULL;
	pair_stop(pair);
}

TEST(outputs_come_back)
{
	struct pair pair = start();
	CUdeviceptr address = 0;

	CHECK_EQ(remote_cuMemAlloc_v2(&address, 16), CUDA_SUCCESS);
	CHECK_EQ(address, MEMORY_BASE);
	stop(&pair);
}

TEST(the_lane_state_is_told_when_it_changed)
{
	struct pair pair = start();
	CUdeviceptr address;

	for (int i = 0; i < 5; i++)
		CHECK_EQ(remote_cuMemAlloc_v2(&address, 16), CUDA_SUCCESS);
	CHECK_EQ(fake.lane_states, 1);
	CHECK_EQ(fake.context[shim_thread.lane], handle_primary_context(0));
	shim_thread.context = (CUcontext)handle_primary_context(1);
	CHECK_EQ(fake.lane_states, 1);
	CHECK_EQ(remote_cuMemAlloc_v2(&address, 16), CUDA_SUCCESS);
	CHECK_EQ(fake.lane_states, 2);
	CHECK_EQ(fake.context[shim_thread.lane], handle_primary_context(1));
	stop(&pair);
}

TEST(outputs_too_large_for_a_lane)
{
	static uint8_t blob[300000];
	struct pair pair = start();

	for (size_t size = 1000; size <= sizeof(blob); size += 29900) {
		size_t needed = 0;
		memset(blob, 0, sizeof(blob));
		CHECK_EQ(remote_rosenSnapshot(blob, size, &needed), CUDA_SUCCESS);
		CHECK_EQ(needed, size);
		for (size_t i = 0; i < size; i++)
			CHECK_EQ(blob[i], (uint8_t)(i * 7));
	}
	stop(&pair);
}

TEST(images_too_large_for_a_record)
{
	static const size_t sizes[] = {1, 32600, 32768, 70000, 3u << 20, 10u << 20};
	struct pair pair = start();

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *image = malloc(sizes[i]);
		uint64_t sum = 0;
		CUmodule module;
		for (size_t k = 0; k < sizes[i]; k++)
			sum += image[k] = (uint8_t)(k * 13 + i);
		CHECK_EQ(remote_cuModuleLoadDataEx(
			     &module, image, sizes[i], NULL, 0, 0, NULL, NULL, NULL, 0, NULL, 0),
		    CUDA_SUCCESS);
		CHECK_EQ(fake.image_size, sizes[i]);
		CHECK_EQ(fake.image_sum, sum);
		CHECK(shim_handle_alive((uint64_t)module, HANDLE_MODULE));
		free(image);
	}
	stop(&pair);
}

/* A posted memset of as many bytes fails with that error. */
static CUresult post_failing(CUresult error)
{
	return remote_cuMemsetD8Async(MEMORY_BASE, 0, (size_t)error, NULL);
}

TEST(errors_of_posted_calls_show_later_and_once)
{
	struct pair pair = start();
	CUdeviceptr address;

	CHECK_EQ(post_failing(CUDA_ERROR_INVALID_VALUE), CUDA_SUCCESS);
	/* One that brings something back does not tell. */
	CHECK_EQ(remote_cuMemAlloc_v2(&address, 16), CUDA_SUCCESS);
	CHECK_EQ(remote_cuCtxSynchronize(), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(remote_cuCtxSynchronize(), CUDA_SUCCESS);
	stop(&pair);
}

TEST(errors_that_end_a_context_stay)
{
	struct pair pair = start();
	CUdeviceptr address;

	CHECK_EQ(post_failing(CUDA_ERROR_ILLEGAL_ADDRESS), CUDA_SUCCESS);
	CHECK_EQ(remote_cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(remote_cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(remote_cuMemAlloc_v2(&address, 16), CUDA_ERROR_ILLEGAL_ADDRESS);
	/* Another context is not concerned, nor this one after its reset. */
	shim_thread.context = (CUcontext)handle_primary_context(1);
	CHECK_EQ(remote_cuMemAlloc_v2(&address, 16), CUDA_SUCCESS);
	shim_thread.context = (CUcontext)handle_primary_context(0);
	CHECK_EQ(remote_cuMemAlloc_v2(&address, 16), CUDA_ERROR_ILLEGAL_ADDRESS);
	shim_context_ended(shim_thread.context);
	CHECK_EQ(remote_cuMemAlloc_v2(&address, 16), CUDA_SUCCESS);
	stop(&pair);
}

TEST(the_setting_sync_makes_posted_calls_wait)
{
	struct pair pair = start();

	session.sync = true;
	CHECK_EQ(post_failing(CUDA_ERROR_INVALID_VALUE), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(post_failing(CUDA_SUCCESS), CUDA_SUCCESS);
	CHECK_EQ(fake.replies, 3); /* and the lane state's */
	stop(&pair);
}

TEST(what_is_known_to_be_done_is_answered_here)
{
	struct pair pair = start();

	session.known_idle = true;
	atomic_store(&fake.publishes, true);
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	CHECK_EQ(fake.waits, 1);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
		CHECK_EQ(shim_cuStreamSynchronize(NULL), CUDA_SUCCESS);
		CHECK_EQ(shim_cuStreamQuery(NULL), CUDA_SUCCESS);
	}
	CHECK_EQ(fake.waits, 1);
	/* Something was sent. */
	CHECK_EQ(post_failing(CUDA_SUCCESS), CUDA_SUCCESS);
	CHECK_EQ(shim_cuStreamSynchronize(NULL), CUDA_SUCCESS);
	CHECK_EQ(fake.waits, 2);
	/* What a posted call left is said, once; a thread without a context asks. */
	chan_post_error(fake.chan, CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(shim_cuStreamSynchronize(NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(shim_cuStreamSynchronize(NULL), CUDA_SUCCESS);
	CHECK_EQ(fake.waits, 2);
	shim_thread.context = NULL;
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	CHECK_EQ(fake.waits, 3);
	stop(&pair);
}

TEST(what_is_known_to_be_done_is_not_believed_everywhere)
{
	struct pair pair = start();

	atomic_store(&fake.publishes, true);
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	CHECK_EQ(fake.waits, 2);
	session.known_idle = session.sync = true;
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	CHECK_EQ(fake.waits, 3);
	session.sync = false;
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	CHECK_EQ(fake.waits, 3);
	CHECK_EQ(shim_cuStreamSynchronize((CUstream)handle_id(false, HANDLE_STREAM, 1, 7)),
	    CUDA_SUCCESS);
	CHECK_EQ(fake.waits, 4); /* an id nobody minted is the worker's to judge */
	CHECK_EQ(shim_cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	CHECK_EQ(fake.waits, 7);
	stop(&pair);
}

TEST(events_of_captures_are_the_workers_to_judge)
{
	struct pair pair = start();
	CUevent captured, other;
	CUgraph graph;

	session.known_idle = true;
	atomic_store(&fake.publishes, true);
	CHECK_EQ(shim_cuEventCreate(&captured, 0), CUDA_SUCCESS);
	CHECK_EQ(shim_cuEventCreate(&other, 0), CUDA_SUCCESS);
	CHECK_EQ(shim_cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
	CHECK_EQ(shim_cuEventRecord(captured, NULL), CUDA_SUCCESS);
	CHECK_EQ(shim_cuStreamEndCapture(NULL, &graph), CUDA_SUCCESS);
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	unsigned before = fake.waits;
	CHECK_EQ(shim_cuEventQuery(other), CUDA_SUCCESS);
	CHECK_EQ(fake.waits, before);
	CHECK_EQ(shim_cuEventQuery(captured), CUDA_SUCCESS);
	CHECK_EQ(fake.waits, before + 1);
	CHECK_EQ(shim_cuEventRecord(captured, NULL), CUDA_SUCCESS);
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	before = fake.waits;
	CHECK_EQ(shim_cuEventQuery(captured), CUDA_SUCCESS);
	CHECK_EQ(fake.waits, before);
	stop(&pair);
}

static CUdeviceptr pool_allocate(size_t bytes, CUstream stream)
{
	CUdeviceptr address = 0;

	CHECK_EQ(shim_cuMemAllocAsync(&address, bytes, stream), CUDA_SUCCESS);
	CHECK(address);
	return address;
}

/* A new thread would wait for its answer behind all that others have sent. */
TEST(the_version_of_a_context_is_asked_once)
{
	struct pair pair = start();
	CUcontext context = (CUcontext)shim_handle_new(HANDLE_CONTEXT);
	unsigned version = 0;

	CHECK_EQ(context_adopt(context, 0, 1), CUDA_SUCCESS);
	for (unsigned cache = 0; cache < 2; cache++) {
		session.cache = cache;
		for (int i = 0; i < 5; i++)
			CHECK_EQ(shim_cuCtxGetApiVersion(context, &version), CUDA_SUCCESS);
		CHECK_EQ(version, 3020);
		CHECK_EQ(fake.versions, cache ? 6 : 5);
	}
	stop(&pair);
}

TEST(memory_freed_in_stream_order_is_used_again)
{
	struct pair pair = start();
	struct range range;

	session.pool_reuse = true;
	CUdeviceptr first = pool_allocate(1000, NULL), other = pool_allocate(2000, NULL);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(shim_cuMemFreeAsync(first, NULL), CUDA_SUCCESS);
		CHECK(!range_find(first, &range) || range.start != first);
		/* Plain work in between tells nobody. */
		CHECK_EQ(post_failing(CUDA_SUCCESS), CUDA_SUCCESS);
		CHECK_EQ(shim_cuMemFreeAsync(other, NULL), CUDA_SUCCESS);
		CHECK_EQ(pool_allocate(1000, CU_STREAM_LEGACY), first);
		CHECK_EQ(pool_allocate(2000, NULL), other);
		CHECK(range_find(first, &range) && range.kind == RANGE_POOL);
	}
	CHECK_EQ(fake.pool_allocations, 2);
	CHECK_EQ(fake.pool_frees, 0);
	/* Other sizes and streams get other memory, and the frees are sent first. */
	CHECK_EQ(shim_cuMemFreeAsync(first, NULL), CUDA_SUCCESS);
	CHECK(pool_allocate(999, NULL) != first);
	CHECK_EQ(fake.pool_frees, 1);
	CHECK_EQ(fake.pool_freed, first);
	CHECK_EQ(shim_cuMemFreeAsync(other, NULL), CUDA_SUCCESS);
	CHECK_EQ(shim_cuMemFreeAsync(other, NULL), CUDA_SUCCESS); /* twice: the worker's to judge */
	CHECK_EQ(remote_cuCtxSynchronize(), CUDA_SUCCESS);
	CHECK_EQ(fake.pool_frees, 3);
	stop(&pair);
}

TEST(memory_freed_in_stream_order_is_not_kept_for_long)
{
	struct pair pair = start();
	CUdeviceptr memory[12];

	session.pool_reuse = session.known_idle = true;
	atomic_store(&fake.publishes, true);
	for (size_t i = 0; i < ARRAY_SIZE(memory); i++)
		memory[i] = pool_allocate(1000 * (i + 1), NULL);
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	for (size_t i = 0; i < ARRAY_SIZE(memory); i++)
		CHECK_EQ(shim_cuMemFreeAsync(memory[i], NULL), CUDA_SUCCESS);
	/* A wait lets the pool give memory back, even if there is nothing to wait for. */
	CHECK_EQ(shim_cuCtxSynchronize(), CUDA_SUCCESS);
	CHECK_EQ(fake.pool_frees, ARRAY_SIZE(memory));
	CHECK_EQ(fake.pool_freed, memory[ARRAY_SIZE(memory) - 1]);
	/* Not kept at all: in another context it would be sent from, or with the trick off. */
	CUdeviceptr one = pool_allocate(50, NULL);
	CHECK_EQ(shim_cuMemFreeAsync(one, CU_STREAM_PER_THREAD), CUDA_SUCCESS);
	CHECK(pool_allocate(50, CU_STREAM_PER_THREAD) != one);
	session.pool_reuse = false;
	one = pool_allocate(50, NULL);
	CHECK_EQ(shim_cuMemFreeAsync(one, NULL), CUDA_SUCCESS);
	CHECK(pool_allocate(50, NULL) != one);
	CHECK_EQ(fake.pool_frees, ARRAY_SIZE(memory) + 2);
	stop(&pair);
}

TEST(memory_freed_in_stream_order_is_sent_in_its_context)
{
	struct pair pair = start();

	session.pool_reuse = true;
	CUdeviceptr memory = pool_allocate(1000, NULL);
	CHECK_EQ(shim_cuMemFreeAsync(memory, NULL), CUDA_SUCCESS);
	shim_thread.context = (CUcontext)handle_primary_context(1);
	CHECK(pool_allocate(1000, NULL) != memory);
	CHECK_EQ(fake.pool_frees, 1);
	CHECK_EQ(fake.context[shim_thread.lane], handle_primary_context(1));
	CHECK_EQ(fake.freed_in, handle_primary_context(0));
	stop(&pair);
}

static void check_copies(size_t at, size_t size, unsigned seed)
{
	uint8_t *out = malloc(size + 1), *in = malloc(size);

	for (size_t i = 0; i < size; i++)
		in[i] = (uint8_t)(i * 31 + i / 251 + seed);
	out[size] = 0xa5;
	CHECK_EQ(shim_cuMemcpyHtoD_v2(MEMORY_BASE + at, in, size, 0), CUDA_SUCCESS);
	CHECK_EQ(shim_cuMemcpyDtoH_v2(out, MEMORY_BASE + at, size, 0), CUDA_SUCCESS);
	CHECK(memcmp(in, out, size) == 0);
	CHECK_EQ(out[size], 0xa5);
	free(in);
	free(out);
}

TEST(copies_of_every_size)
{
	static const size_t sizes[] = {0, 1, 7, 8, 4000, 4096, 4097, 16384, 16385, 131072, 131073,
	    524288, 524289, 1048577, 3000001, MEMORY_SIZE};
	struct pair pair = start();

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		check_copies(0, sizes[i], (unsigned)i);
		if (sizes[i] < MEMORY_SIZE)
			check_copies(MEMORY_SIZE - sizes[i], sizes[i], (unsigned)i);
	}
	stop(&pair);
}

static void *copy_much(void *number)
{
	unsigned n = (unsigned)(uintptr_t)number;

	shim_thread.context = (CUcontext)handle_primary_context(0);
	for (size_t i = 0; i < 40; i++)
		check_copies((size_t)n << 19, 1 + (i * 79999) % (1 << 19), n + (unsigned)i);
	return NULL;
}

TEST_LIMIT(threads_at_once, 120)
{
	struct pair pair = start();
	pthread_t threads[12];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, copy_much, (void *)i), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(remote_cuCtxSynchronize(), CUDA_SUCCESS);
	CHECK_EQ(fake.lane_ends, ARRAY_SIZE(threads));
	stop(&pair);
}

TEST(a_worker_that_goes_is_an_error_at_once)
{
	struct pair pair = start();
	CUdeviceptr address;
	void *result;

	CHECK_EQ(remote_cuMemAlloc_v2(&address, STOP_HERE), CUDA_ERROR_LAUNCH_FAILED);
	CHECK_EQ(remote_cuMemAlloc_v2(&address, 16), CUDA_ERROR_LAUNCH_FAILED);
	CHECK_EQ(remote_cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
	CHECK_EQ(shim_cuMemcpyHtoD_v2(MEMORY_BASE, &address, 8, 0), CUDA_ERROR_LAUNCH_FAILED);
	CHECK_EQ(session.state, SESSION_LOST);
	CHECK_EQ(pthread_join(pair.thread, &result), 0);
	session.chan = NULL;
	chan_free(pair.client);
}
