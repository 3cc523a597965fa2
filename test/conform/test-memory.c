/* Memory: copies of every shape against a plain model, memset, pointers, pools, pinned memory. */
#include "conform.h"

enum { SIZES = 12 };
static const size_t sizes[SIZES] = {
    1, 3, 4, 31, 256, 4095, 4096, 4097, 65536, 1000003, 1 << 20, 40000007};

CONFORM(copies_of_many_sizes)
{
	CUdeviceptr a, b;

	conform_begin();
	for (int i = 0; i < SIZES; i++) {
		uint8_t *in = conform_random(sizes[i], (uint64_t)i), *out = calloc(1, sizes[i]);
		OK(cuMemAlloc(&a, sizes[i]));
		OK(cuMemAlloc(&b, sizes[i]));
		OK(cuMemcpyHtoD(a, in, sizes[i]));
		OK(cuMemcpyDtoD(b, a, sizes[i]));
		OK(cuMemcpyDtoH(out, b, sizes[i]));
		CHECK_BYTES(out, in, sizes[i]);
		/* Any-to-any copies find out for themselves which side is which. */
		memset(out, 0, sizes[i]);
		OK(cuMemsetD8(a, 0, sizes[i]));
		OK(cuMemcpy(a, (CUdeviceptr)in, sizes[i]));
		OK(cuMemcpy((CUdeviceptr)out, a, sizes[i]));
		CHECK_BYTES(out, in, sizes[i]);
		OK(cuMemFree(a));
		OK(cuMemFree(b));
		free(in);
		free(out);
	}
}

CONFORM(asynchronous_copies_keep_their_order)
{
	enum { N = 1 << 20 };
	uint8_t *in = conform_random(N, 5), *out = calloc(1, N);
	CUdeviceptr a;
	CUstream stream;
	int n = N / 4;

	conform_begin();
	CUfunction f = conform_kernel("increment");
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&a, N));
	for (int round = 0; round < 5; round++) {
		OK(cuMemcpyHtoDAsync(a, in, N, stream));
		OK(conform_launch(f, 64, 256, 0, stream, (void *[]){&a, &n}));
		OK(cuMemcpyDtoHAsync(out, a, N, stream));
		OK(cuStreamSynchronize(stream));
		for (int i = 0; i < n; i++)
			((uint32_t *)in)[i]++;
		CHECK_BYTES(out, in, N);
	}
	OK(cuStreamDestroy(stream));
}

CONFORM(two_dimensional_copies)
{
	enum { W = 333, H = 57, SPITCH = 400 };
	uint8_t *in = conform_random((size_t)SPITCH * H, 6), *out = calloc(1, (size_t)SPITCH * H);
	CUdeviceptr device;
	size_t pitch;

	conform_begin();
	OK(cuMemAllocPitch(&device, &pitch, W, H, 4));
	CHECK(pitch >= W);
	CUDA_MEMCPY2D up = {.srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = in,
	    .srcPitch = SPITCH,
	    .srcXInBytes = 5,
	    .srcY = 2,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = device,
	    .dstPitch = pitch,
	    .WidthInBytes = W - 20,
	    .Height = H - 2};
	CUDA_MEMCPY2D down = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
	    .srcDevice = device,
	    .srcPitch = pitch,
	    .dstMemoryType = CU_MEMORYTYPE_HOST,
	    .dstHost = out,
	    .dstPitch = SPITCH,
	    .dstXInBytes = 5,
	    .dstY = 2,
	    .WidthInBytes = W - 20,
	    .Height = H - 2};
	OK(cuMemcpy2D(&up));
	OK(cuMemcpy2DUnaligned(&down));
	for (int y = 0; y < H; y++)
		for (int x = 0; x < SPITCH; x++) {
			bool inside = y >= 2 && x >= 5 && x < 5 + W - 20;
			CHECK_EQ(out[y * SPITCH + x], inside ? in[y * SPITCH + x] : 0);
		}
	OK(cuMemFree(device));
}

CONFORM(three_dimensional_copies)
{
	enum { W = 20, H = 7, D = 5 };
	uint8_t *in = conform_random(W * H * D, 7), out[W * H * D] = {0};
	CUdeviceptr device;

	conform_begin();
	OK(cuMemAlloc(&device, W * H * D));
	OK(cuMemsetD8(device, 0, W * H * D));
	CUDA_MEMCPY3D up = {.srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = in,
	    .srcPitch = W,
	    .srcHeight = H,
	    .srcXInBytes = 3,
	    .srcY = 1,
	    .srcZ = 2,
	    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
	    .dstDevice = device,
	    .dstPitch = W,
	    .dstHeight = H,
	    .dstXInBytes = 1,
	    .dstY = 2,
	    .dstZ = 0,
	    .WidthInBytes = 10,
	    .Height = 4,
	    .Depth = 3};
	OK(cuMemcpy3D(&up));
	OK(cuMemcpyDtoH(out, device, sizeof(out)));
	for (int z = 0; z < D; z++)
		for (int y = 0; y < H; y++)
			for (int x = 0; x < W; x++) {
				bool inside = z < 3 && y >= 2 && y < 6 && x >= 1 && x < 11;
				int from = ((z + 2) * H + y - 1) * W + x + 2;
				CHECK_EQ(out[(z * H + y) * W + x], inside ? in[from] : 0);
			}
}

CONFORM(memset_of_every_width)
{
	enum { N = 4096 };
	uint8_t out[N];
	CUdeviceptr a;

	conform_begin();
	OK(cuMemAlloc(&a, N));
	OK(cuMemsetD8(a, 0x11, N));
	OK(cuMemsetD16(a + 16, 0x2233, 100));
	OK(cuMemsetD32(a + 1024, 0x44556677, 50));
	OK(cuMemsetD2D8(a + 2048, 64, 0x88, 10, 4));
	OK(cuMemsetD32Async(a + 3000, 0x99aabbcc, 3, NULL));
	OK(cuMemcpyDtoH(out, a, N));
	for (int i = 0; i < N; i++) {
		int wanted = 0x11;
		if (i >= 16 && i < 216)
			wanted = i % 2 ? 0x22 : 0x33;
		if (i >= 1024 && i < 1224)
			wanted = 0x77 - 0x11 * (i % 4);
		if (i >= 2048 && i < 2048 + 256 && (i - 2048) % 64 < 10)
			wanted = 0x88;
		if (i >= 3000 && i < 3012)
			wanted = 0xcc - 0x11 * ((i - 3000) % 4);
		CHECK_EQ(out[i], wanted);
	}
}

CONFORM(address_ranges_and_pointer_attributes)
{
	CUdeviceptr a, base;
	size_t size;
	CUmemorytype type;
	int on_host = 0, ordinal = -1;
	CUcontext context, current;

	conform_begin();
	OK(cuMemAlloc(&a, 100000));
	OK(cuMemGetAddressRange(&base, &size, a + 777));
	CHECK_EQ(base, a);
	CHECK_EQ(size, 100000);
	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, a + 5));
	CHECK_EQ(type, CU_MEMORYTYPE_DEVICE);
	OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, a));
	CHECK_EQ(ordinal, 0);
	OK(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, a));
	OK(cuCtxGetCurrent(&current));
	CHECK(context == current);
	GIVES(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)&on_host),
	    CUDA_ERROR_INVALID_VALUE);
	/* The plural form never fails for a pointer it does not know. */
	type = (CUmemorytype)9;
	OK(cuPointerGetAttributes(1, (CUpointer_attribute[]){CU_POINTER_ATTRIBUTE_MEMORY_TYPE},
	    (void *[]){&type}, (CUdeviceptr)&on_host));
	CHECK_EQ(type, 0);
	OK(cuMemFree(a));
	GIVES(cuMemGetAddressRange(&base, &size, a), CUDA_ERROR_NOT_FOUND);
}

CONFORM(pinned_memory_is_shared_with_the_device)
{
	enum { N = 1 << 20 };
	uint8_t *host;
	CUdeviceptr device, mapped;
	unsigned flags, value = 0xabcdef01;
	int n = N / 4;

	conform_begin();
	OK(cuMemHostAlloc((void **)&host, N, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP));
	OK(cuMemHostGetFlags(&flags, host));
	CHECK(flags & CU_MEMHOSTALLOC_DEVICEMAP);
	OK(cuMemHostGetDevicePointer(&mapped, host, 0));
	OK(cuMemAlloc(&device, N));
	conform_fill(host, N, 9);
	uint8_t *copy = malloc(N), *back = malloc(N);
	memcpy(copy, host, N);
	OK(cuMemcpyHtoDAsync(device, host, N, NULL));
	OK(cuCtxSynchronize());
	OK(cuMemcpyDtoH(back, device, N));
	CHECK_BYTES(back, copy, N);
	memset(host, 0, N);
	OK(cuMemcpyDtoHAsync(host, device, N, NULL));
	OK(cuCtxSynchronize());
	CHECK_BYTES(host, copy, N);
	/* A kernel writes straight into it. */
	OK(conform_launch(
	    conform_kernel("fill"), 8, 128, 0, NULL, (void *[]){&mapped, &value, &n}));
	OK(cuCtxSynchronize());
	for (int i = 0; i < n; i++)
		CHECK_EQ(((uint32_t *)host)[i], value);
	OK(cuMemFreeHost(host));
}

CONFORM(stream_ordered_allocation)
{
	CUdeviceptr a;
	CUstream stream;
	unsigned value = 5, got[256];
	int n = 256;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_DEFAULT));
	for (int round = 0; round < 20; round++) {
		value = (unsigned)round;
		OK(cuMemAllocAsync(&a, sizeof(got), stream));
		OK(conform_launch(
		    conform_kernel("fill"), 1, 256, 0, stream, (void *[]){&a, &value, &n}));
		OK(cuMemcpyDtoHAsync(got, a, sizeof(got), stream));
		OK(cuMemFreeAsync(a, stream));
		OK(cuStreamSynchronize(stream));
		CHECK_EQ(got[0], round);
		CHECK_EQ(got[255], round);
	}
	OK(cuStreamDestroy(stream));
}

static uint64_t pool_attribute(CUmemPool_attribute attribute)
{
	CUmemoryPool pool;
	CUdevice device;
	uint64_t value = 0;

	OK(cuCtxGetDevice(&device));
	OK(cuDeviceGetDefaultMemPool(&pool, device));
	OK(cuMemPoolGetAttribute(pool, attribute, &value));
	return value;
}

/* What is freed may come back at once, in this stream or in others, and keeps nothing of its
 * own. */
CONFORM(stream_ordered_memory_freed_and_allocated_in_turn)
{
	enum { BLOCKS = 3, ROUNDS = 50 };
	static const size_t bytes[BLOCKS] = {1 << 20, 4096, 1 << 16};
	CUdeviceptr memory[BLOCKS];
	CUstream streams[2];
	unsigned *got;

	conform_begin();
	OK(cuMemAllocHost((void **)&got, sizeof(*got) * BLOCKS * ROUNDS));
	OK(cuStreamCreate(&streams[0], CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&streams[1], CU_STREAM_NON_BLOCKING));
	uint64_t used = pool_attribute(CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
	for (unsigned round = 0; round < ROUNDS; round++) {
		CUstream stream = streams[round / 7 % 2];
		for (unsigned i = 0; i < BLOCKS; i++) {
			OK(cuMemAllocAsync(&memory[i], bytes[i], stream));
			OK(cuMemsetD32Async(memory[i], round * BLOCKS + i, bytes[i] / 4, stream));
		}
		for (unsigned i = 0; i < BLOCKS; i++) {
			CHECK(memory[i] != memory[(i + 1) % BLOCKS]);
			OK(cuMemcpyDtoHAsync(
			    &got[round * BLOCKS + i], memory[i] + bytes[i] - 4, 4, stream));
			OK(cuMemFreeAsync(memory[i], stream));
		}
	}
	CHECK(pool_attribute(CU_MEMPOOL_ATTR_USED_MEM_HIGH) >= used + (1 << 20) + (1 << 16));
	OK(cuCtxSynchronize());
	CHECK_EQ(pool_attribute(CU_MEMPOOL_ATTR_USED_MEM_CURRENT), used);
	for (unsigned i = 0; i < BLOCKS * ROUNDS; i++)
		CHECK_EQ(got[i], i);
	OK(cuStreamDestroy(streams[0]));
	OK(cuStreamDestroy(streams[1]));
	OK(cuMemFreeHost(got));
}

CONFORM(out_of_memory_is_told_at_once)
{
	CUdeviceptr a = 0;
	size_t free_bytes, total;

	conform_begin();
	OK(cuMemGetInfo(&free_bytes, &total));
	CHECK(free_bytes <= total && total > 0);
	GIVES(cuMemAlloc(&a, total * 2), CUDA_ERROR_OUT_OF_MEMORY);
	GIVES(cuMemAlloc(&a, 0), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemAlloc(&a, 1 << 20));
	OK(cuMemFree(a));
	GIVES(cuMemFree(a), CUDA_ERROR_INVALID_VALUE);
}
