// timeout: 60
/* A cooperative launch: a grid-wide barrier between rounds in which every block reads another's
 * result. */
#include <cooperative_groups.h>

#include "check.h"

enum { THREADS = 128, ROUNDS = 20 };

static __global__ void rotate(int *a, int *b, int count)
{
	auto grid = cooperative_groups::this_grid();
	int i = (int)grid.thread_rank();
	for (int round = 0; round < ROUNDS; round++) {
		b[i] = a[(i + THREADS + 1) % count] + 1;
		grid.sync();
		a[i] = b[i];
		grid.sync();
	}
}

int main()
{
	int blocks, supported, processors;
	CHECK(cudaDeviceGetAttribute(&supported, cudaDevAttrCooperativeLaunch, 0));
	CHECK(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0));
	CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, rotate, THREADS, 0));
	EXPECT(supported && blocks > 0);
	int count = 64 * THREADS;
	std::vector<int> in(count), expected(count);
	for (int i = 0; i < count; i++)
		in[i] = i;
	for (int i = 0; i < count; i++)
		expected[i] = (i + ROUNDS * (THREADS + 1)) % count + ROUNDS;
	device_array<int> a(in), b(count);
	void *arguments[] = {&a.data, &b.data, &count};
	CHECK(cudaLaunchCooperativeKernel((void *)rotate, 64, THREADS, arguments, 0, 0));
	EXPECT(a.read() == expected);
	report("rotated", a.read());

	int room = blocks * processors;
	EXPECT(cudaLaunchCooperativeKernel((void *)rotate, room + 1, THREADS, arguments, 0, 0) ==
	       cudaErrorCooperativeLaunchTooLarge);
	EXPECT(cudaGetLastError() == cudaErrorCooperativeLaunchTooLarge);
	EXPECT(cudaGetLastError() == cudaSuccess);
	printf("room for %d blocks\n", room);
	return 0;
}
