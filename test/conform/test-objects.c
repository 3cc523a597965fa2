/* Devices, contexts, streams, events, modules, libraries: life cycles, queries, error precedence.
 */
#include "conform.h"

CONFORM(nothing_works_before_init)
{
	int count;
	CUdeviceptr a;
	const char *text;

	GIVES(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
	GIVES(cuMemAlloc(&a, 4), CUDA_ERROR_NOT_INITIALIZED);
	OK(cuDriverGetVersion(&count));
	CHECK(count >= 12000);
	OK(cuGetErrorName(CUDA_ERROR_OUT_OF_MEMORY, &text));
	CHECK_STR(text, "CUDA_ERROR_OUT_OF_MEMORY");
	OK(cuGetErrorString(CUDA_ERROR_INVALID_VALUE, &text));
	CHECK_STR(text, "invalid argument");
	GIVES(cuGetErrorName((CUresult)123456, &text), CUDA_ERROR_INVALID_VALUE);
}

CONFORM(device_queries)
{
	CUdevice device, again;
	int count, value;
	char name[256], pci[32];
	size_t total;
	CUuuid uuid;

	OK(cuInit(0));
	OK(cuDeviceGetCount(&count));
	CHECK(count >= 1);
	OK(cuDeviceGet(&device, 0));
	GIVES(cuDeviceGet(&device, count), CUDA_ERROR_INVALID_DEVICE);
	OK(cuDeviceGetName(name, sizeof(name), 0));
	CHECK(strlen(name) > 3);
	OK(cuDeviceTotalMem(&total, 0));
	CHECK(total > 1 << 20);
	OK(cuDeviceGetUuid(&uuid, 0));
	OK(cuDeviceGetPCIBusId(pci, sizeof(pci), 0));
	OK(cuDeviceGetByPCIBusId(&again, pci));
	CHECK_EQ(again, 0);
	OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
	CHECK_EQ(value, 32);
	GIVES(
	    cuDeviceGetAttribute(&value, (CUdevice_attribute)100000, 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, count),
	    CUDA_ERROR_INVALID_DEVICE);
	GIVES(cuDeviceGetCount(NULL), CUDA_ERROR_INVALID_VALUE);
}

CONFORM(context_stack)
{
	CUcontext primary, got;
	CUdevice device;
	unsigned flags;
	int active;

	OK(cuInit(0));
	OK(cuCtxGetCurrent(&got));
	CHECK(!got);
	GIVES(cuCtxGetDevice(&device), CUDA_ERROR_INVALID_CONTEXT);
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(active, 0);
	OK(cuDevicePrimaryCtxRetain(&primary, 0));
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(active, 1);
	OK(cuCtxPushCurrent(primary));
	OK(cuCtxGetDevice(&device));
	CHECK_EQ(device, 0);
	OK(cuCtxPopCurrent(&got));
	CHECK(got == primary);
	OK(cuCtxGetCurrent(&got));
	CHECK(!got);
	GIVES(cuCtxPopCurrent(&got), CUDA_ERROR_INVALID_CONTEXT);
	CUdeviceptr a;
	GIVES(cuMemAlloc(&a, 4), CUDA_ERROR_INVALID_CONTEXT);
	OK(cuDevicePrimaryCtxRelease(0));
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(active, 0);
}

CONFORM(streams_and_events_order_work)
{
	CUstream a, b;
	CUevent done, start, end;
	CUdeviceptr data;
	unsigned one = 1, got[1024];
	int n = 1024;
	float milliseconds;
	unsigned long long turns = 20000;
	CUdeviceptr word;

	conform_begin();
	CUfunction fill = conform_kernel("fill"), increment = conform_kernel("increment");
	OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreateWithPriority(&b, CU_STREAM_NON_BLOCKING, 0));
	OK(cuEventCreate(&done, CU_EVENT_DISABLE_TIMING));
	OK(cuEventCreate(&start, CU_EVENT_DEFAULT));
	OK(cuEventCreate(&end, CU_EVENT_DEFAULT));
	OK(cuMemAlloc(&data, sizeof(got)));
	OK(cuMemAlloc(&word, 4));
	OK(cuEventRecord(start, a));
	OK(conform_launch(conform_kernel("spin"), 1, 1, 0, a, (void *[]){&word, &turns}));
	OK(conform_launch(fill, 4, 256, 0, a, (void *[]){&data, &one, &n}));
	OK(cuEventRecord(done, a));
	OK(cuStreamWaitEvent(b, done, 0));
	for (int i = 0; i < 10; i++)
		OK(conform_launch(increment, 4, 256, 0, b, (void *[]){&data, &n}));
	OK(cuMemcpyDtoHAsync(got, data, sizeof(got), b));
	OK(cuStreamSynchronize(b));
	for (int i = 0; i < n; i++)
		CHECK_EQ(got[i], 11);
	OK(cuEventRecord(end, a));
	OK(cuEventSynchronize(end));
	OK(cuEventQuery(end));
	OK(cuStreamQuery(a));
	OK(cuEventElapsedTime(&milliseconds, start, end));
	CHECK(milliseconds > 0 && milliseconds < 60000);
	GIVES(cuEventElapsedTime(&milliseconds, start, done), CUDA_ERROR_INVALID_HANDLE);
	OK(cuEventDestroy(done));
	OK(cuEventDestroy(start));
	OK(cuEventDestroy(end));
	OK(cuStreamDestroy(a));
	OK(cuStreamDestroy(b));
}

CONFORM(stream_properties)
{
	CUstream stream;
	CUcontext context, current;
	unsigned flags;
	int priority, least, greatest;
	unsigned long long id, other;

	conform_begin();
	OK(cuCtxGetStreamPriorityRange(&least, &greatest));
	CHECK(greatest <= least);
	OK(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, greatest));
	OK(cuStreamGetFlags(stream, &flags));
	CHECK_EQ(flags, CU_STREAM_NON_BLOCKING);
	OK(cuStreamGetPriority(stream, &priority));
	CHECK_EQ(priority, greatest);
	OK(cuStreamGetCtx(stream, &context));
	OK(cuCtxGetCurrent(&current));
	CHECK(context == current);
	OK(cuStreamGetId(stream, &id));
	OK(cuStreamGetId(NULL, &other));
	CHECK(id != other);
	CUstreamCaptureStatus status;
	OK(cuStreamIsCapturing(stream, &status));
	CHECK_EQ(status, CU_STREAM_CAPTURE_STATUS_NONE);
	OK(cuStreamDestroy(stream));
}

CONFORM(module_globals_and_functions)
{
	CUmodule module;
	CUfunction function;
	CUdeviceptr address, out;
	size_t size;
	int value, got[16];

	conform_begin();
	OK(cuModuleLoadData(&module, conform_ptx));
	OK(cuModuleGetGlobal(&address, &size, module, "counter"));
	CHECK_EQ(size, 4);
	OK(cuMemcpyDtoH(&value, address, 4));
	CHECK_EQ(value, 42);
	value = 1000;
	OK(cuMemcpyHtoD(address, &value, 4));
	OK(cuModuleGetGlobal(NULL, &size, module, "table"));
	CHECK_EQ(size, 64);
	OK(cuModuleGetFunction(&function, module, "read_globals"));
	OK(cuMemAlloc(&out, sizeof(got)));
	OK(conform_launch(function, 1, 32, 0, NULL, (void *[]){&out}));
	OK(cuMemcpyDtoH(got, out, sizeof(got)));
	CHECK_EQ(got[0], 1003);
	CHECK_EQ(got[12], 1009);
	GIVES(cuModuleGetFunction(&function, module, "no_such_kernel"), CUDA_ERROR_NOT_FOUND);
	GIVES(cuModuleGetGlobal(&address, &size, module, "no_such_variable"), CUDA_ERROR_NOT_FOUND);
	OK(cuModuleUnload(module));
}

CONFORM(bad_images_are_refused)
{
	CUmodule module;

	conform_begin();
	GIVES(cuModuleLoadData(&module, "this is no program at all, not even PTX"),
	    CUDA_ERROR_INVALID_IMAGE);
	GIVES(cuModuleLoadData(&module, ".version 7.0\n.target sm_70\n.address_size 64\n"
					".visible .entry k() { no_such_opcode.u32 %r1; }\n"),
	    CUDA_ERROR_INVALID_PTX);
	GIVES(cuModuleLoad(&module, "/no/such/file"), CUDA_ERROR_FILE_NOT_FOUND);
}

CONFORM(function_attributes)
{
	int value;

	conform_begin();
	CUfunction f = conform_kernel("histogram");
	OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, f));
	CHECK_EQ(value, 256);
	OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f));
	CHECK(value >= 64 && value <= 1024);
	OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, f));
	CHECK(value > 0);
	OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, f, 128, 0));
	CHECK(value >= 1);
	int grid, block;
	OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, NULL, 0, 0));
	CHECK(grid >= 1 && block >= 32 && block <= 1024);
	GIVES(cuFuncGetAttribute(&value, (CUfunction_attribute)1000, f), CUDA_ERROR_INVALID_VALUE);
}

CONFORM(libraries_and_kernels)
{
	CUlibrary library;
	CUkernel kernel;
	CUfunction function;
	CUdeviceptr data, address;
	size_t bytes;
	unsigned value = 3, got, count;
	int n = 1, registers;
	const char *name;

	conform_begin();
	OK(cuLibraryLoadData(&library, conform_ptx, NULL, NULL, 0, NULL, NULL, 0));
	OK(cuLibraryGetKernelCount(&count, library));
	CHECK_EQ(count, 15);
	OK(cuLibraryGetKernel(&kernel, library, "fill"));
	OK(cuKernelGetName(&name, kernel));
	CHECK_STR(name, "fill");
	OK(cuKernelGetFunction(&function, kernel));
	OK(cuKernelGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, kernel, 0));
	CHECK(registers > 0);
	OK(cuMemAlloc(&data, 4));
	/* A kernel handle stands for its function, as the CUDA runtime uses it. */
	OK(conform_launch((CUfunction)kernel, 1, 1, 0, NULL, (void *[]){&data, &value, &n}));
	OK(cuMemcpyDtoH(&got, data, 4));
	CHECK_EQ(got, 3);
	value = 4;
	OK(conform_launch(function, 1, 1, 0, NULL, (void *[]){&data, &value, &n}));
	OK(cuMemcpyDtoH(&got, data, 4));
	CHECK_EQ(got, 4);
	OK(cuLibraryGetGlobal(&address, &bytes, library, "counter"));
	CHECK_EQ(bytes, 4);
	GIVES(cuLibraryGetKernel(&kernel, library, "no_such_kernel"), CUDA_ERROR_NOT_FOUND);
	OK(cuLibraryUnload(library));
}

CONFORM(entry_points_by_name_and_version)
{
	void *plain = NULL, *threaded = NULL, *missing = (void *)1;
	CUdriverProcAddressQueryResult status;

	OK(cuInit(0));
	OK(cuGetProcAddress("cuMemAlloc", &plain, 12000, CU_GET_PROC_ADDRESS_DEFAULT, &status));
	CHECK_EQ(status, CU_GET_PROC_ADDRESS_SUCCESS);
	CHECK(plain);
	OK(cuGetProcAddress(
	    "cuLaunchKernel", &plain, 12000, CU_GET_PROC_ADDRESS_LEGACY_STREAM, &status));
	OK(cuGetProcAddress("cuLaunchKernel", &threaded, 12000,
	    CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status));
	CHECK(plain && threaded && plain != threaded);
	OK(cuGetProcAddress(
	    "cuNoSuchThing", &missing, 12000, CU_GET_PROC_ADDRESS_DEFAULT, &status));
	CHECK(!missing);
	CHECK_EQ(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	OK(cuGetProcAddress(
	    "cuLibraryLoadData", &missing, 11000, CU_GET_PROC_ADDRESS_DEFAULT, &status));
	CHECK(!missing);
	CHECK_EQ(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
}
