/*
 * The software GPU's tests of matrix instructions, on whatever driver answers: where they say an
 * element lies is then where NVIDIA's hardware has it.
 */
#include "conform.h"

#define MATRIX_TEST(name) CONFORM(name)
#include "softgpu/exec/matrix-tests.h"

static void begin(void)
{
	static bool begun;
	int major;

	if (begun)
		return;
	OK(cuDeviceGetAttribute(
	    &major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, conform_begin()));
	if (major < 9)
		SKIP("the kernels are for compute capability 9.0 and later");
	begun = true;
}

static void *matrix_memory(size_t size)
{
	void *memory = calloc(1, size);

	CHECK(memory);
	return memory; /* until the test's process ends */
}

static void matrix_run(const char *ptx, void *memory, size_t size, size_t out)
{
	CUmodule module;
	CUfunction kernel;
	CUdeviceptr device, behind;

	begin();
	OK(cuModuleLoadData(&module, ptx));
	OK(cuModuleGetFunction(&kernel, module, "k"));
	OK(cuMemAlloc(&device, size));
	OK(cuMemcpyHtoD(device, memory, size));
	behind = device + out;
	OK(conform_launch(kernel, 1, 32, 0, NULL, (void *[]){&device, &behind}));
	OK(cuMemcpyDtoH(memory, device, size));
	OK(cuMemFree(device));
	OK(cuModuleUnload(module));
}
