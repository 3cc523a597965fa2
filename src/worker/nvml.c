/*
 * libnvidia-ml.so.1 by dlopen, with our own declarations of the few functions asked for (source:
 * the NVML API reference). One row per question: its function, where the answer goes, its bit. A
 * function an older library lacks leaves its fields unset.
 */
#include "worker/nvml.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

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

#define NVML_ECC_UNCORRECTED  1
#define NVML_ECC_VOLATILE     0
#define NVML_FIELD_LINK_SPEED 164u
#define NVML_FIELD_LINK_STATE 165u

struct nvml_pci {
	char bus_id_legacy[16];
	unsigned domain, bus, device, id, subsystem;
	char bus_id[32];
};

struct nvml_field {
	unsigned field, scope;
	long long timestamp, latency;
	unsigned type;
	int result;
	union {
		unsigned number;
		unsigned long long wide;
	};
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
	int (*persistence)(nvml_handle device, unsigned *mode);
	int (*ecc_errors)(
	    nvml_handle device, unsigned type, unsigned counter, unsigned long long *count);
	int (*mig)(nvml_handle device, unsigned *now, unsigned *pending);
	int (*link_state)(nvml_handle device, unsigned link, unsigned *active);
	int (*link_version)(nvml_handle device, unsigned link, unsigned *version);
	int (*link_capability)(
	    nvml_handle device, unsigned link, unsigned capability, unsigned *has);
	int (*link_remote)(nvml_handle device, unsigned link, struct nvml_pci *pci);
	int (*fields)(nvml_handle device, int n, struct nvml_field *fields);
} nvml;
static bool usable;
static void *library;
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
    {&nvml.persistence, "nvmlDeviceGetPersistenceMode"},
    {&nvml.ecc_errors, "nvmlDeviceGetTotalEccErrors"},
    {&nvml.mig, "nvmlDeviceGetMigMode"},
    {&nvml.link_state, "nvmlDeviceGetNvLinkState"},
    {&nvml.link_version, "nvmlDeviceGetNvLinkVersion"},
    {&nvml.link_capability, "nvmlDeviceGetNvLinkCapability"},
    {&nvml.link_remote, "nvmlDeviceGetNvLinkRemotePciInfo_v2"},
    {&nvml.fields, "nvmlDeviceGetFieldValues"},
};

static void load(void)
{
	library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);

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

static void ask_modes(nvml_handle device, struct device_status *s)
{
	unsigned long long errors;

	ask_number(device, nvml.persistence, DEVICE_STATUS_PERSISTENCE, &s->persistence, s);
	if (nvml.ecc_errors && nvml.ecc_errors(device, NVML_ECC_UNCORRECTED, NVML_ECC_VOLATILE,
				   &errors) == NVML_SUCCESS) {
		s->present |= DEVICE_STATUS_ECC_ERRORS;
		s->ecc_errors = errors;
	}
	if (nvml.mig && nvml.mig(device, &s->mig[0], &s->mig[1]) == NVML_SUCCESS)
		s->present |= DEVICE_STATUS_MIG;
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
	ask_modes(device, s);
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

struct nvml_device *nvml_device_find(const char *pci_bus_id)
{
	nvml_handle device;

	pthread_once(&once, load);
	return usable && nvml.by_bus(pci_bus_id, &device) == NVML_SUCCESS ? device : NULL;
}

void *nvml_function(const char *name)
{
	return dlsym(library, name);
}

/* --- links --- */

static unsigned ask_field(nvml_handle device, unsigned field, unsigned link, unsigned otherwise)
{
	struct nvml_field value = {.field = field, .scope = link};

	return nvml.fields && nvml.fields(device, 1, &value) == NVML_SUCCESS &&
		       value.result == NVML_SUCCESS
		   ? value.number
		   : otherwise;
}

static void ask_remote(nvml_handle device, unsigned link, struct device_link *out)
{
	struct nvml_pci pci = {0};

	if (!nvml.link_remote || nvml.link_remote(device, link, &pci) != NVML_SUCCESS)
		return;
	out->has_remote = 1;
	out->remote_domain = pci.domain;
	out->remote_bus = pci.bus;
	out->remote_device = pci.device;
	out->remote_id = pci.id;
	out->remote_subsystem = pci.subsystem;
	memcpy(out->remote_bus_id, pci.bus_id, sizeof(out->remote_bus_id));
}

/* False: the device has no such link. */
static bool ask_link(nvml_handle device, unsigned link, struct device_link *out)
{
	unsigned value;

	if (nvml.link_state(device, link, &value) != NVML_SUCCESS)
		return false;
	/* From Hopper on the field knows of links that are asleep. */
	out->active = ask_field(device, NVML_FIELD_LINK_STATE, link, value);
	out->speed_mbps = ask_field(device, NVML_FIELD_LINK_SPEED, link, 0);
	if (nvml.link_version && nvml.link_version(device, link, &value) == NVML_SUCCESS)
		out->version = value;
	for (unsigned i = 0; nvml.link_capability && i < DEVICE_LINK_CAPABILITIES; i++)
		if (nvml.link_capability(device, link, i, &value) == NVML_SUCCESS && value)
			out->capabilities |= 1u << i;
	ask_remote(device, link, out);
	return true;
}

bool nvml_device_links(const char *pci_bus_id, struct device_links *links)
{
	nvml_handle device;

	pthread_once(&once, load);
	if (!usable || !nvml.link_state || nvml.by_bus(pci_bus_id, &device) != NVML_SUCCESS)
		return false;
	while (links->n < DEVICE_LINKS_MAX && ask_link(device, links->n, &links->link[links->n]))
		links->n++;
	return true;
}
