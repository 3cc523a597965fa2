/*
 * Devices, contexts and their stack, called as a program calls them: this links the libcuda.so.1
 * itself.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "softgpu/driver/test-driver.h"

TEST(nothing_works_before_init)
{
	CUcontext context;
	int n;

	CHECK_EQ(cuDeviceGetCount(&n), CUDA_ERROR_NOT_INITIALIZED);
	CHECK_EQ(cuDevicePrimaryCtxRetain(&context, 0), CUDA_ERROR_NOT_INITIALIZED);
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_NOT_INITIALIZED);
	CHECK_OK(cuDriverGetVersion(&n));
	CHECK_EQ(n, 13000);
	CHECK_EQ(cuInit(1), CUDA_ERROR_INVALID_VALUE);
}

TEST(one_device)
{
	char name[64], bus[32];
	int value;
	CUdevice device;
	size_t memory;

	CHECK_OK(cuInit(0));
	CHECK_OK(cuDeviceGetCount(&value));
	CHECK_EQ(value, 1);
	CHECK_EQ(cuDeviceGet(&device, 1), CUDA_ERROR_INVALID_DEVICE);
	CHECK_OK(cuDeviceGet(&device, 0));
	CHECK_OK(cuDeviceGetName(name, sizeof(name), device));
	CHECK_STR(name, "Rosen software GPU");
	CHECK_OK(cuDeviceGetPCIBusId(bus, sizeof(bus), device));
	device = 7;
	CHECK_OK(cuDeviceGetByPCIBusId(&device, bus));
	CHECK_EQ(device, 0);
	CHECK_OK(cuDeviceTotalMem_v2(&memory, 0));
	CHECK(memory > 1 << 20);
}

TEST(every_attribute_answers)
{
	int value;

	CHECK_OK(cuInit(0));
	for (int i = 1; i < CU_DEVICE_ATTRIBUTE_MAX; i++)
		CHECK_OK(cuDeviceGetAttribute(&value, (CUdevice_attribute)i, 0));
	CHECK_EQ(
	    cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MAX, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuDeviceGetAttribute(&value, (CUdevice_attribute)0, 0), CUDA_ERROR_INVALID_VALUE);
}

static void check_capability(const char *wanted, int major, int minor)
{
	int value;

	setenv("SOFTGPU_CC", wanted, 1);
	CHECK_OK(cuInit(0));
	CHECK_OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
	CHECK_EQ(value, major);
	CHECK_OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0));
	CHECK_EQ(value, minor);
}

TEST(capability_with_a_dot)
{
	check_capability("8.6", 8, 6);
}

TEST(capability_without_a_dot)
{
	check_capability("90", 9, 0);
}

TEST(capability_that_does_not_exist)
{
	check_capability("1.0", 12, 0);
}

TEST(primary_context_keeps_its_handle)
{
	CUcontext first, second, current;
	unsigned flags;
	int active;

	CHECK_OK(cuInit(0));
	CHECK_OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(active, 0);
	CHECK_EQ(cuDevicePrimaryCtxRelease_v2(0), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_OK(cuDevicePrimaryCtxRetain(&first, 0));
	CHECK_OK(cuDevicePrimaryCtxRetain(&second, 0));
	CHECK(first && first == second);
	CHECK_OK(cuDevicePrimaryCtxRelease_v2(0));
	CHECK_OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(active, 1);
	CHECK_OK(cuCtxSetCurrent(first));
	CHECK_OK(cuCtxGetApiVersion(first, &flags));
	CHECK(flags >= 3020);
	CHECK_OK(cuDevicePrimaryCtxReset_v2(0));
	CHECK_OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(active, 0);
	CHECK_EQ(cuCtxGetApiVersion(first, &flags), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	CHECK_OK(cuCtxGetCurrent(&current));
	CHECK(current == first);
	CHECK_OK(cuDevicePrimaryCtxRetain(&second, 0));
	CHECK(first == second);
	CHECK_OK(cuCtxSynchronize());
}

TEST(memory_ends_with_its_context)
{
	CUdeviceptr address;
	size_t free_before, free_after, total;

	test_context();
	CHECK_OK(cuMemGetInfo_v2(&free_before, &total));
	address = test_alloc(1 << 20);
	CHECK_OK(cuMemGetInfo_v2(&free_after, &total));
	CHECK_EQ(free_before - free_after, 1 << 20);
	CHECK_OK(cuDevicePrimaryCtxReset_v2(0));
	test_context();
	CHECK_OK(cuMemGetInfo_v2(&free_after, &total));
	CHECK_EQ(free_before, free_after);
	CHECK_EQ(cuMemFree_v2(address), CUDA_ERROR_INVALID_VALUE);
}

TEST(stack_of_current_contexts)
{
	CUcontext primary = test_context(), own, current;

	CHECK_OK(cuCtxCreate_v2(&own, 0, 0));
	CHECK_OK(cuCtxGetCurrent(&current));
	CHECK(own != primary && current == own);
	CHECK_OK(cuCtxPopCurrent_v2(&current));
	CHECK(current == own);
	CHECK_OK(cuCtxGetCurrent(&current));
	CHECK(current == primary);
	CHECK_OK(cuCtxPushCurrent_v2(own));
	CHECK_OK(cuCtxDestroy_v2(own));
	CHECK_OK(cuCtxGetCurrent(&current));
	CHECK(current == primary);
	CHECK_EQ(cuCtxPushCurrent_v2(own), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(cuCtxSetCurrent((CUcontext)&own), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(cuCtxDestroy_v2(primary), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_OK(cuCtxSetCurrent(NULL));
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
}

static void *other_thread(void *argument)
{
	CUcontext current;

	CHECK_OK(cuCtxGetCurrent(&current));
	CHECK(!current);
	CHECK_OK(cuCtxSetCurrent(argument));
	CHECK_OK(cuCtxDestroy_v2(argument));
	return NULL;
}

TEST(a_context_destroyed_elsewhere_is_noticed)
{
	CUcontext own;
	pthread_t thread;

	test_context();
	CHECK_OK(cuCtxCreate_v2(&own, 0, 0));
	CHECK(!pthread_create(&thread, NULL, other_thread, own));
	CHECK(!pthread_join(thread, NULL));
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
}

TEST(a_forked_child_has_no_device)
{
	int status, n;

	test_context();
	pid_t child = fork();
	if (!child)
		_exit(cuDeviceGetCount(&n) == CUDA_ERROR_NOT_INITIALIZED &&
			      cuInit(0) == CUDA_ERROR_NOT_INITIALIZED
			  ? 0
			  : 1);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
	CHECK_OK(cuDeviceGetCount(&n));
}

TEST(limits_are_kept)
{
	size_t value;
	int most;

	test_context();
	CHECK_OK(cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, 12345));
	CHECK_OK(cuCtxGetLimit(&value, CU_LIMIT_PRINTF_FIFO_SIZE));
	CHECK_EQ(value, 12345);
	CHECK_EQ(
	    cuCtxGetLimit(&value, CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH), CUDA_ERROR_UNSUPPORTED_LIMIT);
	CHECK_EQ(cuCtxGetLimit(&value, CU_LIMIT_MAX), CUDA_ERROR_INVALID_VALUE);
	CHECK_OK(cuCtxSetLimit(CU_LIMIT_PERSISTING_L2_CACHE_SIZE, 1000));
	CHECK_OK(cuCtxGetLimit(&value, CU_LIMIT_PERSISTING_L2_CACHE_SIZE));
	CHECK_EQ(value, 1000);
	CHECK_OK(cuDeviceGetAttribute(&most, CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE, 0));
	CHECK_OK(cuCtxSetLimit(CU_LIMIT_PERSISTING_L2_CACHE_SIZE, 1 << 30));
	CHECK_OK(cuCtxGetLimit(&value, CU_LIMIT_PERSISTING_L2_CACHE_SIZE));
	CHECK_EQ(value, (size_t)most);
}

TEST(functions_are_found_by_name)
{
	CUdriverProcAddressQueryResult status;
	void *address = NULL;

	CHECK_OK(cuGetProcAddress_v2("cuMemAlloc", &address, 13000, 0, &status));
	CHECK(address == (void *)cuMemAlloc_v2);
	CHECK_OK(cuGetProcAddress_v2("cuLaunchKernel", &address, 13000, 2, &status));
	CHECK(address == (void *)cuLaunchKernel_ptsz);
	CHECK_OK(cuGetProcAddress_v2("cuGetProcAddress", &address, 11030, 0, &status));
	CHECK(address == (void *)cuGetProcAddress);
	CHECK_OK(cuGetProcAddress_v2("cuNothing", &address, 13000, 0, &status));
	CHECK(!address && status == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
}

TEST(what_is_missing_says_so)
{
	test_context();
	CHECK_EQ(cuMulticastUnbind(0, 0, 0, 0), CUDA_ERROR_NOT_SUPPORTED);
}
