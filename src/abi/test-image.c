/*
 * Finding out where a program image ends: fatbins made here, whole, cut and damaged, ELF and PTX
 * text.
 */
#include <elf.h>
#include <errno.h>
#include <sys/mman.h>

#include "abi/image.h"
#include "base/test.h"

static void put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* One member at `at`; returns the place behind it. */
static uint8_t *put_member(uint8_t *at, uint16_t kind, uint32_t sm, uint64_t flags,
    const void *payload, uint32_t size, uint32_t compressed)
{
	uint32_t padded = (uint32_t)align_up(size, 8);

	memset(at, 0, 64 + padded);
	memcpy(at, &kind, sizeof(kind));
	put32(at + 4, 64);
	put32(at + 8, padded);
	put32(at + 16, compressed);
	put32(at + 28, sm);
	put64(at + 40, flags);
	put64(at + 56, compressed ? 1000 : 0);
	memcpy(at + 64, payload, size);
	return at + 64 + padded;
}

/* Three members: a cubin, PTX text, compressed PTX. Returns the size. */
static size_t make_fatbin(uint8_t *fatbin)
{
	uint8_t *at = fatbin + 16;

	at = put_member(at, ABI_MEMBER_ELF, 75, ABI_MEMBER_64BIT, "\177ELF", 4, 0);
	at = put_member(at, ABI_MEMBER_PTX, 80, ABI_MEMBER_64BIT, ".version 7.0", 12, 0);
	at = put_member(
	    at, ABI_MEMBER_PTX, 120, ABI_MEMBER_64BIT | ABI_MEMBER_ZSTD, "abcdefghi", 9, 9);
	put32(fatbin, ABI_FATBIN_MAGIC);
	put32(fatbin + 4, 1 | 16 << 16);
	put64(fatbin + 8, (uint64_t)(at - fatbin - 16));
	return (size_t)(at - fatbin);
}

TEST(fatbin_members)
{
	uint8_t bytes[1024];
	size_t size = make_fatbin(bytes);
	struct abi_fatbin fatbin;
	struct abi_member member;
	struct abi_image image;

	CHECK_EQ(abi_image_measure(bytes, ABI_IMAGE_NO_LIMIT, &image), 0);
	CHECK_EQ(image.kind, ABI_IMAGE_FATBIN);
	CHECK_EQ(image.size, size);
	CHECK_EQ(abi_fatbin_init(&fatbin, bytes, size), 0);
	CHECK_EQ(abi_fatbin_next(&fatbin, &member), 0);
	CHECK_EQ(member.kind, ABI_MEMBER_ELF);
	CHECK_EQ(member.sm, 75);
	CHECK_EQ(abi_fatbin_next(&fatbin, &member), 0);
	CHECK_EQ(member.kind, ABI_MEMBER_PTX);
	CHECK_EQ(member.payload_size, 16);
	CHECK_EQ(member.uncompressed_size, 0);
	CHECK_BYTES(member.payload, ".version 7.0", 12);
	CHECK_EQ(abi_fatbin_next(&fatbin, &member), 0);
	CHECK_EQ(member.sm, 120);
	CHECK_EQ(member.payload_size, 9);
	CHECK_EQ(member.uncompressed_size, 1000);
	CHECK_EQ(abi_fatbin_next(&fatbin, &member), ABI_FATBIN_END);
}

TEST(cut_fatbin_is_refused)
{
	uint8_t bytes[1024];
	size_t size = make_fatbin(bytes);
	struct abi_image image;

	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *copy = malloc(cut + 1);
		memcpy(copy, bytes, cut);
		CHECK_EQ(abi_image_measure(copy, cut, &image), -EINVAL);
		free(copy);
	}
}

TEST(damaged_members_are_refused)
{
	static const struct {
		size_t offset;
		uint32_t value;
	} damages[] = {{4, 8}, {4, 0xffffffff}, {8, 0xfffffff0}, {8, 4096}, {12, 1}};

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		uint8_t bytes[1024];
		size_t size = make_fatbin(bytes);
		struct abi_fatbin fatbin;
		struct abi_member member;
		put32(bytes + 16 + damages[i].offset, damages[i].value);
		CHECK_EQ(abi_fatbin_init(&fatbin, bytes, size), 0);
		CHECK_EQ(abi_fatbin_next(&fatbin, &member), -EINVAL);
	}
}

TEST(wrappers)
{
	uint8_t bytes[1024];
	size_t size = make_fatbin(bytes);
	const void *prelinked[] = {bytes, bytes, NULL};
	struct abi_wrapper wrapper = {ABI_WRAPPER_MAGIC, 1, bytes, prelinked};
	struct abi_image image;

	CHECK_EQ(abi_image_measure(&wrapper, ABI_IMAGE_NO_LIMIT, &image), 0);
	CHECK_EQ(image.kind, ABI_IMAGE_WRAPPER);
	CHECK(image.data == bytes && image.size == size);
	CHECK_EQ(image.n_prelinked, 0);
	wrapper.version = 2;
	CHECK_EQ(abi_image_measure(&wrapper, ABI_IMAGE_NO_LIMIT, &image), 0);
	CHECK_EQ(image.n_prelinked, 2);
	/* Bytes from another process cannot be followed through their pointers. */
	CHECK_EQ(abi_image_measure(&wrapper, sizeof(wrapper), &image), -EINVAL);
	wrapper.data = NULL;
	CHECK_EQ(abi_image_measure(&wrapper, ABI_IMAGE_NO_LIMIT, &image), -EINVAL);
}

TEST(elf_extent)
{
	_Alignas(8) uint8_t bytes[512] = {0};
	Elf64_Ehdr elf = {
	    .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_shoff = 64,
	    .e_shentsize = sizeof(Elf64_Shdr),
	    .e_shnum = 2,
	};
	Elf64_Shdr sections[2] = {
	    {.sh_type = SHT_PROGBITS, .sh_offset = 300, .sh_size = 100},
	    {.sh_type = SHT_NOBITS, .sh_offset = 300, .sh_size = 100000},
	};
	struct abi_image image;

	memcpy(bytes, &elf, sizeof(elf));
	memcpy(bytes + 64, sections, sizeof(sections));
	CHECK_EQ(abi_image_measure(bytes, ABI_IMAGE_NO_LIMIT, &image), 0);
	CHECK_EQ(image.kind, ABI_IMAGE_ELF);
	CHECK_EQ(image.size, 400);
	CHECK_EQ(abi_image_measure(bytes, 400, &image), 0);
	CHECK_EQ(abi_image_measure(bytes, 399, &image), -EINVAL);
	sections[0].sh_size = UINT64_MAX - 100;
	memcpy(bytes + 64, sections, sizeof(sections));
	CHECK_EQ(abi_image_measure(bytes, ABI_IMAGE_NO_LIMIT, &image), -EINVAL);
}

TEST(ptx_text)
{
	static const char *const good[] = {
	    ".version 8.0\n.target sm_80\n",
	    "\n    .version 7.0",
	    "//\n// a comment\n/* another \xc3\xa9 **/ .version 7.0",
	    "# 1 \"a.ptx\"\n.version 7.0",
	};
	static const char *const bad[] = {"", "x", "hello, world", "// .version 7.0", "/* .version",
	    "#\x01\n.version 7.0", "# .version 7.0", ".versio", "\x01.version 7.0",
	    "// \x01\n.version 7.0"};
	struct abi_image image;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CHECK_EQ(abi_image_measure(good[i], ABI_IMAGE_NO_LIMIT, &image), 0);
		CHECK_EQ(image.kind, ABI_IMAGE_PTX);
		CHECK_EQ(image.size, strlen(good[i]) + 1);
		CHECK_EQ(abi_image_measure(good[i], strlen(good[i]), &image), 0);
		CHECK_EQ(image.size, strlen(good[i]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(abi_image_measure(bad[i], strlen(bad[i]) + 1, &image), -EINVAL);
	CHECK_EQ(abi_image_measure(NULL, ABI_IMAGE_NO_LIMIT, &image), -EINVAL);
}

/* Nothing is read behind the NUL: the next page is not there. */
TEST(ptx_at_the_end_of_a_mapping)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct abi_image image;

	CHECK(pages != MAP_FAILED);
	CHECK(!mprotect(pages + 4096, 4096, PROT_NONE));
	memcpy(pages + 4096 - 13, ".version 8.0", 13);
	CHECK_EQ(abi_image_measure(pages + 4096 - 13, ABI_IMAGE_NO_LIMIT, &image), 0);
	CHECK_EQ(image.size, 13);
	memset(pages, 'a', 4096);
	CHECK_EQ(abi_image_measure(pages, ABI_IMAGE_NO_LIMIT, &image), -EINVAL);
}
