/*
 * Latency and bandwidth of single CUDA runtime calls: one line "name<TAB>unit<TAB>value" per row, the
 * median of several blocks of calls. A plain program that knows nothing of Rosen; bench/gpu/run runs it
 * natively and through Rosen in turn and compares.
 */
#include <algorithm>
#include <chrono>
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

__global__ void nothing()
{
}

__global__ void saxpy(float *y, const float *x, float a, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < n)
		y[i] += a * x[i];
}

static double now_us()
{
	using namespace std::chrono;
	return duration<double, std::micro>(steady_clock::now().time_since_epoch()).count();
}

static double median(std::vector<double> values)
{
	std::sort(values.begin(), values.end());
	return values[values.size() / 2];
}

/* Microseconds a call of work takes in the caller: the median over blocks of `calls` calls. */
template <class Work> static double per_call(int calls, Work work)
{
	std::vector<double> blocks;

	for (int i = 0; i < calls / 10 + 1; i++)
		work();
	CHECK(cudaDeviceSynchronize());
	for (int block = 0; block < 9; block++) {
		double start = now_us();
		for (int i = 0; i < calls; i++)
			work();
		blocks.push_back((now_us() - start) / calls);
		CHECK(cudaDeviceSynchronize());
	}
	return median(blocks);
}

template <class Work> static void row(const char *name, int calls, Work work)
{
	printf("%s\tus\t%.4f\n", name, per_call(calls, work));
	fflush(stdout);
}

template <class Work> static void copy_row(const char *name, size_t size, Work work)
{
	double us = per_call(size > (1 << 24) ? 3 : 20, work);
	printf("%s %zu KiB\tGB/s\t%.3f\n", name, size >> 10, (double)size / us / 1e3);
	fflush(stdout);
}

int main()
{
	const size_t size = 1 << 28;
	float *d, *e, *pinned, *pageable = (float *)malloc(size);
	cudaStream_t stream;
	cudaEvent_t event;
	double start = now_us();

	CHECK(cudaFree(0));
	printf("first use\tms\t%.2f\n", (now_us() - start) / 1e3);
	CHECK(cudaMalloc(&d, size));
	CHECK(cudaMalloc(&e, size));
	CHECK(cudaMallocHost(&pinned, size));
	for (size_t i = 0; i < size / sizeof(float); i++)
		pageable[i] = pinned[i] = (float)i;
	CHECK(cudaStreamCreate(&stream));
	CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));

	row("launch, no arguments", 500, [&] { nothing<<<1, 1, 0, stream>>>(); });
	row("launch, four arguments", 500, [&] { saxpy<<<1, 32, 0, stream>>>(d, e, 1.0f, 1); });
	row("launch and synchronise", 300, [&] {
		nothing<<<1, 1, 0, stream>>>();
		CHECK(cudaStreamSynchronize(stream));
	});
	row("stream query", 1000, [&] { cudaStreamQuery(stream); });
	row("event record", 1000, [&] { CHECK(cudaEventRecord(event, stream)); });
	row("event query", 1000, [&] { cudaEventQuery(event); });
	row("get device and attribute", 1000, [&] {
		int device, value;
		CHECK(cudaGetDevice(&device));
		CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, device));
	});
	row("memory info", 100, [&] {
		size_t free_bytes, total;
		CHECK(cudaMemGetInfo(&free_bytes, &total));
	});
	row("malloc and free, 1 MiB", 100, [&] {
		void *p;
		CHECK(cudaMalloc(&p, 1 << 20));
		CHECK(cudaFree(p));
	});
	row("mallocAsync and freeAsync, 1 MiB", 200, [&] {
		void *p;
		CHECK(cudaMallocAsync(&p, 1 << 20, stream));
		CHECK(cudaFreeAsync(p, stream));
	});
	row("host to device, 4 B, pageable", 300,
	    [&] { CHECK(cudaMemcpy(d, pageable, 4, cudaMemcpyHostToDevice)); });
	row("device to host, 4 B, pageable", 300,
	    [&] { CHECK(cudaMemcpy(pageable, d, 4, cudaMemcpyDeviceToHost)); });
	row("host to device, 4 KiB, pinned, async", 300,
	    [&] { CHECK(cudaMemcpyAsync(d, pinned, 4096, cudaMemcpyHostToDevice, stream)); });
	row("memset, 4 KiB, async", 300, [&] { CHECK(cudaMemsetAsync(d, 0, 4096, stream)); });
	for (size_t bytes : {(size_t)1 << 16, (size_t)1 << 20, (size_t)1 << 24, size}) {
		copy_row("H2D pageable", bytes,
		    [&] { CHECK(cudaMemcpy(d, pageable, bytes, cudaMemcpyHostToDevice)); });
		copy_row("D2H pageable", bytes,
		    [&] { CHECK(cudaMemcpy(pageable, d, bytes, cudaMemcpyDeviceToHost)); });
		copy_row("H2D pinned", bytes, [&] {
			CHECK(cudaMemcpyAsync(d, pinned, bytes, cudaMemcpyHostToDevice, stream));
			CHECK(cudaStreamSynchronize(stream));
		});
		copy_row("D2H pinned", bytes, [&] {
			CHECK(cudaMemcpyAsync(pinned, d, bytes, cudaMemcpyDeviceToHost, stream));
			CHECK(cudaStreamSynchronize(stream));
		});
	}
	return 0;
}
