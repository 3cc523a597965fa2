/*
 * A monitoring program, alone and beside CUDA, in one process and in forked ones. The argument says
 * which; it prints what it finds wrong and exits with 1, or prints "ok".
 */
#include <cuda.h>
#include <nvml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)8 << 20)

static nvmlDevice_t device;

static void check_at(int line, const char *what, long got, long wanted)
{
	if (got == wanted)
		return;
	printf("%s:%d: %s is %ld, wanted %ld\n", __FILE__, line, what, got, wanted);
	fflush(stdout);
	_exit(1);
}

#define CHECK_EQ(got, wanted) check_at(__LINE__, #got, (long)(got), (long)(wanted))

static void find_device(void)
{
	unsigned count = 0;

	CHECK_EQ(nvmlInit_v2(), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetCount_v2(&count), NVML_SUCCESS);
	CHECK_EQ(count > 0, 1);
	CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(0, &device), NVML_SUCCESS);
}

/* Asks once what lies here and once what only the worker knows. */
static void ask(void)
{
	char name[96];
	nvmlUtilization_t rates;

	CHECK_EQ(nvmlDeviceGetName(device, name, sizeof(name)), NVML_SUCCESS);
	CHECK_EQ(*name != '\0', 1);
	nvmlReturn_t r = nvmlDeviceGetUtilizationRates(device, &rates);
	CHECK_EQ(r == NVML_SUCCESS || r == NVML_ERROR_NOT_SUPPORTED, 1);
}

static unsigned n_processes(nvmlProcessInfo_t processes[4])
{
	unsigned count = 4;

	CHECK_EQ(nvmlDeviceGetComputeRunningProcesses_v3(device, &count, processes), NVML_SUCCESS);
	return count;
}

static void in_child(void (*body)(void))
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		body();
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

static void ask_anew(void)
{
	find_device();
	ask();
}

static void ask_and_fork_again(void)
{
	ask();
	in_child(ask);
}

/* A process that never calls CUDA, and its children, with and without an nvmlInit() of theirs. */
static void alone(void)
{
	nvmlProcessInfo_t processes[4];

	find_device();
	ask();
	CHECK_EQ(n_processes(processes), 0);
	in_child(ask);
	in_child(ask_anew);
	in_child(ask_and_fork_again);
	ask();
	CHECK_EQ(nvmlShutdown(), NVML_SUCCESS);
	CHECK_EQ(nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
}

/* NVML first, then CUDA, in a child whose parent had only NVML. */
static void start_cuda(void)
{
	int count = 0;

	CHECK_EQ(cuInit(0), CUDA_SUCCESS);
	CHECK_EQ(cuDeviceGetCount(&count), CUDA_SUCCESS);
	CHECK_EQ(count > 0, 1);
	ask();
}

static void cuda_later(void)
{
	find_device();
	in_child(start_cuda);
	start_cuda();
}

/* CUDA does not survive a fork(), NVML does. */
static void after_cuda(void)
{
	nvmlProcessInfo_t processes[4];
	int count;

	ask();
	CHECK_EQ(n_processes(processes), 0);
	CHECK_EQ(cuInit(0), CUDA_ERROR_NOT_INITIALIZED);
	CHECK_EQ(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
	ask_anew();
	CHECK_EQ(cuInit(0), CUDA_ERROR_NOT_INITIALIZED);
}

static void after_cuda_twice(void)
{
	after_cuda();
	in_child(after_cuda);
}

static void beside_cuda(void)
{
	nvmlProcessInfo_t processes[4];
	char uuid[96], bus[32];
	nvmlDevice_t same;
	nvmlMemory_t all;
	CUcontext context;
	CUdeviceptr memory;
	unsigned count = 0;

	CHECK_EQ(cuInit(0), CUDA_SUCCESS);
	find_device();
	CHECK_EQ(n_processes(processes), 0);
	CHECK_EQ(cuDeviceGetPCIBusId(bus, sizeof(bus), 0), CUDA_SUCCESS);
	CHECK_EQ(nvmlDeviceGetHandleByPciBusId_v2(bus, &device), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetUUID(device, uuid, sizeof(uuid)), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetHandleByUUID(uuid, &same), NVML_SUCCESS);
	CHECK_EQ(same == device, 1);
	CHECK_EQ(cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
	CHECK_EQ(cuCtxSetCurrent(context), CUDA_SUCCESS);
	CHECK_EQ(cuMemAlloc(&memory, SIZE), CUDA_SUCCESS);
	CHECK_EQ(nvmlDeviceGetComputeRunningProcesses_v3(device, &count, NULL),
	    NVML_ERROR_INSUFFICIENT_SIZE);
	CHECK_EQ(n_processes(processes), 1);
	CHECK_EQ(processes[0].pid, getpid());
	CHECK_EQ(processes[0].usedGpuMemory, SIZE);
	CHECK_EQ(nvmlDeviceGetMemoryInfo(device, &all), NVML_SUCCESS);
	CHECK_EQ(all.used >= SIZE && all.used + all.free <= all.total, 1);
	in_child(after_cuda);
	in_child(after_cuda_twice);
	CHECK_EQ(cuMemFree(memory), CUDA_SUCCESS);
	CHECK_EQ(n_processes(processes), 1);
	CHECK_EQ(processes[0].usedGpuMemory, 0);
	CHECK_EQ(cuDevicePrimaryCtxRelease(0), CUDA_SUCCESS);
	CHECK_EQ(n_processes(processes), 0);
}

/* With CUDA_VISIBLE_DEVICES= in the environment. */
static void hidden(void)
{
	nvmlProcessInfo_t processes[4];

	CHECK_EQ(cuInit(0), CUDA_ERROR_NO_DEVICE);
	ask_anew();
	CHECK_EQ(n_processes(processes), 0);
}

/* Without a server. */
static void no_server(void)
{
	unsigned count;

	CHECK_EQ(nvmlInit_v2(), NVML_ERROR_DRIVER_NOT_LOADED);
	CHECK_EQ(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
	    {"alone", alone},
	    {"cuda-later", cuda_later},
	    {"beside-cuda", beside_cuda},
	    {"hidden", hidden},
	    {"no-server", no_server},
	};

	for (size_t i = 0; argc == 2 && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(cases[i].name, argv[1]) != 0)
			continue;
		cases[i].run();
		puts("ok");
		return 0;
	}
	fprintf(stderr, "usage: nvml alone|cuda-later|beside-cuda|hidden|no-server\n");
	return 2;
}
