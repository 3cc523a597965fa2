/*
 * A five-point stencil in two dimensions: two streams hand halves of the plane to each other by
 * events, pinned host memory, pitched device memory. Equal to the host bit for bit.
 */
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

enum { WIDTH = 500, HEIGHT = 300, STEPS = 20 };

__global__ void step(const char *in, char *out, size_t pitch, int first, int last)
{
	int x = blockIdx.x * blockDim.x + threadIdx.x;
	int y = first + blockIdx.y * blockDim.y + threadIdx.y;

	if (x >= WIDTH || y >= last)
		return;
	const float *row = (const float *)(in + y * pitch);
	float *to = (float *)(out + y * pitch);
	if (x == 0 || y == 0 || x == WIDTH - 1 || y == HEIGHT - 1) {
		to[x] = row[x];
		return;
	}
	const float *up = (const float *)(in + (y - 1) * pitch);
	const float *down = (const float *)(in + (y + 1) * pitch);
	to[x] = ((row[x - 1] + row[x + 1]) + (up[x] + down[x])) * 0.25f;
}

static void step_on_host(const std::vector<float> &in, std::vector<float> &out)
{
	for (int y = 0; y < HEIGHT; y++) {
		for (int x = 0; x < WIDTH; x++) {
			size_t i = (size_t)y * WIDTH + x;
			bool edge = x == 0 || y == 0 || x == WIDTH - 1 || y == HEIGHT - 1;
			out[i] = edge ? in[i]
				      : ((in[i - 1] + in[i + 1]) + (in[i - WIDTH] + in[i + WIDTH])) * 0.25f;
		}
	}
}

int main()
{
	float *host;
	char *plane[2];
	size_t pitch;
	cudaStream_t streams[2];
	cudaEvent_t done[2], begin, end;
	std::vector<float> a(WIDTH * HEIGHT), b(WIDTH * HEIGHT);

	CHECK(cudaMallocHost(&host, WIDTH * HEIGHT * sizeof(float)));
	for (int i = 0; i < WIDTH * HEIGHT; i++)
		a[i] = host[i] = (float)(i * 7919 % 1000);
	for (int i = 0; i < 2; i++) {
		CHECK(cudaMallocPitch(&plane[i], &pitch, WIDTH * sizeof(float), HEIGHT));
		CHECK(cudaStreamCreateWithFlags(&streams[i], cudaStreamNonBlocking));
		CHECK(cudaEventCreateWithFlags(&done[i], cudaEventDisableTiming));
	}
	CHECK(cudaEventCreate(&begin));
	CHECK(cudaEventCreate(&end));
	CHECK(cudaMemcpy2DAsync(plane[0], pitch, host, WIDTH * sizeof(float), WIDTH * sizeof(float), HEIGHT,
	    cudaMemcpyHostToDevice, streams[0]));
	CHECK(cudaEventRecord(begin, streams[0]));
	CHECK(cudaEventRecord(done[0], streams[0]));
	CHECK(cudaStreamWaitEvent(streams[1], done[0], 0));
	dim3 threads(32, 8), blocks((WIDTH + 31) / 32, (HEIGHT / 2 + 7) / 8);
	for (int i = 0; i < STEPS; i++) {
		for (int half = 0; half < 2; half++) {
			step<<<blocks, threads, 0, streams[half]>>>(plane[i % 2], plane[1 - i % 2], pitch,
			    half * HEIGHT / 2, (half + 1) * HEIGHT / 2);
			CHECK(cudaGetLastError());
			CHECK(cudaEventRecord(done[half], streams[half]));
		}
		/* Each half reads the other's border in the next step. */
		CHECK(cudaStreamWaitEvent(streams[0], done[1], 0));
		CHECK(cudaStreamWaitEvent(streams[1], done[0], 0));
	}
	CHECK(cudaMemcpy2DAsync(host, WIDTH * sizeof(float), plane[STEPS % 2], pitch, WIDTH * sizeof(float),
	    HEIGHT, cudaMemcpyDeviceToHost, streams[0]));
	CHECK(cudaEventRecord(end, streams[0]));
	CHECK(cudaEventSynchronize(end));
	float milliseconds;
	CHECK(cudaEventElapsedTime(&milliseconds, begin, end));
	if (!(milliseconds > 0)) {
		fprintf(stderr, "the work took %g ms by its events\n", milliseconds);
		return 1;
	}
	for (int i = 0; i < STEPS; i++) {
		step_on_host(a, b);
		a.swap(b);
	}
	for (int i = 0; i < WIDTH * HEIGHT; i++) {
		if (host[i] != a[i]) {
			fprintf(stderr, "(%d, %d) is %g, not %g\n", i % WIDTH, i / WIDTH, host[i], a[i]);
			return 1;
		}
	}
	for (int i = 0; i < 2; i++) {
		CHECK(cudaFree(plane[i]));
		CHECK(cudaStreamDestroy(streams[i]));
		CHECK(cudaEventDestroy(done[i]));
	}
	CHECK(cudaFreeHost(host));
	printf("stencil: %d steps on %d x %d are right\n", STEPS, WIDTH, HEIGHT);
	return 0;
}
