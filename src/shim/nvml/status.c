/*
 * How a device is at this moment. Each question is one message to the worker, which asks the
 * server's own NVML where there is one; a field that it does not know is NVML_ERROR_NOT_SUPPORTED
 * here. Nothing is kept between questions.
 */
#include <stddef.h>
#include <string.h>

#include "shim/nvml/internal.h"

/* The device's status, when the worker knows the fields that bit stands for. */
static nvmlReturn_t ask(
    nvmlDevice_t handle, const void *out, uint32_t bit, struct device_status *status)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, out, &device);

	if (r != NVML_SUCCESS)
		return r;
	r = nvml_result(device.view.bridge->status(device.number, status));
	return r == NVML_SUCCESS && !(status->present & bit) ? NVML_ERROR_NOT_SUPPORTED : r;
}

static nvmlReturn_t number(nvmlDevice_t handle, uint32_t bit, size_t offset, unsigned *out)
{
	struct device_status status;
	nvmlReturn_t r = ask(handle, out, bit, &status);

	if (r == NVML_SUCCESS)
		memcpy(out, (const char *)&status + offset, sizeof(*out));
	return r;
}

#define NUMBER(function, bit, field)                                                               \
	nvmlReturn_t function(nvmlDevice_t device, unsigned *out)                                  \
	{                                                                                          \
		return number(device, bit, offsetof(struct device_status, field), out);            \
	}

NUMBER(nvmlDeviceGetPowerUsage, DEVICE_STATUS_POWER, power_mw)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, DEVICE_STATUS_POWER_LIMIT, power_limit_mw)
NUMBER(nvmlDeviceGetFanSpeed, DEVICE_STATUS_FAN, fan_percent)
NUMBER(nvmlDeviceGetPerformanceState, DEVICE_STATUS_STATE, performance_state)
NUMBER(nvmlDeviceGetPowerState, DEVICE_STATUS_STATE, performance_state)
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, DEVICE_STATUS_PCIE, pcie_generation)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, DEVICE_STATUS_PCIE, pcie_width)

/* The worker tells one fan's speed, the first one's. */
nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned fan, unsigned *percent)
{
	nvmlReturn_t r = nvmlDeviceGetFanSpeed(device, percent);

	return r == NVML_SUCCESS && fan > 0 ? NVML_ERROR_INVALID_ARGUMENT : r;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
	struct device_status status;
	nvmlReturn_t r = ask(device, memory, DEVICE_STATUS_MEMORY, &status);

	if (r == NVML_SUCCESS)
		*memory = (nvmlMemory_t){
		    .total = status.memory_total,
		    .free = status.memory_free,
		    .used = status.memory_used,
		};
	return r;
}

/* The worker tells memory that the driver keeps to itself as used; used and reserved are only told
 * apart where the three numbers leave a rest. */
nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
	struct device_status status;
	struct nvml_device found;
	nvmlReturn_t r = nvml_device_enter(device, memory, &found);

	if (r == NVML_SUCCESS && memory->version != NVML_MEMORY_V2)
		r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	if (r == NVML_SUCCESS)
		r = ask(device, memory, DEVICE_STATUS_MEMORY, &status);
	if (r != NVML_SUCCESS)
		return r;
	uint64_t told = status.memory_used + status.memory_free;
	memory->total = status.memory_total;
	memory->free = status.memory_free;
	memory->used = status.memory_used;
	memory->reserved = told < status.memory_total ? status.memory_total - told : 0;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
	struct device_status status;
	nvmlReturn_t r = ask(device, utilization, DEVICE_STATUS_UTILISATION, &status);

	if (r == NVML_SUCCESS)
		*utilization = (nvmlUtilization_t){status.gpu_percent, status.memory_percent};
	return r;
}

nvmlReturn_t nvmlDeviceGetTemperature(
    nvmlDevice_t handle, nvmlTemperatureSensors_t sensor, unsigned *celsius)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, celsius, &device);

	if (r != NVML_SUCCESS)
		return r;
	if ((unsigned)sensor >= NVML_TEMPERATURE_COUNT)
		return NVML_ERROR_INVALID_ARGUMENT;
	return number(handle, DEVICE_STATUS_TEMPERATURE,
	    offsetof(struct device_status, temperature_c), celsius);
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t handle, nvmlTemperature_v1_t *temperature)
{
	struct nvml_device device;
	unsigned celsius;
	nvmlReturn_t r = nvml_device_enter(handle, temperature, &device);

	if (r == NVML_SUCCESS && temperature->version != NVML_TEMPERATURE_V1)
		r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	if (r == NVML_SUCCESS)
		r = nvmlDeviceGetTemperature(handle, temperature->sensorType, &celsius);
	if (r == NVML_SUCCESS)
		temperature->temperature = (int)celsius;
	return r;
}

/* Two clocks are part of the status, the others are asked for one by one. */
static nvmlReturn_t clock_of(nvmlDevice_t handle, nvmlClockType_t type, uint32_t bit, size_t sm,
    size_t memory, enum device_question_number other, unsigned *mhz)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, mhz, &device);

	if (r != NVML_SUCCESS)
		return r;
	if ((unsigned)type >= NVML_CLOCK_COUNT)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (type != NVML_CLOCK_SM && type != NVML_CLOCK_MEM)
		return nvml_ask(handle, other, &(unsigned){type}, mhz, sizeof(*mhz));
	return number(handle, bit, type == NVML_CLOCK_SM ? sm : memory, mhz);
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned *mhz)
{
	return clock_of(device, type, DEVICE_STATUS_CLOCKS,
	    offsetof(struct device_status, clock_sm_mhz),
	    offsetof(struct device_status, clock_memory_mhz),
	    DEVICE_QUESTION_nvmlDeviceGetClockInfo, mhz);
}

nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned *mhz)
{
	return clock_of(device, type, DEVICE_STATUS_CLOCKS_MAX,
	    offsetof(struct device_status, clock_sm_max_mhz),
	    offsetof(struct device_status, clock_memory_max_mhz),
	    DEVICE_QUESTION_nvmlDeviceGetMaxClockInfo, mhz);
}

nvmlReturn_t nvmlDeviceGetClock(
    nvmlDevice_t handle, nvmlClockType_t type, nvmlClockId_t id, unsigned *mhz)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, mhz, &device);

	if (r != NVML_SUCCESS)
		return r;
	if ((unsigned)id >= NVML_CLOCK_ID_COUNT)
		return NVML_ERROR_INVALID_ARGUMENT;
	return id == NVML_CLOCK_ID_CURRENT ? nvmlDeviceGetClockInfo(handle, type, mhz)
					   : nvml_ask(handle, DEVICE_QUESTION_nvmlDeviceGetClock,
						 (unsigned[]){type, id}, mhz, sizeof(*mhz));
}

/* --- modes --- */

NUMBER(nvmlDeviceGetPersistenceMode, DEVICE_STATUS_PERSISTENCE, persistence)

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *now, unsigned *pending)
{
	struct device_status status;
	nvmlReturn_t r = ask(device, pending ? now : NULL, DEVICE_STATUS_MIG, &status);

	if (r != NVML_SUCCESS)
		return r;
	*now = status.mig[0];
	*pending = status.mig[1];
	return NVML_SUCCESS;
}

/* One counter, which nvidia-smi's table shows, is part of the status. */
nvmlReturn_t nvmlDeviceGetTotalEccErrors(
    nvmlDevice_t device, unsigned type, unsigned counter, unsigned long long *count)
{
	struct device_status status;
	nvmlReturn_t r = ask(device, count, DEVICE_STATUS_ECC_ERRORS, &status);

	if (r != NVML_SUCCESS)
		return r;
	if (type > NVML_MEMORY_ERROR_TYPE_UNCORRECTED || counter > NVML_AGGREGATE_ECC)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (type != NVML_MEMORY_ERROR_TYPE_UNCORRECTED || counter != NVML_VOLATILE_ECC)
		return nvml_ask(device, DEVICE_QUESTION_nvmlDeviceGetTotalEccErrors,
		    (unsigned[]){type, counter}, count, sizeof(*count));
	*count = status.ecc_errors;
	return NVML_SUCCESS;
}
