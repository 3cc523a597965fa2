// timeout: 60
/* Stream-ordered memory: the default pool, a pool of our own, reuse, trimming, and a free on
 * another stream. */
#include "check.h"

enum { COUNT = 1 << 20, ROUNDS = 20 };

static __global__ void fill(int *data, int value)
{
	data[blockIdx.x * blockDim.x + threadIdx.x] = value + threadIdx.x;
}

static uint64_t attribute(cudaMemPool_t pool, cudaMemPoolAttr which)
{
	uint64_t value;
	CHECK(cudaMemPoolGetAttribute(pool, which, &value));
	return value;
}

static void churn(cudaMemPool_t pool, cudaStream_t a, cudaStream_t b)
{
	std::vector<int> out(COUNT);
	cudaEvent_t written;
	CHECK(cudaEventCreateWithFlags(&written, cudaEventDisableTiming));
	for (int round = 0; round < ROUNDS; round++) {
		int *data, *copy;
		CHECK(cudaMallocFromPoolAsync(&data, COUNT * sizeof(int), pool, a));
		CHECK(cudaMallocFromPoolAsync(&copy, COUNT * sizeof(int), pool, a));
		fill<<<COUNT / 256, 256, 0, a>>>(data, round);
		CHECK(
		    cudaMemcpyAsync(copy, data, COUNT * sizeof(int), cudaMemcpyDeviceToDevice, a));
		CHECK(cudaFreeAsync(data, a));
		CHECK(cudaEventRecord(written, a));
		CHECK(cudaStreamWaitEvent(b, written, 0));
		CHECK(cudaMemcpyAsync(
		    out.data(), copy, COUNT * sizeof(int), cudaMemcpyDeviceToHost, b));
		CHECK(cudaFreeAsync(copy, b));
		CHECK(cudaStreamSynchronize(b));
		for (int i = 0; i < COUNT; i += 997)
			EXPECT(out[i] == round + i % 256);
	}
	report("churn", out);
	CHECK(cudaEventDestroy(written));
}

int main()
{
	cudaStream_t a, b;
	cudaMemPool_t standard, own;
	cudaMemPoolProps properties = {};
	uint64_t keep = UINT64_MAX;
	CHECK(cudaStreamCreate(&a));
	CHECK(cudaStreamCreate(&b));
	CHECK(cudaDeviceGetDefaultMemPool(&standard, 0));
	churn(standard, a, b);

	properties.allocType = cudaMemAllocationTypePinned;
	properties.location.type = cudaMemLocationTypeDevice;
	CHECK(cudaMemPoolCreate(&own, &properties));
	CHECK(cudaMemPoolSetAttribute(own, cudaMemPoolAttrReleaseThreshold, &keep));
	EXPECT(attribute(own, cudaMemPoolAttrReleaseThreshold) == keep);
	churn(own, a, b);
	CHECK(cudaDeviceSynchronize());
	EXPECT(attribute(own, cudaMemPoolAttrUsedMemCurrent) == 0);
	EXPECT(attribute(own, cudaMemPoolAttrUsedMemHigh) >= 2 * COUNT * sizeof(int));
	EXPECT(attribute(own, cudaMemPoolAttrReservedMemCurrent) >= 2 * COUNT * sizeof(int));
	CHECK(cudaMemPoolTrimTo(own, 0));
	EXPECT(attribute(own, cudaMemPoolAttrReservedMemCurrent) == 0);

	int *kept;
	CHECK(cudaDeviceSetMemPool(0, own));
	CHECK(cudaMallocAsync(&kept, 1000, a));
	CHECK(cudaStreamSynchronize(a));
	EXPECT(attribute(own, cudaMemPoolAttrUsedMemCurrent) >= 1000);
	CHECK(cudaFree(kept));
	CHECK(cudaDeviceSetMemPool(0, standard));
	CHECK(cudaMemPoolDestroy(own));
	CHECK(cudaStreamDestroy(b));
	CHECK(cudaStreamDestroy(a));
	return 0;
}
