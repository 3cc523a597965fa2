/*
 * An image is kept as a memfd that nobody can change any more (seals), mapped here and handed to
 * rosend, which hands it to the workers of the user's other sessions: one copy in memory for all of
 * them. What an image is known by is its digest (base/digest.h), always computed here from the
 * bytes themselves: from those the client sent before they are offered to others, and from what
 * another worker offered before it is used. So neither a client's word nor another worker's is
 * believed, and what a client gets by naming a digest is content it must have had, or its user's.
 *
 * Keeping is a thread's work, beside the backend's on the same bytes, which takes longer. A list,
 * the newest in front; it is short, since only large images are kept.
 */
#include "worker/image_store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "wire/control.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

struct kept {
	struct kept *next;
	struct image_reference reference;
	const void *image; /* mapped, read only */
	unsigned users;
};

struct image_store {
	pthread_mutex_t lock; /* all of it */
	struct kept *list;
	size_t budget, bytes;
	struct image_keeping *waiting; /* the newest in front */
	bool has_keeper, stop;
	pthread_t keeper;
	pthread_cond_t came, done; /* something waits; something is done */
	int (*ask)(struct control_share *message, int fd, int *got);
};

struct image_store *image_store_new(
    size_t budget, int (*ask)(struct control_share *message, int fd, int *got))
{
	struct image_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->came, NULL);
	pthread_cond_init(&store->done, NULL);
	store->budget = budget;
	store->ask = ask;
	return store;
}

static void kept_free(struct kept *kept)
{
	munmap((void *)kept->image, kept->reference.size);
	free(kept);
}

struct image_store *image_store_free(struct image_store *store)
{
	struct kept *kept;

	if (!store)
		return NULL;
	pthread_mutex_lock(&store->lock);
	store->stop = true;
	pthread_cond_signal(&store->came);
	pthread_mutex_unlock(&store->lock);
	if (store->has_keeper)
		pthread_join(store->keeper, NULL);
	while ((kept = store->list)) {
		store->list = kept->next;
		kept_free(kept);
	}
	pthread_cond_destroy(&store->came);
	pthread_cond_destroy(&store->done);
	pthread_mutex_destroy(&store->lock);
	free(store);
	return NULL;
}

/* --- the list; all with the lock held --- */

static bool same(const struct image_reference *a, const struct image_reference *b)
{
	return a->size == b->size && !memcmp(&a->digest, &b->digest, sizeof(a->digest));
}

/* The place of what is referred to, or the list's end. */
static struct kept **find(struct image_store *store, const struct image_reference *reference)
{
	struct kept **at = &store->list;

	while (*at && !same(&(*at)->reference, reference))
		at = &(*at)->next;
	return at;
}

/* For one more user; NULL: it is not here. */
static const void *use(struct image_store *store, const struct image_reference *reference)
{
	struct kept **at = find(store, reference), *kept = *at;

	if (!kept)
		return NULL;
	*at = kept->next;
	kept->next = store->list;
	store->list = kept;
	kept->users++;
	return kept->image;
}

/* Drops what was used longest ago and is not in use until size bytes more fit. */
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
		store->bytes -= gone->reference.size;
		kept_free(gone);
	}
	return true;
}

/* The mapping becomes the list's. False: it is there already, or there is no room. */
static bool insert(
    struct image_store *store, const struct image_reference *reference, const void *image)
{
	struct kept *kept = malloc(sizeof(*kept));

	if (!kept || *find(store, reference) || !make_room(store, reference->size)) {
		free(kept);
		return false;
	}
	*kept = (struct kept){store->list, *reference, image, 0};
	store->list = kept;
	store->bytes += reference->size;
	return true;
}

/* --- sealed memory --- */

/* A descriptor, or a negative errno. */
static int seal(const void *image, size_t size)
{
	int fd = memfd_create("rosen-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return error_origin(-errno);
	int r = error_trace(fd_write_all(fd, image, size, 0));
	if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) < 0)
		r = error_origin(-errno);
	if (r == 0)
		return fd;
	fd_close(fd);
	return r;
}

/* Private, as shared mappings of what is sealed are refused by older kernels. NULL: none. */
static const void *map(int fd, size_t size)
{
	void *image = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

	return image == MAP_FAILED ? NULL : image;
}

/* What another worker offered as reference: NULL where it is not, or could still be changed. */
static const void *map_checked(int fd, const struct image_reference *reference)
{
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &status) < 0 ||
	    (uint64_t)status.st_size != reference->size)
		return NULL;
	const void *image = map(fd, reference->size);
	if (!image)
		return NULL;
	struct digest digest = digest_of(image, reference->size);
	if (!memcmp(&digest, &reference->digest, sizeof(digest)))
		return image;
	munmap((void *)image, reference->size);
	return NULL;
}

/* --- rosend --- */

static struct control_share message_of(uint32_t kind, const struct image_reference *reference)
{
	struct control_share message = {.kind = kind, .size = reference->size};

	_Static_assert(sizeof(reference->digest) <= sizeof(message.data), "a digest fits");
	memcpy(message.data, &reference->digest, sizeof(reference->digest));
	return message;
}

static void offer(const struct image_store *store, const struct image_reference *reference, int fd)
{
	struct control_share message = message_of(CONTROL_IMAGE_KEEP, reference);
	int none;

	if (store->ask)
		store->ask(&message, fd, &none);
}

/* A mapping, NULL: rosend has no such image. */
static const void *fetch(const struct image_store *store, const struct image_reference *reference)
{
	struct control_share message = message_of(CONTROL_IMAGE_FETCH, reference);
	_cleanup_fd_ int fd = -1;

	if (!store->ask || !reference->size || reference->size > store->budget ||
	    store->ask(&message, -1, &fd) < 0 || message.status || fd < 0)
		return NULL;
	const void *image = map_checked(fd, reference);
	if (!image)
		log_warn("a program image that another worker kept is not what it was kept as: "
			 "it is sent again");
	return image;
}

/* --- keeping --- */

static void keep(struct image_store *store, const void *bytes, size_t size)
{
	struct image_reference reference = {
	    .magic = IMAGE_REFERENCE_MAGIC, .size = size, .digest = digest_of(bytes, size)};

	pthread_mutex_lock(&store->lock);
	bool known = *find(store, &reference);
	pthread_mutex_unlock(&store->lock);
	if (known)
		return;
	_cleanup_fd_ int fd = seal(bytes, size);
	const void *image = fd < 0 ? NULL : map(fd, size);
	if (!image)
		return;
	pthread_mutex_lock(&store->lock);
	bool inserted = insert(store, &reference, image);
	pthread_mutex_unlock(&store->lock);
	if (!inserted)
		munmap((void *)image, size);
	offer(store, &reference, fd);
}

static void *keeper_run(void *data)
{
	struct image_store *store = data;

	pthread_mutex_lock(&store->lock);
	while (!store->stop) {
		struct image_keeping *keeping = store->waiting;
		if (!keeping) {
			pthread_cond_wait(&store->came, &store->lock);
			continue;
		}
		store->waiting = keeping->next;
		pthread_mutex_unlock(&store->lock);
		keep(store, keeping->image, keeping->size);
		pthread_mutex_lock(&store->lock);
		keeping->under_way = false;
		pthread_cond_broadcast(&store->done);
	}
	pthread_mutex_unlock(&store->lock);
	return NULL;
}

void image_store_begin(
    struct image_store *store, const void *image, size_t size, struct image_keeping *keeping)
{
	*keeping = (struct image_keeping){.image = image, .size = size};
	if (!size || size > store->budget)
		return;
	pthread_mutex_lock(&store->lock);
	if (!store->has_keeper)
		store->has_keeper = pthread_create(&store->keeper, NULL, keeper_run, store) == 0;
	if (store->has_keeper) {
		keeping->under_way = true;
		keeping->next = store->waiting;
		store->waiting = keeping;
		pthread_cond_signal(&store->came);
	}
	pthread_mutex_unlock(&store->lock);
}

void image_store_end(struct image_store *store, struct image_keeping *keeping)
{
	pthread_mutex_lock(&store->lock);
	while (keeping->under_way)
		pthread_cond_wait(&store->done, &store->lock);
	pthread_mutex_unlock(&store->lock);
}

/* --- using --- */

const void *image_store_take(struct image_store *store, const struct image_reference *reference)
{
	pthread_mutex_lock(&store->lock);
	const void *image = use(store, reference);
	pthread_mutex_unlock(&store->lock);
	if (image)
		return image;
	const void *fetched = fetch(store, reference);
	if (!fetched)
		return NULL;
	pthread_mutex_lock(&store->lock);
	bool inserted = insert(store, reference, fetched);
	image = use(store, reference); /* this one, or what came meanwhile */
	pthread_mutex_unlock(&store->lock);
	if (!inserted)
		munmap((void *)fetched, reference->size);
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
