/* How a device is and who uses it. */
#include <unistd.h>

#include "shim/nvml/test-bridge.h"

/* --- how a device is --- */

TEST(plain_numbers)
{
	static const struct {
		nvmlReturn_t (*function)(nvmlDevice_t, unsigned *);
		uint32_t bit;
		uint32_t *field;
	} rows[] = {
	    {nvmlDeviceGetPowerUsage, DEVICE_STATUS_POWER, &fake.status.power_mw},
	    {nvmlDeviceGetEnforcedPowerLimit, DEVICE_STATUS_POWER_LIMIT,
		&fake.status.power_limit_mw},
	    {nvmlDeviceGetFanSpeed, DEVICE_STATUS_FAN, &fake.status.fan_percent},
	    {nvmlDeviceGetPerformanceState, DEVICE_STATUS_STATE, &fake.status.performance_state},
	    {nvmlDeviceGetPowerState, DEVICE_STATUS_STATE, &fake.status.performance_state},
	    {nvmlDeviceGetCurrPcieLinkGeneration, DEVICE_STATUS_PCIE, &fake.status.pcie_generation},
	    {nvmlDeviceGetCurrPcieLinkWidth, DEVICE_STATUS_PCIE, &fake.status.pcie_width},
	};
	nvmlDevice_t device = start();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned value = 5;
		memset(&fake.status, 0, sizeof(fake.status));
		*rows[i].field = 1234 + (unsigned)i;
		fake.status.present = ~rows[i].bit;
		CHECK_EQ(rows[i].function(device, &value), NVML_ERROR_NOT_SUPPORTED);
		CHECK_EQ(value, 5);
		fake.status.present = rows[i].bit;
		CHECK_EQ(rows[i].function(device, &value), NVML_SUCCESS);
		CHECK_EQ(value, 1234 + i);
		CHECK_EQ(rows[i].function(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
		CHECK_EQ(rows[i].function(NULL, &value), NVML_ERROR_INVALID_ARGUMENT);
	}
	CHECK_EQ(fake.asked, 0);
}

TEST(the_worker_is_asked_about_the_right_device)
{
	unsigned value;

	start();
	fake.status.present = DEVICE_STATUS_POWER;
	CHECK_EQ(nvmlDeviceGetPowerUsage(other_device(), &value), NVML_SUCCESS);
	CHECK_EQ(fake.asked, 1);
	CHECK_EQ(fake.n_asked, 1);
}

TEST(a_worker_that_fails)
{
	nvmlDevice_t device = start();
	unsigned value;

	fake.status.present = DEVICE_STATUS_POWER;
	fake.answer = CUDA_ERROR_LAUNCH_FAILED;
	CHECK_EQ(nvmlDeviceGetPowerUsage(device, &value), NVML_ERROR_GPU_IS_LOST);
	fake.answer = CUDA_ERROR_NOT_SUPPORTED;
	CHECK_EQ(nvmlDeviceGetPowerUsage(device, &value), NVML_ERROR_NOT_SUPPORTED);
	fake.answer = CUDA_ERROR_OUT_OF_MEMORY;
	CHECK_EQ(nvmlDeviceGetPowerUsage(device, &value), NVML_ERROR_UNKNOWN);
	fake.answer = CUDA_SUCCESS;
	CHECK_EQ(nvmlDeviceGetPowerUsage(device, &value), NVML_SUCCESS);
}

TEST(memory)
{
	nvmlDevice_t device = start();
	nvmlMemory_t memory;
	nvmlMemory_v2_t second = {.version = NVML_MEMORY_V2};

	CHECK_EQ(nvmlDeviceGetMemoryInfo(device, &memory), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceGetMemoryInfo_v2(device, &second), NVML_ERROR_NOT_SUPPORTED);
	fake.status = (struct device_status){.present = DEVICE_STATUS_MEMORY,
	    .memory_total = 1000ull << 30,
	    .memory_free = 600ull << 30,
	    .memory_used = 390ull << 30};
	CHECK_EQ(nvmlDeviceGetMemoryInfo(device, &memory), NVML_SUCCESS);
	CHECK_EQ(memory.total, 1000ull << 30);
	CHECK_EQ(memory.free, 600ull << 30);
	CHECK_EQ(memory.used, 390ull << 30);
	CHECK_EQ(nvmlDeviceGetMemoryInfo_v2(device, &second), NVML_SUCCESS);
	CHECK_EQ(second.reserved, 10ull << 30);
	CHECK_EQ(second.total, second.reserved + second.used + second.free);
	second.version = 1;
	CHECK_EQ(nvmlDeviceGetMemoryInfo_v2(device, &second), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
	CHECK_EQ(nvmlDeviceGetMemoryInfo_v2(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetMemoryInfo(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(utilisation)
{
	nvmlDevice_t device = start();
	nvmlUtilization_t rates;

	CHECK_EQ(nvmlDeviceGetUtilizationRates(device, &rates), NVML_ERROR_NOT_SUPPORTED);
	fake.status = (struct device_status){
	    .present = DEVICE_STATUS_UTILISATION, .gpu_percent = 93, .memory_percent = 41};
	CHECK_EQ(nvmlDeviceGetUtilizationRates(device, &rates), NVML_SUCCESS);
	CHECK_EQ(rates.gpu, 93);
	CHECK_EQ(rates.memory, 41);
	CHECK_EQ(nvmlDeviceGetUtilizationRates(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(temperature)
{
	nvmlDevice_t device = start();
	nvmlTemperature_v1_t form = {.version = NVML_TEMPERATURE_V1};
	unsigned celsius;

	CHECK_EQ(nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_GPU, &celsius),
	    NVML_ERROR_NOT_SUPPORTED);
	fake.status =
	    (struct device_status){.present = DEVICE_STATUS_TEMPERATURE, .temperature_c = 37};
	CHECK_EQ(nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_GPU, &celsius), NVML_SUCCESS);
	CHECK_EQ(celsius, 37);
	CHECK_EQ(nvmlDeviceGetTemperatureV(device, &form), NVML_SUCCESS);
	CHECK_EQ(form.temperature, 37);
	CHECK_EQ(nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_COUNT, &celsius),
	    NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_GPU, NULL),
	    NVML_ERROR_INVALID_ARGUMENT);
	form.version = 0;
	CHECK_EQ(nvmlDeviceGetTemperatureV(device, &form), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
	CHECK_EQ(nvmlDeviceGetTemperatureV(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(clocks)
{
	nvmlDevice_t device = start();
	unsigned mhz;

	CHECK_EQ(nvmlDeviceGetClockInfo(device, NVML_CLOCK_SM, &mhz), NVML_ERROR_NOT_SUPPORTED);
	fake.status = (struct device_status){
	    .present = DEVICE_STATUS_CLOCKS | DEVICE_STATUS_CLOCKS_MAX,
	    .clock_sm_mhz = 1,
	    .clock_memory_mhz = 2,
	    .clock_sm_max_mhz = 3,
	    .clock_memory_max_mhz = 4,
	};
	CHECK_EQ(nvmlDeviceGetClockInfo(device, NVML_CLOCK_SM, &mhz), NVML_SUCCESS);
	CHECK_EQ(mhz, 1);
	CHECK_EQ(
	    nvmlDeviceGetClock(device, NVML_CLOCK_MEM, NVML_CLOCK_ID_CURRENT, &mhz), NVML_SUCCESS);
	CHECK_EQ(mhz, 2);
	CHECK_EQ(nvmlDeviceGetMaxClockInfo(device, NVML_CLOCK_SM, &mhz), NVML_SUCCESS);
	CHECK_EQ(mhz, 3);
	CHECK_EQ(nvmlDeviceGetMaxClockInfo(device, NVML_CLOCK_MEM, &mhz), NVML_SUCCESS);
	CHECK_EQ(mhz, 4);
	CHECK_EQ(nvmlDeviceGetClockInfo(device, NVML_CLOCK_VIDEO, &mhz), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(
	    nvmlDeviceGetClockInfo(device, NVML_CLOCK_COUNT, &mhz), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetClock(device, NVML_CLOCK_SM, NVML_CLOCK_ID_CUSTOMER_BOOST_MAX, &mhz),
	    NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceGetClock(device, NVML_CLOCK_SM, NVML_CLOCK_ID_COUNT, &mhz),
	    NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetClock(device, NVML_CLOCK_SM, NVML_CLOCK_ID_CURRENT, NULL),
	    NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(
	    nvmlDeviceGetMaxClockInfo(device, NVML_CLOCK_SM, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(fans)
{
	nvmlDevice_t device = start();
	unsigned percent;

	CHECK_EQ(nvmlDeviceGetFanSpeed_v2(device, 0, &percent), NVML_ERROR_NOT_SUPPORTED);
	fake.status = (struct device_status){.present = DEVICE_STATUS_FAN, .fan_percent = 30};
	CHECK_EQ(nvmlDeviceGetFanSpeed_v2(device, 0, &percent), NVML_SUCCESS);
	CHECK_EQ(percent, 30);
	CHECK_EQ(nvmlDeviceGetFanSpeed_v2(device, 1, &percent), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetFanSpeed_v2(device, 0, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(fields_are_refused_one_by_one)
{
	nvmlDevice_t device = start();
	nvmlFieldValue_t values[3] = {{.fieldId = 1}, {.fieldId = 160}, {.fieldId = 9}};

	CHECK_EQ(nvmlDeviceGetFieldValues(device, 2, values), NVML_SUCCESS);
	CHECK_EQ(values[0].nvmlReturn, NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(values[1].nvmlReturn, NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(values[2].nvmlReturn, 0);
	CHECK_EQ(nvmlDeviceGetFieldValues(device, 0, values), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetFieldValues(device, 2, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

/* --- who uses a device --- */

TEST(the_own_process_is_listed)
{
	nvmlDevice_t device = start();
	nvmlProcessInfo_v1_t first;
	nvmlProcessInfo_t info;
	unsigned count = 0;

	CHECK_EQ(nvmlDeviceGetComputeRunningProcesses_v3(device, &count, NULL), NVML_SUCCESS);
	CHECK_EQ(count, 0);
	fake.uses = true;
	fake.bytes = 5 << 20;
	CHECK_EQ(nvmlDeviceGetComputeRunningProcesses_v2(device, &count, NULL),
	    NVML_ERROR_INSUFFICIENT_SIZE);
	CHECK_EQ(count, 1);
	CHECK_EQ(nvmlDeviceGetComputeRunningProcesses_v3(device, &count, NULL),
	    NVML_ERROR_INVALID_ARGUMENT);
	count = 8;
	CHECK_EQ(nvmlDeviceGetComputeRunningProcesses_v2(device, &count, &info), NVML_SUCCESS);
	CHECK_EQ(count, 1);
	CHECK_EQ(info.pid, getpid());
	CHECK_EQ(info.usedGpuMemory, 5 << 20);
	CHECK_EQ(info.gpuInstanceId, NVML_NO_INSTANCE);
	CHECK_EQ(info.computeInstanceId, NVML_NO_INSTANCE);
	CHECK_EQ(nvmlDeviceGetComputeRunningProcesses(device, &count, &first), NVML_SUCCESS);
	CHECK_EQ(first.pid, getpid());
	CHECK_EQ(first.usedGpuMemory, 5 << 20);
	CHECK_EQ(
	    nvmlDeviceGetComputeRunningProcesses_v3(other_device(), &count, &info), NVML_SUCCESS);
	CHECK_EQ(count, 0);
	CHECK_EQ(nvmlDeviceGetComputeRunningProcesses_v3(device, NULL, &info),
	    NVML_ERROR_INVALID_ARGUMENT);
}

TEST(nobody_draws_or_shares)
{
	nvmlReturn_t (*const lists[])(nvmlDevice_t, unsigned *, nvmlProcessInfo_t *) = {
	    nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlDeviceGetGraphicsRunningProcesses_v3,
	    nvmlDeviceGetMPSComputeRunningProcesses_v2, nvmlDeviceGetMPSComputeRunningProcesses_v3};
	nvmlDevice_t device = start();
	unsigned count;

	fake.uses = true;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		count = 3;
		CHECK_EQ(lists[i](device, &count, NULL), NVML_SUCCESS);
		CHECK_EQ(count, 0);
		CHECK_EQ(lists[i](device, NULL, NULL), NVML_ERROR_INVALID_ARGUMENT);
	}
	CHECK_EQ(nvmlDeviceGetGraphicsRunningProcesses(device, &count, NULL), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetMPSComputeRunningProcesses(NULL, &count, NULL),
	    NVML_ERROR_INVALID_ARGUMENT);
}
