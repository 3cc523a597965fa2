// libs: nccl
// needs: nccl.h
// gpus: 2
// timeout: 120
/* NCCL in one process: an all-reduce and a broadcast over every GPU, exact for whole numbers. */
#include <nccl.h>

#include <algorithm>

#include "check.h"

enum { COUNT = 1 << 22, MOST = 8 };

/* The figure that test/gpu/run shows for both ways: bytes reduced per second, the median of
 * rounds. */
static void bandwidth(int devices, ncclComm_t *communicators, cudaStream_t *streams)
{
	const size_t count = (size_t)64 << 20;
	float *data[MOST], milliseconds[11];
	cudaEvent_t begin, end;
	for (int d = 0; d < devices; d++) {
		CHECK(cudaSetDevice(d));
		CHECK(cudaMalloc(&data[d], count * sizeof(float)));
		CHECK(cudaMemset(data[d], 0, count * sizeof(float)));
		CHECK(cudaDeviceSynchronize());
	}
	CHECK(cudaSetDevice(0));
	CHECK(cudaEventCreate(&begin));
	CHECK(cudaEventCreate(&end));
	for (auto &time : milliseconds) {
		CHECK(cudaEventRecord(begin, streams[0]));
		CHECK(ncclGroupStart());
		for (int d = 0; d < devices; d++)
			CHECK(ncclAllReduce(data[d], data[d], count, ncclFloat, ncclSum,
			    communicators[d], streams[d]));
		CHECK(ncclGroupEnd());
		CHECK(cudaEventRecord(end, streams[0]));
		CHECK(cudaEventSynchronize(end));
		CHECK(cudaEventElapsedTime(&time, begin, end));
	}
	std::sort(milliseconds, milliseconds + 11);
	fprintf(stderr, "figure: all-reduce of 256 MiB, one process, GB/s: %.1f\n",
	    (double)count * sizeof(float) / milliseconds[5] / 1e6);
	for (int d = 0; d < devices; d++)
		CHECK(cudaFree(data[d]));
}

int main()
{
	int devices;
	ncclComm_t communicators[MOST];
	cudaStream_t streams[MOST];
	float *in[MOST], *out[MOST];
	std::vector<float> expected(COUNT);
	CHECK(cudaGetDeviceCount(&devices));
	devices = devices > MOST ? MOST : devices;
	for (int d = 0; d < devices; d++) {
		auto values = whole_numbers<float>(COUNT, d + 1, 100);
		for (int i = 0; i < COUNT; i++)
			expected[i] += values[i];
		CHECK(cudaSetDevice(d));
		CHECK(cudaStreamCreate(&streams[d]));
		CHECK(cudaMalloc(&in[d], COUNT * sizeof(float)));
		CHECK(cudaMalloc(&out[d], COUNT * sizeof(float)));
		CHECK(cudaMemcpy(
		    in[d], values.data(), COUNT * sizeof(float), cudaMemcpyHostToDevice));
	}
	CHECK(ncclCommInitAll(communicators, devices, nullptr));
	for (int round = 0; round < 5; round++) {
		CHECK(ncclGroupStart());
		for (int d = 0; d < devices; d++)
			CHECK(ncclAllReduce(in[d], out[d], COUNT, ncclFloat, ncclSum,
			    communicators[d], streams[d]));
		CHECK(ncclGroupEnd());
	}
	std::vector<float> got(COUNT);
	for (int d = 0; d < devices; d++) {
		CHECK(cudaSetDevice(d));
		CHECK(cudaStreamSynchronize(streams[d]));
		CHECK(
		    cudaMemcpy(got.data(), out[d], COUNT * sizeof(float), cudaMemcpyDeviceToHost));
		EXPECT(got == expected);
	}
	report("all-reduce", got);
	CHECK(ncclGroupStart());
	for (int d = 0; d < devices; d++)
		CHECK(ncclBroadcast(
		    in[d], out[d], COUNT, ncclFloat, 1, communicators[d], streams[d]));
	CHECK(ncclGroupEnd());
	auto sent = whole_numbers<float>(COUNT, 2, 100);
	for (int d = 0; d < devices; d++) {
		CHECK(cudaSetDevice(d));
		CHECK(cudaStreamSynchronize(streams[d]));
		CHECK(
		    cudaMemcpy(got.data(), out[d], COUNT * sizeof(float), cudaMemcpyDeviceToHost));
		EXPECT(got == sent);
	}
	report("broadcast", got);
	bandwidth(devices, communicators, streams);
	for (int d = 0; d < devices; d++)
		CHECK(ncclCommDestroy(communicators[d]));
	return 0;
}
