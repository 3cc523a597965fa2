/*
 * Copies and fills of every shape, the checks of their bounds, and sources that change too early.
 */
#include <sys/mman.h>

#include "softgpu/driver/test-driver.h"

#define WIDTH  96
#define HEIGHT 16
#define DEPTH  8
#define SIZE   (WIDTH * HEIGHT * DEPTH)

static uint8_t pattern[SIZE], back[SIZE];

static void make_pattern(void)
{
	for (unsigned i = 0; i < SIZE; i++)
		pattern[i] = (uint8_t)(i * 7 + i / 251);
}

TEST(runs_of_bytes)
{
	CUdeviceptr a, b;

	test_context();
	make_pattern();
	a = test_alloc(SIZE);
	b = test_alloc(SIZE);
	CHECK_OK(cuMemcpyHtoD_v2(a + 3, pattern, SIZE - 3));
	CHECK_OK(cuMemcpyDtoD_v2(b, a + 3, SIZE - 3));
	CHECK_OK(cuMemcpyDtoH_v2(back, b, SIZE - 3));
	CHECK_BYTES(back, pattern, SIZE - 3);
	memset(back, 0, SIZE);
	CHECK_OK(cuMemcpy((CUdeviceptr)back, b, SIZE - 3));
	CHECK_BYTES(back, pattern, SIZE - 3);
	CHECK_OK(cuMemcpy(a, (CUdeviceptr)pattern, SIZE));
	CHECK_OK(cuMemcpyPeer(b, NULL, a, NULL, SIZE));
	CHECK_OK(cuMemcpyAsync((CUdeviceptr)back, b, SIZE, NULL));
	CHECK_BYTES(back, pattern, SIZE);
}

TEST(bounds_are_checked)
{
	CUdeviceptr a;

	test_context();
	a = test_alloc(SIZE);
	CHECK_EQ(cuMemcpyHtoD_v2(a + 1, pattern, SIZE), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyDtoH_v2(back, a - 1, 10), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyHtoD_v2(0, pattern, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyHtoD_v2((CUdeviceptr)back, pattern, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyHtoD_v2(a, pattern, SIZE_MAX), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemsetD32_v2(a + 2, 0, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemsetD32_v2(a, 0, SIZE), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuMemcpyHtoD_v2(a, pattern, 0));
}

/* The source of an asynchronous copy may change at once when it is pageable. */
TEST(pageable_sources_are_copied_aside)
{
	CUdeviceptr a;

	test_context();
	make_pattern();
	a = test_alloc(SIZE);
	uint8_t *source = malloc(SIZE);
	memcpy(source, pattern, SIZE);
	CHECK_OK(cuMemcpyHtoDAsync_v2(a, source, SIZE, NULL));
	memset(source, 0, SIZE);
	free(source);
	CHECK_OK(cuMemcpyDtoH_v2(back, a, SIZE));
	CHECK_BYTES(back, pattern, SIZE);
}

/* Every box against the same copy made byte by byte. */
static void check_box(
    CUdeviceptr device, size_t x, size_t y, size_t z, size_t w, size_t h, size_t d)
{
	static uint8_t wanted[SIZE], got[SIZE];
	CUDA_MEMCPY3D copy = {
	    .srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = pattern,
	    .srcPitch = WIDTH,
	    .srcHeight = HEIGHT,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = device,
	    .dstXInBytes = x,
	    .dstY = y,
	    .dstZ = z,
	    .dstPitch = WIDTH,
	    .dstHeight = HEIGHT,
	    .WidthInBytes = w,
	    .Height = h,
	    .Depth = d,
	};

	memset(wanted, 0xaa, SIZE);
	for (size_t k = 0; k < d; k++)
		for (size_t j = 0; j < h; j++)
			for (size_t i = 0; i < w; i++)
				wanted[((z + k) * HEIGHT + y + j) * WIDTH + x + i] =
				    pattern[(k * HEIGHT + j) * WIDTH + i];
	CHECK_OK(cuMemsetD8_v2(device, 0xaa, SIZE));
	CHECK_OK(cuMemcpy3D_v2(&copy));
	CHECK_OK(cuMemcpyDtoH_v2(got, device, SIZE));
	CHECK_BYTES(got, wanted, SIZE);
}

static CUdeviceptr word;

static CUdeviceptr word_alloc(void)
{
	word = test_alloc(4);
	CHECK_OK(cuMemsetD32_v2(word, 0, 1));
	return word;
}

TEST(batches)
{
	CUmemcpyAttributes how = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	CUdeviceptr to[3], from[3];
	size_t sizes[] = {100, 200, 300}, index = 0, failed = 0;
	CUstream stream;

	test_context();
	make_pattern();
	CHECK_OK(cuStreamCreate(&stream, 0));
	for (int i = 0; i < 3; i++) {
		to[i] = test_alloc(sizes[i]);
		from[i] = (CUdeviceptr)pattern + 1000 * (unsigned)i;
	}
	CHECK_OK(cuMemcpyBatchAsync_v2(to, from, sizes, 3, &how, &index, 1, stream));
	CHECK_OK(cuMemcpyDtoH_v2(back, to[2], 300));
	CHECK_BYTES(back, pattern + 2000, 300);
	sizes[1]++;
	CHECK_EQ(cuMemcpyBatchAsync(to, from, sizes, 3, &how, &index, 1, &failed, stream),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(failed, 1);
	CHECK_EQ(cuMemcpyBatchAsync(to, from, sizes, 3, &how, &index, 1, &failed, NULL),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK(failed == SIZE_MAX);
}

/* Memory of freeing's. */
static CUdeviceptr two_streams(CUstream *using, CUstream *freeing, size_t size)
{
	CUdeviceptr a;

	test_context();
	CHECK_OK(cuStreamCreate(using, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuStreamCreate(freeing, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuMemAllocAsync(&a, size, *freeing));
	return a;
}

TEST(memory_freed_too_early_is_an_error_and_no_crash)
{
	CUstream copying, freeing;
	CUdeviceptr a = two_streams(&copying, &freeing, SIZE);

	CHECK_OK(cuStreamWaitValue32_v2(copying, word_alloc(), 1, CU_STREAM_WAIT_VALUE_EQ));
	CHECK_OK(cuMemsetD8Async(a, 1, SIZE, copying));
	CHECK_OK(cuMemFreeAsync(a, freeing));
	CHECK_OK(cuStreamSynchronize(freeing));
	CHECK_OK(cuStreamWriteValue32_v2(freeing, word, 1, 0));
	CHECK_EQ(cuStreamSynchronize(copying), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST(memory_freed_while_it_is_waited_for_is_an_error_and_no_crash)
{
	CUstream waiting, freeing;
	CUdeviceptr a = two_streams(&waiting, &freeing, SIZE);

	CHECK_OK(cuMemsetD32Async(a, 0, 1, freeing));
	CHECK_OK(cuStreamSynchronize(freeing));
	CHECK_OK(cuStreamWaitValue32_v2(waiting, a, 1, CU_STREAM_WAIT_VALUE_EQ));
	CHECK_OK(cuMemFreeAsync(a, freeing));
	CHECK_EQ(cuStreamSynchronize(waiting), CUDA_ERROR_ILLEGAL_ADDRESS);
}

/* Within a fill, where it was checked already; how far the fill is by then is anybody's guess. */
TEST_LIMIT(memory_freed_while_it_is_filled_is_an_error_and_no_crash, 60)
{
	const size_t size = 256 << 20;
	CUstream filling, freeing;
	uint8_t byte;

	if (TEST_THREAD_SANITIZER)
		SKIP("two streams use the same memory, which is a race");
	CUdeviceptr a = two_streams(&filling, &freeing, size);
	CHECK_OK(cuMemsetD8Async(a, 0, 1, freeing));
	CHECK_OK(cuStreamSynchronize(freeing));
	CHECK_OK(cuMemsetD8Async(a, 1, size, filling));
	do {
		CHECK_OK(cuMemcpyDtoHAsync_v2(&byte, a, 1, freeing));
	} while (!byte);
	CHECK_OK(cuMemFreeAsync(a, freeing));
	CHECK_EQ(cuStreamSynchronize(filling), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST(registered_memory_unmapped_too_early_is_an_error_and_no_crash)
{
	void *host = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CUdeviceptr a;
	CUstream copying;

	test_context();
	a = test_alloc(SIZE);
	CHECK_OK(cuMemHostRegister_v2(host, SIZE, 0));
	CHECK_OK(cuStreamCreate(&copying, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuStreamWaitValue32_v2(copying, word_alloc(), 1, CU_STREAM_WAIT_VALUE_EQ));
	CHECK_OK(cuMemcpyHtoDAsync_v2(a, host, SIZE, copying));
	CHECK_EQ(munmap(host, SIZE), 0);
	CHECK_OK(cuStreamWriteValue32_v2(CU_STREAM_PER_THREAD, word, 1, 0));
	CHECK_EQ(cuStreamSynchronize(copying), CUDA_ERROR_ILLEGAL_ADDRESS);
}

/* Something else may be there. */
static void check_is_left_alone_unregistered(bool fill)
{
	char *host = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CUgraphExec exec;
	CUgraph graph;
	CUstream stream;
	CUdeviceptr a;

	test_context();
	a = test_alloc(SIZE);
	CHECK_OK(cuMemsetD8_v2(a, 2, SIZE));
	CHECK_OK(cuMemHostRegister_v2(host, SIZE, 0));
	CHECK_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	CHECK_OK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	if (fill)
		CHECK_OK(cuMemsetD8Async((CUdeviceptr)host, 2, SIZE, stream));
	else
		CHECK_OK(cuMemcpyDtoHAsync_v2(host, a, SIZE, stream));
	CHECK_OK(cuStreamEndCapture(stream, &graph));
	CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CHECK_OK(cuGraphLaunch(exec, stream));
	CHECK_OK(cuStreamSynchronize(stream));
	CHECK_EQ(host[SIZE - 1], 2);
	CHECK_OK(cuMemHostUnregister(host));
	host[SIZE - 1] = 3;
	CHECK_OK(cuGraphLaunch(exec, stream));
	CHECK_EQ(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(host[SIZE - 1], 3);
}

TEST(graphs_do_not_copy_to_memory_that_is_registered_no_more)
{
	check_is_left_alone_unregistered(false);
}

TEST(graphs_do_not_fill_memory_that_is_registered_no_more)
{
	check_is_left_alone_unregistered(true);
}

TEST(boxes)
{
	CUdeviceptr device;

	test_context();
	make_pattern();
	device = test_alloc(SIZE);
	check_box(device, 0, 0, 0, WIDTH, HEIGHT, DEPTH);
	check_box(device, 5, 3, 2, 17, 9, 4);
	check_box(device, WIDTH - 1, HEIGHT - 1, DEPTH - 1, 1, 1, 1);
	check_box(device, 0, 0, 0, 1, HEIGHT, 1);
}

TEST(rectangles)
{
	CUDA_MEMCPY2D copy = {
	    .srcMemoryType = CU_MEMORYTYPE_UNIFIED,
	    .srcDevice = (CUdeviceptr)pattern,
	    .srcPitch = WIDTH,
	    .srcXInBytes = 4,
	    .srcY = 2,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstPitch = 128,
	    .WidthInBytes = 40,
	    .Height = 10,
	};
	uint8_t row[40];

	test_context();
	make_pattern();
	copy.dstDevice = test_alloc(128 * 10);
	CHECK_OK(cuMemcpy2D_v2(&copy));
	for (unsigned i = 0; i < 10; i++) {
		CHECK_OK(cuMemcpyDtoH_v2(row, copy.dstDevice + 128 * i, 40));
		CHECK_BYTES(row, pattern + WIDTH * (i + 2) + 4, 40);
	}
	copy.Height = 11;
	CHECK_EQ(cuMemcpy2DAsync_v2(&copy, NULL), CUDA_ERROR_INVALID_VALUE);
	copy.Height = 2;
	copy.dstPitch = 39;
	CHECK_EQ(cuMemcpy2DUnaligned_v2(&copy), CUDA_ERROR_INVALID_VALUE);
	copy.dstPitch = 128;
	copy.srcMemoryType = 9;
	CHECK_EQ(cuMemcpy2D_v2(&copy), CUDA_ERROR_INVALID_VALUE);
}

TEST(fills)
{
	uint32_t words[64];
	uint16_t halves[4];
	CUdeviceptr a;

	test_context();
	a = test_alloc(256);
	CHECK_OK(cuMemsetD32_v2(a, 0x12345678, 64));
	CHECK_OK(cuMemsetD16_v2(a + 8, 0xbeef, 2));
	CHECK_OK(cuMemsetD2D8_v2(a + 64, 32, 0xff, 4, 2));
	CHECK_OK(cuMemcpyDtoH_v2(words, a, 256));
	CHECK_EQ(words[1], 0x12345678);
	memcpy(halves, words + 2, 8);
	CHECK(halves[0] == 0xbeef && halves[1] == 0xbeef && halves[2] == 0x5678);
	CHECK(words[16] == 0xffffffff && words[17] == 0x12345678 && words[24] == 0xffffffff &&
	      words[32] == 0x12345678);
}

TEST(arrays)
{
	CUDA_ARRAY_DESCRIPTOR shape = {24, HEIGHT, CU_AD_FORMAT_FLOAT, 1}, got;
	CUarray array;
	CUDA_MEMCPY2D copy = {
	    .srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = pattern,
	    .srcPitch = WIDTH,
	    .dstMemoryType = CU_MEMORYTYPE_ARRAY,
	    .WidthInBytes = WIDTH,
	    .Height = HEIGHT,
	};

	test_context();
	make_pattern();
	CHECK_OK(cuArrayCreate_v2(&array, &shape));
	CHECK_OK(cuArrayGetDescriptor_v2(&got, array));
	CHECK(got.Width == 24 && got.Height == HEIGHT && got.NumChannels == 1);
	copy.dstArray = array;
	CHECK_OK(cuMemcpy2D_v2(&copy));
	CHECK_OK(cuMemcpyAtoH_v2(back, array, WIDTH, WIDTH * 3));
	CHECK_BYTES(back, pattern + WIDTH, WIDTH * 3);
	CHECK_OK(cuMemcpyHtoA_v2(array, 4, pattern + 100, 50));
	CHECK_OK(cuMemcpyAtoH_v2(back, array, 4, 50));
	CHECK_BYTES(back, pattern + 100, 50);
	copy.dstXInBytes = 4;
	CHECK_EQ(cuMemcpy2D_v2(&copy), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyAtoH_v2(back, array, WIDTH * HEIGHT, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuArrayDestroy(array));
	CHECK_EQ(cuArrayDestroy(array), CUDA_ERROR_INVALID_HANDLE);
}

/* The names of per-thread streams mean the thread's own by 0, into which batches may go. */
TEST(batches_in_the_threads_stream)
{
	CUmemcpyAttributes how = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	size_t size = WIDTH, first = 0, failed = 7;
	CUstreamCaptureStatus status;
	CUgraph graph;

	test_context();
	make_pattern();
	CUdeviceptr a = test_alloc(SIZE), from = (CUdeviceptr)pattern;
	CUDA_MEMCPY3D_BATCH_OP box = {
	    .src = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = from + WIDTH}},
	    .dst = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = a + WIDTH}},
	    .extent = {WIDTH, 1, 1},
	    .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	CHECK_EQ(cuMemcpyBatchAsync(&a, &from, &size, 1, &how, &first, 1, &failed, NULL),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyBatchAsync_ptsz(
		     &a, &from, &size, 1, &how, &first, 1, &failed, CU_STREAM_LEGACY),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuMemcpyBatchAsync_ptsz(&a, &from, &size, 1, &how, &first, 1, &failed, NULL));
	CHECK_OK(cuMemcpy3DBatchAsync_ptsz(1, &box, &failed, 0, NULL));
	/* The second forms know no default stream. */
	CHECK_EQ(cuMemcpyBatchAsync_v2_ptsz(&a, &from, &size, 1, &how, &first, 1, NULL),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpy3DBatchAsync_v2_ptsz(1, &box, 0, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuStreamSynchronize_ptsz(NULL));
	CHECK_OK(cuMemcpyDtoH_v2(back, a, 2 * WIDTH));
	CHECK_BYTES(back, pattern, 2 * WIDTH);
	/* It is that stream: captures of it take none, and go on. */
	CHECK_OK(cuStreamBeginCapture_v2(CU_STREAM_PER_THREAD, CU_STREAM_CAPTURE_MODE_RELAXED));
	CHECK_EQ(cuMemcpyBatchAsync_ptsz(&a, &from, &size, 1, &how, &first, 1, &failed, NULL),
	    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	CHECK_EQ(cuMemcpy3DBatchAsync_ptsz(1, &box, &failed, 0, NULL),
	    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	CHECK_OK(cuStreamIsCapturing(CU_STREAM_PER_THREAD, &status));
	CHECK_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
	CHECK_OK(cuStreamEndCapture(CU_STREAM_PER_THREAD, &graph));
	CHECK_OK(cuGraphGetNodes(graph, NULL, &size));
	CHECK_EQ(size, 0);
}
