/*
 * Functions of early CUDA that the driver still exports: forms with 32-bit sizes and addresses,
 * counted contexts, launches whose parameters are state of the function, texture references.
 *
 * A context remembers whether it was made by cuCtxCreate of before CUDA 3.2. The narrow forms are
 * for such contexts; elsewhere, in a primary one too, they give CUDA_ERROR_INVALID_CONTEXT. Their
 * names are those that a header of today gives to newer forms, which are called here by their full
 * names.
 */
#include "conform.h"

#undef cuArrayCreate
#undef cuArrayGetDescriptor
#undef cuCtxCreate
#undef cuDeviceTotalMem
#undef cuMemAlloc
#undef cuMemAllocHost
#undef cuMemAllocPitch
#undef cuMemFree
#undef cuMemGetAddressRange
#undef cuMemGetInfo
#undef cuMemcpy2D
#undef cuMemcpyAtoH
#undef cuMemcpyDtoH
#undef cuMemcpyHtoA
#undef cuMemcpyHtoD
#undef cuMemsetD8
#undef cuTexRefGetAddress
#undef cuTexRefSetAddress

CONFORM(total_memory_needs_no_context)
{
	unsigned narrow;
	size_t wide;

	OK(cuInit(0));
	OK(cuDeviceTotalMem(&narrow, 0));
	OK(cuDeviceTotalMem_v2(&wide, 0));
	if (wide <= UINT32_MAX)
		CHECK_EQ(narrow, wide);
	GIVES(cuDeviceTotalMem(&narrow, 100000), CUDA_ERROR_INVALID_DEVICE);
	GIVES(cuDeviceTotalMem(NULL, 0), CUDA_ERROR_INVALID_VALUE);
}

CONFORM(narrow_forms_are_refused_in_contexts_of_today)
{
	CUDA_ARRAY_DESCRIPTOR_v1 d = {8, 4, CU_AD_FORMAT_UNSIGNED_INT8, 1};
	CUcontext own;
	CUdeviceptr_v1 address;
	CUarray array;
	unsigned a, b, version;
	void *host;

	GIVES(cuMemAlloc(&address, 16), CUDA_ERROR_NOT_INITIALIZED);
	conform_begin();
	OK(cuCtxGetApiVersion(NULL, &version));
	CHECK(version >= 3020);
	for (int i = 0; i < 2; i++) {
		if (i)
			OK(cuCtxCreate_v2(&own, 0, 0));
		GIVES(cuMemAlloc(&address, 16), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemAllocPitch(&address, &a, 64, 4, 4), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemAllocHost(&host, 64), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemGetInfo(&a, &b), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuArrayCreate(&array, &d), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemFree(4096), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemcpyHtoD(4096, &a, 4), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemcpyDtoH(&a, 4096, 4), CUDA_ERROR_INVALID_CONTEXT);
		GIVES(cuMemsetD8(4096, 1, 4), CUDA_ERROR_INVALID_CONTEXT);
	}
	OK(cuCtxDestroy(own));
}

CONFORM(narrow_contexts)
{
	CUcontext narrow;
	unsigned version, free_bytes, total;
	void *host;

	OK(cuInit(0));
	OK(cuCtxCreate(&narrow, 0, 0));
	OK(cuCtxGetApiVersion(narrow, &version));
	CHECK_EQ(version, 3010);
	OK(cuMemGetInfo(&free_bytes, &total));
	CHECK(free_bytes > 0 && free_bytes <= total);
	OK(cuMemAllocHost(&host, 64));
	memset(host, 1, 64);
	OK(cuMemFreeHost(host));
	OK(cuCtxDestroy(narrow));
}

/* There may be no memory at addresses of 32 bits; what there is works. */
CONFORM(narrow_addresses)
{
	CUdeviceptr_v1 address = 0, base;
	unsigned char out[256], in[256];
	unsigned bytes;
	CUcontext narrow;

	OK(cuInit(0));
	OK(cuCtxCreate(&narrow, 0, 0));
	conform_fill(in, sizeof(in), 1);
	CUresult r = cuMemAlloc(&address, sizeof(in));
	if (r != CUDA_SUCCESS) {
		CHECK_EQ(r, CUDA_ERROR_OUT_OF_MEMORY);
		OK(cuCtxDestroy(narrow));
		return;
	}
	CHECK(address);
	OK(cuMemcpyHtoD(address, in, sizeof(in)));
	OK(cuMemcpyDtoH(out, address, sizeof(out)));
	CHECK_BYTES(out, in, sizeof(in));
	OK(cuMemGetAddressRange(&base, &bytes, address + 8));
	CHECK_EQ(base, address);
	CHECK_EQ(bytes, sizeof(in));
	OK(cuMemFree(address));
	OK(cuCtxDestroy(narrow));
}

CONFORM(narrow_array_copies)
{
	CUDA_ARRAY_DESCRIPTOR_v1 d = {16, 8, CU_AD_FORMAT_UNSIGNED_INT8, 1}, got = {0};
	unsigned char in[128], out[128] = {0};
	CUcontext narrow;
	CUarray array;

	OK(cuInit(0));
	OK(cuCtxCreate(&narrow, 0, 0));
	conform_fill(in, sizeof(in), 2);
	OK(cuArrayCreate(&array, &d));
	OK(cuArrayGetDescriptor(&got, array));
	CHECK_BYTES(&got, &d, sizeof(d));
	CUDA_MEMCPY2D_v1 copy = {
	    .srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = in,
	    .srcPitch = 16,
	    .dstMemoryType = CU_MEMORYTYPE_ARRAY,
	    .dstArray = array,
	    .WidthInBytes = 16,
	    .Height = 8,
	};
	OK(cuMemcpy2D(&copy));
	OK(cuMemcpyHtoA(array, 4, out, 4));
	memset(in + 4, 0, 4);
	OK(cuMemcpyAtoH(out, array, 0, 16));
	CHECK_BYTES(out, in, 16);
	GIVES(cuMemcpy2D(NULL), CUDA_ERROR_INVALID_VALUE);
	OK(cuArrayDestroy(array));
	OK(cuCtxDestroy(narrow));
}

CONFORM(contexts_count_their_uses)
{
	CUcontext own, attached, current;

	OK(cuInit(0));
	GIVES(cuCtxAttach(&attached, 0), CUDA_ERROR_INVALID_CONTEXT);
	OK(cuCtxCreate_v2(&own, 0, 0));
	GIVES(cuCtxAttach(&attached, 1), CUDA_ERROR_INVALID_VALUE);
	OK(cuCtxAttach(&attached, 0));
	CHECK(attached == own);
	OK(cuCtxDetach(own));
	OK(cuCtxGetCurrent(&current));
	CHECK(current == own);
	OK(cuCtxDetach(own));
	OK(cuCtxGetCurrent(&current));
	CHECK(!current);
}

/* --- launching as it was before CUDA 4 --- */

CONFORM(parameters_are_state_of_the_function)
{
	unsigned value = 7, got[300];
	int n = 300;
	CUdeviceptr data;

	conform_begin();
	CUfunction fill = conform_kernel("fill"); /* (unsigned *data, unsigned value, int n) */
	OK(cuMemAlloc_v2(&data, sizeof(got)));
	OK(cuMemsetD8_v2(data, 0, sizeof(got)));
	OK(cuFuncSetBlockShape(fill, 128, 1, 1));
	OK(cuFuncSetSharedSize(fill, 64));
	OK(cuParamSetv(fill, 0, &data, sizeof(data)));
	OK(cuParamSeti(fill, 8, value));
	OK(cuParamSeti(fill, 12, 128));
	OK(cuParamSetSize(fill, 16));
	OK(cuLaunch(fill));
	OK(cuMemcpyDtoH_v2(got, data, sizeof(got)));
	for (int i = 0; i < n; i++)
		CHECK_EQ(got[i], i < 128 ? 7 : 0);
	OK(cuParamSetf(fill, 8, 1.0f)); /* its bits */
	OK(cuLaunch(fill));
	OK(cuMemcpyDtoH_v2(got, data, 4));
	CHECK_EQ(got[0], 0x3f800000);
	OK(cuParamSeti(fill, 8, 9));
	OK(cuParamSeti(fill, 12, (unsigned)n));
	OK(cuLaunchGrid(fill, 3, 1));
	OK(cuMemcpyDtoH_v2(got, data, sizeof(got)));
	for (int i = 0; i < n; i++)
		CHECK_EQ(got[i], 9);
	GIVES(cuLaunchGrid(fill, 0, 1), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuFuncSetBlockShape(fill, 0, 1, 1), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFree_v2(data));
}

CONFORM(old_launches_keep_the_order_of_a_stream)
{
	unsigned got[64];
	CUstream stream;
	CUdeviceptr data;

	conform_begin();
	CUfunction increment = conform_kernel("increment"); /* (unsigned *data, int n) */
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc_v2(&data, sizeof(got)));
	OK(cuMemsetD8_v2(data, 0, sizeof(got)));
	OK(cuCtxSynchronize());
	OK(cuFuncSetBlockShape(increment, 64, 1, 1));
	OK(cuParamSetv(increment, 0, &data, sizeof(data)));
	OK(cuParamSeti(increment, 8, 64));
	OK(cuParamSetSize(increment, 12));
	for (int i = 0; i < 20; i++)
		OK(cuLaunchGridAsync(increment, 1, 1, stream));
	OK(cuMemcpyDtoHAsync_v2(got, data, sizeof(got), stream));
	OK(cuStreamSynchronize(stream));
	for (int i = 0; i < 64; i++)
		CHECK_EQ(got[i], 20);
	OK(cuStreamDestroy(stream));
}

/* --- texture and surface references --- */

/*
 * The reference of a module with two entries that read thread i's element: "fetch" takes the number
 * of an element of linear memory, "sample" a place in an array. Ends the test as skipped where the
 * library has none.
 */
static CUtexref texture_reference(const char *entry, CUfunction *function)
{
	static const char text[] =
	    ".version 6.0\n.target sm_52\n.address_size 64\n"
	    ".global .texref source;\n"
	    ".visible .entry fetch(.param .u64 out)\n"
	    "{\n"
	    "	.reg .b64 %rd<4>;\n	.reg .b32 %r<2>;\n	.reg .f32 %f<5>;\n"
	    "	ld.param.u64 %rd1, [out];\n"
	    "	cvta.to.global.u64 %rd2, %rd1;\n"
	    "	mov.u32 %r1, %tid.x;\n"
	    "	tex.1d.v4.f32.s32 {%f1, %f2, %f3, %f4}, [source, {%r1}];\n"
	    "	mul.wide.u32 %rd3, %r1, 4;\n"
	    "	add.s64 %rd2, %rd2, %rd3;\n"
	    "	st.global.f32 [%rd2], %f1;\n"
	    "	ret;\n"
	    "}\n"
	    ".visible .entry sample(.param .u64 out)\n"
	    "{\n"
	    "	.reg .b64 %rd<4>;\n	.reg .b32 %r<2>;\n	.reg .f32 %f<6>;\n"
	    "	ld.param.u64 %rd1, [out];\n"
	    "	cvta.to.global.u64 %rd2, %rd1;\n"
	    "	mov.u32 %r1, %tid.x;\n"
	    "	cvt.rn.f32.u32 %f5, %r1;\n"
	    "	add.f32 %f5, %f5, 0f3F000000;\n"
	    "	tex.1d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [source, {%f5}];\n"
	    "	mul.wide.u32 %rd3, %r1, 4;\n"
	    "	add.s64 %rd2, %rd2, %rd3;\n"
	    "	st.global.f32 [%rd2], %f1;\n"
	    "	ret;\n"
	    "}\n";
	CUtexref reference;
	CUmodule module;

	if (cuModuleLoadData(&module, text) != CUDA_SUCCESS)
		SKIP("no texture references in code");
	CUresult r = cuModuleGetTexRef(&reference, module, "source");
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no texture references");
	OK(r);
	OK(cuModuleGetFunction(function, module, entry));
	return reference;
}

CONFORM(texture_references_keep_what_is_set)
{
	CUarray_format format;
	CUaddress_mode mode;
	CUfilter_mode filter;
	CUfunction fetch;
	CUdeviceptr data, got;
	unsigned flags;
	int channels;
	size_t offset;

	conform_begin();
	CUtexref t = texture_reference("fetch", &fetch);
	OK(cuMemAlloc_v2(&data, 4096));
	OK(cuTexRefSetFormat(t, CU_AD_FORMAT_FLOAT, 1));
	OK(cuTexRefGetFormat(&format, &channels, t));
	CHECK_EQ(format, CU_AD_FORMAT_FLOAT);
	CHECK_EQ(channels, 1);
	OK(cuTexRefSetAddressMode(t, 0, CU_TR_ADDRESS_MODE_CLAMP));
	OK(cuTexRefGetAddressMode(&mode, t, 0));
	CHECK_EQ(mode, CU_TR_ADDRESS_MODE_CLAMP);
	OK(cuTexRefSetFilterMode(t, CU_TR_FILTER_MODE_LINEAR));
	OK(cuTexRefGetFilterMode(&filter, t));
	CHECK_EQ(filter, CU_TR_FILTER_MODE_LINEAR);
	OK(cuTexRefSetFlags(t, CU_TRSF_READ_AS_INTEGER));
	OK(cuTexRefGetFlags(&flags, t));
	CHECK_EQ(flags, CU_TRSF_READ_AS_INTEGER);
	OK(cuTexRefSetAddress_v2(&offset, t, data, 4096));
	CHECK_EQ(offset, 0);
	OK(cuTexRefGetAddress_v2(&got, t));
	CHECK_EQ(got, data);
}

CONFORM(samplers_of_texture_references_keep_what_is_set)
{
	float low, high, bias, border[4] = {0.25f, 0.5f, 0.75f, 1}, got[4] = {0};
	CUfilter_mode filter;
	CUfunction sample;
	int anisotropy;

	conform_begin();
	CUtexref t = texture_reference("sample", &sample);
	OK(cuTexRefSetMipmapFilterMode(t, CU_TR_FILTER_MODE_LINEAR));
	OK(cuTexRefGetMipmapFilterMode(&filter, t));
	CHECK_EQ(filter, CU_TR_FILTER_MODE_LINEAR);
	OK(cuTexRefSetMipmapLevelBias(t, 1.5f));
	OK(cuTexRefGetMipmapLevelBias(&bias, t));
	CHECK(bias == 1.5f);
	OK(cuTexRefSetMipmapLevelClamp(t, 0.5f, 3));
	OK(cuTexRefGetMipmapLevelClamp(&low, &high, t));
	CHECK(low == 0.5f && high == 3);
	OK(cuTexRefSetMaxAnisotropy(t, 4));
	OK(cuTexRefGetMaxAnisotropy(&anisotropy, t));
	CHECK_EQ(anisotropy, 4);
	OK(cuTexRefSetBorderColor(t, border));
	OK(cuTexRefGetBorderColor(got, t));
	CHECK_BYTES(got, border, sizeof(got));
}

CONFORM(texture_references_of_a_programs_own)
{
	CUDA_ARRAY_DESCRIPTOR d = {32, 8, CU_AD_FORMAT_FLOAT, 1};
	CUdeviceptr data, got;
	CUtexref own;
	size_t pitch;

	conform_begin();
	CUresult r = cuTexRefCreate(&own);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no texture references");
	OK(r);
	OK(cuMemAllocPitch_v2(&data, &pitch, 128, 8, 4));
	OK(cuTexRefSetFormat(own, CU_AD_FORMAT_FLOAT, 1));
	OK(cuTexRefSetAddress2D_v3(own, &d, data, pitch));
	OK(cuTexRefGetAddress_v2(&got, own));
	CHECK_EQ(got, data);
	OK(cuTexRefDestroy(own));
}

CONFORM(texture_references_are_read_by_kernels)
{
	float in[64], out[64];
	CUfunction fetch;
	CUdeviceptr data, result;

	conform_begin();
	CUtexref t = texture_reference("fetch", &fetch);
	for (int i = 0; i < 64; i++)
		in[i] = (float)i * 0.5f;
	OK(cuMemAlloc_v2(&data, sizeof(in)));
	OK(cuMemAlloc_v2(&result, sizeof(out)));
	OK(cuMemcpyHtoD_v2(data, in, sizeof(in)));
	OK(cuTexRefSetFormat(t, CU_AD_FORMAT_FLOAT, 1));
	OK(cuTexRefSetAddress_v2(NULL, t, data, sizeof(in)));
	OK(cuParamSetTexRef(fetch, CU_PARAM_TR_DEFAULT, t));
	OK(conform_launch(fetch, 1, 64, 0, NULL, (void *[]){&result}));
	OK(cuMemcpyDtoH_v2(out, result, sizeof(out)));
	CHECK_BYTES(out, in, sizeof(in));
}

CONFORM(texture_references_of_arrays)
{
	CUDA_ARRAY_DESCRIPTOR d = {64, 0, CU_AD_FORMAT_FLOAT, 1};
	float in[64], out[64];
	CUfunction sample;
	CUdeviceptr result;
	CUarray array, got;

	conform_begin();
	CUtexref t = texture_reference("sample", &sample);
	for (int i = 0; i < 64; i++)
		in[i] = (float)(i * i);
	OK(cuArrayCreate_v2(&array, &d));
	OK(cuMemcpyHtoA_v2(array, 0, in, sizeof(in)));
	OK(cuTexRefSetArray(t, array, CU_TRSA_OVERRIDE_FORMAT));
	OK(cuTexRefGetArray(&got, t));
	CHECK(got == array);
	OK(cuParamSetTexRef(sample, CU_PARAM_TR_DEFAULT, t));
	OK(cuMemAlloc_v2(&result, sizeof(out)));
	OK(conform_launch(sample, 1, 64, 0, NULL, (void *[]){&result}));
	OK(cuMemcpyDtoH_v2(out, result, sizeof(out)));
	CHECK_BYTES(out, in, sizeof(in));
	OK(cuArrayDestroy(array));
}

CONFORM(references_are_found_by_name)
{
	CUfunction fetch;
	CUtexref none;
	CUsurfref surface;
	CUmodule module;

	conform_begin();
	texture_reference("fetch", &fetch);
	OK(cuFuncGetModule(&module, fetch));
	GIVES(cuModuleGetTexRef(&none, module, "elsewhere"), CUDA_ERROR_NOT_FOUND);
	GIVES(cuModuleGetSurfRef(&surface, module, "source"), CUDA_ERROR_NOT_FOUND);
}

CONFORM(cooperative_launch_on_a_list_of_devices)
{
	unsigned value = 5, got[256];
	int n = 256, able = 0;
	CUstream stream;
	CUdeviceptr data;

	conform_begin();
	OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_COOPERATIVE_MULTI_DEVICE_LAUNCH, 0));
	if (!able)
		SKIP("no launch over several devices");
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc_v2(&data, sizeof(got)));
	CUDA_LAUNCH_PARAMS launch = {
	    .function = conform_kernel("fill"),
	    .gridDimX = 2,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 128,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .hStream = stream,
	    .kernelParams = (void *[]){&data, &value, &n},
	};
	OK(cuLaunchCooperativeKernelMultiDevice(&launch, 1, 0));
	OK(cuStreamSynchronize(stream));
	OK(cuMemcpyDtoH_v2(got, data, sizeof(got)));
	for (int i = 0; i < n; i++)
		CHECK_EQ(got[i], 5);
	GIVES(cuLaunchCooperativeKernelMultiDevice(&launch, 0, 0), CUDA_ERROR_INVALID_VALUE);
}
