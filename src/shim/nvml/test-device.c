/* What a device is and how devices are joined. */
#include "shim/nvml/test-bridge.h"

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
