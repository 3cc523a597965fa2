// arch: 100a
/*
 * A matrix product as kernels for compute capability 10.0 do it: tiles come by tensor maps,
 * swizzled; one thread multiplies them in tensor memory; and all threads of the block read the sums
 * there.
 */
#include <cuda.h>
#include <cuda_bf16.h>

#include "../gpu/cuda/check.h"

/* Of bf16, k along the rows of both: 64 of them are a row of 128 swizzled bytes. */
enum { M = 256, N = 384, K = 256, TILE_M = 128, TILE_N = 192, TILE_K = 64, MMA_K = 16, STAGES = 2 };
enum { STAGE_BYTES = (TILE_M + TILE_N) * TILE_K * 2, COLUMNS = 256 };

typedef CUresult (*encode_tiled)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
    const cuuint64_t *, const cuuint64_t *, const cuuint32_t *, const cuuint32_t *,
    CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

#if defined(__CUDA_ARCH_FEAT_SM100_ALL) || !defined(__CUDA_ARCH__)
#define HAS_TENSOR_MEMORY 1
#endif

__device__ static void wait(unsigned barrier, unsigned parity)
{
	unsigned done = 0;
	while (!done)
		asm volatile("{ .reg .pred p;"
			     "  mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;"
			     "  selp.u32 %0, 1, 0, p; }"
			     : "=r"(done)
			     : "r"(barrier), "r"(parity)
			     : "memory");
}

__device__ static void load(unsigned to, const CUtensorMap *map, int x, int y, unsigned barrier)
{
	asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
		     "[%0], [%1, {%2, %3}], [%4];" ::"r"(to),
		     "l"(map), "r"(x), "r"(y), "r"(barrier)
		     : "memory");
}

/* Rows of 128 bytes, swizzled, 8 of them 1024 bytes apart. */
__device__ static unsigned long long descriptor(unsigned place)
{
	return (unsigned long long)(place >> 4 & 0x3fff) | 64ull << 32 | 1ull << 46 | 2ull << 61;
}

__global__ static void product(const __grid_constant__ CUtensorMap a_map,
    const __grid_constant__ CUtensorMap b_map, float *d)
{
#ifdef HAS_TENSOR_MEMORY
	extern __shared__ __align__(1024) unsigned char tiles[];
	__shared__ alignas(8) unsigned long long full[STAGES], empty[STAGES], all;
	__shared__ unsigned at;
	unsigned base = (unsigned)__cvta_generic_to_shared(tiles);
	unsigned fulls = (unsigned)__cvta_generic_to_shared(full);
	unsigned empties = (unsigned)__cvta_generic_to_shared(empty);
	unsigned alls = (unsigned)__cvta_generic_to_shared(&all);
	unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
	int row = blockIdx.x * TILE_M, column = blockIdx.y * TILE_N;

	if (threadIdx.x == 0) {
		for (int i = 0; i < STAGES; i++) {
			asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(fulls + 8 * i));
			asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(empties + 8 * i));
		}
		asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(alls));
		asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
	}
	if (warp == 1) {
		asm volatile(
		    "tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%0], %1;" ::"r"(
			(unsigned)__cvta_generic_to_shared(&at)),
		    "r"(COLUMNS)
		    : "memory");
		asm volatile("tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;");
	}
	asm volatile("tcgen05.fence::before_thread_sync;" ::: "memory");
	__syncthreads();
	asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory");
	unsigned sums = at;

	if (threadIdx.x == 0) /* brings tiles */
		for (int i = 0; i < K / TILE_K; i++) {
			int stage = i % STAGES;
			unsigned to = base + stage * STAGE_BYTES;
			if (i >= STAGES)
				wait(empties + 8 * stage, (i / STAGES - 1) & 1);
			asm volatile(
			    "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
				fulls + 8 * stage),
			    "r"((unsigned)STAGE_BYTES)
			    : "memory");
			load(to, &a_map, i * TILE_K, row, fulls + 8 * stage);
			load(to + TILE_M * TILE_K * 2, &b_map, i * TILE_K, column, fulls + 8 * stage);
		}
	else if (threadIdx.x == 32) { /* multiplies them */
		/* f32 sums of bf16 */
		unsigned form = 1 << 4 | 1 << 7 | 1 << 10 | TILE_N / 8 << 17 | TILE_M / 16 << 24;
		for (int i = 0; i < K / TILE_K; i++) {
			int stage = i % STAGES;
			unsigned from = base + stage * STAGE_BYTES;
			wait(fulls + 8 * stage, i / STAGES & 1);
			asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory");
			for (int k = 0; k < TILE_K / MMA_K; k++)
				asm volatile(
				    "{ .reg .pred p; setp.ne.u32 p, %4, 0;"
				    "  tcgen05.mma.cta_group::1.kind::f16 [%0], %1, %2, %3, p; }" ::"r"(sums),
				    "l"(descriptor(from + k * MMA_K * 2)),
				    "l"(descriptor(from + TILE_M * TILE_K * 2 + k * MMA_K * 2)),
				    "r"(form), "r"(i | k)
				    : "memory");
			asm volatile("tcgen05.commit.cta_group::1.mbarrier::arrive::one"
				     ".shared::cluster.b64 [%0];" ::"r"(empties + 8 * stage)
				     : "memory");
		}
		asm volatile("tcgen05.commit.cta_group::1.mbarrier::arrive::one"
			     ".shared::cluster.b64 [%0];" ::"r"(alls)
			     : "memory");
	}
	__syncwarp();
	wait(alls, 0);
	asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory");
	for (int n = 0; n < TILE_N; n += 8) {
		unsigned v[8], from = sums + (warp * 32 << 16) + n;
		asm volatile("tcgen05.ld.sync.aligned.32x32b.x8.b32 {%0, %1, %2, %3, %4, %5, %6, %7}, [%8];"
			     : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]), "=r"(v[4]), "=r"(v[5]),
			     "=r"(v[6]), "=r"(v[7])
			     : "r"(from));
		asm volatile("tcgen05.wait::ld.sync.aligned;" ::: "memory");
		for (int i = 0; i < 8; i++)
			d[(size_t)(row + warp * 32 + lane) * N + column + n + i] =
			    __uint_as_float(v[i]);
	}
	__syncthreads();
	if (warp == 1)
		asm volatile("tcgen05.dealloc.cta_group::1.sync.aligned.b32 %0, %1;" ::"r"(sums),
			     "r"(COLUMNS));
#endif
}

static CUtensorMap map_of(encode_tiled encode, __nv_bfloat16 *from, cuuint64_t rows, cuuint32_t tile_rows)
{
	CUtensorMap map;
	cuuint64_t size[] = {K, rows}, pitch[] = {K * sizeof(*from)};
	cuuint32_t tile[] = {TILE_K, tile_rows}, step[] = {1, 1};
	CHECK(encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, from, size, pitch, tile, step,
	    CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
	    CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
	return map;
}

int main()
{
	void *entry;
	cudaDriverEntryPointQueryResult found;
	CHECK(cudaGetDriverEntryPointByVersion(
	    "cuTensorMapEncodeTiled", &entry, 12000, cudaEnableDefault, &found));
	EXPECT(found == cudaDriverEntryPointSuccess);
	auto a = whole_numbers<__nv_bfloat16>(M * K, 1, 8), b = whole_numbers<__nv_bfloat16>(N * K, 2, 8);
	device_array<__nv_bfloat16> a_device(a), b_device(b);
	device_array<float> d(M * N);
	CHECK(cudaFuncSetAttribute(
	    product, cudaFuncAttributeMaxDynamicSharedMemorySize, STAGES * STAGE_BYTES));
	product<<<dim3(M / TILE_M, N / TILE_N), 128, STAGES * STAGE_BYTES>>>(
	    map_of((encode_tiled)entry, a_device.data, M, TILE_M),
	    map_of((encode_tiled)entry, b_device.data, N, TILE_N), d.data);
	CHECK(cudaGetLastError());
	auto sums = d.read();
	/* D by rows is the transposed product, by columns, of what is B by rows and A. */
	EXPECT((sums == matmul<__nv_bfloat16, float>(N, M, K, b, true, a)));
	report("tensor memory", sums);
	return 0;
}
