// timeout: 60
/* What a program asks about its kernels and its GPU: attributes, occupancy, limits, properties. */
#include "check.h"

static __global__ void small(int *out)
{
	out[threadIdx.x] = 1;
}

static __global__ void __launch_bounds__(256, 2) big(float *out)
{
	extern __shared__ float space[];
	space[threadIdx.x] = out[threadIdx.x];
	__syncthreads();
	out[threadIdx.x] = space[255 - threadIdx.x];
}

template <typename F> static void describe(const char *name, F kernel, int threads, size_t shared)
{
	cudaFuncAttributes has;
	int blocks, grid, block;
	CHECK(cudaFuncGetAttributes(&has, kernel));
	CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, shared));
	CHECK(cudaOccupancyMaxPotentialBlockSize(&grid, &block, kernel, shared, 0));
	printf("%s: registers %d shared %zu local %zu constant %zu threads %d binary %d ptx %d\n",
	    name, has.numRegs, has.sharedSizeBytes, has.localSizeBytes, has.constSizeBytes,
	    has.maxThreadsPerBlock, has.binaryVersion, has.ptxVersion);
	printf("%s: %d blocks of %d, best %d by %d\n", name, blocks, threads, grid, block);
	EXPECT(blocks > 0 && block > 0);
}

int main()
{
	cudaDeviceProp is;
	size_t stack, heap, fifo, available;
	int runtime, driver;
	CHECK(cudaGetDeviceProperties(&is, 0));
	printf("%s: %d.%d, %d multiprocessors, warp %d, %zu bytes of shared memory a block (%zu by "
	       "choice)\n",
	    is.name, is.major, is.minor, is.multiProcessorCount, is.warpSize, is.sharedMemPerBlock,
	    is.sharedMemPerBlockOptin);
	printf("L2 %d, bus %d bits, registers %d, grid %d %d %d, texture 2-D %d %d\n",
	    is.l2CacheSize, is.memoryBusWidth, is.regsPerMultiprocessor, is.maxGridSize[0],
	    is.maxGridSize[1], is.maxGridSize[2], is.maxTexture2D[0], is.maxTexture2D[1]);
	CHECK(cudaRuntimeGetVersion(&runtime));
	CHECK(cudaDriverGetVersion(&driver));
	printf("runtime %d, driver %d\n", runtime, driver);
	EXPECT(driver >= runtime);
	describe("small", small, 128, 0);
	describe("big", big, 256, 1024);

	/* More shared memory than the default takes the attribute, and only then launches. */
	device_array<float> out(fractions<float>(256, 1));
	size_t much = is.sharedMemPerBlockOptin;
	big<<<1, 256, much>>>(out.data);
	EXPECT(cudaGetLastError() == cudaErrorInvalidValue);
	CHECK(cudaFuncSetAttribute(big, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)much));
	big<<<1, 256, much>>>(out.data);
	CHECK(cudaGetLastError());
	report("reversed", out.read());
	CHECK(cudaOccupancyAvailableDynamicSMemPerBlock(&available, big, 2, 256));
	printf("%zu bytes for two blocks of big\n", available);

	CHECK(cudaDeviceGetLimit(&stack, cudaLimitStackSize));
	CHECK(cudaDeviceGetLimit(&heap, cudaLimitMallocHeapSize));
	CHECK(cudaDeviceGetLimit(&fifo, cudaLimitPrintfFifoSize));
	printf("stack %zu heap %zu printf %zu\n", stack, heap, fifo);
	CHECK(cudaDeviceSetLimit(cudaLimitStackSize, 4096));
	CHECK(cudaDeviceGetLimit(&stack, cudaLimitStackSize));
	EXPECT(stack == 4096);
	return 0;
}
