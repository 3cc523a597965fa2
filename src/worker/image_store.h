/*
 * Images that came once, by content, so that the client need not send them again
 * (wire/image_reference.h). Of this session alone. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "wire/image_reference.h"

struct image_store;

/* budget: bytes it may keep; 0: nothing is kept. NULL: out of memory. */
struct image_store *image_store_new(size_t budget);
struct image_store *image_store_free(struct image_store *store);

/* The image, which stays until it is given back; NULL: it is not kept. */
const void *image_store_take(struct image_store *store, const struct image_reference *reference);
void image_store_give(struct image_store *store, const void *image);

/*
 * Keeps size bytes at offset of a block of used bytes from malloc, dropping what was used longest ago.
 * True: the block is the store's.
 */
bool image_store_put(
    struct image_store *store, void *block, size_t used, size_t offset, size_t size);
