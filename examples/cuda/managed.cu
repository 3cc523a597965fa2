/* Managed variables and a graph of ordinary memory: the CPU and the GPU take turns without a copy
 * being asked for, and a captured round trip reads and writes plain arrays each time it runs. */
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
#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d not so: %s\n", __FILE__, __LINE__, #condition);     \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

enum { COUNT = 5000 };

__managed__ int total = 5;
__managed__ int table[COUNT];
__managed__ volatile int doorbell, answered;

__global__ void sum_up(int from)
{
	for (int i = from; i < from + 10; i++)
		total += table[i];
}

__global__ void scale(int *data, int by)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < COUNT)
		data[i] *= by;
}

__global__ void wait_for_the_bell()
{
	while (!doorbell)
		;
	answered = doorbell + 1;
}

static void take_turns()
{
	int expected = 5;
	for (int round = 0; round < 30; round++) {
		for (int i = 0; i < 10; i++)
			table[round * 10 + i] = round + i;
		sum_up<<<1, 1>>>(round * 10);
		CHECK(cudaDeviceSynchronize());
		expected += 10 * round + 45;
		EXPECT(total == expected);
	}
	int *address;
	CHECK(cudaGetSymbolAddress((void **)&address, table));
	EXPECT(address == table);
	scale<<<(COUNT + 255) / 256, 256>>>(table, 3);
	CHECK(cudaDeviceSynchronize());
	for (int i = 0; i < 300; i++)
		EXPECT(table[i] == 3 * (i / 10 + i % 10));
	printf("total %d\n", total);
}

static void ring()
{
	wait_for_the_bell<<<1, 1>>>();
	doorbell = 41;
	while (!answered)
		;
	EXPECT(answered == 42);
	CHECK(cudaDeviceSynchronize());
	printf("answered %d\n", answered);
}

static void round_trips()
{
	std::vector<int> in(COUNT), out(COUNT);
	cudaStream_t stream;
	cudaGraph_t graph;
	cudaGraphExec_t exec;
	int *data;
	CHECK(cudaMalloc(&data, COUNT * sizeof(int)));
	CHECK(cudaStreamCreate(&stream));
	CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
	CHECK(cudaMemcpyAsync(
	    data, in.data(), COUNT * sizeof(int), cudaMemcpyHostToDevice, stream));
	scale<<<(COUNT + 255) / 256, 256, 0, stream>>>(data, 7);
	CHECK(cudaMemcpyAsync(
	    out.data(), data, COUNT * sizeof(int), cudaMemcpyDeviceToHost, stream));
	CHECK(cudaStreamEndCapture(stream, &graph));
	CHECK(cudaGraphInstantiate(&exec, graph, 0));
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < COUNT; i++)
			in[i] = round * i;
		CHECK(cudaGraphLaunch(exec, stream));
		CHECK(cudaStreamSynchronize(stream));
		for (int i = 0; i < COUNT; i++)
			EXPECT(out[i] == 7 * round * i);
	}
	CHECK(cudaGraphExecDestroy(exec));
	CHECK(cudaGraphDestroy(graph));
	CHECK(cudaStreamDestroy(stream));
	CHECK(cudaFree(data));
	printf("round trips: %d\n", out[COUNT - 1]);
}

int main(void)
{
	take_turns();
	ring();
	round_trips();
	return 0;
}
