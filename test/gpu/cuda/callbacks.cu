// timeout: 60
/* Host functions on streams: their order, the data before them, and the work that waits for
 * them. */
#include <unistd.h>

#include "check.h"

enum { ROUNDS = 50, STREAMS = 4, COUNT = 1024 };

static __global__ void fill(int *data, int value)
{
	data[threadIdx.x] = value;
}

struct lane {
	int *pinned, *device, expected, calls, mistakes;
};

/* Sees this round's copy whole and leaves its answer for the copy that follows. */
static void seen(void *context)
{
	lane *self = (lane *)context;
	self->expected++;
	self->calls++;
	for (int i = 0; i < COUNT; i++)
		self->mistakes += self->pinned[i] != self->expected;
	self->pinned[0] = -self->expected;
}

static void legacy(cudaStream_t, cudaError_t status, void *context)
{
	usleep(1000);
	((lane *)context)->mistakes += status != cudaSuccess;
	((lane *)context)->calls++;
}

int main()
{
	cudaStream_t streams[STREAMS];
	lane lanes[STREAMS] = {};
	for (int s = 0; s < STREAMS; s++) {
		CHECK(cudaStreamCreateWithFlags(&streams[s], cudaStreamNonBlocking));
		CHECK(cudaMallocHost(&lanes[s].pinned, COUNT * sizeof(int)));
		CHECK(cudaMalloc(&lanes[s].device, 2 * COUNT * sizeof(int)));
	}
	for (int round = 1; round <= ROUNDS; round++)
		for (int s = 0; s < STREAMS; s++) {
			fill<<<1, COUNT, 0, streams[s]>>>(lanes[s].device, round);
			CHECK(cudaMemcpyAsync(lanes[s].pinned, lanes[s].device, COUNT * sizeof(int),
			    cudaMemcpyDeviceToHost, streams[s]));
			CHECK(cudaLaunchHostFunc(streams[s], seen, &lanes[s]));
			CHECK(cudaMemcpyAsync(lanes[s].device + COUNT + round, lanes[s].pinned,
			    sizeof(int), cudaMemcpyHostToDevice, streams[s]));
		}
	for (int s = 0; s < STREAMS; s++) {
		std::vector<int> answers(ROUNDS);
		CHECK(cudaStreamAddCallback(streams[s], legacy, &lanes[s], 0));
		CHECK(cudaStreamSynchronize(streams[s]));
		EXPECT(lanes[s].calls == ROUNDS + 1 && lanes[s].mistakes == 0);
		CHECK(cudaMemcpy(answers.data(), lanes[s].device + COUNT + 1, ROUNDS * sizeof(int),
		    cudaMemcpyDeviceToHost));
		for (int round = 1; round <= ROUNDS; round++)
			EXPECT(answers[round - 1] == -round);
		report("answers", answers);
		CHECK(cudaFree(lanes[s].device));
		CHECK(cudaFreeHost(lanes[s].pinned));
		CHECK(cudaStreamDestroy(streams[s]));
	}
	printf("%d calls in order\n", STREAMS * (ROUNDS + 1));
	return 0;
}
