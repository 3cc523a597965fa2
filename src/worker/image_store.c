/*
 * A list, the newest in front; it is short, since only large images are kept. An image is kept in the
 * block it arrived in, cut to what was used of it, so nothing is copied for keeping. The hash is the
 * store's own, not the client's word.
 */
#include "worker/image_store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct kept {
	struct kept *next;
	struct image_reference reference;
	uint8_t *block;
	const void *image; /* in it */
	size_t bytes;	   /* of the block */
	unsigned users;
};

struct image_store {
	pthread_mutex_t lock; /* all of it */
	struct kept *list;
	size_t budget, bytes;
};

struct image_store *image_store_new(size_t budget)
{
	struct image_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	pthread_mutex_init(&store->lock, NULL);
	store->budget = budget;
	return store;
}

static void kept_free(struct kept *kept)
{
	free(kept->block);
	free(kept);
}

struct image_store *image_store_free(struct image_store *store)
{
	struct kept *kept;

	if (!store)
		return NULL;
	while ((kept = store->list)) {
		store->list = kept->next;
		kept_free(kept);
	}
	pthread_mutex_destroy(&store->lock);
	free(store);
	return NULL;
}

static bool same(const struct image_reference *a, const struct image_reference *b)
{
	return a->size == b->size && !memcmp(&a->hash, &b->hash, sizeof(a->hash));
}

/* The place of what is referred to, or the list's end. With the lock held. */
static struct kept **find(struct image_store *store, const struct image_reference *reference)
{
	struct kept **at = &store->list;

	while (*at && !same(&(*at)->reference, reference))
		at = &(*at)->next;
	return at;
}

const void *image_store_take(struct image_store *store, const struct image_reference *reference)
{
	const void *image = NULL;

	pthread_mutex_lock(&store->lock);
	struct kept **at = find(store, reference), *kept = *at;
	if (kept) {
		*at = kept->next;
		kept->next = store->list;
		store->list = kept;
		kept->users++;
		image = kept->image;
	}
	pthread_mutex_unlock(&store->lock);
	return image;
}

void image_store_give(struct image_store *store, const void *image)
{
	pthread_mutex_lock(&store->lock);
	struct kept *kept = store->list;
	while (kept && kept->image != image)
		kept = kept->next;
	if (kept)
		kept->users--;
	pthread_mutex_unlock(&store->lock);
}

/* Drops what was used longest ago and is not in use until size bytes more fit. With the lock held. */
static bool make_room(struct image_store *store, size_t size)
{
	while (store->bytes + size > store->budget) {
		struct kept **last = NULL, *gone;
		for (struct kept **at = &store->list; *at; at = &(*at)->next)
			if (!(*at)->users)
				last = at;
		if (!last)
			return false;
		gone = *last;
		*last = gone->next;
		store->bytes -= gone->bytes;
		kept_free(gone);
	}
	return true;
}

bool image_store_put(
    struct image_store *store, void *block, size_t used, size_t offset, size_t size)
{
	const uint8_t *image = (const uint8_t *)block + offset;
	bool put = false;

	if (used > store->budget)
		return false;
	struct kept *kept = malloc(sizeof(*kept));
	if (!kept)
		return false;
	struct image_reference reference = {
	    .magic = IMAGE_REFERENCE_MAGIC, .size = size, .hash = hash128(image, size)};
	pthread_mutex_lock(&store->lock);
	if (!*find(store, &reference) && make_room(store, used)) {
		/* It grew by doubling; what is not used goes back. */
		uint8_t *cut = realloc(block, used) ?: block;
		*kept = (struct kept){store->list, reference, cut, cut + offset, used, 0};
		store->list = kept;
		store->bytes += used;
		put = true;
	}
	pthread_mutex_unlock(&store->lock);
	if (!put)
		free(kept);
	return put;
}
