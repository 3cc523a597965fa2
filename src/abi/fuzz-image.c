/* libFuzzer's entry: any bytes, measured and taken apart. Finds reads outside of them (ASan). */
#include "abi/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct abi_image image;
	struct abi_fatbin fatbin;
	struct abi_member member;

	if (abi_image_measure(data, size, &image) < 0)
		return 0;
	for (size_t i = 0; i < image.size; i++)
		sink = ((const uint8_t *)image.data)[i];
	if (image.kind != ABI_IMAGE_FATBIN || abi_fatbin_init(&fatbin, data, size) < 0)
		return 0;
	while (abi_fatbin_next(&fatbin, &member) == 0)
		for (size_t i = 0; i < member.payload_size; i++)
			sink = member.payload[i];
	return 0;
}
