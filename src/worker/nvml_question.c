/*
 * The questions of wire/device_question.h, asked of the server's NVML: one row of that list is one
 * case here. All of them give less than an answer holds.
 */
#include <stdint.h>
#include <string.h>

#include "worker/nvml.h"

#define NVML_NOT_SUPPORTED 3

struct nvml_field {
	unsigned field, scope;
	long long timestamp, latency;
	unsigned type;
	int result;
	unsigned long long value;
};

typedef struct nvml_device *handle;

static int ask_field(
    handle device, int (*f)(handle, int, struct nvml_field *), const uint32_t *in, uint8_t *to)
{
	struct nvml_field field = {.field = in[0], .scope = in[1]};
	int r = f(device, 1, &field);
	struct device_field out = {.value = field.value, .type = field.type};

	memcpy(to, &out, sizeof(out));
	return r ?: field.result;
}

/* One form's call. in: the arguments, out: where to, as what. */
#define NUMBER(f, in, out)                                                                         \
	((int (*)(handle, unsigned *))(f))(device, &((unsigned *)(void *)(out))[0])
#define PAIR(f, in, out)                                                                           \
	((int (*)(handle, unsigned *, unsigned *))(f))(                                            \
	    device, &((unsigned *)(void *)(out))[0], &((unsigned *)(void *)(out))[1])
#define FOUR(f, in, out)                                                                           \
	((int (*)(handle, unsigned *, unsigned *, unsigned *, unsigned *))(f))(device,             \
	    &((unsigned *)(void *)(out))[0], &((unsigned *)(void *)(out))[1],                      \
	    &((unsigned *)(void *)(out))[2], &((unsigned *)(void *)(out))[3])
#define WIDE(f, in, out)   ((int (*)(handle, void *))(f))(device, out)
#define STRUCT(f, in, out) WIDE(f, in, out)
#define TEXT(f, in, out)                                                                           \
	((int (*)(handle, char *, unsigned))(f))(device, (char *)(out), DEVICE_ANSWER_MAX)
#define FIRMWARE_TEXT(f, in, out) WIDE(f, in, out)
#define OF_TEXT(f, in, out)                                                                        \
	((int (*)(handle, unsigned, char *, unsigned))(f))(                                        \
	    device, (in)[0], (char *)(out), DEVICE_ANSWER_MAX)
#define OF_NUMBER(f, in, out)  ((int (*)(handle, unsigned, void *))(f))(device, (in)[0], out)
#define OF2_NUMBER(f, in, out) OF2_WIDE(f, in, out)
#define OF2_WIDE(f, in, out)                                                                       \
	((int (*)(handle, unsigned, unsigned, void *))(f))(device, (in)[0], (in)[1], out)
#define OF3_WIDE(f, in, out)                                                                       \
	((int (*)(handle, unsigned, unsigned, unsigned, void *))(f))(                              \
	    device, (in)[0], (in)[1], (in)[2], out)
#define FIELD(f, in, out) ask_field(device, (int (*)(handle, int, struct nvml_field *))(f), in, out)

bool nvml_device_ask(
    const char *pci_bus_id, const struct device_question *question, struct device_answer *answer)
{
	static const char *const names[] = {
#define QUESTION(form, function) #function,
	    DEVICE_QUESTIONS
#undef QUESTION
	};
	const uint32_t *in = question->argument;
	_Alignas(16) uint8_t out[DEVICE_ANSWER_MAX] = {0};
	handle device =
	    question->number < DEVICE_QUESTIONS_MAX ? nvml_device_find(pci_bus_id) : NULL;

	*answer = (struct device_answer){.result = NVML_NOT_SUPPORTED};
	if (!device)
		return false;
	void *f = nvml_function(names[question->number]);
	if (!f)
		return true;
	switch (question->number) {
#define QUESTION(form, function)                                                                   \
	case DEVICE_QUESTION_##function:                                                           \
		answer->result = form(f, in, out);                                                 \
		break;
		DEVICE_QUESTIONS
#undef QUESTION
	}
	memcpy(answer->bytes, out, sizeof(out));
	return true;
}
