/* libFuzzer's entry: images through choice and decompression. */
#include "softgpu/image/image.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile char sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sg_text_head head;
	struct sg_image image;

	if (sg_image_init(&image, data, size, 120) != 0)
		return 0;
	for (size_t i = 0; i < image.n_texts; i++) {
		sg_text_head_read(&image.texts[i], &head);
		for (size_t j = 0; j < image.texts[i].size; j++)
			sink = image.texts[i].text[j];
	}
	sg_image_fini(&image);
	return 0;
}
