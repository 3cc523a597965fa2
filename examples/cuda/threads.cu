/* Several host threads on one GPU, each with a stream, memory and kernels of its own. */
#include <cstdio>
#include <cstdlib>
#include <thread>
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

__device__ unsigned total;

__global__ void mix(unsigned *data, int n, unsigned key)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n) {
		data[i] = data[i] * 1664525u + key;
		if (data[i] & 1)
			atomicAdd(&total, 1u);
	}
}

enum { N = 10000, ROUNDS = 25, THREADS = 6 };

static unsigned odd[THREADS];

static void work(unsigned id)
{
	std::vector<unsigned> wanted(N), got(N);
	unsigned *data;
	cudaStream_t stream;

	CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
	CHECK(cudaMalloc(&data, N * sizeof(unsigned)));
	for (int i = 0; i < N; i++)
		wanted[i] = got[i] = id * 100000u + (unsigned)i;
	CHECK(cudaMemcpyAsync(data, got.data(), N * sizeof(unsigned), cudaMemcpyHostToDevice, stream));
	for (unsigned round = 0; round < ROUNDS; round++) {
		mix<<<(N + 127) / 128, 128, 0, stream>>>(data, N, id + round);
		CHECK(cudaGetLastError());
		for (auto &value : wanted) {
			value = value * 1664525u + id + round;
			odd[id] += value & 1;
		}
	}
	CHECK(cudaMemcpyAsync(got.data(), data, N * sizeof(unsigned), cudaMemcpyDeviceToHost, stream));
	CHECK(cudaStreamSynchronize(stream));
	if (got != wanted) {
		fprintf(stderr, "thread %u got wrong numbers\n", id);
		exit(1);
	}
	CHECK(cudaFree(data));
	CHECK(cudaStreamDestroy(stream));
}

int main()
{
	std::vector<std::thread> threads;
	unsigned wanted = 0, got;

	for (unsigned id = 0; id < THREADS; id++)
		threads.emplace_back(work, id);
	for (unsigned id = 0; id < THREADS; id++) {
		threads[id].join();
		wanted += odd[id];
	}
	CHECK(cudaMemcpyFromSymbol(&got, total, sizeof(got)));
	if (got != wanted) {
		fprintf(stderr, "%u odd numbers were counted, not %u\n", got, wanted);
		return 1;
	}
	printf("threads: %d threads, %u odd numbers\n", THREADS, got);
	return 0;
}
