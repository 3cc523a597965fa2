/*
 * What devices, contexts, modules, libraries, kernels and arrays say of themselves. Where two
 * functions tell the same, they must tell the same; what a program sets it gets back.
 */
#include <unistd.h>

#include "conform.h"

static int attribute(CUdevice_attribute which)
{
	int value = -1;

	OK(cuDeviceGetAttribute(&value, which, 0));
	return value;
}

CONFORM(devices_tell_the_same_twice)
{
	CUdevprop p;
	int major, minor;

	conform_begin();
	OK(cuDeviceComputeCapability(&major, &minor, 0));
	CHECK_EQ(major, attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR));
	CHECK_EQ(minor, attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
	OK(cuDeviceGetProperties(&p, 0));
	CHECK_EQ(p.maxThreadsPerBlock, attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
	CHECK_EQ(p.maxThreadsDim[2], attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z));
	CHECK_EQ(p.maxGridSize[0], attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X));
	CHECK_EQ(p.sharedMemPerBlock, attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK));
	CHECK_EQ(p.totalConstantMemory, attribute(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY));
	CHECK_EQ(p.SIMDWidth, attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE));
	CHECK_EQ(p.memPitch, attribute(CU_DEVICE_ATTRIBUTE_MAX_PITCH));
	CHECK_EQ(p.regsPerBlock, attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK));
	CHECK_EQ(p.clockRate, attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE));
	CHECK_EQ(p.textureAlign, attribute(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT));
	GIVES(cuDeviceGetProperties(NULL, 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuDeviceGetProperties(&p, 100000), CUDA_ERROR_INVALID_DEVICE);
	GIVES(cuDeviceComputeCapability(&major, &minor, 100000), CUDA_ERROR_INVALID_DEVICE);
}

CONFORM(a_device_is_no_peer_of_its_own)
{
	CUcontext context;
	int can = 7;

	conform_begin();
	OK(cuDeviceCanAccessPeer(&can, 0, 0));
	CHECK_EQ(can, 0);
	GIVES(cuDeviceCanAccessPeer(&can, 0, 100000), CUDA_ERROR_INVALID_DEVICE);
	GIVES(cuDeviceGetP2PAttribute(&can, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, 0, 100000),
	    CUDA_ERROR_INVALID_DEVICE);
	OK(cuCtxGetCurrent(&context));
	GIVES(cuCtxEnablePeerAccess(context, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK(cuCtxEnablePeerAccess(context, 0) != CUDA_SUCCESS);
	CHECK(cuCtxDisablePeerAccess(context) != CUDA_SUCCESS);
}

CONFORM(texels_of_linear_memory_have_a_limit)
{
	size_t bytes1 = 0, bytes4 = 0;

	conform_begin();
	OK(cuDeviceGetTexture1DLinearMaxWidth(&bytes1, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0));
	OK(cuDeviceGetTexture1DLinearMaxWidth(&bytes4, CU_AD_FORMAT_FLOAT, 4, 0));
	CHECK(bytes1 >= 1 << 27);
	CHECK(bytes4 && bytes4 <= bytes1);
}

CONFORM(graph_memory_is_accounted)
{
	uint64_t value = 7, zero = 0;

	conform_begin();
	OK(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &value));
	CHECK_EQ(value, 0);
	OK(cuDeviceSetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &zero));
	OK(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &value));
	CHECK_EQ(value, 0);
	OK(cuDeviceGraphMemTrim(0));
	OK(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT, &value));
	CHECK_EQ(value, 0);
	GIVES(cuDeviceSetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &zero),
	    CUDA_ERROR_INVALID_VALUE);
}

CONFORM(contexts_keep_what_is_set)
{
	CUfunc_cache cache;
	unsigned flags;

	conform_begin();
	OK(cuCtxSetFlags(CU_CTX_SCHED_BLOCKING_SYNC));
	OK(cuCtxGetFlags(&flags));
	CHECK_EQ(flags & CU_CTX_SCHED_MASK, CU_CTX_SCHED_BLOCKING_SYNC);
	OK(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
	OK(cuCtxGetCacheConfig(&cache));
	CHECK_EQ(cache, CU_FUNC_CACHE_PREFER_L1);
	GIVES(cuCtxSetCacheConfig((CUfunc_cache)77), CUDA_ERROR_INVALID_VALUE);
	OK(cuCtxResetPersistingL2Cache());
}

CONFORM(contexts_record_and_wait)
{
	unsigned value = 6, got = 0;
	int n = 1;
	CUcontext context;
	CUdeviceptr data;
	CUevent event;

	conform_begin();
	OK(cuCtxGetCurrent(&context));
	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	OK(cuMemAlloc(&data, 4));
	OK(conform_launch(conform_kernel("fill"), 1, 1, 0, NULL, (void *[]){&data, &value, &n}));
	OK(cuCtxRecordEvent(context, event));
	OK(cuCtxWaitEvent(context, event));
	OK(cuEventSynchronize(event));
	OK(cuMemcpyDtoH(&got, data, 4));
	CHECK_EQ(got, 6);
	OK(cuEventDestroy(event));
}

static CUmodule load(void)
{
	CUmodule module;

	OK(cuModuleLoadData(&module, conform_ptx));
	return module;
}

CONFORM(modules_list_their_functions)
{
	CUmoduleLoadingMode mode;
	CUfunction functions[64], fill;
	CUmodule of;
	const char *name;
	unsigned count = 0, found = 0;

	conform_begin();
	CUmodule module = load();
	OK(cuModuleGetLoadingMode(&mode));
	CHECK(mode == CU_MODULE_EAGER_LOADING || mode == CU_MODULE_LAZY_LOADING);
	OK(cuModuleGetFunctionCount(&count, module));
	CHECK_EQ(count, 15);
	OK(cuModuleEnumerateFunctions(functions, count, module));
	OK(cuModuleGetFunction(&fill, module, "fill"));
	for (unsigned i = 0; i < count; i++) {
		OK(cuFuncGetName(&name, functions[i]));
		OK(cuFuncGetModule(&of, functions[i]));
		CHECK(of == module);
		found += !strcmp(name, "fill");
	}
	CHECK_EQ(found, 1);
	OK(cuFuncGetName(&name, fill));
	CHECK_STR(name, "fill");
	GIVES(cuModuleGetFunctionCount(NULL, module), CUDA_ERROR_INVALID_VALUE);
	OK(cuModuleUnload(module));
}

CONFORM(functions_can_be_loaded_ahead)
{
	CUfunctionLoadingState state = CU_FUNCTION_LOADING_STATE_MAX;

	conform_begin();
	CUfunction fill = conform_kernel("fill");
	OK(cuFuncLoad(fill));
	OK(cuFuncIsLoaded(&state, fill));
	CHECK_EQ(state, CU_FUNCTION_LOADING_STATE_LOADED);
	OK(cuFuncSetCacheConfig(fill, CU_FUNC_CACHE_PREFER_SHARED));
	OK(cuFuncSetSharedMemConfig(fill, CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE));
}

/* Of kernel "parameters": char, u64, short, a struct of 8-byte alignment, float, a pointer. */
static void check_parameters(CUresult (*info)(void *, size_t, size_t *, size_t *), void *of)
{
	static const size_t offsets[] = {0, 8, 16, 24}, sizes[] = {1, 8, 2};
	size_t offset, size, end;

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		OK(info(of, i, &offset, &size));
		CHECK_EQ(offset, offsets[i]);
		if (i < ARRAY_SIZE(sizes))
			CHECK_EQ(size, sizes[i]);
	}
	end = offset + size;
	OK(info(of, 4, &offset, &size));
	CHECK_EQ(offset, end);
	CHECK_EQ(size, 4);
	OK(info(of, 5, &offset, NULL));
	CHECK_EQ(offset, (end + 4 + 7) / 8 * 8);
	GIVES(info(of, 6, &offset, &size), CUDA_ERROR_INVALID_VALUE);
}

static CUresult of_function(void *function, size_t i, size_t *offset, size_t *size)
{
	return cuFuncGetParamInfo(function, i, offset, size);
}

static CUresult of_kernel(void *kernel, size_t i, size_t *offset, size_t *size)
{
	return cuKernelGetParamInfo(kernel, i, offset, size);
}

CONFORM(kernels_tell_where_their_parameters_lie)
{
	CUlibrary library;
	CUkernel kernel;

	conform_begin();
	check_parameters(of_function, conform_kernel("parameters"));
	OK(cuLibraryLoadData(&library, conform_ptx, NULL, NULL, 0, NULL, NULL, 0));
	OK(cuLibraryGetKernel(&kernel, library, "parameters"));
	check_parameters(of_kernel, kernel);
	OK(cuLibraryUnload(library));
}

CONFORM(libraries_list_their_kernels)
{
	CUkernel kernels[64], fill;
	CUlibrary library, of;
	CUfunction function;
	CUmodule module;
	const char *name;
	unsigned found = 0;

	conform_begin();
	OK(cuLibraryLoadData(&library, conform_ptx, NULL, NULL, 0, NULL, NULL, 0));
	OK(cuLibraryEnumerateKernels(kernels, 15, library));
	for (unsigned i = 0; i < 15; i++) {
		OK(cuKernelGetName(&name, kernels[i]));
		OK(cuKernelGetLibrary(&of, kernels[i]));
		CHECK(of == library);
		found += !strcmp(name, "fill");
	}
	CHECK_EQ(found, 1);
	OK(cuLibraryGetModule(&module, library));
	OK(cuModuleGetFunction(&function, module, "fill"));
	OK(cuLibraryGetKernel(&fill, library, "fill"));
	OK(cuKernelSetCacheConfig(fill, CU_FUNC_CACHE_PREFER_L1, 0));
	OK(cuLibraryUnload(library));
}

CONFORM(kernels_keep_their_attributes)
{
	CUlibrary library;
	CUkernel reduce;
	int value = 0;

	conform_begin();
	OK(cuLibraryLoadData(&library, conform_ptx, NULL, NULL, 0, NULL, NULL, 0));
	OK(cuLibraryGetKernel(&reduce, library, "reduce"));
	OK(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 4096, reduce, 0));
	OK(cuKernelGetAttribute(
	    &value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, reduce, 0));
	CHECK_EQ(value, 4096);
	GIVES(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_NUM_REGS, 8, reduce, 0),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuLibraryUnload(library));
}

CONFORM(libraries_come_from_files)
{
	char path[] = "/tmp/conform-XXXXXX";
	int fd = mkstemp(path);
	CUlibrary library;
	CUkernel fill;

	CHECK(fd >= 0);
	conform_begin();
	CHECK_EQ(write(fd, conform_ptx, strlen(conform_ptx)), strlen(conform_ptx));
	OK(cuLibraryLoadFromFile(&library, path, NULL, NULL, 0, NULL, NULL, 0));
	close(fd);
	unlink(path);
	OK(cuLibraryGetKernel(&fill, library, "fill"));
	OK(cuLibraryUnload(library));
	GIVES(cuLibraryLoadFromFile(&library, path, NULL, NULL, 0, NULL, NULL, 0),
	    CUDA_ERROR_FILE_NOT_FOUND);
}

CONFORM(occupancy_agrees_with_itself)
{
	int blocks, same, grid, threads;
	size_t shared = 0, most;

	conform_begin();
	CUfunction reduce = conform_kernel("reduce");
	OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, reduce, 128, 1024));
	OK(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
	    &same, reduce, 128, 1024, CU_OCCUPANCY_DEFAULT));
	CHECK_EQ(same, blocks);
	OK(cuOccupancyMaxPotentialBlockSizeWithFlags(
	    &grid, &threads, reduce, NULL, 0, 64, CU_OCCUPANCY_DEFAULT));
	CHECK(grid >= 1 && threads >= 1 && threads <= 64);
	OK(cuOccupancyAvailableDynamicSMemPerBlock(&shared, reduce, 1, 128));
	CHECK(shared >= 16384);
	OK(cuOccupancyAvailableDynamicSMemPerBlock(&most, reduce, 4, 128));
	CHECK(most <= shared);
	OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&same, reduce, 128, most));
	CHECK(same >= 4);
	GIVES(cuOccupancyAvailableDynamicSMemPerBlock(&shared, reduce, 1, 0),
	    CUDA_ERROR_INVALID_VALUE);
}

CONFORM(arrays_tell_what_they_need)
{
	CUDA_ARRAY3D_DESCRIPTOR d = {64, 32, 0, CU_AD_FORMAT_FLOAT, 4, 0};
	CUDA_ARRAY_MEMORY_REQUIREMENTS needs = {0};
	CUDA_ARRAY3D_DESCRIPTOR deferred = d;
	CUarray array, plane;

	conform_begin();
	OK(cuArray3DCreate(&array, &d));
	CHECK(cuArrayGetPlane(&plane, array, 0) != CUDA_SUCCESS); /* it has one format */
	OK(cuArrayDestroy(array));
	deferred.Flags = CUDA_ARRAY3D_DEFERRED_MAPPING;
	CUresult r = cuArray3DCreate(&array, &deferred);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no arrays without memory");
	OK(r);
	OK(cuArrayGetMemoryRequirements(&needs, array, 0));
	CHECK(needs.size >= 64 * 32 * 16);
	CHECK(needs.alignment && needs.alignment % 512 == 0);
	OK(cuArrayDestroy(array));
}

CONFORM(managed_ranges_tell_several_things_at_once)
{
	CUmem_range_attribute which[] = {
	    CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION};
	int values[2] = {7, 7};
	void *places[] = {&values[0], &values[1]};
	size_t sizes[] = {sizeof(int), sizeof(int)};
	CUmemLocation location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0};
	CUdeviceptr data;

	conform_begin();
	if (!attribute(CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS))
		SKIP("no advice about managed memory");
	OK(cuMemAllocManaged(&data, 1 << 16, CU_MEM_ATTACH_GLOBAL));
	OK(cuMemAdvise(data, 1 << 16, CU_MEM_ADVISE_SET_READ_MOSTLY, location));
	OK(cuMemAdvise(data, 1 << 16, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, location));
	OK(cuMemRangeGetAttributes(places, sizes, which, 2, data, 1 << 16));
	CHECK_EQ(values[0], 1);
	CHECK_EQ(values[1], 0);
	OK(cuMemFree(data));
}
