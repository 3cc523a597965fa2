/*
 * What the CUDA programs of test/gpu/cuda share: calls that end the program when they fail, device
 * arrays, inputs and hashes.
 *
 * Inputs are small whole numbers wherever the arithmetic allows, so that a sum is exact in any
 * order and a program can check itself against the CPU. Outputs print hashes, which test/gpu/run
 * compares.
 */
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cuda_runtime.h>

/* Every CUDA library's status is 0 for success. */
#define CHECK(call)                                                                                \
	do {                                                                                       \
		int check_status = (int)(call);                                                    \
		if (check_status != 0) {                                                           \
			fprintf(stderr, "%s:%d: %s gave %d\n", __FILE__, __LINE__, #call,          \
			    check_status);                                                         \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* By the GPU's one clock: each SM has one of its own, which says nothing of the time that others
 * see. */
static inline __device__ void spin_for(unsigned long long nanoseconds)
{
	unsigned long long start, now;

	asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
	do
		asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
	while (now - start < nanoseconds);
}

/* A device array that lives as long as its scope. */
template <typename T> struct device_array {
	T *data = nullptr;
	size_t count;

	explicit device_array(size_t n) : count(n)
	{
		CHECK(cudaMalloc(&data, n * sizeof(T)));
		CHECK(cudaMemset(data, 0, n * sizeof(T)));
	}
	explicit device_array(const std::vector<T> &from) : device_array(from.size())
	{
		CHECK(cudaMemcpy(data, from.data(), count * sizeof(T), cudaMemcpyHostToDevice));
	}
	device_array(const device_array &) = delete;
	~device_array()
	{
		cudaFree(data);
	}
	std::vector<T> read() const
	{
		std::vector<T> out(count);
		CHECK(cudaDeviceSynchronize());
		CHECK(cudaMemcpy(out.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost));
		return out;
	}
};

/* FNV-1a. */
template <typename T> uint64_t hash(const std::vector<T> &values)
{
	const unsigned char *bytes = (const unsigned char *)values.data();
	uint64_t state = 0xcbf29ce484222325ull;
	for (size_t i = 0; i < values.size() * sizeof(T); i++)
		state = (state ^ bytes[i]) * 0x100000001b3ull;
	return state;
}

template <typename T> void report(const char *name, const std::vector<T> &values)
{
	printf("%-28s %016llx\n", name, (unsigned long long)hash(values));
}

/* Whole numbers in -limit..limit, the same for the same seed everywhere. */
template <typename T> std::vector<T> whole_numbers(size_t count, uint32_t seed, int limit)
{
	std::vector<T> out(count);
	uint32_t state = seed * 2654435761u + 1;
	for (T &value : out) {
		state = state * 1664525u + 1013904223u;
		value = (T)(float)((int)((state >> 8) % (2 * limit + 1)) - limit);
	}
	return out;
}

/* Fractions in -1..1, the same for the same seed everywhere. */
template <typename T> std::vector<T> fractions(size_t count, uint32_t seed)
{
	std::vector<T> out(count);
	uint32_t state = seed * 2654435761u + 1;
	for (T &value : out) {
		state = state * 1664525u + 1013904223u;
		value = (T)((int)(state >> 8) - (1 << 23)) / (T)(1 << 23);
	}
	return out;
}

/* Column-major C = A * B on the CPU, where A is m by k and B is k by n; both may be given
 * transposed. */
template <typename T, typename R>
std::vector<R> matmul(
    int m, int n, int k, const std::vector<T> &a, bool a_transposed, const std::vector<T> &b)
{
	std::vector<R> c((size_t)m * n);
	for (int column = 0; column < n; column++)
		for (int row = 0; row < m; row++) {
			double sum = 0;
			for (int i = 0; i < k; i++)
				sum += (double)(float)(a_transposed ? a[(size_t)row * k + i]
								    : a[(size_t)i * m + row]) *
				       (double)(float)b[(size_t)column * k + i];
			c[(size_t)column * m + row] = (R)(float)sum;
		}
	return c;
}
