// timeout: 60
/* Host memory of every kind: registered in place, mapped, portable, write-combined; unaligned
 * pieces. */
#include "check.h"

enum { COUNT = 1 << 18 };

static __global__ void add_one(int *data, int count)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < count)
		data[i] += 1;
}

static void expect_kind(const void *pointer, cudaMemoryType kind)
{
	cudaPointerAttributes attributes;
	CHECK(cudaPointerGetAttributes(&attributes, pointer));
	EXPECT(attributes.type == kind);
}

static void registered(size_t offset)
{
	std::vector<char> space(COUNT * sizeof(int) + 8192, 'x');
	int *host = (int *)(((uintptr_t)space.data() + 64) / 64 * 64 + 64 + offset), *mapped;
	for (int i = 0; i < COUNT; i++)
		host[i] = i;
	CHECK(cudaHostRegister(host, COUNT * sizeof(int), cudaHostRegisterMapped));
	EXPECT(cudaHostRegister(host, 64, 0) == cudaErrorHostMemoryAlreadyRegistered);
	expect_kind(host, cudaMemoryTypeHost);
	CHECK(cudaHostGetDevicePointer(&mapped, host, 0));
	add_one<<<COUNT / 256, 256>>>(mapped, COUNT);
	CHECK(cudaDeviceSynchronize());
	for (int i = 0; i < COUNT; i++)
		EXPECT(host[i] == i + 1);
	EXPECT(((char *)host)[-1] == 'x' && ((char *)(host + COUNT))[0] == 'x');
	host[17] = 4000;
	add_one<<<1, 32>>>(mapped, 32);
	CHECK(cudaDeviceSynchronize());
	EXPECT(host[17] == 4001 && host[31] == 33);
	CHECK(cudaHostUnregister(host));
	EXPECT(cudaHostUnregister(host) == cudaErrorHostMemoryNotRegistered);
	expect_kind(host, cudaMemoryTypeUnregistered);
	EXPECT(host[100] == 101);
	report("registered", std::vector<int>(host, host + COUNT));
}

static void allocated(unsigned flags)
{
	int *host, *mapped;
	CHECK(cudaHostAlloc(&host, COUNT * sizeof(int), flags));
	for (int i = 0; i < COUNT; i++)
		host[i] = 2 * i;
	expect_kind(host, cudaMemoryTypeHost);
	expect_kind(host + COUNT - 1, cudaMemoryTypeHost);
	CHECK(cudaHostGetDevicePointer(&mapped, host, 0));
	add_one<<<COUNT / 256, 256>>>(mapped, COUNT);
	CHECK(cudaDeviceSynchronize());
	for (int i = 0; i < COUNT; i++)
		EXPECT(host[i] == 2 * i + 1);
	unsigned got;
	CHECK(cudaHostGetFlags(&got, host));
	EXPECT((got & flags) == flags);
	printf("flags asked %u, reported %u\n", flags, got);
	CHECK(cudaFreeHost(host));
}

/* Copies of odd lengths at odd places, pinned to device and pageable to device. */
static void odd_pieces()
{
	char *pinned;
	std::vector<char> pageable(100000);
	device_array<char> device(100000);
	CHECK(cudaMallocHost(&pinned, 100000));
	for (int i = 0; i < 100000; i++)
		pinned[i] = pageable[i] = (char)(i * 31);
	CHECK(cudaDeviceSynchronize());
	for (int length = 1; length < 60000; length = length * 3 + 1) {
		CHECK(cudaMemcpyAsync(device.data + length % 7, pinned + length % 13, length,
		    cudaMemcpyHostToDevice, 0));
		CHECK(cudaMemcpy(device.data + 30001, pageable.data() + length % 11, length / 2,
		    cudaMemcpyHostToDevice));
	}
	report("odd pieces", device.read());
	CHECK(cudaFreeHost(pinned));
}

int main()
{
	registered(0);
	registered(64);
	registered(260);
	allocated(cudaHostAllocMapped);
	allocated(cudaHostAllocPortable | cudaHostAllocMapped);
	allocated(cudaHostAllocWriteCombined | cudaHostAllocMapped);
	odd_pieces();
	return 0;
}
