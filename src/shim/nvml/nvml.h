/*
 * NVML as this library offers it: the names, types and values of NVIDIA's Management Library that
 * its live functions use. Source: NVML API Reference Manual. Where a function takes or gives one of
 * several dozen enumerations that are only passed on, it is an unsigned here. A struct that the
 * caller gives with a version holds its own size there, and the number of its form in the top byte.
 *
 * All functions may be called from any thread. Before nvmlInit() all but nvmlErrorString(), the
 * CUDA driver's version and nvmlInit() itself answer NVML_ERROR_UNINITIALIZED.
 */
#pragma once

#define NVML_API __attribute__((visibility("default")))

typedef enum {
	NVML_SUCCESS,
	NVML_ERROR_UNINITIALIZED,
	NVML_ERROR_INVALID_ARGUMENT,
	NVML_ERROR_NOT_SUPPORTED,
	NVML_ERROR_NO_PERMISSION,
	NVML_ERROR_ALREADY_INITIALIZED,
	NVML_ERROR_NOT_FOUND,
	NVML_ERROR_INSUFFICIENT_SIZE,
	NVML_ERROR_INSUFFICIENT_POWER,
	NVML_ERROR_DRIVER_NOT_LOADED,
	NVML_ERROR_TIMEOUT,
	NVML_ERROR_IRQ_ISSUE,
	NVML_ERROR_LIBRARY_NOT_FOUND,
	NVML_ERROR_FUNCTION_NOT_FOUND,
	NVML_ERROR_CORRUPTED_INFOROM,
	NVML_ERROR_GPU_IS_LOST,
	NVML_ERROR_RESET_REQUIRED,
	NVML_ERROR_OPERATING_SYSTEM,
	NVML_ERROR_LIB_RM_VERSION_MISMATCH,
	NVML_ERROR_IN_USE,
	NVML_ERROR_MEMORY,
	NVML_ERROR_NO_DATA,
	NVML_ERROR_VGPU_ECC_NOT_SUPPORTED,
	NVML_ERROR_INSUFFICIENT_RESOURCES,
	NVML_ERROR_FREQ_NOT_SUPPORTED,
	NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
	NVML_ERROR_DEPRECATED,
	NVML_ERROR_NOT_READY,
	NVML_ERROR_GPU_NOT_FOUND,
	NVML_ERROR_INVALID_STATE,
	NVML_ERROR_RESET_TYPE_NOT_SUPPORTED,
	NVML_ERROR_UNKNOWN = 999,
} nvmlReturn_t;

#define NVML_INIT_FLAG_NO_GPUS	  1u /* a host without devices is no error */
#define NVML_INIT_FLAG_NO_ATTACH  2u
#define NVML_INIT_FLAG_FORCE_INIT 4u

#define NVML_VALUE_NOT_AVAILABLE (~0ull)
#define NVML_NO_INSTANCE	 (~0u) /* of a device that is not cut into MIG instances */

#define NVML_UUID_ASCII		1u
#define NVML_UUID_BINARY	2u
#define NVML_UUID_ASCII_LENGTH	41
#define NVML_UUID_BINARY_LENGTH 16

typedef struct nvmlDevice_st *nvmlDevice_t;

typedef enum {
	NVML_FEATURE_DISABLED,
	NVML_FEATURE_ENABLED,
} nvmlEnableState_t;

typedef enum {
	NVML_BRAND_UNKNOWN,
	NVML_BRAND_QUADRO,
	NVML_BRAND_TESLA,
	NVML_BRAND_GEFORCE = 5,
	NVML_BRAND_TITAN,
	NVML_BRAND_QUADRO_RTX = 12,
	NVML_BRAND_NVIDIA_RTX,
	NVML_BRAND_NVIDIA,
} nvmlBrandType_t;

typedef enum {
	NVML_CLOCK_GRAPHICS,
	NVML_CLOCK_SM,
	NVML_CLOCK_MEM,
	NVML_CLOCK_VIDEO,
	NVML_CLOCK_COUNT,
} nvmlClockType_t;

typedef enum {
	NVML_CLOCK_ID_CURRENT,
	NVML_CLOCK_ID_APP_CLOCK_TARGET,
	NVML_CLOCK_ID_APP_CLOCK_DEFAULT,
	NVML_CLOCK_ID_CUSTOMER_BOOST_MAX,
	NVML_CLOCK_ID_COUNT,
} nvmlClockId_t;

typedef enum {
	NVML_TEMPERATURE_GPU,
	NVML_TEMPERATURE_COUNT,
} nvmlTemperatureSensors_t;

/* 0, the fastest, to 15. */
typedef unsigned nvmlPstates_t;

typedef enum {
	NVML_COMPUTEMODE_DEFAULT,
	NVML_COMPUTEMODE_PROHIBITED = 2,
	NVML_COMPUTEMODE_EXCLUSIVE_PROCESS,
} nvmlComputeMode_t;

typedef enum {
	NVML_TOPOLOGY_INTERNAL = 0, /* one board */
	NVML_TOPOLOGY_SINGLE = 10,
	NVML_TOPOLOGY_MULTIPLE = 20,
	NVML_TOPOLOGY_HOSTBRIDGE = 30,
	NVML_TOPOLOGY_NODE = 40, /* one NUMA node */
	NVML_TOPOLOGY_SYSTEM = 50,
} nvmlGpuTopologyLevel_t;

typedef enum {
	NVML_P2P_CAPS_INDEX_READ,
	NVML_P2P_CAPS_INDEX_WRITE,
	NVML_P2P_CAPS_INDEX_NVLINK,
	NVML_P2P_CAPS_INDEX_ATOMICS,
	NVML_P2P_CAPS_INDEX_PCI,
	NVML_P2P_CAPS_INDEX_UNKNOWN,
} nvmlGpuP2PCapsIndex_t;

typedef enum {
	NVML_P2P_STATUS_OK,
	NVML_P2P_STATUS_CHIPSET_NOT_SUPPORTED,
	NVML_P2P_STATUS_GPU_NOT_SUPPORTED,
	NVML_P2P_STATUS_IOH_TOPOLOGY_NOT_SUPPORTED,
	NVML_P2P_STATUS_DISABLED_BY_REGKEY,
	NVML_P2P_STATUS_NOT_SUPPORTED,
	NVML_P2P_STATUS_UNKNOWN,
} nvmlGpuP2PStatus_t;

typedef enum {
	NVML_DEVICE_ARCH_KEPLER = 2,
	NVML_DEVICE_ARCH_MAXWELL,
	NVML_DEVICE_ARCH_PASCAL,
	NVML_DEVICE_ARCH_VOLTA,
	NVML_DEVICE_ARCH_TURING,
	NVML_DEVICE_ARCH_AMPERE,
	NVML_DEVICE_ARCH_ADA,
	NVML_DEVICE_ARCH_HOPPER,
	NVML_DEVICE_ARCH_BLACKWELL,
	NVML_DEVICE_ARCH_UNKNOWN = -1,
} nvmlDeviceArchitecture_t;

/* The third form. The second ends before busId and has 16 reserved bytes there, the first ends
 * before pciSubSystemId. */
typedef struct {
	char busIdLegacy[16];
	unsigned domain, bus, device;
	unsigned pciDeviceId; /* device << 16 | vendor */
	unsigned pciSubSystemId;
	char busId[32];
} nvmlPciInfo_t;

typedef struct {
	unsigned long long total, free, used; /* bytes; used: reserved ones as well */
} nvmlMemory_t;

typedef struct {
	unsigned version; /* NVML_MEMORY_V2 */
	unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;

typedef struct {
	unsigned gpu, memory; /* percent */
} nvmlUtilization_t;

typedef struct {
	unsigned version; /* NVML_TEMPERATURE_V1 */
	nvmlTemperatureSensors_t sensorType;
	int temperature;
} nvmlTemperature_v1_t;

typedef struct {
	unsigned pid;
	unsigned long long usedGpuMemory; /* bytes, or NVML_VALUE_NOT_AVAILABLE */
} nvmlProcessInfo_v1_t;

typedef struct {
	unsigned pid;
	unsigned long long usedGpuMemory;
	unsigned gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_t;

typedef struct {
	unsigned fieldId, scopeId;
	long long timestamp, latencyUsec;
	unsigned valueType;
	nvmlReturn_t nvmlReturn;
	unsigned long long value;
} nvmlFieldValue_t;

typedef struct {
	unsigned version; /* NVML_UUID_V1 */
	unsigned type;	  /* NVML_UUID_ASCII, NVML_UUID_BINARY */
	union {
		char str[NVML_UUID_ASCII_LENGTH];
		unsigned char bytes[NVML_UUID_BINARY_LENGTH];
	} value;
} nvmlUUID_v1_t;

typedef struct nvmlEventSet_st *nvmlEventSet_t;

typedef struct {
	nvmlDevice_t device;
	unsigned long long eventType, eventData;
	unsigned gpuInstanceId, computeInstanceId;
} nvmlEventData_t;

#define NVML_MEMORY_V2	    (sizeof(nvmlMemory_v2_t) | 2u << 24)
#define NVML_TEMPERATURE_V1 (sizeof(nvmlTemperature_v1_t) | 1u << 24)
#define NVML_UUID_V1	    (sizeof(nvmlUUID_v1_t) | 1u << 24)

/* --- the library and the system --- */

NVML_API nvmlReturn_t nvmlInit(void);
NVML_API nvmlReturn_t nvmlInit_v2(void);
NVML_API nvmlReturn_t nvmlInitWithFlags(unsigned flags);
NVML_API nvmlReturn_t nvmlShutdown(void);
NVML_API nvmlReturn_t nvmlInternalGetExportTable(const void **table, const void *id);
NVML_API const char *nvmlErrorString(nvmlReturn_t result);
NVML_API nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length);
NVML_API nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned length);
NVML_API nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version);
NVML_API nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version);
NVML_API nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char *name, unsigned length);

/* --- finding devices: all of the tenant's, ordered by PCI address --- */

NVML_API nvmlReturn_t nvmlDeviceGetCount(unsigned *count);
NVML_API nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count);
NVML_API nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned index, nvmlDevice_t *device);
NVML_API nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device);
NVML_API nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvmlDevice_t *device);
NVML_API nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device);
NVML_API nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device);
NVML_API nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_v1_t *uuid, nvmlDevice_t *device);

/* --- what a device is --- */

NVML_API nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length);
NVML_API nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length);
NVML_API nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned *index);
NVML_API nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t *pci);
NVML_API nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t *pci);
NVML_API nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci);
NVML_API nvmlReturn_t nvmlDeviceGetCudaComputeCapability(
    nvmlDevice_t device, int *major, int *minor);
NVML_API nvmlReturn_t nvmlDeviceGetArchitecture(
    nvmlDevice_t device, nvmlDeviceArchitecture_t *architecture);
NVML_API nvmlReturn_t nvmlDeviceGetBrand(nvmlDevice_t device, nvmlBrandType_t *brand);
NVML_API nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, nvmlComputeMode_t *mode);
NVML_API nvmlReturn_t nvmlDeviceGetEccMode(
    nvmlDevice_t device, nvmlEnableState_t *current, nvmlEnableState_t *pending);
NVML_API nvmlReturn_t nvmlDeviceGetMemoryBusWidth(nvmlDevice_t device, unsigned *bits);
NVML_API nvmlReturn_t nvmlDeviceGetMultiGpuBoard(nvmlDevice_t device, unsigned *is_multi);
NVML_API nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned *is_mig);
NVML_API nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned *count);

/* --- how devices are joined --- */

NVML_API nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(
    nvmlDevice_t device, nvmlDevice_t other, nvmlGpuTopologyLevel_t *level);
NVML_API nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t device, nvmlDevice_t other,
    nvmlGpuP2PCapsIndex_t index, nvmlGpuP2PStatus_t *status);
NVML_API nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t device, nvmlDevice_t other, int *same);

/* --- how a device is at this moment --- */

NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory);
NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory);
NVML_API nvmlReturn_t nvmlDeviceGetUtilizationRates(
    nvmlDevice_t device, nvmlUtilization_t *utilization);
NVML_API nvmlReturn_t nvmlDeviceGetTemperature(
    nvmlDevice_t device, nvmlTemperatureSensors_t sensor, unsigned *celsius);
NVML_API nvmlReturn_t nvmlDeviceGetTemperatureV(
    nvmlDevice_t device, nvmlTemperature_v1_t *temperature);
NVML_API nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned *milliwatts);
NVML_API nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned *milliwatts);
NVML_API nvmlReturn_t nvmlDeviceGetFanSpeed(nvmlDevice_t device, unsigned *percent);
NVML_API nvmlReturn_t nvmlDeviceGetFanSpeed_v2(
    nvmlDevice_t device, unsigned fan, unsigned *percent);
NVML_API nvmlReturn_t nvmlDeviceGetClockInfo(
    nvmlDevice_t device, nvmlClockType_t type, unsigned *mhz);
NVML_API nvmlReturn_t nvmlDeviceGetMaxClockInfo(
    nvmlDevice_t device, nvmlClockType_t type, unsigned *mhz);
NVML_API nvmlReturn_t nvmlDeviceGetClock(
    nvmlDevice_t device, nvmlClockType_t type, nvmlClockId_t id, unsigned *mhz);
NVML_API nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, nvmlPstates_t *state);
NVML_API nvmlReturn_t nvmlDeviceGetPowerState(nvmlDevice_t device, nvmlPstates_t *state);
NVML_API nvmlReturn_t nvmlDeviceGetCurrPcieLinkGeneration(
    nvmlDevice_t device, unsigned *generation);
NVML_API nvmlReturn_t nvmlDeviceGetCurrPcieLinkWidth(nvmlDevice_t device, unsigned *width);
NVML_API nvmlReturn_t nvmlDeviceGetFieldValues(
    nvmlDevice_t device, int count, nvmlFieldValue_t *values);

#define NVML_MEMORY_ERROR_TYPE_UNCORRECTED 1
#define NVML_VOLATILE_ECC		   0
#define NVML_AGGREGATE_ECC		   1
NVML_API nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, unsigned *mode);
NVML_API nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *now, unsigned *pending);
NVML_API nvmlReturn_t nvmlDeviceGetTotalEccErrors(
    nvmlDevice_t device, unsigned type, unsigned counter, unsigned long long *count);

/* --- facts of the hardware, asked one by one --- */

#define NVML_GSP_FIRMWARE_LENGTH 64

typedef struct {
	unsigned long long bar1Total, bar1Free, bar1Used;
} nvmlBAR1Memory_t;

typedef struct {
	unsigned max, high, partial, low, none;
} nvmlRowRemapperHistogramValues_t;

NVML_API nvmlReturn_t nvmlDeviceGetMaxPcieLinkGeneration(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetMaxPcieLinkWidth(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetGpuMaxPcieLinkGeneration(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetPcieReplayCounter(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetPcieLinkMaxSpeed(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetPcieSpeed(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetPowerManagementMode(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetPowerManagementLimit(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetPowerSource(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetDisplayMode(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetDisplayActive(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetNumGpuCores(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetNumFans(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetDefaultEccMode(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetRetiredPagesPendingStatus(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetBusType(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetAdaptiveClockInfoStatus(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetInforomConfigurationChecksum(nvmlDevice_t device, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(
    nvmlDevice_t device, unsigned *first, unsigned *second);
NVML_API nvmlReturn_t nvmlDeviceGetEncoderUtilization(
    nvmlDevice_t device, unsigned *first, unsigned *second);
NVML_API nvmlReturn_t nvmlDeviceGetDecoderUtilization(
    nvmlDevice_t device, unsigned *first, unsigned *second);
NVML_API nvmlReturn_t nvmlDeviceGetJpgUtilization(
    nvmlDevice_t device, unsigned *first, unsigned *second);
NVML_API nvmlReturn_t nvmlDeviceGetOfaUtilization(
    nvmlDevice_t device, unsigned *first, unsigned *second);
NVML_API nvmlReturn_t nvmlDeviceGetGpuOperationMode(
    nvmlDevice_t device, unsigned *first, unsigned *second);
NVML_API nvmlReturn_t nvmlDeviceGetGspFirmwareMode(
    nvmlDevice_t device, unsigned *first, unsigned *second);
NVML_API nvmlReturn_t nvmlDeviceGetAutoBoostedClocksEnabled(
    nvmlDevice_t device, unsigned *first, unsigned *second);
NVML_API nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned *correctable,
    unsigned *uncorrectable, unsigned *pending, unsigned *failed);
NVML_API nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(
    nvmlDevice_t device, unsigned long long *out);
NVML_API nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(
    nvmlDevice_t device, unsigned long long *out);
NVML_API nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(
    nvmlDevice_t device, unsigned long long *out);
NVML_API nvmlReturn_t nvmlDeviceGetSupportedClocksThrottleReasons(
    nvmlDevice_t device, unsigned long long *out);
NVML_API nvmlReturn_t nvmlDeviceGetSupportedClocksEventReasons(
    nvmlDevice_t device, unsigned long long *out);
NVML_API nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *memory);
NVML_API nvmlReturn_t nvmlDeviceGetRowRemapperHistogram(
    nvmlDevice_t device, nvmlRowRemapperHistogramValues_t *values);
NVML_API nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t device, char *out, unsigned length);
NVML_API nvmlReturn_t nvmlDeviceGetInforomImageVersion(
    nvmlDevice_t device, char *out, unsigned length);
NVML_API nvmlReturn_t nvmlDeviceGetBoardPartNumber(nvmlDevice_t device, char *out, unsigned length);
NVML_API nvmlReturn_t nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t device, char *out);
NVML_API nvmlReturn_t nvmlDeviceGetInforomVersion(
    nvmlDevice_t device, unsigned object, char *out, unsigned length);
NVML_API nvmlReturn_t nvmlDeviceGetTemperatureThreshold(
    nvmlDevice_t device, unsigned which, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetApplicationsClock(
    nvmlDevice_t device, unsigned which, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetDefaultApplicationsClock(
    nvmlDevice_t device, unsigned which, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetMaxCustomerBoostClock(
    nvmlDevice_t device, unsigned which, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetPcieThroughput(
    nvmlDevice_t device, unsigned which, unsigned *out);
NVML_API nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, unsigned type,
    unsigned counter, unsigned location, unsigned long long *count);

/* --- what joins devices --- */

#define NVML_FI_DEV_NVLINK_LINK_COUNT 91
#define NVML_FI_DEV_NVLINK_GET_SPEED  164
#define NVML_FI_DEV_NVLINK_GET_STATE  165
NVML_API nvmlReturn_t nvmlDeviceGetNvLinkState(
    nvmlDevice_t device, unsigned number, unsigned *active);
NVML_API nvmlReturn_t nvmlDeviceGetNvLinkVersion(
    nvmlDevice_t device, unsigned number, unsigned *version);
NVML_API nvmlReturn_t nvmlDeviceGetNvLinkCapability(
    nvmlDevice_t device, unsigned number, unsigned capability, unsigned *has);
NVML_API nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(
    nvmlDevice_t device, unsigned number, unsigned *type);
NVML_API nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo(
    nvmlDevice_t device, unsigned number, nvmlPciInfo_t *pci);
NVML_API nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(
    nvmlDevice_t device, unsigned number, nvmlPciInfo_t *pci);

/* --- who uses a device --- */

NVML_API nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_v1_t *processes);
NVML_API nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *processes);
NVML_API nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *processes);
NVML_API nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_v1_t *processes);
NVML_API nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *processes);
NVML_API nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *processes);
NVML_API nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_v1_t *processes);
NVML_API nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v2(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *processes);
NVML_API nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(
    nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *processes);

/* --- events: none is supported --- */

NVML_API nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set);
NVML_API nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set);
NVML_API nvmlReturn_t nvmlDeviceGetSupportedEventTypes(
    nvmlDevice_t device, unsigned long long *types);
NVML_API nvmlReturn_t nvmlDeviceRegisterEvents(
    nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set);
NVML_API nvmlReturn_t nvmlEventSetWait(
    nvmlEventSet_t set, nvmlEventData_t *data, unsigned milliseconds);
NVML_API nvmlReturn_t nvmlEventSetWait_v2(
    nvmlEventSet_t set, nvmlEventData_t *data, unsigned milliseconds);
