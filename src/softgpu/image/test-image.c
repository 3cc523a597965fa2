/* Choosing the text of an image for a device, from fatbins made here, whole and damaged. */
#include <lz4.h>
#include <zstd.h>

#include "abi/image.h"
#include "base/test.h"
#include "softgpu/image/image.h"

#define TEXT ".version 8.0\n.target sm_80\n.address_size 64\n"

struct builder {
	uint8_t bytes[8192];
	size_t size;
};

static void put(uint8_t *at, uint64_t value, size_t size)
{
	memcpy(at, &value, size);
}

/* The text's name is put behind it as a comment, to tell members apart. */
static void add(struct builder *builder, uint16_t kind, uint32_t sm, uint64_t flags,
    const char *name, bool says_size)
{
	char text[256], compressed[512];
	int size = snprintf(text, sizeof(text), "%s//%s", TEXT, name) + 1;
	const char *payload = text;
	size_t stored = (size_t)size;
	uint8_t *at = builder->bytes + 16 + builder->size;

	if (flags & ABI_MEMBER_ZSTD)
		stored = ZSTD_compress(compressed, sizeof(compressed), text, (size_t)size, 1);
	if (flags & ABI_MEMBER_LZ4)
		stored = (size_t)LZ4_compress_default(text, compressed, size, sizeof(compressed));
	if (flags & (ABI_MEMBER_ZSTD | ABI_MEMBER_LZ4))
		payload = compressed;
	memset(at, 0, 64);
	put(at, kind, 2);
	put(at + 4, 64, 4);
	put(at + 8, align_up(stored, 8), 4);
	put(at + 16, payload == text ? 0 : stored, 4);
	put(at + 28, sm, 4);
	put(at + 40, flags, 8);
	put(at + 56, payload == text || !says_size ? 0 : (uint64_t)size, 8);
	memcpy(at + 64, payload, stored);
	builder->size += 64 + align_up(stored, 8);
	put(builder->bytes, ABI_FATBIN_MAGIC, 4);
	put(builder->bytes + 4, 1 | 16 << 16, 4);
	put(builder->bytes + 8, builder->size, 8);
}

static void check_text(const void *pointer, int capability, const char *name)
{
	struct sg_image image;
	char wanted[256];

	snprintf(wanted, sizeof(wanted), "%s//%s", TEXT, name);
	CHECK_EQ(sg_image_init(&image, pointer, ABI_IMAGE_NO_LIMIT, capability), 0);
	CHECK_EQ(image.n_texts, 1);
	CHECK_EQ(strnlen(image.texts[0].text, image.texts[0].size), strlen(wanted));
	CHECK_BYTES(image.texts[0].text, wanted, strlen(wanted));
	sg_image_fini(&image);
}

TEST(highest_architecture_that_runs)
{
	static struct builder fatbin;

	add(&fatbin, ABI_MEMBER_ELF, 120, 1, "cubin", true);
	add(&fatbin, ABI_MEMBER_PTX, 75, 1, "plain", true);
	add(&fatbin, ABI_MEMBER_PTX, 80, 1 | ABI_MEMBER_ZSTD, "zstd", true);
	add(&fatbin, ABI_MEMBER_PTX, 90, 1 | ABI_MEMBER_LZ4, "lz4", true);
	add(&fatbin, ABI_MEMBER_PTX, 90, 1 | ABI_MEMBER_ARCH_EXACT, "exact", true);
	add(&fatbin, ABI_MEMBER_PTX, 100, 1 | ABI_MEMBER_ARCH_FAMILY, "family", true);
	check_text(fatbin.bytes, 75, "plain");
	check_text(fatbin.bytes, 86, "zstd");
	check_text(fatbin.bytes, 90, "lz4");
	check_text(fatbin.bytes, 103, "family");
	check_text(fatbin.bytes, 120, "lz4");
}

TEST(sizes_may_be_missing)
{
	static struct builder zstd, lz4;

	add(&zstd, ABI_MEMBER_PTX, 80, 1 | ABI_MEMBER_ZSTD, "zstd", false);
	add(&lz4, ABI_MEMBER_PTX, 80, 1 | ABI_MEMBER_LZ4, "lz4", false);
	check_text(zstd.bytes, 80, "zstd");
	check_text(lz4.bytes, 80, "lz4");
}

TEST(nothing_for_this_device)
{
	static struct builder fatbin;
	struct sg_image image;

	add(&fatbin, ABI_MEMBER_ELF, 80, 1, "cubin", true);
	add(&fatbin, ABI_MEMBER_PTX, 90, 1, "later", true);
	CHECK_EQ(sg_image_init(&image, fatbin.bytes, ABI_IMAGE_NO_LIMIT, 80), SG_IMAGE_NO_PTX);
}

TEST(later_members_of_the_family)
{
	static struct builder fatbin;
	struct sg_image image;

	add(&fatbin, ABI_MEMBER_PTX, 121, 1 | ABI_MEMBER_ARCH_EXACT, "exact", true);
	CHECK_EQ(sg_image_init(&image, fatbin.bytes, ABI_IMAGE_NO_LIMIT, 120), SG_IMAGE_NO_PTX);
	add(&fatbin, ABI_MEMBER_PTX, 121, 1, "later", true);
	check_text(fatbin.bytes, 120, "later");
	CHECK_EQ(sg_image_init(&image, fatbin.bytes, ABI_IMAGE_NO_LIMIT, 103), SG_IMAGE_NO_PTX);
	add(&fatbin, ABI_MEMBER_PTX, 80, 1, "older", true);
	check_text(fatbin.bytes, 120, "older");
}

TEST(plain_text)
{
	check_text(TEXT "//text", 80, "text");
}

TEST(relocatable_code)
{
	static struct builder linked, parts[2];
	const void *prelinked[] = {parts[0].bytes, parts[1].bytes, NULL};
	struct abi_wrapper wrapper = {ABI_WRAPPER_MAGIC, 2, linked.bytes, prelinked};
	struct sg_image image;

	add(&linked, ABI_MEMBER_ELF, 80, 1, "linked", true);
	add(&parts[0], ABI_MEMBER_PTX, 80, 1 | ABI_MEMBER_ZSTD, "a", true);
	add(&parts[1], ABI_MEMBER_PTX, 80, 1, "b", true);
	CHECK_EQ(sg_image_init(&image, &wrapper, ABI_IMAGE_NO_LIMIT, 80), 0);
	CHECK_EQ(image.n_texts, 2);
	CHECK_BYTES(image.texts[0].text + strlen(TEXT), "//a", 3);
	CHECK_BYTES(image.texts[1].text + strlen(TEXT), "//b", 3);
	sg_image_fini(&image);
	add(&linked, ABI_MEMBER_PTX, 80, 1, "whole", true);
	check_text(&wrapper, 80, "whole");
}

TEST(linked_images_keep_all_texts)
{
	const struct sg_text texts[] = {
	    {.text = TEXT "//one", .size = sizeof(TEXT "//one")}, {.text = TEXT, .size = 9}};
	struct sg_image image;
	size_t size;
	void *packed = sg_image_pack(texts, 2, &size);

	CHECK(packed);
	CHECK_EQ(sg_image_init(&image, packed, size, 80), 0);
	CHECK_EQ(image.n_texts, 2);
	CHECK_STR(image.texts[0].text, TEXT "//one");
	CHECK_EQ(image.texts[1].size, 16);
	CHECK_STR(image.texts[1].text, ".version ");
	sg_image_fini(&image);
	free(packed);
}

static void check_head(const char *text, unsigned version, unsigned target, char letter)
{
	const struct sg_text whole = {.text = text, .size = strlen(text)};
	struct sg_text_head head;

	sg_text_head_read(&whole, &head);
	CHECK_EQ(head.version, version);
	CHECK_EQ(head.target, target);
	CHECK_EQ(head.letter, letter);
	/* Nothing is read behind the end, wherever that is. */
	for (size_t size = 0; size < whole.size; size++) {
		char *copy = malloc(size + 1);
		memcpy(copy, text, size);
		sg_text_head_read(&(struct sg_text){.text = copy, .size = size}, &head);
		CHECK(head.version <= version && head.target <= target);
		free(copy);
	}
}

TEST(heads_of_texts)
{
	check_head(".version 8.0\n.target sm_90a\n", 80, 90, 'a');
	check_head(".version 8.8\n.target sm_100f", 88, 100, 'f');
	check_head("// one\n/* two */ .version\t7.5 /**/ .target sm_75, debug", 75, 75, 0);
	check_head(".version 8.0\n.global .u32 x;", 80, 0, 0);
	check_head(".target sm_80", 0, 0, 0);
	check_head("# 1 \"sm_70\"\n.version 8.0\n# 2 \"x\"\n.target compute_90a", 80, 90, 'a');
	check_head("", 0, 0, 0);
}

TEST(damage_is_refused)
{
	static struct builder fatbin;
	struct sg_image image;

	add(&fatbin, ABI_MEMBER_PTX, 80, 1 | ABI_MEMBER_ZSTD, "zstd", true);
	for (size_t i = 0; i < fatbin.size; i++) {
		struct builder copy = fatbin;
		copy.bytes[i + 16] ^= 0x55;
		/* Whatever the damage does, nothing is read outside. */
		if (sg_image_init(&image, copy.bytes, sizeof(copy.bytes), 80) == 0)
			sg_image_fini(&image);
	}
	fatbin.bytes[16 + 64 + 5] ^= 0xff;
	CHECK_EQ(sg_image_init(&image, fatbin.bytes, ABI_IMAGE_NO_LIMIT, 80), SG_IMAGE_INVALID);
	CHECK_EQ(sg_image_init(&image, "garbage", ABI_IMAGE_NO_LIMIT, 80), SG_IMAGE_INVALID);
	CHECK_EQ(sg_image_init(&image, NULL, ABI_IMAGE_NO_LIMIT, 80), SG_IMAGE_INVALID);
}
