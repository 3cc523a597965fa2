// gpus: 2
// timeout: 60
/* Two GPUs in one process: copies between them, access to each other's memory, and who waits for
 * whom. */
#include <cuda.h>

#include "check.h"

enum { COUNT = 1 << 20 };

static __global__ void add(const int *in, int *out, int value)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < COUNT)
		out[i] = in[i] + value;
}

static __global__ void spin_then_store(int *out, unsigned long long nanoseconds, int value)
{
	spin_for(nanoseconds);
	*out = value;
}

struct side {
	int device;
	int *data;
	cudaStream_t stream;
};

static struct side side_new(int device)
{
	struct side s = {device, nullptr, nullptr};
	CHECK(cudaSetDevice(device));
	CHECK(cudaMalloc(&s.data, COUNT * sizeof(int)));
	CHECK(cudaMemset(s.data, 0, COUNT * sizeof(int)));
	CHECK(cudaStreamCreate(&s.stream));
	CHECK(cudaDeviceSynchronize());
	return s;
}

static std::vector<int> read(const int *data)
{
	std::vector<int> got(COUNT);
	CHECK(cudaMemcpy(got.data(), data, COUNT * sizeof(int), cudaMemcpyDefault));
	return got;
}

static void copies(const struct side &a, const struct side &b)
{
	auto in = whole_numbers<int>(COUNT, 3, 1000000);
	CHECK(cudaMemcpy(a.data, in.data(), COUNT * sizeof(int), cudaMemcpyDefault));
	CHECK(cudaMemcpyPeer(b.data, b.device, a.data, a.device, COUNT * sizeof(int)));
	EXPECT(read(b.data) == in);
	CHECK(cudaSetDevice(a.device));
	add<<<COUNT / 256, 256, 0, a.stream>>>(a.data, a.data, 5);
	CHECK(
	    cudaMemcpyPeerAsync(b.data, b.device, a.data, a.device, COUNT * sizeof(int), a.stream));
	CHECK(cudaStreamSynchronize(a.stream));
	for (auto &x : in)
		x += 5;
	EXPECT(read(b.data) == in);
	CHECK(cudaSetDevice(b.device));
	CHECK(cudaMemset(b.data, 0, COUNT * sizeof(int)));
	CHECK(cudaMemcpy(b.data, a.data, COUNT * sizeof(int), cudaMemcpyDefault));
	EXPECT(read(b.data) == in);
	report("copies between GPUs", read(b.data));
}

static void order(const struct side &a, const struct side &b)
{
	cudaEvent_t done;
	CHECK(cudaSetDevice(a.device));
	CHECK(cudaEventCreateWithFlags(&done, cudaEventDisableTiming));
	spin_then_store<<<1, 1, 0, a.stream>>>(a.data, 50000000, 4242);
	CHECK(cudaEventRecord(done, a.stream));
	CHECK(cudaSetDevice(b.device));
	CHECK(cudaStreamWaitEvent(b.stream, done, 0));
	CHECK(cudaMemcpyPeerAsync(b.data, b.device, a.data, a.device, sizeof(int), b.stream));
	CHECK(cudaStreamSynchronize(b.stream));
	EXPECT(read(b.data)[0] == 4242);
	CHECK(cudaEventDestroy(done));
	printf("a stream of one GPU waits for an event of the other\n");
}

static void attributes(const struct side &a, const struct side &b)
{
	for (const auto *s : {&a, &b}) {
		cudaPointerAttributes got;
		CHECK(cudaPointerGetAttributes(&got, s->data));
		EXPECT(got.device == s->device && got.type == cudaMemoryTypeDevice);
	}
	for (auto which : {cudaDevP2PAttrAccessSupported, cudaDevP2PAttrNativeAtomicSupported,
		 cudaDevP2PAttrCudaArrayAccessSupported}) {
		int value = -1;
		CHECK(cudaDeviceGetP2PAttribute(&value, which, a.device, b.device));
		printf("peer attribute %d: %d\n", which, value);
	}
}

/* A kernel on b reads and writes a's memory. */
static void access(const struct side &a, const struct side &b)
{
	int can = 0;
	CHECK(cudaDeviceCanAccessPeer(&can, b.device, a.device));
	printf("peer access: %d\n", can);
	if (!can)
		return;
	auto in = whole_numbers<int>(COUNT, 9, 1000);
	CHECK(cudaMemcpy(a.data, in.data(), COUNT * sizeof(int), cudaMemcpyDefault));
	CHECK(cudaSetDevice(b.device));
	CHECK(cudaDeviceEnablePeerAccess(a.device, 0));
	EXPECT(cudaDeviceEnablePeerAccess(a.device, 0) == cudaErrorPeerAccessAlreadyEnabled);
	cudaGetLastError();
	add<<<COUNT / 256, 256, 0, b.stream>>>(a.data, b.data, 1);
	add<<<COUNT / 256, 256, 0, b.stream>>>(b.data, a.data, 1);
	CHECK(cudaStreamSynchronize(b.stream));
	auto got_a = read(a.data), got_b = read(b.data);
	for (int i = 0; i < COUNT; i++)
		EXPECT(got_b[i] == in[i] + 1 && got_a[i] == in[i] + 2);
	/* Memory made while access is on is reachable too. */
	int *more;
	CHECK(cudaSetDevice(a.device));
	CHECK(cudaMalloc(&more, COUNT * sizeof(int)));
	CHECK(cudaSetDevice(b.device));
	add<<<COUNT / 256, 256, 0, b.stream>>>(b.data, more, 10);
	CHECK(cudaStreamSynchronize(b.stream));
	EXPECT(read(more)[77] == in[77] + 11);
	CHECK(cudaFree(more));
	CHECK(cudaDeviceDisablePeerAccess(a.device));
	EXPECT(cudaDeviceDisablePeerAccess(a.device) == cudaErrorPeerAccessNotEnabled);
	cudaGetLastError();
	report("kernels on the other's memory", got_a);
}

/* Managed memory and pinned memory are everybody's. */
static void shared_memory(const struct side &a, const struct side &b)
{
	int *managed, *pinned;
	CHECK(cudaMallocManaged(&managed, COUNT * sizeof(int)));
	CHECK(cudaHostAlloc(&pinned, COUNT * sizeof(int), cudaHostAllocPortable));
	for (int i = 0; i < COUNT; i++)
		managed[i] = i;
	for (const auto *s : {&a, &b}) {
		CHECK(cudaSetDevice(s->device));
		add<<<COUNT / 256, 256, 0, s->stream>>>(managed, managed, 1);
		CHECK(cudaMemcpyAsync(
		    pinned, managed, COUNT * sizeof(int), cudaMemcpyDefault, s->stream));
		CHECK(cudaStreamSynchronize(s->stream));
		EXPECT(pinned[5] == managed[5]);
	}
	EXPECT(managed[1000] == 1002);
	CHECK(cudaFree(managed));
	CHECK(cudaFreeHost(pinned));
	printf("managed and pinned memory on both\n");
}

int main()
{
	struct side a = side_new(0), b = side_new(1);
	attributes(a, b);
	copies(a, b);
	copies(b, a);
	order(a, b);
	access(a, b);
	shared_memory(a, b);
	return 0;
}
