/* Images that are kept: found by content, bounded by the budget, not dropped while in use. */
#include "worker/image_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/test.h"

enum { SIZE = 1000, OFFSET = 24 };

static void *block(char content)
{
	char *bytes = malloc(2 * (SIZE + OFFSET));

	CHECK(bytes);
	memset(bytes, content, SIZE + OFFSET);
	return bytes;
}

static struct image_reference reference(char content)
{
	char bytes[SIZE];

	memset(bytes, content, SIZE);
	return (struct image_reference){IMAGE_REFERENCE_MAGIC, SIZE, hash128(bytes, SIZE)};
}

static bool put(struct image_store *store, char content)
{
	void *bytes = block(content);
	bool kept = image_store_put(store, bytes, SIZE + OFFSET, OFFSET, SIZE);

	if (!kept)
		free(bytes);
	return kept;
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
	struct image_store *store = image_store_new(1 << 20);
	struct image_reference other = reference('a');

	CHECK(put(store, 'a'));
	CHECK(!put(store, 'a')); /* once is enough */
	CHECK(has(store, 'a'));
	CHECK(!has(store, 'b'));
	other.size--;
	CHECK(!image_store_take(store, &other));
	image_store_free(store);
}

TEST(what_was_used_longest_ago_goes_first)
{
	struct image_store *store = image_store_new(2 * (SIZE + OFFSET));

	CHECK(put(store, 'a'));
	CHECK(put(store, 'b'));
	CHECK(has(store, 'a'));
	CHECK(put(store, 'c'));
	CHECK(has(store, 'a') && !has(store, 'b') && has(store, 'c'));
	image_store_free(store);
}

TEST(what_is_in_use_stays)
{
	struct image_store *store = image_store_new(SIZE + OFFSET);
	struct image_reference wanted = reference('a');

	CHECK(put(store, 'a'));
	const void *image = image_store_take(store, &wanted);
	CHECK(image && !put(store, 'b'));
	image_store_give(store, image);
	CHECK(put(store, 'b'));
	CHECK(!has(store, 'a'));
	image_store_free(store);
}

TEST(no_budget_keeps_nothing)
{
	struct image_store *store = image_store_new(0);

	CHECK(!put(store, 'a'));
	image_store_free(store);
}
