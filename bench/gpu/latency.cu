/*
 * Latency and bandwidth of single CUDA runtime calls. A plain program that knows nothing of Rosen.
 * It takes orders on standard input, so that one process natively and one through Rosen can take
 * turns, row by row, in bench/gpu/run:
 *
 *	rows		answers one line "unit<TAB>name" for each row, then an empty line
 *	measure NAME	answers "value", the median of several blocks of calls of that row
 *
 * With the argument "first" it answers how many milliseconds the first use of CUDA took, and ends.
 */
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
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

#define BLOCKS	      5
#define LARGEST	      ((size_t)1 << 28)
#define MOST_THREADS  16
#define GRAPH_KERNELS 20
#define GIGA_BY_US    1e-3 /* bytes a microsecond, in GB/s */

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

/* Microseconds a call of work takes in the caller: the median over blocks of `calls` calls. */
static double per_call(int calls, const std::function<void(int)> &work)
{
	std::vector<double> blocks;

	work(calls / 10 + 1);
	CHECK(cudaDeviceSynchronize());
	for (int block = 0; block < BLOCKS; block++) {
		double start = now_us();
		work(calls);
		blocks.push_back((now_us() - start) / calls);
		CHECK(cudaDeviceSynchronize());
	}
	std::sort(blocks.begin(), blocks.end());
	return blocks[BLOCKS / 2];
}

/* bytes 0: the row is a time. */
struct row {
	std::string name;
	size_t bytes;
	int calls;
	std::function<void(int)> work;
};

static float *d, *e, *pinned, *pageable;
static cudaStream_t stream, streams[MOST_THREADS];
static cudaEvent_t event;
static std::vector<row> rows;

/* The calls of a block run in one loop around the work itself, so that nothing else is in the
 * figure. */
template <class Work> static void add(const std::string &name, size_t bytes, int calls, Work work)
{
	rows.push_back({name, bytes, calls, [work](int n) {
				for (int i = 0; i < n; i++)
					work();
			}});
}

static void add_calls()
{
	add("launch, no arguments", 0, 500, [] { nothing<<<1, 1, 0, stream>>>(); });
	add("launch, four arguments", 0, 500, [] { saxpy<<<1, 32, 0, stream>>>(d, e, 1.0f, 1); });
	add("launch and synchronise", 0, 300, [] {
		nothing<<<1, 1, 0, stream>>>();
		CHECK(cudaStreamSynchronize(stream));
	});
	add("stream query", 0, 1000, [] { cudaStreamQuery(stream); });
	add("event record", 0, 1000, [] { CHECK(cudaEventRecord(event, stream)); });
	add("event query", 0, 1000, [] { cudaEventQuery(event); });
	add("get device and attribute", 0, 1000, [] {
		int device, value;
		CHECK(cudaGetDevice(&device));
		CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, device));
	});
	add("memory info", 0, 100, [] {
		size_t free_bytes, total;
		CHECK(cudaMemGetInfo(&free_bytes, &total));
	});
	add("malloc and free, 1 MiB", 0, 100, [] {
		void *p;
		CHECK(cudaMalloc(&p, 1 << 20));
		CHECK(cudaFree(p));
	});
	add("mallocAsync and freeAsync, 1 MiB", 0, 200, [] {
		void *p;
		CHECK(cudaMallocAsync(&p, 1 << 20, stream));
		CHECK(cudaFreeAsync(p, stream));
	});
	add("host to device, 4 B, pageable", 0, 300,
	    [] { CHECK(cudaMemcpy(d, pageable, 4, cudaMemcpyHostToDevice)); });
	add("device to host, 4 B, pageable", 0, 300,
	    [] { CHECK(cudaMemcpy(pageable, d, 4, cudaMemcpyDeviceToHost)); });
	add("host to device, 4 KiB, pinned, async", 0, 300,
	    [] { CHECK(cudaMemcpyAsync(d, pinned, 4096, cudaMemcpyHostToDevice, stream)); });
	add("memset, 4 KiB, async", 0, 300, [] { CHECK(cudaMemsetAsync(d, 0, 4096, stream)); });
}

static void set_arguments(cudaGraphExec_t whole, cudaGraphNode_t node, int turn)
{
	float a = (float)turn;
	int n = 1;
	void *arguments[] = {&d, &e, &a, &n};
	cudaKernelNodeParams kernel = {};

	kernel.func = (void *)saxpy;
	kernel.gridDim = dim3(1);
	kernel.blockDim = dim3(32);
	kernel.kernelParams = arguments;
	CHECK(cudaGraphExecKernelNodeSetParams(whole, node, &kernel));
}

/* How fast launches run when nobody waits for each: `threads` threads, each with a stream of its
 * own. The figure is the time of all, to the end of the last kernel, for each launch. */
static void add_rate(const char *name, unsigned threads, int launches, bool wait)
{
	rows.push_back({name, 0, (int)threads * launches, [=](int n) {
				std::vector<std::thread> all;
				std::atomic<unsigned> ready{0};

				for (unsigned t = 0; t < threads; t++)
					all.emplace_back([=, &ready] {
						ready++;
						while (ready < threads)
							std::this_thread::yield();
						cudaStream_t own = streams[t];
						for (int i = 0; i < n / (int)threads; i++) {
							saxpy<<<1, 32, 0, own>>>(d, e, 1.0f, 1);
							if (wait)
								CHECK(cudaStreamSynchronize(own));
						}
						CHECK(cudaStreamSynchronize(own));
					});
				for (std::thread &thread : all)
					thread.join();
			}});
}

static void add_rates()
{
	add_rate("launches to their end, 1 thread", 1, 4000, false);
	add_rate("launches to their end, 4 threads", 4, 2000, false);
	add_rate("launches to their end, 16 threads", 16, 1000, false);
	add_rate("launch and synchronise, 4 threads", 4, 300, true);
	add_rate("launch and synchronise, 16 threads", 16, 100, true);
}

/* What a run of launches would cost as a graph: launched as it is, and with every kernel's
 * arguments set. */
static void add_graphs()
{
	static cudaGraph_t graph;
	static cudaGraphExec_t whole;
	static std::vector<cudaGraphNode_t> nodes(GRAPH_KERNELS);
	size_t count = GRAPH_KERNELS;

	CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
	for (int i = 0; i < GRAPH_KERNELS; i++)
		saxpy<<<1, 32, 0, stream>>>(d, e, 1.0f, 1);
	CHECK(cudaStreamEndCapture(stream, &graph));
	CHECK(cudaGraphGetNodes(graph, nodes.data(), &count));
	CHECK(cudaGraphInstantiate(&whole, graph, 0));
	rows.push_back({"kernel of a graph of 20, to its end", 0, 200 * GRAPH_KERNELS, [](int n) {
				for (int i = 0; i < n / GRAPH_KERNELS; i++)
					CHECK(cudaGraphLaunch(whole, stream));
				CHECK(cudaStreamSynchronize(stream));
			}});
	rows.push_back({"the same, with its arguments set", 0, 200 * GRAPH_KERNELS, [](int n) {
				for (int i = 0; i < n / GRAPH_KERNELS; i++) {
					for (cudaGraphNode_t node : nodes)
						set_arguments(whole, node, i);
					CHECK(cudaGraphLaunch(whole, stream));
				}
				CHECK(cudaStreamSynchronize(stream));
			}});
}

static void add_copy(
    const char *name, size_t bytes, void *to, const void *from, cudaMemcpyKind kind, bool async)
{
	std::string whole = name;

	whole += bytes >> 20 ? ", " + std::to_string(bytes >> 20) + " MiB"
			     : ", " + std::to_string(bytes >> 10) + " KiB";
	add(whole, bytes, bytes > (1 << 24) ? 2 : 20, [=] {
		if (async) {
			CHECK(cudaMemcpyAsync(to, from, bytes, kind, stream));
			CHECK(cudaStreamSynchronize(stream));
		} else {
			CHECK(cudaMemcpy(to, from, bytes, kind));
		}
	});
}

static void add_copies()
{
	for (size_t bytes : {(size_t)1 << 16, (size_t)1 << 20, (size_t)1 << 24, LARGEST}) {
		add_copy("H2D pageable", bytes, d, pageable, cudaMemcpyHostToDevice, false);
		add_copy("D2H pageable", bytes, pageable, d, cudaMemcpyDeviceToHost, false);
		add_copy("H2D pinned", bytes, d, pinned, cudaMemcpyHostToDevice, true);
		add_copy("D2H pinned", bytes, pinned, d, cudaMemcpyDeviceToHost, true);
	}
}

static void prepare()
{
	CHECK(cudaMalloc(&d, LARGEST));
	CHECK(cudaMalloc(&e, LARGEST));
	CHECK(cudaMallocHost(&pinned, LARGEST));
	pageable = (float *)malloc(LARGEST);
	for (size_t i = 0; i < LARGEST / sizeof(float); i++)
		pageable[i] = pinned[i] = (float)i;
	CHECK(cudaStreamCreate(&stream));
	for (cudaStream_t &own : streams)
		CHECK(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking));
	CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
	add_calls();
	add_rates();
	add_graphs();
	add_copies();
}

static void list()
{
	for (const row &row : rows)
		printf("%s\t%s\n", row.bytes ? "GB/s" : "us", row.name.c_str());
	printf("\n");
}

static void measure(const char *name)
{
	for (const row &row : rows) {
		if (row.name != name)
			continue;
		double us = per_call(row.calls, row.work);
		printf("%.5f\n", row.bytes ? (double)row.bytes / us * GIGA_BY_US : us);
		return;
	}
	fprintf(stderr, "latency: there is no row \"%s\"\n", name);
	exit(1);
}

int main(int argc, char **argv)
{
	char order[256];
	double start = now_us();

	CHECK(cudaFree(0));
	if (argc == 2 && !strcmp(argv[1], "first")) {
		printf("%.3f\n", (now_us() - start) / 1e3);
		return 0;
	}
	prepare();
	while (fgets(order, sizeof(order), stdin)) {
		order[strcspn(order, "\n")] = 0;
		if (!strcmp(order, "rows"))
			list();
		else if (!strncmp(order, "measure ", 8))
			measure(order + 8);
		else
			return 1;
		fflush(stdout);
	}
	return 0;
}
