/* What NVML's functions are called with, form by form, and where their answers go. */
#include "worker/nvml.h"

#include <string.h>

#include "base/test.h"

static char device;
static const char *asked;
static void *function; /* what every name leads to */

struct nvml_device *nvml_device_find(const char *pci_bus_id)
{
	return strcmp(pci_bus_id, "0000:1b:00.0") ? NULL : (struct nvml_device *)&device;
}

void *nvml_function(const char *name)
{
	asked = name;
	return function;
}

static int four(void *handle, unsigned *a, unsigned *b, unsigned *c, unsigned *d)
{
	CHECK(handle == &device);
	*a = 1, *b = 2, *c = 3, *d = 4;
	return 0;
}

static int counter(
    void *handle, unsigned type, unsigned kind, unsigned place, unsigned long long *count)
{
	CHECK(handle == &device);
	*count = type * 100ull + kind * 10 + place;
	return 0;
}

static int text(void *handle, char *out, unsigned length)
{
	CHECK(handle == &device && length >= 32);
	strcpy(out, "some text");
	return 0;
}

static int of(void *handle, unsigned which, unsigned *out)
{
	CHECK(handle == &device);
	*out = which + 1;
	return which == 9 ? 2 : 0;
}

struct field {
	unsigned field, scope;
	long long timestamp, latency;
	unsigned type;
	int result;
	unsigned long long value;
};

static int fields(void *handle, int n, struct field *field)
{
	CHECK(handle == &device && n == 1);
	field->result = field->field == 1 ? 3 : 0;
	field->type = 2;
	field->value = field->field * 10ull + field->scope;
	return 0;
}

static struct device_answer ask(
    enum device_question_number number, unsigned a, unsigned b, unsigned c)
{
	struct device_question question = {number, {a, b, c}};
	struct device_answer answer;

	CHECK(nvml_device_ask("0000:1b:00.0", &question, &answer));
	return answer;
}

TEST(answers_by_form)
{
	struct device_answer answer;
	struct device_field field;
	unsigned numbers[4];
	unsigned long long wide;

	function = (void *)four;
	answer = ask(DEVICE_QUESTION_nvmlDeviceGetRemappedRows, 0, 0, 0);
	memcpy(numbers, answer.bytes, sizeof(numbers));
	CHECK_STR(asked, "nvmlDeviceGetRemappedRows");
	CHECK(numbers[0] == 1 && numbers[1] == 2 && numbers[2] == 3 && numbers[3] == 4);
	function = (void *)counter;
	answer = ask(DEVICE_QUESTION_nvmlDeviceGetMemoryErrorCounter, 1, 2, 3);
	memcpy(&wide, answer.bytes, sizeof(wide));
	CHECK_EQ(wide, 123);
	function = (void *)text;
	answer = ask(DEVICE_QUESTION_nvmlDeviceGetVbiosVersion, 0, 0, 0);
	CHECK_STR((const char *)answer.bytes, "some text");
	function = (void *)of;
	answer = ask(DEVICE_QUESTION_nvmlDeviceGetTemperatureThreshold, 6, 0, 0);
	memcpy(numbers, answer.bytes, sizeof(*numbers));
	CHECK(answer.result == 0 && numbers[0] == 7);
	CHECK_EQ(ask(DEVICE_QUESTION_nvmlDeviceGetTemperatureThreshold, 9, 0, 0).result, 2);
	function = (void *)fields;
	answer = ask(DEVICE_QUESTION_nvmlDeviceGetFieldValues, 7, 5, 0);
	memcpy(&field, answer.bytes, sizeof(field));
	CHECK(answer.result == 0 && field.type == 2 && field.value == 75);
	CHECK_EQ(ask(DEVICE_QUESTION_nvmlDeviceGetFieldValues, 1, 0, 0).result, 3);
}

TEST(what_there_is_not)
{
	struct device_question question = {DEVICE_QUESTIONS_MAX, {0}};
	struct device_answer answer;

	function = NULL; /* of an older NVML */
	CHECK_EQ(ask(DEVICE_QUESTION_nvmlDeviceGetPcieSpeed, 0, 0, 0).result, 3);
	CHECK(!nvml_device_ask("0000:1b:00.0", &question, &answer));
	question.number = 0;
	CHECK(!nvml_device_ask("0000:1c:00.0", &question, &answer));
}
