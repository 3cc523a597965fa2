// timeout: 60
/* Errors: bad launches, bad handles and bad pointers keep the context; a fault ends it, in a child
 * process. */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static __global__ void store(int *data, int value)
{
	*data = value;
}

static __global__ void stop()
{
	asm volatile("trap;");
}

static void say(const char *what, cudaError_t error)
{
	printf("%-36s %s\n", what, cudaGetErrorName(error));
}

static void recoverable()
{
	device_array<int> data(1);
	void *huge;
	store<<<1, 2048>>>(data.data, 1);
	say("too many threads", cudaPeekAtLastError());
	EXPECT(cudaGetLastError() != cudaSuccess);
	EXPECT(cudaGetLastError() == cudaSuccess);
	store<<<0, 32>>>(data.data, 1);
	say("an empty grid", cudaGetLastError());
	store<<<1, 1, 10 << 20>>>(data.data, 1);
	say("too much shared memory", cudaGetLastError());
	say("malloc of 1 PB", cudaMalloc(&huge, (size_t)1 << 50));
	say("then the last error", cudaGetLastError());
	say("free of a stack address", cudaFree(&huge));
	say("free of nothing", cudaFree(nullptr));
	cudaGetLastError();
	say("set a missing device", cudaSetDevice(1000));
	cudaGetLastError();
	say("copy of nothing", cudaMemcpy(nullptr, nullptr, 0, cudaMemcpyDefault));
	say("copy to a null address", cudaMemcpy(nullptr, data.data, 4, cudaMemcpyDeviceToDevice));
	cudaGetLastError();
	store<<<1, 1>>>(data.data, 77);
	EXPECT(data.read()[0] == 77);
	CHECK(cudaGetLastError());
}

/* The child's context is dead after the fault: every later call gives the same error. */
static int fatal(bool trap)
{
	int *wild = (int *)(uintptr_t)0x700000000000, *fresh, status = 0;
	CHECK(cudaFree(nullptr));
	if (trap)
		stop<<<1, 1>>>();
	else
		store<<<1, 1>>>(wild, 1);
	cudaError_t first = cudaDeviceSynchronize();
	say(trap ? "a trap" : "a wild store", first);
	say("  malloc after it", cudaMalloc(&fresh, 4));
	say("  synchronise after it", cudaDeviceSynchronize());
	say("  last error after it", cudaGetLastError());
	say("  and again", cudaGetLastError());
	status = first == cudaSuccess;
	fflush(stdout);
	return status;
}

static void in_child(const char *self, const char *kind)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	EXPECT(child >= 0);
	if (child == 0) {
		execl("/proc/self/exe", self, kind, (char *)nullptr);
		_exit(127);
	}
	EXPECT(waitpid(child, &status, 0) == child);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int count, char **arguments)
{
	if (count > 1)
		return fatal(!strcmp(arguments[1], "trap"));
	recoverable();
	in_child(arguments[0], "store");
	in_child(arguments[0], "trap");
	device_array<int> data(1);
	store<<<1, 1>>>(data.data, 5);
	EXPECT(data.read()[0] == 5);
	printf("the parent's context lives on\n");
	return 0;
}
