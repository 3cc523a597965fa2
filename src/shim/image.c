/*
 * See image.h. Whether the worker has an image only the worker knows: it is asked, by the content's
 * digest, and sent the image when it has not. That costs a question per image that is new; the
 * answer may be that another process of the same user sent it before.
 */
#include "shim/image.h"

#include <stdlib.h>
#include <string.h>

#include "abi/image.h"
#include "abi/image_thin.h"
#include "base/log.h"
#include "shim/device.h"
#include "shim/session.h"
#include "shim/variables.h"
#include "wire/control.h"
#include "wire/limits.h"

/* --- thinning --- */

static struct abi_thin rules_of_session(bool options)
{
	struct abi_thin rules = {
	    .no_machine_code = device_snapshot()->backend == CONTROL_BACKEND_SOFTGPU,
	    .all_ptx = options || variables_force_compiling(),
	};

	for (int i = 0; i < device_count() && rules.n < ABI_THIN_DEVICES_MAX; i++)
		rules.sm[rules.n++] =
		    (unsigned)(device_attribute(i, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) *
				   10 +
			       device_attribute(i, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
	return rules;
}

/* True: every device has machine code in it, so that nothing will be linked or compiled. */
static bool thin(struct image *image, bool options)
{
	struct abi_thin rules = rules_of_session(options);
	bool self_sufficient = false;

	image->thinned = malloc(image->size);
	size_t size = image->thinned ? abi_fatbin_thin(image->bytes, image->size, &rules,
					   image->thinned, &self_sufficient)
				     : 0;
	if (!size) {
		free(image->thinned);
		image->thinned = NULL;
		return self_sufficient;
	}
	log_debug("an image of %zu KiB is sent as %zu KiB", image->size >> 10, size >> 10);
	image->bytes = image->thinned;
	image->size = size;
	return self_sufficient;
}

/* --- naming instead of sending --- */

static void refer(struct image *image)
{
	if (!session.config.image_cache || image->prelinked_size ||
	    image->size < IMAGE_REFERENCE_LEAST)
		return;
	image->reference = (struct image_reference){
	    IMAGE_REFERENCE_MAGIC, image->size, digest_of(image->bytes, image->size)};
	image->whole = image->bytes;
	image->bytes = &image->reference;
	image->size = sizeof(image->reference);
}

/* --- opening --- */

static CUresult gather_prelinked(struct image *image, const struct abi_image *measured)
{
	struct abi_image part;
	size_t total = 0;

	for (size_t i = 0; i < measured->n_prelinked; i++) {
		if (abi_image_measure(measured->prelinked[i], ABI_IMAGE_NO_LIMIT, &part) < 0 ||
		    part.size > WIRE_IMAGE_MAX)
			return CUDA_ERROR_INVALID_IMAGE;
		total += part.size;
	}
	if (!total)
		return CUDA_SUCCESS;
	image->prelinked = malloc(total);
	if (!image->prelinked)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < measured->n_prelinked; i++) {
		abi_image_measure(measured->prelinked[i], ABI_IMAGE_NO_LIMIT, &part);
		memcpy((char *)image->prelinked + image->prelinked_size, part.data, part.size);
		image->prelinked_size += part.size;
	}
	return CUDA_SUCCESS;
}

CUresult image_open(struct image *image, const void *pointer, size_t limit, bool options)
{
	struct abi_image measured;
	bool self_sufficient = false;
	CUresult r = session_usable();

	*image = (struct image){0};
	if (r != CUDA_SUCCESS)
		return r;
	if (abi_image_measure(pointer, limit, &measured) < 0)
		return CUDA_ERROR_INVALID_IMAGE;
	image->bytes = measured.data;
	image->size = measured.size;
	if (session.config.thin_images &&
	    (measured.kind == ABI_IMAGE_FATBIN || measured.kind == ABI_IMAGE_WRAPPER))
		self_sufficient = thin(image, options) && !variables_force_compiling();
	if (!self_sufficient)
		r = gather_prelinked(image, &measured);
	if (r == CUDA_SUCCESS)
		refer(image);
	else
		image_close(image);
	return r;
}

bool image_again(struct image *image, CUresult r)
{
	if (r != IMAGE_NOT_KEPT || !image->whole)
		return false;
	image->bytes = image->whole;
	image->size = image->reference.size;
	image->whole = NULL;
	return true;
}

void image_close(struct image *image)
{
	free(image->prelinked);
	free(image->thinned);
	*image = (struct image){0};
}
