/* Textures as hostile or careless programs use them; what they read is tested in test/conform. */
#include "softgpu/driver/test-driver.h"

static const char text[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
			   ".global .texref t;\n.global .surfref s;\n"
			   ".visible .entry object(.param .u64 number, .param .u64 out) {\n"
			   ".reg .b64 %rd<4>; .reg .f32 %f<8>;\n"
			   "ld.param.u64 %rd1, [number]; ld.param.u64 %rd2, [out];\n"
			   "tex.1d.v4.f32.s32 {%f1, %f2, %f3, %f4}, [%rd1, {2}];\n"
			   "st.global.f32 [%rd2], %f1; ret; }\n"
			   ".visible .entry names(.param .u64 out) {\n"
			   ".reg .b64 %rd<4>; .reg .f32 %f<8>; .reg .b32 %r<4>;\n"
			   "ld.param.u64 %rd2, [out];\n"
			   "tex.1d.v4.f32.s32 {%f1, %f2, %f3, %f4}, [t, {2}];\n"
			   "mov.b32 %r1, %f1; sust.b.1d.b32.trap [s, {4}], {%r1};\n"
			   "st.global.f32 [%rd2], %f1; ret; }\n";

static CUfunction function_get(CUmodule *module, const char *name)
{
	CUfunction function;

	CHECK_OK(cuModuleLoadData(module, text));
	CHECK_OK(cuModuleGetFunction(&function, *module, name));
	return function;
}

static CUresult read_number(CUfunction function, uint64_t number, CUdeviceptr out)
{
	void *parameters[] = {&number, &out};

	CHECK_OK(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL));
	return cuCtxSynchronize();
}

static CUresult make(CUtexObject *texture, CUdeviceptr address, size_t size)
{
	CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_LINEAR};
	CUDA_TEXTURE_DESC how = {.filterMode = CU_TR_FILTER_MODE_POINT};

	resource.res.linear.devPtr = address;
	resource.res.linear.format = CU_AD_FORMAT_FLOAT;
	resource.res.linear.numChannels = 1;
	resource.res.linear.sizeInBytes = size;
	return cuTexObjectCreate(texture, &resource, &how, NULL);
}

TEST(only_the_programs_memory_becomes_a_texture)
{
	CUdeviceptr data;
	CUtexObject texture;
	float local[64];

	test_context();
	data = test_alloc(4096);
	CHECK_OK(make(&texture, data, 4096));
	CHECK_OK(cuTexObjectDestroy(texture));
	CHECK_EQ(cuTexObjectDestroy(texture), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(make(&texture, data + 4, 4), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(make(&texture, data, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(make(&texture, (CUdeviceptr)local & ~511ull, 64), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(make(&texture, 0, 64), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuMemFree_v2(data));
	CHECK_EQ(make(&texture, data, 4096), CUDA_ERROR_INVALID_VALUE);
}

/* A number that is none, or no longer one, is the kernel's end and the context's error. */
static void check_number(uint64_t number)
{
	CUmodule module;
	CUcontext context = test_context();
	CUdeviceptr out = test_alloc(4);
	CUfunction function = function_get(&module, "object");

	CHECK(context);
	CHECK_EQ(read_number(function, number, out), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(cuMemAlloc_v2(&out, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_OK(cuDevicePrimaryCtxReset_v2(0));
}

TEST(wrong_numbers_are_errors)
{
	static const uint64_t numbers[] = {0, 1, 0x100001, 0xffffffff, UINT64_MAX, 1ull << 40};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		check_number(numbers[i]);
}

TEST(freed_memory_is_an_error)
{
	CUdeviceptr data, out;
	CUtexObject texture;
	CUfunction function;
	CUmodule module;

	test_context();
	data = test_alloc(4096);
	out = test_alloc(4);
	function = function_get(&module, "object");
	CHECK_OK(make(&texture, data, 4096));
	CHECK_OK(read_number(function, texture, out));
	CHECK_OK(cuMemFree_v2(data));
	CHECK_EQ(read_number(function, texture, out), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST(references_are_bound_by_name)
{
	const CUDA_ARRAY3D_DESCRIPTOR shape = {.Width = 4,
	    .Format = CU_AD_FORMAT_UNSIGNED_INT32,
	    .NumChannels = 1,
	    .Flags = CUDA_ARRAY3D_SURFACE_LDST};
	float texels[200], got;
	CUmodule module;
	CUfunction function;
	CUtexref texture, again;
	CUsurfref surface;
	CUdeviceptr data, out;
	CUarray array, bound;
	size_t offset;
	void *parameters[] = {&out};

	test_context();
	function = function_get(&module, "names");
	data = test_alloc(sizeof(texels));
	out = test_alloc(4);
	for (unsigned i = 0; i < 200; i++)
		texels[i] = (float)i;
	CHECK_OK(cuMemcpyHtoD_v2(data, texels, sizeof(texels)));
	CHECK_OK(cuModuleGetTexRef(&texture, module, "t"));
	CHECK_OK(cuModuleGetTexRef(&again, module, "t"));
	CHECK(texture == again);
	CHECK_EQ(cuModuleGetTexRef(&again, module, "s"), CUDA_ERROR_NOT_FOUND);
	CHECK_OK(cuModuleGetSurfRef(&surface, module, "s"));
	CHECK_OK(cuArray3DCreate_v2(&array, &shape));
	CHECK_EQ(cuSurfRefGetArray(&bound, surface), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuSurfRefSetArray(surface, array, 0));
	CHECK_OK(cuSurfRefGetArray(&bound, surface));
	CHECK(bound == array);
	CHECK_EQ(cuTexRefSetAddress_v2(NULL, texture, data + 4, 64), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuTexRefSetAddress_v2(&offset, texture, data + 4, 64));
	CHECK_EQ(offset, 4);
	CHECK_OK(cuTexRefSetAddress_v2(&offset, texture, data + 512, 64));
	CHECK_EQ(offset, 0);
	CHECK_OK(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL));
	CHECK_OK(cuMemcpyDtoH_v2(&got, out, sizeof(got)));
	CHECK(got == 130);
	CHECK_OK(cuMemcpyAtoH_v2(&got, array, 4, sizeof(got)));
	CHECK(got == 130);
	CHECK_EQ(cuTexRefDestroy(texture), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuArrayDestroy(array));
	CHECK_OK(cuModuleUnload(module));
	CHECK_EQ(cuTexRefSetFlags(texture, 0), CUDA_ERROR_INVALID_HANDLE);
}
