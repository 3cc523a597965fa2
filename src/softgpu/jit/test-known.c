/* What is remembered of translations: by whom and of what. */
#include "softgpu/jit/known.h"

#include <stdlib.h>
#include <string.h>

#include "base/dir.h"
#include "base/test.h"
#include "softgpu/jit/build-id.h"

static bool is_same(const struct digest *a, const struct digest *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* A translator that was changed, if only by a byte, knows nothing of what the old one made. */
TEST(keys_tell_translators_and_sources_apart)
{
	struct digest a = digest_of("a", 1), b = digest_of("b", 1), keys[5];
	const uint8_t one[] = {1, 2, 3, 4}, other[] = {1, 2, 3, 5};

	keys[0] = jit_known_key(one, sizeof(one), &a);
	keys[1] = jit_known_key(other, sizeof(other), &a);
	keys[2] = jit_known_key(one, sizeof(one), &b);
	keys[3] = jit_known_key(one, 3, &a);
	keys[4] = jit_known_key(one, 0, &a);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		for (size_t k = 0; k < i; k++)
			CHECK(!is_same(&keys[i], &keys[k]));
	keys[1] = jit_known_key(one, sizeof(one), &a);
	CHECK(is_same(&keys[0], &keys[1]));
}

TEST(this_program_has_a_build_id)
{
	uint8_t id[BUILD_ID_MOST] = {0}, libc[BUILD_ID_MOST];
	static const char here;
	size_t size = build_id_of(&here, id);

	CHECK(size >= 8 && size <= sizeof(id));
	size = build_id_of((const void *)strlen, libc);
	CHECK(!size || memcmp(id, libc, size));
	CHECK_EQ(build_id_of(NULL, id), 0);
}

TEST(what_is_remembered_is_recalled)
{
	struct digest source = digest_of("source", 6), other = digest_of("other", 5);
	struct jit_known known = {.ir = digest_of("ir", 2), .needs_fibers = 1, .line = 7}, again;
	char folder[256];

	CHECK_EQ(dir_make_temporary("known", folder, sizeof(folder)), 0);
	setenv("SOFTGPU_CACHE", folder, 1);
	CHECK(!jit_recall(&source, &again));
	jit_remember(&source, &known);
	CHECK(jit_recall(&source, &again));
	CHECK(!memcmp(&again, &known, sizeof(known)));
	CHECK(!jit_recall(&other, &again));
	dir_remove(folder);
	CHECK(!jit_recall(&source, &again));
}
