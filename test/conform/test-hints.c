/*
 * Batches of hints about managed memory, and what else is done with memory several pieces at a
 * time: boxes, compressed data. Hints are seen in what the memory tells of itself, and in what they
 * refuse: the legacy stream, captures.
 */
#include "conform.h"

#undef cuMemPrefetchAsync
#undef cuMemcpy3DBatchAsync

enum { PIECE = 1 << 16, PIECES = 2 };

static CUdeviceptr managed;
static CUstream stream;
static CUdeviceptr pieces[PIECES];
static size_t sizes[PIECES] = {PIECE, PIECE};
static CUmemLocation places[PIECES] = {
    {CU_MEM_LOCATION_TYPE_DEVICE, 0}, {CU_MEM_LOCATION_TYPE_HOST, 0}};
static size_t firsts[PIECES] = {0, 1};

static void begin(void)
{
	int able = 0;

	conform_begin();
	OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 0));
	if (!able)
		SKIP("no hints about managed memory");
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAllocManaged(&managed, PIECES * PIECE, CU_MEM_ATTACH_GLOBAL));
	for (int i = 0; i < PIECES; i++)
		pieces[i] = managed + (CUdeviceptr)i * PIECE;
}

/* Where a piece was last prefetched to; -2: nowhere yet. */
static int place_of(CUdeviceptr piece)
{
	int place = 77;

	OK(cuMemRangeGetAttribute(
	    &place, sizeof(place), CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, piece, PIECE));
	return place;
}

static void check_places(int first, int second)
{
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(place_of(pieces[0]), first);
	CHECK_EQ(place_of(pieces[1]), second);
}

CONFORM(pieces_are_prefetched_each_to_its_place)
{
	begin();
	check_places(-2, -2);
	OK(cuMemPrefetchBatchAsync(pieces, sizes, PIECES, places, firsts, PIECES, 0, stream));
	check_places(0, CU_DEVICE_CPU);
	OK(cuMemPrefetchBatchAsync(pieces, sizes, PIECES, places, firsts, 1, 0, stream));
	check_places(0, 0);
	/* The thread's own stream is taken, the legacy one is not. */
	GIVES(cuMemPrefetchBatchAsync(pieces, sizes, PIECES, places, firsts, PIECES, 0, NULL),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuMemPrefetchBatchAsync_ptsz(pieces, sizes, PIECES, places, firsts, PIECES, 0, NULL));
	OK(cuStreamSynchronize_ptsz(NULL));
	check_places(0, CU_DEVICE_CPU);
}

CONFORM(pieces_are_discarded)
{
	begin();
	uint8_t *bytes = (uint8_t *)managed; /* NOLINT(performance-no-int-to-ptr) */
	memset(bytes, 5, PIECES * PIECE);
	OK(cuMemDiscardBatchAsync(&pieces[1], sizes, 1, 0, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(bytes[0] & bytes[PIECE - 1], 5); /* the other piece was not */
	memset(bytes + PIECE, 6, PIECE);	  /* and this one can be written again */
	CHECK_EQ(bytes[PIECE] & bytes[2 * PIECE - 1], 6);
	GIVES(cuMemDiscardBatchAsync(pieces, sizes, PIECES, 0, NULL), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemDiscardBatchAsync_ptsz(pieces, sizes, PIECES, 0, NULL));
	OK(cuStreamSynchronize_ptsz(NULL));
}

CONFORM(pieces_are_discarded_and_prefetched)
{
	begin();
	OK(cuMemDiscardAndPrefetchBatchAsync(
	    pieces, sizes, PIECES, places, firsts, PIECES, 0, stream));
	check_places(0, CU_DEVICE_CPU);
	GIVES(cuMemDiscardAndPrefetchBatchAsync(
		  pieces, sizes, PIECES, places, firsts, PIECES, 0, CU_STREAM_LEGACY),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuMemDiscardAndPrefetchBatchAsync_ptsz(
	    pieces, sizes, PIECES, places, firsts, 1, 0, NULL));
	OK(cuStreamSynchronize_ptsz(NULL));
	check_places(0, 0);
}

CONFORM(batches_of_hints_that_are_none)
{
	size_t swapped[] = {1, 0}, far[] = {0, PIECES};
	CUdeviceptr device;

	begin();
	GIVES(cuMemPrefetchBatchAsync(pieces, sizes, 0, places, firsts, PIECES, 0, stream),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemPrefetchBatchAsync(pieces, sizes, PIECES, places, firsts, 0, 0, stream),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemPrefetchBatchAsync(pieces, sizes, PIECES, places, firsts, PIECES, 1, stream),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemPrefetchBatchAsync(pieces, sizes, PIECES, places, swapped, PIECES, 0, stream),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemPrefetchBatchAsync(pieces, sizes, PIECES, places, far, PIECES, 0, stream),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemDiscardBatchAsync(pieces, sizes, 0, 0, stream), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemDiscardBatchAsync(pieces, sizes, PIECES, 1, stream), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemAlloc(&device, PIECE));
	pieces[0] = device;
	GIVES(cuMemPrefetchBatchAsync(pieces, sizes, PIECES, places, firsts, PIECES, 0, stream),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemDiscardBatchAsync(pieces, sizes, PIECES, 0, stream), CUDA_ERROR_INVALID_VALUE);
	pieces[0] = managed;
	check_places(-2, -2);
}

/* The program's own memory takes hints only where kernels can reach it. */
CONFORM(hints_of_ordinary_memory)
{
	int reachable;

	begin();
	OK(cuDeviceGetAttribute(&reachable, CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, 0));
	if (reachable)
		SKIP("kernels can reach all memory");
	void *bytes = aligned_alloc(PIECE, PIECE);
	CHECK(bytes);
	memset(bytes, 5, PIECE);
	pieces[1] = (uintptr_t)bytes;
	GIVES(cuMemPrefetchBatchAsync(pieces, sizes, PIECES, places, firsts, PIECES, 0, stream),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemDiscardBatchAsync(pieces, sizes, PIECES, 0, stream), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemDiscardAndPrefetchBatchAsync(
		  pieces, sizes, PIECES, places, firsts, PIECES, 0, stream),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemPrefetchAsync_v2(pieces[1], PIECE, places[0], 0, stream),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemAdvise_v2(pieces[1], PIECE, CU_MEM_ADVISE_SET_READ_MOSTLY, places[0]),
	    CUDA_ERROR_INVALID_VALUE);
	free(bytes);
}

CONFORM(single_hints_in_the_threads_stream)
{
	begin();
	OK(cuMemPrefetchAsync_ptsz(managed, PIECE, 0, NULL));
	OK(cuMemPrefetchAsync_v2_ptsz(managed + PIECE, PIECE, places[1], 0, NULL));
	OK(cuStreamSynchronize_ptsz(NULL));
	check_places(0, CU_DEVICE_CPU);
	/* Memory may belong to the thread's stream, not to the legacy one. */
	GIVES(cuStreamAttachMemAsync(NULL, managed, 0, CU_MEM_ATTACH_SINGLE),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuStreamAttachMemAsync_ptsz(NULL, managed, 0, CU_MEM_ATTACH_SINGLE));
	OK(cuStreamSynchronize_ptsz(NULL));
	GIVES(cuStreamAttachMemAsync_ptsz(
		  NULL, managed, 0, CU_MEM_ATTACH_GLOBAL | CU_MEM_ATTACH_HOST),
	    CUDA_ERROR_INVALID_VALUE);
}

static void ends_the_capture(CUresult got)
{
	CUgraph graph;

	CHECK_EQ(got, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	GIVES(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}

static void capture(void)
{
	OK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
}

CONFORM(captures_take_no_hints)
{
	begin();
	capture();
	ends_the_capture(cuMemPrefetchAsync_v2(managed, PIECE, places[0], 0, stream));
	capture();
	ends_the_capture(
	    cuMemPrefetchBatchAsync(pieces, sizes, PIECES, places, firsts, PIECES, 0, stream));
	capture();
	ends_the_capture(cuMemDiscardBatchAsync(pieces, sizes, PIECES, 0, stream));
	capture();
	ends_the_capture(cuStreamAttachMemAsync(stream, managed, 0, CU_MEM_ATTACH_GLOBAL));
}

/* --- boxes, by the first name --- */

CONFORM(batches_name_the_box_that_failed)
{
	uint8_t *in, out[256];
	size_t failed = 77;
	CUdeviceptr device;

	begin();
	OK(cuMemAlloc(&device, sizeof(out)));
	OK(cuMemHostAlloc((void **)&in, sizeof(out), 0));
	conform_fill(in, sizeof(out), 6);
	CUDA_MEMCPY3D_BATCH_OP op = {
	    .src = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = (CUdeviceptr)in}},
	    .dst = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = device}},
	    .extent = {16, 4, 4},
	    .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	NEEDS(cuMemcpy3DBatchAsync(1, &op, &failed, 0, stream));
	OK(cuStreamSynchronize(stream));
	OK(cuMemcpyDtoH(out, device, sizeof(out)));
	CHECK_BYTES(out, in, sizeof(out));
	GIVES(cuMemcpy3DBatchAsync(1, &op, &failed, 0, NULL), CUDA_ERROR_INVALID_VALUE);
}

/* It is refused, and the capture goes on. The second forms for threads' streams know no default
 * stream. */
CONFORM(batches_of_copies_are_not_captured)
{
	CUmemcpyAttributes how = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	size_t size = 64, first = 0, n = 7;
	CUdeviceptr from, to;
	CUgraph graph;
	uint8_t *in;

	begin();
	OK(cuMemAlloc(&to, size));
	OK(cuMemHostAlloc((void **)&in, size, 0));
	from = (CUdeviceptr)in;
	CUDA_MEMCPY3D_BATCH_OP op = {
	    .src = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = from}},
	    .dst = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = to}},
	    .extent = {64, 1, 1},
	    .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	NEEDS(cuMemcpyBatchAsync_v2(&to, &from, &size, 1, &how, &first, 1, stream));
	OK(cuMemcpy3DBatchAsync_v2(1, &op, 0, stream));
	GIVES(cuMemcpyBatchAsync_v2_ptsz(&to, &from, &size, 1, &how, &first, 1, NULL),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemcpy3DBatchAsync_v2_ptsz(1, &op, 0, NULL), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemcpyBatchAsync_v2_ptsz(&to, &from, &size, 1, &how, &first, 1, CU_STREAM_PER_THREAD));
	OK(cuMemcpy3DBatchAsync_v2_ptsz(1, &op, 0, CU_STREAM_PER_THREAD));
	capture();
	GIVES(cuMemcpyBatchAsync_v2(&to, &from, &size, 1, &how, &first, 1, stream),
	    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	GIVES(cuMemcpy3DBatchAsync_v2(1, &op, 0, stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	OK(cuStreamEndCapture(stream, &graph));
	OK(cuGraphGetNodes(graph, NULL, &n));
	CHECK_EQ(n, 0);
	OK(cuGraphDestroy(graph));
}

/* --- compressed data --- */

/* "snappy" of 64 bytes of one value: a length, a literal byte, a copy of 63 bytes from 1 before. */
static const uint8_t packed[] = {64, 0x00, 9, (62 << 2) | 2, 1, 0};

CONFORM(compressed_data)
{
	uint32_t *actual;
	uint8_t out[64];
	CUdeviceptr data;
	size_t failed = 77;
	int able = 0;

	begin();
	OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_MEM_DECOMPRESS_ALGORITHM_MASK, 0));
	OK(cuMemAlloc(&data, 4096));
	OK(cuMemcpyHtoD(data, packed, sizeof(packed)));
	OK(cuMemHostAlloc((void **)&actual, 64, CU_MEMHOSTALLOC_DEVICEMAP));
	CUmemDecompressParams work = {.srcNumBytes = sizeof(packed),
	    .dstNumBytes = sizeof(out),
	    .dstActBytes = actual,
	    .src = (const void *)data,	  /* NOLINT(performance-no-int-to-ptr) */
	    .dst = (void *)(data + 2048), /* NOLINT(performance-no-int-to-ptr) */
	    .algo = CU_MEM_DECOMPRESS_ALGORITHM_SNAPPY};
	CUresult wanted =
	    able & CU_MEM_DECOMPRESS_ALGORITHM_SNAPPY ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
	GIVES(cuMemBatchDecompressAsync(&work, 1, 0, &failed, stream), wanted);
	GIVES(cuMemBatchDecompressAsync_ptsz(&work, 1, 0, &failed, NULL), wanted);
	if (wanted != CUDA_SUCCESS)
		SKIP("this device decompresses nothing");
	OK(cuStreamSynchronize(stream));
	OK(cuStreamSynchronize_ptsz(NULL));
	OK(cuMemcpyDtoH(out, data + 2048, sizeof(out)));
	for (size_t i = 0; i < sizeof(out); i++)
		CHECK_EQ(out[i], 9);
	CHECK_EQ(*actual, sizeof(out));
}
