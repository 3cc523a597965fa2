/* Images that are kept: found by content, bounded, not dropped in use, and checked where others
 * kept them. */
#include "worker/image_store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test.h"
#include "wire/control.h"

enum { SIZE = 1000 };

static void fill(char bytes[SIZE], char content)
{
	memset(bytes, content, SIZE);
}

static struct image_reference reference(char content)
{
	char bytes[SIZE];

	fill(bytes, content);
	return (struct image_reference){IMAGE_REFERENCE_MAGIC, SIZE, digest_of(bytes, SIZE)};
}

static void put(struct image_store *store, char content)
{
	struct image_keeping keeping;
	char bytes[SIZE];

	fill(bytes, content);
	image_store_begin(store, bytes, SIZE, &keeping);
	image_store_end(store, &keeping);
}

static bool has(struct image_store *store, char content)
{
	struct image_reference wanted = reference(content);
	const char *image = image_store_take(store, &wanted);

	if (!image)
		return false;
	for (int i = 0; i < SIZE; i++)
		CHECK_EQ(image[i], content);
	image_store_give(store, image);
	return true;
}

TEST(images_are_found_by_content)
{
	struct image_store *store = image_store_new(1 << 20, NULL);
	struct image_reference other = reference('a');

	put(store, 'a');
	put(store, 'a');
	CHECK(has(store, 'a'));
	CHECK(!has(store, 'b'));
	other.size--;
	CHECK(!image_store_take(store, &other));
	image_store_free(store);
}

TEST(what_was_used_longest_ago_goes_first)
{
	struct image_store *store = image_store_new(2 * SIZE, NULL);

	put(store, 'a');
	put(store, 'b');
	CHECK(has(store, 'a'));
	put(store, 'c');
	CHECK(has(store, 'a') && !has(store, 'b') && has(store, 'c'));
	image_store_free(store);
}

TEST(what_is_in_use_stays)
{
	struct image_store *store = image_store_new(SIZE, NULL);
	struct image_reference wanted = reference('a');

	put(store, 'a');
	const void *image = image_store_take(store, &wanted);
	CHECK(image);
	put(store, 'b');
	CHECK(!has(store, 'b'));
	image_store_give(store, image);
	put(store, 'b');
	CHECK(has(store, 'b') && !has(store, 'a'));
	image_store_free(store);
}

TEST(no_budget_keeps_nothing)
{
	struct image_store *store = image_store_new(0, NULL);

	put(store, 'a');
	CHECK(!has(store, 'a'));
	image_store_free(store);
}

/* --- between two workers --- */

/* rosend, which has one image. */
static struct {
	struct control_share message;
	int fd;
	unsigned kept, asked;
} rosend = {.fd = -1};

static int ask(struct control_share *message, int fd, int *got)
{
	*got = -1;
	if (message->kind == CONTROL_IMAGE_KEEP) {
		rosend.message = *message;
		rosend.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		rosend.kept++;
		return 0;
	}
	CHECK_EQ(message->kind, CONTROL_IMAGE_FETCH);
	rosend.asked++;
	bool found = message->size == rosend.message.size &&
		     !memcmp(message->data, rosend.message.data, sizeof(message->data));
	message->status = found ? 0 : ENOENT;
	if (found)
		*got = fcntl(rosend.fd, F_DUPFD_CLOEXEC, 0);
	return 0;
}

TEST(one_worker_has_what_another_was_sent)
{
	struct image_store *first = image_store_new(1 << 20, ask);

	put(first, 'a');
	CHECK_EQ(rosend.kept, 1);
	CHECK(has(first, 'a'));
	CHECK_EQ(rosend.asked, 0); /* it knows that itself */
	image_store_free(first);
	struct image_store *second = image_store_new(1 << 20, ask);
	CHECK(has(second, 'a'));
	CHECK(has(second, 'a'));
	CHECK_EQ(rosend.asked, 1);
	CHECK(!has(second, 'b'));
	image_store_free(second);
	CHECK(pwrite(rosend.fd, "x", 1, 0) < 0); /* and nobody changes it */
	rosend.fd = fd_close(rosend.fd);
}

/* What a worker that somebody took over might offer under a good image's name. */
static void offer(char name, char content, size_t size, int seals)
{
	struct image_reference reference_of = reference(name);
	char bytes[SIZE];

	fill(bytes, content);
	rosend.message = (struct control_share){.size = SIZE};
	memcpy(rosend.message.data, &reference_of.digest, sizeof(reference_of.digest));
	rosend.fd = memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(rosend.fd >= 0 && write(rosend.fd, bytes, SIZE) == SIZE);
	CHECK(ftruncate(rosend.fd, (off_t)size) == 0);
	CHECK(fcntl(rosend.fd, F_ADD_SEALS, seals) == 0);
}

TEST(what_others_offer_is_checked)
{
	const int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
	static const struct {
		char content;
		size_t size;
		int without;
		bool good;
	} offers[] = {
	    {'a', SIZE, 0, true},
	    {'b', SIZE, 0, false}, /* another image */
	    {'a', SIZE - 1, 0, false},
	    {'a', SIZE + 1, 0, false},
	    {'a', SIZE, F_SEAL_WRITE, false}, /* that could become another */
	    {'a', SIZE, F_SEAL_SHRINK, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
		struct image_store *store = image_store_new(1 << 20, ask);
		offer('a', offers[i].content, offers[i].size, all & ~offers[i].without);
		CHECK_EQ(has(store, 'a'), offers[i].good);
		image_store_free(store);
		rosend.fd = fd_close(rosend.fd);
	}
}
