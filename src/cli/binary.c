/* See binary.h. The file is only read; a malformed one gives a report with less in it. */
#include "cli/binary.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/util.h"

struct image {
	const uint8_t *bytes;
	size_t size;
};

/* Copies size bytes at offset, since nothing in a file need be aligned. False: it ends before. */
static bool copy(const struct image *image, uint64_t offset, void *out, size_t size)
{
	if (offset > image->size || size > image->size - offset)
		return false;
	memcpy(out, image->bytes + offset, size);
	return true;
}

static bool read_segment(
    const struct image *image, const Elf64_Ehdr *header, size_t i, Elf64_Phdr *out)
{
	return header->e_phentsize == sizeof(*out) &&
	       copy(image, header->e_phoff + i * sizeof(*out), out, sizeof(*out));
}

/* The file offset of an address; -1: in no segment. */
static int64_t offset_of(const struct image *image, const Elf64_Ehdr *header, uint64_t address)
{
	Elf64_Phdr segment;

	for (size_t i = 0; i < header->e_phnum; i++)
		if (read_segment(image, header, i, &segment) && segment.p_type == PT_LOAD &&
		    address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
			return (int64_t)(address - segment.p_vaddr + segment.p_offset);
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
		text[i + 1] = '\0';
		if (!copy(image, (uint64_t)table + offset + i, &text[i], 1))
			text[i] = '\0';
		if (!text[i])
			return;
	}
}

static void read_dynamic(const struct image *image, const Elf64_Ehdr *header,
    const Elf64_Phdr *segment, struct binary_report *out)
{
	uint64_t at = segment->p_offset, n = segment->p_filesz / sizeof(Elf64_Dyn);
	char text[BINARY_PATHS_MAX];
	int64_t strings = -1;
	Elf64_Dyn entry;

	for (uint64_t i = 0; i < n && copy(image, at + i * sizeof(entry), &entry, sizeof(entry));
	    i++)
		if (entry.d_tag == DT_STRTAB)
			strings = offset_of(image, header, entry.d_un.d_ptr);
	for (uint64_t i = 0; i < n && copy(image, at + i * sizeof(entry), &entry, sizeof(entry));
	    i++) {
		if (entry.d_tag == DT_NULL)
			return;
		if (entry.d_tag != DT_NEEDED && entry.d_tag != DT_RPATH)
			continue;
		read_string(image, strings, entry.d_un.d_val, text);
		if (entry.d_tag == DT_RPATH)
			memcpy(out->rpath, text, sizeof(text));
		else if (!strcmp(text, "libcuda.so.1"))
			out->needs_cuda = true;
	}
}

/* "#!/usr/bin/env python3" means python3, "#!/bin/sh -e" means /bin/sh. */
static void read_script(const struct image *image, struct binary_report *out)
{
	char line[BINARY_PATHS_MAX];
	size_t length = MIN(image->size, sizeof(line) - 1);

	memcpy(line, image->bytes, length);
	line[length] = '\0';
	if (strncmp(line, "#!", 2))
		return;
	line[strcspn(line, "\n")] = '\0';
	out->is_script = true;
	char *rest = NULL, *word = strtok_r(line + 2, " \t", &rest), *slash = NULL;
	if (word)
		slash = strrchr(word, '/');
	if (slash && !strcmp(slash, "/env"))
		word = strtok_r(NULL, " \t", &rest);
	if (word)
		snprintf(out->interpreter, sizeof(out->interpreter), "%s", word);
}

static void read_image(const struct image *image, struct binary_report *out)
{
	bool interpreted = false;
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	if (!copy(image, 0, &header, sizeof(header)) || memcmp(header.e_ident, ELFMAG, SELFMAG)) {
		read_script(image, out);
		return;
	}
	out->is_elf = true;
	out->is_64 = header.e_ident[EI_CLASS] == ELFCLASS64;
	out->x86 = header.e_machine == EM_X86_64;
	if (!out->is_64 || header.e_ident[EI_DATA] != ELFDATA2LSB)
		return;
	for (size_t i = 0; i < header.e_phnum; i++) {
		if (!read_segment(image, &header, i, &segment))
			continue;
		if (segment.p_type == PT_INTERP) {
			interpreted = true;
			read_string(image, 0, segment.p_offset, out->interpreter);
		}
		if (segment.p_type == PT_DYNAMIC)
			read_dynamic(image, &header, &segment, out);
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
		return error_origin(S_ISDIR(status.st_mode) ? -EISDIR : -EACCES);
	out->privileged = (status.st_mode & S_ISUID && status.st_uid != geteuid()) ||
			  (status.st_mode & S_ISGID && status.st_gid != getegid()) ||
			  (geteuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0);
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

/* The first folder of a DT_RPATH that holds a libcuda.so.1; $ORIGIN is not followed. */
static bool rpath_hides_rosen(const char *rpath, char *folder, size_t size)
{
	while (*rpath) {
		char path[BINARY_PATHS_MAX + 16];
		size_t length = strcspn(rpath, ":");
		snprintf(folder, size, "%.*s", (int)length, rpath);
		snprintf(path, sizeof(path), "%s/libcuda.so.1", folder);
		if (access(path, F_OK) == 0)
			return true;
		rpath += length;
		rpath += *rpath == ':';
	}
	return false;
}

bool binary_has_obstacle(const struct binary_report *report, char *why, const char **mend)
{
	const char *slash = strrchr(report->interpreter, '/');
	const char *linker = slash ? slash + 1 : report->interpreter;
	char folder[BINARY_PATHS_MAX];

	if (!report->is_64 || !report->x86) {
		snprintf(why, BINARY_WHY_MAX, "is not for 64-bit x86");
		*mend = "use a build for x86-64 Linux";
	} else if (report->is_static) {
		snprintf(why, BINARY_WHY_MAX,
		    "is linked statically: no library can take the place of CUDA's driver");
		*mend = "link it dynamically against the C library (-cudart static is fine, "
			"-static is not)";
	} else if (report->privileged) {
		snprintf(why, BINARY_WHY_MAX,
		    "is privileged: the dynamic linker ignores LD_LIBRARY_PATH");
		*mend = "run a copy without the set-user-id bit or capabilities";
	} else if (strcmp(linker, "ld-linux-x86-64.so.2")) {
		snprintf(why, BINARY_WHY_MAX, "is for another C library than glibc (%.200s)",
		    report->interpreter);
		*mend = "use a build for glibc, which CUDA's own libraries need as well";
	} else if (rpath_hides_rosen(report->rpath, folder, sizeof(folder))) {
		snprintf(why, BINARY_WHY_MAX,
		    "has the RPATH %.200s, which comes before Rosen's library", folder);
		*mend = "remove it (patchelf --remove-rpath), or move the libcuda.so.1 there away";
	} else {
		return false;
	}
	return true;
}

/* A folder may be searched and is no program. */
static bool is_allowed(const char *path, int mode)
{
	struct stat status;

	return access(path, mode) == 0 && stat(path, &status) == 0 && !S_ISDIR(status.st_mode);
}

bool binary_find(const char *name, int mode, char *path, size_t size)
{
	const char *list = getenv("PATH") ?: "/usr/local/bin:/usr/bin:/bin";

	snprintf(path, size, "%s", name);
	if (strchr(name, '/'))
		return access(path, F_OK) == 0;
	for (bool more = *name; more; list++) {
		size_t length = strcspn(list, ":");
		/* An empty entry is the folder one is in. */
		snprintf(path, size, "%.*s/%s", (int)MAX(length, 1), length ? list : ".", name);
		if (is_allowed(path, mode))
			return true;
		list += length;
		more = *list;
	}
	return false;
}
