/* Reductions in shared memory, by warp shuffles, and by atomics; all must agree with the host. */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#define CHECK(call)                                                                                \
	do {                                                                                       \
		cudaError_t r = (call);                                                            \
		if (r != cudaSuccess) {                                                            \
			fprintf(stderr, "%s:%d %s: %s\n", __FILE__, __LINE__, #call,               \
			    cudaGetErrorString(r));                                                \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

__global__ void sum_shared(const int *in, unsigned long long *out, int n)
{
	extern __shared__ long long sums[];
	long long sum = 0;

	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		sum += in[i];
	sums[threadIdx.x] = sum;
	__syncthreads();
	for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
		if (threadIdx.x < half)
			sums[threadIdx.x] += sums[threadIdx.x + half];
		__syncthreads();
	}
	if (threadIdx.x == 0)
		atomicAdd(out, (unsigned long long)sums[0]);
}

__global__ void sum_shuffle(const int *in, unsigned long long *out, int n)
{
	long long sum = 0;

	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		sum += in[i];
	for (int delta = 16; delta > 0; delta /= 2)
		sum += __shfl_down_sync(0xffffffffu, sum, delta);
	if (threadIdx.x % 32 == 0)
		atomicAdd(out, (unsigned long long)sum);
}

__global__ void sum_atomic(const int *in, unsigned long long *out, int n)
{
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		atomicAdd(out, (unsigned long long)(long long)in[i]);
}

int main()
{
	const int n = 1000003, blocks = 37, threads = 256;
	std::vector<int> in(n);
	long long wanted = 0, got[3];
	int *din;
	unsigned long long *dout;

	for (int i = 0; i < n; i++)
		wanted += in[i] = (int)((uint32_t)i * 2654435761u >> 8) - (1 << 23);
	CHECK(cudaMalloc(&din, n * sizeof(int)));
	CHECK(cudaMalloc(&dout, 3 * sizeof(*dout)));
	CHECK(cudaMemcpy(din, in.data(), n * sizeof(int), cudaMemcpyHostToDevice));
	CHECK(cudaMemset(dout, 0, 3 * sizeof(*dout)));
	sum_shared<<<blocks, threads, threads * sizeof(long long)>>>(din, dout, n);
	sum_shuffle<<<blocks, threads>>>(din, dout + 1, n);
	sum_atomic<<<blocks, threads>>>(din, dout + 2, n);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(got, dout, sizeof(got), cudaMemcpyDeviceToHost));
	for (int i = 0; i < 3; i++) {
		if (got[i] != wanted) {
			fprintf(stderr, "sum %d is %lld, not %lld\n", i, got[i], wanted);
			return 1;
		}
	}
	CHECK(cudaFree(din));
	CHECK(cudaFree(dout));
	printf("reduction: three sums of %d numbers are %lld\n", n, wanted);
	return 0;
}
