/*
 * The tenant's NVML on a bridge of the test's own, with two devices: the second of the snapshot
 * comes first on the PCI bus. Each rule is checked with the answers beside it, so that a refusal is
 * known to come from the rule.
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "shim/nvml/internal.h"

static struct {
	struct snapshot snapshot;
	struct snapshot_device device[2];
	struct snapshot_peer peer[2][2];
	struct device_status status;
	CUresult connect, answer;
	nvmlReturn_t find;
	bool uses;
	uint64_t bytes;
	unsigned n_connects, n_asked;
	int asked;
} fake;

static CUresult fake_connect(const struct snapshot **snapshot)
{
	fake.n_connects++;
	*snapshot = &fake.snapshot;
	return fake.connect;
}

static const struct snapshot_device *fake_device(int number)
{
	return number >= 0 && number < (int)fake.snapshot.n_devices ? &fake.device[number] : NULL;
}

static const struct snapshot_peer *fake_peer(int number, int other)
{
	return &fake.peer[number][other];
}

static CUresult fake_status(int number, struct device_status *status)
{
	fake.asked = number;
	fake.n_asked++;
	*status = fake.status;
	return fake.answer;
}

static bool fake_process(int number, uint64_t *bytes)
{
	*bytes = fake.bytes;
	return fake.uses && number == 0;
}

static CUresult fake_driver_version(int *version)
{
	*version = 12080;
	return CUDA_SUCCESS;
}

nvmlReturn_t nvml_libcuda_find(struct nvml_libcuda *libcuda)
{
	static const struct nvml_bridge bridge = {
	    .size = sizeof(bridge),
	    .connect = fake_connect,
	    .device = fake_device,
	    .peer = fake_peer,
	    .status = fake_status,
	    .process = fake_process,
	};

	*libcuda = (struct nvml_libcuda){&bridge, fake_driver_version};
	return fake.find;
}

static void set(int device, CUdevice_attribute attribute, int value)
{
	fake.device[device].attribute[attribute] = value;
	fake.device[device].attribute_status[attribute] = CUDA_SUCCESS;
}

/* What a test starts from: two devices of which nothing is known but identity. */
static void prepare(void)
{
	fake.snapshot.n_devices = 2;
	fake.snapshot.driver_version = 13000;
	strcpy(fake.snapshot.driver_text, "580.159");
	for (int i = 0; i < 2; i++) {
		struct snapshot_device *d = &fake.device[i];
		for (size_t a = 0; a < WIRE_ATTRIBUTES_MAX; a++)
			d->attribute_status[a] = CUDA_ERROR_INVALID_VALUE;
		snprintf(d->name, sizeof(d->name), "NVIDIA H200 number %d", i);
		for (uint8_t k = 0; k < 16; k++)
			d->uuid[k] = (uint8_t)(k * 16 + i);
		set(i, CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, 0);
		set(i, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, i == 0 ? 0xc3 : 0x1b);
		set(i, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, 0);
	}
	for (int from = 0; from < 2; from++)
		for (int to = 0; to < 2; to++)
			for (size_t a = 0; a < SNAPSHOT_P2P_ATTRIBUTES; a++)
				fake.peer[from][to].attribute_status[a] = CUDA_ERROR_INVALID_VALUE;
}

/* Device of the snapshot's first place: NVML's index 1. */
static nvmlDevice_t start(void)
{
	nvmlDevice_t device;

	prepare();
	CHECK_EQ(nvmlInit_v2(), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(1, &device), NVML_SUCCESS);
	return device;
}

static nvmlDevice_t other_device(void)
{
	nvmlDevice_t device;

	CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(0, &device), NVML_SUCCESS);
	return device;
}

/* --- the library --- */

TEST(init_and_shutdown_are_counted)
{
	unsigned count;

	prepare();
	CHECK_EQ(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
	CHECK_EQ(nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
	CHECK_EQ(nvmlInit(), NVML_SUCCESS);
	CHECK_EQ(nvmlInitWithFlags(NVML_INIT_FLAG_NO_GPUS), NVML_SUCCESS);
	CHECK_EQ(nvmlShutdown(), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetCount(&count), NVML_SUCCESS);
	CHECK_EQ(count, 2);
	CHECK_EQ(nvmlShutdown(), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
	CHECK_EQ(nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
	CHECK_EQ(nvmlInit_v2(), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetCount_v2(&count), NVML_SUCCESS);
}

TEST(init_says_why_it_fails)
{
	unsigned count;

	prepare();
	CHECK_EQ(nvmlInitWithFlags(1u << 20), NVML_ERROR_INVALID_ARGUMENT);
	fake.find = NVML_ERROR_LIBRARY_NOT_FOUND;
	CHECK_EQ(nvmlInit_v2(), NVML_ERROR_LIBRARY_NOT_FOUND);
	fake.find = NVML_SUCCESS;
	fake.connect = CUDA_ERROR_NO_DEVICE;
	CHECK_EQ(nvmlInit_v2(), NVML_ERROR_DRIVER_NOT_LOADED);
	fake.connect = CUDA_ERROR_OUT_OF_MEMORY;
	CHECK_EQ(nvmlInit_v2(), NVML_ERROR_MEMORY);
	CHECK_EQ(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
	fake.connect = CUDA_SUCCESS;
	CHECK_EQ(nvmlInit_v2(), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetCount_v2(&count), NVML_SUCCESS);
}

TEST(a_child_goes_on_without_a_new_init)
{
	nvmlDevice_t device = start();
	char name[96];
	int status;
	pid_t child = fork();

	if (child == 0) {
		unsigned before = fake.n_connects;
		_exit(nvmlDeviceGetName(device, name, sizeof(name)) != NVML_SUCCESS ||
		      fake.n_connects == before);
	}
	CHECK(child > 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

TEST(every_error_has_a_text)
{
	CHECK_STR(nvmlErrorString(NVML_SUCCESS), "Success");
	CHECK_STR(nvmlErrorString(NVML_ERROR_UNKNOWN), "Unknown Error");
	CHECK_STR(nvmlErrorString((nvmlReturn_t)-1), "Unknown Error");
	for (int r = 0; r <= NVML_ERROR_RESET_TYPE_NOT_SUPPORTED; r++) {
		const char *text = nvmlErrorString((nvmlReturn_t)r);
		CHECK(text && *text && strcmp(text, "Unknown Error") != 0);
	}
}

TEST(the_system)
{
	char text[80];
	int version = 0;

	prepare();
	CHECK_EQ(nvmlSystemGetCudaDriverVersion(&version), NVML_SUCCESS);
	CHECK_EQ(version, 12080);
	CHECK_EQ(nvmlSystemGetCudaDriverVersion_v2(NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlSystemGetDriverVersion(text, 80), NVML_ERROR_UNINITIALIZED);
	start();
	CHECK_EQ(nvmlSystemGetDriverVersion(text, 80), NVML_SUCCESS);
	CHECK_STR(text, "580.159");
	CHECK_EQ(nvmlSystemGetDriverVersion(text, 8), NVML_SUCCESS);
	CHECK_EQ(nvmlSystemGetDriverVersion(text, 7), NVML_ERROR_INSUFFICIENT_SIZE);
	CHECK_EQ(nvmlSystemGetDriverVersion(NULL, 80), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlSystemGetNVMLVersion(text, 80), NVML_SUCCESS);
	CHECK_STR(text, "13.580.159");
	fake.snapshot.driver_text[0] = '\0';
	CHECK_EQ(nvmlSystemGetDriverVersion(text, 80), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlSystemGetNVMLVersion(text, 80), NVML_SUCCESS);
	CHECK_STR(text, "13." ROSEN_VERSION);
	CHECK_EQ(nvmlSystemGetNVMLVersion(text, 3), NVML_ERROR_INSUFFICIENT_SIZE);
}

TEST(process_names)
{
	char whole[256], cut[5];

	start();
	CHECK_EQ(nvmlSystemGetProcessName((unsigned)getpid(), whole, sizeof(whole)), NVML_SUCCESS);
	CHECK(strstr(whole, program_invocation_short_name));
	CHECK_EQ(nvmlSystemGetProcessName((unsigned)getpid(), cut, sizeof(cut)), NVML_SUCCESS);
	CHECK_EQ(strlen(cut), 4);
	CHECK_BYTES(cut, whole, 4);
	CHECK_EQ(nvmlSystemGetProcessName(1, whole, 0), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlSystemGetProcessName(1, NULL, 1), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlSystemGetProcessName(0x7ffffffe, whole, 1), NVML_ERROR_NOT_FOUND);
}

/* --- finding devices --- */

TEST(indices_follow_the_bus)
{
	nvmlDevice_t first, second, none = NULL;
	unsigned index;
	char name[96];

	start();
	CHECK_EQ(nvmlDeviceGetHandleByIndex(0, &first), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(1, &second), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(2, &none), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(0, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK(!none);
	CHECK_EQ(nvmlDeviceGetName(first, name, sizeof(name)), NVML_SUCCESS);
	CHECK_STR(name, "NVIDIA H200 number 1");
	CHECK_EQ(nvmlDeviceGetIndex(first, &index), NVML_SUCCESS);
	CHECK_EQ(index, 0);
	CHECK_EQ(nvmlDeviceGetIndex(second, &index), NVML_SUCCESS);
	CHECK_EQ(index, 1);
	CHECK_EQ(nvmlDeviceGetIndex(second, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(devices_at_one_address_keep_their_order)
{
	nvmlDevice_t device = start();
	unsigned index;

	set(0, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 0x1b);
	CHECK_EQ(nvmlDeviceGetIndex(device, &index), NVML_SUCCESS);
	CHECK_EQ(index, 0);
}

TEST(wrong_handles_are_refused)
{
	nvmlDevice_t device = start(), past = (nvmlDevice_t)((char *)device + WIRE_DEVICES_MAX);
	unsigned value;

	CHECK_EQ(nvmlDeviceGetIndex(NULL, &value), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetIndex((nvmlDevice_t)&value, &value), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetIndex((nvmlDevice_t)((char *)device + 2), &value),
	    NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetIndex(past, &value), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetIndex(device, &value), NVML_SUCCESS);
	nvmlShutdown();
	CHECK_EQ(nvmlDeviceGetIndex(device, &value), NVML_ERROR_UNINITIALIZED);
}

TEST(bus_ids_in_every_form)
{
	static const char *const good[] = {"0000:c3:00.0", "00000000:C3:00.0", "0:c3:0", "c3:00.0"};
	static const char *const unknown[] = {
	    "0000:c4:00.0", "0001:c3:00.0", "0000:c3:01.0", "0000:c3:00.1", "c3:00.1"};
	static const char *const bad[] = {"", "c3", "c3:00", "0000:c3:00.", "0000:c3:00.0 ",
	    "0000:c3:00.0.0", "GPU", "0000:c3:00:0"};
	nvmlDevice_t device = start(), found;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CHECK_EQ(nvmlDeviceGetHandleByPciBusId_v2(good[i], &found), NVML_SUCCESS);
		CHECK(found == device);
	}
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		CHECK_EQ(nvmlDeviceGetHandleByPciBusId(unknown[i], &found), NVML_ERROR_NOT_FOUND);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(
		    nvmlDeviceGetHandleByPciBusId_v2(bad[i], &found), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetHandleByPciBusId_v2(NULL, &found), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetHandleByPciBusId_v2(good[0], NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(uuids)
{
	static const char uuid[] = "GPU-00102030-4050-6070-8090-a0b0c0d0e0f0";
	nvmlDevice_t device = start(), found;
	char text[80];

	CHECK_EQ(nvmlDeviceGetUUID(device, text, sizeof(text)), NVML_SUCCESS);
	CHECK_STR(text, uuid);
	CHECK_EQ(nvmlDeviceGetUUID(device, text, sizeof(uuid)), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetUUID(device, text, sizeof(uuid) - 1), NVML_ERROR_INSUFFICIENT_SIZE);
	CHECK_EQ(nvmlDeviceGetUUID(device, NULL, 80), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetHandleByUUID(uuid, &found), NVML_SUCCESS);
	CHECK(found == device);
	CHECK_EQ(nvmlDeviceGetHandleByUUID("GPU-00102030-4050-6070-8090-A0B0C0D0E0F0", &found),
	    NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetHandleByUUID("GPU-00102030-4050-6070-8090-a0b0c0d0e0f1", &found),
	    NVML_ERROR_NOT_FOUND);
	CHECK_EQ(nvmlDeviceGetHandleByUUID("GPU-0010203-04050-6070-8090-a0b0c0d0e0f0", &found),
	    NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetHandleByUUID("GPU-00102030-4050-6070-8090-a0b0c0d0e0+f", &found),
	    NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetHandleByUUID("", &found), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetHandleByUUID(NULL, &found), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetHandleByUUID(uuid, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(uuids_with_a_version)
{
	nvmlDevice_t device = start(), found = NULL;
	nvmlUUID_v1_t uuid = {.version = NVML_UUID_V1, .type = NVML_UUID_BINARY};

	memcpy(uuid.value.bytes, fake.device[0].uuid, 16);
	CHECK_EQ(nvmlDeviceGetHandleByUUIDV(&uuid, &found), NVML_SUCCESS);
	CHECK(found == device);
	uuid.value.bytes[0] ^= 0x80;
	CHECK_EQ(nvmlDeviceGetHandleByUUIDV(&uuid, &found), NVML_ERROR_NOT_FOUND);
	uuid.type = NVML_UUID_ASCII;
	CHECK_EQ(nvmlDeviceGetUUID(device, uuid.value.str, sizeof(uuid.value.str)), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetHandleByUUIDV(&uuid, &found), NVML_SUCCESS);
	memset(uuid.value.str, '0', sizeof(uuid.value.str));
	CHECK_EQ(nvmlDeviceGetHandleByUUIDV(&uuid, &found), NVML_ERROR_INVALID_ARGUMENT);
	uuid.type = 0;
	CHECK_EQ(nvmlDeviceGetHandleByUUIDV(&uuid, &found), NVML_ERROR_INVALID_ARGUMENT);
	uuid.version = 0;
	CHECK_EQ(nvmlDeviceGetHandleByUUIDV(&uuid, &found), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
	CHECK_EQ(nvmlDeviceGetHandleByUUIDV(NULL, &found), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetHandleByUUIDV(&uuid, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

/* --- what a device is --- */

TEST(name)
{
	nvmlDevice_t device = start();
	char name[96];
	unsigned size = sizeof("NVIDIA H200 number 0");

	CHECK_EQ(nvmlDeviceGetName(device, name, size), NVML_SUCCESS);
	CHECK_STR(name, "NVIDIA H200 number 0");
	CHECK_EQ(nvmlDeviceGetName(device, name, size - 1), NVML_ERROR_INSUFFICIENT_SIZE);
	CHECK_EQ(nvmlDeviceGetName(device, NULL, size), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(pci_info_of_each_form_keeps_its_size)
{
	nvmlDevice_t device = start();
	nvmlPciInfo_t info, untouched;

	set(0, CU_DEVICE_ATTRIBUTE_GPU_PCI_DEVICE_ID, 0x233510de);
	set(0, CU_DEVICE_ATTRIBUTE_GPU_PCI_SUBSYSTEM_ID, 0x18be10de);
	memset(&untouched, 0xee, sizeof(untouched));
	info = untouched;
	CHECK_EQ(nvmlDeviceGetPciInfo(device, &info), NVML_SUCCESS);
	CHECK_STR(info.busIdLegacy, "0000:C3:00.0");
	CHECK_EQ(info.pciDeviceId, 0x233510de);
	CHECK_EQ(info.pciSubSystemId, 0xeeeeeeee);
	CHECK_EQ(nvmlDeviceGetPciInfo_v2(device, &info), NVML_SUCCESS);
	CHECK_EQ(info.pciSubSystemId, 0x18be10de);
	CHECK_BYTES(info.busId, untouched.busId, sizeof(info.busId));
	CHECK_EQ(nvmlDeviceGetPciInfo_v3(device, &info), NVML_SUCCESS);
	CHECK_STR(info.busId, "00000000:C3:00.0");
	CHECK_EQ(info.bus, 0xc3);
	CHECK_EQ(info.domain, 0);
	CHECK_EQ(info.device, 0);
	CHECK_EQ(nvmlDeviceGetPciInfo(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetPciInfo_v2(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetPciInfo_v3(NULL, &info), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(capability_and_architecture)
{
	static const struct {
		int major, minor;
		nvmlDeviceArchitecture_t is;
	} rows[] = {
	    {2, 0, NVML_DEVICE_ARCH_UNKNOWN},
	    {6, 1, NVML_DEVICE_ARCH_PASCAL},
	    {7, 0, NVML_DEVICE_ARCH_VOLTA},
	    {7, 5, NVML_DEVICE_ARCH_TURING},
	    {8, 6, NVML_DEVICE_ARCH_AMPERE},
	    {8, 9, NVML_DEVICE_ARCH_ADA},
	    {9, 0, NVML_DEVICE_ARCH_HOPPER},
	    {12, 1, NVML_DEVICE_ARCH_BLACKWELL},
	    {99, 0, NVML_DEVICE_ARCH_UNKNOWN},
	};
	nvmlDevice_t device = start();
	nvmlDeviceArchitecture_t is;
	int major, minor;

	CHECK_EQ(
	    nvmlDeviceGetCudaComputeCapability(device, &major, &minor), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceGetArchitecture(device, &is), NVML_ERROR_NOT_SUPPORTED);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		set(0, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, rows[i].major);
		set(0, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, rows[i].minor);
		CHECK_EQ(nvmlDeviceGetCudaComputeCapability(device, &major, &minor), NVML_SUCCESS);
		CHECK_EQ(major, rows[i].major);
		CHECK_EQ(minor, rows[i].minor);
		CHECK_EQ(nvmlDeviceGetArchitecture(device, &is), NVML_SUCCESS);
		CHECK_EQ(is, rows[i].is);
	}
	CHECK_EQ(
	    nvmlDeviceGetCudaComputeCapability(device, NULL, &minor), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(
	    nvmlDeviceGetCudaComputeCapability(device, &major, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetArchitecture(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(brands)
{
	static const struct {
		const char *name;
		nvmlBrandType_t brand;
	} rows[] = {
	    {"NVIDIA H200", NVML_BRAND_NVIDIA},
	    {"NVIDIA GeForce RTX 4090", NVML_BRAND_GEFORCE},
	    {"NVIDIA RTX A6000", NVML_BRAND_NVIDIA_RTX},
	    {"Quadro RTX 8000", NVML_BRAND_QUADRO_RTX},
	    {"Quadro P6000", NVML_BRAND_QUADRO},
	    {"NVIDIA TITAN V", NVML_BRAND_TITAN},
	    {"Tesla V100-SXM2-16GB", NVML_BRAND_TESLA},
	    {"Rosen software GPU", NVML_BRAND_UNKNOWN},
	};
	nvmlDevice_t device = start();
	nvmlBrandType_t brand;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		strcpy(fake.device[0].name, rows[i].name);
		CHECK_EQ(nvmlDeviceGetBrand(device, &brand), NVML_SUCCESS);
		CHECK_EQ(brand, rows[i].brand);
	}
	CHECK_EQ(nvmlDeviceGetBrand(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(attributes_answer_or_are_not_supported)
{
	nvmlDevice_t device = start();
	nvmlEnableState_t current, pending;
	nvmlComputeMode_t mode;
	unsigned value;

	CHECK_EQ(nvmlDeviceGetMemoryBusWidth(device, &value), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceGetMultiGpuBoard(device, &value), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceGetComputeMode(device, &mode), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceGetEccMode(device, &current, &pending), NVML_ERROR_NOT_SUPPORTED);
	set(0, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 6144);
	set(0, CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD, 1);
	set(0, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, 3);
	set(0, CU_DEVICE_ATTRIBUTE_ECC_ENABLED, 0);
	CHECK_EQ(nvmlDeviceGetMemoryBusWidth(device, &value), NVML_SUCCESS);
	CHECK_EQ(value, 6144);
	CHECK_EQ(nvmlDeviceGetMultiGpuBoard(device, &value), NVML_SUCCESS);
	CHECK_EQ(value, 1);
	CHECK_EQ(nvmlDeviceGetComputeMode(device, &mode), NVML_SUCCESS);
	CHECK_EQ(mode, NVML_COMPUTEMODE_EXCLUSIVE_PROCESS);
	CHECK_EQ(nvmlDeviceGetEccMode(device, &current, &pending), NVML_ERROR_NOT_SUPPORTED);
	set(0, CU_DEVICE_ATTRIBUTE_ECC_ENABLED, 1);
	CHECK_EQ(nvmlDeviceGetEccMode(device, &current, &pending), NVML_SUCCESS);
	CHECK(current == NVML_FEATURE_ENABLED && pending == NVML_FEATURE_ENABLED);
	CHECK_EQ(nvmlDeviceGetEccMode(device, &current, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetEccMode(device, NULL, &pending), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetMemoryBusWidth(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetMultiGpuBoard(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetComputeMode(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(no_device_is_an_instance)
{
	nvmlDevice_t device = start();
	unsigned value = 7;

	CHECK_EQ(nvmlDeviceIsMigDeviceHandle(device, &value), NVML_SUCCESS);
	CHECK_EQ(value, 0);
	value = 7;
	CHECK_EQ(nvmlDeviceGetMaxMigDeviceCount(device, &value), NVML_SUCCESS);
	CHECK_EQ(value, 0);
	CHECK_EQ(nvmlDeviceIsMigDeviceHandle(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetMaxMigDeviceCount(NULL, &value), NVML_ERROR_INVALID_ARGUMENT);
}

/* --- how devices are joined --- */

TEST(ancestors)
{
	nvmlDevice_t device = start(), other = other_device();
	nvmlGpuTopologyLevel_t level;
	int same;

	CHECK_EQ(nvmlDeviceGetTopologyCommonAncestor(device, device, &level), NVML_SUCCESS);
	CHECK_EQ(level, NVML_TOPOLOGY_INTERNAL);
	CHECK_EQ(
	    nvmlDeviceGetTopologyCommonAncestor(device, other, &level), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceOnSameBoard(device, other, &same), NVML_ERROR_NOT_SUPPORTED);
	set(0, CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID, 1);
	set(1, CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID, 0);
	CHECK_EQ(nvmlDeviceGetTopologyCommonAncestor(device, other, &level), NVML_SUCCESS);
	CHECK_EQ(level, NVML_TOPOLOGY_SYSTEM);
	set(1, CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID, 1);
	CHECK_EQ(nvmlDeviceGetTopologyCommonAncestor(device, other, &level), NVML_SUCCESS);
	CHECK_EQ(level, NVML_TOPOLOGY_NODE);
	set(1, CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID, -1);
	CHECK_EQ(
	    nvmlDeviceGetTopologyCommonAncestor(device, other, &level), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(
	    nvmlDeviceGetTopologyCommonAncestor(device, NULL, &level), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(
	    nvmlDeviceGetTopologyCommonAncestor(device, other, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(boards)
{
	nvmlDevice_t device = start(), other = other_device();
	nvmlGpuTopologyLevel_t level;
	int same;

	CHECK_EQ(nvmlDeviceOnSameBoard(device, device, &same), NVML_SUCCESS);
	CHECK_EQ(same, 1);
	set(0, CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD_GROUP_ID, 4);
	set(1, CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD_GROUP_ID, 5);
	CHECK_EQ(nvmlDeviceOnSameBoard(device, other, &same), NVML_SUCCESS);
	CHECK_EQ(same, 0);
	set(1, CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD_GROUP_ID, 4);
	CHECK_EQ(nvmlDeviceOnSameBoard(device, other, &same), NVML_SUCCESS);
	CHECK_EQ(same, 1);
	CHECK_EQ(nvmlDeviceGetTopologyCommonAncestor(device, other, &level), NVML_SUCCESS);
	CHECK_EQ(level, NVML_TOPOLOGY_INTERNAL);
	CHECK_EQ(nvmlDeviceOnSameBoard(device, other, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceOnSameBoard(NULL, other, &same), NVML_ERROR_INVALID_ARGUMENT);
}

static void check_p2p(
    nvmlDevice_t device, nvmlDevice_t other, nvmlGpuP2PCapsIndex_t index, nvmlGpuP2PStatus_t wanted)
{
	nvmlGpuP2PStatus_t status;

	CHECK_EQ(nvmlDeviceGetP2PStatus(device, other, index, &status), NVML_SUCCESS);
	CHECK_EQ(status, wanted);
}

static void set_peer(CUdevice_P2PAttribute attribute, int value)
{
	fake.peer[0][1].attribute[attribute] = value;
	fake.peer[0][1].attribute_status[attribute] = CUDA_SUCCESS;
}

TEST(peers)
{
	nvmlDevice_t device = start(), other = other_device();
	nvmlGpuP2PStatus_t status;

	check_p2p(device, other, NVML_P2P_CAPS_INDEX_READ, NVML_P2P_STATUS_UNKNOWN);
	set_peer(CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, 1);
	set_peer(CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED, 0);
	check_p2p(device, other, NVML_P2P_CAPS_INDEX_READ, NVML_P2P_STATUS_OK);
	check_p2p(device, other, NVML_P2P_CAPS_INDEX_WRITE, NVML_P2P_STATUS_OK);
	check_p2p(device, other, NVML_P2P_CAPS_INDEX_ATOMICS, NVML_P2P_STATUS_NOT_SUPPORTED);
	check_p2p(device, other, NVML_P2P_CAPS_INDEX_NVLINK, NVML_P2P_STATUS_UNKNOWN);
	check_p2p(other, device, NVML_P2P_CAPS_INDEX_READ, NVML_P2P_STATUS_UNKNOWN);
	set_peer(CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, 0);
	check_p2p(device, other, NVML_P2P_CAPS_INDEX_READ, NVML_P2P_STATUS_NOT_SUPPORTED);
	check_p2p(device, other, NVML_P2P_CAPS_INDEX_PCI, NVML_P2P_STATUS_NOT_SUPPORTED);
	check_p2p(device, device, NVML_P2P_CAPS_INDEX_READ, NVML_P2P_STATUS_OK);
	check_p2p(device, device, NVML_P2P_CAPS_INDEX_NVLINK, NVML_P2P_STATUS_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceGetP2PStatus(device, other, NVML_P2P_CAPS_INDEX_UNKNOWN, &status),
	    NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetP2PStatus(device, other, (nvmlGpuP2PCapsIndex_t)-1, &status),
	    NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetP2PStatus(device, other, NVML_P2P_CAPS_INDEX_READ, NULL),
	    NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetP2PStatus(device, NULL, NVML_P2P_CAPS_INDEX_READ, &status),
	    NVML_ERROR_INVALID_ARGUMENT);
}

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
	CHECK_EQ(nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_GPU_MAX, &celsius),
	    NVML_ERROR_NOT_SUPPORTED);
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

/* --- what is not there --- */

nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char *serial, unsigned length);

TEST(other_functions_are_refused)
{
	char serial[30];

	prepare();
	CHECK_EQ(nvmlDeviceGetSerial(NULL, serial, 30), NVML_ERROR_UNINITIALIZED);
	CHECK_EQ(nvmlDeviceGetSerial(start(), serial, 30), NVML_ERROR_NOT_SUPPORTED);
}

TEST(event_sets_stay_empty)
{
	nvmlEventSet_t set, none = (nvmlEventSet_t)&set;
	nvmlEventData_t data;
	unsigned long long types = 1;

	prepare();
	CHECK_EQ(nvmlEventSetCreate(&set), NVML_ERROR_UNINITIALIZED);
	nvmlDevice_t device = start();
	CHECK_EQ(nvmlEventSetCreate(NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlEventSetCreate(&set), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetSupportedEventTypes(device, &types), NVML_SUCCESS);
	CHECK_EQ(types, 0);
	CHECK_EQ(nvmlDeviceRegisterEvents(device, 0, set), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceRegisterEvents(device, 8, set), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceRegisterEvents(device, 0, none), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlEventSetWait_v2(set, &data, 1), NVML_ERROR_TIMEOUT);
	CHECK_EQ(nvmlEventSetWait(set, NULL, 1), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlEventSetWait(none, &data, 1), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlEventSetFree(none), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlEventSetFree(set), NVML_SUCCESS);
	CHECK_EQ(nvmlEventSetFree(set), NVML_ERROR_INVALID_ARGUMENT);
}
