/*
 * A program image on its way to the worker: measured, since CUDA's prototypes give no length;
 * without what no device of the session can use (abi/image_thin.h); and first as a reference only,
 * for the worker that has had it before.
 *
 *	CUresult r = image_open(&image, pointer, limit, options);
 *	do
 *		r = r ?: remote_X(image.bytes, image.size, image.prelinked, image.prelinked_size);
 *	while (image_again(&image, r));
 *	image_close(&image);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"
#include "wire/image_reference.h"

struct image {
	const void *bytes;
	size_t size;
	void *prelinked; /* of relocatable code: its fatbins from before the link, as one run */
	size_t prelinked_size;

	const void *whole; /* what bytes refer to, when they are the reference */
	void *thinned;
	struct image_reference reference;
};

/* options: the program gave options, by which the backend may choose among forms. */
CUresult image_open(struct image *image, const void *pointer, size_t limit, bool options);

/* After a call of result r: whether it must be made again, with the whole image. */
bool image_again(struct image *image, CUresult r);

void image_close(struct image *image);
