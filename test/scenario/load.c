/*
 * A busy CUDA program for the scenario tests: load SECONDS [SEED [stuck]]. It says "ready" once it
 * computes, then mixes allocations, copies, launches, streams, modules and pinned memory, checking
 * every result, until its time is over. With `stuck` it instead stands in a host function for ever,
 * with more work behind it than the stream holds. Exit status 0: all right; 3: a CUDA error, named
 * on stdout; 4: a wrong result.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../conform/conform.h"

enum { N = 20000 };

static void stop_on(CUresult r, const char *what)
{
	if (r == CUDA_SUCCESS)
		return;
	printf("error %s in %s\n", conform_name(r), what);
	fflush(stdout);
	_Exit(3);
}

#define DO(call) stop_on((call), #call)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void compare(const unsigned *got, unsigned wanted)
{
	for (int i = 0; i < N; i++) {
		if (got[i] != wanted) {
			printf("wrong: element %d is %u, not %u\n", i, got[i], wanted);
			fflush(stdout);
			_Exit(4);
		}
	}
}

static void one_round(unsigned round)
{
	static unsigned pageable[N];
	unsigned *pinned, value = round;
	int n = N;
	CUmodule module;
	CUfunction fill, increment;
	CUdeviceptr data;
	CUstream stream;

	DO(cuModuleLoadData(&module, conform_ptx));
	DO(cuModuleGetFunction(&fill, module, "fill"));
	DO(cuModuleGetFunction(&increment, module, "increment"));
	DO(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	DO(cuMemAlloc(&data, N * 4));
	DO(cuMemAllocHost((void **)&pinned, N * 4));
	for (int i = 0; i < 20; i++) {
		DO(conform_launch(fill, 8, 128, 0, stream, (void *[]){&data, &value, &n}));
		DO(conform_launch(increment, 8, 128, 0, stream, (void *[]){&data, &n}));
		DO(cuMemcpyDtoHAsync(i % 2 ? pinned : pageable, data, N * 4, stream));
		DO(cuStreamSynchronize(stream));
		compare(i % 2 ? pinned : pageable, value + 1);
		DO(cuMemcpyHtoDAsync(data, pinned, N * 4, stream));
		value += 3;
	}
	DO(cuStreamDestroy(stream));
	DO(cuMemFreeHost(pinned));
	DO(cuMemFree(data));
	DO(cuModuleUnload(module));
}

static void never_return(void *unused)
{
	(void)unused;
	printf("ready\n");
	fflush(stdout);
	for (;;)
		pause();
}

static void stand_still(void)
{
	CUmodule module;
	CUfunction fill;
	CUdeviceptr data;
	CUstream stream;
	unsigned value = 1;
	int n = 1;

	DO(cuModuleLoadData(&module, conform_ptx));
	DO(cuModuleGetFunction(&fill, module, "fill"));
	DO(cuMemAlloc(&data, 4));
	DO(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	DO(cuLaunchHostFunc(stream, never_return, NULL));
	for (;;)
		DO(conform_launch(fill, 1, 1, 0, stream, (void *[]){&data, &value, &n}));
}

int main(int argc, char **argv)
{
	double end = now() + (argc > 1 ? atof(argv[1]) : 1.0);
	unsigned round = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
	CUcontext context;

	DO(cuInit(0));
	DO(cuDevicePrimaryCtxRetain(&context, 0));
	DO(cuCtxSetCurrent(context));
	if (argc > 3)
		stand_still();
	one_round(round);
	printf("ready\n");
	fflush(stdout);
	while (now() < end)
		one_round(++round);
	DO(cuDevicePrimaryCtxRelease(0));
	printf("done\n");
	return 0;
}
