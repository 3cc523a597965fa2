/* NVLinks, one by one and as fields; modes that nvidia-smi's table shows. */
#include "base/test.h"
#include "shim/nvml/test-bridge.h"

TEST(links)
{
	nvmlDevice_t device = start();
	nvmlPciInfo_t pci;
	unsigned value;

	CHECK_EQ(nvmlDeviceGetNvLinkState(device, 0, &value), NVML_ERROR_NOT_SUPPORTED);
	fake.links = (struct device_links){.n = 2,
	    .link = {{.active = 1,
			 .capabilities = 1 << 0 | 1 << 2,
			 .version = 4,
			 .has_remote = 1,
			 .remote_bus = 7,
			 .remote_id = 0x12,
			 .remote_bus_id = "00000000:07:00.0"},
		{.active = 0}}};
	CHECK_EQ(nvmlDeviceGetNvLinkState(device, 0, &value), NVML_SUCCESS);
	CHECK_EQ(value, 1);
	CHECK_EQ(nvmlDeviceGetNvLinkState(device, 1, &value), NVML_SUCCESS);
	CHECK_EQ(value, 0);
	CHECK_EQ(nvmlDeviceGetNvLinkState(device, 2, &value), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetNvLinkState(device, 0, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetNvLinkVersion(device, 0, &value), NVML_SUCCESS);
	CHECK_EQ(value, 4);
	CHECK_EQ(nvmlDeviceGetNvLinkVersion(device, 1, &value), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceGetNvLinkCapability(device, 0, 2, &value), NVML_SUCCESS);
	CHECK_EQ(value, 1);
	CHECK_EQ(nvmlDeviceGetNvLinkCapability(device, 0, 1, &value), NVML_SUCCESS);
	CHECK_EQ(value, 0);
	CHECK_EQ(nvmlDeviceGetNvLinkCapability(device, 0, 6, &value), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetNvLinkRemotePciInfo_v2(device, 0, &pci), NVML_SUCCESS);
	CHECK_EQ(pci.bus, 7);
	CHECK_EQ(pci.pciDeviceId, 0x12);
	CHECK_STR(pci.busId, "00000000:07:00.0");
	CHECK_STR(pci.busIdLegacy, "0000:07:00.0");
	CHECK_EQ(nvmlDeviceGetNvLinkRemotePciInfo(device, 1, &pci), NVML_ERROR_NOT_SUPPORTED);
	fake.answer = CUDA_ERROR_LAUNCH_FAILED;
	CHECK_EQ(nvmlDeviceGetNvLinkState(device, 0, &value), NVML_ERROR_GPU_IS_LOST);
}

TEST(fields_of_links)
{
	nvmlDevice_t device = start();
	nvmlFieldValue_t values[] = {{.fieldId = NVML_FI_DEV_NVLINK_LINK_COUNT},
	    {.fieldId = NVML_FI_DEV_NVLINK_GET_STATE, .scopeId = 1},
	    {.fieldId = NVML_FI_DEV_NVLINK_GET_STATE, .scopeId = 3},
	    {.fieldId = NVML_FI_DEV_NVLINK_GET_SPEED, .scopeId = 1},
	    {.fieldId = NVML_FI_DEV_NVLINK_GET_SPEED}, {.fieldId = 1}};

	fake.links =
	    (struct device_links){.n = 2, .link = {[1] = {.active = 1, .speed_mbps = 26562}}};
	CHECK_EQ(nvmlDeviceGetFieldValues(device, 6, values), NVML_SUCCESS);
	CHECK_EQ(
	    fake.n_asked, 2); /* once for all of them, and for the field that is none of theirs */
	CHECK_EQ(values[0].value, 2);
	CHECK_EQ(values[1].nvmlReturn, NVML_SUCCESS);
	CHECK_EQ(values[1].value, 1);
	CHECK_EQ(values[2].nvmlReturn, NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(values[3].value, 26562);
	CHECK_EQ(values[4].nvmlReturn, NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(values[5].nvmlReturn, NVML_ERROR_NOT_SUPPORTED);
}

TEST(modes)
{
	nvmlDevice_t device = start();
	unsigned long long errors;
	unsigned now, pending;

	CHECK_EQ(nvmlDeviceGetPersistenceMode(device, &now), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceGetMigMode(device, &now, &pending), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceGetTotalEccErrors(device, 1, 0, &errors), NVML_ERROR_NOT_SUPPORTED);
	fake.status = (struct device_status){
	    .present = DEVICE_STATUS_PERSISTENCE | DEVICE_STATUS_MIG | DEVICE_STATUS_ECC_ERRORS,
	    .persistence = 1,
	    .mig = {0, 1},
	    .ecc_errors = 5};
	CHECK_EQ(nvmlDeviceGetPersistenceMode(device, &now), NVML_SUCCESS);
	CHECK_EQ(now, 1);
	CHECK_EQ(nvmlDeviceGetMigMode(device, &now, &pending), NVML_SUCCESS);
	CHECK_EQ(now, 0);
	CHECK_EQ(pending, 1);
	CHECK_EQ(nvmlDeviceGetMigMode(device, &now, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetTotalEccErrors(device, 1, 0, &errors), NVML_SUCCESS);
	CHECK_EQ(errors, 5);
	CHECK_EQ(nvmlDeviceGetTotalEccErrors(device, 0, 0, &errors), NVML_ERROR_NOT_SUPPORTED);
	CHECK_EQ(nvmlDeviceGetTotalEccErrors(device, 2, 0, &errors), NVML_ERROR_INVALID_ARGUMENT);
}
