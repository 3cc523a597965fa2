/*
 * Fills and copies of every width and shape, in a stream and not, each against a plain model of the
 * memory. The copies between contexts are made inside one, which every driver allows.
 */
#include "conform.h"

enum { N = 8192, PITCH = 256 };

static CUdeviceptr memory;
static uint8_t model[N];
static CUstream stream;

/* Memory of N bytes that the model knows. */
static void begin(void)
{
	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&memory, N));
	conform_fill(model, N, 1);
	OK(cuMemcpyHtoD(memory, model, N));
	OK(cuCtxSynchronize()); /* of ordinary memory so small the copy itself may come later */
}

static void check_memory(void)
{
	uint8_t got[N];

	OK(cuStreamSynchronize(stream));
	OK(cuMemcpyDtoH(got, memory, N));
	CHECK_BYTES(got, model, N);
}

/* Fills rows of the model with a value of some bytes, as the cuMemsetD2D* do. */
static void fill_model(
    size_t from, size_t pitch, unsigned value, size_t bytes, size_t width, size_t height)
{
	for (size_t y = 0; y < height; y++)
		for (size_t x = 0; x < width; x++)
			memcpy(model + from + y * pitch + x * bytes, &value, bytes);
}

CONFORM(fills_in_a_stream)
{
	begin();
	OK(cuMemsetD8Async(memory + 3, 0x12, 501, stream));
	OK(cuMemsetD16Async(memory + 1002, 0x3456, 77, stream));
	OK(cuMemsetD32Async(memory + 2004, 0x789abcde, 33, stream));
	fill_model(3, 0, 0x12, 1, 501, 1);
	fill_model(1002, 0, 0x3456, 2, 77, 1);
	fill_model(2004, 0, 0x789abcde, 4, 33, 1);
	check_memory();
	GIVES(cuMemsetD16Async(memory + 1, 1, 4, stream), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMemsetD32Async(memory + 2, 1, 4, stream), CUDA_ERROR_INVALID_VALUE);
}

CONFORM(fills_of_rows)
{
	begin();
	OK(cuMemsetD2D8(memory + 5, PITCH, 0x21, 13, 4));
	OK(cuMemsetD2D16(memory + 2048, PITCH, 0x4365, 17, 5));
	OK(cuMemsetD2D32(memory + 4096, PITCH, 0x87a9cbed, 9, 7));
	fill_model(5, PITCH, 0x21, 1, 13, 4);
	fill_model(2048, PITCH, 0x4365, 2, 17, 5);
	fill_model(4096, PITCH, 0x87a9cbed, 4, 9, 7);
	check_memory();
}

CONFORM(fills_of_rows_in_a_stream)
{
	begin();
	OK(cuMemsetD2D8Async(memory + 7, PITCH, 0x31, 200, 3, stream));
	OK(cuMemsetD2D16Async(memory + 2050, PITCH, 0x7654, 1, 6, stream));
	OK(cuMemsetD2D32Async(memory + 4100, PITCH, 0xfedcba98, 60, 2, stream));
	/* Rows without a gap between them are one. */
	OK(cuMemsetD2D32Async(memory + 6144, 64, 0x01020304, 16, 8, stream));
	fill_model(7, PITCH, 0x31, 1, 200, 3);
	fill_model(2050, PITCH, 0x7654, 2, 1, 6);
	fill_model(4100, PITCH, 0xfedcba98, 4, 60, 2);
	fill_model(6144, 64, 0x01020304, 4, 128, 1);
	check_memory();
	/* Nothing to fill is no mistake. */
	OK(cuMemsetD2D32Async(memory, PITCH, 1, 0, 0, stream));
	OK(cuMemsetD8Async(memory, 1, 0, stream));
	check_memory();
}

CONFORM(copies_that_find_out_what_is_where)
{
	uint8_t *host;

	begin();
	OK(cuMemAllocHost((void **)&host, N));
	conform_fill(host, N, 2);
	OK(cuMemcpyAsync(memory + 100, (CUdeviceptr)host, 1000, stream));
	memcpy(model + 100, host, 1000);
	OK(cuMemcpyAsync(memory + 4000, memory + 50, 700, stream));
	memcpy(model + 4000, model + 50, 700);
	check_memory();
	OK(cuMemcpyAsync((CUdeviceptr)host, memory + 30, 4000, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_BYTES(host, model + 30, 4000);
	OK(cuMemFreeHost(host));
}

CONFORM(copies_between_contexts)
{
	CUcontext context;

	begin();
	OK(cuCtxGetCurrent(&context));
	OK(cuMemcpyPeer(memory + 5000, context, memory + 17, context, 999));
	memcpy(model + 5000, model + 17, 999);
	check_memory(); /* the other stream does not wait for this copy */
	OK(cuMemcpyPeerAsync(memory + 300, context, memory + 6000, context, 1234, stream));
	memcpy(model + 300, model + 6000, 1234);
	check_memory();
	CUDA_MEMCPY3D_PEER box = {
	    .srcMemoryType = CU_MEMORYTYPE_DEVICE,
	    .srcDevice = memory,
	    .srcContext = context,
	    .srcPitch = 32,
	    .srcHeight = 8,
	    .srcXInBytes = 2,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = memory + 4096,
	    .dstContext = context,
	    .dstPitch = 64,
	    .dstHeight = 4,
	    .dstY = 1,
	    .WidthInBytes = 20,
	    .Height = 3,
	    .Depth = 5,
	};
	OK(cuMemcpy3DPeer(&box));
	for (size_t z = 0; z < 5; z++)
		for (size_t y = 0; y < 3; y++)
			memcpy(
			    model + 4096 + (z * 4 + y + 1) * 64, model + (z * 8 + y) * 32 + 2, 20);
	check_memory();
	box.dstY = 0;
	box.srcZ = 2;
	OK(cuMemcpy3DPeerAsync(&box, stream));
	for (size_t z = 0; z < 5; z++)
		for (size_t y = 0; y < 3; y++)
			memcpy(model + 4096 + (z * 4 + y) * 64, model + ((z + 2) * 8 + y) * 32 + 2,
			    20);
	check_memory();
}

CONFORM(boxes_in_a_stream)
{
	begin();
	CUDA_MEMCPY2D rows = {
	    .srcMemoryType = CU_MEMORYTYPE_DEVICE,
	    .srcDevice = memory,
	    .srcPitch = 100,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = memory + 2000,
	    .dstPitch = 200,
	    .dstXInBytes = 8,
	    .WidthInBytes = 50,
	    .Height = 9,
	};
	OK(cuMemcpy2DAsync(&rows, stream));
	for (size_t y = 0; y < 9; y++)
		memcpy(model + 2000 + y * 200 + 8, model + y * 100, 50);
	check_memory();
	CUDA_MEMCPY3D box = {
	    .srcMemoryType = CU_MEMORYTYPE_DEVICE,
	    .srcDevice = memory,
	    .srcPitch = 16,
	    .srcHeight = 10,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = memory + 4096,
	    .dstPitch = 40,
	    .dstHeight = 11,
	    .dstZ = 1,
	    .WidthInBytes = 12,
	    .Height = 10,
	    .Depth = 7,
	};
	OK(cuMemcpy3DAsync(&box, stream));
	for (size_t z = 0; z < 7; z++)
		for (size_t y = 0; y < 10; y++)
			memcpy(
			    model + 4096 + ((z + 1) * 11 + y) * 40, model + (z * 10 + y) * 16, 12);
	check_memory();
}

CONFORM(arrays_in_a_stream)
{
	CUDA_ARRAY_DESCRIPTOR d = {1000, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1};
	uint8_t *host;
	CUarray array;

	begin();
	OK(cuMemAllocHost((void **)&host, N));
	conform_fill(host, N, 3);
	OK(cuArrayCreate(&array, &d));
	OK(cuMemcpyHtoAAsync(array, 0, host, 1000, stream));
	OK(cuMemcpyHtoAAsync(array, 100, host + 3000, 50, stream));
	memcpy(host + 100, host + 3000, 50);
	OK(cuMemcpyAtoHAsync(host + 4000, array, 10, 900, stream));
	OK(cuStreamSynchronize(stream));
	CHECK_BYTES(host + 4000, host + 10, 900);
	OK(cuArrayDestroy(array));
	OK(cuMemFreeHost(host));
}
