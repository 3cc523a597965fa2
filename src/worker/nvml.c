/*
 * libnvidia-ml.so.1 by dlopen, with our own declarations of the few functions asked for (source: the
 * NVML API reference). One row per question: its function, where the answer goes, its bit. A
 * function an older library lacks leaves its fields unset.
 */
#include "worker/nvml.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>

#include "base/log.h"
#include "base/util.h"

typedef struct nvml_device *nvml_handle;

#define NVML_SUCCESS	     0
#define NVML_TEMPERATURE_GPU 0
#define NVML_CLOCK_SM	     1
#define NVML_CLOCK_MEMORY    2

struct nvml_memory {
	unsigned long long total, free, used;
};

struct nvml_utilisation {
	unsigned gpu, memory;
};

static struct {
	int (*init)(void);
	int (*driver_version)(char *text, unsigned size);
	int (*by_bus)(const char *bus, nvml_handle *device);
	int (*memory)(nvml_handle device, struct nvml_memory *memory);
	int (*utilisation)(nvml_handle device, struct nvml_utilisation *utilisation);
	int (*temperature)(nvml_handle device, unsigned sensor, unsigned *celsius);
	int (*power)(nvml_handle device, unsigned *milliwatts);
	int (*power_limit)(nvml_handle device, unsigned *milliwatts);
	int (*clock)(nvml_handle device, unsigned kind, unsigned *mhz);
	int (*clock_max)(nvml_handle device, unsigned kind, unsigned *mhz);
	int (*fan)(nvml_handle device, unsigned *percent);
	int (*pcie_generation)(nvml_handle device, unsigned *generation);
	int (*pcie_width)(nvml_handle device, unsigned *width);
	int (*state)(nvml_handle device, unsigned *state);
} nvml;
static bool usable;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct {
	void *place;
	const char *name;
} functions[] = {
    {&nvml.init, "nvmlInit_v2"},
    {&nvml.driver_version, "nvmlSystemGetDriverVersion"},
    {&nvml.by_bus, "nvmlDeviceGetHandleByPciBusId_v2"},
    {&nvml.memory, "nvmlDeviceGetMemoryInfo"},
    {&nvml.utilisation, "nvmlDeviceGetUtilizationRates"},
    {&nvml.temperature, "nvmlDeviceGetTemperature"},
    {&nvml.power, "nvmlDeviceGetPowerUsage"},
    {&nvml.power_limit, "nvmlDeviceGetEnforcedPowerLimit"},
    {&nvml.clock, "nvmlDeviceGetClockInfo"},
    {&nvml.clock_max, "nvmlDeviceGetMaxClockInfo"},
    {&nvml.fan, "nvmlDeviceGetFanSpeed"},
    {&nvml.pcie_generation, "nvmlDeviceGetCurrPcieLinkGeneration"},
    {&nvml.pcie_width, "nvmlDeviceGetCurrPcieLinkWidth"},
    {&nvml.state, "nvmlDeviceGetPerformanceState"},
};

static void load(void)
{
	void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);

	if (!library || dlsym(library, "rosen_shim_marker"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		*(void **)functions[i].place = dlsym(library, functions[i].name);
	usable = nvml.init && nvml.by_bus && nvml.init() == NVML_SUCCESS;
	if (!usable)
		log_info("NVML is there but does not start: device status shows memory only");
}

void nvml_driver_version(char *text, size_t size)
{
	pthread_once(&once, load);
	if (!usable || !nvml.driver_version ||
	    nvml.driver_version(text, (unsigned)size) != NVML_SUCCESS)
		text[0] = 0;
}

static void ask_memory(nvml_handle device, struct device_status *status)
{
	struct nvml_memory memory;
	struct nvml_utilisation utilisation;

	if (nvml.memory && nvml.memory(device, &memory) == NVML_SUCCESS) {
		status->present |= DEVICE_STATUS_MEMORY;
		status->memory_total = memory.total;
		status->memory_free = memory.free;
		status->memory_used = memory.used;
	}
	if (nvml.utilisation && nvml.utilisation(device, &utilisation) == NVML_SUCCESS) {
		status->present |= DEVICE_STATUS_UTILISATION;
		status->gpu_percent = utilisation.gpu;
		status->memory_percent = utilisation.memory;
	}
}

static void ask_number(nvml_handle device, int (*function)(nvml_handle, unsigned *), uint32_t bit,
    uint32_t *out, struct device_status *status)
{
	unsigned value;

	if (!function || function(device, &value) != NVML_SUCCESS)
		return;
	*out = value;
	status->present |= bit;
}

static void ask_clocks(nvml_handle device, int (*function)(nvml_handle, unsigned, unsigned *),
    uint32_t bit, uint32_t *sm, uint32_t *memory, struct device_status *status)
{
	if (function && function(device, NVML_CLOCK_SM, sm) == NVML_SUCCESS &&
	    function(device, NVML_CLOCK_MEMORY, memory) == NVML_SUCCESS)
		status->present |= bit;
}

static void ask_all(nvml_handle device, struct device_status *s)
{
	ask_memory(device, s);
	if (nvml.temperature &&
	    nvml.temperature(device, NVML_TEMPERATURE_GPU, &s->temperature_c) == NVML_SUCCESS)
		s->present |= DEVICE_STATUS_TEMPERATURE;
	ask_number(device, nvml.power, DEVICE_STATUS_POWER, &s->power_mw, s);
	ask_number(device, nvml.power_limit, DEVICE_STATUS_POWER_LIMIT, &s->power_limit_mw, s);
	ask_number(device, nvml.fan, DEVICE_STATUS_FAN, &s->fan_percent, s);
	ask_number(device, nvml.state, DEVICE_STATUS_STATE, &s->performance_state, s);
	ask_clocks(
	    device, nvml.clock, DEVICE_STATUS_CLOCKS, &s->clock_sm_mhz, &s->clock_memory_mhz, s);
	ask_clocks(device, nvml.clock_max, DEVICE_STATUS_CLOCKS_MAX, &s->clock_sm_max_mhz,
	    &s->clock_memory_max_mhz, s);
	if (nvml.pcie_width && nvml.pcie_width(device, &s->pcie_width) == NVML_SUCCESS)
		ask_number(
		    device, nvml.pcie_generation, DEVICE_STATUS_PCIE, &s->pcie_generation, s);
}

bool nvml_device_status(const char *pci_bus_id, struct device_status *status)
{
	nvml_handle device;

	pthread_once(&once, load);
	if (!usable || nvml.by_bus(pci_bus_id, &device) != NVML_SUCCESS)
		return false;
	ask_all(device, status);
	return true;
}
