/*
 * Images that came once, by content, so that the client need not send them again
 * (wire/image_reference.h): those of this session, and through rosend (control/images.h) those of
 * all sessions of its user. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "wire/image_reference.h"

struct control_share;
struct image_store;

/* budget: bytes it may keep; 0: nothing is kept. ask: as worker_options.ask. NULL: out of
 * memory. */
struct image_store *image_store_new(
    size_t budget, int (*ask)(struct control_share *message, int fd, int *got));
struct image_store *image_store_free(struct image_store *store);

/* The image, which stays until it is given back; NULL: nobody has it. May wait for rosend. */
const void *image_store_take(struct image_store *store, const struct image_reference *reference);
void image_store_give(struct image_store *store, const void *image);

/*
 * Keeps an image, dropping what was used longest ago, on a thread of the store's: from begin to
 * end, which waits for it, the bytes and *keeping must stay.
 */
struct image_keeping {
	struct image_keeping *next;
	const void *image;
	size_t size;
	bool under_way;
};

void image_store_begin(
    struct image_store *store, const void *image, size_t size, struct image_keeping *keeping);
void image_store_end(struct image_store *store, struct image_keeping *keeping);
