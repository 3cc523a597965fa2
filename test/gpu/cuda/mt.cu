// timeout: 60
/* Sixteen host threads, each with its own stream, buffers and mix of calls, all on one context. */
#include <thread>

#include "check.h"

enum { THREADS = 16, ROUNDS = 60, COUNT = 1 << 14 };

static __global__ void step(unsigned *data, unsigned add)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	data[i] = data[i] * 5 + add;
}

static unsigned work(int number)
{
	cudaStream_t stream;
	cudaEvent_t event;
	unsigned *data, *pinned, value = 0;
	std::vector<unsigned> pageable(COUNT);
	CHECK(cudaSetDevice(0));
	CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
	CHECK(cudaEventCreate(&event));
	CHECK(cudaMalloc(&data, COUNT * sizeof(*data)));
	CHECK(cudaMallocHost(&pinned, COUNT * sizeof(*data)));
	CHECK(cudaMemsetAsync(data, 0, COUNT * sizeof(*data), stream));
	for (int round = 0; round < ROUNDS; round++) {
		step<<<COUNT / 256, 256, 0, stream>>>(data, number * 1000 + round);
		value = value * 5 + number * 1000 + round;
		void *scratch;
		if (round % 4 == number % 4) {
			CHECK(cudaMallocAsync(&scratch, 4096 << (round % 5), stream));
			CHECK(cudaMemsetAsync(scratch, round, 4096, stream));
			CHECK(cudaFreeAsync(scratch, stream));
		}
		if (round % 5 == 0) {
			CHECK(cudaMemcpyAsync(
			    pinned, data, COUNT * sizeof(*data), cudaMemcpyDeviceToHost, stream));
			CHECK(cudaEventRecord(event, stream));
			CHECK(cudaEventSynchronize(event));
			EXPECT(pinned[0] == value && pinned[COUNT - 1] == value);
		}
		if (round % 7 == 0) {
			CHECK(cudaMemcpyAsync(pageable.data(), data, COUNT * sizeof(*data),
			    cudaMemcpyDeviceToHost, stream));
			CHECK(cudaStreamSynchronize(stream));
			EXPECT(pageable[COUNT / 2] == value);
		}
	}
	/* An error belongs to the thread that made it. */
	if (number % 2)
		EXPECT(cudaSetDevice(1000) != cudaSuccess);
	EXPECT((cudaGetLastError() == cudaSuccess) == (number % 2 == 0));
	CHECK(cudaStreamSynchronize(stream));
	CHECK(cudaFreeHost(pinned));
	CHECK(cudaFree(data));
	CHECK(cudaEventDestroy(event));
	CHECK(cudaStreamDestroy(stream));
	return value;
}

int main()
{
	std::vector<unsigned> values(THREADS);
	std::vector<std::thread> threads;
	for (int i = 0; i < THREADS; i++)
		threads.emplace_back([&values, i] { values[i] = work(i); });
	for (auto &thread : threads)
		thread.join();
	report("values", values);
	return 0;
}
