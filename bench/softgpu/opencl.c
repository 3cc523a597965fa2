/*
 * The kernels in OpenCL C on PoCL. libOpenCL.so.1 is looked for when the program runs, so that it
 * builds and runs where there is none. The declarations are what the OpenCL 1.2 specification says
 * of the few functions used.
 *
 * PoCL's device is this CPU and works in the host's memory: its buffers are those of all the other
 * ways (CL_MEM_USE_HOST_PTR), made before a launch and mapped after it, outside of what is timed.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "bench.h"
#include "memory.h"

#define PLATFORM	     "Portable Computing Language"
#define CL_PLATFORM_VERSION  0x0901
#define CL_PLATFORM_NAME     0x0902
#define CL_DEVICE_TYPE_CPU   (1u << 1)
#define CL_MEM_USE_HOST_PTR  (1u << 3)
#define CL_MAP_READ	     (1u << 0)
#define CL_PROGRAM_BUILD_LOG 0x1183

/* clang-format off */
#define FUNCTIONS(X) \
	X(clGetPlatformIDs, int32_t, (uint32_t, void **, uint32_t *)) \
	X(clGetPlatformInfo, int32_t, (void *, uint32_t, size_t, void *, size_t *)) \
	X(clGetDeviceIDs, int32_t, (void *, uint64_t, uint32_t, void **, uint32_t *)) \
	X(clCreateContext, void *, (const intptr_t *, uint32_t, void *const *, void *, void *, \
		int32_t *)) \
	X(clCreateCommandQueue, void *, (void *, void *, uint64_t, int32_t *)) \
	X(clCreateProgramWithSource, void *, (void *, uint32_t, const char **, const size_t *, \
		int32_t *)) \
	X(clBuildProgram, int32_t, (void *, uint32_t, void *const *, const char *, void *, void *)) \
	X(clGetProgramBuildInfo, int32_t, (void *, void *, uint32_t, size_t, void *, size_t *)) \
	X(clCreateKernel, void *, (void *, const char *, int32_t *)) \
	X(clSetKernelArg, int32_t, (void *, uint32_t, size_t, const void *)) \
	X(clCreateBuffer, void *, (void *, uint64_t, size_t, void *, int32_t *)) \
	X(clEnqueueNDRangeKernel, int32_t, (void *, void *, uint32_t, const size_t *, \
		const size_t *, const size_t *, uint32_t, void *const *, void **)) \
	X(clEnqueueMapBuffer, void *, (void *, void *, uint32_t, uint64_t, size_t, size_t, \
		uint32_t, void *const *, void **, int32_t *)) \
	X(clEnqueueUnmapMemObject, int32_t, (void *, void *, void *, uint32_t, void *const *, \
		void **)) \
	X(clFinish, int32_t, (void *)) \
	X(clReleaseMemObject, int32_t, (void *))
/* clang-format on */

#define DECLARE(name, type, parameters) type(*name) parameters;
#define FIND(name, type, parameters)	*(void **)&cl->name = dlsym(library, #name);
#define FOUND(name, type, parameters)	&&cl->name

struct opencl {
	FUNCTIONS(DECLARE)
	char version[128];
	void *device, *context, *queue, *program;
	struct kernel {
		const char *name;
		void *kernel; /* NULL: the program has none of this name */
	} kernels[BENCH_CASES];
};

static bool find_functions(struct opencl *cl, char *why, size_t size)
{
	void *library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		snprintf(why, size, "%s; Debian's packages: pocl-opencl-icd, ocl-icd-libopencl1",
		    dlerror());
		return false;
	}
	FUNCTIONS(FIND)
	if (1 FUNCTIONS(FOUND))
		return true;
	snprintf(why, size, "libOpenCL.so.1 lacks functions of OpenCL 1.2");
	return false;
}

static bool find_device(struct opencl *cl, char *why, size_t size)
{
	void *platforms[16];
	uint32_t count = 0;
	char name[128];

	if (cl->clGetPlatformIDs(ARRAY_SIZE(platforms), platforms, &count))
		count = 0;
	for (uint32_t i = 0; i < MIN(count, ARRAY_SIZE(platforms)); i++)
		if (!cl->clGetPlatformInfo(
			platforms[i], CL_PLATFORM_NAME, sizeof(name), name, NULL) &&
		    !strcmp(name, PLATFORM) &&
		    !cl->clGetPlatformInfo(platforms[i], CL_PLATFORM_VERSION, sizeof(cl->version),
			cl->version, NULL) &&
		    !cl->clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_CPU, 1, &cl->device, NULL))
			return true;
	snprintf(why, size, "none of %u OpenCL platforms is it; Debian's package: pocl-opencl-icd",
	    count);
	return false;
}

static char *read_source(const char *path)
{
	static char text[1 << 16];
	FILE *file = fopen(path, "r");

	if (!file) {
		perror(path);
		exit(1);
	}
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	return text;
}

static bool build(struct opencl *cl, char *why, size_t size)
{
	const char *source = read_source(BENCH_CL);
	int used;

	cl->context = cl->clCreateContext(NULL, 1, &cl->device, NULL, NULL, NULL);
	cl->queue = cl->clCreateCommandQueue(cl->context, cl->device, 0, NULL);
	cl->program = cl->clCreateProgramWithSource(cl->context, 1, &source, NULL, NULL);
	if (cl->queue && cl->program &&
	    !cl->clBuildProgram(cl->program, 1, &cl->device, "", NULL, NULL))
		return true;
	used = snprintf(why, size, "%s does not build: ", BENCH_CL);
	if (cl->program && (size_t)used < size)
		cl->clGetProgramBuildInfo(cl->program, cl->device, CL_PROGRAM_BUILD_LOG,
		    size - (size_t)used, why + used, NULL);
	return false;
}

struct opencl *opencl_new(char *why, size_t size)
{
	static struct opencl cl;

	setenv("POCL_MAX_PTHREAD_COUNT", "1", 1);
	return find_functions(&cl, why, size) && find_device(&cl, why, size) &&
		       build(&cl, why, size)
		   ? &cl
		   : NULL;
}

const char *opencl_version(const struct opencl *cl)
{
	return cl->version;
}

/* Kept between runs, for what PoCL compiled may go with it. */
static void *find_kernel(struct opencl *cl, const char *name)
{
	struct kernel *kernel = cl->kernels;

	while (kernel->name && strcmp(kernel->name, name))
		kernel++;
	if (!kernel->name)
		*kernel = (struct kernel){name, cl->clCreateKernel(cl->program, name, NULL)};
	return kernel->kernel;
}

bool opencl_has(struct opencl *cl, const struct bench_case *bench)
{
	return find_kernel(cl, bench->name);
}

static void must(bool worked, const struct bench_case *bench, const char *what)
{
	if (worked)
		return;
	fprintf(stderr, "bench-softgpu: %s on PoCL: %s failed\n", bench->name, what);
	exit(1);
}

static void set_arguments(
    struct opencl *cl, void *kernel, const struct bench_case *bench, void **buffers)
{
	for (unsigned i = 0; i < bench->n_arguments; i++) {
		const struct bench_argument *argument = &bench->arguments[i];
		int32_t number = (int32_t)argument->value;
		int32_t failed;

		if (argument->buffer) {
			buffers[i] = cl->clCreateBuffer(cl->context, CL_MEM_USE_HOST_PTR,
			    argument->value, argument->buffer, NULL);
			failed = cl->clSetKernelArg(kernel, i, sizeof(buffers[i]), &buffers[i]);
		} else {
			failed = cl->clSetKernelArg(kernel, i, sizeof(number), &number);
		}
		must(!failed, bench, "setting an argument");
	}
}

/* Mapping is what makes the results the host's. */
static void take_results(struct opencl *cl, const struct bench_case *bench, void **buffers)
{
	for (unsigned i = 0; i < bench->n_arguments; i++) {
		void *mapped;

		if (!buffers[i])
			continue;
		mapped = cl->clEnqueueMapBuffer(cl->queue, buffers[i], true, CL_MAP_READ, 0,
		    bench->arguments[i].value, 0, NULL, NULL, NULL);
		must(mapped == bench->arguments[i].buffer, bench, "mapping a buffer");
		cl->clEnqueueUnmapMemObject(cl->queue, buffers[i], mapped, 0, NULL, NULL);
		cl->clFinish(cl->queue);
		cl->clReleaseMemObject(buffers[i]);
	}
}

double opencl_run(struct opencl *cl, const struct bench_case *bench)
{
	void *kernel = find_kernel(cl, bench->name), *buffers[BENCH_ARGUMENTS] = {NULL};
	const size_t local[2] = {bench->block[0], bench->block[1]};
	const size_t global[2] = {bench->grid[0] * local[0], bench->grid[1] * local[1]};
	double began;
	double ms;

	set_arguments(cl, kernel, bench, buffers);
	began = bench_now_ms();
	must(
	    !cl->clEnqueueNDRangeKernel(cl->queue, kernel, 2, NULL, global, local, 0, NULL, NULL) &&
		!cl->clFinish(cl->queue),
	    bench, "the launch");
	ms = bench_now_ms() - began;
	take_results(cl, bench, buffers);
	return ms;
}
