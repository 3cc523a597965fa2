/*
 * Questions about a device that the worker passes to the server's NVML as they are
 * (rosenDeviceAsk): QUESTION(form, function). Facts of the hardware only, none about who else uses
 * it or which host it is in. A question's number is its place, so the list grows at its end.
 * Source: NVML API Reference.
 *
 * The form says what a function takes after the device and what it gives:
 *
 *	NUMBER		gives one unsigned
 *	PAIR, FOUR	two, four of them
 *	WIDE		one of 64 bits
 *	STRUCT		what the caller's struct holds
 *	TEXT		text; FIRMWARE_TEXT without saying how long it may be
 *	OF_NUMBER	takes which: one unsigned
 *	OF_TEXT
 *	OF2_NUMBER	takes two; of OF2_WIDE 64 bits come back
 *	OF3_WIDE	takes three
 *	FIELD		a field's number and scope: struct device_field
 */
#pragma once

#include <stdint.h>

#define DEVICE_QUESTIONS                                                                           \
	QUESTION(NUMBER, nvmlDeviceGetMaxPcieLinkGeneration)                                       \
	QUESTION(NUMBER, nvmlDeviceGetMaxPcieLinkWidth)                                            \
	QUESTION(NUMBER, nvmlDeviceGetGpuMaxPcieLinkGeneration)                                    \
	QUESTION(NUMBER, nvmlDeviceGetPcieReplayCounter)                                           \
	QUESTION(NUMBER, nvmlDeviceGetPcieLinkMaxSpeed)                                            \
	QUESTION(NUMBER, nvmlDeviceGetPcieSpeed)                                                   \
	QUESTION(NUMBER, nvmlDeviceGetPowerManagementMode)                                         \
	QUESTION(NUMBER, nvmlDeviceGetPowerManagementLimit)                                        \
	QUESTION(NUMBER, nvmlDeviceGetPowerManagementDefaultLimit)                                 \
	QUESTION(NUMBER, nvmlDeviceGetPowerSource)                                                 \
	QUESTION(NUMBER, nvmlDeviceGetDisplayMode)                                                 \
	QUESTION(NUMBER, nvmlDeviceGetDisplayActive)                                               \
	QUESTION(NUMBER, nvmlDeviceGetNumGpuCores)                                                 \
	QUESTION(NUMBER, nvmlDeviceGetNumFans)                                                     \
	QUESTION(NUMBER, nvmlDeviceGetDefaultEccMode)                                              \
	QUESTION(NUMBER, nvmlDeviceGetRetiredPagesPendingStatus)                                   \
	QUESTION(NUMBER, nvmlDeviceGetBusType)                                                     \
	QUESTION(NUMBER, nvmlDeviceGetAdaptiveClockInfoStatus)                                     \
	QUESTION(NUMBER, nvmlDeviceGetInforomConfigurationChecksum)                                \
	QUESTION(PAIR, nvmlDeviceGetPowerManagementLimitConstraints)                               \
	QUESTION(PAIR, nvmlDeviceGetEncoderUtilization)                                            \
	QUESTION(PAIR, nvmlDeviceGetDecoderUtilization)                                            \
	QUESTION(PAIR, nvmlDeviceGetJpgUtilization)                                                \
	QUESTION(PAIR, nvmlDeviceGetOfaUtilization)                                                \
	QUESTION(PAIR, nvmlDeviceGetGpuOperationMode)                                              \
	QUESTION(PAIR, nvmlDeviceGetGspFirmwareMode)                                               \
	QUESTION(PAIR, nvmlDeviceGetAutoBoostedClocksEnabled)                                      \
	QUESTION(FOUR, nvmlDeviceGetRemappedRows)                                                  \
	QUESTION(WIDE, nvmlDeviceGetTotalEnergyConsumption)                                        \
	QUESTION(WIDE, nvmlDeviceGetCurrentClocksThrottleReasons)                                  \
	QUESTION(WIDE, nvmlDeviceGetCurrentClocksEventReasons)                                     \
	QUESTION(WIDE, nvmlDeviceGetSupportedClocksThrottleReasons)                                \
	QUESTION(WIDE, nvmlDeviceGetSupportedClocksEventReasons)                                   \
	QUESTION(STRUCT, nvmlDeviceGetBAR1MemoryInfo)                                              \
	QUESTION(STRUCT, nvmlDeviceGetRowRemapperHistogram)                                        \
	QUESTION(TEXT, nvmlDeviceGetVbiosVersion)                                                  \
	QUESTION(TEXT, nvmlDeviceGetInforomImageVersion)                                           \
	QUESTION(TEXT, nvmlDeviceGetBoardPartNumber)                                               \
	QUESTION(FIRMWARE_TEXT, nvmlDeviceGetGspFirmwareVersion)                                   \
	QUESTION(OF_TEXT, nvmlDeviceGetInforomVersion)                                             \
	QUESTION(OF_NUMBER, nvmlDeviceGetTemperatureThreshold)                                     \
	QUESTION(OF_NUMBER, nvmlDeviceGetApplicationsClock)                                        \
	QUESTION(OF_NUMBER, nvmlDeviceGetDefaultApplicationsClock)                                 \
	QUESTION(OF_NUMBER, nvmlDeviceGetMaxCustomerBoostClock)                                    \
	QUESTION(OF_NUMBER, nvmlDeviceGetPcieThroughput)                                           \
	QUESTION(OF_NUMBER, nvmlDeviceGetClockInfo)                                                \
	QUESTION(OF_NUMBER, nvmlDeviceGetMaxClockInfo)                                             \
	QUESTION(OF2_NUMBER, nvmlDeviceGetClock)                                                   \
	QUESTION(OF2_WIDE, nvmlDeviceGetTotalEccErrors)                                            \
	QUESTION(OF3_WIDE, nvmlDeviceGetMemoryErrorCounter)                                        \
	QUESTION(FIELD, nvmlDeviceGetFieldValues)                                                  \
	QUESTION(OF_NUMBER, nvmlDeviceGetNvLinkRemoteDeviceType)

enum device_question_number {
#define QUESTION(form, function) DEVICE_QUESTION_##function,
	DEVICE_QUESTIONS
#undef QUESTION
	    DEVICE_QUESTIONS_MAX,
};

#define DEVICE_ARGUMENTS_MAX 3
#define DEVICE_ANSWER_MAX    128u

struct device_question {
	uint32_t number; /* enum device_question_number */
	uint32_t argument[DEVICE_ARGUMENTS_MAX];
};

struct device_answer {
	int32_t result; /* NVML's */
	uint32_t reserved;
	uint8_t bytes[DEVICE_ANSWER_MAX]; /* what came back, one value behind the other */
};

struct device_field {
	uint64_t value;
	uint32_t type; /* NVML's nvmlValueType_t */
	uint32_t reserved;
};
