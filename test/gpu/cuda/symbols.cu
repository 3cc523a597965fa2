// timeout: 60
/* Variables of a module: __device__, __constant__ and __managed__, their addresses, sizes and
 * copies. */
#include "check.h"

enum { COUNT = 512 };

static __device__ int table[COUNT];
static __constant__ float weights[16];
static __managed__ int counter = 40;
static __device__ int *indirect;
static __device__ double initialised = 2.5;

static __global__ void use(int *out)
{
	int i = threadIdx.x;
	out[i] = table[i] * (int)weights[i % 16] + (int)(initialised * 2) + indirect[i];
	if (i == 0)
		counter += 2;
}

int main()
{
	std::vector<int> in = whole_numbers<int>(COUNT, 1, 1000),
			 other = whole_numbers<int>(COUNT, 2, 1000);
	std::vector<float> factors = whole_numbers<float>(16, 3, 9);
	device_array<int> pointed(other), out(COUNT);
	void *address;
	size_t size;
	double value;
	CHECK(cudaGetSymbolSize(&size, table));
	EXPECT(size == COUNT * sizeof(int));
	CHECK(cudaGetSymbolSize(&size, weights));
	EXPECT(size == 16 * sizeof(float));
	CHECK(cudaMemcpyToSymbol(table, in.data(), COUNT * sizeof(int)));
	CHECK(cudaMemcpyToSymbol(weights, factors.data(), 8 * sizeof(float)));
	CHECK(cudaMemcpyToSymbolAsync(weights, factors.data() + 8, 8 * sizeof(float),
	    8 * sizeof(float), cudaMemcpyHostToDevice, 0));
	CHECK(cudaMemcpyToSymbol(indirect, &pointed.data, sizeof(int *)));
	CHECK(cudaMemcpyFromSymbol(&value, initialised, sizeof(value)));
	EXPECT(value == 2.5 && counter == 40);
	use<<<1, COUNT>>>(out.data);
	auto got = out.read();
	for (int i = 0; i < COUNT; i++)
		EXPECT(got[i] == in[i] * (int)factors[i % 16] + 5 + other[i]);
	EXPECT(counter == 42);
	report("first", got);

	CHECK(cudaGetSymbolAddress(&address, table));
	CHECK(cudaMemset(address, 0, COUNT * sizeof(int)));
	value = -1;
	CHECK(cudaMemcpyToSymbol(initialised, &value, sizeof(value)));
	use<<<1, COUNT>>>(out.data);
	got = out.read();
	for (int i = 0; i < COUNT; i++)
		EXPECT(got[i] == other[i] - 2);
	EXPECT(counter == 44);
	report("second", got);
	EXPECT(cudaGetSymbolAddress(&address, (const void *)&size) == cudaErrorInvalidSymbol);
	EXPECT(cudaGetLastError() == cudaErrorInvalidSymbol);
	return 0;
}
