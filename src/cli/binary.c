/* See binary.h. The file is mapped and only read; a malformed one gives a report with less in it. */
#include "cli/binary.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/error.h"
#include "base/fd.h"

struct image {
	const uint8_t *bytes;
	size_t size;
};

/* size bytes at offset, NULL when the file does not hold them. */
static const void *part(const struct image *image, uint64_t offset, uint64_t size)
{
	if (offset > image->size || size > image->size - offset)
		return NULL;
	return image->bytes + offset;
}

static const Elf64_Phdr *program_header(
    const struct image *image, const Elf64_Ehdr *header, size_t i)
{
	if (header->e_phentsize != sizeof(Elf64_Phdr))
		return NULL;
	return part(image, header->e_phoff + i * sizeof(Elf64_Phdr), sizeof(Elf64_Phdr));
}

/* The file offset of an address; -1: in no segment. */
static int64_t offset_of(const struct image *image, const Elf64_Ehdr *header, uint64_t address)
{
	for (size_t i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *segment = program_header(image, header, i);
		if (segment && segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
		    address - segment->p_vaddr < segment->p_filesz)
			return (int64_t)(address - segment->p_vaddr + segment->p_offset);
	}
	return -1;
}

/* A string of the dynamic string table, at most BINARY_PATHS_MAX - 1 bytes of it. */
static void read_string(
    const struct image *image, int64_t table, uint64_t offset, char text[BINARY_PATHS_MAX])
{
	*text = '\0';
	if (table < 0 || offset > image->size)
		return;
	for (size_t i = 0; i + 1 < BINARY_PATHS_MAX; i++) {
		const char *c = part(image, (uint64_t)table + offset + i, 1);
		text[i] = c ? *c : '\0';
		text[i + 1] = '\0';
		if (!text[i])
			return;
	}
}

static void read_dynamic(const struct image *image, const Elf64_Ehdr *header,
    const Elf64_Phdr *segment, struct binary_report *out)
{
	size_t n = segment->p_filesz / sizeof(Elf64_Dyn);
	const Elf64_Dyn *entries = part(image, segment->p_offset, n * sizeof(Elf64_Dyn));
	char text[BINARY_PATHS_MAX];
	int64_t strings = -1;

	for (size_t i = 0; entries && i < n; i++)
		if (entries[i].d_tag == DT_STRTAB)
			strings = offset_of(image, header, entries[i].d_un.d_ptr);
	for (size_t i = 0; entries && i < n && entries[i].d_tag != DT_NULL; i++) {
		if (entries[i].d_tag != DT_NEEDED && entries[i].d_tag != DT_RPATH)
			continue;
		read_string(image, strings, entries[i].d_un.d_val, text);
		if (entries[i].d_tag == DT_RPATH)
			memcpy(out->rpath, text, sizeof(text));
		else if (!strcmp(text, "libcuda.so.1"))
			out->needs_cuda = true;
	}
}

static void read_image(const struct image *image, struct binary_report *out)
{
	const Elf64_Ehdr *header = part(image, 0, sizeof(*header));
	bool interpreted = false;

	if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG))
		return;
	out->is_elf = true;
	out->is_64 = header->e_ident[EI_CLASS] == ELFCLASS64;
	out->x86 = header->e_machine == EM_X86_64;
	if (!out->is_64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
		return;
	for (size_t i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *segment = program_header(image, header, i);
		if (segment && segment->p_type == PT_INTERP)
			interpreted = true;
		if (segment && segment->p_type == PT_DYNAMIC)
			read_dynamic(image, header, segment, out);
	}
	out->is_static = !interpreted;
}

int binary_inspect(const char *path, struct binary_report *out)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	memset(out, 0, sizeof(*out));
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_origin(-errno);
	if (!S_ISREG(status.st_mode))
		return error_origin(-EACCES);
	out->privileged = status.st_mode & (S_ISUID | S_ISGID) ||
			  fgetxattr(fd, "security.capability", NULL, 0) > 0;
	if (!status.st_size)
		return 0;
	struct image image = {.size = (size_t)status.st_size};
	void *bytes = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return error_origin(-errno);
	image.bytes = bytes;
	read_image(&image, out);
	munmap(bytes, image.size);
	return 0;
}
