/*
 * The software GPU's instruction vectors, on whatever driver answers: what they say is then what
 * NVIDIA's hardware does.
 */
#include "softgpu/exec/opcodes.h"

#include "conform.h"

static bool knows_target(CUdevice device)
{
	int major;

	OK(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device));
	return major >= 9;
}

static void run_rows(const struct row *rows, size_t n)
{
	uint64_t io[4];
	CUdeviceptr memory;
	CUmodule module;
	unsigned wrong = 0;
	char *text;

	if (!knows_target(conform_begin()))
		SKIP("the vectors are for compute capability 9.0 and later");
	text = write_module(rows, n);
	OK(cuModuleLoadData(&module, text));
	OK(cuMemAlloc(&memory, sizeof(io)));
	for (size_t i = 0; i < n; i++) {
		CUfunction kernel;
		char name[16];

		snprintf(name, sizeof(name), "k%zu", i);
		OK(cuModuleGetFunction(&kernel, module, name));
		memcpy(io, rows[i].in, sizeof(rows[i].in));
		io[3] = UINT64_C(0xdeadbeef);
		OK(cuMemcpyHtoD(memory, io, sizeof(io)));
		OK(conform_launch(kernel, 1, 1, 0, NULL, (void *[]){&memory}));
		OK(cuMemcpyDtoH(io, memory, sizeof(io)));
		wrong += row_differs(&rows[i], io[3]);
	}
	free(text);
	CHECK_EQ(wrong, 0);
}

#define ROWS(test_name, ...)                                                                       \
	CONFORM(test_name)                                                                         \
	{                                                                                          \
		const struct row rows[] = {__VA_ARGS__};                                           \
		run_rows(rows, ARRAY_SIZE(rows));                                                  \
	}

#include "softgpu/exec/opcodes.def"
