// timeout: 60
/* Runtime graphs: a captured fork and join, nodes made by hand, new parameters, update, child,
 * clone. */
#include "check.h"

enum { COUNT = 4096 };

static __global__ void add(int *data, int amount)
{
	data[blockIdx.x * blockDim.x + threadIdx.x] += amount;
}

static __global__ void sum_of(int *out, const int *a, const int *b)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	out[i] = a[i] + 2 * b[i];
}

static void expect_all(const device_array<int> &data, int value)
{
	EXPECT(data.read() == std::vector<int>(COUNT, value));
}

static cudaGraph_t captured(
    cudaStream_t main, cudaStream_t side, int *a, int *b, int *out, int amount)
{
	cudaGraph_t graph;
	cudaEvent_t fork, join;
	CHECK(cudaEventCreate(&fork));
	CHECK(cudaEventCreate(&join));
	CHECK(cudaStreamBeginCapture(main, cudaStreamCaptureModeThreadLocal));
	CHECK(cudaEventRecord(fork, main));
	CHECK(cudaStreamWaitEvent(side, fork, 0));
	add<<<COUNT / 256, 256, 0, main>>>(a, amount);
	add<<<COUNT / 256, 256, 0, side>>>(b, 10 * amount);
	CHECK(cudaEventRecord(join, side));
	CHECK(cudaStreamWaitEvent(main, join, 0));
	sum_of<<<COUNT / 256, 256, 0, main>>>(out, a, b);
	cudaStreamCaptureStatus status;
	CHECK(cudaStreamIsCapturing(side, &status));
	EXPECT(status == cudaStreamCaptureStatusActive);
	CHECK(cudaStreamEndCapture(main, &graph));
	CHECK(cudaEventDestroy(fork));
	CHECK(cudaEventDestroy(join));
	return graph;
}

static void capture_and_update()
{
	cudaStream_t main, side;
	CHECK(cudaStreamCreateWithFlags(&main, cudaStreamNonBlocking));
	CHECK(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking));
	device_array<int> a(COUNT), b(COUNT), out(COUNT);
	CHECK(cudaDeviceSynchronize());
	cudaGraph_t graph = captured(main, side, a.data, b.data, out.data, 1), other, clone;
	cudaGraphExec_t exec;
	cudaGraphExecUpdateResultInfo update;
	size_t nodes;
	CHECK(cudaGraphGetNodes(graph, nullptr, &nodes));
	EXPECT(nodes == 3);
	CHECK(cudaGraphInstantiate(&exec, graph, 0));
	expect_all(a, 0);
	for (int i = 0; i < 10; i++)
		CHECK(cudaGraphLaunch(exec, main));
	CHECK(cudaStreamSynchronize(main));
	expect_all(out, 10 + 2 * 100);
	other = captured(main, side, a.data, b.data, out.data, 5);
	CHECK(cudaGraphExecUpdate(exec, other, &update));
	EXPECT(update.result == cudaGraphExecUpdateSuccess);
	CHECK(cudaGraphLaunch(exec, main));
	CHECK(cudaStreamSynchronize(main));
	expect_all(out, 15 + 2 * 150);
	CHECK(cudaGraphClone(&clone, other));
	CHECK(cudaGraphGetNodes(clone, nullptr, &nodes));
	EXPECT(nodes == 3);
	report("captured", out.read());
	CHECK(cudaGraphDestroy(clone));
	CHECK(cudaGraphDestroy(other));
	CHECK(cudaGraphExecDestroy(exec));
	CHECK(cudaGraphDestroy(graph));
	CHECK(cudaStreamDestroy(side));
	CHECK(cudaStreamDestroy(main));
}

static void by_hand()
{
	device_array<int> data(COUNT);
	std::vector<int> host(COUNT);
	cudaGraph_t graph, parent;
	cudaGraphNode_t set, kernel, copy, child;
	cudaGraphExec_t exec;
	cudaMemsetParams fill = {data.data, 0, 0, sizeof(int), COUNT, 1};
	int amount = 3;
	void *arguments[] = {&data.data, &amount};
	cudaKernelNodeParams params = {};
	params.func = (void *)add;
	params.gridDim = dim3(COUNT / 256);
	params.blockDim = dim3(256);
	params.kernelParams = arguments;
	CHECK(cudaGraphCreate(&graph, 0));
	CHECK(cudaGraphAddMemsetNode(&set, graph, nullptr, 0, &fill));
	CHECK(cudaGraphAddKernelNode(&kernel, graph, &set, 1, &params));
	CHECK(cudaGraphAddMemcpyNode1D(&copy, graph, &kernel, 1, host.data(), data.data,
	    COUNT * sizeof(int), cudaMemcpyDeviceToHost));
	CHECK(cudaGraphInstantiate(&exec, graph, 0));
	CHECK(cudaGraphLaunch(exec, 0));
	CHECK(cudaDeviceSynchronize());
	EXPECT(host == std::vector<int>(COUNT, 3));
	amount = 8;
	CHECK(cudaGraphExecKernelNodeSetParams(exec, kernel, &params));
	CHECK(cudaGraphLaunch(exec, 0));
	CHECK(cudaDeviceSynchronize());
	EXPECT(host == std::vector<int>(COUNT, 8));
	CHECK(cudaGraphExecDestroy(exec));
	CHECK(cudaGraphCreate(&parent, 0));
	CHECK(cudaGraphAddChildGraphNode(&child, parent, nullptr, 0, graph));
	CHECK(cudaGraphInstantiate(&exec, parent, 0));
	CHECK(cudaGraphLaunch(exec, 0));
	CHECK(cudaDeviceSynchronize());
	EXPECT(host == std::vector<int>(COUNT, 3));
	report("by hand", host);
	CHECK(cudaGraphExecDestroy(exec));
	CHECK(cudaGraphDestroy(parent));
	CHECK(cudaGraphDestroy(graph));
}

int main()
{
	capture_and_update();
	by_hand();
	return 0;
}
