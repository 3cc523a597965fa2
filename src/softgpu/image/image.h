/*
 * From a code image, as a program passes it to cuModuleLoadData, to the PTX text that this device
 * runs. Machine code for real GPUs is ignored.
 */
#pragma once

#include <stddef.h>

enum sg_image_error {
	SG_IMAGE_INVALID = 1, /* CUDA_ERROR_INVALID_IMAGE (200) */
	SG_IMAGE_NO_PTX,      /* nothing for this device: CUDA_ERROR_NO_BINARY_FOR_GPU (209) */
};

struct sg_text {
	const char *text; /* inside the caller's image, or owned: see owned */
	size_t size;
	void *owned; /* to be freed */
};

/* The texts that together make the program: one, or one per prelinked file of relocatable code. */
struct sg_image {
	struct sg_text *texts;
	size_t n_texts;
};

/*
 * Reads pointer, of at most limit bytes (ABI_IMAGE_NO_LIMIT, see abi/image.h). capability: 120 for
 * 12.0. Returns 0, -ENOMEM or enum sg_image_error. The image must stay as it is until
 * sg_image_fini().
 */
int sg_image_init(struct sg_image *image, const void *pointer, size_t limit, int capability);
void sg_image_fini(struct sg_image *image);

/* A fatbin that sg_image_init() reads as all these texts, for what cuLinkComplete hands out. Freed
 * with free(); NULL: out of memory. */
void *sg_image_pack(const struct sg_text *texts, size_t n_texts, size_t *size);

/* What a text says of itself in its first two directives, 0 where it says nothing: the version of
 * the language (80 for 8.0) and the architecture it was made for (90 for sm_90, sm_90a), with the
 * letter behind it. */
struct sg_text_head {
	unsigned version, target;
	char letter; /* a: for this one alone; f: for later ones of its family too; else 0 */
};

void sg_text_head_read(const struct sg_text *text, struct sg_text_head *head);
