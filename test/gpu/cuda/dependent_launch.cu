// timeout: 60
/* Programmatic dependent launch: kernels that start before the one in front ends, and wait for its
 * results. */
#include "check.h"

enum { THREADS = 256, N = 1 << 16, ROUNDS = 40 };

static __global__ void step(const unsigned *in, unsigned *out)
{
	unsigned i = blockIdx.x * THREADS + threadIdx.x;
#if __CUDA_ARCH__ >= 900
	cudaTriggerProgrammaticLaunchCompletion(); /* the next may start ... */
	cudaGridDependencySynchronize();	   /* ... and waits here, as we do */
#endif
	out[i] = in[(i + 1) % N] + 1;
}

/* From one array to the other and back. */
static void launch(unsigned *a, unsigned *b, cudaStream_t stream)
{
	cudaLaunchAttribute attribute = {};
	cudaLaunchConfig_t config = {};
	attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
	attribute.val.programmaticStreamSerializationAllowed = 1;
	config.gridDim = dim3(N / THREADS);
	config.blockDim = dim3(THREADS);
	config.stream = stream;
	config.attrs = &attribute;
	config.numAttrs = 1;
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(cudaLaunchKernelEx(&config, step, (const unsigned *)a, b));
		CHECK(cudaLaunchKernelEx(&config, step, (const unsigned *)b, a));
	}
}

static void expect(const device_array<unsigned> &a, unsigned rounds)
{
	auto got = a.read();
	for (unsigned i = 0; i < N; i++)
		EXPECT(got[i] == (i + rounds) % N + rounds);
	report("after some rounds", got);
}

int main()
{
	cudaDeviceProp properties;
	CHECK(cudaGetDeviceProperties(&properties, 0));
	if (properties.major < 9) {
		printf("skipped: dependent launches need compute capability 9.0\n");
		return 0;
	}
	std::vector<unsigned> first(N);
	for (unsigned i = 0; i < N; i++)
		first[i] = i;
	device_array<unsigned> a(first), b(N);
	cudaStream_t stream;
	CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
	CHECK(cudaDeviceSynchronize());
	launch(a.data, b.data, stream);
	CHECK(cudaStreamSynchronize(stream));
	expect(a, 2 * ROUNDS);

	cudaGraph_t graph;
	cudaGraphExec_t exec;
	CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
	launch(a.data, b.data, stream);
	CHECK(cudaStreamEndCapture(stream, &graph));
	CHECK(cudaGraphInstantiate(&exec, graph, 0));
	for (int i = 0; i < 3; i++)
		CHECK(cudaGraphLaunch(exec, stream));
	CHECK(cudaStreamSynchronize(stream));
	expect(a, 8 * ROUNDS);
	CHECK(cudaGraphExecDestroy(exec));
	CHECK(cudaGraphDestroy(graph));
	return 0;
}
