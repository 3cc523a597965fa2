/* Questions that the worker passes on: what goes there, and what the caller gets of the answer. */
#include "shim/nvml/test-bridge.h"

static void answer_numbers(unsigned a, unsigned b, unsigned c, unsigned d)
{
	const unsigned all[] = {a, b, c, d};

	fake.question_answer = (struct device_answer){.result = NVML_SUCCESS};
	memcpy(fake.question_answer.bytes, all, sizeof(all));
}

static void answer_wide(unsigned long long value)
{
	fake.question_answer = (struct device_answer){.result = NVML_SUCCESS};
	memcpy(fake.question_answer.bytes, &value, sizeof(value));
}

TEST(numbers)
{
	nvmlDevice_t device = start();
	unsigned a = 0, b = 0, c = 0, d = 0;
	unsigned long long wide = 0;

	CHECK_EQ(nvmlDeviceGetMaxPcieLinkWidth(device, &a), NVML_ERROR_NOT_SUPPORTED);
	answer_numbers(5, 6, 7, 8);
	CHECK_EQ(nvmlDeviceGetMaxPcieLinkGeneration(device, &a), NVML_SUCCESS);
	CHECK_EQ(a, 5);
	CHECK_EQ(fake.question.number, DEVICE_QUESTION_nvmlDeviceGetMaxPcieLinkGeneration);
	CHECK_EQ(fake.asked, 0);
	CHECK_EQ(nvmlDeviceGetPowerManagementLimitConstraints(device, &a, &b), NVML_SUCCESS);
	CHECK(a == 5 && b == 6);
	CHECK_EQ(nvmlDeviceGetRemappedRows(device, &a, &b, &c, &d), NVML_SUCCESS);
	CHECK(c == 7 && d == 8);
	CHECK_EQ(nvmlDeviceGetTemperatureThreshold(device, 2, &a), NVML_SUCCESS);
	CHECK_EQ(fake.question.argument[0], 2);
	answer_wide(1ull << 40);
	CHECK_EQ(nvmlDeviceGetTotalEnergyConsumption(device, &wide), NVML_SUCCESS);
	CHECK_EQ(wide, 1ull << 40);
	CHECK_EQ(nvmlDeviceGetMemoryErrorCounter(device, 1, 0, 2, &wide), NVML_SUCCESS);
	CHECK(fake.question.argument[0] == 1 && fake.question.argument[2] == 2);
	CHECK_EQ(nvmlDeviceGetPowerManagementLimit(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlDeviceGetRemappedRows(device, &a, &b, NULL, &d), NVML_ERROR_INVALID_ARGUMENT);
	fake.answer = CUDA_ERROR_NOT_SUPPORTED; /* no NVML on the server */
	CHECK_EQ(nvmlDeviceGetPowerManagementLimit(device, &a), NVML_ERROR_NOT_SUPPORTED);
}

TEST(structs_and_texts)
{
	nvmlDevice_t device = start();
	nvmlBAR1Memory_t memory;
	char text[32], firmware[NVML_GSP_FIRMWARE_LENGTH];

	fake.question_answer = (struct device_answer){.result = NVML_SUCCESS};
	memcpy(fake.question_answer.bytes, &(nvmlBAR1Memory_t){30, 20, 10}, sizeof(memory));
	CHECK_EQ(nvmlDeviceGetBAR1MemoryInfo(device, &memory), NVML_SUCCESS);
	CHECK(memory.bar1Total == 30 && memory.bar1Free == 20 && memory.bar1Used == 10);
	memset(&fake.question_answer.bytes, 0, sizeof(fake.question_answer.bytes));
	strcpy((char *)fake.question_answer.bytes, "96.00.CF.00.01");
	CHECK_EQ(nvmlDeviceGetVbiosVersion(device, text, sizeof(text)), NVML_SUCCESS);
	CHECK_STR(text, "96.00.CF.00.01");
	CHECK_EQ(nvmlDeviceGetVbiosVersion(device, text, 5), NVML_ERROR_INSUFFICIENT_SIZE);
	CHECK_EQ(nvmlDeviceGetInforomVersion(device, 1, text, sizeof(text)), NVML_SUCCESS);
	CHECK_EQ(fake.question.argument[0], 1);
	CHECK_EQ(nvmlDeviceGetGspFirmwareVersion(device, firmware), NVML_SUCCESS);
	CHECK_STR(firmware, "96.00.CF.00.01");
	/* A worker that was taken over might leave the zero out. */
	memset(&fake.question_answer.bytes, 'x', sizeof(fake.question_answer.bytes));
	CHECK_EQ(
	    nvmlDeviceGetVbiosVersion(device, text, sizeof(text)), NVML_ERROR_INSUFFICIENT_SIZE);
}

TEST(what_the_status_leaves_out)
{
	nvmlDevice_t device = start();
	unsigned mhz;
	unsigned long long errors;
	nvmlFieldValue_t value = {.fieldId = 185, .scopeId = 3};
	struct device_field field = {.value = 123456, .type = 1};

	answer_numbers(1980, 0, 0, 0);
	CHECK_EQ(nvmlDeviceGetClockInfo(device, 0, &mhz), NVML_SUCCESS);
	CHECK_EQ(mhz, 1980);
	CHECK_EQ(fake.question.number, DEVICE_QUESTION_nvmlDeviceGetClockInfo);
	CHECK_EQ(nvmlDeviceGetClock(device, NVML_CLOCK_SM, 2, &mhz), NVML_SUCCESS);
	CHECK_EQ(fake.question.argument[1], 2);
	answer_wide(4);
	fake.status.present = DEVICE_STATUS_ECC_ERRORS;
	CHECK_EQ(nvmlDeviceGetTotalEccErrors(device, 0, 1, &errors), NVML_SUCCESS);
	CHECK_EQ(errors, 4);
	memcpy(fake.question_answer.bytes, &field, sizeof(field));
	CHECK_EQ(nvmlDeviceGetFieldValues(device, 1, &value), NVML_SUCCESS);
	CHECK_EQ(value.nvmlReturn, NVML_SUCCESS);
	CHECK_EQ(value.value, 123456);
	CHECK_EQ(value.valueType, 1);
	CHECK(fake.question.argument[0] == 185 && fake.question.argument[1] == 3);
}
