/* NVML while CUDA is there: what it takes from the session, with a session that is made up here. */
#include "shim/nvml/test-bridge.h"

struct nvml_fake fake;

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

static CUresult fake_links(int number, struct device_links *links)
{
	fake.asked = number;
	fake.n_asked++;
	*links = fake.links;
	return fake.answer;
}

static CUresult fake_ask(
    int number, const struct device_question *question, struct device_answer *answer)
{
	fake.asked = number;
	fake.n_asked++;
	fake.question = *question;
	*answer = fake.question_answer;
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
	    .links = fake_links,
	    .ask = fake_ask,
	    .process = fake_process,
	};

	*libcuda = (struct nvml_libcuda){&bridge, fake_driver_version};
	return fake.find;
}

void set(int device, CUdevice_attribute attribute, int value)
{
	fake.device[device].attribute[attribute] = value;
	fake.device[device].attribute_status[attribute] = CUDA_SUCCESS;
}

void prepare(void)
{
	fake.snapshot.n_devices = 2;
	fake.question_answer.result = NVML_ERROR_NOT_SUPPORTED;
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

nvmlDevice_t start(void)
{
	nvmlDevice_t device;

	prepare();
	CHECK_EQ(nvmlInit_v2(), NVML_SUCCESS);
	CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(1, &device), NVML_SUCCESS);
	return device;
}

nvmlDevice_t other_device(void)
{
	nvmlDevice_t device;

	CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(0, &device), NVML_SUCCESS);
	return device;
}
