/* Modules and launches, with kernels written in PTX by hand so that no compiler is needed. */
#include "softgpu/driver/test-driver.h"

#define HEAD ".version 7.0\n.target sm_70\n.address_size 64\n"

/* c[i] = a[i] + b[i] for i < n */
static const char add_ptx[] = HEAD
    ".visible .global .align 4 .u32 counter = 41;\n"
    ".visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)\n"
    "{\n"
    "	.reg .pred %p; .reg .b32 %r<6>; .reg .b64 %d<8>; .reg .f32 %f<4>;\n"
    "	mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;\n"
    "	mad.lo.s32 %r1, %r1, %r2, %r3;\n"
    "	ld.param.u32 %r4, [n];\n"
    "	setp.ge.u32 %p, %r1, %r4;\n"
    "	@%p bra done;\n"
    "	ld.param.u64 %d1, [a]; ld.param.u64 %d2, [b]; ld.param.u64 %d3, [c];\n"
    "	mul.wide.u32 %d4, %r1, 4;\n"
    "	add.u64 %d1, %d1, %d4; add.u64 %d2, %d2, %d4; add.u64 %d3, %d3, %d4;\n"
    "	ld.global.f32 %f1, [%d1]; ld.global.f32 %f2, [%d2];\n"
    "	add.f32 %f3, %f1, %f2;\n"
    "	st.global.f32 [%d3], %f3;\n"
    "done:\n"
    "	ret;\n"
    "}\n"
    ".visible .entry count()\n"
    "{\n"
    "	.reg .b32 %r; .reg .b64 %d;\n"
    "	mov.u64 %d, counter; ld.global.u32 %r, [%d]; add.u32 %r, %r, 1; st.global.u32 [%d], %r;\n"
    "	ret;\n"
    "}\n"
    ".visible .entry spoil(.param .u64 to)\n"
    "{\n"
    "	.reg .b32 %r; .reg .b64 %d;\n"
    "	ld.param.u64 %d, [to]; mov.u32 %r, 1; st.global.u32 [%d], %r;\n"
    "	ret;\n"
    "}\n"
    ".visible .entry shared(.param .u64 to)\n"
    ".maxntid 64, 1, 1\n"
    "{\n"
    "	.reg .b32 %r; .reg .b64 %d; .shared .align 4 .b8 room[1024];\n"
    "	ld.param.u64 %d, [to]; mov.u32 %r, %tid.x; st.shared.u32 [room], %r;\n"
    "	ld.shared.u32 %r, [room]; st.global.u32 [%d], %r;\n"
    "	ret;\n"
    "}\n";

static CUmodule load(void)
{
	CUmodule module = NULL;

	test_context();
	CHECK_OK(cuModuleLoadData(&module, add_ptx));
	return module;
}

static CUfunction function(CUmodule module, const char *name)
{
	CUfunction found = NULL;

	CHECK_OK(cuModuleGetFunction(&found, module, name));
	return found;
}

static CUresult launch(CUfunction kernel, unsigned grid, unsigned block, void **values)
{
	return cuLaunchKernel(kernel, grid, 1, 1, block, 1, 1, 0, NULL, values, NULL);
}

#define N 10000

static void check_add(CUfunction kernel, bool with_extra)
{
	static float a[N], b[N], c[N];
	struct {
		CUdeviceptr a, b, c;
		unsigned n;
	} packed = {test_alloc(sizeof(a)), test_alloc(sizeof(b)), test_alloc(sizeof(c)), N};
	size_t size = offsetof(typeof(packed), n) + sizeof(packed.n); /* no padding */
	void *values[] = {&packed.a, &packed.b, &packed.c, &packed.n};
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE,
	    &size, CU_LAUNCH_PARAM_END};

	for (int i = 0; i < N; i++) {
		a[i] = (float)i;
		b[i] = 0.5f * (float)i;
	}
	CHECK_OK(cuMemcpyHtoD_v2(packed.a, a, sizeof(a)));
	CHECK_OK(cuMemcpyHtoD_v2(packed.b, b, sizeof(b)));
	CHECK_OK(cuLaunchKernel(kernel, (N + 127) / 128, 1, 1, 128, 1, 1, 0, NULL,
	    with_extra ? NULL : values, with_extra ? extra : NULL));
	CHECK_OK(cuMemcpyDtoH_v2(c, packed.c, sizeof(c)));
	for (int i = 0; i < N; i++)
		CHECK(c[i] == a[i] + b[i]);
}

TEST(vector_add)
{
	check_add(function(load(), "add"), false);
}

TEST(vector_add_with_a_packed_buffer)
{
	check_add(function(load(), "add"), true);
}

TEST(vector_add_from_a_library)
{
	CUlibraryOption option = CU_LIBRARY_BINARY_IS_PRESERVED;
	CUlibrary library, back;
	CUkernel kernel;
	CUfunction plain;
	unsigned count;

	/* No context is needed for loading, and the option's value may be missing. */
	CHECK_OK(cuInit(0));
	CHECK_OK(cuLibraryLoadData(&library, add_ptx, NULL, NULL, 0, &option, NULL, 1));
	CHECK_OK(cuLibraryGetKernelCount(&count, library));
	CHECK_EQ(count, 4);
	CHECK_EQ(cuLibraryGetKernel(&kernel, library, "nothing"), CUDA_ERROR_NOT_FOUND);
	CHECK_OK(cuLibraryGetKernel(&kernel, library, "add"));
	CHECK_OK(cuKernelGetLibrary(&back, kernel));
	CHECK(back == library);
	CHECK_OK(cuKernelGetFunction(&plain, kernel));
	test_context();
	check_add((CUfunction)kernel, false);
	check_add(plain, false);
	CHECK_OK(cuLibraryUnload(library));
	CHECK_EQ(launch((CUfunction)kernel, 1, 1, NULL), CUDA_ERROR_INVALID_HANDLE);
}

TEST(variables)
{
	CUmodule module = load();
	CUdeviceptr address;
	unsigned value = 0;
	size_t size;

	CHECK_EQ(cuModuleGetGlobal_v2(&address, &size, module, "nothing"), CUDA_ERROR_NOT_FOUND);
	CHECK_OK(cuModuleGetGlobal_v2(&address, &size, module, "counter"));
	CHECK_EQ(size, 4);
	CHECK_OK(cuModuleGetGlobal_v2(NULL, &size, module, "counter"));
	CHECK_OK(launch(function(module, "count"), 1, 1, NULL));
	CHECK_OK(cuMemcpyDtoH_v2(&value, address, 4));
	CHECK_EQ(value, 42);
	CHECK_OK(cuModuleUnload(module));
	CHECK_EQ(cuMemcpyDtoH_v2(&value, address, 4), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);
}

TEST(attributes)
{
	CUfunction kernel = function(load(), "shared"), add;
	size_t offset, size;
	CUmodule module;
	int value;

	CHECK_OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, kernel));
	CHECK_EQ(value, 1024);
	CHECK_OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kernel));
	CHECK_EQ(value, 64);
	CHECK_OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, kernel));
	CHECK(value > 0);
	CHECK_EQ(
	    cuFuncSetAttribute(kernel, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100 << 10),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(
	    cuFuncSetAttribute(kernel, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 64 << 10));
	CHECK_OK(
	    cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, kernel));
	CHECK_EQ(value, 64 << 10);
	CHECK_EQ(
	    cuFuncSetAttribute(kernel, CU_FUNC_ATTRIBUTE_NUM_REGS, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuFuncGetModule(&module, kernel));
	add = function(module, "add");
	CHECK_OK(cuFuncGetParamInfo(add, 3, &offset, &size));
	CHECK(offset == 24 && size == 4);
	CHECK_EQ(cuFuncGetParamInfo(add, 4, &offset, &size), CUDA_ERROR_INVALID_VALUE);
}

TEST(bad_launches_are_refused_at_once)
{
	CUmodule module = load();
	CUfunction kernel = function(module, "shared"), count = function(module, "count");
	CUdeviceptr to = test_alloc(4);
	void *values[] = {&to};

	CHECK_EQ(launch(count, 0, 1, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(launch(count, 1, 0, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(launch(count, 1, 1025, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuLaunchKernel(count, 1, 65536, 1, 1, 1, 1, 0, NULL, NULL, NULL),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(launch(kernel, 1, 65, values), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(launch(kernel, 1, 1, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(launch((CUfunction)module, 1, 1, NULL), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 48 << 10, NULL, values, NULL),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(
	    cuFuncSetAttribute(kernel, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 48 << 10));
	CHECK_OK(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 48 << 10, NULL, values, NULL));
	CHECK_EQ(cuLaunchCooperativeKernel(count, 1 << 20, 1, 1, 1024, 1, 1, 0, NULL, NULL),
	    CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	CHECK_OK(cuCtxSynchronize());
}

TEST(launch_attributes)
{
	CUlaunchAttribute attributes[2] = {
	    {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value.cooperative = 1},
	    {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, .value.clusterDim = {1, 1, 1}},
	};
	CUlaunchConfig config = {1, 1, 1, 1, 1, 1, 0, NULL, attributes, 2};
	CUfunction kernel = function(load(), "count");

	CHECK_OK(cuLaunchKernelEx(&config, kernel, NULL, NULL));
	attributes[1].value.clusterDim.x = 2;
	CHECK_EQ(cuLaunchKernelEx(&config, kernel, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
	config.gridDimX = 4;
	attributes[0].value.cooperative = 0;
	CHECK_OK(cuLaunchKernelEx(&config, kernel, NULL, NULL));
	attributes[1].id = (CUlaunchAttributeID)99;
	CHECK_EQ(cuLaunchKernelEx(&config, kernel, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuCtxSynchronize());
}

static void check_fault(CUdeviceptr address)
{
	CUmodule module = load();
	CUdeviceptr good = test_alloc(4);
	void *values[] = {&address};
	CUevent event;

	CHECK_OK(cuEventCreate(&event, 0));
	CHECK_OK(launch(function(module, "spoil"), 1, 1, values));
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	/* It sticks. */
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(cuMemAlloc_v2(&good, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(launch(NULL, 1, 1, NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(cuEventQuery(event), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_OK(cuEventDestroy_v2(event));
	/* Until the context begins anew. */
	CHECK_OK(cuDevicePrimaryCtxReset_v2(0));
	check_add(function(load(), "add"), false);
}

TEST(a_null_pointer_is_an_error_and_no_crash)
{
	check_fault(0);
}

TEST(host_memory_is_out_of_reach)
{
	static int host;

	check_fault((CUdeviceptr)&host);
	CHECK_EQ(host, 0);
}

TEST(freed_memory_is_out_of_reach)
{
	CUdeviceptr address;

	test_context();
	address = test_alloc(4);
	CHECK_OK(cuMemFree_v2(address));
	check_fault(address + (1 << 20));
}

TEST(bad_images)
{
	CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	char text[512] = "";
	void *values[] = {text, (void *)sizeof(text)};
	CUmodule module;

	CHECK_OK(cuInit(0));
	CHECK_EQ(cuModuleLoadData(&module, add_ptx), CUDA_ERROR_INVALID_CONTEXT);
	test_context();
	CHECK_EQ(cuModuleLoadData(&module, "no code at all"), CUDA_ERROR_INVALID_IMAGE);
	CHECK_EQ(cuModuleLoadData(&module, ""), CUDA_ERROR_INVALID_IMAGE);
	CHECK_EQ(cuModuleLoadData(&module, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuModuleLoad(&module, "/nonexistent"), CUDA_ERROR_FILE_NOT_FOUND);
	CHECK_OK(cuModuleLoadData(&module, ".version 9.9\n.target sm_70\n"));
	CHECK_EQ(cuModuleLoadData(&module, ".version 10.0\n.target sm_70\n"),
	    CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
	CHECK_EQ(
	    cuModuleLoadData(&module, ".version 8.0\n.target sm_130\n"), CUDA_ERROR_INVALID_PTX);
	CHECK_EQ(cuModuleLoadData(
		     &module, HEAD ".extern .func f(); .visible .entry k() { call f; ret; }"),
	    CUDA_ERROR_INVALID_PTX);
	CHECK_EQ(cuModuleLoadDataEx(&module, HEAD ".entry k() { nonsense; }", 2, options, values),
	    CUDA_ERROR_INVALID_PTX);
	CHECK_EQ((uintptr_t)values[1], strlen(text));
	CHECK(strstr(text, "nonsense"));
}

TEST(texts_are_linked)
{
	static char caller[] =
	    HEAD ".extern .func (.param .b32 r) twice(.param .b32 x);\n"
		 ".visible .entry run(.param .u64 to)\n"
		 "{\n"
		 "	.reg .b32 %r; .reg .b64 %d; .param .b32 in; .param .b32 out;\n"
		 "	ld.param.u64 %d, [to]; mov.u32 %r, 21; st.param.b32 [in], %r;\n"
		 "	call (out), twice, (in);\n"
		 "	ld.param.b32 %r, [out]; st.global.u32 [%d], %r; ret;\n"
		 "}\n";
	static char callee[] =
	    HEAD ".visible .func (.param .b32 r) twice(.param .b32 x)\n"
		 "{\n"
		 "	.reg .b32 %r;\n"
		 "	ld.param.b32 %r, [x]; add.u32 %r, %r, %r; st.param.b32 [r], %r; ret;\n"
		 "}\n";
	CUdeviceptr to;
	void *values[] = {&to}, *image;
	CUmodule module;
	unsigned value = 0;
	CUlinkState link;
	size_t size = 0;

	test_context();
	to = test_alloc(4);
	CHECK_OK(cuLinkCreate_v2(0, NULL, NULL, &link));
	CHECK_EQ(cuLinkComplete(link, &image, &size), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuLinkAddData_v2(
	    link, CU_JIT_INPUT_PTX, caller, sizeof(caller), "caller", 0, NULL, NULL));
	CHECK_EQ(cuLinkComplete(link, &image, &size), CUDA_ERROR_INVALID_PTX);
	CHECK_OK(cuLinkAddData_v2(
	    link, CU_JIT_INPUT_PTX, callee, sizeof(callee), "callee", 0, NULL, NULL));
	CHECK_OK(cuLinkComplete(link, &image, &size));
	CHECK(size > sizeof(caller));
	CHECK_OK(cuModuleLoadData(&module, image));
	CHECK_OK(cuLinkDestroy(link));
	CHECK_EQ(cuLinkDestroy(link), CUDA_ERROR_INVALID_HANDLE);
	CHECK_OK(launch(function(module, "run"), 1, 1, values));
	CHECK_OK(cuMemcpyDtoH_v2(&value, to, 4));
	CHECK_EQ(value, 42);
}

TEST(occupancy)
{
	CUmodule module = load();
	CUfunction kernel = function(module, "count");
	int blocks, grid, block;

	CHECK_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, 1024, 0));
	CHECK_EQ(blocks, 1);
	CHECK_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, 256, 0));
	CHECK_EQ(blocks, 6);
	CHECK_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, 256, 48 << 10));
	CHECK_EQ(blocks, 2);
	CHECK_OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, kernel, NULL, 0, 0));
	CHECK(grid > 0 && block >= 512 && block <= 1024);
}

TEST(functions_are_enumerated)
{
	CUmodule module = load();
	CUfunction functions[8];
	const char *name;
	unsigned n;

	CHECK_OK(cuModuleGetFunctionCount(&n, module));
	CHECK_EQ(n, 4);
	CHECK_OK(cuModuleEnumerateFunctions(functions, 4, module));
	CHECK_OK(cuFuncGetName(&name, functions[1]));
	CHECK_STR(name, "count");
}
