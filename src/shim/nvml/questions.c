/*
 * Facts of the hardware that only the server's NVML knows: each function is one question to the
 * worker (wire/device_question.h), and its answer as it comes. Nothing is kept between questions.
 */
#include <string.h>

#include "base/util.h"
#include "shim/nvml/internal.h"

static const unsigned arguments_of[DEVICE_QUESTIONS_MAX] = {
#define ARGUMENTS_NUMBER	 0
#define ARGUMENTS_PAIR		 0
#define ARGUMENTS_FOUR		 0
#define ARGUMENTS_WIDE		 0
#define ARGUMENTS_STRUCT	 0
#define ARGUMENTS_TEXT		 0
#define ARGUMENTS_FIRMWARE_TEXT	 0
#define ARGUMENTS_OF_TEXT	 1
#define ARGUMENTS_OF_NUMBER	 1
#define ARGUMENTS_OF2_NUMBER	 2
#define ARGUMENTS_OF2_WIDE	 2
#define ARGUMENTS_OF3_WIDE	 3
#define ARGUMENTS_FIELD		 2
#define QUESTION(form, function) ARGUMENTS_##form,
    DEVICE_QUESTIONS
#undef QUESTION
};

nvmlReturn_t nvml_ask(nvmlDevice_t handle, enum device_question_number number,
    const unsigned *argument, void *out, size_t size)
{
	struct device_question question = {.number = number};
	struct device_answer answer;
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, out, &device);

	if (r != NVML_SUCCESS)
		return r;
	for (unsigned i = 0; i < arguments_of[number]; i++)
		question.argument[i] = argument[i];
	r = nvml_result(device.view.bridge->ask(device.number, &question, &answer));
	if (r == NVML_SUCCESS)
		r = (nvmlReturn_t)answer.result;
	if (r == NVML_SUCCESS)
		memcpy(out, answer.bytes, MIN(size, sizeof(answer.bytes)));
	return r;
}

static nvmlReturn_t text(nvmlDevice_t handle, enum device_question_number number,
    const unsigned *argument, char *out, unsigned length)
{
	char answer[DEVICE_ANSWER_MAX];
	nvmlReturn_t r = nvml_ask(handle, number, argument, out ? answer : NULL, sizeof(answer));

	answer[sizeof(answer) - 1] = '\0';
	return r == NVML_SUCCESS ? nvml_text(answer, out, length) : r;
}

#define NUMBER(function)                                                                           \
	nvmlReturn_t function(nvmlDevice_t device, unsigned *out)                                  \
	{                                                                                          \
		return nvml_ask(device, DEVICE_QUESTION_##function, NULL, out, sizeof(*out));      \
	}

#define PAIR(function)                                                                             \
	nvmlReturn_t function(nvmlDevice_t device, unsigned *first, unsigned *second)              \
	{                                                                                          \
		unsigned both[2];                                                                  \
		nvmlReturn_t r = nvml_ask(device, DEVICE_QUESTION_##function, NULL,                \
		    first && second ? both : NULL, sizeof(both));                                  \
		if (r == NVML_SUCCESS)                                                             \
			*first = both[0], *second = both[1];                                       \
		return r;                                                                          \
	}

#define FOUR(function)                                                                             \
	nvmlReturn_t function(                                                                     \
	    nvmlDevice_t device, unsigned *a, unsigned *b, unsigned *c, unsigned *d)               \
	{                                                                                          \
		unsigned all[4];                                                                   \
		nvmlReturn_t r = nvml_ask(device, DEVICE_QUESTION_##function, NULL,                \
		    a && b && c && d ? all : NULL, sizeof(all));                                   \
		if (r == NVML_SUCCESS)                                                             \
			*a = all[0], *b = all[1], *c = all[2], *d = all[3];                        \
		return r;                                                                          \
	}

#define WIDE(function)                                                                             \
	nvmlReturn_t function(nvmlDevice_t device, unsigned long long *out)                        \
	{                                                                                          \
		return nvml_ask(device, DEVICE_QUESTION_##function, NULL, out, sizeof(*out));      \
	}

#define TEXT(function)                                                                             \
	nvmlReturn_t function(nvmlDevice_t device, char *out, unsigned length)                     \
	{                                                                                          \
		return text(device, DEVICE_QUESTION_##function, NULL, out, length);                \
	}

/* A caller of this one has so much room. */
#define FIRMWARE_TEXT(function)                                                                    \
	nvmlReturn_t function(nvmlDevice_t device, char *out)                                      \
	{                                                                                          \
		return text(                                                                       \
		    device, DEVICE_QUESTION_##function, NULL, out, NVML_GSP_FIRMWARE_LENGTH);      \
	}

#define OF_TEXT(function)                                                                          \
	nvmlReturn_t function(nvmlDevice_t device, unsigned which, char *out, unsigned length)     \
	{                                                                                          \
		return text(device, DEVICE_QUESTION_##function, &which, out, length);              \
	}

#define OF_NUMBER(function)                                                                        \
	nvmlReturn_t function(nvmlDevice_t device, unsigned which, unsigned *out)                  \
	{                                                                                          \
		return nvml_ask(device, DEVICE_QUESTION_##function, &which, out, sizeof(*out));    \
	}

NUMBER(nvmlDeviceGetMaxPcieLinkGeneration)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth)
NUMBER(nvmlDeviceGetGpuMaxPcieLinkGeneration)
NUMBER(nvmlDeviceGetPcieReplayCounter)
NUMBER(nvmlDeviceGetPcieLinkMaxSpeed)
NUMBER(nvmlDeviceGetPcieSpeed)
NUMBER(nvmlDeviceGetPowerManagementMode)
NUMBER(nvmlDeviceGetPowerManagementLimit)
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit)
NUMBER(nvmlDeviceGetPowerSource)
NUMBER(nvmlDeviceGetDisplayMode)
NUMBER(nvmlDeviceGetDisplayActive)
NUMBER(nvmlDeviceGetNumGpuCores)
NUMBER(nvmlDeviceGetNumFans)
NUMBER(nvmlDeviceGetDefaultEccMode)
NUMBER(nvmlDeviceGetRetiredPagesPendingStatus)
NUMBER(nvmlDeviceGetBusType)
NUMBER(nvmlDeviceGetAdaptiveClockInfoStatus)
NUMBER(nvmlDeviceGetInforomConfigurationChecksum)
PAIR(nvmlDeviceGetPowerManagementLimitConstraints)
PAIR(nvmlDeviceGetEncoderUtilization)
PAIR(nvmlDeviceGetDecoderUtilization)
PAIR(nvmlDeviceGetJpgUtilization)
PAIR(nvmlDeviceGetOfaUtilization)
PAIR(nvmlDeviceGetGpuOperationMode)
PAIR(nvmlDeviceGetGspFirmwareMode)
PAIR(nvmlDeviceGetAutoBoostedClocksEnabled)
FOUR(nvmlDeviceGetRemappedRows)
WIDE(nvmlDeviceGetTotalEnergyConsumption)
WIDE(nvmlDeviceGetCurrentClocksThrottleReasons)
WIDE(nvmlDeviceGetCurrentClocksEventReasons)
WIDE(nvmlDeviceGetSupportedClocksThrottleReasons)
WIDE(nvmlDeviceGetSupportedClocksEventReasons)
TEXT(nvmlDeviceGetVbiosVersion)
TEXT(nvmlDeviceGetInforomImageVersion)
TEXT(nvmlDeviceGetBoardPartNumber)
FIRMWARE_TEXT(nvmlDeviceGetGspFirmwareVersion)
OF_TEXT(nvmlDeviceGetInforomVersion)
OF_NUMBER(nvmlDeviceGetTemperatureThreshold)
OF_NUMBER(nvmlDeviceGetApplicationsClock)
OF_NUMBER(nvmlDeviceGetDefaultApplicationsClock)
OF_NUMBER(nvmlDeviceGetMaxCustomerBoostClock)
OF_NUMBER(nvmlDeviceGetPcieThroughput)
OF_NUMBER(nvmlDeviceGetNvLinkRemoteDeviceType)

nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *memory)
{
	return nvml_ask(
	    device, DEVICE_QUESTION_nvmlDeviceGetBAR1MemoryInfo, NULL, memory, sizeof(*memory));
}

nvmlReturn_t nvmlDeviceGetRowRemapperHistogram(
    nvmlDevice_t device, nvmlRowRemapperHistogramValues_t *values)
{
	return nvml_ask(device, DEVICE_QUESTION_nvmlDeviceGetRowRemapperHistogram, NULL, values,
	    sizeof(*values));
}

nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, unsigned type, unsigned counter,
    unsigned location, unsigned long long *count)
{
	return nvml_ask(device, DEVICE_QUESTION_nvmlDeviceGetMemoryErrorCounter,
	    (unsigned[]){type, counter, location}, count, sizeof(*count));
}
