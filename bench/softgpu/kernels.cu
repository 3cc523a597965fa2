/*
 * The kernels that bench/softgpu times, compiled once to kernels.ptx:
 *	nvcc -ptx -arch=compute_80 -o kernels.ptx kernels.cu
 */
#include <mma.h>

extern "C" __global__ void vecadd(const float *a, const float *b, float *c, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		c[i] = a[i] + b[i];
}

extern "C" __global__ void stencil(const float *in, float *out, int w, int h)
{
	int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;

	if (x < 1 || y < 1 || x >= w - 1 || y >= h - 1)
		return;
	out[y * w + x] = 0.5f * in[y * w + x] +
			 0.125f * (in[y * w + x - 1] + in[y * w + x + 1] + in[(y - 1) * w + x] +
				      in[(y + 1) * w + x]);
}

extern "C" __global__ void sgemm_naive(const float *a, const float *b, float *c, int n)
{
	int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
	float sum = 0;

	if (x >= n || y >= n)
		return;
	for (int k = 0; k < n; k++)
		sum += a[y * n + k] * b[k * n + x];
	c[y * n + x] = sum;
}

template <int T> __device__ void sgemm_tiled(const float *a, const float *b, float *c, int n)
{
	__shared__ float as[T][T], bs[T][T];
	int x = blockIdx.x * T + threadIdx.x, y = blockIdx.y * T + threadIdx.y;
	float sum = 0;

	for (int t = 0; t < n; t += T) {
		as[threadIdx.y][threadIdx.x] = a[y * n + t + threadIdx.x];
		bs[threadIdx.y][threadIdx.x] = b[(t + threadIdx.y) * n + x];
		__syncthreads();
		for (int k = 0; k < T; k++)
			sum += as[threadIdx.y][k] * bs[k][threadIdx.x];
		__syncthreads();
	}
	c[y * n + x] = sum;
}

extern "C" __global__ void sgemm_tiled32(const float *a, const float *b, float *c, int n)
{
	sgemm_tiled<32>(a, b, c, n);
}

extern "C" __global__ void sgemm_tiled16(const float *a, const float *b, float *c, int n)
{
	sgemm_tiled<16>(a, b, c, n);
}

extern "C" __global__ void reduce_shared(const float *in, float *out, int n)
{
	__shared__ float s[256];
	float sum = 0;

	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		sum += in[i];
	s[threadIdx.x] = sum;
	__syncthreads();
	for (int d = 128; d > 0; d >>= 1) {
		if (threadIdx.x < d)
			s[threadIdx.x] += s[threadIdx.x + d];
		__syncthreads();
	}
	if (threadIdx.x == 0)
		out[blockIdx.x] = s[0];
}

__device__ float warp_sum(float v)
{
	for (int d = 16; d > 0; d >>= 1)
		v += __shfl_down_sync(~0u, v, d);
	return v;
}

__device__ void block_sum(float v, float *out)
{
	__shared__ float s[32];

	v = warp_sum(v);
	if (threadIdx.x % 32 == 0)
		s[threadIdx.x / 32] = v;
	__syncthreads();
	if (threadIdx.x < 32) {
		v = threadIdx.x < blockDim.x / 32 ? s[threadIdx.x] : 0;
		v = warp_sum(v);
		if (threadIdx.x == 0)
			*out = v;
	}
}

extern "C" __global__ void reduce_shuffle(const float *in, float *out, int n)
{
	float sum = 0;

	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		sum += in[i];
	block_sum(sum, &out[blockIdx.x]);
}

/* One element a thread: nine barriers for 256 elements. */
extern "C" __global__ void reduce_dense(const float *in, float *out, int n)
{
	__shared__ float s[256];
	int i = blockIdx.x * 256 + threadIdx.x;

	s[threadIdx.x] = i < n ? in[i] : 0;
	__syncthreads();
	for (int d = 128; d > 0; d >>= 1) {
		if (threadIdx.x < d)
			s[threadIdx.x] += s[threadIdx.x + d];
		__syncthreads();
	}
	if (threadIdx.x == 0)
		out[blockIdx.x] = s[0];
}

extern "C" __global__ void reduce_dense_shuffle(const float *in, float *out, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	block_sum(i < n ? in[i] : 0, &out[blockIdx.x]);
}

extern "C" __global__ void histogram_shared(const unsigned char *in, unsigned *out, int n)
{
	__shared__ unsigned bins[256];

	bins[threadIdx.x] = 0;
	__syncthreads();
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		atomicAdd(&bins[in[i]], 1);
	__syncthreads();
	atomicAdd(&out[threadIdx.x], bins[threadIdx.x]);
}

extern "C" __global__ void histogram_global(const unsigned char *in, unsigned *out, int n)
{
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		atomicAdd(&out[in[i]], 1);
}

extern "C" __global__ void count(unsigned *out, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		atomicAdd(out, 1);
}

extern "C" __global__ void mandelbrot(int *out, int w, int h, int most)
{
	int px = blockIdx.x * blockDim.x + threadIdx.x, py = blockIdx.y * blockDim.y + threadIdx.y;
	float cx = -2.0f + 3.0f * px / w, cy = -1.5f + 3.0f * py / h, x = 0, y = 0;
	int i = 0;

	if (px >= w || py >= h)
		return;
	while (i < most && x * x + y * y < 4.0f) {
		float t = x * x - y * y + cx;

		y = 2 * x * y + cy;
		x = t;
		i++;
	}
	out[py * w + px] = i;
}

extern "C" __global__ void collatz(int *out, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x, steps = 0;
	unsigned v = i + 1;

	if (i >= n)
		return;
	while (v != 1) {
		v = v & 1 ? 3 * v + 1 : v / 2;
		steps++;
	}
	out[i] = steps;
}

/* Warps of four make a square of 2 x 2 squares of 2 x 2 fragments, straight from global memory. */
template <int M, int N, int K, typename Element, typename Sum>
__device__ void gemm_wmma(const Element *a, const Element *b, Sum *c, int n)
{
	using namespace nvcuda::wmma;
	fragment<matrix_a, M, N, K, Element, row_major> as[2];
	fragment<matrix_b, M, N, K, Element, row_major> bs[2];
	fragment<accumulator, M, N, K, Sum> sums[2][2];
	int warp = threadIdx.x / 32;
	int row = (blockIdx.y * 2 + warp / 2) * 2 * M, column = (blockIdx.x * 2 + warp % 2) * 2 * N;

	for (int i = 0; i < 4; i++)
		fill_fragment(sums[i / 2][i % 2], 0);
	for (int k = 0; k < n; k += K) {
		for (int i = 0; i < 2; i++) {
			load_matrix_sync(as[i], &a[(row + i * M) * n + k], n);
			load_matrix_sync(bs[i], &b[k * n + column + i * N], n);
		}
		for (int i = 0; i < 4; i++)
			mma_sync(sums[i / 2][i % 2], as[i / 2], bs[i % 2], sums[i / 2][i % 2]);
	}
	for (int i = 0; i < 4; i++)
		store_matrix_sync(&c[(row + i / 2 * M) * n + column + i % 2 * N],
		    sums[i / 2][i % 2], n, mem_row_major);
}

extern "C" __global__ void hgemm_wmma(const half *a, const half *b, float *c, int n)
{
	gemm_wmma<16, 16, 16>(a, b, c, n);
}

extern "C" __global__ void dgemm_wmma(const double *a, const double *b, double *c, int n)
{
	gemm_wmma<8, 8, 4>(a, b, c, n);
}
