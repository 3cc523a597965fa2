// timeout: 60
/* The tensor memory accelerator: a 2-D tile loaded through a map passed as a kernel parameter. */
#include <cuda.h>

#include "check.h"

enum { WIDTH = 256, HEIGHT = 128, TILE_X = 32, TILE_Y = 16 };

typedef CUresult (*encode_tiled)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
    const cuuint64_t *, const cuuint64_t *, const cuuint32_t *, const cuuint32_t *,
    CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

/* Copies the tile at (x, y), zero beyond the edge, to out. */
static __global__ void load(const __grid_constant__ CUtensorMap map, int *out, int x, int y)
{
#if __CUDA_ARCH__ >= 900
	__shared__ alignas(128) int tile[TILE_Y][TILE_X];
	__shared__ alignas(8) unsigned long long barrier;
	unsigned at = (unsigned)__cvta_generic_to_shared(&barrier);
	if (threadIdx.x == 0) {
		asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(at));
		asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
		asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(at),
		    "r"((unsigned)sizeof(tile))
		    : "memory");
		asm volatile(
		    "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
		    "[%0], [%1, {%2, %3}], [%4];" ::"r"((unsigned)__cvta_generic_to_shared(tile)),
		    "l"(&map), "r"(x), "r"(y), "r"(at)
		    : "memory");
	}
	__syncthreads();
	unsigned done = 0;
	while (!done)
		asm volatile("{ .reg .pred p;"
			     "  mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0;"
			     "  selp.u32 %0, 1, 0, p; }"
		    : "=r"(done)
		    : "r"(at)
		    : "memory");
	for (int i = threadIdx.x; i < TILE_X * TILE_Y; i += blockDim.x)
		out[i] = tile[i / TILE_X][i % TILE_X];
#endif
}

int main()
{
	cudaDeviceProp properties;
	CHECK(cudaGetDeviceProperties(&properties, 0));
	if (properties.major < 9) {
		printf("skipped: tensor maps need compute capability 9.0\n");
		return 0;
	}
	void *entry;
	cudaDriverEntryPointQueryResult found;
	CHECK(cudaGetDriverEntryPointByVersion(
	    "cuTensorMapEncodeTiled", &entry, 12000, cudaEnableDefault, &found));
	EXPECT(found == cudaDriverEntryPointSuccess);
	auto in = whole_numbers<int>(WIDTH * HEIGHT, 1, 100000);
	device_array<int> image(in), out(TILE_X * TILE_Y);
	CUtensorMap map;
	cuuint64_t size[] = {WIDTH, HEIGHT}, pitch[] = {WIDTH * sizeof(int)};
	cuuint32_t tile[] = {TILE_X, TILE_Y}, step[] = {1, 1};
	CHECK(((encode_tiled)entry)(&map, CU_TENSOR_MAP_DATA_TYPE_INT32, 2, image.data, size, pitch,
	    tile, step, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
	    CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
	int corners[][2] = {{0, 0}, {64, 32}, {4, 3}, {WIDTH - 16, HEIGHT - 8}};
	for (auto &corner : corners) {
		load<<<1, 128>>>(map, out.data, corner[0], corner[1]);
		CHECK(cudaGetLastError());
		auto got = out.read();
		for (int i = 0; i < TILE_X * TILE_Y; i++) {
			int x = corner[0] + i % TILE_X, y = corner[1] + i / TILE_X;
			EXPECT(got[i] == (x < WIDTH && y < HEIGHT ? in[y * WIDTH + x] : 0));
		}
		report("tile", got);
	}
	pitch[0] = 17;
	EXPECT(((encode_tiled)entry)(&map, CU_TENSOR_MAP_DATA_TYPE_INT32, 2, image.data, size,
		   pitch, tile, step, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
		   CU_TENSOR_MAP_L2_PROMOTION_NONE,
		   CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_ERROR_INVALID_VALUE);
	return 0;
}
