// libs: nvrtc nvJitLink cuda
// timeout: 60
/* NVRTC and nvJitLink: compile at run time to PTX and to a cubin, link two objects, load each, run
 * each. */
#include <cuda.h>
#include <nvJitLink.h>
#include <nvrtc.h>
#include <string>

#include "check.h"

enum { COUNT = 1000 };

static const char *const KERNEL =
    "extern \"C\" __global__ void scale(int *data, int factor, int count)"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x;"
    "  if (i < count) data[i] = data[i] * factor + OFFSET; }";
static const char *const CALLER =
    "extern __device__ int helper(int);"
    "extern \"C\" __global__ void scale(int *data, int factor, int count)"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x;"
    "  if (i < count) data[i] = data[i] * factor + helper(0); }";
static const char *const HELPER = "__device__ int helper(int x) { return x + 7; }";

static std::string architecture(const char *prefix)
{
	cudaDeviceProp properties;
	CHECK(cudaGetDeviceProperties(&properties, 0));
	return prefix + std::to_string(properties.major * 10 + properties.minor);
}

static std::vector<char> compile(const char *source, const char *prefix, bool relocatable)
{
	nvrtcProgram program;
	std::string target = "--gpu-architecture=" + architecture(prefix);
	const char *options[] = {target.c_str(), "-DOFFSET=7", "-rdc=true"};
	size_t size;
	CHECK(nvrtcCreateProgram(&program, source, "program.cu", 0, nullptr, nullptr));
	CHECK(nvrtcCompileProgram(program, relocatable ? 3 : 2, options));
	bool cubin = !strcmp(prefix, "sm_");
	CHECK(cubin ? nvrtcGetCUBINSize(program, &size) : nvrtcGetPTXSize(program, &size));
	std::vector<char> image(size);
	CHECK(cubin ? nvrtcGetCUBIN(program, image.data()) : nvrtcGetPTX(program, image.data()));
	CHECK(nvrtcDestroyProgram(&program));
	return image;
}

static std::vector<char> link(const std::vector<char> &first, const std::vector<char> &second)
{
	nvJitLinkHandle linker;
	std::string target = "-arch=" + architecture("sm_");
	const char *options[] = {target.c_str()};
	size_t size;
	CHECK(nvJitLinkCreate(&linker, 1, options));
	CHECK(nvJitLinkAddData(linker, NVJITLINK_INPUT_CUBIN, first.data(), first.size(), "first"));
	CHECK(nvJitLinkAddData(
	    linker, NVJITLINK_INPUT_CUBIN, second.data(), second.size(), "second"));
	CHECK(nvJitLinkComplete(linker));
	CHECK(nvJitLinkGetLinkedCubinSize(linker, &size));
	std::vector<char> image(size);
	CHECK(nvJitLinkGetLinkedCubin(linker, image.data()));
	CHECK(nvJitLinkDestroy(&linker));
	return image;
}

static void use(const char *name, const std::vector<char> &image)
{
	std::vector<int> expected(COUNT), in(COUNT);
	for (int i = 0; i < COUNT; i++) {
		in[i] = i;
		expected[i] = i * 3 + 7;
	}
	device_array<int> data(in);
	CUmodule module;
	CUfunction function;
	int factor = 3, count = COUNT;
	void *arguments[] = {&data.data, &factor, &count};
	CHECK(cuModuleLoadData(&module, image.data()));
	CHECK(cuModuleGetFunction(&function, module, "scale"));
	CHECK(cuLaunchKernel(function, 8, 1, 1, 128, 1, 1, 0, nullptr, arguments, nullptr));
	EXPECT(data.read() == expected);
	EXPECT(cuModuleGetFunction(&function, module, "missing") == CUDA_ERROR_NOT_FOUND);
	report(name, data.read());
	CHECK(cuModuleUnload(module));
}

static void broken_source()
{
	nvrtcProgram program;
	size_t size;
	CHECK(nvrtcCreateProgram(
	    &program, "__global__ void f() { undeclared = 1; }", "bad.cu", 0, nullptr, nullptr));
	EXPECT(nvrtcCompileProgram(program, 0, nullptr) == NVRTC_ERROR_COMPILATION);
	CHECK(nvrtcGetProgramLogSize(program, &size));
	std::vector<char> log(size);
	CHECK(nvrtcGetProgramLog(program, log.data()));
	EXPECT(strstr(log.data(), "undeclared"));
	CHECK(nvrtcDestroyProgram(&program));
}

int main()
{
	CUmodule module;
	CHECK(cudaFree(nullptr));
	use("PTX", compile(KERNEL, "compute_", false));
	use("cubin", compile(KERNEL, "sm_", false));
	use("linked", link(compile(CALLER, "sm_", true), compile(HELPER, "sm_", true)));
	broken_source();
	EXPECT(cuModuleLoadData(&module, "no image at all") != CUDA_SUCCESS);
	return 0;
}
