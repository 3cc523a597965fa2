// timeout: 60
/* Thread block clusters: blocks read their neighbour's shared memory; launch attributes and
 * occupancy. */
#include <cooperative_groups.h>

#include "check.h"

enum { THREADS = 64, BLOCKS = 32 };

static __global__ void neighbours(int *out)
{
#if __CUDA_ARCH__ >= 900
	__shared__ int own[THREADS];
	auto cluster = cooperative_groups::this_cluster();
	unsigned rank = cluster.block_rank(), size = cluster.num_blocks();
	own[threadIdx.x] = blockIdx.x * 1000 + threadIdx.x;
	cluster.sync();
	int *theirs = cluster.map_shared_rank(own, (rank + 1) % size);
	out[blockIdx.x * THREADS + threadIdx.x] = theirs[THREADS - 1 - threadIdx.x];
	cluster.sync();
#endif
}

static void launch(int size)
{
	device_array<int> out(BLOCKS * THREADS);
	cudaLaunchAttribute attribute = {};
	cudaLaunchConfig_t config = {};
	attribute.id = cudaLaunchAttributeClusterDimension;
	attribute.val.clusterDim.x = size;
	attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
	config.gridDim = dim3(BLOCKS);
	config.blockDim = dim3(THREADS);
	config.attrs = &attribute;
	config.numAttrs = 1;
	CHECK(cudaLaunchKernelEx(&config, neighbours, out.data));
	auto got = out.read();
	for (int block = 0; block < BLOCKS; block++)
		for (int thread = 0; thread < THREADS; thread++) {
			int other = block / size * size + (block % size + 1) % size;
			EXPECT(
			    got[block * THREADS + thread] == other * 1000 + THREADS - 1 - thread);
		}
	report(size == 1 ? "clusters of one" : "clusters", got);
	int clusters;
	CHECK(cudaOccupancyMaxActiveClusters(&clusters, neighbours, &config));
	printf("%d clusters of %d fit\n", clusters, size);
}

int main()
{
	cudaDeviceProp properties;
	CHECK(cudaGetDeviceProperties(&properties, 0));
	if (properties.major < 9) {
		printf("skipped: clusters need compute capability 9.0\n");
		return 0;
	}
	launch(1);
	launch(2);
	launch(4);
	launch(8);
	return 0;
}
