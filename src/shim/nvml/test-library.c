/* The library as a whole, finding devices, and what is not there. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/nvml/test-bridge.h"

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
