/* libFuzzer's entry: images as a tenant sends them, looked through for printf. */
#include "worker/code_prints.h"

#include <stdint.h>

#include "base/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile bool sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned capabilities[] = {75, 90};
	struct abi_image image;

	if (abi_image_measure(data, size, &image) == 0)
		sink = code_prints(&image, capabilities, ARRAY_SIZE(capabilities));
	return 0;
}
