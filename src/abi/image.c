/*
 * Measuring and taking apart code images. The shim measures what a program points to, so that it
 * can be sent; the software GPU also reads the members. The bytes may come from a hostile tenant:
 * every length is checked against what is left before it is used.
 */
#include "abi/image.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/util.h"

#define FATBIN_HEADER_MIN 16
#define MEMBER_HEADER_MIN 64
#define IMAGE_SIZE_MAX	  ((size_t)4 << 30) /* beyond any real image: a wild size field */

static uint16_t load16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint32_t load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t load64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* Without a limit the smallest thing readable is one word: enough to tell images apart. */
static bool image_has(size_t limit, uint64_t size)
{
	return size <= limit && size <= IMAGE_SIZE_MAX;
}

/* ---- fatbin ---- */

static int fatbin_measure(const uint8_t *data, size_t limit, size_t *size)
{
	if (!image_has(limit, FATBIN_HEADER_MIN) || load32(data) != ABI_FATBIN_MAGIC)
		return -EINVAL;
	uint64_t header = load16(data + 6), body = load64(data + 8);
	if (header < FATBIN_HEADER_MIN || body > IMAGE_SIZE_MAX || !image_has(limit, header + body))
		return -EINVAL;
	*size = header + body;
	return 0;
}

int abi_fatbin_init(struct abi_fatbin *fatbin, const void *data, size_t limit)
{
	size_t size;
	int r = fatbin_measure(data, limit, &size);

	if (r < 0)
		return r;
	fatbin->at = (const uint8_t *)data + load16((const uint8_t *)data + 6);
	fatbin->end = (const uint8_t *)data + size;
	return 0;
}

int abi_fatbin_next(struct abi_fatbin *fatbin, struct abi_member *out)
{
	const uint8_t *at = fatbin->at;
	size_t left = (size_t)(fatbin->end - at);

	if (!left)
		return ABI_FATBIN_END;
	if (left < MEMBER_HEADER_MIN)
		return -EINVAL;
	uint64_t header = load32(at + 4), padded = load64(at + 8), compressed = load32(at + 16);
	if (header < MEMBER_HEADER_MIN || header > left || padded > left - header)
		return -EINVAL;
	uint64_t flags = load64(at + 40);
	bool is_compressed = flags & (ABI_MEMBER_LZ4 | ABI_MEMBER_ZSTD);
	if (is_compressed && compressed > padded)
		return -EINVAL;
	*out = (struct abi_member){
	    .kind = load16(at),
	    .sm = load32(at + 28),
	    .flags = flags,
	    .payload = at + header,
	    .payload_size = is_compressed && compressed ? compressed : padded,
	    .uncompressed_size = is_compressed ? load64(at + 56) : 0,
	};
	fatbin->at = at + header + padded;
	return 0;
}

/* ---- ELF ---- */

/* Raises *end to cover size bytes at offset; false: beyond any real image. */
static bool elf_cover(uint64_t offset, uint64_t size, uint64_t *end)
{
	if (offset > IMAGE_SIZE_MAX || size > IMAGE_SIZE_MAX - offset)
		return false;
	*end = MAX(*end, offset + size);
	return true;
}

static bool elf_cover_segments(const uint8_t *data, const Elf64_Ehdr *elf, uint64_t *end)
{
	for (unsigned i = 0; i < elf->e_phnum; i++) {
		Elf64_Phdr segment;
		memcpy(
		    &segment, data + elf->e_phoff + (size_t)i * sizeof(segment), sizeof(segment));
		if (!elf_cover(segment.p_offset, segment.p_filesz, end))
			return false;
	}
	return true;
}

static bool elf_cover_sections(const uint8_t *data, const Elf64_Ehdr *elf, uint64_t *end)
{
	for (unsigned i = 0; i < elf->e_shnum; i++) {
		Elf64_Shdr section;
		memcpy(
		    &section, data + elf->e_shoff + (size_t)i * sizeof(section), sizeof(section));
		if (section.sh_type != SHT_NOBITS &&
		    !elf_cover(section.sh_offset, section.sh_size, end))
			return false;
	}
	return true;
}

static int elf_measure(const uint8_t *data, size_t limit, size_t *size)
{
	Elf64_Ehdr elf;
	uint64_t end = sizeof(elf);

	if (!image_has(limit, sizeof(elf)))
		return -EINVAL;
	memcpy(&elf, data, sizeof(elf));
	if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_ident[EI_DATA] != ELFDATA2LSB)
		return -EINVAL;
	if ((elf.e_phnum && elf.e_phentsize != sizeof(Elf64_Phdr)) ||
	    (elf.e_shnum && elf.e_shentsize != sizeof(Elf64_Shdr)))
		return -EINVAL;
	if (!elf_cover(elf.e_phoff, (uint64_t)elf.e_phnum * elf.e_phentsize, &end) ||
	    !elf_cover(elf.e_shoff, (uint64_t)elf.e_shnum * elf.e_shentsize, &end) || end > limit)
		return -EINVAL;
	if (!elf_cover_segments(data, &elf, &end) || !elf_cover_sections(data, &elf, &end) ||
	    end > limit)
		return -EINVAL;
	*size = end;
	return 0;
}

/* ---- PTX ---- */

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Text as it may stand in a comment: anything printable, UTF-8 included. */
static bool is_text(uint8_t c)
{
	return c >= ' ' || is_space(c);
}

/* Skips a comment, or what a preprocessor left in a line, that begins at `at`. Returns where it
 * ends, or limit when it does not. */
static size_t ptx_skip_comment(const uint8_t *text, size_t at, size_t limit)
{
	bool is_marker = text[at] == '#', line = is_marker || text[at + 1] == '/';

	for (at += is_marker ? 1 : 2; at < limit && is_text(text[at]); at++) {
		if (line && text[at] == '\n')
			return at;
		if (!line && text[at] == '*' && at + 1 < limit && text[at + 1] == '/')
			return at + 2;
	}
	return limit;
}

/* Where the first directive stands, or limit. Stops at the first byte that cannot be in PTX. */
static size_t ptx_start(const uint8_t *text, size_t limit)
{
	for (size_t at = 0; at < limit;) {
		if (is_space(text[at]))
			at++;
		else if (text[at] == '#' || (text[at] == '/' && at + 1 < limit &&
						(text[at + 1] == '/' || text[at + 1] == '*')))
			at = ptx_skip_comment(text, at, limit);
		else
			return at;
	}
	return limit;
}

static int ptx_measure(const uint8_t *text, size_t limit, size_t *size)
{
	static const char directive[] = ".version";

	limit = MIN(limit, IMAGE_SIZE_MAX);
	size_t at = ptx_start(text, limit);
	for (size_t i = 0; i < sizeof(directive) - 1; i++, at++)
		if (at >= limit || text[at] != (uint8_t)directive[i])
			return -EINVAL;
	while (at < limit && text[at])
		at++;
	*size = at < limit ? at + 1 : limit;
	return 0;
}

/* ---- any of them ---- */

static int wrapper_measure(const uint8_t *pointer, size_t limit, struct abi_image *out)
{
	struct abi_wrapper wrapper;

	if (limit < sizeof(wrapper))
		return -EINVAL;
	memcpy(&wrapper, pointer, sizeof(wrapper));
	/* What a wrapper points to lies elsewhere; only a caller that trusts its pointers gets
	 * here with one, so the rest is measured without a limit. */
	if (!wrapper.data || limit != ABI_IMAGE_NO_LIMIT)
		return -EINVAL;
	out->kind = ABI_IMAGE_WRAPPER;
	out->data = wrapper.data;
	if (wrapper.version == 2 && wrapper.prelinked) {
		out->prelinked = wrapper.prelinked;
		while (
		    out->n_prelinked < ABI_IMAGE_PRELINKED_MAX && out->prelinked[out->n_prelinked])
			out->n_prelinked++;
	}
	return fatbin_measure(wrapper.data, ABI_IMAGE_NO_LIMIT, &out->size);
}

int abi_image_measure(const void *pointer, size_t limit, struct abi_image *out)
{
	uint32_t magic = 0;

	*out = (struct abi_image){.data = pointer};
	if (!pointer)
		return -EINVAL;
	/* Text may be shorter than a word; the other kinds may not. */
	if (limit == ABI_IMAGE_NO_LIMIT)
		magic = ((const uint8_t *)pointer)[0] ? load32(pointer) : 0;
	else if (limit >= sizeof(magic))
		magic = load32(pointer);
	if (magic == ABI_WRAPPER_MAGIC)
		return wrapper_measure(pointer, limit, out);
	if (magic == ABI_FATBIN_MAGIC) {
		out->kind = ABI_IMAGE_FATBIN;
		return fatbin_measure(pointer, limit, &out->size);
	}
	if (!memcmp(&magic, ELFMAG, SELFMAG)) {
		out->kind = ABI_IMAGE_ELF;
		return elf_measure(pointer, limit, &out->size);
	}
	out->kind = ABI_IMAGE_PTX;
	return ptx_measure(pointer, limit, &out->size);
}
