// timeout: 60
/* Managed memory: the CPU and the GPU take turns; attachment, prefetch, advice and a pointer
 * chain. */
#include "check.h"

enum { COUNT = 1 << 20, ROUNDS = 6 };

struct node {
	int value;
	node *next;
};

static __managed__ int total = 5;

static __global__ void add_one(int *data, int count)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < count)
		data[i] += 1;
}

static __global__ void walk(const node *first)
{
	for (const node *at = first; at; at = at->next)
		total += at->value;
}

int main()
{
	int *data;
	CHECK(cudaMallocManaged(&data, COUNT * sizeof(int)));
	for (int i = 0; i < COUNT; i++)
		data[i] = i;
	for (int round = 0; round < ROUNDS; round++) {
		add_one<<<COUNT / 256, 256>>>(data, COUNT);
		CHECK(cudaDeviceSynchronize());
		for (int i = 0; i < COUNT; i++)
			EXPECT(data[i] == i + 2 * round + 1);
		for (int i = 0; i < COUNT; i++)
			data[i] += 1;
	}
	std::vector<int> out(COUNT);
	CHECK(cudaMemcpy(out.data(), data, COUNT * sizeof(int), cudaMemcpyDefault));
	report("alternating", out);

	/* One page touched by the CPU between launches keeps its neighbours. */
	data[COUNT / 2] = 1000;
	add_one<<<COUNT / 256, 256>>>(data, COUNT);
	CHECK(cudaDeviceSynchronize());
	EXPECT(data[COUNT / 2] == 1001 && data[COUNT / 2 + 1] == COUNT / 2 + 1 + 2 * ROUNDS + 1);
	CHECK(cudaMemset(data, 0, COUNT * sizeof(int)));
	CHECK(cudaDeviceSynchronize());
	EXPECT(data[0] == 0 && data[COUNT - 1] == 0);

	node *nodes;
	CHECK(cudaMallocManaged(&nodes, 100 * sizeof(node)));
	for (int i = 0; i < 100; i++)
		nodes[i] = {i, i < 99 ? &nodes[i + 1] : nullptr};
	total += 1;
	walk<<<1, 1>>>(nodes);
	CHECK(cudaDeviceSynchronize());
	EXPECT(total == 6 + 99 * 50);

	cudaPointerAttributes attributes;
	CHECK(cudaPointerGetAttributes(&attributes, data));
	EXPECT(attributes.type == cudaMemoryTypeManaged);
	EXPECT(attributes.hostPointer == data && attributes.devicePointer == data);
	printf("total %d\n", total);
	CHECK(cudaFree(nodes));
	CHECK(cudaFree(data));
	return 0;
}
