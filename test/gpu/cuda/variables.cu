// timeout: 120
/* CUDA's environment variables, each in a child process that has it: what a program can see of them
 * through the runtime. */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static __global__ void spin_then_store(int *data, int value)
{
	spin_for(20000000);
	*data = value;
}

static __global__ void store(int *data, int value)
{
	*data = value;
}

static void say(const char *what, cudaError_t error)
{
	printf("  %-36s %s\n", what, cudaGetErrorName(error));
}

/* Under CUDA_LAUNCH_BLOCKING=1: each launch has ended when it returns, and the error is its own. */
static int blocking(void)
{
	device_array<int> data(1);
	cudaStream_t stream;
	CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
	spin_then_store<<<1, 1, 0, stream>>>(data.data, 5);
	say("the launch", cudaGetLastError());
	say("the stream after it", cudaStreamQuery(stream));
	store<<<1, 1>>>((int *)(uintptr_t)0x700000000000, 1);
	cudaError_t first = cudaGetLastError();
	say("a wild store's launch", first);
	say("synchronise after it", cudaDeviceSynchronize());
	return first != cudaErrorIllegalAddress;
}

/* Whether there is code to run, and whether it runs. */
static int code(void)
{
	int *data = nullptr, got = 0;
	cudaError_t malloc = cudaMalloc(&data, sizeof(*data));
	say("an allocation", malloc);
	if (malloc != cudaSuccess)
		return 0;
	store<<<1, 1>>>(data, 9);
	cudaError_t launch = cudaGetLastError();
	say("the launch", launch);
	if (launch == cudaSuccess) {
		CHECK(cudaMemcpy(&got, data, sizeof(got), cudaMemcpyDeviceToHost));
		EXPECT(got == 9);
	}
	return 0;
}

/* Work in many streams is right, whatever queues it takes. */
static int queues(void)
{
	device_array<int> data(32);
	cudaStream_t streams[32];
	for (int i = 0; i < 32; i++) {
		CHECK(cudaStreamCreateWithFlags(&streams[i], cudaStreamNonBlocking));
		store<<<1, 1, 0, streams[i]>>>(data.data + i, i + 1);
	}
	std::vector<int> got = data.read();
	for (int i = 0; i < 32; i++)
		EXPECT(got[i] == i + 1);
	return 0;
}

static const struct {
	const char *name, *value, *kind;
	int (*run)(void);
} children[] = {
    {"CUDA_LAUNCH_BLOCKING", "1", "blocking", blocking},
    {"CUDA_DEVICE_MAX_CONNECTIONS", "1", "queues", queues},
    {"CUDA_DEVICE_MAX_COPY_CONNECTIONS", "1", "queues", queues},
    {"CUDA_SCALE_LAUNCH_QUEUES", "0.25x", "queues", queues},
    {"CUDA_MODULE_LOADING", "EAGER", "code", code},
    {"CUDA_FORCE_PTX_JIT", "1", "code", code},
    {"CUDA_FORCE_JIT", "1", "code", code},
    {"CUDA_DISABLE_PTX_JIT", "1", "code", code},
    {"CUDA_DISABLE_JIT", "1", "code", code},
    {"CUDA_CACHE_DISABLE", "1", "code", code},
};

int main(int count, char **arguments)
{
	for (auto &child : children)
		if (count > 1 && !strcmp(arguments[1], child.kind))
			return child.run();
	for (auto &child : children) {
		int status;
		printf("%s=%s\n", child.name, child.value);
		fflush(stdout);
		pid_t pid = fork();
		EXPECT(pid >= 0);
		if (pid == 0) {
			setenv(child.name, child.value, 1);
			execl("/proc/self/exe", arguments[0], child.kind, (char *)nullptr);
			_exit(127);
		}
		EXPECT(waitpid(pid, &status, 0) == pid);
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	return 0;
}
