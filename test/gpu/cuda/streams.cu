// timeout: 60
/* Streams: priorities, events across them, queries, the legacy stream's barrier, non-blocking
 * streams. */
#include <chrono>

#include "check.h"

enum { COUNT = 1 << 16, STREAMS = 8, ROUNDS = 30, SPIN_MS = 100 };

static __global__ void step(int *data, int add)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	data[i] = data[i] * 3 + add;
}

static __global__ void spin(unsigned long long nanoseconds)
{
	spin_for(nanoseconds);
}

/* A chain that passes from stream to stream in every round. */
static void relay(cudaStream_t *streams)
{
	device_array<int> data(COUNT);
	cudaEvent_t events[STREAMS];
	int expected = 0;
	CHECK(cudaDeviceSynchronize());
	for (auto &event : events)
		CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
	for (int i = 0; i < ROUNDS * STREAMS; i++) {
		int s = i % STREAMS;
		if (i)
			CHECK(cudaStreamWaitEvent(streams[s], events[(i - 1) % STREAMS], 0));
		step<<<COUNT / 256, 256, 0, streams[s]>>>(data.data, i);
		CHECK(cudaEventRecord(events[s], streams[s]));
		expected = (int)((unsigned)expected * 3u + (unsigned)i);
	}
	EXPECT(data.read() == std::vector<int>(COUNT, expected));
	report("relay", data.read());
	for (auto &event : events)
		CHECK(cudaEventDestroy(event));
}

static void queries()
{
	cudaStream_t blocking, free_running;
	cudaEvent_t start, stop;
	float milliseconds;
	using clock = std::chrono::steady_clock;
	CHECK(cudaStreamCreate(&blocking));
	CHECK(cudaStreamCreateWithFlags(&free_running, cudaStreamNonBlocking));
	CHECK(cudaEventCreate(&start));
	CHECK(cudaEventCreate(&stop));
	auto before = clock::now();
	CHECK(cudaEventRecord(start, blocking));
	spin<<<1, 1, 0, blocking>>>(SPIN_MS * 1000000ull);
	CHECK(cudaEventRecord(stop, blocking));
	EXPECT(cudaStreamQuery(blocking) == cudaErrorNotReady);
	EXPECT(cudaEventQuery(stop) == cudaErrorNotReady);
	EXPECT(cudaStreamQuery(free_running) == cudaSuccess);
	CHECK(cudaEventSynchronize(stop));
	std::chrono::duration<float, std::milli> all = clock::now() - before;
	CHECK(cudaEventElapsedTime(&milliseconds, start, stop));
	/* No shorter than the kernel and no longer than the wait, but for what two clocks differ in. */
	EXPECT(milliseconds > SPIN_MS - 1 && milliseconds < all.count() + 1);
	fprintf(
	    stderr, "figure: a kernel of %d ms by its events, ms: %.1f\n", SPIN_MS, milliseconds);
	EXPECT(cudaStreamQuery(blocking) == cudaSuccess);
	printf("last error after queries: %s\n", cudaGetErrorName(cudaGetLastError()));
	CHECK(cudaEventDestroy(stop));
	CHECK(cudaEventDestroy(start));
	CHECK(cudaStreamDestroy(free_running));
	CHECK(cudaStreamDestroy(blocking));
}

/* Work on the legacy stream waits for blocking streams and they wait for it. */
static void legacy_barrier(cudaStream_t *streams)
{
	device_array<int> data(COUNT);
	int expected = 0;
	for (int i = 0; i < ROUNDS; i++) {
		step<<<COUNT / 256, 256, 0, streams[i % STREAMS]>>>(data.data, i);
		step<<<COUNT / 256, 256>>>(data.data, 1);
		expected = (int)(((unsigned)expected * 3u + (unsigned)i) * 3u + 1u);
	}
	EXPECT(data.read() == std::vector<int>(COUNT, expected));
	report("legacy barrier", data.read());
}

int main()
{
	cudaStream_t streams[STREAMS];
	int least, greatest;
	CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
	for (int s = 0; s < STREAMS; s++) {
		int wanted = least - s % (least - greatest + 1), got;
		unsigned flags;
		CHECK(cudaStreamCreateWithPriority(&streams[s], cudaStreamDefault, wanted));
		CHECK(cudaStreamGetPriority(streams[s], &got));
		CHECK(cudaStreamGetFlags(streams[s], &flags));
		EXPECT(got == wanted && flags == cudaStreamDefault);
	}
	printf("priorities %d to %d\n", least, greatest);
	relay(streams);
	queries();
	legacy_barrier(streams);
	for (auto &stream : streams)
		CHECK(cudaStreamDestroy(stream));
	return 0;
}
